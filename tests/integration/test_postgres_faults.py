"""PostgreSQL in trouble: lost acknowledgements, cancelled requests, killed connections, a full pool, restarts."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import asyncpg
import pytest
from structlog.testing import capture_logs

from core.errors import Unavailable
from core.ledger import migrate, postgres
from core.model import Opened, Policy
from core.states import Status
from tests.support import postgres_programs
from tests.support.cutting_proxy import CuttingProxy, When, cutting_proxy
from tests.support.gates import World, reply, reviewer, slack, until, world
from tests.support.postgres import Server, _account, _open_to_all, _place, _stop, create_database, start

TRIALS = 24
MOMENTS: tuple[When, ...] = get_args(When)


@pytest.fixture
async def behind_proxy(postgres_url: str) -> AsyncIterator[tuple[World, CuttingProxy]]:
    """A world whose connections lead through the proxy."""
    async with cutting_proxy(postgres_url) as proxy, world(proxy.url, pool_size=2) as here:
        yield here, proxy


def moments() -> list[When]:
    return [MOMENTS[n % len(MOMENTS)] for n in range(TRIALS)]


# --- the acknowledgement of a commit is lost ---


async def test_a_reply_whose_commit_was_not_acknowledged_is_answered_as_the_one_that_it_is(
    behind_proxy: tuple[World, CuttingProxy],
) -> None:
    here, proxy = behind_proxy
    for n, moment in enumerate(moments()):
        opened = await here.open(notify=(slack(),))
        proxy.arm(moment)
        first = await here.answer(opened, delivery_id=f"d{n}")
        assert n + 1 == proxy.cuts
        assert Status.COMPLETED is first.case.status
        assert not first.replay, "nobody else has given this answer"
        again = await here.answer(opened)
        assert (True, first.interaction_id) == (again.replay, again.interaction_id)
        assert ["completed", "replayed"] == await here.kinds(opened)
        for table in ("human_interactions", "decisions", "decision_events"):
            assert 1 == len(await here.rows(table, "case_id = :c", c=opened.case.case_id))
    await here.seal()
    assert [] == await here.findings()


async def test_a_tap_whose_commit_was_not_acknowledged_is_thanked_for(
    behind_proxy: tuple[World, CuttingProxy],
) -> None:
    here, proxy = behind_proxy
    for n, moment in enumerate(MOMENTS):
        opened = await here.open(notify=(slack(),))
        card = await here.row("cards", "case_id = :c", c=opened.case.case_id)
        proxy.arm(moment)
        told = await here.tap(card["card_id"], "approve", reviewer(), delivery_id=f"d{n}")
        assert (True, "Recorded: Approved.") == (told.recorded, told.text)
    assert len(MOMENTS) == proxy.cuts


async def test_a_refusal_whose_commit_was_not_acknowledged_is_told_and_recorded_once(
    behind_proxy: tuple[World, CuttingProxy],
) -> None:
    here, proxy = behind_proxy
    for n, moment in enumerate(MOMENTS):
        opened = await here.open(notify=(slack(),), policy=Policy(any_of=("slack:U7",)))
        card = await here.row("cards", "case_id = :c", c=opened.case.case_id)
        proxy.arm(moment)
        told = await here.tap(card["card_id"], "approve", reviewer(), delivery_id=f"d{n}")
        assert (told.text or "").startswith("You are not one of the reviewers")
        assert ["refused"] == await here.kinds(opened)
        redelivered = await here.tap(card["card_id"], "approve", reviewer(), delivery_id=f"d{n}")
        assert redelivered.text is None
    assert len(MOMENTS) == proxy.cuts


async def test_a_case_is_opened_once_though_its_commit_was_not_acknowledged(
    behind_proxy: tuple[World, CuttingProxy],
) -> None:
    here, proxy = behind_proxy
    for n, moment in enumerate(moments()):
        proxy.arm(moment)
        opened = await here.open(notify=(slack(),))
        assert n + 1 == proxy.cuts == len(await here.rows("cases"))
        assert not (await here.answer(opened)).replay, "the tokens that were given out are those that are kept"


async def test_an_idempotent_request_gets_one_answer_though_its_commit_was_not_acknowledged(
    behind_proxy: tuple[World, CuttingProxy],
) -> None:
    here, proxy = behind_proxy
    for n, moment in enumerate(moments()):
        proxy.arm(moment)
        first = await here.open_once(f"key {n}", "body")
        assert n + 1 == proxy.cuts == len(await here.rows("cases"))
        assert first == await here.open_once(f"key {n}", "body")


async def test_withdrawals_deadlines_acks_and_seals_happen_once_though_not_acknowledged(
    behind_proxy: tuple[World, CuttingProxy],
) -> None:
    here, proxy = behind_proxy
    for n, moment in enumerate(MOMENTS * 2):
        withdrawn, overdue = await here.open(timeout_ms=10_000), await here.open(timeout_ms=10_000)
        proxy.arm(moment)
        case = await here.gate.cancel(here.agent, withdrawn.case.case_id, "no longer needed")
        assert Status.CANCELLED is case.status
        here.clock.forward(10_000)
        proxy.arm(moment)
        await here.gate.expire_due()
        assert "expired" == (await here.case_row(overdue))["status"]
        proxy.arm(moment)
        await here.seal()
        ids = [row["event_id"] for row in await here.rows("decision_events", "acked_at IS NULL")]
        assert 2 == len(ids)
        proxy.arm(moment)
        assert (ids, []) == await here.events.ack(here.agent.tenant_id, here.source_id, ids)
        assert 4 * (n + 1) == proxy.cuts
        assert 2 * (n + 1) == len(await here.rows("human_interactions")) == len(await here.rows("decision_events"))
    assert [] == await here.findings()


async def test_keys_and_sources_are_made_once_though_not_acknowledged(
    behind_proxy: tuple[World, CuttingProxy],
) -> None:
    here, proxy = behind_proxy
    for moment in MOMENTS:
        proxy.arm(moment)
        raw, principal = await here.keys.create("executor", None)
        assert principal == await here.keys.recognise(raw)
        proxy.arm(moment)
        await here.new_source(here.agent)
    assert 1 + len(MOMENTS) == len(await here.rows("api_keys")) == len(await here.rows("sources"))


# --- whoever asked goes away ---


async def test_a_request_that_is_cancelled_leaves_a_whole_decision_or_none(on_postgres: World) -> None:
    here, chance = on_postgres, random.Random(4_711)
    outcomes = []
    for _ in range(60):
        opened = await here.open(notify=(slack(),))
        task = asyncio.create_task(here.answer(opened))
        await asyncio.sleep(chance.random() * 0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        again = await here.answer(opened)
        outcomes.append(again.replay)
        for table in ("human_interactions", "decisions", "decision_events"):
            assert 1 == len(await here.rows(table, "case_id = :c", c=opened.case.case_id))
    assert any(outcomes), "some were decided before they were cancelled"
    assert [] == await here.findings()


async def test_a_decision_that_has_begun_is_finished_though_nobody_waits_for_it(on_postgres: World) -> None:
    here = on_postgres
    opened = await here.open()
    async with locked_case(here, opened):
        task = asyncio.create_task(here.answer(opened))
        await until(lambda: waits_for_a_lock(here.url))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "pending" == (await here.case_row(opened))["status"]

    async def is_decided() -> bool:
        return bool("completed" == (await here.case_row(opened))["status"])

    await until(is_decided)
    assert [] == await here.findings()


@asynccontextmanager
async def locked_case(here: World, opened: Opened) -> AsyncIterator[None]:
    """Somebody else holds the case's row."""
    connection = await asyncpg.connect(here.url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT 1 FROM cases WHERE case_id = $1 FOR UPDATE", opened.case.case_id)
            yield
    finally:
        await connection.close()


async def activity(url: str, condition: str) -> int:
    """How many connections to this database are in that state."""
    connection = await asyncpg.connect(url)
    try:
        return int(
            await connection.fetchval(
                f"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {condition}"
            )
        )
    finally:
        await connection.close()


async def waits_for_a_lock(url: str, connections: int = 1) -> bool:
    return await activity(url, "wait_event_type = 'Lock'") >= connections


# --- the connection that listens is killed ---


async def test_wake_ups_come_back_after_the_listening_connection_was_killed(on_postgres: World) -> None:
    async with world(on_postgres.url, beside=on_postgres) as other:
        here = on_postgres
        await until(lambda: listening(here.url, 2))
        for _ in range(2):
            assert 2 == await activity(here.url, "query ILIKE 'LISTEN%' AND pg_terminate_backend(pid)")
            opened = await other.open()
            waiting = asyncio.create_task(here.events.pull(here.source_id, 0, 10, 30.0))
            await until(lambda: here.hub.watched("events:"))
            await other.answer(opened)
            began = time.monotonic()
            await other.seal()
            (event,) = (await waiting).items
            assert time.monotonic() - began < 3, "without wake-ups it takes a re-scan, a second"
            await other.events.ack(other.agent.tenant_id, other.source_id, [json.loads(event)["event_id"]])
            await until(lambda: listening(here.url, 2), within=20)
            with here.hub.subscribe("case:1") as woken:
                other.hub.wake("case:1")
                assert await woken.wait(10)


async def listening(url: str, connections: int) -> bool:
    return await activity(url, "query ILIKE 'LISTEN%'") >= connections


async def test_whoever_waits_is_woken_after_a_gap_in_which_wake_ups_may_have_been_lost(on_postgres: World) -> None:
    here = on_postgres
    await until(lambda: listening(here.url, 1))
    with here.hub.subscribe("case:1") as woken:
        assert 1 == await activity(here.url, "query ILIKE 'LISTEN%' AND pg_terminate_backend(pid)")
        assert await woken.wait(20), "after the re-LISTEN everybody looks again"


# --- all connections are taken ---


@pytest.mark.usefixtures("busy_pool")
async def test_a_full_pool_says_when_to_come_again_and_nobody_is_stuck(postgres_url: str) -> None:
    async with world(postgres_url, pool_size=2) as here:
        blocked, other = await here.open(), await here.open()
        async with locked_case(here, blocked):
            stuck = [asyncio.create_task(here.answer(blocked, by=reviewer(n))) for n in range(2)]
            await until(lambda: waits_for_a_lock(here.url, 2))
            began = time.monotonic()
            answers = await asyncio.gather(
                here.answer(other),
                here.open(),
                here.views.case(here.agent.tenant_id, other.case.case_id),
                return_exceptions=True,
            )
            took = time.monotonic() - began
        assert [Unavailable] * 3 == [type(answer) for answer in answers]
        assert all(answer.retry_after >= 1 for answer in answers if isinstance(answer, Unavailable))
        assert took < 10, f"refused only after {took:.1f} s"
        decided = await asyncio.gather(*stuck, return_exceptions=True)
        assert 1 == sum(not isinstance(answer, BaseException) for answer in decided)
        assert Status.COMPLETED is (await here.answer(other)).case.status


async def test_a_process_that_stands_still_waits_for_no_lock_for_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot say that it has waited for long enough: the lock would be its own in the end, and nobody's after it."""
    monkeypatch.setattr(postgres, "COMMAND_SECONDS", -0.5)
    holder, still = await asyncpg.connect(postgres_url), await asyncpg.connect(postgres_url)
    try:
        await postgres._begin_session(still)
        await holder.execute("BEGIN; LOCK TABLE cases")
        with pytest.raises(asyncpg.QueryCanceledError):
            await still.execute("LOCK TABLE cases; SELECT 1", timeout=20)
    finally:
        await holder.close()
        await still.close()


async def test_many_more_clients_than_connections_do_not_deadlock(postgres_url: str) -> None:
    async with world(postgres_url, pool_size=1) as here:

        async def walk(n: int) -> None:
            await here.open_once(f"key {n}", "body")
            opened = await here.open(notify=(slack(),))
            await here.gate.expire_due()
            (card,) = await here.views.cards(opened.case.case_id)
            await here.tap(card.card_id, "approve", reviewer(n))

        with capture_logs() as logs:
            await asyncio.gather(*map(walk, range(48)))
        assert [] == [entry for entry in logs if entry["event"] == "ledger.again"]
        assert 48 == len(await here.rows("decisions"))


# --- the server is restarted ---


@dataclass
class Cluster:
    """A server of this test alone, which may be stopped and started."""

    server: Server
    folder: Path
    programs: Path

    def restart(self, mode: str) -> None:
        command = [str(self.programs / "pg_ctl"), "restart", "--wait", "--silent", f"--mode={mode}"]
        where = [f"--pgdata={self.folder / 'data'}", f"--log={self.folder / 'log'}"]
        subprocess.run([*command, *where], stdin=subprocess.DEVNULL, timeout=60, check=True, **_account())


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory(prefix="assent-restarts-", dir=_place()) as within:
        Path(within).chmod(0o711)
        programs = postgres_programs.find()
        server = start(programs, Path(within))
        (folder,) = Path(within).glob("cluster-*")
        used = programs.folder if _open_to_all(programs.folder) else next(Path(within).glob("programs/**/bin"))
        try:
            yield Cluster(server, folder, used)
        finally:
            _stop(folder)


async def test_every_acknowledged_reply_survives_restarts_of_the_server(cluster: Cluster) -> None:
    url = create_database(cluster.server.admin_url)
    await asyncio.to_thread(migrate, url)
    acknowledged: dict[str, str] = {}
    stop = asyncio.Event()

    async def replies(here: World, n: int) -> None:
        while not stop.is_set():
            try:
                opened = await here.open(notify=(slack(),))
                answered = await here.answer(opened, by=reviewer(n))
                acknowledged[opened.case.case_id] = answered.interaction_id
            except Unavailable:
                await asyncio.sleep(0.05)

    async def goes_on(count: int) -> None:
        before = len(acknowledged)
        await until(lambda: len(acknowledged) >= before + count, within=30)

    async with world(url) as here:
        work = [asyncio.create_task(replies(here, n)) for n in range(8)]
        try:
            for mode in ("fast", "immediate", "fast"):
                await goes_on(20)
                await asyncio.to_thread(cluster.restart, mode)
            await goes_on(20)
        finally:
            stop.set()
            errors = await asyncio.gather(*work, return_exceptions=True)
        assert [None] * len(work) == errors
        await here.seal()
        kept: dict[str, Any] = {r["case_id"]: r["interaction_id"] for r in await here.rows("human_interactions")}
        assert acknowledged.items() <= kept.items()
        assert [] == await here.findings()


async def test_an_answer_given_through_an_old_connection_is_not_lost_to_a_restart(cluster: Cluster) -> None:
    """Connections in the pool died with the server; the next request simply takes a new one."""
    url = create_database(cluster.server.admin_url)
    await asyncio.to_thread(migrate, url)
    async with world(url, pool_size=4) as here:
        opened = [await here.open() for _ in range(4)]
        await asyncio.gather(*(here.gate.respond(reply(one)) for one in opened[:2]))
        await asyncio.to_thread(cluster.restart, "fast")
        answers = await asyncio.gather(*(here.gate.respond(reply(one)) for one in opened[2:]))
        assert [False, False] == [answer.replay for answer in answers]
