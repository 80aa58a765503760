"""Every request, told to whoever counts and traces: by its route as declared, so without ids, and without its query."""

from __future__ import annotations

import time
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import header
from core.meters import Watch

OTHER = "other"  # what no route of ours is declared for
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Watched:
    """`doors`: the name of each route's door, by the route's path."""

    def __init__(self, app: ASGIApp, doors: Mapping[str, str], watch: Watch) -> None:
        self._app = app
        self._doors = doors
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        method = scope["method"] if scope["method"] in METHODS else OTHER

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                door, route = self._place(scope)
                self._watch.meters.requested(door, route, method, status, time.perf_counter() - began)
            await send(message)

        with self._watch.spans.served(_carried(scope)) as span:
            try:
                await self._app(scope, receive, noted)
            finally:
                door, route = self._place(scope)
                span.named(f"{method} {route}")
                # 0: whoever asked had gone before there was an answer
                span.about(door=door, **{"http.request.method": method, "http.route": route})
                span.about(**{"http.response.status_code": status or None})

    def _place(self, scope: Scope) -> tuple[str, str]:
        path = getattr(scope.get("route"), "path", None)
        door = self._doors.get(path) if path is not None else None
        return (OTHER, OTHER) if path is None or door is None else (door, path)


def _carried(scope: Scope) -> dict[str, str]:
    """What came of W3C Trace Context."""
    found = {name: header(scope, name.encode()) for name in ("traceparent", "tracestate")}
    return {name: value for name, value in found.items() if value is not None}
