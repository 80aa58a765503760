"""A guarded task as its orchestrator sees it: one status, derived and never stored, and what happened. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.ledger import Row
from core.model import Case, JsonObject
from core.rows import case_of, maybe_json
from core.states import TERMINAL, Status, Verdict


class TaskState(StrEnum):
    """Where a task stands. APPROVED lasts until the approval was looked at again."""

    QUEUED = "queued"  # an answer was given and may still be revised
    HITL_REQUIRED = "hitl_required"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DISPATCHED = "dispatched"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task at one moment. Times are milliseconds since 1970 (UTC). `approval_link` shows the task to people and
    decides nothing; it is there while approval is missing. `events`: `event`, `at`, and what there is to say.
    """

    case: Case
    tenant_id: str
    source_id: str
    key_id: str
    operation: str
    payload: JsonObject
    requested_by: str | None
    status: TaskState
    ruling: JsonObject
    grant_id: str | None
    created_at: int
    approval_link: str | None = None
    events: tuple[JsonObject, ...] = ()
    event_id: str | None = None
    approved_at: int | None = None
    approved_until: int | None = None
    dispatched_at: int | None = None
    failed_at: int | None = None
    failure: str | None = None

    @property
    def task_id(self) -> str:
        return self.case.case_id

    @staticmethod
    def new(case: Case, row: Mapping[str, Any], status: TaskState, approval_link: str | None) -> TaskView:
        """A task that is about to be written."""
        return _view(case, row, status, approval_link, ())


def state_of(row: Row) -> TaskState:
    """`row` is of `guard_queries.TASK`."""
    if row["failed_at"] is not None:
        return TaskState.FAILED
    if row["dispatched_at"] is not None:
        return TaskState.DISPATCHED
    if row["status"] == Status.EXPIRED and row["decided"] != Verdict.APPROVE:
        return TaskState.EXPIRED
    if row["decided"] is not None:
        return TaskState.APPROVED if row["decided"] == Verdict.APPROVE else TaskState.REJECTED
    return TaskState.QUEUED if row["status"] in set(TERMINAL) else TaskState.HITL_REQUIRED


def task_view(row: Row, events: Sequence[Row], approval_link: str | None) -> TaskView:
    """`row` is of `guard_queries.TASK`, `events` of CASE_EVENTS."""
    known = {
        name: row[name]
        for name in ("event_id", "approved_at", "approved_until", "dispatched_at", "failed_at", "failure")
    }
    return _view(case_of(row), row, state_of(row), approval_link, _events(row, events), **known)


def _view(
    case: Case,
    row: Mapping[str, Any] | Row,
    status: TaskState,
    approval_link: str | None,
    events: tuple[JsonObject, ...],
    **known: Any,
) -> TaskView:
    return TaskView(
        case=case,
        tenant_id=case.tenant_id,
        source_id=str(case.source_id),
        key_id=row["key_id"],
        operation=row["operation"],
        payload=json.loads(row["payload"]),
        requested_by=row["requested_by"],
        status=status,
        ruling=json.loads(row["ruling"]),
        grant_id=row["grant_id"],
        created_at=row["created_at"],
        approval_link=approval_link,
        events=events,
        **known,
    )


def _events(row: Row, events: Sequence[Row]) -> tuple[JsonObject, ...]:
    """From being posted to being dispatched, oldest first."""
    found: list[dict[str, Any]] = [
        {"event": "created", "at": row["created_at"]},
        {"event": f"policy_{row['verdict']}", "at": row["created_at"], **_why(row)},
    ]
    for event in events:
        found.append({"event": event["kind"], "at": event["created_at"], **(maybe_json(event["data"]) or {})})
    if row["dispatched_at"] is not None:
        found.append({"event": "dispatched", "at": row["dispatched_at"], "event_id": row["event_id"]})
    if row["failed_at"] is not None:
        found.append({"event": "failed", "at": row["failed_at"], "reason": row["failure"]})
    return tuple(found)


def _why(row: Row) -> dict[str, Any]:
    ruling = json.loads(row["ruling"])
    found = {"policy": ruling.get("policy"), "rule": ruling.get("rule"), "reason": ruling.get("reason")}
    if row["grant_id"] is not None:
        found["grant_id"] = row["grant_id"]
    return found
