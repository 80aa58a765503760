"""What stands beside a card on Telegram: reminders with more time and later reminders, escalations, and chats that
change meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.sandbox.telegram import Message
from core.chat_terms import Level
from core.digests import Digests
from core.escalations import Escalations
from core.model import Address, Policy
from core.pacing import Pacer
from core.reminders import Reminders
from core.schedule import HOUR, MINUTE, SECOND
from core.workers import CardWorker, DigestWorker
from tests.integration.telegram_support import FORUM, GROUP, PRIVATE, SUPERGROUP, Scene, a_scene, card_in, closed_card
from tests.support.chats import bot_said, buttons
from tests.support.cores import PUBLIC_URL, RING
from tests.support.databases import eventually, rows

NAMED = Policy(("channel", "telegram:1002"))
DAY: dict[str, Any] = {"timeout": "24h", "timeout_ms": 24 * HOUR, "policy": NAMED}
LATER: dict[str, Any] = {"extend_ms": 4 * HOUR, "max_extensions": 1, "snooze_ms": HOUR}


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    async with a_scene(sqlite_url, notices=True) as found:
        yield found


async def posted(scene: Scene, number: int = 1) -> None:
    """The ledger knows where so many cards stand."""

    async def look() -> bool:
        return number == len(await rows(scene.core.url, "SELECT 1 FROM cards WHERE message IS NOT NULL"))

    await eventually(look)


async def reminded(scene: Scene, chat: int | str = GROUP, **more: Any) -> Message:
    """The reminder below a card in that chat."""
    await scene.core.ask(chat, **(DAY | more))
    await posted(scene)
    scene.core.clock[0] += 12 * HOUR
    await Reminders(scene.core.database, scene.core.hub).remind_due()
    return await bot_said(scene.sandbox, int(str(chat).partition("/")[0]), "Reminder")


def called(message: Message) -> list[int]:
    return [entity["user"]["id"] for entity in message.entities if entity["type"] == "text_mention"]


# --- more time, and later ---


async def test_a_reminder_is_a_reply_to_the_card_that_mentions_people_and_offers_more_time(scene: Scene) -> None:
    found = await reminded(scene)
    card = await card_in(scene.sandbox, GROUP, "Fingerprint")
    assert (card.message_id, [1002]) == (found.reply_to, called(found))
    assert ["Review"] == buttons(found)


async def test_extend_and_snooze_appear_with_the_reminder_when_the_source_allows_them(scene: Scene) -> None:
    await scene.core.ask(GROUP, chat=LATER, **DAY)
    await posted(scene)
    card = await card_in(scene.sandbox, GROUP)
    assert ["Approve", "Reject", "Review"] == buttons(card)
    scene.core.clock[0] += 12 * HOUR
    await Reminders(scene.core.database, scene.core.hub).remind_due()
    found = await bot_said(scene.sandbox, GROUP, "Reminder")
    assert ["Give it 4 hours more", "Remind again in 1 hour", "Review"] == buttons(found)


async def late(scene: Scene) -> Message:
    await scene.core.ask(GROUP, chat=LATER, **DAY)
    await posted(scene)
    scene.core.clock[0] += 12 * HOUR
    await Reminders(scene.core.database, scene.core.hub).remind_due()
    return await bot_said(scene.sandbox, GROUP, "Reminder")


async def test_extend_moves_the_deadline_once_and_the_card_says_so(scene: Scene) -> None:
    found = await late(scene)
    [before] = await rows(scene.core.url, "SELECT expires_at FROM cases")
    answer = await scene.press(found, "Give it 4 hours more")
    assert answer.text.startswith("The deadline is now ")
    assert not answer.show_alert
    assert answer.text == (await scene.press(found, "Give it 4 hours more", "Reviewer Two")).text
    [after] = await rows(scene.core.url, "SELECT expires_at FROM cases")
    assert 4 * HOUR == after["expires_at"] - before["expires_at"]
    moved = answer.text.removeprefix("The deadline is now ").rstrip(".")
    card = await card_in(scene.sandbox, GROUP, "Fingerprint")
    await scene.sandbox.until(lambda: moved in card.text)
    assert [] == await scene.core.ledger()


async def test_snooze_reminds_again_later(scene: Scene) -> None:
    found = await late(scene)
    answer = await scene.press(found, "Remind again in 1 hour")
    assert answer.text.startswith("You will be reminded again at ")
    assert 0 == await Reminders(scene.core.database, scene.core.hub).remind_due()
    scene.core.clock[0] += HOUR
    assert 1 == await Reminders(scene.core.database, scene.core.hub).remind_due()
    await scene.sandbox.until(lambda: len([one for one in scene.said(GROUP) if "Reminder" in one.text]) == 2)


async def test_who_may_not_decide_gets_no_more_time(scene: Scene) -> None:
    await scene.core.ask(GROUP, chat=LATER, **(DAY | {"policy": Policy(("telegram:1002",))}))
    await posted(scene)
    scene.core.clock[0] += 12 * HOUR
    await Reminders(scene.core.database, scene.core.hub).remind_due()
    found = await bot_said(scene.sandbox, GROUP, "Reminder")
    answer = await scene.press(found, "Give it 4 hours more", "Reviewer Two")
    assert answer.show_alert
    assert "You are not one of the reviewers" in answer.text


async def test_a_reminder_is_not_taken_for_the_card(scene: Scene) -> None:
    found = await late(scene)
    [before] = await rows(scene.core.url, "SELECT message FROM cards")
    await scene.press(found, "Remind again in 1 hour")
    await scene.press(found, "Give it 4 hours more")
    assert [before] == await rows(scene.core.url, "SELECT message FROM cards")
    assert str(found.message_id) != before["message"]


# --- escalations ---


async def test_an_escalation_is_a_reply_that_mentions_people_and_a_card_where_it_goes(scene: Scene) -> None:
    levels = (
        Level(MINUTE, mention=("telegram:1004", "telegram:<b>")),
        Level(2 * MINUTE, notify=(Address("telegram", str(SUPERGROUP)),), reviewers=("telegram:1004",)),
    )
    chain = tuple(level.as_json() for level in levels)
    await scene.core.ask(GROUP, policy=Policy(("telegram:1002",)), escalation_chain=chain)
    await posted(scene)
    card = await card_in(scene.sandbox, GROUP)
    answer = await scene.press(card, "Approve", "On Call")
    assert "You are not one of the reviewers" in answer.text
    escalations = Escalations(scene.core.database, scene.core.hub, RING)
    scene.core.clock[0] += MINUTE
    await escalations.escalate_due()
    notice = await scene.next(GROUP, 1)
    assert (card.message_id, [1004]) == (notice.reply_to, called(notice))
    scene.core.clock[0] += MINUTE
    await escalations.escalate_due()
    other = await card_in(scene.sandbox, SUPERGROUP)
    assert "Recorded: Approved." == (await scene.press(other, "Approve", "On Call")).text
    for one in (card, other):
        assert (await closed_card(scene.sandbox, one)).text.startswith("Approved by On Call")


# --- chats that change ---


async def test_a_reminder_stands_in_the_topic_of_its_card(scene: Scene) -> None:
    found = await reminded(scene, f"{FORUM}/7")
    assert 7 == found.thread_id


async def test_in_a_closed_topic_cards_and_reminders_wait_until_it_is_open(scene: Scene) -> None:
    scene.sandbox.telegram.close_topic(FORUM, 7)
    await scene.core.ask(f"{FORUM}/7", **DAY)

    async def refused() -> list[dict[str, Any]]:
        return await rows(scene.core.url, "SELECT state FROM cards WHERE last_error LIKE '%topic is closed%'")

    assert [{"state": "live"}] == await eventually(refused)
    scene.sandbox.telegram.reopen_topic(FORUM, 7)
    scene.core.clock[0] += MINUTE  # its next try
    card = await card_in(scene.sandbox, FORUM)
    assert 7 == card.thread_id


async def test_a_card_in_a_deleted_topic_says_why_it_cannot_be_shown(scene: Scene) -> None:
    scene.sandbox.telegram.delete_topic(FORUM, 7)
    await scene.core.ask(f"{FORUM}/7", **DAY)

    async def dead() -> list[dict[str, Any]]:
        return await rows(scene.core.url, "SELECT last_error FROM cards WHERE state = 'dead'")

    [card] = await eventually(dead)
    assert "there is no such topic in this group" in card["last_error"]


async def test_a_card_follows_its_group_when_that_becomes_a_supergroup(scene: Scene) -> None:
    await scene.core.ask(GROUP, **DAY)
    await posted(scene)
    new = scene.sandbox.telegram.migrate(GROUP)
    scene.core.clock[0] += 12 * HOUR
    await Reminders(scene.core.database, scene.core.hub).remind_due()  # the reminder finds out; the card is posted anew
    card = await card_in(scene.sandbox, new.id, "Fingerprint")
    assert "Recorded: Approved." == (await scene.press(card, "Approve")).text
    await closed_card(scene.sandbox, card)


async def test_a_question_follows_its_group_when_that_becomes_a_supergroup(scene: Scene) -> None:
    """The press comes from the old group; what the bot says next goes to the new one, and so does the card."""
    await scene.core.ask(GROUP, chat={"ask_reason": True}, **DAY)
    await posted(scene)
    card = await card_in(scene.sandbox, GROUP)
    prepared = scene.sandbox.telegram.prepare(GROUP, card.message_id, "Reject")
    new = scene.sandbox.telegram.migrate(GROUP)
    await scene.sandbox.telegram.deliver(prepared)
    box = await bot_said(scene.sandbox, new.id, "as a reply")
    scene.core.clock[0] += 12 * HOUR
    await Reminders(scene.core.database, scene.core.hub).remind_due()
    moved = await card_in(scene.sandbox, new.id, "Fingerprint")
    scene.sandbox.telegram.reply(box, "Said in the new group")
    assert "Reason: Said in the new group" in (await closed_card(scene.sandbox, moved)).text


async def test_a_person_who_blocked_the_bot_does_not_hold_up_the_others(scene: Scene) -> None:
    scene.sandbox.telegram.block("Reviewer One")
    await scene.core.ask(PRIVATE, GROUP, **DAY)
    card = await card_in(scene.sandbox, GROUP)
    await scene.press(card, "Approve")
    await closed_card(scene.sandbox, card)


async def test_a_digest_and_what_waits_behind_it_follow_their_group_to_its_new_id(sqlite_url: str) -> None:
    async with a_scene(sqlite_url, worker=False) as scene:
        core, messenger = scene.core, scene.adapter.messenger
        options: dict[str, Any] = {
            "pacer": Pacer(),
            "cap": 3,
            "clock": lambda: time.monotonic() * 1000 + core.clock[0],
        }
        cards = CardWorker(core.cards, messenger, core.hub, **options)
        digests = DigestWorker(
            Digests(core.database, RING, PUBLIC_URL, "en"), core.cards, messenger, core.hub, **options
        )

        async def minutes(count: int) -> None:
            for _ in range(count * 12):
                while await cards.work() + await digests.work():
                    pass
                core.clock[0] += 5 * SECOND

        for number in range(12):
            await core.ask(GROUP, prompt=f"Question {number:02}?", **DAY)
        await minutes(1)
        before = [one.text for one in scene.said(GROUP)]
        assert [text for text in before if "Fingerprint" not in text], "a digest"
        new = scene.sandbox.telegram.migrate(GROUP)
        await minutes(6)
        after = [one.text for one in scene.said(new.id)]
        for number in range(12):
            assert 1 == len(
                [text for text in [*before, *after] if f"Question {number:02}?" in text and "Fingerprint" in text]
            )
        assert [text for text in after if "Fingerprint" not in text], "a digest of its own"
