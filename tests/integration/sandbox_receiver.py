"""A small HTTP server that stands where the bot would: it keeps what it is sent and answers as it is told."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bot.sandbox.server import QuietServer


@dataclass
class Received:
    headers: dict[str, str]
    body: bytes


async def accept(_received: Received) -> Response:
    return Response()


@dataclass
class Receiver:
    url: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], Awaitable[Response]] = accept

    async def endpoint(self, request: Request) -> Response:
        received = Received(dict(request.headers), await request.body())
        self.received.append(received)
        return await self.answer(received)


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an ASGI application on a free port; gives its base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = QuietServer(uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    await server.ready.wait()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()
        await task


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = Starlette(routes=[Route("/hook", receiver.endpoint, methods=["POST"])])
    async with serving(app) as url:
        receiver.url = f"{url}/hook"
        yield receiver
