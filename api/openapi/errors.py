"""Which errors a route may answer: status and codes by its door's vocabulary, and the schema of their bodies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from api.doors.entry import ONCE, Door, Entry, Page
from api.errors import Vocabulary
from api.headers import IDEMPOTENCY_KEY, required
from api.http import BodyTooLarge, MethodNotAllowed, Unauthorized
from core.errors import (
    AssentError,
    IdempotencyInFlight,
    IdempotencyMismatch,
    InvalidInput,
    NotFound,
    RateLimited,
    Refused,
    Unavailable,
)

RETRIED = (429, 503)  # the statuses whose answers have a Retry-After

Row = tuple[int, str, tuple[str, ...]]

# How the codes of one status are named where a document lists them.
Codes = dict[int, tuple[str, ...]]


def errors_of(door: Door, entry: Entry | Page) -> tuple[type[AssentError], ...]:
    """What this route may answer instead of what was asked for: what its `About` names, and what follows from it."""
    about = entry.about
    if isinstance(entry, Page):  # says all there is to say itself
        return (AssentError, *about.errors)
    found: list[type[AssentError]] = [AssentError, Unavailable]
    if about.takes or about.query or about.headers or (entry.scopes and door.strict_headers):
        found.append(InvalidInput)
    if about.takes:
        found.append(BodyTooLarge)
    if entry.scopes:
        found += [Unauthorized, Refused, RateLimited]
    if ONCE in about.headers or IDEMPOTENCY_KEY in needed_headers(door, entry):
        found += [IdempotencyMismatch, IdempotencyInFlight]
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


def errors_at(door: Door) -> tuple[type[AssentError], ...]:
    """What a door may answer: what its routes may, and what it says where there is no route."""
    found = {NotFound, MethodNotAllowed}
    for entry in door.entries:
        found.update(errors_of(door, entry))
    return tuple(sorted(found, key=lambda kind: kind.__name__))


def error_rows(door: Door) -> list[Row]:
    """Every (status, code) that a door may answer, and what it means: the default words of the errors behind it."""
    behind: dict[tuple[int, str], list[type[AssentError]]] = {}
    for kind in errors_at(door):
        behind.setdefault(door.vocabulary.look_up(kind), []).append(kind)
    return [
        (status, code, tuple(kind.default_message() for kind in kinds))
        for (status, code), kinds in sorted(behind.items())
    ]


def needed_headers(door: Door, entry: Entry | Page) -> tuple[str, ...]:
    """What a strict door insists on, beside the key itself."""
    return required(entry.method)[1:] if door.strict_headers and entry.scopes else ()


def narrowed(base: dict[str, Any], name: str, codes: Sequence[str]) -> dict[str, Any]:
    """The schema of the error body `name`, whose code is one of these."""
    code: dict[str, Any] = {"enum": list(codes)}
    if base["properties"]["error"].get("type") != "string":  # the code stands one level deeper
        code = {"properties": {"code": code}}
    return {"allOf": [{"$ref": f"#/components/schemas/{name}"}, {"properties": {"error": code}}]}
