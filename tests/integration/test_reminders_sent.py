"""Reminders through the real SDKs: into the card's thread on Slack, as a reply to the card on Telegram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest

from adapters.slack import SlackAdapter
from adapters.telegram import TelegramAdapter
from bot.sandbox import Fault, Sandbox
from core.model import Address, Opened, Policy
from core.notices import Notices
from core.pacing import Pacer
from core.reminders import Reminders
from core.schedule import HOUR
from core.workers import CardWorker, NoticeWorker
from tests.integration import slack_support, telegram_support
from tests.integration.slack_support import APPROVALS, REVIEWER, mentions, shown
from tests.integration.telegram_support import GROUP
from tests.support.cores import RING, Core, a_core
from tests.support.databases import rows
from tests.support.gates import until
from tests.support.workers import drawing

EVERYWHERE = (Address("slack", APPROVALS), Address("telegram", str(GROUP)))
NAMED = Policy(any_of=("channel", f"slack:{REVIEWER}", "telegram:1002"))


@pytest.fixture(autouse=True)
def _durations_as_the_sdk_will_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@dataclass
class Process:
    """One process: its core, both messengers with their workers, and the clock's part of it."""

    core: Core
    sandbox: Sandbox
    slack: SlackAdapter
    telegram: TelegramAdapter

    async def remind(self) -> int:
        return await Reminders(self.core.database, self.core.hub).remind_due()

    async def ask(self, policy: Policy = NAMED) -> Opened:
        """A case for a day, once its cards stand in both chats and the ledger knows it."""
        opened = await self.core.ask(notify=EVERYWHERE, policy=policy, timeout="24h", timeout_ms=24 * HOUR)
        await until(self._posted)
        return opened

    async def _posted(self) -> bool:
        return all(row["message"] for row in await rows(self.core.url, "SELECT message FROM cards"))

    async def settled(self) -> list[tuple[str, str]]:
        """What became of the notices, by platform, once none waits."""
        found: list[tuple[str, str]] = []

        async def look() -> bool:
            read = await rows(self.core.url, "SELECT platform, state FROM notices ORDER BY platform")
            found[:] = [(row["platform"], row["state"]) for row in read]
            return "waiting" not in dict(found).values()

        await until(look)
        return found


@asynccontextmanager
async def a_process(url: str, sandbox: Sandbox) -> AsyncIterator[Process]:
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(a_core(url))
        slack = await stack.enter_async_context(slack_support.connected(core, sandbox, worker=False))
        telegram = await stack.enter_async_context(telegram_support.connected(core, sandbox, worker=False))
        notices = Notices(core.database, RING, "https://assent.example.com")
        for messenger in (slack.messenger, telegram.messenger):
            pacer = Pacer()
            for worker in (
                CardWorker(core.cards, messenger, core.hub, pacer=pacer),
                NoticeWorker(notices, core.cards, messenger, core.hub, pacer=pacer),
            ):
                await stack.enter_async_context(drawing(worker, core.hub))
        yield Process(core, sandbox, slack, telegram)


@pytest.fixture
async def process(database_url: str) -> AsyncIterator[Process]:
    async with Sandbox.running() as sandbox, a_process(database_url, sandbox) as found:
        yield found


async def test_a_reminder_comes_once_on_each_messenger_below_the_card(process: Process) -> None:
    opened = await process.ask()
    process.core.clock[0] = 12 * HOUR
    assert (1, 0) == (await process.remind(), await process.remind())
    assert [("slack", "sent"), ("telegram", "sent")] == await process.settled()

    card, reminder = process.sandbox.slack.messages(APPROVALS)
    assert (card.ts, [REVIEWER], ["Review"]) == (
        reminder.thread_ts,
        mentions(reminder.blocks),
        [button["text"]["text"] for button in reminder.buttons()],
    )
    assert "Deploy checkout 2.14.0?" in shown(reminder)
    assert "(in 12 hours)" in shown(reminder)
    card_there, reply = process.sandbox.telegram.messages(GROUP)
    assert card_there.message_id == reply.reply_to
    assert "Deploy checkout 2.14.0?" in reply.text
    called = [entity["user"]["id"] for entity in reply.entities if entity["type"] == "text_mention"]
    assert [1002] == called
    rows_of_buttons = (reply.markup or {})["inline_keyboard"]
    assert opened.review_token in rows_of_buttons[0][0]["url"]


async def test_the_card_above_a_reminder_still_decides(process: Process) -> None:
    await process.ask()
    process.core.clock[0] = 12 * HOUR
    await process.remind()
    await process.settled()
    card, reminder = process.sandbox.slack.messages(APPROVALS)
    review = await process.sandbox.slack.tap(APPROVALS, reminder.ts, "Review")
    assert (200, []) == (review.status, await process.core.ledger()), "the link opens the page and answers nothing"
    tap = await process.sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    assert slack_support.acknowledged(tap)
    await slack_support.closed_card(process.sandbox, card)
    assert 1 == len(await process.core.ledger())


async def test_nothing_is_said_after_the_answer(process: Process) -> None:
    """The reminder was given, the messengers asked for a pause, and meanwhile somebody answered."""
    await process.ask()
    process.sandbox.faults.next("chat.postMessage", Fault.rate_limited(retry_after=30))
    process.sandbox.faults.next("sendMessage", Fault.rate_limited(retry_after=30))
    process.core.clock[0] = 12 * HOUR
    await process.remind()
    await until(lambda: _tried(process))
    (card,) = process.sandbox.slack.messages(APPROVALS)
    await process.sandbox.slack.tap(APPROVALS, card.ts, "Reject")
    process.core.clock[0] += 31_000
    assert [("slack", "dead"), ("telegram", "dead")] == await process.settled()
    assert (1, 1) == (len(process.sandbox.slack.messages(APPROVALS)), len(process.sandbox.telegram.messages(GROUP)))
    assert 0 == await process.remind()


async def _tried(process: Process) -> bool:
    found = await rows(process.core.url, "SELECT last_error FROM notices")
    return len(found) == 2 and all(row["last_error"] for row in found)


async def test_a_pause_that_one_messenger_asks_for_delays_a_reminder_and_loses_none(process: Process) -> None:
    await process.ask()
    process.sandbox.faults.next("chat.postMessage", Fault.rate_limited(retry_after=1))
    process.sandbox.faults.next("sendMessage", Fault.server_error(502))
    process.core.clock[0] = 12 * HOUR
    await process.remind()
    assert [("slack", "sent"), ("telegram", "sent")] == await process.settled()
    assert (2, 2) == (len(process.sandbox.slack.messages(APPROVALS)), len(process.sandbox.telegram.messages(GROUP)))


async def test_a_group_with_a_new_id_gets_its_card_anew(process: Process) -> None:
    await process.ask()
    new = process.sandbox.telegram.migrate(GROUP)
    process.core.clock[0] = 12 * HOUR
    await process.remind()
    assert [("slack", "sent"), ("telegram", "dead")] == await process.settled()
    card = await telegram_support.card_in(process.sandbox, new.id, "Deploy checkout")
    assert card.markup is not None


async def test_a_bot_that_was_removed_reminds_the_others_all_the_same(process: Process) -> None:
    await process.ask()
    process.sandbox.telegram.kick(GROUP)
    process.core.clock[0] = 12 * HOUR
    await process.remind()
    assert [("slack", "sent"), ("telegram", "dead")] == await process.settled()
    (dead,) = await rows(process.core.url, "SELECT last_error FROM notices WHERE state = 'dead'")
    assert "the bot is not in this group any more" in dead["last_error"]


async def test_two_processes_say_it_once(database_url: str) -> None:
    async with Sandbox.running() as sandbox, a_process(database_url, sandbox) as one:
        await one.ask()
        async with a_core(database_url) as other:
            one.core.clock[0] = other.clock[0] = 12 * HOUR
            second = Reminders(other.database, other.hub)
            counts = await asyncio.gather(one.remind(), second.remind_due(), one.remind(), second.remind_due())
        assert 1 == sum(counts)
        await one.settled()
        assert (2, 2) == (len(sandbox.slack.messages(APPROVALS)), len(sandbox.telegram.messages(GROUP)))
