"""`Sandbox`: both platforms, the control interface and the face, in one HTTP server inside this process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette

from bot.sandbox.clock import Clock
from bot.sandbox.connections import RememberedConnection
from bot.sandbox.control import control_routes
from bot.sandbox.dates import Dated
from bot.sandbox.face import face_routes
from bot.sandbox.guard import LocalOnly
from bot.sandbox.platforms import TELEGRAM_TOKEN, Platforms
from bot.sandbox.slack import SlackApp


class Sandbox(Platforms):
    """A local Slack and a local Telegram, made with `Sandbox.running()` or with `Sandbox()` and `serve(port)`."""

    _server: QuietServer | None = None
    _serving: asyncio.Task[None] | None = None

    @classmethod
    @asynccontextmanager
    async def running(
        cls,
        port: int = 0,
        *,
        clock: Clock | None = None,
        rate_limits: bool = True,
        rate_scale: float = 1.0,
        slack_app: SlackApp | None = None,
        telegram_token: str = TELEGRAM_TOKEN,
    ) -> AsyncIterator[Sandbox]:
        """A sandbox that listens (port 0: any free port) until the block is left."""
        sandbox = cls(
            clock=clock,
            rate_limits=rate_limits,
            rate_scale=rate_scale,
            slack_app=slack_app,
            telegram_token=telegram_token,
        )
        await sandbox.start(port)
        try:
            yield sandbox
        finally:
            await sandbox.stop()

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen, and return as soon as the server answers. `address.url` says where."""
        # A socket that names its protocol: without, asyncio leaves Nagle's algorithm on, and answers wait for 40 ms.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
        shown = "127.0.0.1" if host in ("0.0.0.0", "") else host  # noqa: S104  # compared with, not bound to
        self.address.url = f"http://{shown}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            self._app(host),
            http=RememberedConnection,
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,
            timeout_graceful_shutdown=2,
        )
        self._server = QuietServer(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.ready.wait()
        self.changes.touch()

    async def serve(self, port: int, host: str = "127.0.0.1") -> None:
        """Listen until cancelled."""
        await self.start(port, host)
        try:
            await asyncio.Event().wait()
        finally:
            await self.stop()

    async def stop(self) -> None:
        self.faults.clear()
        self.changes.close()
        if self._server and self._serving:
            self._server.stop()
            await self._serving
            self._server = self._serving = None
        await self.slack.courier.close()
        await self.telegram.updates.close()

    def _app(self, host: str) -> Starlette:
        routes = [*self.slack.routes(), *self.telegram.routes(), *control_routes(self), *face_routes(self)]
        app = Starlette(routes=routes)
        app.add_middleware(LocalOnly, host=host)
        app.add_middleware(Dated, clock=self.clock)
        return app


class QuietServer(uvicorn.Server):
    """Uvicorn inside another program: leaves the signals alone and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._asked_to_stop = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._asked_to_stop.wait()

    def stop(self) -> None:
        self.should_exit = True
        self._asked_to_stop.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, but without its pauses of a tenth of a second: tests stop thousands of these."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(self.config.timeout_graceful_shutdown):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn has no event
                    await asyncio.sleep(0.002)
                for server in self.servers:
                    await server.wait_closed()
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel("it had not ended when the server did")
        await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
