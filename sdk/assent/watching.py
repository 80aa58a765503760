"""The ways to learn that something has changed at Assent: a stream that is taken up again, and callbacks."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import httpx

from assent.errors import Refused, StillWaiting, UnexpectedAnswer
from assent.http import Http
from assent.sse import Frame, Frames, TooLong
from assent.wire import Case, Gate, Task

T = TypeVar("T")

Watch = Literal["stream", "poll", "callback"]
SILENCE_SECONDS = 45.0  # of a stream whose heartbeats come every 15
SPARSE_POLL_SECONDS = 300.0  # beside callbacks, for those that get lost


async def at_most(seconds: float | None, waiting: Case | Gate | Task, work: Awaitable[T]) -> T:
    """What `work` finds; raises StillWaiting when that takes longer."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():  # somebody else's
            raise
    raise StillWaiting(waiting)


async def follow(http: Http, path: str, hear: Callable[[Frame], Awaitable[T | None]]) -> T:
    """Read an event stream until `hear` makes something of an event. One that breaks is taken up where it was, for as
    long as it takes. Raises what the server refuses, UnexpectedAnswer, and what `hear` raises.
    """
    last_id: str | None = None
    failures = 0
    while True:
        frames = Frames(last_id)
        try:
            async with http.stream(path, headers=_headers(last_id), silence_seconds=SILENCE_SECONDS) as chunks:
                async for chunk in chunks:
                    for frame in frames.feed(chunk):
                        failures = 0
                        last_id = frame.id
                        found = await hear(frame)
                        if found is not None:
                            return found
        except TooLong:
            raise UnexpectedAnswer("the event stream holds a frame that does not end") from None
        except (httpx.RequestError, Refused) as error:
            pause = http.pause(error, failures + 1)
            if pause is None:
                raise
        else:  # the server has ended the stream: it stops, and another one takes over
            pause = http.backoff.pause(failures + 1)
        failures += 1
        await http.clock.sleep(pause)


def data_of(frame: Frame) -> dict[str, Any]:
    """What an event says. Raises UnexpectedAnswer."""
    try:
        found = json.loads(frame.data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UnexpectedAnswer("the event stream holds an event that is no JSON object")
    return found


class Callbacks:
    """Who waits for a callback about which case, in which event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiters: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}

    async def until(self, http: Http, case_id: str, look: Callable[[], Awaitable[T | None]]) -> T:
        """What `look` finds: at once, after a callback, or at the latest when it is time for another look."""
        with self._waiter(case_id) as called:  # before the first look: what comes in between is not missed
            while True:
                found = await look()
                if found is not None:
                    return found
                await _either(called, http)

    def wake(self, case_id: str) -> None:
        """From any thread."""
        with self._lock:
            for loop, event in self._waiters.get(case_id, []):
                loop.call_soon_threadsafe(event.set)

    def awaits(self, case_id: str) -> bool:
        with self._lock:
            return case_id in self._waiters

    @contextmanager
    def _waiter(self, case_id: str) -> Iterator[asyncio.Event]:
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiters.setdefault(case_id, []).append(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                self._waiters[case_id].remove(entry)
                if not self._waiters[case_id]:
                    del self._waiters[case_id]


async def _either(called: asyncio.Event, http: Http) -> None:
    """Until a callback came, or the time for another look."""
    tasks = [asyncio.ensure_future(called.wait()), asyncio.ensure_future(http.clock.sleep(SPARSE_POLL_SECONDS))]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    called.clear()


def _headers(last_id: str | None) -> dict[str, str]:
    found = {"accept": "text/event-stream"}
    return found if not last_id else found | {"last-event-id": last_id}
