"""Idempotency-Keys on every POST that creates: the first answer again, one request at a time, for 24 hours, whatever
dies.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import get_args

import asyncpg
import httpx
import pytest

from api.doors import DOORS
from api.headers import IDEMPOTENCY_KEY
from api.openapi.errors import needed_headers
from core.errors import IdempotencyInFlight, InvalidInput
from core.housekeeping import Housekeeping
from core.kept import transact_once, work_once
from core.ledger import Tx, Write, postgres
from core.model import Idempotency, Opened, Repeated
from core.sources import Wanted
from tests.chaos.same_key import STORMS, storms
from tests.support.creating import CASE, CREATING, SOURCE, TASK, Creating, Scope, said, until_answered
from tests.support.cutting_proxy import When, cutting_proxy
from tests.support.databases import rows
from tests.support.gates import MINUTE, SECOND, World, draft, until, world
from tests.support.process import make_key, serving
from tests.support.receiver import receiver
from tests.support.server import Server, running, server_fixture  # noqa: F401 (fixture)

OTHER_TENANT = "2b0f6f0e-7a53-4f0e-8d4f-93a1a3a6e0c1"
DAY = 24 * 60 * MINUTE
ROUNDS = 3
REPEATABLE = {"/grants/{grant_id}/revoke"}  # the door wants a key of every POST; what is revoked twice is revoked
MALFORMED = ([b""], [b"two words"], [b"x" * 256], ["schlüssel".encode("latin-1")], [b"one", b"two"])
ONCE = Idempotency("tests", "the key", "body")


# --- every door


@dataclass
class Caller:
    """Whoever may create in one tenant, by the scope of their keys, and what stands for a path's placeholders."""

    clients: dict[str, httpx.AsyncClient]
    places: dict[str, str]

    @property
    def source(self) -> str:
        return self.places["source_id"]

    async def post(self, what: Creating, *keys: bytes, more: bytes = b"") -> httpx.Response:
        return await self.clients[what.scope].post(
            what.path.format(**self.places),
            content=what.content(self.source) + more,
            headers=[
                (b"content-type", b"application/json"),
                (b"x-tenant-id", self.places["tenant_id"].encode()),
                *((b"idempotency-key", key) for key in keys),
            ],
        )


@asynccontextmanager
async def caller(server: Server, tenant: str | None = None) -> AsyncIterator[Caller]:
    """The clients do not hold what they get against the public schemas: flows answer more than those know."""
    holders = {scope: await server.client(scope, tenant) for scope in get_args(Scope)}
    clients = {
        scope: httpx.AsyncClient(base_url=server.url, headers=holder.http.headers, timeout=35, trust_env=False)
        for scope, holder in holders.items()
    }
    try:
        async with receiver() as there:
            webhook = {"url": there.url()}
            made = await clients["admin"].post("/sources", json={"name": "Mail", "delivery": {"webhook": webhook}})
            _, spare = await server.services.keys.create("executor", tenant)
            places = {"flow": "cv-simple", "tenant_id": spare.tenant_id, "key_id": spare.key_id}
            found = Caller(clients, places | {"source_id": made.raise_for_status().json()["id"]})
            task = (await found.post(TASK, b"the-task")).raise_for_status().json()
            found.places["task_id"] = task["task_id"]
            yield found
    finally:
        for client in clients.values():
            await client.aclose()


@pytest.fixture
async def ours(server: Server) -> AsyncIterator[Caller]:
    async with caller(server) as found:
        yield found


def keyed() -> list[tuple[Creating, bytes]]:
    return [(what, b"key-%d" % n) for n, what in enumerate(CREATING)]


async def count(url: str, table: str | None) -> int:
    return len(await rows(url, f"SELECT 1 FROM {table}")) if table else 0


async def test_every_creating_request_is_answered_the_second_time_as_the_first(ours: Caller, database_url: str) -> None:
    for what, key in keyed():
        before = await count(database_url, what.table)
        first = await ours.post(what, key)
        assert what.status == first.status_code, (what.path, first.text)
        again = await ours.post(what, key)
        assert (first.status_code, first.content) == (again.status_code, again.content), what.path
        assert first.headers.get("location") == again.headers.get("location")
        if what.table:
            assert before + 1 == await count(database_url, what.table), what.path
            assert first.content != (await ours.post(what, key + b"!")).content
            assert before + 2 == await count(database_url, what.table)


async def test_another_body_under_a_key_is_refused_in_the_words_of_every_door(ours: Caller, database_url: str) -> None:
    for what, key in keyed():
        assert what.status == (await ours.post(what, key)).status_code
        before = await count(database_url, what.table)
        assert what.words.mismatch == said(await ours.post(what, key, more=b" ")), what.path
        assert before == await count(database_url, what.table)


async def test_a_malformed_key_is_refused_by_every_door_and_nothing_is_made(ours: Caller, database_url: str) -> None:
    for what in CREATING:
        before = await count(database_url, what.table)
        for keys in MALFORMED:
            refused = await ours.post(what, *keys)
            assert what.words.malformed == said(refused), (what.path, keys)
            assert "Idempotency-Key" in refused.text
        assert before == await count(database_url, what.table)


async def test_a_key_belongs_to_its_tenant_and_to_what_it_was_sent_for(server: Server, ours: Caller) -> None:
    whats = {what.path: what for what in CREATING if what.scope != "operator"}  # operators are one tenant
    async with caller(server, OTHER_TENANT) as theirs:
        for what in whats.values():
            answers = [await who.post(what, b"one-key-for-all") for who in (ours, theirs)]
            assert [what.status] * 2 == [answer.status_code for answer in answers], [one.text for one in answers]
            if what.table:
                assert answers[0].content != answers[1].content


def test_every_route_that_takes_a_key_is_walked_here() -> None:
    taking = {
        entry.path
        for door in DOORS
        for entry in door.entries
        if IDEMPOTENCY_KEY in (*needed_headers(door, entry), *(header.name for header in entry.about.headers))
    }
    assert {what.path for what in CREATING} == taking - REPEATABLE


async def test_while_the_first_is_under_way_every_door_says_when_to_come_again(postgres_url: str) -> None:
    async with running(postgres_url) as server, caller(server) as ours:
        for what, key in keyed():

            async def ask(what: Creating = what, key: bytes = key) -> httpx.Response:
                return await ours.post(what, key)

            async with nothing_can_be_kept(postgres_url) as release:
                first = asyncio.create_task(ask())
                await until(lambda: waits(postgres_url))
                second = await ask()
                assert what.words.in_flight == said(second), (what.path, second.text)
                assert "1" == second.headers["retry-after"]
                assert not first.done()
                await release()
            made = await first
            assert what.status == made.status_code, made.text
            assert made.content == (await until_answered(ask)).content


@asynccontextmanager
async def nothing_can_be_kept(url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Whoever writes an answer down waits until the block ends, or what it yields is called."""
    session = await asyncpg.connect(url)
    transaction = session.transaction()
    try:
        await transaction.start()
        await session.execute("LOCK TABLE idempotency IN EXCLUSIVE MODE")
        yield transaction.rollback
    finally:
        await session.close()


async def waits(url: str) -> bool:
    return bool(
        await rows(
            url,
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
    )


# --- at the same time


async def test_two_hundred_requests_at_once_over_all_replicas_make_one_thing(database_url: str) -> None:
    async with storms(database_url) as storm:
        for what in STORMS:
            for n in range(ROUNDS):
                await storm.round(what, f"round-{n}")


async def test_nobody_waits_for_the_first_request(postgres_url: str) -> None:
    async with world(postgres_url) as here, world(postgres_url, beside=here) as there:
        async with held(here) as first:
            with pytest.raises(IdempotencyInFlight) as caught:
                await there.gate.open(there.agent, draft(), ONCE)
            assert 1 == caught.value.retry_after
            other = await there.gate.open(there.agent, draft(), Idempotency("tests", "another key", "body"))
            assert isinstance(other, Opened)
        opened = await first
        assert isinstance(opened, Opened)
        assert Repeated(opened.case.case_id) == await there.gate.open(there.agent, draft(), ONCE)


@asynccontextmanager
async def held(here: World) -> AsyncIterator[asyncio.Task[Opened | Repeated]]:
    """A request under `ONCE` that stands still in its transaction until the block ends."""
    inside, go_on = asyncio.Event(), asyncio.Event()

    async def beside(_tx: Tx, _opened: Opened) -> Sequence[Write]:
        inside.set()
        await go_on.wait()
        return ()

    task = asyncio.create_task(here.gate.open(here.agent, draft(), ONCE, beside=beside))
    try:
        await inside.wait()
        yield task
    finally:
        go_on.set()
        await asyncio.wait([task])


# --- whoever dies


@pytest.mark.parametrize(("what", "point"), [(CASE, "open.before_commit"), (SOURCE, "once.before_commit")])
async def test_a_replica_that_is_killed_in_the_transaction_leaves_the_key_free(
    postgres_url: str, what: Creating, point: str
) -> None:
    key = await make_key(postgres_url, what.scope)
    dying = (sys.executable, "-m", "tests.chaos.dying", point, "1")
    async with serving(postgres_url) as survivor, serving(postgres_url, command=dying) as victim:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "the-one"}
        async with httpx.AsyncClient(headers=headers, timeout=35, trust_env=False) as http:

            async def ask(url: str) -> httpx.Response:
                return await http.post(url + what.path, json=what.body)

            with pytest.raises(httpx.TransportError):
                await ask(victim.url)
            assert -9 == await victim.ended()
            answer = await until_answered(lambda: ask(survivor.url))
            assert what.status == answer.status_code, answer.text
            assert answer.content == (await ask(survivor.url)).content
    assert 1 == await count(postgres_url, what.table)


async def test_a_process_that_is_cut_off_keeps_a_key_only_for_so_long(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends a transaction in which nothing happens; should its process come back, it gets the answer that
    stands by then.
    """
    async with world(postgres_url) as there:
        monkeypatch.setattr(postgres, "IDLE_SECONDS", 1.0)  # enough for somebody else to ask meanwhile
        async with world(postgres_url, beside=there) as here:
            async with held(here) as first:
                with pytest.raises(IdempotencyInFlight):
                    await there.gate.open(there.agent, draft(), ONCE)
                answer = await there.open_once(ONCE.key, ONCE.body_hash, door=ONCE.door)
            assert Repeated(answer) == await first
    assert 1 == await count(postgres_url, "cases")


async def test_what_is_made_is_made_once_though_its_commit_was_not_acknowledged(postgres_url: str) -> None:
    async with cutting_proxy(postgres_url) as proxy, world(proxy.url, pool_size=2) as here:
        for n, moment in enumerate(get_args(When)):
            once = Idempotency("sources", f"key {n}", "body")

            async def make(once: Idempotency = once) -> str:
                while True:
                    try:
                        return await here.sources.create_once(
                            here.agent, Wanted(name="once"), once, lambda shown: shown.source.source_id
                        )
                    except IdempotencyInFlight:
                        await asyncio.sleep(0.01)

            proxy.arm(moment)
            first = await make()
            assert n + 1 == proxy.cuts
            assert first == await make()
            assert n + 2 == len(await here.rows("sources")), "one was there"


# --- how long, and what


async def test_an_answer_is_kept_for_24_hours_and_then_makes_room(here: World) -> None:
    first = await here.open_once("key", "body")
    here.clock.forward(DAY - SECOND)
    assert first == await here.open_once("key", "body")
    here.clock.forward(SECOND)
    second = await here.open_once("key", "another body")
    assert first != second
    assert (second, 2) == (await here.open_once("key", "another body"), len(await here.rows("cases")))
    assert 1 == len(await here.rows("idempotency")), "nobody had cleaned up"


async def test_housekeeping_forgets_answers_and_leases_that_count_no_more(here: World) -> None:
    await here.open_once("key", "body")
    await die_working(here)
    for offset, left in ((DAY - SECOND, 1), (2 * MINUTE, 0)):
        here.clock.forward(offset)
        await Housekeeping(here.database).forget()
        assert (left, left) == (len(await here.rows("idempotency")), len(await here.rows("leases")))


async def test_what_was_refused_is_not_kept_and_may_be_tried_again(here: World) -> None:
    with pytest.raises(InvalidInput):
        await here.open_once("key", "body", previous_case_id="case_unknown")
    assert [] == await here.rows("idempotency")
    assert await here.open_once("key", "another body")


async def test_two_that_both_hold_the_key_are_told_apart_by_the_row_itself(postgres_url: str) -> None:
    """A snapshot may be older than the lock: then the unique key decides, and the loser looks again."""
    async with world(postgres_url) as here, world(postgres_url, beside=here) as there:
        made: list[str] = []

        async def body(_tx: Tx) -> str:
            if not made:  # as if the other's commit had come between our snapshot and our lock
                made.append("first")
                await _keep_behind_the_lock(there, "theirs")
            return "ours"

        tenant_id = here.agent.tenant_id
        answer = await transact_once(here.database, here.ring, tenant_id, ONCE, body, str)
        assert Repeated("theirs") == answer


async def _keep_behind_the_lock(there: World, answer: str) -> None:
    from core.kept import keep_answer

    async def body(tx: Tx) -> None:
        await tx.write(keep_answer(there.ring, there.agent.tenant_id, ONCE, answer, await tx.now()))

    await there.database.transact(body)


# --- work outside of transactions


async def test_work_that_is_under_way_is_not_begun_a_second_time(here: World) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> str:
        begun.set()
        await go_on.wait()
        return "done"

    async def ask() -> str:
        return await work_once(here.database, here.ring, here.agent.tenant_id, ONCE, work)

    first = asyncio.create_task(ask())
    await begun.wait()
    with pytest.raises(IdempotencyInFlight):
        async with asyncio.timeout(10):
            await ask()
    go_on.set()
    assert ("done", "done") == (await first, await ask())
    assert [] == await here.rows("leases", "name LIKE 'once:%'")


async def test_work_whose_process_died_may_be_done_again_when_its_lease_is_over(here: World) -> None:
    async def ask(answer: str) -> str:
        async def work() -> str:
            return answer

        return await work_once(here.database, here.ring, here.agent.tenant_id, ONCE, work)

    await die_working(here)
    here.clock.forward(30 * SECOND - SECOND)
    with pytest.raises(IdempotencyInFlight):
        await ask("too early")
    here.clock.forward(2 * SECOND)
    assert ["again", "again"] == [await ask("again"), await ask("late")]


async def die_working(here: World) -> None:
    """Work is begun and its process dies: its lease stays behind."""

    async def dies() -> str:
        await here.execute("UPDATE leases SET holder = 'whoever died'")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await work_once(here.database, here.ring, here.agent.tenant_id, ONCE, dies, 30 * SECOND)


async def test_work_that_fails_lets_the_key_go_at_once(here: World) -> None:
    async def fails() -> str:
        raise ConnectionError

    async def works() -> str:
        return "done"

    with pytest.raises(ConnectionError):
        await work_once(here.database, here.ring, here.agent.tenant_id, ONCE, fails)
    assert "done" == await work_once(here.database, here.ring, here.agent.tenant_id, ONCE, works)
