"""`GET /openapi`, `/openapi.yaml` and `/openapi-3.1.json`: made when they are first asked for, then kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import yaml
from pydantic_core import to_json

from api.http import Answer, Answers, Call, Header

if TYPE_CHECKING:
    from api.doors.entry import Door

_KEPT: Header = (b"cache-control", b"public, no-cache")  # asked for again, but sent only when it has changed
_OPEN: Header = (b"access-control-allow-origin", b"*")  # a public text: tools on other sites may read it
_NOT_SNIFFED: Header = (b"x-content-type-options", b"nosniff")


class Documents:
    """The documents of these doors, at this address; `doors` is asked when the first document is."""

    def __init__(self, doors: Callable[[], Sequence[Door]], url: str) -> None:
        self._doors = doors
        self._url = url

    @cached_property
    def newest(self) -> dict[str, Any]:
        """As a 3.1 document."""
        # Pydantic's schema generator takes its time to import, and most processes are never asked.
        from api.openapi.document import build

        return build(self._doors(), self._url)

    @cached_property
    def older(self) -> dict[str, Any]:
        """As a 3.0.3 document."""
        from api.openapi.downgrade import downgraded

        return downgraded(self.newest)

    @cached_property
    def newest_json(self) -> bytes:
        return to_json(self.newest)

    @cached_property
    def older_json(self) -> bytes:
        return to_json(self.older)

    @cached_property
    def older_yaml(self) -> bytes:
        dumper = type("_Whole", (_Dumper,), {"ignore_aliases": lambda self, data: True})
        return yaml.dump(self.older, Dumper=dumper, allow_unicode=True, sort_keys=False, width=120).encode()

    async def openapi(self, call: Call) -> Answers:
        """`GET /openapi`"""
        return await _text(call, b"application/json", lambda: self.older_json)

    async def openapi_yaml(self, call: Call) -> Answers:
        """`GET /openapi.yaml`"""
        return await _text(call, b"application/yaml", lambda: self.older_yaml)

    async def openapi_newest(self, call: Call) -> Answers:
        """`GET /openapi-3.1.json`"""
        return await _text(call, b"application/json", lambda: self.newest_json)


_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


async def _text(call: Call, media: bytes, text: Callable[[], bytes]) -> Answers:
    body = await asyncio.to_thread(text)
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers: list[Header] = [(b"etag", etag.encode()), _KEPT, _OPEN, _NOT_SNIFFED]
    if etag in (call.header(b"if-none-match") or ""):
        return Answer(304, b"", headers)
    return Answer(200, body, [(b"content-type", media), (b"content-length", b"%d" % len(body)), *headers])
