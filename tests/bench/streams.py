"""Many idle event streams in one server, and how long after a case's end its stream says so.

Figures: memory that the streams add, database sessions while they are idle, and the time from the sending of the answer
or withdrawal to the terminal event, which includes the ending's own transaction and so is an upper bound.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast
from urllib.parse import urlsplit

import asyncpg

from tests.bench.client import QUESTION, REPLIER, Connection, Target
from tests.bench.servers import Measured
from tests.support.postgres_recycling import RECYCLER

OPENERS = 12  # connections that open cases
ENDERS = 32  # connections that end them
CONNECTING = 64  # streams that are being connected at the same time
SAMPLES = 20
SAMPLE_SECONDS = 0.1
ALL_SECONDS = 60.0  # the longest that any part of it may take
MAX_WAITS = 20
SESSIONS = (
    "SELECT coalesce(state, '') AS state FROM pg_stat_activity WHERE datname = current_database()"
    f" AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name <> '{RECYCLER}'"
)
FIRST = b"event: review.status"
LAST = (b"event: review.completed", b"event: review.cancelled")
END = b"\r\n0\r\n\r\n"  # of a chunked body


class WrongStream(Exception):
    """A stream did something else than to begin, to be quiet, to tell the end of its case, and to end."""


@dataclass(slots=True)
class Sessions:
    """What PostgreSQL says of a server's sessions in several looks. `open` and `at_work` are the most that were seen;
    `held` are those that were idle in a transaction in every look, as nobody's own work is.
    """

    open: int
    at_work: int
    held: int


@dataclass(slots=True)
class Heard:
    """What came of it. Memory in MB, times in seconds."""

    streams: int
    connected: float
    before: float
    added: float
    sessions_before: Sessions | None
    sessions: Sessions | None
    ended: float = 0.0
    times: list[float] = field(default_factory=list)


async def watch(server: Measured, streams: int, database_url: str) -> Heard:
    """Open so many cases, watch each by a stream of its own, then end them all: half are answered, half withdrawn.
    Raises WrongStream, TimeoutError.
    """
    look = _looking(database_url)
    async with asyncio.timeout(ALL_SECONDS):
        cases = await _open(server.target, streams)
        await server.settled()
        before, sessions_before = server.memory(), await look()
    ears = [_Ear() for _ in cases]
    try:
        async with asyncio.timeout(ALL_SECONDS):
            began = time.perf_counter()
            await _connect(server.target, cases, ears)
            connected = time.perf_counter() - began
            await server.settled()
            sessions = await look()
        found = Heard(streams, connected, before, server.memory() - before, sessions_before, sessions)
        if quiet := [ear for ear in ears if ear.last or ear.over]:
            raise WrongStream(f"{len(quiet)} streams ended before their cases did")
        async with asyncio.timeout(ALL_SECONDS):
            began = time.perf_counter()
            sent = await _end(server.target, cases)
            found.ended = time.perf_counter() - began
            found.times = [await ear.told - moment for ear, moment in zip(ears, sent, strict=True)]
    finally:
        for ear in ears:
            ear.close()
    return found


def _looking(database_url: str) -> Callable[[], Awaitable[Sessions | None]]:
    async def look() -> Sessions | None:
        if database_url.startswith("sqlite"):
            return None
        looks = []
        connection = await asyncpg.connect(database_url)
        try:
            for _ in range(SAMPLES):
                rows = await connection.fetch(SESSIONS)
                states = Counter("held" if row["state"].startswith("idle in") else row["state"] for row in rows)
                looks.append(Sessions(states.total(), states["active"], states["held"]))
                await asyncio.sleep(SAMPLE_SECONDS)
        finally:
            await connection.close()
        return Sessions(
            max(look.open for look in looks), max(look.at_work for look in looks), min(look.held for look in looks)
        )

    return look


async def _open(target: Target, cases: int) -> list[dict[str, Any]]:
    request = target.request("POST", "/api/hitl/cases", QUESTION)
    numbers, found = count(), []

    async def run() -> None:
        async with target.connection() as connection:
            while next(numbers) < cases:
                found.append((await _asked(connection, request, 202))["hitl"])

    await asyncio.gather(*(run() for _ in range(OPENERS)))
    return found


async def _connect(target: Target, cases: Sequence[dict[str, Any]], ears: Sequence[_Ear]) -> None:
    parts = urlsplit(target.url)
    assert parts.hostname is not None
    assert parts.port is not None
    host, port = parts.hostname, parts.port
    loop, few = asyncio.get_running_loop(), asyncio.Semaphore(CONNECTING)

    async def run(hitl: dict[str, Any], ear: _Ear) -> None:
        async with few:
            await loop.create_connection(lambda: ear, host, port)
            ear.ask(target.request("GET", hitl["events_url"]))
            await ear.begun

    await asyncio.gather(*(run(hitl, ear) for hitl, ear in zip(cases, ears, strict=True)))


async def _end(target: Target, cases: Sequence[dict[str, Any]]) -> list[float]:
    """End every case; when each ending was sent."""
    numbers, sent = count(), [0.0] * len(cases)
    reply = {"action": "confirm", "data": {}, "submitted_via": "x-bench", "submitted_by": REPLIER}

    async def run() -> None:
        async with target.connection() as connection:
            while (number := next(numbers)) < len(cases):
                hitl = cases[number]
                if number % 2:
                    request = target.request("POST", hitl["submit_url"], reply, key=hitl["submit_token"])
                else:
                    request = target.request("POST", hitl["poll_url"].removesuffix("status") + "cancel", {})
                sent[number] = time.perf_counter()
                await _asked(connection, request, 200)

    await asyncio.gather(*(run() for _ in range(ENDERS)))
    return sent


async def _asked(connection: Connection, request: bytes, status: int) -> dict[str, Any]:
    answer = await connection.ask(request)
    for _ in range(MAX_WAITS):
        if answer.status not in (429, 503):
            break
        await asyncio.sleep(float(answer.headers.get(b"retry-after", b"1")))
        answer = await connection.ask(request)
    if answer.status != status:
        raise WrongStream(f"{answer.status} instead of {status}: {answer.body[:200]!r}")
    return answer.json


class _Ear(asyncio.Protocol):
    """One stream, read as bytes: it costs its server's machine next to nothing."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.begun: asyncio.Future[None] = loop.create_future()
        self.told: asyncio.Future[float] = loop.create_future()
        self.last = False
        self.over = False
        self._text = b""
        self._moment = 0.0
        self._transport: asyncio.Transport | None = None

    def ask(self, request: bytes) -> None:
        assert self._transport is not None
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        for future in (self.begun, self.told):
            if not future.done():
                future.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._text = (self._text + data)[-16_384:]
        if not self.begun.done() and FIRST in self._text:
            self.begun.set_result(None)
        if not self.last and any(name in self._text for name in LAST):
            self.last, self._moment = True, time.perf_counter()
        if self._text.endswith(END):
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._finish()

    def _finish(self) -> None:
        """The stream is over: as it should be, once it has told the end."""
        self.over = True
        early = WrongStream(f"it ended early, after {self._text[-200:]!r}")
        if not self.begun.done():
            self.begun.set_exception(early)
        if not self.told.done() and self.last:
            self.told.set_result(self._moment)
        elif not self.told.done():
            self.told.set_exception(early)
            self.told.exception()  # whoever waits for it is told; nobody may
