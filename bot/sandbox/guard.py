"""Keeps other web sites out: a page open in a browser must not reach this machine's control interface."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
FOR_THE_BOT = ("/slack/", "/telegram/")


class LocalOnly:
    """Outside the platforms' APIs, refuses a foreign Host (DNS rebinding) and a foreign Origin (cross-site)."""

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._names = LOCAL_NAMES | {host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(FOR_THE_BOT) and not self._is_local(scope):
            await PlainTextResponse("The sandbox answers this machine only.", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _is_local(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        origin = headers.get("origin")
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name in self._names and origin in (None, f"http://{host}", f"https://{host}")
