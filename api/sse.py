"""Event streams of the HITL door: what happened to a case, as it happens, and what a reader missed.

An idle stream holds nothing but its connection: it sleeps until its case is woken (or a heartbeat is due) and only then
asks the database. Wake-ups can get lost, so once a second one question per process asks for all watched cases together.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import structlog
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from api.http import hung_up
from api.run_stream import RunStreams
from api.schemas.answers import STREAMED, event_payload, poll_answer
from api.standing import Standing
from core.errors import Unavailable
from core.hub import EVERYBODY, Hub, Subscription
from core.model import Case, Principal
from core.states import TERMINAL
from core.views import CaseEvent, Views

log = structlog.get_logger()
Found = tuple[Case, list[CaseEvent]]

HEARTBEAT_SECONDS = 15.0
RESCAN_SECONDS = 1.0
_HEARTBEAT = b": heartbeat\n\n"
MAX_BATCH = 64  # cases in one question: each may be large
_KEY = "case:"
_HEADERS = [
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
        return [key.removeprefix(_KEY) for key in self.hub.watched(_KEY)]

    def _wake(self, *case_ids: str) -> None:
        self.hub.wake(*(_KEY + case_id for case_id in case_ids), local=False)


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


class EventStream:
    """One stream of one case, as an ASGI application; it ends with the case, or when the reader's key is taken away.
    Raises NotFound before anything is sent.
    """

    def __init__(self, streams: Streams, reader: Principal, case_id: str, last_event_id: str | None) -> None:
        self._streams = streams
        self._views = streams.views
        self._reader = reader
        self._case_id = case_id
        self._last_event_id = last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Subscribed before the first read: what happens in between is not missed.
        with self._streams.hub.subscribe(_KEY + self._case_id) as woken:
            first, seen, newest, closed = await self._catch_up()
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            await _send(send, first)
            over = asyncio.Event()

            def end() -> None:
                over.set()
                woken.set()

            gone = asyncio.create_task(_when_gone(receive, end))
            try:
                held = self._streams.standing.held(self._reader.key_id, end)
                with held, self._streams.watching(self._case_id, newest):
                    await self._follow(send, woken, over, seen, newest, closed=closed)
            finally:
                gone.cancel()
            await send({"type": "http.response.body", "body": b""})

    async def _catch_up(self) -> tuple[bytes, int, int, bool]:
        """The first frame, the last event that the reader has seen, the newest one, and whether the case is closed."""
        case = await self._views.case(self._reader.tenant_id, self._case_id)
        seen = _counter(self._last_event_id, self._case_id)
        seen = case.last_event if seen is None else min(seen, case.last_event)
        return _frame("review.status", poll_answer(case)), seen, case.last_event, case.status in TERMINAL

    async def _follow(
        self, send: Send, woken: Subscription, over: asyncio.Event, seen: int, newest: int, *, closed: bool
    ) -> None:
        news = seen < newest
        while True:
            if news:
                try:
                    seen, ended = await self._pass_on(send, seen)
                except Unavailable:
                    # The reader keeps its connection; the database is asked again in a moment.
                    await woken.wait(RESCAN_SECONDS)
                    continue
                closed = closed or ended
            if closed:
                return
            news = await woken.wait(HEARTBEAT_SECONDS)
            if over.is_set() or self._streams.closing:
                return
            if not news:
                await _send(send, _HEARTBEAT)

    async def _pass_on(self, send: Send, seen: int) -> tuple[int, bool]:
        """Send what happened since; the newest event seen, and whether the case has ended."""
        news = await self._streams.news.since(self._case_id, seen)
        if news is None:
            return seen, False
        case, events = news
        for event in events:
            if event.kind in STREAMED:
                payload = event_payload(event, case)
                await _send(send, _frame(f"review.{event.kind}", payload, f"{self._case_id}-{event.counter}"))
        return events[-1].counter, any(event.kind in TERMINAL for event in events)


async def _when_gone(receive: Receive, end: Callable[[], None]) -> None:
    await hung_up(receive)
    end()


async def _send(send: Send, frame: bytes) -> None:
    await send({"type": "http.response.body", "body": frame, "more_body": True})


def _frame(name: str, payload: object, event_id: str | None = None) -> bytes:
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: ".encode() + to_json(payload) + b"\n\n"


def _counter(last_event_id: str | None, case_id: str) -> int | None:
    """The counter in a Last-Event-ID of this case; None for none, and for what no stream of this case has sent."""
    if last_event_id is None:
        return None
    found = re.fullmatch(re.escape(case_id) + r"-([0-9]{1,9})", last_event_id, re.ASCII)
    return int(found[1]) if found else None
