"""Event streams of the HITL door: what happened to a case, as it happens, and what a reader missed.

An idle stream holds nothing but its connection: it sleeps until its case is woken (or a heartbeat is due) and only then
asks the database. Wake-ups can get lost, so once a second one question per process asks for all watched cases together.
"""

from __future__ import annotations

import asyncio
import re

from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from api.schemas.answers import STREAMED, event_payload, poll_answer
from api.streams import CASE_KEY, HEADERS, HEARTBEAT, HEARTBEAT_SECONDS, RESCAN_SECONDS, Reading, Streams, send_frame
from core.errors import Unavailable
from core.hub import Subscription
from core.model import Principal
from core.states import TERMINAL


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
        with self._streams.hub.subscribe(CASE_KEY + self._case_id) as woken:
            first, seen, newest, closed = await self._catch_up()
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            await send_frame(send, first)
            with (
                Reading(receive, woken) as reading,
                self._streams.standing.held(self._reader.key_id, reading.end),
                self._streams.watching(self._case_id, newest),
            ):
                await self._follow(send, woken, reading.over, seen, newest, closed=closed)
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
                await send_frame(send, HEARTBEAT)

    async def _pass_on(self, send: Send, seen: int) -> tuple[int, bool]:
        """Send what happened since; the newest event seen, and whether the case has ended."""
        news = await self._streams.news.since(self._case_id, seen)
        if news is None:
            return seen, False
        case, events = news
        for event in events:
            if event.kind in STREAMED:
                payload = event_payload(event, case)
                await send_frame(send, _frame(f"review.{event.kind}", payload, f"{self._case_id}-{event.counter}"))
        return events[-1].counter, any(event.kind in TERMINAL for event in events)


def _frame(name: str, payload: object, event_id: str | None = None) -> bytes:
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {name}\ndata: ".encode() + to_json(payload) + b"\n\n"


def _counter(last_event_id: str | None, case_id: str) -> int | None:
    """The counter in a Last-Event-ID of this case; None for none, and for what no stream of this case has sent."""
    if last_event_id is None:
        return None
    found = re.fullmatch(re.escape(case_id) + r"-([0-9]{1,9})", last_event_id, re.ASCII)
    return int(found[1]) if found else None
