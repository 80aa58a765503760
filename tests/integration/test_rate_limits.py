"""A tenant comes to a door so often and no oftener, whichever replica it asks; every answer says how it stands."""

from __future__ import annotations

import asyncio
import itertools
import math
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from limits import RateLimitItemPerMinute
from limits.aio.strategies import FixedWindowRateLimiter

from api.doors import DOORS
from bot.rate_limits import memory_windows, rate_limits, redis_windows
from bot.settings import WrongSetting, read_settings
from core.errors import Unavailable
from core.housekeeping import Housekeeping
from core.hub import Hub
from core.ledger import Database, open_database
from core.ledger.rate_windows import RateWindows
from core.limits import Limit, Limits, Rates, Windows
from tests.bench.client import Target
from tests.support.databases import rows
from tests.support.process import make_key, serving
from tests.support.programs import NoProgram
from tests.support.redis_server import a_redis
from tests.support.server import Client, Server, running

NOWHERE = "/api/hitl/cases/review_x/status"
STANDING = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    async with running(database_url, limits="20/hour") as found:
        yield found


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    found = open_database(postgres_url)
    await found.start(Hub())
    yield found
    await found.close()


async def _used_up(client: Client, times: int) -> httpx.Response:
    """The answer to the request after so many."""
    for _ in range(times):
        assert 429 != (await client.http.get(NOWHERE)).status_code
    return await client.http.get(NOWHERE)


# Across processes


async def test_ten_times_the_limit_from_two_processes_lets_in_the_limit(postgres_url: str) -> None:
    limit, connections = 400, 8
    key = await make_key(postgres_url, "agent")
    seen: Counter[int] = Counter()
    resets: set[int] = set()

    async def hammer(target: Target) -> None:
        request = target.request("GET", NOWHERE)
        async with target.connection() as connection:
            for _ in range(10 * limit // (2 * connections)):
                answer = await connection.ask(request)
                seen[answer.status] += 1
                resets.add(int(answer.headers[b"x-ratelimit-reset"]))
                if answer.status == 429:
                    assert answer.headers[b"retry-after"] == answer.headers[b"x-ratelimit-reset"]

    environment = {"RATE_LIMITS": f"{limit}/hour"}
    began = time.monotonic()
    async with (
        serving(postgres_url, environment=environment) as one,
        serving(postgres_url, environment=environment) as two,
        asyncio.TaskGroup() as group,
    ):
        for server in (one, two) * connections:
            group.create_task(hammer(Target(server.url, key)))
    print(f"{seen[404]} of {limit} let in, {seen[429]} refused")
    assert {404, 429} == set(seen)
    assert 10 * limit == seen.total()
    assert limit - 2 * max(1, limit // 200) <= seen[404] <= limit
    assert 3600 - (time.monotonic() - began) <= min(resets) <= max(resets) <= 3600


async def test_whoever_comes_when_told_is_let_in(database_url: str) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(running(database_url, limits="6/second"))]
        if database_url.startswith("postgresql:"):
            servers.append(await stack.enter_async_context(running(database_url, limits="6/second", clock_role=False)))
        client = await servers[0].client()
        turns = itertools.cycle(servers)
        while (answer := await client.http.get(next(turns).url + NOWHERE)).status_code != 429:
            assert 404 == answer.status_code
        assert "1" == answer.headers["retry-after"] == answer.headers["x-ratelimit-reset"]
        await asyncio.sleep(int(answer.headers["retry-after"]))
        assert 404 == (await client.http.get(servers[0].url + NOWHERE)).status_code


async def test_many_at_once_in_two_processes_are_no_way_round_the_limit(database: Database) -> None:
    rates = Rates(Limit(1_000, 3_600))
    processes = [Limits(rates, RateWindows(database)) for _ in range(2)]

    async def come(limits: Limits) -> bool:
        taken = await limits.take("a tenant", "hitl")
        assert taken is not None
        return not taken.refused

    let_in = 0
    for _ in range(20):
        let_in += sum(await asyncio.gather(*(come(limits) for limits in processes * 64)))
    assert 1_000 - 2 * 5 <= let_in <= 1_000


# The storage on PostgreSQL


async def test_the_table_is_a_storage_of_the_library(database: Database) -> None:
    storage = RateWindows(database)
    limiter, item = FixedWindowRateLimiter(storage), RateLimitItemPerMinute(3)
    assert await storage.check()
    assert [True, True, True, False] == [await limiter.hit(item, "a") for _ in range(4)]
    assert await limiter.hit(item, "b", cost=3)
    reset, remaining = await limiter.get_window_stats(item, "a")
    assert 0 == remaining
    assert 55 < reset - time.time() <= 60
    await limiter.clear(item, "a")
    assert await limiter.test(item, "a")
    assert not await limiter.test(item, "b")
    await storage.reset()
    assert 0 == await storage.get(item.key_for("b"))


async def test_a_window_begins_with_its_first_hit_and_ends_on_the_databases_clock(
    database: Database, postgres_url: str
) -> None:
    windows, began = RateWindows(database), time.monotonic()
    assert [2, 5] == [(await windows.hit("k", 60, amount)).counted for amount in (2, 3)]
    await rows(postgres_url, "UPDATE rate_windows SET expires_at = expires_at - 30000")
    counted, left = await windows.hit("k", 60, 1)
    assert 6 == counted
    assert 30 - (time.monotonic() - began) - 0.01 <= left <= 30
    await rows(postgres_url, "UPDATE rate_windows SET expires_at = expires_at - 30000")
    assert (1, 60) == ((hit := await windows.hit("k", 60, 1)).counted, math.ceil(hit.left))


async def test_a_window_of_a_clock_that_was_set_back_is_over(database: Database, postgres_url: str) -> None:
    windows = RateWindows(database)
    await windows.hit("k", 60, 9)
    await rows(postgres_url, "UPDATE rate_windows SET expires_at = expires_at + 3600000")
    assert (1, 60) == ((hit := await windows.hit("k", 60, 1)).counted, math.ceil(hit.left))


async def test_windows_that_have_ended_are_forgotten(database: Database, postgres_url: str) -> None:
    windows = RateWindows(database)
    await windows.hit("old", 60, 1)
    await rows(postgres_url, "UPDATE rate_windows SET expires_at = expires_at - 61000")
    await windows.hit("new", 60, 1)
    await Housekeeping(database).forget()
    assert [{"key": "new"}] == await rows(postgres_url, "SELECT key FROM rate_windows")


async def test_windows_that_cannot_be_reached_let_requests_go_on(database: Database) -> None:
    windows = RateWindows(database)
    await database.close()
    with pytest.raises(Unavailable):
        await windows.hit("k", 60, 1)
    assert not await windows.check()
    taken = await Limits(Rates(Limit(10, 60)), windows).take("a tenant", "hitl")
    assert (10, 9, False) == (taken and taken.limit, taken and taken.remaining, taken and taken.refused)


# The other places to count in


async def _counts(windows: Windows) -> None:
    while True:
        key, began = uuid.uuid4().hex, time.monotonic()
        hits = [await windows.hit(key, 1, amount) for amount in (2, 3, 1)]
        if (took := time.monotonic() - began) < 0.9:  # else the second may have been over in between
            break
    assert [2, 5, 6] == [hit.counted for hit in hits]
    hit = hits[-1]
    assert 1 - took - 0.05 <= hit.left <= 1
    await asyncio.sleep(hit.left + 0.01)
    assert 1 == (await windows.hit(key, 1, 1)).counted
    await windows.close()


async def test_a_process_alone_counts_in_its_memory() -> None:
    await _counts(memory_windows())


@pytest.fixture
def redis_url() -> Iterator[str]:
    try:
        with a_redis() as url:
            yield url
    except NoProgram as missing:
        pytest.skip(str(missing))


async def test_processes_may_count_in_redis(redis_url: str) -> None:
    await _counts(redis_windows(redis_url))
    processes = [Limits(Rates(Limit(1_000, 3_600)), redis_windows(redis_url)) for _ in range(2)]
    tenant = uuid.uuid4().hex
    found = [await process.take(tenant, "hitl") for _ in range(5_000) for process in processes]
    assert 1_000 == sum(taken is not None and not taken.refused for taken in found)
    for process in processes:
        await process.close()


async def test_a_redis_that_is_away_lets_requests_go_on() -> None:
    windows = redis_windows("redis://127.0.0.1:1/0")
    with pytest.raises(Unavailable):
        await windows.hit("k", 60, 1)
    await windows.close()


# At the doors


async def test_a_tenant_is_refused_at_the_door_where_it_has_used_up_its_limit(server: Server) -> None:
    agent, executor = await server.client("agent"), await server.client("executor")
    stranger = await server.client("agent", str(uuid.uuid4()))
    refused = await _used_up(agent, 20)
    assert (429, "rate_limited") == (refused.status_code, refused.json()["error"])
    assert ["20", "0"] == [refused.headers[name] for name in STANDING[:2]]
    assert refused.headers["retry-after"] == refused.headers["x-ratelimit-reset"]
    assert 3_500 < int(refused.headers["retry-after"]) <= 3_600
    assert 429 == (await (await server.client("admin")).http.get(NOWHERE)).status_code, "a key is no tenant"
    assert "19" == (await executor.http.get("/sources")).headers["x-ratelimit-remaining"]
    assert "19" == (await stranger.http.get(NOWHERE)).headers["x-ratelimit-remaining"]


async def test_every_answer_to_a_known_key_says_how_its_tenant_stands(server: Server) -> None:
    agent, executor, nobody = await server.client(), await server.client("executor"), server.nobody()
    answers = [
        await agent.open(),
        await agent.http.get(NOWHERE),
        await agent.http.post("/api/hitl/cases", content=b"{"),
        await executor.http.post("/api/hitl/cases", json={}),
        await agent.http.head(NOWHERE),
        await nobody.http.post("/api/agent/none", json={"access_id": agent.key}),
        await agent.http.post("/api/agent/none", json={"access_id": agent.key}),
    ]
    assert [202, 404, 400, 403, 404, 404, 404] == [answer.status_code for answer in answers]
    assert [str(19 - n) for n in range(7)] == [answer.headers["x-ratelimit-remaining"] for answer in answers]
    assert all("20" == answer.headers["x-ratelimit-limit"] for answer in answers)
    hitl = answers[0].json()["hitl"]
    async with agent.http.stream("GET", hitl["events_url"]) as stream:
        assert "12" == stream.headers["x-ratelimit-remaining"]
    uncounted = [
        await nobody.http.get(NOWHERE),
        await nobody.http.get(NOWHERE, headers={"Authorization": "Bearer ak_unknown"}),
        await nobody.tap(hitl, "confirm"),
        await nobody.http.get("/healthz"),
        await nobody.http.get("/.well-known/hitl.json"),
        await agent.http.get("/nowhere"),
    ]
    assert [401, 401, 200, 200, 200, 404] == [answer.status_code for answer in uncounted]
    assert not any(name in answer.headers for answer in uncounted for name in STANDING)


async def test_no_route_that_takes_a_key_forgets_to_count(sqlite_url: str) -> None:
    async with running(sqlite_url, limits="1000/hour") as server:
        admin = await server.client("admin")
        assert admin.principal is not None
        headers = {"X-Tenant-ID": admin.principal.tenant_id, "Idempotency-Key": "k"}
        for door in DOORS:
            routes = [entry for entry in door.entries if entry.scopes]
            for before, entry in enumerate(routes):
                path = re.sub(r"{\w+}", "none", entry.path)
                answer = await admin.http.request(entry.method, path, headers=headers)
                assert str(999 - before) == answer.headers.get("x-ratelimit-remaining"), (entry.method, entry.path)


async def test_a_refused_request_does_nothing(server: Server, database_url: str) -> None:
    agent = await server.client()
    await _used_up(agent, 20)
    assert 429 == (await agent.open()).status_code
    assert [{"n": 0}] == await rows(database_url, "SELECT count(*) AS n FROM cases")


async def test_executors_are_told_in_their_doors_words(server: Server) -> None:
    executor = await server.client("executor")
    for _ in range(20):
        await executor.http.get("/sources")
    refused = await executor.http.get("/sources")
    error: dict[str, Any] = refused.json()["error"]
    assert (429, "RATE_LIMITED") == (refused.status_code, error["code"])
    assert all(name in refused.headers for name in (*STANDING, "retry-after"))


async def test_a_door_may_have_a_limit_of_its_own_or_none(sqlite_url: str) -> None:
    async with running(sqlite_url, limits="5/hour, executors=2/hour, hitl=off") as server:
        admin = await server.client("admin")
        assert ["1", "0", "0"] == [
            (await admin.http.get("/sources")).headers["x-ratelimit-remaining"] for _ in range(3)
        ]
        unlimited = await admin.http.get(NOWHERE)
        assert not any(name in unlimited.headers for name in STANDING)


async def test_a_limit_for_a_door_that_is_none_stops_the_start(tmp_path: Any) -> None:
    settings = read_settings(database_url=f"sqlite:///{tmp_path}/a.db", rate_limits="back=5/minute")
    with pytest.raises(WrongSetting, match=r"RATE_LIMITS.*back.*executors, hitl"):
        rate_limits(settings, open_database(settings.database_url), ["hitl", "executors"])
