"""The API's own reference: the documents, and the page that shows them. Needs no key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from api.doors.entry import NO_KEY, About, Door, Entry, Gives, Param
from api.errors import HITL
from api.openapi.routes import Documents

_ETAG = Param("ETag", "Of this text.", required=True)
_IF_NONE_MATCH = Param("If-None-Match", "The `ETag` of the text that the caller has.")
_SAME = Gives("The text is the one that the caller has.", headers=(_ETAG,))


_JSON, _YAML, _ANY = "application/json", "application/yaml", dict[str, Any]


def _text(summary: str, media: str, kind: Any = str) -> About:
    return About(
        summary, {200: Gives("It.", kind, media=media, headers=(_ETAG,)), 304: _SAME}, headers=(_IF_NONE_MATCH,)
    )


def reference_door(doors: Callable[[], Sequence[Door]], url: str) -> Door:
    """`doors`: all that are served, this one among them; asked when the first document is. `url`: the server's."""
    documents = Documents(doors, url)
    return Door(
        "reference",
        ("/openapi", "/openapi.yaml", "/openapi-3.1.json", "/docs", "/docs.css", "/docs.svg"),
        HITL,
        (
            Entry("GET", "/openapi", NO_KEY, documents.openapi, _text("This document, as OpenAPI 3.0.3", _JSON, _ANY)),
            Entry("GET", "/openapi.yaml", NO_KEY, documents.openapi_yaml, _text("The same in YAML", _YAML, _ANY)),
            Entry("GET", "/openapi-3.1.json", NO_KEY, documents.openapi_newest, _text("The same as 3.1", _JSON, _ANY)),
            Entry("GET", "/docs", NO_KEY, documents.docs, _text("This reference, as a page to read", "text/html")),
            Entry("GET", "/docs.css", NO_KEY, documents.docs_css, _text("The page's styles", "text/css")),
            Entry("GET", "/docs.svg", NO_KEY, documents.docs_svg, _text("The page's icon", "image/svg+xml")),
        ),
        about="What every route of every door takes and gives.",
    )
