"""The running process: start, serve, and stop without losing a tap.

Order of a stop: no new connections; requests under way are answered; then what works beside them (see `bot.working`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn
from starlette.applications import Starlette

from api.app import build_app
from bot.compose import Assembly, assemble
from bot.roles import Role
from bot.settings import Settings, WrongSetting
from bot.working import working
from core.errors import AssentError

log = structlog.get_logger()

GRACE_SECONDS = 5


class Process:
    """One running Assent: its address, and the way to end it."""

    def __init__(self, assembly: Assembly, server: uvicorn.Server, url: str) -> None:
        self.assembly = assembly
        self.url = url
        self._server = server

    def stop(self) -> None:
        self._server.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """The listening socket. Raises WrongSetting when the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, asyncio sets TCP_NODELAY; without, each answer would wait for the client's delayed ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise WrongSetting(f"HOST, PORT: cannot listen on {host}:{port}: {error.strerror}") from error
    listener.setblocking(False)
    return listener


@asynccontextmanager
async def running(
    settings: Settings,
    roles: tuple[Role, ...],
    *,
    clock_offset: Callable[[], int] = lambda: 0,
) -> AsyncIterator[tuple[Process, asyncio.Task[None]]]:
    """Serve until the block is left or the task ends (a signal, or `Process.stop`). The database is migrated."""
    listener = listen(settings.host, settings.port)
    port = listener.getsockname()[1]
    public_url = settings.public_url or f"http://localhost:{port}"
    try:
        assembly = assemble(settings, roles, public_url, clock_offset)
    except AssentError:
        listener.close()
        raise
    try:
        async with working(assembly):
            server = _server(assembly)
            process = Process(assembly, server, f"http://{_shown(settings.host)}:{port}")
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            await _until_started(server, serving)
            log.info("serving", url=process.url, public_url=public_url, roles=list(roles), database=_kind(settings))
            try:
                yield process, serving
            finally:
                server.should_exit = True
                await asyncio.wait({serving})
    finally:
        listener.close()
        log.info("stopped")


def _server(assembly: Assembly) -> uvicorn.Server:
    routes = [route for adapter in assembly.adapters for route in adapter.routes]
    app = build_app(
        assembly.services,
        doors="api" in assembly.roles,
        extra_routes=routes,
        beating=assembly.beating,
        scraped=assembly.scraped,
        watch=assembly.watch,
    )
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=2048,
    )
    return _Server(config, app)


class _Server(uvicorn.Server):
    """A server that ends its event streams when it stops, and leaves signals alone: uvicorn raises them again once it
    has stopped, which would end the process before its taps and workers are done."""

    def __init__(self, config: uvicorn.Config, app: Starlette) -> None:
        super().__init__(config)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.streams.close()
        await super().shutdown(sockets)


async def _until_started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    while not server.started:
        if serving.done():
            await serving
            raise WrongSetting("the server could not start; the log says why")
        await asyncio.sleep(0.005)


def _kind(settings: Settings) -> str:
    return "sqlite" if settings.on_sqlite else "postgresql"


def _shown(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
