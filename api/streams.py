"""The event streams of this process, together: one question per kind and second asks what is new for all of them, and
all end when the process stops.

Streams live on wake-ups. Those can get lost, which the questions make good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from starlette.types import Receive, Send

from api.http import hung_up
from api.standing import Standing
from core.errors import AssentError, Unavailable
from core.hub import EVERYBODY, Hub, Subscription
from core.model import Case
from core.run_views import RunViews
from core.views import CaseEvent, Views

log = structlog.get_logger()
Found = tuple[Case, list[CaseEvent]]

HEARTBEAT_SECONDS = 15.0
RESCAN_SECONDS = 1.0
HEARTBEAT = b": heartbeat\n\n"
MAX_BATCH = 64  # cases in one question: each may be large
CASE_KEY, RUN_KEY = "case:", "run:"
HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # a proxy that collects frames would undo the stream
]


class Streams:
    """The event streams of this process: one re-scan for all, and a way to end them when the process stops."""

    def __init__(self, views: Views, hub: Hub, standing: Standing, runs: RunStreams) -> None:
        self.views = views
        self.hub = hub
        self.standing = standing
        self.runs = runs
        self.news = _News(views)
        self.closing = False
        self._open = 0
        self._noted: dict[str, int] = {}  # the newest event of each watched case, as the last scan found it
        self._scanner: asyncio.Task[None] | None = None

    def close(self) -> None:
        """End all streams, for a server that stops; their readers come back with Last-Event-ID."""
        self.closing = True
        self._wake(*self._watched())
        self.runs.wake()
        self.hub.wake(EVERYBODY, local=False)

    @property
    def scanning(self) -> bool:
        return self._scanner is not None

    @contextmanager
    def watching(self, case_id: str, counter: int) -> Iterator[None]:
        """While a stream that has seen the case up to `counter` is open."""
        self._noted.setdefault(case_id, counter)
        self._open += 1
        if self._scanner is None:
            self._scanner = asyncio.create_task(self._rescan())
        try:
            yield
        finally:
            self._open -= 1
            if self._open == 0:
                self._scanner.cancel()
                self._scanner = None
                self._noted.clear()

    async def _rescan(self) -> None:
        while True:
            await asyncio.sleep(RESCAN_SECONDS)
            try:
                found = await self.views.last_events(self._watched())
            except Unavailable as error:
                log.warning("streams.again", error=error.message)
                continue
            except Exception:
                # Streams live on their wake-ups meanwhile.
                log.exception("streams.failed")
                continue
            self._wake(*(case_id for case_id, counter in found.items() if self._noted.get(case_id) != counter))
            self._noted = found

    def _watched(self) -> list[str]:
        return [key.removeprefix(CASE_KEY) for key in self.hub.watched(CASE_KEY)]

    def _wake(self, *case_ids: str) -> None:
        self.hub.wake(*(CASE_KEY + case_id for case_id in case_ids), local=False)


class _News:
    """What happened to cases, for all streams of this process together: whoever asks while a question is under way is
    part of the next one. So a thousand cases that end at once are a few questions, one after the other.
    """

    def __init__(self, views: Views) -> None:
        self._views = views
        self._asked: list[_Asked] = []
        self._reading: asyncio.Task[None] | None = None

    async def since(self, case_id: str, seen: int) -> Found | None:
        """None when nothing happened. Raises what the question raised."""
        asked = _Asked(case_id, seen, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await asked.answer

    async def _read(self) -> None:
        while self._asked:
            batch, self._asked = self._asked[:MAX_BATCH], self._asked[MAX_BATCH:]
            seen: dict[str, int] = {}
            for one in batch:
                seen[one.case_id] = min(one.seen, seen.get(one.case_id, one.seen))
            try:
                found = await self._views.case_news(seen)
            except Exception as error:  # noqa: BLE001 - it is raised in every stream that asked
                for one in batch:
                    one.fail(error)
            else:
                for one in batch:
                    one.tell(found.get(one.case_id))
        self._reading = None


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    case_id: str
    seen: int
    answer: asyncio.Future[Found | None]

    def tell(self, found: Found | None) -> None:
        if self.answer.done():  # whoever asked has gone away
            return
        events = [event for event in found[1] if event.counter > self.seen] if found else []
        self.answer.set_result((found[0], events) if found and events else None)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class RunStreams:
    """The streams of runs of this process: one re-scan for all."""

    def __init__(self, views: RunViews, hub: Hub) -> None:
        self.views = views
        self.hub = hub
        self._seen: dict[str, list[int]] = {}  # workflow → how far each of its open streams is, the furthest last
        self._scanner: asyncio.Task[None] | None = None

    def wake(self, *workflow_ids: str) -> None:
        self.hub.wake(*(RUN_KEY + workflow_id for workflow_id in workflow_ids or self._seen), local=False)

    @contextmanager
    def watching(self, workflow_id: str) -> Iterator[Callable[[int], None]]:
        """While a stream is open; it says how far it is."""
        place = [0]
        places = self._seen.setdefault(workflow_id, [])
        places.append(0)

        def at(counter: int) -> None:
            places.remove(place[0])
            place[0] = counter
            places.append(counter)

        if self._scanner is None:
            self._scanner = asyncio.create_task(self._rescan())
        try:
            yield at
        finally:
            places.remove(place[0])
            if not places:
                del self._seen[workflow_id]
            if not self._seen:
                self._scanner.cancel()
                self._scanner = None

    async def _rescan(self) -> None:
        while True:
            await asyncio.sleep(RESCAN_SECONDS)
            try:
                heads = await self.views.heads(list(self._seen))
            except AssentError as error:
                log.warning("run_streams.again", error=error.message)
                continue
            except Exception:
                # Streams live on their wake-ups meanwhile.
                log.exception("run_streams.failed")
                continue
            behind = [one for one, head in heads.items() if min(self._seen.get(one, [head])) < head]
            if behind:
                self.wake(*behind)


class Reading:
    """While somebody reads a stream: `over` is set, and the stream woken, once they hang up or `end` is called."""

    __slots__ = ("_gone", "_woken", "over")

    def __init__(self, receive: Receive, woken: Subscription) -> None:
        self.over = asyncio.Event()
        self._woken = woken
        self._gone = asyncio.create_task(self._until_gone(receive))

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.cancel()

    def end(self) -> None:
        self.over.set()
        self._woken.set()

    async def _until_gone(self, receive: Receive) -> None:
        await hung_up(receive)
        self.end()


async def send_frame(send: Send, frame: bytes) -> None:
    """Send a piece of a stream, which goes on."""
    await send({"type": "http.response.body", "body": frame, "more_body": True})
