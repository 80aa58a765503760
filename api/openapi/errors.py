"""Which errors a route may answer: status and codes by its door's vocabulary, and the schema of their bodies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from api.doors.entry import Door, Entry, Page
from api.errors import Vocabulary
from api.headers import required
from api.http import BodyTooLarge, Unauthorized
from core.errors import AssentError, InvalidInput, NotFound, RateLimited, Refused, Unavailable

RETRIED = (429, 503)  # the statuses whose answers have a Retry-After

# How the codes of one status are named where a document lists them.
Codes = dict[int, tuple[str, ...]]


def errors_of(door: Door, entry: Entry | Page) -> tuple[type[AssentError], ...]:
    """What this route may answer instead of what was asked for: what its `About` names, and what follows from it."""
    about = entry.about
    if about is None or isinstance(entry, Page):
        return ()
    found: list[type[AssentError]] = [AssentError, Unavailable]
    if about.takes or about.query or about.headers or (entry.scopes and door.strict_headers):
        found.append(InvalidInput)
    if about.takes:
        found.append(BodyTooLarge)
    if entry.scopes:
        found += [Unauthorized, Refused, RateLimited]
    if "{" in entry.path:
        found.append(NotFound)
    return (*found, *about.errors)


def codes_of(vocabulary: Vocabulary, errors: Iterable[type[AssentError]]) -> Codes:
    """The codes of these errors by status, in the door's words."""
    found: dict[int, set[str]] = {}
    for error in errors:
        status, code = vocabulary.look_up(error)
        found.setdefault(status, set()).add(code)
    return {status: tuple(sorted(codes)) for status, codes in sorted(found.items())}


def every_code(vocabulary: Vocabulary) -> Codes:
    """All that a door may ever say."""
    return codes_of(vocabulary, every_error())


def every_error() -> Sequence[type[AssentError]]:
    """All errors that a door may meet: those of the gate, and those of HTTP."""
    found, rest = [], [AssentError]
    while rest:
        kind = rest.pop()
        rest.extend(kind.__subclasses__())
        if kind.__module__.partition(".")[0] in ("api", "core"):
            found.append(kind)
    return sorted(set(found), key=lambda kind: kind.__name__)


def needed_headers(door: Door, entry: Entry | Page) -> tuple[str, ...]:
    """What a strict door insists on, beside the key itself."""
    return required(entry.method)[1:] if door.strict_headers and entry.scopes else ()


def narrowed(base: dict[str, Any], name: str, codes: Sequence[str]) -> dict[str, Any]:
    """The schema of the error body `name`, whose code is one of these."""
    code: dict[str, Any] = {"enum": list(codes)}
    if base["properties"]["error"].get("type") != "string":  # the code stands one level deeper
        code = {"properties": {"code": code}}
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}, {"properties": {"error": code}}]}
