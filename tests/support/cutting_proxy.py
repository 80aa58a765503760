"""A small TCP proxy in front of PostgreSQL that loses the acknowledgement of a commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

When = Literal["before it is sent", "when it is sent", "when it was answered"]


class CuttingProxy:
    """Passes everything on, but cuts the connection that sends the next COMMIT, at the moment it is armed for:
    before the server gets the commit, right after, or when the server has done it and says so.
    """

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._armed: When | None = None
        self.cuts = 0
        self._open: set[asyncio.Task[None]] = set()
        self.url = ""

    def arm(self, when: When) -> None:
        self._armed = when

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            server = await asyncio.open_connection(self._target.hostname, self._target.port)
            await _Conversation(self, (reader, writer), server).run()
        except OSError:
            writer.transport.abort()
        finally:
            self._open.discard(task)

    def take_armed(self) -> When | None:
        """What to do about a COMMIT that just came by; only the first one is cut."""
        when, self._armed = self._armed, None
        if when is not None:
            self.cuts += 1
        return when


class _Conversation:
    def __init__(
        self,
        proxy: CuttingProxy,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        self._deaf = False  # the server's next words are not passed on

    async def run(self) -> None:
        halves = [asyncio.create_task(self._to_server()), asyncio.create_task(self._to_client())]
        try:
            await asyncio.wait(halves, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for half in halves:
                half.cancel()
            await asyncio.gather(*halves, return_exceptions=True)
            for _, writer in (self._client, self._server):
                writer.transport.abort() if self._deaf else writer.close()

    async def _to_server(self) -> None:
        with suppress(OSError):
            while data := await self._client[0].read(1 << 16):
                when = self._proxy.take_armed() if b"COMMIT" in data else None
                self._deaf = when is not None
                if when == "before it is sent":
                    return
                self._server[1].write(data)
                await self._server[1].drain()
                if when == "when it is sent":
                    return

    async def _to_client(self) -> None:
        with suppress(OSError):
            while data := await self._server[0].read(1 << 16):
                if self._deaf:
                    return
                self._client[1].write(data)
                await self._client[1].drain()


@asynccontextmanager
async def cutting_proxy(url: str) -> AsyncIterator[CuttingProxy]:
    """A proxy in front of the database of `url`; its own `url` leads through it."""
    proxy = CuttingProxy(url)
    listener = await asyncio.start_server(proxy._serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    account = proxy._target.netloc.rpartition("@")[0]
    proxy.url = proxy._target._replace(netloc=f"{account}@127.0.0.1:{port}").geturl()
    try:
        yield proxy
    finally:
        listener.close()
        for task in list(proxy._open):
            task.cancel()
        await asyncio.gather(*proxy._open, return_exceptions=True)
        await listener.wait_closed()
