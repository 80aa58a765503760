"""A case may be polled sixty times a minute, whichever process is asked; who asks more is told when to come again."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx

from tests.support.server import Client, Server, running


async def _polled(servers: list[Server], agent: Client, hitl: dict[str, Any], times: int) -> list[httpx.Response]:
    """Polls of one case, taking turns at the servers."""
    path = urlsplit(hitl["poll_url"]).path
    return [await agent.http.get(servers[turn % len(servers)].url + path) for turn in range(times)]


def _check(answers: list[httpx.Response], began: float) -> None:
    """Sixty were told, and the next is told to come when the minute is over that the first of them began."""
    assert [200] * 60 == [answer.status_code for answer in answers[:60]]
    refused = answers[60]
    assert (429, "rate_limited") == (refused.status_code, refused.json()["error"])
    took = time.monotonic() - began
    assert 60 - took <= int(refused.headers["retry-after"]) <= 60
    assert "etag" not in refused.headers


async def test_the_sixty_first_poll_of_a_minute_is_refused_whichever_replica_is_asked(postgres_url: str) -> None:
    async with running(postgres_url) as one, running(postgres_url, clock_role=False) as two:
        agent = await one.client()
        hitl, other = await agent.case(), await agent.case()
        began = time.monotonic()
        _check(await _polled([one, two], agent, hitl, 61), began)
        for answer in await _polled([two, one], agent, hitl, 2):
            assert 429 == answer.status_code, "one replica knows what the other has counted"
        for answer in await _polled([one, two], agent, other, 2):
            assert 200 == answer.status_code, "another case has its own count"
        # The minute of a count is a row: put back, it is over, and a new one begins with the next poll.
        await _a_minute_earlier(postgres_url)
        began = time.monotonic()
        _check(await _polled([two, one], agent, hitl, 61), began)


async def test_the_sixty_first_poll_of_a_minute_is_refused_by_a_process_alone(sqlite_url: str) -> None:
    async with running(sqlite_url) as server:
        agent = await server.client()
        hitl = await agent.case()
        began = time.monotonic()
        _check(await _polled([server], agent, hitl, 61), began)


async def _a_minute_earlier(url: str) -> None:
    session = await asyncpg.connect(url)
    try:
        assert await session.execute("UPDATE polls SET minute = minute - 60000") == "UPDATE 2"
    finally:
        await session.close()
