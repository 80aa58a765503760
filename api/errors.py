"""Error class → status and body, one table per door vocabulary. HTTP statuses are decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired

from pydantic import ConfigDict
from starlette.exceptions import HTTPException
from typing_extensions import TypedDict

from api.http import Answer, BodyTooLarge, Header, LastAnswer, MethodNotAllowed, Unauthorized, json_answer
from core.errors import (
    AlreadyDecided,
    AssentError,
    CaseCancelled,
    CaseExpired,
    Conflict,
    ContentChanged,
    HitlRequired,
    IdempotencyInFlight,
    IdempotencyMismatch,
    IllegalTransition,
    InvalidInput,
    NotFound,
    RateLimited,
    Refused,
    Settled,
    TookTooLong,
    Unavailable,
)

MAX_TEXT = 500  # an error may quote what was sent, not echo a body


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How one door words its errors: class → (status, code; None for the class's own), and the shape of the body.
    `says_next`: the body also says what the caller does next.
    """

    table: Mapping[type[AssentError], tuple[int, str | None]]
    shape: Callable[[str, str, Mapping[str, Any], str], dict[str, Any]]
    model: type  # of what `shape` makes
    says_next: bool = False

    def look_up(self, kind: type[AssentError]) -> tuple[int, str]:
        for one in kind.__mro__:
            if found := self.table.get(one):
                return found[0], found[1] or kind.code
        return 500, AssentError.code


class FlatError(TypedDict):
    """`error` is the code. What else stands beside it says more: the `field` that is wrong, the form's `fields`, the
    `case_id` and `review_url` to answer at, or the `request_id` that finds a fault of ours in the log.
    """

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    error: str
    message: str


class ErrorBody(TypedDict):
    """`request_id` finds the request in the log. `retry_after`: seconds. `approval_link`: for whoever may agree."""

    code: str
    message: str
    details: dict[str, Any]
    request_id: str
    retry_after: NotRequired[int]
    approval_link: NotRequired[str]


class NestedError(TypedDict):
    error: ErrorBody


def _flat(code: str, message: str, details: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    # What is wrong with a request is the caller's to know; only what is wrong with us needs the log.
    about = {"request_id": request_id} if code == AssentError.code else details
    return {"error": code, "message": message, **about}


def _nested(code: str, message: str, details: Mapping[str, Any], request_id: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "details": dict(details), "request_id": request_id}}


HITL = Vocabulary(
    {
        InvalidInput: (400, None),
        Unauthorized: (401, None),
        Refused: (403, None),
        NotFound: (404, None),
        MethodNotAllowed: (405, None),
        Conflict: (409, None),
        CaseExpired: (410, None),
        BodyTooLarge: (413, None),
        RateLimited: (429, None),
        Unavailable: (503, None),
    },
    _flat,
    FlatError,
)
EXECUTORS = Vocabulary(
    {
        InvalidInput: (400, "VALIDATION_ERROR"),
        Unauthorized: (401, "UNAUTHORIZED"),
        Refused: (403, "FORBIDDEN"),
        NotFound: (404, "NOT_FOUND"),
        MethodNotAllowed: (405, "METHOD_NOT_ALLOWED"),
        IdempotencyMismatch: (409, "IDEMPOTENCY_MISMATCH"),
        IdempotencyInFlight: (409, "IDEMPOTENCY_IN_FLIGHT"),
        Conflict: (409, "CONFLICT"),
        BodyTooLarge: (413, "BODY_TOO_LARGE"),
        ContentChanged: (412, "PRECONDITION_FAILED"),
        AlreadyDecided: (422, "INVALID_STATE_TRANSITION"),
        CaseCancelled: (422, "INVALID_STATE_TRANSITION"),
        CaseExpired: (422, "INVALID_STATE_TRANSITION"),
        Settled: (422, "INVALID_STATE_TRANSITION"),
        IllegalTransition: (422, "INVALID_STATE_TRANSITION"),
        RateLimited: (429, "RATE_LIMITED"),
        AssentError: (500, "INTERNAL_ERROR"),
        Unavailable: (503, "UNAVAILABLE"),
    },
    _nested,
    NestedError,
)

# A closed enum, so that a client needs to know nine codes only; what is recorded and does not fit is a refusal.
TASKS = Vocabulary(
    {
        InvalidInput: (400, "SCHEMA_VALIDATION_FAILED"),
        MethodNotAllowed: (405, "SCHEMA_VALIDATION_FAILED"),
        BodyTooLarge: (413, "SCHEMA_VALIDATION_FAILED"),
        IdempotencyMismatch: (422, "SCHEMA_VALIDATION_FAILED"),
        IdempotencyInFlight: (429, "RATE_LIMIT_EXCEEDED"),
        Unauthorized: (401, "AUTHENTICATION_FAILED"),
        Refused: (403, "AUTHORIZATION_FAILED"),
        Conflict: (403, "AUTHORIZATION_FAILED"),
        CaseExpired: (403, "AUTHORIZATION_FAILED"),
        HitlRequired: (403, "HITL_REQUIRED"),
        NotFound: (404, "RESOURCE_NOT_FOUND"),
        RateLimited: (429, "RATE_LIMIT_EXCEEDED"),
        AssentError: (500, "INTERNAL_ERROR"),
        Unavailable: (503, "DEPENDENCY_FAILED"),
        TookTooLong: (504, "EXECUTION_TIMEOUT"),
    },
    _nested,
    NestedError,
    says_next=True,
)

# The codes of the core, as they are; a deadline that has passed is one more reason why a gate takes no reply.
RUNS = Vocabulary({**HITL.table, CaseExpired: (409, None)}, _nested, NestedError)


def from_framework(error: HTTPException) -> AssentError:
    """What Starlette's router and form parser raise, in our own classes."""
    match error.status_code:
        case 404:
            return NotFound("there is nothing at this address")
        case 405:
            return MethodNotAllowed(", ".join(sorted((error.headers or {}).get("Allow", "").split(", "))))
        case 413:
            return BodyTooLarge()
        case _:
            return InvalidInput(error.detail)


def error_answer(error: AssentError, vocabulary: Vocabulary, request_id: str) -> Answer:
    status, code = vocabulary.look_up(type(error))
    message = error.message
    if status == 500:
        message = "something went wrong on our side; the request id finds it in the log"
    details = {name: _clipped(value) for name, value in error.details.items()}
    body = vocabulary.shape(code, _clipped(message), details, request_id)
    if vocabulary.says_next:
        body["error"] |= _next(error)
    answer = json_answer(status, body, *_headers(error))
    # What is left of a body that is too large is not read.
    return LastAnswer(answer.status, answer.body, answer.headers) if isinstance(error, BodyTooLarge) else answer


def _next(error: AssentError) -> dict[str, Any]:
    match error:
        case Unavailable() | RateLimited() | IdempotencyInFlight():
            return {"retry_after": error.retry_after}
        case HitlRequired(approval_link=str(link)):
            return {"approval_link": link}
        case _:
            return {}


def _headers(error: AssentError) -> list[Header]:
    match error:
        case Unavailable() | RateLimited() | IdempotencyInFlight():
            return [(b"retry-after", str(error.retry_after).encode())]
        case Unauthorized():
            return [(b"www-authenticate", b"Bearer")]
        case MethodNotAllowed():
            return [(b"allow", error.allow.encode())]
        case _:
            return []


def _clipped(value: Any) -> Any:
    """Short, and free of what UTF-8 cannot carry: a message may quote a hostile body."""
    if not isinstance(value, str):
        return value
    value = value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
    return value.encode("utf-8", "replace").decode()
