"""What can go wrong, as types. The class's docstring is the default message; messages are for people.

Whatever the server refuses is a `Refused` with the server's own `code`, never to be told by its words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from assent.wire import Answer, Case, Gate, Task


class AssentError(Exception):
    """Something went wrong between this program and Assent."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        super().__init__(self.message)


class Unreachable(AssentError):
    """Assent could not be reached for as long as this program was ready to try."""


class UnexpectedAnswer(AssentError):
    """Something answered that is not Assent, or not a version of it that this program understands."""


class Refused(AssentError):
    """Assent refused this request.

    `status` is the HTTP status, `code` the server's stable word for the reason, `request_id` what its log knows it by,
    `retry_after` the seconds to wait where it said so.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int = 0,
        code: str = "",
        details: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details: Mapping[str, Any] = details or {}
        self.request_id = request_id
        self.retry_after = retry_after


class InvalidRequest(Refused):
    """Assent does not understand this request; the message names the field."""


class Unauthorized(Refused):
    """Assent does not know this key."""


class Forbidden(Refused):
    """This key may not do that."""


class NotFound(Refused):
    """There is nothing here by that name."""


class Conflict(Refused):
    """This no longer fits what is recorded."""


class IdempotencyMismatch(Conflict):
    """This key was used before with another question; the same key must come with the same question."""


class RateLimited(Refused):
    """Too many requests; this program was not ready to wait any longer."""


class ServerFailed(Refused):
    """Assent failed on its own side; its log knows the request id."""


class StillWaiting(AssentError):
    """Nobody has answered yet; the question goes on waiting, and the same call finds it again.

    `case` is what waits: a case, a gate or a task.
    """

    def __init__(self, case: Case | Gate | Task) -> None:
        self.case = case
        super().__init__()


class ContentErased(AssentError):
    """What came with this answer was erased, as Assent was told to after so many days: only its action is left."""


class NotApproved(AssentError):
    """People did not agree, so nothing was done. `answer` says what became of the case."""

    def __init__(self, answer: Answer, message: str | None = None) -> None:
        self.answer = answer
        super().__init__(message)


class Denied(NotApproved):
    """Somebody said no, so nothing was done."""


class Expired(NotApproved):
    """Nobody answered in time, so nothing was done."""


class Withdrawn(NotApproved):
    """The question was withdrawn before anybody answered, so nothing was done."""


class BadReply(AssentError):
    """What people answered does not fit the schema; it stands all the same, and is in `gate.result`."""

    def __init__(self, gate: Gate, problem: str) -> None:
        self.gate = gate
        super().__init__(f"what was answered to {gate.gate_key} does not fit the schema: {problem}")


class HitlRequired(AssentError):
    """A person must agree first: send them the approval link, then ask again with the same key.

    `approval_link` shows the task to people and decides nothing by itself.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.approval_link = task.approval_link
        super().__init__()


class NotDispatched(AssentError):
    """This operation is not to be carried out.

    `task.status` says why: rejected, expired or failed.
    """

    def __init__(self, task: Task, message: str | None = None) -> None:
        self.task = task
        super().__init__(message)


class BadSignature(AssentError):
    """This message is not signed by Assent with a secret that is known here; do not act on it."""


class TestMessage(AssentError):
    """This is a test of the webhook: nothing was decided, and nothing is to be done."""

    __test__ = False  # pytest would take it for tests


class GiveUp(AssentError):
    """For handlers to raise: this event cannot be done, and trying again would not help."""


class StoreFailed(AssentError):
    """What this executor has done could not be read or written down, so it does nothing."""
