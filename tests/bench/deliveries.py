"""How long after an answer is sent those who wait for it know: the executor's long poll, and the agent's event stream.

All times begin when the answer's request is sent, so they include the answer's own transaction and are upper bounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.bench.client import QUESTION, REPLIER, Answer, Connection, Target, drive

STEP_SECONDS = 30.0


@dataclass(slots=True)
class Deliveries:
    """Seconds from the sending of an answer until: its own 200, the return of the pull, the event in the stream."""

    answered: list[float] = field(default_factory=list)
    pulled: list[float] = field(default_factory=list)
    streamed: list[float] = field(default_factory=list)


class WrongDelivery(Exception):
    """Something else was delivered than what was decided; the message says what."""


async def deliver(agent: Target, admin_key: str, decisions: int, load: int = 0) -> Deliveries:
    """Decide so many cases, one after the other, each awaited by a pull and a stream; beside a closed loop of `load`
    connections. Raises WrongDelivery, TimeoutError.
    """
    found = Deliveries()
    async with agent.connection() as asking, agent.connection() as pulling, beside(agent, load):
        made = await asking.ask(agent.request("POST", "/sources", {"name": "bench"}, key=admin_key))
        _expect(made, 201)
        events = f"/sources/{made.json['id']}/decision-events"
        cursor = ""
        for _ in range(decisions):
            async with asyncio.timeout(STEP_SECONDS):
                pull = agent.request("GET", f"{events}?limit=1&wait=30{cursor}", key=admin_key)
                cursor = await _one_decision(agent, asking, pulling, pull, made.json["id"], found)
    return found


async def _one_decision(
    agent: Target, asking: Connection, pulling: Connection, pull: bytes, source_id: str, found: Deliveries
) -> str:
    opened = await asking.ask(agent.request("POST", "/api/hitl/cases", {**QUESTION, "source_id": source_id}))
    _expect(opened, 202)
    hitl = opened.json["hitl"]
    async with agent.connection() as streaming:
        stream = await Stream.of(streaming, agent.request("GET", hitl["events_url"]))
        pulled = asyncio.create_task(_timed(pulling, pull))
        seen = asyncio.create_task(stream.until("review.completed"))
        # A request of its own on the waiting connection's heels: when it is answered, the pull waits.
        _expect(await asking.ask(agent.request("GET", hitl["poll_url"])), 200)
        reply = {"action": "confirm", "data": {}, "submitted_via": "x-bench", "submitted_by": REPLIER}
        respond = agent.request("POST", hitl["submit_url"], reply, key=hitl["submit_token"])
        sent = time.perf_counter()
        _expect(await asking.ask(respond), 200)
        found.answered.append(time.perf_counter() - sent)
        page, returned = await pulled
        found.pulled.append(returned - sent)
        found.streamed.append(await seen - sent)
    _expect(page, 200)
    items = page.json["items"]
    if [item["case_id"] for item in items] != [hitl["case_id"]] or items[0]["decision"]["action"] != "confirm":
        raise WrongDelivery(f"the pull brought {len(items)} events, and not this decision alone")
    return f"&after={page.json['next_cursor']}"


async def _timed(connection: Connection, request: bytes) -> tuple[Answer, float]:
    answer = await connection.ask(request)
    return answer, time.perf_counter()


def _expect(answer: Answer, status: int) -> None:
    if answer.status != status:
        raise WrongDelivery(f"{answer.status} instead of {status}: {answer.body[:200]!r}")


class Stream:
    """Server-sent events, as they come."""

    def __init__(self, pieces: asyncio.Queue[bytes | None]) -> None:
        self._pieces = pieces
        self._text = b""

    @classmethod
    async def of(cls, connection: Connection, request: bytes) -> Stream:
        """The stream, once its first frame is there: from then on it misses nothing."""
        stream = cls(connection.stream(request))
        await stream.until("review.status")
        return stream

    async def until(self, name: str) -> float:
        """When the event of this name came. Raises WrongDelivery when the stream ends before."""
        while True:
            while b"\n\n" in self._text:
                frame, _, self._text = self._text.partition(b"\n\n")
                if f"event: {name}".encode() in frame.splitlines():
                    return time.perf_counter()
            piece = await self._pieces.get()
            if piece is None:
                raise WrongDelivery(f"the stream ended before {name}")
            self._text += piece


@asynccontextmanager
async def beside(target: Target, connections: int) -> AsyncIterator[None]:
    """While other cases come and go."""
    if not connections:
        yield
        return
    others = asyncio.create_task(drive(target, 1_000_000_000, connections))
    try:
        yield
    finally:
        others.cancel()
        with suppress(asyncio.CancelledError):
            await others
