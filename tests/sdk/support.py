"""What tests of the SDK have around it: a way to the server that breaks, a clock of their own, people who answer."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from assent import Agent, AsyncAgent, AsyncExecutor, Backoff, Case, DecisionEvent, Executor
from assent.http import Options
from bot.sandbox.trust import trust
from tests.support.server import Client, Server

ROOT = Path(__file__).resolve().parents[2]
Cut = Literal["before", "after"]


def direct() -> httpx.AsyncClient:
    """No proxy of the machine stands between a test and its own server."""
    return httpx.AsyncClient(trust_env=False, verify=trust())


QUICK: Options = {"connect": direct, "backoff": Backoff(base=0.02, cap=0.1)}


def _quick(options: dict[str, Any]) -> Any:
    """Options of a test, typed by nobody, over those that keep it short."""
    return {**QUICK, **options}


@dataclass
class Clients:
    """Clients of the SDK that make their pauses short."""

    made: list[Agent | AsyncAgent | Executor | AsyncExecutor] = field(default_factory=list)

    def agent(self, url: str, key: str, **options: Any) -> AsyncAgent:
        self.made.append(found := AsyncAgent(url, key, **_quick(options)))
        return found

    def blocking_agent(self, url: str, key: str, **options: Any) -> Agent:
        self.made.append(found := Agent(url, key, **_quick(options)))
        return found

    def executor(self, url: str, key: str, source_id: str, **options: Any) -> AsyncExecutor:
        self.made.append(found := AsyncExecutor(url, key, source_id, **_quick(options)))
        return found

    def blocking_executor(self, url: str, key: str, source_id: str, **options: Any) -> Executor:
        self.made.append(found := Executor(url, key, source_id, **_quick(options)))
        return found


@dataclass
class FastClock:
    """A clock that moves when somebody sleeps, and at no other time. `slept` are the pauses that were asked for."""

    moved: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return time.time() + self.moved

    def monotonic(self) -> float:
        return self.moved

    async def sleep(self, seconds: float, /) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0.005)  # others have their turn
        self.moved += seconds


class Relay:
    """Passes bytes on to `target`, and keeps what clients send. It can be down, and cut what is open."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.down = False
        self.sent: list[bytes] = []
        self.cut_when: Callable[[bytes], Cut | None] = lambda _: None
        self.url = ""
        self._open: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    def heads(self, text: str) -> list[str]:
        """The requests whose head contains that."""
        return [found for chunk in self.sent if text in (found := chunk.decode("utf-8", "replace").lower())]

    def cut(self) -> None:
        """Break every connection that is open."""
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.CancelledError):  # cancelled by `end` alone
                await self._converse(reader, writer)
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            self._writers.discard(writer)
            self._open.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.down:
            return
        place = urlsplit(self.target)
        server_reader, server_writer = await asyncio.open_connection(place.hostname, place.port)
        deaf = asyncio.Event()

        async def there() -> None:
            while data := await reader.read(1 << 16):
                self.sent.append(data)
                cut = self.cut_when(data)
                if cut == "before":
                    return
                if cut == "after":
                    deaf.set()
                server_writer.write(data)
                await server_writer.drain()

        async def back() -> None:
            while data := await server_reader.read(1 << 16):
                if deaf.is_set():
                    return
                writer.write(data)
                await writer.drain()

        halves = [asyncio.create_task(there()), asyncio.create_task(back())]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
            if halves[1].done() and halves[1].exception() is None:
                await writer.drain()  # the server has ended it; what it said arrives
                writer.close()
        finally:
            server_writer.transport.abort()
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)

    async def end(self) -> None:
        for _ in range(5):  # one that has just come has not begun yet, and a broken one takes a turn to close
            for task in list(self._open):
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)
            await asyncio.sleep(0)


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[Relay]:
    found = Relay(target)
    listener = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        listener.close()
        await found.end()


def hitl_of(case: Case, url: str) -> dict[str, Any]:
    """The case as the tests' own client answers it."""
    base = f"{url}/api/hitl/cases/{case.case_id}"
    return {
        "poll_url": f"{base}/status",
        "events_url": f"{base}/events",
        "submit_url": f"{base}/respond",
        "submit_token": case.submit_token,
        "review_url": case.review_url,
    }


async def tap(people: Client, case: Case, action: str, **fields: Any) -> None:
    answer = await people.tap(hitl_of(case, str(people.http.base_url).rstrip("/")), action, **fields)
    assert 200 == answer.status_code, answer.text


async def submit(people: Client, case: Case, action: str, data: dict[str, Any] | None = None) -> None:
    answer = await people.submit(hitl_of(case, str(people.http.base_url).rstrip("/")), action, data)
    assert 200 == answer.status_code, answer.text


async def source(server: Server, **fields: Any) -> str:
    admin = await server.client("admin")
    answer = await admin.http.post("/sources", json={"name": "Deploys"} | fields)
    assert 201 == answer.status_code, answer.text
    return str(answer.json()["id"])


async def decided(server: Server, source_id: str, action: str = "confirm", count: int = 1) -> list[DecisionEvent]:
    """So many cases of the source, answered with that; their events, once they can be pulled."""
    agent, executor = await server.client("agent"), await server.client("executor")
    address = f"/sources/{source_id}/decision-events"
    after = (await executor.http.get(address, params={"limit": 500})).json()["next_cursor"]
    cases = [await agent.case(source_id=source_id) for _ in range(count)]
    for hitl in cases:
        assert 200 == (await agent.tap(hitl, action)).status_code
    found: list[DecisionEvent] = []
    async with asyncio.timeout(30):
        while len(found) < count:
            page = (await executor.http.get(address, params={"after": after, "wait": 5, "limit": 500})).json()
            after = page["next_cursor"]
            found += [DecisionEvent.model_validate(item) for item in page["items"]]
    return found


async def waiting(server: Server, source_id: str) -> list[str]:
    """Ids of the source's events that nobody has acked."""
    executor = await server.client("executor")
    answer = await executor.http.get(f"/sources/{source_id}/decision-events", params={"limit": 500})
    return [item["event_id"] for item in answer.json()["items"]]


class Program:
    """A program of somebody who uses the SDK, in a process of its own. What it prints comes line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self, within: float = 20.0) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(within):
            line = (await self._process.stdout.readline()).decode().strip()
        if not line:
            assert self._process.stderr is not None
            raise AssertionError(f"it said nothing more: {(await self._process.stderr.read()).decode()[-3000:]}")
        return line

    async def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        await self._process.stdin.drain()

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()

    def terminate(self) -> None:
        self._process.terminate()

    async def ended(self, within: float = 20.0) -> int:
        async with asyncio.timeout(within):
            return await self._process.wait()


@asynccontextmanager
async def program(code: str, *arguments: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-u", "-W", "error", "-c", textwrap.dedent(code), *arguments),
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate(b"")  # closes its standard input, too
