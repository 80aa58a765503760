"""The live inbox: a stream that says when something has changed of what waits for a person. What it is, the page asks
for itself.

An idle stream holds nothing but its connection. Whatever happens to any case wakes it; then, and every few seconds
besides, it asks one small question, and a few streams of this process at a time.
"""

from __future__ import annotations

import asyncio
import time

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from api.inbox.base import PATH, Pages
from api.review.html import Html
from api.services import Services
from api.streams import HEADERS, HEARTBEAT, HEARTBEAT_SECONDS, Reading, Streams, send_frame
from api.visitors import Visitor
from core.errors import Unavailable
from core.hub import EVERYBODY, Subscription

RESCAN_SECONDS = 5.0
PAUSE_SECONDS = 0.5  # between two questions of one stream
WHO_SECONDS = 60.0  # how long a person's groups and chats are taken for known
AT_ONCE = 3
_HEADERS = [*HEADERS, (b"x-content-type-options", b"nosniff")]


class Live(Pages):
    def __init__(self, services: Services, html: Html, streams: Streams) -> None:
        super().__init__(services, html)
        self._streams = streams
        self._turns = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[BaseRoute]:
        return [self.route(PATH + "/events", self.events, ["GET"], "inbox_events")]

    async def events(self, request: Request) -> Response:
        return _Stream(self, await self.visitor(request))

    @property
    def closing(self) -> bool:
        return self._streams.closing

    async def entries(self, visitor: Visitor) -> frozenset[str]:
        async with self._turns:
            return await self.services.inbox.entries(visitor.identity)

    async def mark(self, entries: frozenset[str]) -> str:
        async with self._turns:
            return await self.services.records.mark(entries)

    async def still_in(self, visitor: Visitor) -> bool:
        return await self.services.sessions.who(visitor.token) is not None


class _Stream(Response):
    """One open page. It ends with the session, and with the process."""

    def __init__(self, live: Live, visitor: Visitor) -> None:
        super().__init__()
        self._live = live
        self._visitor = visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Subscribed before the first question: what happens in between is not missed.
        with self._live.services.hub.subscribe("cards", EVERYBODY) as woken:
            entries = await self._live.entries(self._visitor)
            mark = await self._live.mark(entries)
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b""})
                return
            await send_frame(send, b"event: hello\ndata: {}\n\n")
            with Reading(receive, woken) as reading:
                await self._follow(send, woken, reading.over, entries, mark)
            await send({"type": "http.response.body", "body": b""})

    async def _follow(
        self, send: Send, woken: Subscription, over: asyncio.Event, entries: frozenset[str], mark: str
    ) -> None:
        spoke = known = time.monotonic()
        while True:
            await woken.wait(RESCAN_SECONDS)
            if over.is_set() or self._live.closing:
                return
            now = time.monotonic()
            try:
                if now - spoke >= HEARTBEAT_SECONDS:
                    if not await self._live.still_in(self._visitor):
                        return
                    await send_frame(send, HEARTBEAT)
                    spoke = now
                if now - known >= WHO_SECONDS:
                    entries, known = await self._live.entries(self._visitor), now
                fresh = await self._live.mark(entries)
            except Unavailable:
                continue  # the page keeps its connection; the database is asked again in a moment
            if fresh != mark:
                mark = fresh
                await send_frame(send, b"event: changed\ndata: {}\n\n")
            await asyncio.sleep(PAUSE_SECONDS)
