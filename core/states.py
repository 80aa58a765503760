"""The two state machines of Assent, as literal tables, and the one function that moves a case.

What may live here: statuses, events, the table, `apply`. What must not: I/O, clocks, policy, wording.
"""

from __future__ import annotations

from enum import StrEnum

from core.errors import IllegalTransition


class Status(StrEnum):
    """Where a case stands (HITL Protocol, "Review case states")."""

    PENDING = "pending"  # posted, nobody has looked; leaves by any event
    OPENED = "opened"  # somebody opened the review page; leaves by progress, answer, deadline or withdrawal
    IN_PROGRESS = "in_progress"  # a form is being filled or a quorum is open; leaves as OPENED does
    COMPLETED = "completed"  # answered; final
    EXPIRED = "expired"  # nobody answered in time, the default action applied; final
    CANCELLED = "cancelled"  # withdrawn by the agent or closed without an answer; final


class Event(StrEnum):
    """What can happen to a case."""

    OPEN = "open"
    PROGRESS = "progress"
    COMPLETE = "complete"
    EXPIRE = "expire"
    CANCEL = "cancel"


TERMINAL = frozenset({Status.COMPLETED, Status.EXPIRED, Status.CANCELLED})

TRANSITIONS: dict[tuple[Status, Event], Status] = {
    (Status.PENDING, Event.OPEN): Status.OPENED,
    (Status.PENDING, Event.PROGRESS): Status.IN_PROGRESS,
    (Status.PENDING, Event.COMPLETE): Status.COMPLETED,
    (Status.PENDING, Event.EXPIRE): Status.EXPIRED,
    (Status.PENDING, Event.CANCEL): Status.CANCELLED,
    (Status.OPENED, Event.PROGRESS): Status.IN_PROGRESS,
    (Status.OPENED, Event.COMPLETE): Status.COMPLETED,
    (Status.OPENED, Event.EXPIRE): Status.EXPIRED,
    (Status.OPENED, Event.CANCEL): Status.CANCELLED,
    (Status.IN_PROGRESS, Event.COMPLETE): Status.COMPLETED,
    (Status.IN_PROGRESS, Event.EXPIRE): Status.EXPIRED,
    (Status.IN_PROGRESS, Event.CANCEL): Status.CANCELLED,
}


def apply(status: Status, event: Event) -> Status:
    """The status after `event`. Raises IllegalTransition, and changes nothing, when the table has no such row."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise IllegalTransition(f"a case that is {status} cannot {event}", status=status, event=event) from None


class GateState(StrEnum):
    """How a workflow sees the gate its case sits behind; derived from the case, never stored."""

    PENDING = "PENDING"
    RECEIVED = "RECEIVED"
    TIMED_OUT = "TIMED_OUT"


GATE_STATE: dict[Status, GateState | None] = {
    Status.PENDING: GateState.PENDING,
    Status.OPENED: GateState.PENDING,
    Status.IN_PROGRESS: GateState.PENDING,
    Status.COMPLETED: GateState.RECEIVED,
    Status.EXPIRED: GateState.TIMED_OUT,
    Status.CANCELLED: None,  # a withdrawn gate has no result
}


class Verdict(StrEnum):
    """What a decision means to executors."""

    APPROVE = "APPROVE"
    DENY = "DENY"


VERDICTS: dict[str, Verdict] = {
    "approve": Verdict.APPROVE,
    "confirm": Verdict.APPROVE,
    "select": Verdict.APPROVE,
    "submit": Verdict.APPROVE,
    "retry": Verdict.APPROVE,
    "skip": Verdict.APPROVE,  # an answered escalation: go on as it is
    "reject": Verdict.DENY,
    "cancel": Verdict.DENY,
    "abort": Verdict.DENY,
    "cancelled": Verdict.DENY,  # withdrawn
}

# A deadline that passed is no assent: only a default of `approve` lets anything run.
EXPIRY_VERDICTS: dict[str, Verdict] = {
    "approve": Verdict.APPROVE,
    "skip": Verdict.DENY,
    "reject": Verdict.DENY,
    "abort": Verdict.DENY,
}


def verdict(action: str, *, timed_out: bool = False) -> Verdict | None:
    """What `action` means to executors; None when it decides nothing to execute (`edit` opens the next round).

    Actions of custom types are unknown words: fail closed, they never mean APPROVE.
    """
    if action == "edit":
        return None
    table = EXPIRY_VERDICTS if timed_out else VERDICTS
    return table.get(action, Verdict.DENY)
