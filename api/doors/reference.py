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


def _document(summary: str, media: str, kind: Any) -> About:
    return About(
        summary,
        {200: Gives("The whole document, self-contained.", kind, media=media, headers=(_ETAG,)), 304: _SAME},
        headers=(_IF_NONE_MATCH,),
    )


def reference_door(doors: Callable[[], Sequence[Door]], url: str) -> Door:
    """`doors`: all that are served, this one among them; asked when the first document is. `url`: the server's."""
    documents = Documents(doors, url)
    return Door(
        "reference",
        ("/openapi", "/openapi.yaml", "/openapi-3.1.json", "/docs"),
        HITL,
        (
            Entry(
                "GET",
                "/openapi",
                NO_KEY,
                documents.openapi,
                _document("This document, as OpenAPI 3.0.3", "application/json", dict[str, Any]),
            ),
            Entry(
                "GET",
                "/openapi.yaml",
                NO_KEY,
                documents.openapi_yaml,
                _document("The same in YAML", "application/yaml", str),
            ),
            Entry(
                "GET",
                "/openapi-3.1.json",
                NO_KEY,
                documents.openapi_newest,
                _document("The same as OpenAPI 3.1", "application/json", dict[str, Any]),
            ),
        ),
        about="What every route of every door takes and gives.",
    )
