"""Closing a client's connection without an answer, as a dying server or a broken network does.

ASGI has no word for this, so the HTTP protocol below remembers each connection's transport under the client's
address.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

_transports: dict[tuple[str, int], asyncio.Transport] = {}


class RememberedConnection(H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base does
        super().connection_made(transport)
        if self.client is not None:
            _transports[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            _transports.pop(self.client, None)
        super().connection_lost(exc)


async def hang_up(request: Request) -> Response:
    """Close the connection under the request. The response returned goes nowhere."""
    client = request.client
    transport = _transports.get((client.host, client.port)) if client else None
    if transport is None:
        raise RuntimeError("this server does not remember its connections; run the app under Sandbox")
    transport.abort()
    while (await request.receive())["type"] != "http.disconnect":
        continue
    return Response(status_code=204)
