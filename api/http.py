"""Requests and answers at their barest: no business, no routes. What every door needs, and as cheap as it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from api.review.browsers import cross_site
from core.errors import AssentError, Refused

T = TypeVar("T")
Header = tuple[bytes, bytes]

MAX_BODY = 1024 * 1024
MAX_LINGER = 16 * 1024 * 1024
LINGER_SECONDS = 2.0
_JSON: Header = (b"content-type", b"application/json")
_NOT_KEPT: Header = (b"cache-control", b"no-store")
_NOT_SNIFFED: Header = (b"x-content-type-options", b"nosniff")


class Unauthorized(AssentError):
    """Say who you are: send `Authorization: Bearer` and a key."""

    code = "unauthorized"


class BodyTooLarge(AssentError):
    """The body may have 1 MiB."""

    code = "body_too_large"


class MethodNotAllowed(AssentError):
    """This address does not take that method."""

    code = "method_not_allowed"

    def __init__(self, allow: str) -> None:
        self.allow = allow
        super().__init__()


class ClientGone(Exception):
    """Whoever asked has hung up: there is nobody to answer."""


class Answers(Protocol):
    """What a handler returns: anything that answers as an ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Answer:
    """A whole answer, sent in one piece."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: list[Header]) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


class LastAnswer(Answer):
    """An answer while the body is still coming in; then the connection closes.

    Closing at once, with bytes unread, would take the answer from its reader: TCP resets such a connection. So what
    comes is thrown away for a moment first.
    """

    __slots__ = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [*self.headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _throw_away(receive)
        await send({"type": "http.response.body", "body": b""})


async def _throw_away(receive: Receive) -> None:
    left = MAX_LINGER
    while left > 0:
        message = await receive()
        if not message.get("more_body", False):  # the end of the body, or of the connection
            return
        left -= len(message.get("body", b""))


def json_answer(status: int, value: Any, *headers: Header, cache: Header = _NOT_KEPT) -> Answer:
    return raw_json_answer(status, to_json(value), *headers, cache=cache)


def raw_json_answer(status: int, body: bytes, *headers: Header, cache: Header = _NOT_KEPT) -> Answer:
    """An answer whose JSON text is already there."""
    length = (b"content-length", b"%d" % len(body))
    return Answer(status, body, [_JSON, length, cache, _NOT_SNIFFED, *headers])


def header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return None


def route_path(scope: Scope) -> str:
    """The path within this application, which somebody may have mounted in theirs (ASGI: `path` has `root_path`)."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if path.startswith(f"{root}/") else path


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises BodyTooLarge by the announced length before reading any, or once it has grown too long."""
    announced = header(scope, b"content-length")
    if announced is not None and (len(announced) > 12 or int(announced) > MAX_BODY):
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY:
            raise BodyTooLarge
        if not message.get("more_body", False):
            return b"".join((*chunks, chunk)) if chunks else chunk
        chunks.append(chunk)


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, given up with ClientGone when whoever asked hangs up. The body must have been read."""
    working, gone = asyncio.ensure_future(work), asyncio.ensure_future(hung_up(receive))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise ClientGone
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


async def hung_up(receive: Receive) -> None:
    """Returns when whoever asked has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


def check_same_site(scope: Scope, public_url: str) -> None:
    """Raise Refused when a browser sent this from another web site than our own. Requests with a bearer token need not
    be asked: no browser adds that by itself.
    """
    if cross_site(Headers(scope=scope), public_url):
        raise Refused("this came from another web site; open the review link itself and answer there")
