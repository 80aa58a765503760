"""Whatever waits for somebody, and whatever is offered as a reason: Telegram takes the message, its markup is ours
alone, and every button says what fits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from telegram import User

from adapters.telegram.asking import Asking, ask_why
from adapters.telegram.limits import MAX_TEXT, utf16_length
from adapters.telegram.linking import confirm_linking
from adapters.telegram.listing import past_list, waiting_list
from adapters.telegram.messenger import Place
from adapters.telegram.phrases import phrases
from adapters.telegram.render import PLAIN, Drawn, Way
from adapters.telegram.taps import pressed
from bot.sandbox.telegram.entities import parse
from bot.sandbox.telegram.keyboard import checked_markup
from core.inbox import PastPage, Waiting, WaitingPage
from core.model import Case, Identity
from core.tokens import new_id
from tests.property.test_slack_lists import cases
from tests.property.test_slack_render import texts
from tests.unit.test_slack_render import a_case

HOSTS = st.sampled_from(["https://assent.example.com", "http://localhost:8080"])
TOKEN = "t" * 43
words = st.sampled_from([phrases("en"), phrases("de")])
ways = st.sampled_from([PLAIN, Way(inside=True)])
cursors = st.one_of(st.none(), st.text("aZ09_-", min_size=1, max_size=64).map("1800000000000.{}".format))
givers = st.one_of(st.none(), st.builds(lambda name: Identity("telegram", "7", name), texts))


def taken(drawn: Drawn) -> dict[str, Any]:
    """The keyboard, once Telegram would have taken the message."""
    text, entities = parse(drawn.text, "HTML")
    assert 0 < utf16_length(text) <= MAX_TEXT
    found = {"url", "mention", "bot_command"}  # by Telegram itself, in any text
    assert {entity["type"] for entity in entities} - found <= {"bold", "italic", "text_mention", "date_time"}
    markup = drawn.keyboard.to_dict() if drawn.keyboard is not None else None
    return checked_markup(markup, private=True) or {}


@given(
    waiting=st.lists(st.tuples(cases, givers, st.booleans()), max_size=12),
    following=st.sampled_from([None, "1800000000000.review_" + "a" * 22, "x" * 100]),
    words=words,
    way=ways,
    host=HOSTS,
)
@settings(max_examples=25, deadline=None)
def test_any_list_is_a_message_that_telegram_takes(
    waiting: list[tuple[Case, Identity | None, bool]], following: str | None, words: Any, way: Way, host: str
) -> None:
    link = f"{host}/en/hitl/review/review_{'a' * 22}?token={TOKEN}"
    items = tuple(Waiting(case, link, "c" * 22 if here else None, giver) for case, giver, here in waiting)
    drawn = waiting_list(WaitingPage(items, len(items), following), words, way)
    rows = taken(drawn).get("inline_keyboard", [])
    answering = [button["callback_data"] for row in rows for button in row if "callback_data" in button]
    for data in answering:
        assert data.startswith("m:") or pressed(data) is not None
    shown = [number for number in range(1, 11) if f"\n<b>{number}. " in drawn.text]
    assert len(shown) == min(10, len(items)) or words["shortened"] in drawn.text


@given(past=st.lists(cases, max_size=12), older=cursors, newer=cursors, words=words)
@settings(max_examples=10, deadline=None)
def test_any_past_is_a_message_that_telegram_takes(
    past: list[Case], older: str | None, newer: str | None, words: Any
) -> None:
    closed = tuple(
        replace(a_case("approval", "decided"), content={**case.content, "actions": ["approve"]}) for case in past
    )
    assert {} == taken(past_list(PastPage(closed, None), words))
    rows = taken(past_list(PastPage(closed, older, newer), words)).get("inline_keyboard", [])
    room = [cursor for cursor in (newer, older) if cursor is not None and len(cursor) <= 60]
    assert room == [button["callback_data"][4:] for row in rows for button in row]
    ours = PastPage(closed, f"1800000000000.{new_id('review_')}", None)
    assert 1 == len(taken(past_list(ours, words))["inline_keyboard"])


def test_names_that_shall_not_be_calls_do_not_make_the_past_too_long() -> None:
    calls = "@a " * 300
    answered = {"by": {"platform": "slack", "display_name": calls}, "via": "slack_block_action", "reason": calls}
    case = a_case("approval", "decided", answered=answered)
    case = replace(case, content={**case.content, "prompt": calls})
    drawn = past_list(PastPage((case,) * 10, None, None), phrases("de"))
    taken(drawn)
    assert 10 == drawn.text.count("<i>")


@given(
    offered=st.lists(st.text(min_size=1, max_size=75).filter(str.strip), max_size=10),
    name=texts,
    prompt=texts,
    label=texts,
    words=words,
)
@settings(max_examples=40, deadline=None)
def test_any_question_is_a_message_that_telegram_takes(
    offered: list[str], name: str, prompt: str, label: str, words: Any
) -> None:
    asking = Asking(User(7, name, False), Place(7), 1, "c" * 22, "reject", 0, label[:75], words)
    markup = taken(ask_why(asking, tuple(offered), prompt))
    if offered:
        assert len(offered) + 2 == len(markup["inline_keyboard"])
    else:
        assert markup["force_reply"]


@given(name=texts, team=st.text("ET0123456789:", max_size=80), words=words)
@settings(max_examples=20, deadline=None)
def test_any_confirmation_is_a_message_that_telegram_takes(name: str, team: str, words: Any) -> None:
    taken(confirm_linking(Identity("slack", "U1", name, team=team), "Slack", words))
