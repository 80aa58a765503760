"""Long polling: one poller at a time, nothing confirmed before it is stored, nothing lost when a poller dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from adapters.telegram import TelegramAdapter
from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Webhook
from core.leases import Lease
from core.words import EN
from tests.integration.telegram_support import GROUP, PRIVATE, adapter_for, card_in, closed_card, connected
from tests.support.cores import Core, a_core
from tests.support.databases import eventually, rows

LATE = EN["late"]

Logs = list[MutableMapping[str, Any]]
HOLDER = "SELECT holder FROM leases WHERE name = 'telegram-poller'"


@pytest.fixture(autouse=True)
def _durations_as_the_sdk_will_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lease is looked at four times as often, so that nobody waits for that; how long it holds stays as it is."""
    monkeypatch.setattr("adapters.telegram.connect.RENEW_SECONDS", 0.5)
    monkeypatch.setattr("adapters.telegram.connect.STANDBY_SECONDS", 0.5)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox.running(rate_limits=False) as running:
        yield running


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with a_core(database_url) as found:
        yield found


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Core]:
    """A second process on the same database."""
    async with a_core(database_url) as found:
        yield found


@asynccontextmanager
async def a_poller(core: Core, sandbox: Sandbox) -> AsyncIterator[tuple[TelegramAdapter, asyncio.Task[None]]]:
    """An adapter that polls in a task of its own; cancelling the task is what a kill leaves: nothing is tidied up."""
    adapter = adapter_for(core, sandbox)
    await adapter.start()
    task = asyncio.create_task(adapter.run())
    try:
        yield adapter, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await adapter.stop(5)


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as entries:
        yield entries


def told(logs: Logs, words: str) -> int:
    """How often the log says so."""
    return sum(words in str(entry) for entry in logs)


def polls(sandbox: Sandbox) -> int:
    return len(sandbox.calls("getUpdates"))


async def approve(core: Core, sandbox: Sandbox) -> None:
    """Ask for something, and tap Approve on its card."""
    before = len(await core.ledger())
    number = len(sandbox.telegram.messages(GROUP))
    await core.ask(GROUP)
    message = await card_in(sandbox, GROUP, number=number + 1)
    tap = await sandbox.telegram.tap(GROUP, message.message_id, "Approve")
    assert "Recorded: Approved." == (await tap.answer(8)).text
    assert before + 1 == len(await core.ledger())


async def test_of_two_pollers_one_polls_and_the_other_takes_over_when_it_stops(
    core: Core, other: Core, sandbox: Sandbox, logs: Logs
) -> None:
    async with connected(core, sandbox, worker=False) as first:  # the other draws: no card is claimed by who stops
        await sandbox.until(lambda: polls(sandbox))
        async with connected(other, sandbox):
            await approve(core, sandbox)
            assert 1 == told(logs, "telegram.polling")
            await first.stop(5)  # drops the lease
            await approve(other, sandbox)
    assert 2 == told(logs, "telegram.polling")
    assert 0 == told(logs, "another program polls")  # what two at a time are told by Telegram


async def test_a_poller_that_dies_without_a_word_is_replaced_when_its_lease_ends(
    core: Core, other: Core, sandbox: Sandbox, logs: Logs
) -> None:
    async with a_poller(core, sandbox) as (_, polling):
        await sandbox.until(lambda: polls(sandbox))
        holder = await rows(core.url, HOLDER)
        async with connected(other, sandbox):
            polling.cancel()
            await asyncio.wait({polling})
            assert holder == await rows(core.url, HOLDER)
            other.clock[0] = 11_000  # the lease's time is up
            await approve(other, sandbox)
            assert holder != await rows(core.url, HOLDER)
    assert 0 == told(logs, "another program polls")


async def test_a_poller_stops_when_its_lease_is_somebody_elses(core: Core, sandbox: Sandbox, logs: Logs) -> None:
    async with connected(core, sandbox):
        await sandbox.until(lambda: polls(sandbox))
        await rows(core.url, "UPDATE leases SET holder = 'somebody else', until = 9999999999999")

        async def noticed() -> int:
            return told(logs, "another process polls now, or the database is away")

        await eventually(noticed)
        seen = polls(sandbox)
        sandbox.telegram.say(PRIVATE, "is anybody there?")
        with pytest.raises(TimeoutError):
            await sandbox.until(lambda: polls(sandbox) > seen, within=0.5)


async def test_an_update_that_a_dead_poller_left_unconfirmed_is_one_row(
    core: Core, other: Core, sandbox: Sandbox
) -> None:
    async with a_poller(core, sandbox) as (_, polling):
        await sandbox.until(lambda: polls(sandbox))
        await core.ask(GROUP)
        async with connected(other, sandbox):
            message = await card_in(sandbox, GROUP)
            async with core.stalled() as end:
                tap = await sandbox.telegram.tap(GROUP, message.message_id, "Approve")
                assert LATE == (await tap.answer()).text
                polling.cancel()  # before anything was stored, let alone confirmed
                await asyncio.wait({polling})
                await end()
            assert [tap.update] == sandbox.telegram.updates.pending
            other.clock[0] = 11_000
            await sandbox.until(lambda: not sandbox.telegram.updates.pending, 30)
            await closed_card(sandbox, message)
    assert 1 == len(await core.ledger())


async def test_nothing_is_confirmed_before_it_is_stored(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox):
        await core.ask(GROUP)
        message = await card_in(sandbox, GROUP)
        async with core.stalled() as end:
            tap = await sandbox.telegram.tap(GROUP, message.message_id, "Approve")
            assert LATE == (await tap.answer()).text
            seen = polls(sandbox)
            await sandbox.until(lambda: polls(sandbox) > seen + 2)
            assert [tap.update] == sandbox.telegram.updates.pending
            assert [] == await core.ledger()
            await end()
        await sandbox.until(lambda: not sandbox.telegram.updates.pending)
        assert 1 == len(await core.ledger())


async def test_a_tap_that_cannot_be_stored_stays_with_telegram_until_it_can(
    core: Core, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.tap_desk.GIVE_UP_SECONDS", 0.3)  # the desk's patience, a minute otherwise
    async with connected(core, sandbox, worker=False) as adapter:
        await core.ask(GROUP)
        [claimed] = await core.cards.claim("telegram", 1)
        message = int(await adapter.messenger.post(claimed.ref.address, claimed.card))
        await core.database.close()
        tap = await sandbox.telegram.tap(GROUP, message, "Approve")
        assert LATE == (await tap.answer()).text
        seen = polls(sandbox)
        await sandbox.until(lambda: polls(sandbox) > seen + 3)
        assert [tap.update] == sandbox.telegram.updates.pending
        await core.database.start(core.hub)
        await sandbox.until(lambda: not sandbox.telegram.updates.pending, 30)
        assert 1 == len(await core.ledger())


async def test_the_next_poller_begins_where_the_last_one_stopped(core: Core, other: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox):
        await approve(core, sandbox)
    [tap] = [call.params for call in sandbox.calls("answerCallbackQuery")]
    assert tap
    note = await Lease(core.database, "telegram-poller").state()
    assert note is not None
    seen = polls(sandbox)
    async with a_poller(other, sandbox):
        await sandbox.until(lambda: polls(sandbox) > seen)
    assert note.split()[0] == str(sandbox.calls("getUpdates")[seen].params["offset"])


async def test_an_update_that_nobody_can_read_keeps_no_other_away(core: Core, sandbox: Sandbox, logs: Logs) -> None:
    async with connected(core, sandbox):
        sandbox.telegram.updates.add("message", {"a message": "of the future"})
        sandbox.telegram.updates.add("callback_query", {"from": {"id": 7}})
        await approve(core, sandbox)
        await sandbox.until(lambda: not sandbox.telegram.updates.pending)
    assert 2 == told(logs, "telegram.unreadable_update")


@pytest.mark.parametrize("note", ["999999999999 1", "nonsense", "5", ""])
async def test_a_note_that_is_old_or_unreadable_hides_no_update(core: Core, sandbox: Sandbox, note: str) -> None:
    lease = Lease(core.database, "telegram-poller")
    await lease.take()
    await lease.save(note)
    await lease.drop()
    async with connected(core, sandbox):
        await approve(core, sandbox)
    assert "offset" not in sandbox.calls("getUpdates")[0].params


async def test_a_recent_note_is_followed(core: Core, sandbox: Sandbox) -> None:
    lease = Lease(core.database, "telegram-poller")
    await lease.take()
    await lease.save(f"700000001 {int(time.time())}")
    await lease.drop()
    async with connected(core, sandbox):
        await sandbox.until(lambda: polls(sandbox))
    assert "700000001" == str(sandbox.calls("getUpdates")[0].params["offset"])


async def test_a_webhook_that_somebody_set_is_named_in_the_log_and_waited_for(
    core: Core, sandbox: Sandbox, logs: Logs
) -> None:
    await sandbox.telegram.updates.set_webhook(Webhook("https://assent.example.com/hook"))
    async with connected(core, sandbox) as adapter:
        await sandbox.until(lambda: polls(sandbox) > 1)
        check = await adapter.messenger.check()
        await sandbox.telegram.updates.set_webhook(None)
        await approve(core, sandbox)
    assert not check.ok
    assert "a webhook is set for it, so that nothing can be fetched; remove it with deleteWebhook" in check.detail
    reasons = {entry["reason"] for entry in logs if entry["event"] == "telegram.not_polling"}
    assert {
        "another program polls with this bot's token, or a webhook is set for it "
        "(remove it with deleteWebhook, or set TELEGRAM_WEBHOOK_SECRET to use it)"
    } == reasons


@pytest.mark.parametrize(
    "fault",
    [Fault.server_error(502), Fault.dropped(), Fault.rate_limited(1), Fault.platform_error("Unauthorized", 401)],
)
async def test_polling_goes_on_after_a_failure(core: Core, sandbox: Sandbox, fault: Fault, logs: Logs) -> None:
    sandbox.faults.next("getUpdates", fault)
    async with connected(core, sandbox):
        await approve(core, sandbox)
    assert [True] == [bool(entry["reason"]) for entry in logs if entry["event"] == "telegram.not_polling"]
    assert sandbox.telegram.token not in str(logs)


async def test_a_stop_ends_run_and_lets_taps_under_way_reach_the_ledger(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox, worker=False) as adapter:
        await core.ask(GROUP)
        [claimed] = await core.cards.claim("telegram", 1)
        message = int(await adapter.messenger.post(claimed.ref.address, claimed.card))
        async with core.stalled() as end:
            tap = await sandbox.telegram.tap(GROUP, message, "Approve")
            assert LATE == (await tap.answer()).text
            stopping = asyncio.create_task(adapter.stop(5))
            await end()
        await stopping
        assert 1 == len(await core.ledger())
        assert [{"until": 0}] == await rows(core.url, "SELECT until FROM leases WHERE name = 'telegram-poller'")
