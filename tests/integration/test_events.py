"""Decision events for executors: a cursor that skips nothing, acks, and waiting without losing a wake-up."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from core import events
from core.errors import InvalidInput
from core.events import MAX_PAGE
from core.ledger.postgres import _PostgresTx
from core.replies import Answered
from core.replying import respond
from core.seals import BATCH
from core.tokens import new_id
from tests.chaos.races import patiently
from tests.support.gates import World, reply, until, world

LONG = 60.0  # longer than any test takes: what comes back earlier was woken


@pytest.fixture
def no_rescan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a wake-up can end a wait."""
    monkeypatch.setattr(events, "RESCAN_SECONDS", LONG)


@pytest.fixture
async def beside(on_postgres: World) -> AsyncIterator[World]:
    """A second process on the same PostgreSQL."""
    async with world(on_postgres.url, beside=on_postgres) as found:
        yield found


async def decided(here: World, count: int = 1, **changes: Any) -> list[str]:
    """So many cases, answered one after the other; their ids."""
    found = []
    for _ in range(count):
        opened = await here.open(**changes)
        await here.answer(opened)
        found.append(opened.case.case_id)
    return found


async def pulled(here: World, after: int = 0, limit: int = 100, wait: float = 0) -> tuple[list[str], int]:
    """The cases of the events after a cursor, and the cursor after them."""
    page = await here.events.pull(here.source_id, after, limit, wait)
    return [json.loads(item)["case_id"] for item in page.items], page.cursor


async def event_ids(here: World) -> list[str]:
    return [row["event_id"] for row in await here.rows("decision_events")]


# --- the cursor ---


async def test_events_come_in_the_order_of_their_positions_and_a_cursor_goes_on_where_it_stopped(here: World) -> None:
    cases = await decided(here, 5)
    await here.seal()
    first, cursor = await pulled(here, limit=2)
    rest, end = await pulled(here, cursor)
    assert sorted(cases) == sorted(first + rest)
    assert (2, 3) == (len(first), len(rest))
    assert ([], end) == await pulled(here, end)


async def test_an_event_is_pulled_byte_for_byte_as_it_is_kept(here: World) -> None:
    await decided(here)
    await here.seal()
    page = await here.events.pull(here.source_id, 0, 10)
    assert [(await here.row("decision_events"))["body"]] == page.items


async def test_what_is_not_sealed_yet_is_not_pulled(here: World) -> None:
    (case_id,) = await decided(here)
    assert ([], 0) == await pulled(here)
    await here.seal()
    assert [case_id] == (await pulled(here))[0]


async def test_a_source_pulls_only_its_own_events(here: World) -> None:
    other = await here.new_source(here.agent)
    (mine,), (theirs,) = await decided(here), await decided(here, source_id=other)
    await here.seal()
    assert [mine] == (await pulled(here))[0]
    page = await here.events.pull(other, 0, 10)
    assert [theirs] == [json.loads(item)["case_id"] for item in page.items]


async def test_a_page_has_a_limit_whatever_is_asked_for(on_sqlite: World) -> None:
    here = on_sqlite
    opened = await asyncio.gather(*(here.open() for _ in range(MAX_PAGE + 1)))
    await asyncio.gather(*(here.answer(one) for one in opened))
    await here.seal()
    assert MAX_PAGE == len((await pulled(here, limit=10**9))[0])


@pytest.mark.parametrize("cursor", [2**63, -(2**70)])
async def test_a_cursor_that_no_database_holds_is_invalid_input(here: World, cursor: int) -> None:
    with pytest.raises(InvalidInput):
        await pulled(here, cursor)


async def test_an_event_that_began_earlier_and_commits_later_is_not_skipped(on_postgres: World) -> None:
    here = on_postgres
    slow, quick = await here.open(), await here.open()
    connection = await asyncpg.connect(here.url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        answered = await respond(_PostgresTx(connection, lambda: 0), reply(slow), here.ring, new_id())
        assert isinstance(answered, Answered)
        await here.answer(quick)
        await here.seal()
        found, cursor = await pulled(here)
        assert [quick.case.case_id] == found
        await transaction.commit()
    finally:
        await connection.close()
    assert ([], cursor) == await pulled(here, cursor)
    await here.seal()
    assert [slow.case.case_id] == (await pulled(here, cursor))[0]
    created = {row["case_id"]: row["created_at"] for row in await here.rows("decision_events")}
    assert created[slow.case.case_id] <= created[quick.case.case_id]
    assert [] == await here.findings()


async def test_a_transaction_that_is_rolled_back_leaves_no_gap(on_postgres: World) -> None:
    here = on_postgres
    given_up, kept = await here.open(), await here.open()
    connection = await asyncpg.connect(here.url)
    transaction = connection.transaction()
    await transaction.start()
    await respond(_PostgresTx(connection, lambda: 0), reply(given_up), here.ring, new_id())
    await here.answer(kept)
    await here.seal()
    connection.terminate()
    await here.answer(given_up, "reject")
    await here.seal()
    assert {kept.case.case_id, given_up.case.case_id} == set((await pulled(here))[0])
    assert [] == await here.findings()


async def test_a_consumer_beside_writers_and_two_sealers_gets_every_event_exactly_once(here: World) -> None:
    cases = await asyncio.gather(*(here.open() for _ in range(150)))
    done = asyncio.Event()

    async def seal(place: World) -> None:
        while not done.is_set():
            await place.sealer.seal()
            await asyncio.sleep(0)

    async def consume() -> list[str]:
        found: list[str] = []
        cursor = 0
        async with asyncio.timeout(60):
            while len(found) < len(cases):
                more, cursor = await pulled(here, cursor, limit=7, wait=0.2)
                found += more
        return found

    async with world(here.url, beside=here) as other:
        sealers = [asyncio.create_task(seal(place)) for place in (here, other)]
        consumer = asyncio.create_task(consume())
        try:
            await asyncio.gather(*(patiently(partial(here.answer, one)) for one in cases))
            found = await consumer
        finally:
            done.set()
            await asyncio.gather(*sealers)
    assert sorted(one.case.case_id for one in cases) == sorted(found)
    assert [] == await here.findings()


async def test_positions_are_gap_free_for_each_tenant(here: World) -> None:
    _, stranger = await here.keys.create("agent", "11111111-2222-3333-4444-555555555555")
    for principal in (here.agent, stranger, here.agent, stranger):
        here.agent, here.source_id = principal, await here.new_source(principal)
        await decided(here, 3)
        await here.sealer.seal()
    for tenant in {row["tenant_id"] for row in await here.rows("chains")}:
        rows = await here.rows("human_interactions", "tenant_id = :t", t=tenant)
        rows += await here.rows("decision_events", "tenant_id = :t", t=tenant)
        assert list(range(1, 13)) == sorted(row["position"] for row in rows)
    assert [] == await here.findings()


async def test_more_than_a_batch_is_sealed_in_several_seals(on_sqlite: World) -> None:
    here = on_sqlite
    opened = await asyncio.gather(*(here.open(sourced=False) for _ in range(BATCH + 10)))
    await asyncio.gather(*(here.answer(one) for one in opened))
    assert [BATCH, 10, 0] == [await here.sealer.seal() for _ in range(3)]
    assert [BATCH, BATCH + 10] == [row["last_position"] for row in await here.rows("seals")]
    assert [] == await here.findings()


# --- acks ---


async def test_an_acked_event_is_not_pulled_again(here: World) -> None:
    first, second = await decided(here, 2)
    await here.seal()
    row = await here.row("decision_events", "case_id = :c", c=first)
    assert ([row["event_id"]], []) == await here.events.ack(here.agent.tenant_id, here.source_id, [row["event_id"]])
    assert [second] == (await pulled(here))[0]


async def test_acking_twice_is_acking_once(here: World) -> None:
    await decided(here)
    (event_id,) = await event_ids(here)
    answers = []
    for _ in range(3):
        answers.append(await here.events.ack(here.agent.tenant_id, here.source_id, [event_id, event_id]))
        here.clock.forward(5_000)
    assert [([event_id], [])] * 3 == answers
    row = await here.row("decision_events")
    assert row["acked_at"] < row["created_at"] + 5_000, "the first ack's time stays"


async def test_unknown_and_foreign_events_are_told_apart_from_acked_ones_but_not_from_each_other(here: World) -> None:
    other = await here.new_source(here.agent)
    await decided(here, source_id=other)
    (theirs,) = await event_ids(here)
    await decided(here)
    (mine,) = [one for one in await event_ids(here) if one != theirs]
    asked = ["evt_none", mine, theirs, ""]
    assert ([mine], ["evt_none", theirs, ""]) == await here.events.ack(here.agent.tenant_id, here.source_id, asked)
    stranger: tuple[list[str], list[str]] = ([], [mine])
    assert stranger == await here.events.ack("another tenant", here.source_id, [mine])
    assert (await here.row("decision_events", "event_id = :e", e=theirs))["acked_at"] is None
    assert ([], []) == await here.events.ack(here.agent.tenant_id, here.source_id, [])


async def test_every_event_id_that_a_pull_shows_is_known_to_the_ack(here: World) -> None:
    await decided(here, 3)
    await here.seal()
    page = await here.events.pull(here.source_id, 0, 10)
    shown = [json.loads(item)["event_id"] for item in page.items]
    assert (shown, []) == await here.events.ack(here.agent.tenant_id, here.source_id, shown)
    assert [] == (await pulled(here))[0]
    assert [] == await here.findings(), "an ack is no change of the event"


async def test_two_acks_in_opposite_orders_do_not_wait_for_each_other(on_postgres: World) -> None:
    here = on_postgres
    cases = await asyncio.gather(*(here.open() for _ in range(60)))
    await asyncio.gather(*(here.answer(one) for one in cases))
    ids = await event_ids(here)
    with capture_logs() as logs:
        for _ in range(5):
            await asyncio.gather(
                here.events.ack(here.agent.tenant_id, here.source_id, ids),
                here.events.ack(here.agent.tenant_id, here.source_id, ids[::-1]),
            )
    assert [] == [entry for entry in logs if entry["event"] == "ledger.again"], "a transaction met a deadlock"


# --- waiting ---


async def test_a_pull_that_does_not_wait_answers_at_once(here: World) -> None:
    began = time.monotonic()
    assert ([], 7) == await pulled(here, after=7)
    assert time.monotonic() - began < 5


async def test_a_wait_ends_with_an_empty_page_and_the_same_cursor(here: World) -> None:
    began = time.monotonic()
    assert ([], 7) == await pulled(here, after=7, wait=0.1)
    assert 0.1 <= time.monotonic() - began < 10


async def test_a_waiting_pull_is_woken_by_the_seal(here: World, no_rescan: None) -> None:
    waiting = asyncio.create_task(pulled(here, wait=LONG))
    await until(lambda: here.hub.watched("events:"))
    (case_id,) = await decided(here)
    await here.seal()
    async with asyncio.timeout(20):  # what was not woken waits for a minute
        assert [case_id] == (await waiting)[0]


async def test_a_waiting_pull_is_woken_from_another_process(on_postgres: World, beside: World, no_rescan: None) -> None:
    waiting = [asyncio.create_task(pulled(on_postgres, wait=LONG)) for _ in range(20)]
    await until(lambda: on_postgres.hub.watched("events:"))
    await on_postgres.views.tenants()  # all of them have looked once and wait now
    (case_id,) = await decided(beside)
    await beside.seal()
    async with asyncio.timeout(20):  # what was not woken waits for a minute
        assert [[case_id]] * 20 == [(await one)[0] for one in waiting]


async def test_a_lost_wake_up_costs_at_most_the_rescan(here: World) -> None:
    async with world(here.url, beside=here) as silent:
        silent.hub.relay = None
        waiting = asyncio.create_task(pulled(here, wait=LONG))
        await until(lambda: here.hub.watched("events:"))
        (case_id,) = await decided(silent)
        began = time.monotonic()
        await silent.seal()
        async with asyncio.timeout(10):
            assert [case_id] == (await waiting)[0]
    assert time.monotonic() - began < events.RESCAN_SECONDS + 8


async def test_a_waiting_pull_holds_no_connection(postgres_url: str) -> None:
    async with world(postgres_url, pool_size=1) as here:
        waiting = [asyncio.create_task(pulled(here, wait=LONG)) for _ in range(10)]
        await until(lambda: here.hub.watched("events:"))
        (case_id,) = await decided(here)
        await here.seal()
        async with asyncio.timeout(10):
            assert [[case_id]] * 10 == [(await one)[0] for one in waiting]


async def test_many_wake_ups_at_once_reach_the_other_process_in_bundles(on_postgres: World, beside: World) -> None:
    keys = [f"case:review_{n:022}" for n in range(1_000)]
    with on_postgres.hub.subscribe(*keys[:1]) as first, on_postgres.hub.subscribe(*keys[-1:]) as last:
        await until(lambda: _listening(on_postgres.url, 2))
        beside.hub.wake(*keys)
        assert await first.wait(10)
        assert await last.wait(10)


async def _listening(url: str, processes: int) -> bool:
    """Whether so many connections have said LISTEN: they are idle with that as their last statement."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE 'LISTEN%'"
        )
        return int(found) >= processes
    finally:
        await connection.close()
