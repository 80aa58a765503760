"""The page's own styles, scripts and icon: read once, served under a name that changes with their content.

One version for all of them, because the scripts import each other by their relative addresses.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    media_type: str


class Assets:
    """`prefix` is the path under which the whole server is mounted, without a trailing slash."""

    def __init__(self, folder: Path, prefix: str) -> None:
        paths = [path for path in sorted(folder.iterdir()) if path.suffix in _TYPES]
        self._assets = {path.name: _Asset(path.read_bytes(), _TYPES[path.suffix]) for path in paths}
        hashes = b"".join(hashlib.sha256(asset.body).digest() for asset in self._assets.values())
        self._version = hashlib.sha256(hashes).hexdigest()[:16]
        self._urls = {name: f"{prefix}/static/review/{self._version}/{name}" for name in self._assets}

    def url(self, name: str) -> str:
        return self._urls[name]

    def route(self) -> Route:
        return Route("/static/review/{version}/{name}", self._serve, methods=["GET"], name="review_static")

    async def _serve(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            return Response(status_code=404)
        # While versions are being replaced, a page of the other one still gets its styles; only not for long.
        current = request.path_params["version"] == self._version
        headers = {
            "Cache-Control": _FOREVER if current else "no-cache",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(asset.body, media_type=asset.media_type, headers=headers)
