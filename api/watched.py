"""Every request, told to whoever counts and traces: by its route as declared, so without ids, and without its query."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import header
from core.meters import Meters, Spans, Watch

OTHER = "other"  # what no route of ours is declared for
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


def watched(app: ASGIApp, doors: Mapping[str, str], watch: Watch) -> ASGIApp:
    """`app`, wrapped for those who listen. `doors`: the name of each route's door, by the route's path."""
    if watch.counts:
        app = Counted(app, doors, watch.meters)
    if watch.traces:
        app = Traced(app, doors, watch.spans)
    return app


class Counted:
    def __init__(self, app: ASGIApp, doors: Mapping[str, str], meters: Meters) -> None:
        self._app = app
        self._doors = doors
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                door, route = _place(scope, self._doors)
                seconds = time.perf_counter() - began
                self._meters.requested(door, route, _method(scope), message["status"], seconds)
            await send(message)

        await self._app(scope, receive, noted)


class Traced:
    def __init__(self, app: ASGIApp, doors: Mapping[str, str], spans: Spans) -> None:
        self._app = app
        self._doors = doors
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | None = None  # stays so when whoever asked has gone before there was an answer

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with self._spans.served(_carried(scope)) as span:
            try:
                await self._app(scope, receive, noted)
            finally:
                (door, route), method = _place(scope, self._doors), _method(scope)
                span.named(f"{method} {route}")
                told = {"http.request.method": method, "http.route": route, "http.response.status_code": status}
                span.about(door=door, **told)


def _method(scope: Scope) -> str:
    method: str = scope["method"]
    return method if method in METHODS else OTHER


def _place(scope: Scope, doors: Mapping[str, str]) -> tuple[str, str]:
    """The door and the route that a request was for, once it was routed."""
    path = getattr(scope.get("route"), "path", None)
    door = None if path is None else doors.get(path)
    return (OTHER, OTHER) if path is None or door is None else (door, path)


def _carried(scope: Scope) -> dict[str, str]:
    """What came of W3C Trace Context."""
    found = {name: header(scope, name.encode()) for name in ("traceparent", "tracestate")}
    return {name: value for name, value in found.items() if value is not None}
