"""Cards as Telegram takes them: read with the sandbox's parser, which refuses what Telegram refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from telegram import Update

from adapters.telegram.digests import draw_digest
from adapters.telegram.limits import BUTTONS_A_ROW, MAX_DATA, MAX_TEXT, cut, shown_length, utf16_length
from adapters.telegram.markup import plain
from adapters.telegram.render import button_data, can_be_button, draw
from adapters.telegram.taps import tap_of
from bot.sandbox.telegram.entities import parse
from bot.sandbox.telegram.keyboard import checked_markup
from bot.sandbox.telegram.methods import cleaned
from core.digest_words import Digest, Line
from core.messages import Button, Card, Paragraph
from core.model import INLINE_ACTIONS
from core.states import Verdict, verdict
from core.tokens import new_id
from core.told import Moment
from core.wording import visible
from core.words import EN
from tests.support.cores import a_card

TEXT = st.text().map(visible) | st.sampled_from(["<", ">", "&", "&amp;", "</b>", "<pre>", "🙂", "﷽"]).flatmap(
    lambda piece: st.integers(0, 6_000).map(lambda times: piece * times)
)
PARAGRAPHS = st.builds(Paragraph, TEXT, label=st.none() | TEXT, code=st.booleans())
BUTTONS = st.lists(st.sampled_from(sorted(EN["actions"])), max_size=20).map(
    lambda actions: tuple(Button(action, EN["actions"][action]) for action in actions)
)
URLS = st.sampled_from(
    [None, "https://assent.example.com/en/hitl/review/r?token=t&x=<y>", "http://localhost:8080/en/r?token=t&x=<y>"]
)
CARDS = st.builds(
    a_card,
    title=TEXT,
    prompt=TEXT,
    facts=st.lists(st.tuples(TEXT, TEXT), max_size=30).map(tuple),
    body=st.lists(PARAGRAPHS, max_size=30).map(tuple),
    buttons=BUTTONS,
    review_url=URLS,
    outcome=st.none() | TEXT | TEXT.map("{} 21 Nov 2026, 10:00 UTC on Slack".format),
    complete=st.booleans(),
    moments=st.sampled_from([(), (Moment(1_795_255_200_000, "21 Nov 2026, 10:00 UTC"),)]),
)


def read(card: Card) -> tuple[str, list[list[dict[str, Any]]]]:
    """The plain text and the buttons of a card, after Telegram's own checks."""
    drawn = draw(card)
    text, _ = parse(cleaned(drawn.text), "HTML")
    markup = checked_markup(None if drawn.keyboard is None else drawn.keyboard.to_dict(), private=False)
    return text, [] if markup is None else markup["inline_keyboard"]


def times(markup: str) -> list[tuple[str, int, str]]:
    """The times that a message shows by the clocks of whoever reads: what older apps show, the moment, the format."""
    text, entities = parse(markup, "HTML")
    units = text.encode("utf-16-le")
    return [
        (
            units[2 * one["offset"] : 2 * (one["offset"] + one["length"])].decode("utf-16-le"),
            one["unix_time"],
            one["date_time_format"],
        )
        for one in entities
        if one["type"] == "date_time"
    ]


def pieces_of(card: Card) -> list[str]:
    """All that a whole card shows, as people read it: what keeps a name from being called shows nothing."""
    pieces = [card.prompt, *(part for fact in card.facts for part in fact)]
    pieces += [part for paragraph in card.body for part in (paragraph.label or "", paragraph.text)]
    return [cleaned(piece).strip() for piece in pieces]


def as_read(text: str) -> str:
    return text.replace("@\u2060", "@")


@given(CARDS)
@example(a_card(prompt="🙂" * 10_000, body=(Paragraph("🙂" * 10_000, "🙂" * 10_000, code=True),)))
@example(a_card(facts=tuple(("Fact", "&<>" * 60) for _ in range(100)), body=(Paragraph("x" * 10_000),)))
@settings(max_examples=200, deadline=None)
def test_any_card_is_valid_fits_and_keeps_its_buttons(card: Card) -> None:
    text, rows = read(card)
    assert 0 < utf16_length(text) <= MAX_TEXT
    actions = [button["callback_data"] for row in rows for button in row if "callback_data" in button]
    assert [button_data(card.card_id, button.action) for button in card.buttons] == actions
    assert all(len(row) <= BUTTONS_A_ROW for row in rows)
    if card.review_url is not None:
        assert card.review_url in [*text.split(), *(button.get("url") for row in rows for button in row)]
    if card.outcome is None:
        assert f"Answer by {card.deadline}" in text
    assert card.digest in text


@given(CARDS)
@example(a_card(prompt="@0"))
@settings(max_examples=200, deadline=None)
def test_a_card_that_does_not_show_everything_says_so(card: Card) -> None:
    text, _ = read(card)
    whole = card.complete and all(piece in as_read(text) for piece in pieces_of(card))
    assert whole or "This is not the whole content." in text


@given(CARDS)
@example(a_card(prompt="@0"))
@settings(max_examples=200, deadline=None)
def test_nobody_approves_blindly_what_must_be_seen(card: Card) -> None:
    careful = replace(card, full_review=True)
    (text, rows), whole = read(careful), draw(careful).whole
    actions = [one["callback_data"].split(":")[2] for row in rows for one in row if "callback_data" in one]
    if whole:
        assert [] == [piece for piece in pieces_of(card) if piece not in as_read(text)]
        assert [button.action for button in card.buttons] == actions
    else:
        assert "This is not the whole content" in text
        assert [one.action for one in card.buttons if verdict(one.action) is not Verdict.APPROVE] == actions


@given(CARDS)
@settings(max_examples=100, deadline=None)
def test_our_measure_is_telegrams(card: Card) -> None:
    markup = cleaned(draw(card).text)
    assert utf16_length(parse(f"-{markup}-", "HTML")[0]) - 2 == shown_length(markup)


@given(st.text(), st.integers(1, 300))
def test_a_cut_text_fits_and_begins_as_it_did(text: str, limit: int) -> None:
    shorter = cut(text, limit)
    assert utf16_length(shorter) <= limit
    if shorter != text:
        assert shorter.endswith("…")
        assert text.startswith(shorter[:-1])


def test_a_text_is_cut_between_words() -> None:
    assert "You may not decide this, because…" == cut("You may not decide this, because somebody else does", 38)


def test_a_short_card_is_shown_whole() -> None:
    body = (Paragraph("All 412 tests pass."), Paragraph("replicas: 3", "Change", code=True))
    text, [actions, review] = read(a_card(body=body))
    assert text == (
        "Approval needed\n\n"
        "Deploy checkout 2.14.0?\n\n"
        "Asked by: Deploy agent\n\n"
        "All 412 tests pass.\n\n"
        "Change\nreplicas: 3\n\n"
        "⏳ Answer by 21 Nov 2026, 10:00 UTC\n"
        "Fingerprint 0123456789ab"
    )
    assert [("Approve", "success"), ("Reject", "danger")] == [(one["text"], one["style"]) for one in actions]
    assert ["Review"] == [button["text"] for button in review]


def test_the_choices_of_a_list_stand_on_lines_of_their_own() -> None:
    body = (Paragraph("Which one?"), Paragraph("• Blue"), Paragraph("• Green"), Paragraph("soon", "When"))
    text, _ = read(a_card(body=body))
    assert "\n\nWhich one?\n• Blue\n• Green\n\nWhen\nsoon\n\n" in text


def test_a_closed_card_begins_with_its_outcome_and_has_nothing_to_press() -> None:
    closed = a_card(buttons=(), review_url=None, outcome="Rejected by Reviewer One. Reason: <too early>")
    text, rows = read(closed)
    assert text.startswith("Rejected by Reviewer One. Reason: <too early>\n\nDeploy checkout 2.14.0?\n\nAsked by: ")
    assert "Answer by" not in text
    assert [] == rows


def test_times_are_shown_by_the_clocks_of_whoever_reads() -> None:
    until, then = (
        Moment(1_795_255_200_000, "21 Nov 2026, 10:00 UTC"),
        Moment(1_795_252_320_500, "21 Nov 2026, 09:12 UTC"),
    )
    waiting = a_card(moments=(until,))
    closed = a_card(buttons=(), outcome=f"Approved by Ada, {then.text} on Slack", moments=(until, then))
    assert [("21 Nov 2026, 10:00 UTC", 1_795_255_200, "Dt")] == times(draw(waiting).text)
    assert [("21 Nov 2026, 09:12 UTC", 1_795_252_320, "Dt")] == times(draw(closed).text)
    assert read(replace(waiting, moments=())) == read(waiting)
    assert read(replace(closed, moments=())) == read(closed)


def test_what_an_agent_writes_is_no_time() -> None:
    until = Moment(1_795_255_200_000, "21 Nov 2026, 10:00 UTC")
    quoted = f'{until.text} <tg-time unix="1" format="r">now</tg-time>'
    body = (Paragraph(quoted, quoted),)
    card = a_card(title=quoted, prompt=quoted, facts=((quoted, quoted),), body=body, moments=(until,))
    assert [(until.text, 1_795_255_200, "Dt")] == times(draw(card).text)
    text, _ = read(card)
    assert 6 == text.count(quoted)
    assert text.endswith(f"⏳ Answer by {until.text}\nFingerprint {card.digest}")


def test_a_time_in_a_digest_stands_outside_its_link() -> None:
    until = Moment(1_795_255_200_000, "21 Nov 2026, 10:00 UTC")
    line = Line(f"Approval needed: {until.text}?", until, "https://a.b.example/c")
    shown = draw_digest(Digest("digest:1", "2 wait", "Urgent:", (line,), (), "Inbox", "https://a.b.example", False))
    assert [(until.text, 1_795_255_200, "Dt")] == times(shown)
    text, entities = parse(shown, "HTML")
    assert f"• Approval needed: {until.text}? ({until.text})\n" in text
    links = [text[one["offset"] :][: one["length"]] for one in entities if one["type"] == "text_link"]
    assert [f"Approval needed: {until.text}?", "Inbox"] == links


def test_a_card_without_a_way_to_the_rest_says_that_it_does_not_fit() -> None:
    text, _ = read(a_card(body=(Paragraph("x" * 9_000),), review_url=None, buttons=(), outcome="Approved"))
    assert "The rest does not fit in a message." in text


@pytest.mark.parametrize(
    ("url", "button"),
    [
        ("https://assent.example.com/x", True),
        ("http://10.1.2.3:8080/x", True),
        ("http://localhost/x", False),
        ("http://assent/x", False),
        ("http://127.0.0.1:8080/x", False),
        ("http://127.8.8.8/x", False),
        ("http://0.0.0.0/x", False),
        ("http://[::1]/x", False),
        ("http://a.localhost/x", False),
        ("ftp://assent.example.com/x", False),
    ],
)
def test_only_addresses_that_telegram_takes_become_buttons(url: str, button: bool) -> None:
    assert button == can_be_button(url)


@pytest.mark.parametrize("action", sorted({action for actions in INLINE_ACTIONS.values() for action in actions}))
def test_every_buttons_data_fits_and_is_understood(action: str) -> None:
    card_id = new_id()
    data = button_data(card_id, action)
    assert len(data.encode()) <= MAX_DATA
    tap = tap_of(an_update(data))
    assert tap is not None
    assert (card_id, action) == (tap.card_id, tap.action)


def test_a_tap_says_who_and_where_as_telegram_does_and_carries_the_updates_id() -> None:
    tap = tap_of(an_update("a:" + "c" * 22 + ":approve"))
    assert tap is not None
    assert ("telegram:1002", "Reviewer One", True) == (
        tap.identity.key,
        tap.identity.display_name,
        tap.identity.verified,
    )
    assert ("-4001", "telegram_inline_button", "77") == (tap.channel, tap.via, tap.delivery_id)


@given(st.text())
@example("a:" + "c" * 22 + ":approve\n")
@example("a:" + "ﬃ" * 22 + ":approve")
@example("a:" + "c" * 22 + ":" + "x" * 40)
def test_other_data_is_no_tap(data: str) -> None:
    assert tap_of(an_update(data)) is None


def an_update(data: str) -> Update:
    query = {
        "id": "1",
        "from": {"id": 1002, "is_bot": False, "first_name": "Reviewer", "last_name": "One"},
        "chat_instance": "1",
        "message": {"message_id": 5, "date": 0, "chat": {"id": -4001, "type": "group"}},
        "data": data,
    }
    return Update.de_json({"update_id": 77, "callback_query": query})


def test_what_an_agent_writes_calls_nobody() -> None:
    assert plain("Ask @ben, or a@b.example, see https://x.example/@ben") == (
        "Ask @\u2060ben, or a@b.example, see https://x.example/@ben"
    )
