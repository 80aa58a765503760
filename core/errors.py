"""Everything the gate may answer instead of yes: a small tree with stable codes and no HTTP status.

The class's docstring is the default message. `code` is wire-stable (contract of the HITL door); each door maps a class
to its own status and its own error vocabulary in one table at its edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from core.problems import Problem


class AssentError(Exception):
    """Something went wrong in the gate."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str | None = None, /, **details: Any) -> None:
        self.message = message or self.default_message()
        self.details: Mapping[str, Any] = details
        super().__init__(self.message)

    @classmethod
    def default_message(cls) -> str:
        return (cls.__doc__ or "").strip().splitlines()[0]


class InvalidInput(AssentError):
    """The request is not valid."""

    code = "invalid_body"

    def __init__(self, message: str | None = None, /, *, field: str | None = None, **details: Any) -> None:
        if field is not None:
            details["field"] = field
        super().__init__(message, **details)


class MissingAction(InvalidInput):
    """Name the action that the reviewer chose."""

    code = "missing_action"


class InvalidAction(InvalidInput):
    """This case does not offer that action."""

    code = "invalid_action"


class InvalidData(InvalidInput):
    """The answer does not fit the form; the fields say what to change.

    `fields` says so in English, for the wire; `problems`, where given, as codes that a page words itself.
    """

    code = "invalid_data"

    def __init__(
        self, message: str | None = None, /, *, problems: Mapping[str, Problem] | None = None, **details: Any
    ) -> None:
        self.problems = problems or {}
        if problems is not None:
            details["fields"] = {name: problem.message for name, problem in problems.items()}
            message = message or f"please correct: {'; '.join(details['fields'].values())}"
        super().__init__(message, **details)


class Refused(AssentError):
    """This answer is not allowed."""

    code = "forbidden"


class InvalidToken(Refused):
    """This token does not open this case."""

    code = "invalid_token"


class ActionNotInline(Refused):
    """This action is answered on the review page; open the review link."""

    code = "action_not_inline"


class NotShownWhole(Refused):
    """This card does not show everything, so it can only be approved on the review page; open the review link."""

    code = "full_review_required"


class NotAReviewer(Refused):
    """You are not one of the reviewers of this case."""

    code = "not_a_reviewer"


class SelfApproval(Refused):
    """Whoever asked for this cannot be the one who agrees to it."""

    code = "self_approval"


class Unverified(Refused):
    """This answer needs evidence that a human gave it.

    `browser_review`: the case's policy sends whoever answers to the review page.
    """

    code = "verification_required"

    def __init__(self, message: str | None = None, /, *, browser_review: bool = False, **details: Any) -> None:
        self.browser_review = browser_review
        super().__init__(message, **details)


class HitlRequired(Refused):
    """A person must agree to this first; `approval_link` shows them what."""

    code = "hitl_required"

    def __init__(self, message: str | None = None, /, *, approval_link: str | None = None, **details: Any) -> None:
        self.approval_link = approval_link
        super().__init__(message, **details)


class VerificationRequired(Unverified):
    """This answer needs evidence that a human gave it, and none came."""

    code = "verification_required"


class VerificationFailed(Unverified):
    """The evidence that came with this answer does not prove what its case asks for."""

    code = "verification_failed"


class NotFound(AssentError):
    """There is nothing here by that name."""

    code = "not_found"


class Conflict(AssentError):
    """This no longer fits what is recorded."""

    code = "conflict"


class AlreadyDecided(Conflict):
    """This case has already been decided."""

    code = "duplicate_submission"


class ContentChanged(Conflict):
    """The content has changed since it was shown; look at it again before you answer."""

    code = "content_changed"


class Settled(Conflict):
    """People have begun to answer, so what they answer about cannot change any more."""

    code = "settled"


class AlreadyVoted(AlreadyDecided):
    """You have already answered this, and everybody has one voice."""


class CaseCancelled(Conflict):
    """This case has been withdrawn; nothing is waiting for an answer."""

    code = "case_cancelled"


class DedupeMismatch(Conflict):
    """This dedupe key was already used with another payload; what was accepted first stands."""

    code = "dedupe_mismatch"


class IdempotencyMismatch(Conflict):
    """This Idempotency-Key was already used with another request body; take a new key."""

    code = "idempotency_mismatch"


class IdempotencyInFlight(Conflict):
    """The first request with this Idempotency-Key is still under way; ask again in a moment."""

    code = "idempotency_in_flight"

    def __init__(self, message: str | None = None, /, *, retry_after: int = 1, **details: Any) -> None:
        self.retry_after = retry_after
        super().__init__(message, **details)


class NotReady(Conflict):
    """The flow cannot go on from there yet."""

    code = "flow_not_ready"


class CaseExpired(AssentError):
    """The deadline of this case has passed."""

    code = "case_expired"


class IllegalTransition(Conflict):
    """The case cannot go from its present status to that one."""

    code = "invalid_state_transition"


class Unavailable(AssentError):
    """The database cannot be reached right now; try again in a moment."""

    code = "unavailable"

    def __init__(self, message: str | None = None, /, *, retry_after: int = 1, **details: Any) -> None:
        self.retry_after = retry_after
        super().__init__(message, **details)


class RateLimited(AssentError):
    """Too many requests; slow down."""

    code = "rate_limited"

    def __init__(self, message: str | None = None, /, *, retry_after: int = 1, **details: Any) -> None:
        self.retry_after = retry_after
        super().__init__(message, **details)


class TookTooLong(AssentError):
    """This was accepted, and is still under way; ask again in a moment."""

    code = "timeout"
