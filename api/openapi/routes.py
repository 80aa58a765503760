"""`GET /openapi`, `/openapi.yaml`, `/openapi-3.1.json` and `/docs`: made when they are first asked for, then kept."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic_core import to_json

from api.call import Call
from api.http import Answer, Answers, Header

if TYPE_CHECKING:
    from api.doors.entry import Door

_KEPT: Header = (b"cache-control", b"public, no-cache")  # asked for again, but sent only when it has changed
_OPEN: Header = (b"access-control-allow-origin", b"*")  # a public text: tools on other sites may read it
_NOT_SNIFFED: Header = (b"x-content-type-options", b"nosniff")
_API = Path(__file__).parents[1]
_STYLES = _API / "docs_page" / "static" / "docs.css"
_ICON = _API / "review" / "static" / "icon.svg"
# The page has no scripts and no forms, and may not be framed.
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: tuple[Header, ...] = (
    (b"content-security-policy", _POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


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
        return await _text(call, b"application/json", lambda: self.older_json, _OPEN)

    async def openapi_yaml(self, call: Call) -> Answers:
        """`GET /openapi.yaml`"""
        return await _text(call, b"application/yaml", lambda: self.older_yaml, _OPEN)

    async def openapi_newest(self, call: Call) -> Answers:
        """`GET /openapi-3.1.json`"""
        return await _text(call, b"application/json", lambda: self.newest_json, _OPEN)

    @cached_property
    def page(self) -> bytes:
        """The newest document as HTML."""
        from api.docs_page.page import rendered

        return rendered(self.newest, self._doors()).encode()

    async def docs(self, call: Call) -> Answers:
        """`GET /docs`"""
        return await _text(call, b"text/html; charset=utf-8", lambda: self.page, *_PAGE)

    async def docs_css(self, call: Call) -> Answers:
        """`GET /docs.css`"""
        return await _text(call, b"text/css; charset=utf-8", _STYLES.read_bytes)

    async def docs_svg(self, call: Call) -> Answers:
        """`GET /docs.svg`"""
        return await _text(call, b"image/svg+xml", _ICON.read_bytes)


_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


async def _text(call: Call, media: bytes, text: Callable[[], bytes], *more: Header) -> Answers:
    body = await asyncio.to_thread(text)
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    headers: list[Header] = [(b"etag", etag.encode()), _KEPT, _NOT_SNIFFED, *more]
    if etag in (call.header(b"if-none-match") or ""):
        return Answer(304, b"", headers)
    return Answer(200, body, [(b"content-type", media), (b"content-length", b"%d" % len(body)), *headers])
