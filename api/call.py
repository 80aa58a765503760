"""One request to one route, as its handler is given it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from api.http import Answers, Unauthorized, header, read_body, unless_gone
from api.services import Services
from api.streams import Streams
from core.errors import InvalidInput
from core.model import Principal
from core.strictjson import load_object

T = TypeVar("T")


class Call:
    """One request to one route. `principal` is None on routes that know another credential, or need none."""

    __slots__ = ("principal", "receive", "scope", "services", "streams")

    def __init__(
        self, services: Services, streams: Streams, scope: Scope, receive: Receive, principal: Principal | None
    ) -> None:
        self.services = services
        self.streams = streams
        self.scope = scope
        self.receive = receive
        self.principal = principal

    @property
    def caller(self) -> Principal:
        """The principal, on routes that ask for a key."""
        if self.principal is None:
            raise Unauthorized
        return self.principal

    @property
    def params(self) -> Mapping[str, str]:
        """What the path's placeholders hold."""
        found: Mapping[str, str] = self.scope["path_params"]
        return found

    def header(self, name: bytes) -> str | None:
        return header(self.scope, name)

    def query(self, *known: str) -> dict[str, str]:
        """The query's parameters. Raises InvalidInput for unknown and repeated ones."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True):
            if name not in known or name in found:
                problem = "stands twice" if name in found else "is not a known parameter"
                raise InvalidInput(f"{name} {problem}", field=name)
            found[name] = value
        return found

    async def body(self) -> bytes:
        return await read_body(self.scope, self.receive)

    async def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises InvalidInput that says what is wrong with it."""
        return load_object(await self.body())


Handler = Callable[[Call], Coroutine[Any, Any, Answers]]


async def while_known(call: Call, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, given up when whoever asked hangs up (ClientGone) or their key is taken away
    (Unauthorized). The body must have been read.
    """
    working = asyncio.ensure_future(unless_gone(call.receive, work))
    lost = False

    def end() -> None:
        nonlocal lost
        lost = True
        working.cancel()

    with call.streams.standing.held(call.caller.key_id, end):
        try:
            return await working
        except asyncio.CancelledError:
            if lost:
                raise Unauthorized("this key is not known here; it may have been revoked") from None
            raise
