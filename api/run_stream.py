"""Event streams of runs: what a run's readers are told, as it happens, and what a reader missed. Transport only: the
truth is in the ledger.

As with the streams of cases an idle one holds nothing but its connection, and one question per process and second asks
for all watched runs together.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from api.http import hung_up
from core.errors import AssentError, Unavailable
from core.hub import Hub, Subscription
from core.model import Principal
from core.run_views import STREAM_PAGE, RunViews, Told
from core.schedule import iso

if TYPE_CHECKING:
    from api.sse import Streams

log = structlog.get_logger()

HEARTBEAT_SECONDS = 15.0
RESCAN_SECONDS = 1.0
LAST = "ended"  # the entry after which nothing comes
_HEARTBEAT = b": heartbeat\n\n"
_KEY = "run:"
_COUNTER = re.compile(r"[0-9]{1,9}", re.ASCII)
_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class RunStreams:
    """The streams of runs of this process: one re-scan for all."""

    def __init__(self, views: RunViews, hub: Hub) -> None:
        self.views = views
        self.hub = hub
        self._seen: dict[str, list[int]] = {}  # workflow → how far each of its open streams is, the furthest last
        self._scanner: asyncio.Task[None] | None = None

    def wake(self, *workflow_ids: str) -> None:
        self.hub.wake(*(_KEY + workflow_id for workflow_id in workflow_ids or self._seen), local=False)

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


class RunStream:
    """One stream of one run, as an ASGI application. Raises NotFound before anything is sent."""

    def __init__(self, streams: Streams, reader: Principal, workflow_id: str, last_event_id: str | None) -> None:
        self._streams = streams
        self._reader = reader
        self._workflow_id = workflow_id
        known = last_event_id is not None and _COUNTER.fullmatch(last_event_id)
        self._seen = int(str(last_event_id)) if known else 0
        self._ended = False  # before the reader came

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        runs = self._streams.runs
        with runs.hub.subscribe(_KEY + self._workflow_id) as woken:
            run = await runs.views.run(self._reader, self._workflow_id)
            self._seen, self._ended = min(self._seen, run.last_event), run.ended
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            over = asyncio.Event()

            def end() -> None:
                over.set()
                woken.set()

            gone = asyncio.create_task(_when_gone(receive, end))
            try:
                held = self._streams.standing.held(self._reader.key_id, end)
                with held, runs.watching(self._workflow_id) as at:
                    await self._follow(send, woken, over, at)
            finally:
                gone.cancel()
            await send({"type": "http.response.body", "body": b""})

    async def _follow(self, send: Send, woken: Subscription, over: asyncio.Event, at: Callable[[int], None]) -> None:
        views = self._streams.runs.views
        while not over.is_set() and not self._streams.closing:
            try:
                news = await views.stream(self._workflow_id, self._seen)
            except Unavailable:
                # The reader keeps its connection; the database is asked again in a moment.
                await woken.wait(RESCAN_SECONDS)
                continue
            for one in news:
                await _send(send, self._frame(one))
                self._seen = one.counter
                if one.kind == LAST:
                    return
            if self._ended and not news:
                return
            at(self._seen)
            if len(news) < STREAM_PAGE and not await woken.wait(HEARTBEAT_SECONDS):
                await _send(send, _HEARTBEAT)

    def _frame(self, told: Told) -> bytes:
        payload = {"workflowID": self._workflow_id, **told.data, "at": iso(told.created_at)}
        return f"id: {told.counter}\nevent: run.{told.kind}\ndata: ".encode() + to_json(payload) + b"\n\n"


async def _when_gone(receive: Receive, end: Callable[[], None]) -> None:
    await hung_up(receive)
    end()


async def _send(send: Send, frame: bytes) -> None:
    await send({"type": "http.response.body", "body": frame, "more_body": True})
