"""What every messenger has to do, whatever the platform: the promises of `core.ports.Messenger`.

An adapter's test module subclasses `MessengerContract` and gives it a `chat` fixture; the platform is played by the
sandbox.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from bot.sandbox import Fault, Sandbox
from core.digest_words import Digest, Line
from core.messages import Button, Card, Paragraph
from core.model import Address
from core.notice_words import Notice
from core.ports import Messenger, SendFailed
from core.told import Moment

AT = 1_795_255_200  # 21 Nov 2026, 10:00 UTC
MARKUP = "<!channel> <b>bold</b> *bold* _it_ `code` ```fence``` [a](https://example.com) & &amp; @everyone </pre>"


def read(text: str) -> str:
    """As people read it: where a messenger would take `@name` for a call, a joiner that shows nothing stands in it."""
    return text.replace("\u2060", "")


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as people see it: its id, its text without markup, the labels of its buttons, the message that it
    stands below, the ids of those whom it calls, and the times (in seconds since 1970) that the platform shows by the
    clocks of whoever reads, which in `text` are the words that stand for them.
    """

    message: str
    text: str
    buttons: tuple[str, ...]
    below: str = ""
    mentions: tuple[str, ...] = ()
    times: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Chat:
    """One platform, ready to be written to.

    `here`: where the bot may write; `nowhere`: a chat of the platform's form that does not exist. `person` is in
    `here` and can be told things, `onlooker` is another. `methods`: the platform's API method behind post, update,
    notify and remind. `finds`: whether the platform lets a bot look its messages up. `shown(channel)`: the messages
    there. `told(user)`: what a person was told in private. `remove(message)`: somebody deletes a message from `here`.
    `other(token, base_url)`: a messenger with another token or at another address (None: as it is).
    """

    sandbox: Sandbox
    messenger: Messenger
    here: Address
    nowhere: Address
    person: str
    onlooker: str
    methods: Mapping[str, str]
    finds: bool
    shown: Callable[[str], list[Shown]]
    told: Callable[[str], list[str]]
    remove: Callable[[str], None]
    other: Callable[[str | None, str | None], Messenger]

    def visible(self) -> list[Shown]:
        return self.shown(self.here.channel)

    def strike(self, verb: str, fault: Fault) -> None:
        self.sandbox.faults.next(self.methods[verb], fault)


def a_card(**fields: object) -> Card:
    """An open card, as the core makes them."""
    card = Card(
        card_id="cardcardcardcardcard_1",
        case_id="review_aaaaaaaaaaaaaaaaaaaaaa",
        version=1,
        title="Approval needed",
        prompt="Deploy checkout 2.14.0?",
        facts=(("Asked by", "Deploy agent"), ("Risk", "high")),
        body=(Paragraph("All 412 tests pass."), Paragraph('{"replicas": 3}', "Change", code=True)),
        buttons=(Button("approve", "Approve", "primary"), Button("reject", "Reject", "danger")),
        review_url="https://assent.example.com/en/hitl/review/review_aaaaaaaaaaaaaaaaaaaaaa?token=t",
        deadline="21 Nov 2026, 10:00 UTC",
        outcome=None,
        digest="0123456789ab",
    )
    return replace(card, **fields)  # type: ignore[arg-type]  # the fields of Card


def a_notice(**fields: object) -> Notice:
    """A reminder, as the core makes them."""
    notice = Notice(
        title="Reminder: approval needed",
        prompt="Deploy checkout 2.14.0?",
        deadline="21 Nov 2026, 10:00 UTC (in 12 hours)",
        mentions=(),
        review_url="https://assent.example.com/en/hitl/review/review_aaaaaaaaaaaaaaaaaaaaaa?token=t",
    )
    return replace(notice, **fields)  # type: ignore[arg-type]  # the fields of Notice


def closed(card: Card) -> Card:
    outcome = "Approved by Reviewer One, 21 Nov 2026, 09:00 UTC on the review page"
    return replace(card, version=card.version + 1, buttons=(), review_url=None, outcome=outcome)


async def use(chat: Chat, verb: str, place: Address) -> None:
    if verb == "post":
        await chat.messenger.post(place, a_card())
    elif verb == "update":
        await chat.messenger.update(place, chat.visible()[0].message, closed(a_card()))
    elif verb == "remind":
        await chat.messenger.remind(place, chat.visible()[0].message, a_notice())
    else:
        await chat.messenger.notify(place, chat.person, "Only you see this.")


async def refusal(chat: Chat, verb: str, address: Address | None = None) -> SendFailed:
    """What the messenger raises when it posts, updates, notifies or reminds."""
    with pytest.raises(SendFailed) as raised:
        await use(chat, verb, address or chat.here)
    return raised.value


class MessengerContract:
    """Subclass it as `Test…` and define the fixture `chat`."""

    async def test_a_posted_card_shows_the_question_the_facts_and_the_content(self, chat: Chat) -> None:
        message = await chat.messenger.post(chat.here, a_card())

        (shown,) = chat.visible()
        assert message == shown.message
        for text in ("Approval needed", "Deploy checkout 2.14.0?", "Deploy agent", "high", "All 412 tests pass."):
            assert text in shown.text
        for text in ("Change", '{"replicas": 3}', "21 Nov 2026, 10:00 UTC", "0123456789ab"):
            assert text in shown.text

    async def test_a_posted_card_has_its_buttons_and_the_review_link(self, chat: Chat) -> None:
        await chat.messenger.post(chat.here, a_card())

        (shown,) = chat.visible()
        assert ("Approve", "Reject", "Review") == shown.buttons

    async def test_an_update_redraws_the_same_message(self, chat: Chat) -> None:
        message = await chat.messenger.post(chat.here, a_card())
        await chat.messenger.update(chat.here, message, a_card(version=2, prompt="Deploy checkout 2.14.1?"))

        (shown,) = chat.visible()
        assert message == shown.message
        assert "Deploy checkout 2.14.1?" in shown.text
        assert "Deploy checkout 2.14.0?" not in shown.text
        assert ("Approve", "Reject", "Review") == shown.buttons

    async def test_an_update_that_changes_nothing_is_a_success(self, chat: Chat) -> None:
        message = await chat.messenger.post(chat.here, a_card())
        before = chat.visible()
        await chat.messenger.update(chat.here, message, a_card())
        await chat.messenger.update(chat.here, message, a_card())

        assert before == chat.visible()

    async def test_a_closed_card_says_how_it_ended_and_has_no_buttons(self, chat: Chat) -> None:
        message = await chat.messenger.post(chat.here, a_card())
        await chat.messenger.update(chat.here, message, closed(a_card()))

        (shown,) = chat.visible()
        assert "Approved by Reviewer One, 21 Nov 2026, 09:00 UTC on the review page" in shown.text
        assert "Deploy checkout 2.14.0?" in shown.text
        assert () == shown.buttons

    async def test_times_are_shown_by_the_clocks_of_whoever_reads(self, chat: Chat) -> None:
        until, then = (
            Moment(AT * 1000, "21 Nov 2026, 10:00 UTC"),
            Moment(AT * 1000 - 3_599_001, "21 Nov 2026, 09:00 UTC"),
        )
        quoted = f"Before {until.text}, <!date^1^{{time}}|now> or <tg-time unix='1' format='r'>now</tg-time>?"
        card = a_card(prompt=quoted, moments=(until,))
        message = await chat.messenger.post(chat.here, card)
        assert (AT,) == chat.visible()[0].times
        await chat.messenger.remind(chat.here, message, a_notice(prompt=quoted, moments=(until,)))
        assert (AT,) == chat.visible()[-1].times
        assert "Answer by 21 Nov 2026, 10:00 UTC (in 12 hours)" in chat.visible()[-1].text
        await chat.messenger.update(chat.here, message, replace(closed(card), moments=(until, then)))
        redrawn = chat.visible()[0]
        assert AT - 3600 == redrawn.times[0]
        assert "Approved by Reviewer One, 21 Nov 2026, 09:00 UTC on the review page" in redrawn.text
        assert quoted in redrawn.text
        line = Line(f"Approval needed: {quoted}", until, "https://assent.example.com/r")
        digest = Digest("digest", "2 wait", "Urgent:", (line,), (), "Inbox", "https://assent.example.com/inbox", False)
        await chat.messenger.digest(chat.here, digest)
        assert (AT,) == chat.visible()[-1].times
        assert f"Approval needed: {quoted} (21 Nov 2026, 10:00 UTC)" in chat.visible()[-1].text

    async def test_nothing_that_an_agent_writes_becomes_markup(self, chat: Chat) -> None:
        hostile = a_card(
            prompt=MARKUP,
            facts=((MARKUP[:40], MARKUP),),
            body=(Paragraph(MARKUP, MARKUP[:40]), Paragraph(MARKUP, code=True)),
        )
        message = await chat.messenger.post(chat.here, hostile)
        await chat.messenger.update(chat.here, message, replace(hostile, version=2))

        (shown,) = chat.visible()
        assert read(shown.text).count(MARKUP) >= 4

    async def test_a_card_of_any_size_keeps_its_buttons_and_says_that_it_is_cut(self, chat: Chat) -> None:
        body = tuple(Paragraph(f"Line {number}: " + "& < > ä 🙂 " * 30, f"Part {number}") for number in range(60))
        facts = tuple((f"Fact {number}", "value " * 30) for number in range(60))
        message = await chat.messenger.post(chat.here, a_card(prompt="Why? " * 2_000, body=body, facts=facts))
        await chat.messenger.update(chat.here, message, a_card(version=2, prompt="Why? " * 2_000, body=body))

        (shown,) = chat.visible()
        assert ("Approve", "Reject", "Review") == shown.buttons
        assert "Open Review to see" in shown.text
        assert "21 Nov 2026, 10:00 UTC" in shown.text

    async def test_where_all_must_be_seen_a_cut_card_offers_review_instead_of_a_blind_approval(
        self, chat: Chat
    ) -> None:
        long = tuple(Paragraph(f"Line {number}: " + "words " * 30) for number in range(200))
        cut = a_card(body=long, full_review=True)
        message = await chat.messenger.post(chat.here, cut)

        assert not chat.messenger.shows_whole(cut)
        assert ("Reject", "Review") == chat.visible()[0].buttons
        assert "so you can agree to it in Review only." in chat.visible()[0].text
        whole = a_card(version=2, full_review=True)
        await chat.messenger.update(chat.here, message, whole)
        assert chat.messenger.shows_whole(whole)
        assert ("Approve", "Reject", "Review") == chat.visible()[0].buttons

    async def test_a_card_and_its_reminder_are_in_their_language(self, chat: Chat) -> None:
        card = await chat.messenger.post(chat.here, a_card(language="de", complete=False))
        await chat.messenger.remind(chat.here, card, a_notice(language="de", mentions=(chat.person,)))

        shown, reminder = chat.visible()
        assert "Prüfen" == shown.buttons[-1]
        assert ("Prüfen",) == reminder.buttons
        for text in ("Antwort bis 21 Nov", "Fingerabdruck 0123456789ab", "Unter „Prüfen“ steht alles"):
            assert text in shown.text
        assert "Antwort bis 21 Nov" in reminder.text
        for text in ("Answer by", "Fingerprint", "Review", "For "):
            assert text not in shown.text + reminder.text

    async def test_a_card_whose_posting_was_in_doubt_is_found(self, chat: Chat) -> None:
        chat.strike("post", Fault.lost_answer())
        failed = await refusal(chat, "post")
        assert failed.uncertain

        (shown,) = chat.visible()
        found = await chat.messenger.find(chat.here, a_card())
        assert (shown.message if chat.finds else None) == found

    async def test_a_card_that_was_never_posted_is_not_found(self, chat: Chat) -> None:
        await chat.messenger.post(chat.here, a_card())

        assert await chat.messenger.find(chat.here, a_card(card_id="cardcardcardcardcard_2")) is None

    async def test_a_reminder_stands_below_its_card_and_says_what_waits_and_until_when(self, chat: Chat) -> None:
        await chat.messenger.post(chat.here, a_card(prompt="Another question"))
        card = await chat.messenger.post(chat.here, a_card())
        message = await chat.messenger.remind(chat.here, card, a_notice())

        _, _, shown = chat.visible()
        assert (message, card, ("Review",), ()) == (shown.message, shown.below, shown.buttons, shown.mentions)
        for text in ("Reminder: approval needed", "Deploy checkout 2.14.0?", "21 Nov 2026, 10:00 UTC (in 12 hours)"):
            assert text in shown.text

    async def test_a_reminder_without_a_link_has_no_buttons(self, chat: Chat) -> None:
        card = await chat.messenger.post(chat.here, a_card())
        await chat.messenger.remind(chat.here, card, a_notice(review_url=None))

        assert () == chat.visible()[-1].buttons

    async def test_a_reminder_offers_more_time_with_buttons_beside_the_link(self, chat: Chat) -> None:
        card = await chat.messenger.post(chat.here, a_card())
        more_time = (Button("extend", "4 hours more"), Button("snooze", "Remind me in 1 hour"))
        await chat.messenger.remind(chat.here, card, a_notice(card_id=a_card().card_id, buttons=more_time, edition=2))

        assert ("4 hours more", "Remind me in 1 hour", "Review") == chat.visible()[-1].buttons

    async def test_a_button_that_asks_for_a_reason_looks_like_any_other(self, chat: Chat) -> None:
        asks = (Button("approve", "Approve", "primary"), Button("reject", "Reject", "danger", asks=True))
        await chat.messenger.post(chat.here, a_card(buttons=asks))

        assert ("Approve", "Reject", "Review") == chat.visible()[-1].buttons

    async def test_a_reminder_calls_those_whom_it_names_and_nobody_else(self, chat: Chat) -> None:
        card = await chat.messenger.post(chat.here, a_card())
        forged = ("!channel", "!here", "everyone", "U1> <!channel", "1003?x=1", "", " ", "<b>")
        whom = (chat.person, *forged, chat.person)
        await chat.messenger.remind(chat.here, card, a_notice(prompt=MARKUP, mentions=whom))
        await chat.messenger.remind(chat.here, card, a_notice(mentions=forged))

        _, shown, other = chat.visible()
        assert (chat.person,) == shown.mentions
        assert MARKUP in read(shown.text)
        assert () == other.mentions

    async def test_a_reminder_of_any_length_to_any_number_of_people_arrives(self, chat: Chat) -> None:
        card = await chat.messenger.post(chat.here, a_card())
        crowd = (chat.person, *(f"U{number:09}" for number in range(200)), *map(str, range(200)))
        long = a_notice(title="T " * 500, prompt="& < > 🙂 " * 2_000, deadline="D " * 900, mentions=crowd)
        await chat.messenger.remind(chat.here, card, long)

        assert chat.person in chat.visible()[-1].mentions
        assert ("Review",) == chat.visible()[-1].buttons

    async def test_a_notice_is_seen_by_one_person_alone(self, chat: Chat) -> None:
        await chat.messenger.notify(chat.here, chat.person, f"You may not decide this. {MARKUP}")

        (told,) = chat.told(chat.person)
        assert "You may not decide this." in told
        assert [] == chat.told(chat.onlooker)
        assert [] == chat.visible()

    async def test_a_notice_of_any_length_arrives(self, chat: Chat) -> None:
        await chat.messenger.notify(chat.here, chat.person, "Why? " * 5_000)

        assert chat.told(chat.person)[0].startswith("Why? Why?")

    async def test_check_names_the_bot(self, chat: Chat) -> None:
        check = await chat.messenger.check()

        assert check.ok
        assert "@" in check.detail

    async def test_check_says_that_the_token_is_wrong_without_repeating_it(self, chat: Chat) -> None:
        check = await chat.other("100:a-wrong-token", None).check()

        assert not check.ok
        assert "a-wrong-token" not in check.detail
        assert check.detail.endswith(".")

    async def test_check_says_that_the_platform_cannot_be_reached(self, chat: Chat) -> None:
        check = await chat.other(None, unused_address()).check()

        assert not check.ok

    @pytest.mark.parametrize("verb", ["post", "update", "notify", "remind"])
    async def test_a_request_to_slow_down_says_how_long(self, chat: Chat, verb: str) -> None:
        await chat.messenger.post(chat.here, a_card())
        chat.strike(verb, Fault.rate_limited(retry_after=7))
        failed = await refusal(chat, verb)

        assert 7_000 == failed.retry_after_ms
        assert not failed.permanent
        assert not failed.uncertain

    @pytest.mark.parametrize("verb", ["post", "update", "remind"])
    async def test_a_lost_answer_leaves_it_open_whether_the_message_arrived(self, chat: Chat, verb: str) -> None:
        await chat.messenger.post(chat.here, a_card())
        sent = len(chat.sandbox.calls(chat.methods[verb]))
        chat.strike(verb, Fault.lost_answer())
        failed = await refusal(chat, verb)

        assert failed.uncertain
        assert not failed.permanent
        assert sent + 1 == len(chat.sandbox.calls(chat.methods[verb])), "the SDK sent it again"

    async def test_an_error_of_the_platform_is_tried_again(self, chat: Chat) -> None:
        chat.strike("post", Fault.server_error(503))
        failed = await refusal(chat, "post")

        assert not failed.permanent
        assert failed.uncertain

    async def test_a_refused_connection_is_certain_and_passing(self, chat: Chat) -> None:
        with pytest.raises(SendFailed) as raised:
            await chat.other(None, unused_address()).post(chat.here, a_card())

        assert not raised.value.permanent
        assert not raised.value.uncertain

    async def test_a_chat_that_does_not_exist_is_refused_for_good(self, chat: Chat) -> None:
        failed = await refusal(chat, "post", chat.nowhere)

        assert failed.permanent
        assert len(failed.message) > 20, "say what to do"

    async def test_a_deleted_message_is_refused_for_good(self, chat: Chat) -> None:
        message = await chat.messenger.post(chat.here, a_card())
        chat.remove(message)
        with pytest.raises(SendFailed) as raised:
            await chat.messenger.update(chat.here, message, closed(a_card()))

        assert raised.value.permanent
        assert "deleted" in raised.value.message

    async def test_every_chat_has_its_own_pace(self, chat: Chat) -> None:
        kinds: tuple[Literal["post"], Literal["update"]] = ("post", "update")
        for kind in kinds:
            ours, rate = chat.messenger.rate(chat.here, kind)
            theirs, _ = chat.messenger.rate(chat.nowhere, kind)
            assert ours != theirs
            assert rate.burst >= 1
            assert rate.interval_ms > 0


def unused_address() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
