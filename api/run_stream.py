"""Event streams of runs: what a run's readers are told, as it happens, and what a reader missed. Transport only: the
truth is in the ledger.

As with the streams of cases an idle one holds nothing but its connection, and one question per process and second asks
for all watched runs together.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from api.streams import (
    HEADERS,
    HEARTBEAT,
    HEARTBEAT_SECONDS,
    RESCAN_SECONDS,
    RUN_KEY,
    Reading,
    Streams,
    send_frame,
)
from core.errors import Unavailable
from core.hub import Subscription
from core.model import Principal
from core.run_views import STREAM_PAGE, Told
from core.schedule import iso

LAST = "ended"  # the entry after which nothing comes
_COUNTER = re.compile(r"[0-9]{1,9}", re.ASCII)


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
        with runs.hub.subscribe(RUN_KEY + self._workflow_id) as woken:
            run = await runs.views.run(self._reader, self._workflow_id)
            self._seen, self._ended = min(self._seen, run.last_event), run.ended
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            with (
                Reading(receive, woken) as reading,
                self._streams.standing.held(self._reader.key_id, reading.end),
                runs.watching(self._workflow_id) as at,
            ):
                await self._follow(send, woken, reading.over, at)
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
                await send_frame(send, self._frame(one))
                self._seen = one.counter
                if one.kind == LAST:
                    return
            if self._ended and not news:
                return
            at(self._seen)
            if len(news) < STREAM_PAGE and not await woken.wait(HEARTBEAT_SECONDS):
                await send_frame(send, HEARTBEAT)

    def _frame(self, told: Told) -> bytes:
        payload = {"workflowID": self._workflow_id, **told.data, "at": iso(told.created_at)}
        return f"id: {told.counter}\nevent: run.{told.kind}\ndata: ".encode() + to_json(payload) + b"\n\n"
