"""A key that is taken away is unknown at once, on every replica, woken or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from core import access
from tests.support.process import run_assent
from tests.support.server import Client, Server, event_stream, running, until

Replicas = tuple[Server, Server]
Take = Callable[[Client, str, str], Awaitable[None]]


@pytest.fixture
async def replicas(postgres_url: str) -> AsyncIterator[Replicas]:
    """Two servers on one database; they know of each other by that alone."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(running(postgres_url))
        yield one, await stack.enter_async_context(running(postgres_url, clock_role=False))


def using(server: Server, key: str) -> httpx.AsyncClient:
    http = server.nobody().http
    http.headers["Authorization"] = f"Bearer {key}"
    return http


@dataclass
class Asked:
    """One request: when it began, and how it was answered."""

    began: float
    status: int


@asynccontextmanager
async def asking(server: Server, key: str) -> AsyncIterator[list[Asked]]:
    """Somebody who uses a key without a pause."""
    http, found = using(server, key), list[Asked]()

    async def ask() -> None:
        while True:
            began = time.monotonic()
            found.append(Asked(began, (await http.get("/admin/tenant")).status_code))
            await asyncio.sleep(0.002)

    task = asyncio.create_task(ask())
    try:
        await until(lambda: bool(found))
        yield found
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def revoke(admin: Client, _tenant_id: str, key_id: str) -> None:
    assert 200 == (await admin.http.post(f"/admin/keys/{key_id}/revoke")).status_code


async def rotate(admin: Client, _tenant_id: str, key_id: str) -> None:
    assert 201 == (await admin.http.post(f"/admin/keys/{key_id}/rotate")).status_code


async def suspend(admin: Client, tenant_id: str, _key_id: str) -> None:
    operator = admin.http  # see `taken`
    answer = await operator.patch(f"/admin/tenants/{tenant_id}", json={"suspended": True})
    assert 200 == answer.status_code


async def by_command_line(server: Server, key_id: str) -> None:
    status, out, err = await run_assent("keys", "revoke", key_id, "--database", server.database._url)  # type: ignore[attr-defined]
    assert (0, True) == (status, key_id in out), err


async def taken(server: Server, take: Take) -> tuple[str, Callable[[], Awaitable[None]]]:
    """A new key of a tenant, and what takes it away through this server."""
    admin = await server.client("admin", "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11")
    whose = await server.client("admin", "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11")
    assert whose.principal is not None
    principal = whose.principal
    if take is suspend:
        admin = await server.client("operator")
    return whose.key, lambda: take(admin, principal.tenant_id, principal.key_id)


def let_in(asked: list[Asked], since: float) -> list[Asked]:
    return [one for one in asked if one.began >= since and one.status != 401]


@pytest.mark.parametrize("take", [revoke, rotate, suspend])
async def test_after_the_answer_no_replica_lets_the_key_in(replicas: Replicas, take: Take) -> None:
    key, away = await taken(replicas[0], take)
    async with asking(replicas[0], key) as here, asking(replicas[1], key) as there:
        await away()
        answered = time.monotonic()
        counts = [len(here), len(there)]
        await until(lambda: len(here) >= counts[0] + 5 and len(there) >= counts[1] + 5)
    assert {200, 401} == {one.status for one in here} == {one.status for one in there}
    assert [] == let_in(here, answered) + let_in(there, answered)


async def test_nor_does_one_that_hears_of_nothing(replicas: Replicas) -> None:
    key, away = await taken(replicas[0], revoke)
    _deafen(replicas[1])
    async with asking(replicas[1], key) as there:
        await until(lambda: there[-1].status == 200)
        began = time.monotonic()
        await away()
        answered, count = time.monotonic(), len(there)
        await until(lambda: len(there) >= count + 5)
    assert let_in(there, began), "it was remembered for a moment; otherwise this proves nothing"
    assert [] == let_in(there, answered)


async def test_nor_after_the_command_line_has_taken_it_away(replicas: Replicas) -> None:
    whose = await replicas[0].client("admin")
    assert whose.principal is not None
    _deafen(replicas[1])
    async with asking(replicas[0], whose.key) as here, asking(replicas[1], whose.key) as there:
        await by_command_line(replicas[0], whose.principal.key_id)  # also the last one of its tenant
        answered = time.monotonic()
        counts = [len(here), len(there)]
        await until(lambda: len(here) >= counts[0] + 5 and len(there) >= counts[1] + 5)
    assert [] == let_in(here, answered) + let_in(there, answered)


@asynccontextmanager
async def taking_away(server: Server, client: Client) -> AsyncIterator[None]:
    """While this server has taken a key away, and waits until everybody must have forgotten it: for an hour."""
    assert client.principal is not None
    desk, principal = server.services.key_desk, client.principal
    waiting = asyncio.create_task(desk.revoke(principal.tenant_id, principal.key_id, also_last=True))
    try:
        yield
        assert not waiting.done()
    finally:
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_who_hears_of_it_forgets_before_the_time_is_over(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "REMEMBER_SECONDS", 3600.0)
    whose = await replicas[0].client("admin")
    https = [using(server, whose.key) for server in replicas]
    for http in https:
        assert await _answers(http, 200)
    async with taking_away(replicas[0], whose):
        for http in https:
            await until(partial(_answers, http, 401))


async def test_what_stays_open_ends_with_its_key(replicas: Replicas) -> None:
    """Event streams and long polls, also of a replica that hears of nothing."""
    admin = await replicas[0].client("admin")
    source = (await admin.http.post("/sources", json={"name": "Newsletter"})).json()["id"]
    agent, executor = await replicas[0].client("agent"), await replicas[0].client("executor")
    _deafen(replicas[1])
    there = replicas[1].holder(agent.key, agent.principal)  # type: ignore[arg-type]
    hitl = await there.case()
    async with event_stream(there, hitl) as stream:
        assert await stream.frame()
        pulling = asyncio.create_task(
            using(replicas[1], executor.key).get(f"/sources/{source}/decision-events?wait=30")
        )
        await until(lambda: len(replicas[1].app.state.streams.standing._open) == 2)
        for client in (agent, executor):
            assert client.principal is not None
            await admin.http.post(f"/admin/keys/{client.principal.key_id}/revoke")
        assert [] == await stream.rest(15)
        assert 401 == (await asyncio.wait_for(pulling, 15)).status_code
    assert {} == replicas[1].app.state.streams.standing._open


def _deafen(server: Server) -> None:
    """Cut it off from what others notify, for good."""
    listening, _ = server.database._wakes._tasks  # type: ignore[attr-defined]
    listening.cancel()


async def _answers(http: httpx.AsyncClient, status: int) -> bool:
    return status == (await http.get("/admin/tenant")).status_code
