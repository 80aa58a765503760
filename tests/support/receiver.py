"""Somebody else's endpoint: a real HTTP server that keeps what it was sent and answers as it is told."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float


@dataclass
class Receiver:
    """`script` holds how the next requests are answered; when it is empty, `then` is."""

    host: str = "127.0.0.1"
    port: int = 0
    scheme: str = "http"
    received: list[Received] = field(default_factory=list)
    script: deque[Behaviour] = field(default_factory=deque)
    then: Behaviour = field(default_factory=lambda: answer(200, "thank you"))
    connections: int = 0

    def url(self, path: str = "/hook", host: str | None = None) -> str:
        return f"{self.scheme}://{host or self.host}:{self.port}{path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *lines = head.strip().split("\r\n")
                headers = dict(_header(line) for line in lines)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = first.split(" ")
                self.received.append(Received(method, target, headers, body, asyncio.get_running_loop().time()))
                await (self.script.popleft() if self.script else self.then)(writer)
                await writer.drain()
        finally:
            writer.close()


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()


def answer(status: int, text: str = "", **headers: str) -> Behaviour:
    """A whole answer; `retry_after="2"` is the header Retry-After."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        body = text.encode()
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join([f"HTTP/1.1 {status} Whatever", f"content-length: {len(body)}", *lines])
        writer.write(head.encode() + b"\r\n\r\n" + body)

    return behave


def raw(*chunks: bytes, pause: float = 0.0) -> Behaviour:
    """Bytes as they are, one after the other."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(pause)

    return behave


def held(until: asyncio.Event, then: Behaviour | None = None) -> Behaviour:
    """No answer before `until`."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        await until.wait()
        await (then or answer(200))(writer)

    return behave


@asynccontextmanager
async def receiver(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    """A receiver on a port of its own."""
    found = Receiver(host=host, scheme="https" if tls else "http")
    server = await asyncio.start_server(found.serve, host, 0, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in asyncio.all_tasks():
            if task.get_coro().__qualname__ == "Receiver.serve":  # type: ignore[union-attr]
                task.cancel()
        await server.wait_closed()
