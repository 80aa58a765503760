"""What a waiting gate of a run costs, how soon its run goes on once people have answered, and how soon after kill -9
it does so again.

A run that waits is `plan-approval`, from its intent to its open gate; its face is what carries it on. Times begin when
the answer's 200 has been read, and end when the run's event stream says `run.resumed`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tests.bench.client import Connection, Target
from tests.bench.deliveries import Stream, beside
from tests.bench.figures import spread
from tests.bench.servers import Measured, measured
from tests.support.databases import eventually, rows
from tests.support.process import ServerProcess, make_key, serving

GATE = "plan-approval"
CONNECTIONS = 12
WAITS_SECONDS = 120.0  # for all of many runs to wait
STEP_SECONDS = 30.0
WAITS = "kind = 'plan-approval' AND status = 'waiting_input'"
BY_ENGINE = "state LIKE '%\"engine\":%'"  # a workflow engine carries it on
REPLY = {"payload": {"choice": "yes"}, "dedupeKey": "plan-approval:ana", "origin": "external"}


class WrongRun(Exception):
    """A run did something else than to wait, to hear of its answer, and to end."""


@dataclass(slots=True)
class Woken:
    """Seconds: from the sending of each answer to its 200, and from there until its run was resumed, and until it had
    ended. `heard`: from the answer's row to the resumed run's, on the database's clock.
    """

    answered: list[float] = field(default_factory=list)
    resumed: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Back:
    """Seconds from the start of a killed server's successor until it is ready, and until a run that had waited before
    the kill is resumed by an answer.
    """

    ready: float
    acted: float


@dataclass(frozen=True, slots=True)
class Place:
    """A database, the keys of an agent and a reviewer, and what servers are told."""

    url: str
    agent: str
    reviewer: str
    environment: dict[str, str]

    @classmethod
    async def of(cls, url: str, environment: dict[str, str]) -> Place:
        return cls(url, await make_key(url, "agent"), await make_key(url, "reviewer"), environment)

    @asynccontextmanager
    async def server(self) -> AsyncIterator[tuple[ServerProcess, Measured]]:
        async with serving(self.url, environment=self.environment, afresh=True) as server:
            yield server, measured(server, self.url, self.agent)

    async def waiting(self) -> list[str]:
        """The runs that wait, the one that waits longest first."""
        found = await rows(self.url, f"SELECT workflow_id FROM runs WHERE {WAITS} ORDER BY created_at")
        return [row["workflow_id"] for row in found]

    async def waits(self, more: str = "TRUE") -> int:
        """How many runs wait, of which `more` is true."""
        (found,) = await rows(self.url, f"SELECT count(*) AS n FROM runs WHERE {WAITS} AND {more}")
        return int(found["n"])


# --- what it costs ---


async def open_runs(place: Place, target: Target, number: int) -> None:
    """So many more runs that wait."""
    expected = await place.waits() + number
    await _started(target, number, "plan-approval")

    async def all_wait() -> bool:
        return await place.waits() >= expected

    await eventually(all_wait, WAITS_SECONDS)


async def open_gates(target: Target, workflow_ids: Sequence[str]) -> None:
    """One gate on each of these external runs."""
    asked = {"prompt": "Scale search from 3 to 4 replicas?", "timeout": "24h"}
    left = iter(workflow_ids)

    async def run() -> None:
        async with target.connection() as connection:
            for wid in left:
                await _ask(connection, target.request("POST", f"/api/runs/{wid}/gates/{GATE}", asked), 200)

    await asyncio.gather(*(run() for _ in range(CONNECTIONS)))


async def external_runs(target: Target, number: int) -> list[str]:
    """So many runs without a gate yet."""
    return await _started(target, number, "external")


async def _started(target: Target, number: int, workflow: str) -> list[str]:
    numbers, found = count(), []

    async def run() -> None:
        async with target.connection() as connection:
            while (n := next(numbers)) < number:
                intent = {"goal": f"Give search one replica more, {n}", "workflow": workflow}
                stated = await _ask(connection, target.request("POST", "/api/intents", intent), 201)
                wanted = {**stated, "queuePartitionKey": "bench"}
                started = await _ask(connection, target.request("POST", "/api/runs", wanted), 201)
                found.append(started["workflowID"])

    await asyncio.gather(*(run() for _ in range(CONNECTIONS)))
    return found


async def _ask(connection: Connection, request: bytes, status: int) -> dict[str, Any]:
    answer = await connection.ask(request)
    if answer.status != status:
        raise WrongRun(f"{answer.status} instead of {status}: {answer.body[:200]!r}")
    return answer.json


# --- how soon it goes on ---


async def wake(place: Place, target: Target, workflow_ids: Sequence[str], load: int = 0) -> Woken:
    """Answer these waiting runs, one after the other; beside a closed loop of `load` connections with cases. Raises
    WrongRun, WrongDelivery, TimeoutError.
    """
    found = Woken()
    async with target.connection() as asking, beside(target, load):
        for wid in workflow_ids:
            async with asyncio.timeout(STEP_SECONDS), target.connection() as listening:
                await _one(place, target, asking, listening, wid, found)
    chosen = ", ".join(f"'{wid}'" for wid in workflow_ids)
    sql = f"SELECT received_at - created_at AS ms FROM signals WHERE workflow_id IN ({chosen})"
    found.heard = [row["ms"] / 1000 for row in await rows(place.url, sql)]
    return found


async def _one(
    place: Place, target: Target, asking: Connection, listening: Connection, wid: str, found: Woken
) -> float:
    """When this run was resumed."""
    stream = Stream(listening.stream(target.request("GET", f"/api/runs/{wid}/stream")))
    await stream.until("run.waiting")
    hearing = asyncio.create_task(_heard(stream))
    reply = target.request("POST", f"/api/runs/{wid}/gates/{GATE}/reply", REPLY, key=place.reviewer)
    sent = time.perf_counter()
    await _ask(asking, reply, 200)
    answered = time.perf_counter()
    resumed, ended = await hearing
    found.answered.append(answered - sent)
    found.resumed.append(max(0.0, resumed - answered))
    found.ended.append(max(0.0, ended - answered))
    return resumed


async def _heard(stream: Stream) -> tuple[float, float]:
    return await stream.until("run.resumed"), await stream.until("run.ended")


# --- how soon it is back ---


async def come_back(place: Place) -> Back:
    """Start a server on what a killed one has left, answer the run that has waited longest, and kill the server."""
    wid = (await place.waiting())[0]
    began = time.perf_counter()
    async with place.server() as (server, measured_server):
        target = measured_server.target
        async with asyncio.timeout(STEP_SECONDS), target.connection() as asking, target.connection() as listening:
            resumed = await _one(place, target, asking, listening, wid, Woken())
        server.kill()
        return Back(server.ready_after, resumed - began)


def milliseconds(seconds: Sequence[float]) -> str:
    p50, p99 = spread(seconds)
    return f"{p50:.1f} / {p99:.1f}"
