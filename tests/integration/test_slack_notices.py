"""What comes after a card on Slack: reminders with their buttons, escalations, and whom they call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.slack import SlackAdapter
from bot.sandbox import Sandbox
from bot.sandbox.slack import Message
from core.escalations import Escalations
from core.model import Address, Opened, Policy
from core.notices import Notices
from core.reminders import Reminders
from core.schedule import HOUR
from core.workers import NoticeWorker
from tests.integration.slack_support import (
    APPROVALS,
    ON_CALL,
    ON_SQLITE,
    REVIEWER,
    TWO,
    acknowledged,
    ask,
    card_in,
    closed_card,
    connected,
    shown,
    told,
)
from tests.support.chats import buttons, replies_to
from tests.support.cores import PUBLIC_URL, RING, Core
from tests.support.databases import eventually, rows
from tests.support.workers import drawing

LATER = {"extend_ms": 4 * HOUR, "max_extensions": 1, "snooze_ms": HOUR}


@pytest.fixture
async def slack(core: Core, sandbox: Sandbox) -> AsyncIterator[SlackAdapter]:
    async with connected(core, sandbox) as adapter:
        notices = Notices(core.database, RING, PUBLIC_URL)
        worker = NoticeWorker(notices, core.cards, adapter.messenger, core.hub)
        async with drawing(worker, core.hub):
            yield adapter


async def a_day_ahead(core: Core, sandbox: Sandbox, **more: Any) -> tuple[Opened, Message]:
    """A case for a day, and its card once it is known where that stands."""
    opened = await ask(core, **{"timeout": "24h", "timeout_ms": 24 * HOUR, "chat": LATER, **more})
    card = await card_in(sandbox)
    await eventually(lambda: _posted(core))
    return opened, card


async def _posted(core: Core) -> bool:
    return all(row["message"] for row in await rows(core.url, "SELECT message FROM cards"))


async def reminded(core: Core, sandbox: Sandbox, card: Message, number: int = 1) -> Message:
    """The newest reminder in the card's thread."""
    await Reminders(core.database, core.hub).remind_due()
    return (await replies_to(sandbox, card, number))[-1]


async def expires_in_hours(core: Core) -> int:
    (row,) = await rows(core.url, "SELECT expires_at - created_at AS ms FROM cases")
    return round(int(row["ms"]) / HOUR)


async def test_extend_and_snooze_come_with_the_reminder_in_the_thread_of_the_card(
    core: Core, sandbox: Sandbox, slack: SlackAdapter
) -> None:
    _, card = await a_day_ahead(core, sandbox)
    core.clock[0] = 12 * HOUR
    reminder = await reminded(core, sandbox, card)

    assert ["Approve", "Reject", "Review"] == buttons(card), "they come with the reminder"
    extend, snooze, review = buttons(reminder)
    assert "Review" == review
    tap = await sandbox.slack.tap(APPROVALS, reminder.ts, extend)
    assert acknowledged(tap)
    assert "The deadline is now" in (await told(sandbox, REVIEWER))[0]
    assert 28 == await expires_in_hours(core)
    await sandbox.slack.tap(APPROVALS, reminder.ts, snooze, "Reviewer Two")
    await told(sandbox, TWO)

    (row,) = await rows(core.url, "SELECT message FROM cards")
    assert card.ts == row["message"], "a reminder is not taken for its card"
    assert [] == await core.ledger()


@pytest.mark.usefixtures("slack")
@ON_SQLITE
async def test_a_deadline_that_was_moved_is_on_every_card(core: Core, sandbox: Sandbox) -> None:
    _, card = await a_day_ahead(core, sandbox)
    before = shown(card)
    core.clock[0] = 12 * HOUR
    reminder = await reminded(core, sandbox, card)
    await sandbox.slack.tap(APPROVALS, reminder.ts, buttons(reminder)[0])

    await sandbox.until(lambda: shown(card) != before)
    assert ["Approve", "Reject", "Review"] == buttons(card)


@pytest.mark.usefixtures("slack")
async def test_an_extension_pressed_twice_moves_the_deadline_once(core: Core, sandbox: Sandbox) -> None:
    _, card = await a_day_ahead(core, sandbox, chat=LATER | {"max_extensions": 3})
    core.clock[0] = 12 * HOUR
    reminder = await reminded(core, sandbox, card)
    for user in (REVIEWER, TWO):
        await sandbox.slack.tap(APPROVALS, reminder.ts, buttons(reminder)[0], user)
        await told(sandbox, user)

    assert 28 == await expires_in_hours(core)


@pytest.mark.usefixtures("slack")
@ON_SQLITE
async def test_who_may_not_decide_may_not_put_it_off_and_is_told_so(core: Core, sandbox: Sandbox) -> None:
    _, card = await a_day_ahead(core, sandbox, policy=Policy((f"slack:{TWO}",)))
    core.clock[0] = 12 * HOUR
    reminder = await reminded(core, sandbox, card)
    await sandbox.slack.tap(APPROVALS, reminder.ts, buttons(reminder)[0])

    assert "You are not one of the reviewers" in (await told(sandbox, REVIEWER))[0]
    assert 24 == await expires_in_hours(core)
    events = [row["kind"] for row in await rows(core.url, "SELECT kind FROM case_events")]
    assert "refused" in events


@pytest.mark.usefixtures("slack")
@ON_SQLITE
async def test_without_the_sources_leave_a_reminder_has_the_link_only(core: Core, sandbox: Sandbox) -> None:
    _, card = await a_day_ahead(core, sandbox, chat={})
    core.clock[0] = 12 * HOUR

    assert ["Review"] == buttons(await reminded(core, sandbox, card))


@pytest.mark.usefixtures("slack")
async def test_a_reminder_calls_people_and_user_groups(core: Core, sandbox: Sandbox) -> None:
    policy = Policy((f"slack:{REVIEWER}", "slack:S0STANDBY", "channel"))
    _, card = await a_day_ahead(core, sandbox, policy=policy)
    core.clock[0] = 12 * HOUR
    reminder = await reminded(core, sandbox, card)

    assert reminder.text.startswith(f"<@{REVIEWER}> <!subteam^S0STANDBY> Reminder")
    (title, *_) = reminder.blocks
    called = [one for one in title["elements"][0]["elements"] if one["type"] in ("user", "usergroup")]
    assert [{"type": "user", "user_id": REVIEWER}, {"type": "usergroup", "usergroup_id": "S0STANDBY"}] == called
    assert not reminder.reply_broadcast, "those who are called see the thread"


@pytest.mark.usefixtures("slack")
async def test_an_escalation_comes_into_the_thread_calls_its_level_and_lets_it_decide(
    core: Core, sandbox: Sandbox
) -> None:
    level = {
        "after_ms": 2 * HOUR,
        "notify": [f"slack:{ON_CALL}"],
        "reviewers": ["slack:S0STANDBY"],
        "mention": ["slack:S0STANDBY"],
    }
    policy = Policy((f"slack:{REVIEWER}",))
    _, card = await a_day_ahead(core, sandbox, policy=policy, escalation_chain=(level,))
    early = await sandbox.slack.tap(APPROVALS, card.ts, "Approve", "On Call")
    assert acknowledged(early)
    assert "You are not one of the reviewers" in (await told(sandbox, ON_CALL))[0]
    core.clock[0] = 3 * HOUR
    await Escalations(core.database, core.hub, RING).escalate_due()
    (notice,) = await replies_to(sandbox, card)

    assert "<!subteam^S0STANDBY>" in notice.text
    there = await card_in(sandbox, sandbox.slack.direct_message("On Call").id)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve", "On Call")
    await closed_card(sandbox, card)
    await closed_card(sandbox, there)
    assert "Approved by on.call" in shown(card)


@pytest.mark.usefixtures("slack")
@ON_SQLITE
async def test_a_card_whose_message_was_deleted_hurts_nobody(core: Core, sandbox: Sandbox) -> None:
    opened, card = await a_day_ahead(core, sandbox, notify=(Address("slack", APPROVALS), Address("slack", REVIEWER)))
    direct = await card_in(sandbox, sandbox.slack.direct_message("Reviewer One").id)
    tap = sandbox.slack.prepare(APPROVALS, card.ts, "Approve")
    sandbox.slack.world.remove(card)
    await sandbox.slack.deliver(tap)

    await closed_card(sandbox, direct)
    (row,) = await eventually(lambda: rows(core.url, "SELECT last_error FROM cards WHERE state = 'dead'"))
    assert "deleted in Slack" in row["last_error"]
    assert 1 == len(await core.ledger()), opened.case.case_id
