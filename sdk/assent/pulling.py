"""The pull loop: what is in hand, what is tried again later, where the cursor is. It knows no HTTP and no store."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from assent.pacing import Backoff, Clock
from assent.wire import DecisionEvent, Page

T = TypeVar("T")

PAGE = 100
WAIT_SECONDS = 25.0  # of a long poll; the server allows 30
RESCAN_SECONDS = 600.0  # then all that is not acked is looked through again
RETRIES = Backoff(base=1.0, cap=300.0)


class Outcome(StrEnum):
    """What became of one delivery of an event."""

    DONE = "done"  # the handler has finished, now or before
    LOST = "lost"  # somebody else has claimed it: the handler did not run
    HELD = "held"  # a person must look at it: the handler did not run, or is not to run again
    BUSY = "busy"  # a handler is at work on it elsewhere; it may come again
    FAILED = "failed"  # it could not be done now; it may come again

    @property
    def status(self) -> int:
        """What to answer a webhook: Assent delivers again after 503, and shows the delivery as failed after 409."""
        return {"busy": 503, "failed": 503, "held": 409}.get(self.value, 204)


@dataclass(order=True)
class _Later:
    due: float
    n: int
    event: DecisionEvent = field(compare=False)


class Pulling:
    """One run of the loop, in one event loop. `pull` takes cursor, limit and seconds to wait; `do` does one event."""

    def __init__(
        self,
        pull: Callable[[str, int, float], Coroutine[Any, Any, Page]],
        do: Callable[[DecisionEvent], Awaitable[Outcome]],
        clock: Clock,
        slots: int,
    ) -> None:
        self._pull = pull
        self._do = do
        self._clock = clock
        self._slots = slots
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()  # something in hand has ended
        self._sooner = asyncio.Event()  # there is something to do before the next page comes
        self._in_hand: set[asyncio.Task[None]] = set()
        self._backlog: deque[DecisionEvent] = deque()
        self._later: list[_Later] = []
        self._here: set[str] = set()  # ids of all three: a rescan shows them once more
        self._failures: dict[str, int] = {}
        self._numbers = itertools.count()
        self._error: BaseException | None = None

    def stop(self) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def work(self, *, once: bool = False) -> None:
        """Until `stop`; with `once`, until everything that is there has been tried. What is in hand finishes first,
        also when this is cancelled: only a second cancellation cuts it off. Raises what `pull` and `do` raise.
        """
        try:
            await self._work(once)
        finally:
            try:
                if self._in_hand:
                    await asyncio.wait(self._in_hand)
            except asyncio.CancelledError:
                for task in self._in_hand:
                    task.cancel()
                raise
        if self._error is not None:
            raise self._error

    async def _work(self, once: bool) -> None:
        cursor, scanned = "", self._clock.monotonic()
        while not self._stopping.is_set() and self._error is None:
            self._start()
            if self._backlog:  # no slot is free
                await self._either(self._ended.wait(), self._stopping.wait())
                continue
            now = self._clock.monotonic()
            if now - scanned >= RESCAN_SECONDS:
                cursor, scanned = "", now
            page = await self._page(cursor, 0.0 if once else WAIT_SECONDS)
            if page is None:
                continue
            cursor = page.next_cursor
            self._take(page)
            if once and not page.items:
                if not self._in_hand:
                    return
                await self._either(self._ended.wait(), self._stopping.wait())

    def _take(self, page: Page) -> None:
        for event in page.items:
            if event.event_id not in self._here:
                self._here.add(event.event_id)
                self._backlog.append(event)

    def _start(self) -> None:
        """Put to work what is due, as far as slots are free."""
        self._ended.clear()
        self._sooner.clear()
        now = self._clock.monotonic()
        while self._later and self._later[0].due <= now:
            self._backlog.append(heapq.heappop(self._later).event)
        while self._backlog and len(self._in_hand) < self._slots:
            event = self._backlog.popleft()
            task = asyncio.create_task(self._one(event))
            self._in_hand.add(task)
            task.add_done_callback(self._has_ended)

    async def _one(self, event: DecisionEvent) -> None:
        outcome = await self._do(event)
        if outcome in (Outcome.FAILED, Outcome.BUSY):
            failures = self._failures[event.event_id] = self._failures.get(event.event_id, 0) + 1
            pause = RETRIES.pause(failures, luck=random.random())  # noqa: S311 - spreads retries, guards nothing
            heapq.heappush(self._later, _Later(self._clock.monotonic() + pause, next(self._numbers), event))
            self._sooner.set()
        else:
            self._failures.pop(event.event_id, None)
            self._here.discard(event.event_id)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._error = self._error or error
            self._sooner.set()
        self._ended.set()

    async def _page(self, cursor: str, wait: float) -> Page | None:
        """The next page; None when something else comes first."""
        pulling = asyncio.ensure_future(self._pull(cursor, PAGE, wait))
        others: list[Coroutine[Any, Any, Any]] = [self._stopping.wait(), self._sooner.wait()]
        if self._later:
            others.append(self._clock.sleep(max(0.0, self._later[0].due - self._clock.monotonic())))
        await self._either(pulling, *others)
        return pulling.result() if pulling.done() and not pulling.cancelled() else None

    async def _either(self, *waits: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> None:
        """Until one of them is over; the others are called off."""
        tasks = [asyncio.ensure_future(each) for each in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
