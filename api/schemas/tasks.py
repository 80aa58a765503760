"""Guarded operations on the wire: tasks, approvals and grants, as they come in and as they are answered."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, NotRequired, cast

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from api.schemas.base import Wire
from api.schemas.shared import MAX_ADDRESSES, addresses
from core.approvals import MAX_GRANT
from core.errors import HitlRequired, InvalidInput, Refused
from core.grants import Grant
from core.guarded import WantedTask
from core.guarded_views import TaskState, TaskView
from core.model import Case, JsonObject
from core.schedule import MINUTE, iso, parse_duration

OPERATION = r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)+"


def _named(operation: str) -> str:
    if not re.fullmatch(OPERATION, operation, re.ASCII):
        raise PydanticCustomError("operation", "must be <resource>.<verb> in lower case, such as repo.commit")
    return operation


Operation = Annotated[
    str,
    Field(
        max_length=200,
        description="`<resource>.<verb>` in lower case, such as `repo.commit`; the last part is the verb.",
        json_schema_extra={"pattern": f"^{OPERATION}$"},
    ),
    AfterValidator(_named),
]
Instant = Annotated[str, Field(description="RFC 3339, UTC.", json_schema_extra={"format": "date-time"})]
Payload = Annotated[dict[str, Any], Field(description="The operation's arguments: what is agreed to, and dispatched.")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Reason = Annotated[str, Field(min_length=1, max_length=2000)]


class NewTask(Wire):
    """An operation that shall be carried out, if it may."""

    operation: Operation
    payload: Payload
    requested_by: Name | None = None
    source_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    notify: Annotated[list[str], Field(max_length=MAX_ADDRESSES)] | None = None

    def wanted(self) -> WantedTask:
        """Raises InvalidInput."""
        notify = None if self.notify is None else addresses(self.notify, "notify")
        return WantedTask(self.operation, self.payload, self.requested_by, self.source_id, notify)


class Approval(Wire):
    """What somebody says to a task. `approval_token` proves that they may; a reviewer's key does so too."""

    decision: Literal["approve", "reject"]
    reason: Reason | None = None
    approver: Annotated[Name, Field(description="Who says so: a name, or an id in the caller's own system.")]
    approval_token: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class NewGrant(Wire):
    """Let the same operation with the same arguments through without asking, for a while."""

    operation: Operation
    payload: Payload
    valid_for: Annotated[str, Field(max_length=20, description="A duration such as `30m` or `PT1H`; at most 8 hours.")]
    reason: Reason | None = None

    def ms(self) -> int:
        """For how long. Raises InvalidInput."""
        found = parse_duration(self.valid_for, field="valid_for")
        if not MINUTE <= found <= MAX_GRANT:
            raise InvalidInput("valid_for must be between 1m and 8h", field="valid_for")
        return found


class Accepted(TypedDict):
    """What posting a task, and what approving one, is answered with."""

    task_id: str
    status: TaskState


class Event(TypedDict):
    """One thing that happened to a task. What else there is to say about it stands beside."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    event: str
    at: Instant


class Missing(TypedDict):
    """What the task waits for. The approval_link shows the task to people, and decides nothing by itself."""

    code: Literal["HITL_REQUIRED"]
    message: str
    approval_link: str


class TaskItem(TypedDict):
    """A task in a list. `policy`: what policy said, and why. Moments that have not come are null."""

    task_id: str
    operation: str
    status: TaskState
    requested_by: str | None
    source_id: str
    policy: JsonObject
    grant_id: str | None
    created_at: Instant
    expires_at: Instant
    approved_at: Instant | None
    dispatched_at: Instant | None
    event_id: str | None
    failure: str | None


class Answered(TypedDict):
    """What was said to the task: by a person, by policy, or by a grant. `approver` is what an approval over this door
    said, and nobody vouches for it; `by` is what Assent knows.
    """

    action: str
    by: JsonObject
    via: str
    reason: str | None
    approver: str | None
    at: Instant


class TaskAnswer(TaskItem):
    """A task with all that happened to it, oldest first. `error`: while a person must agree."""

    payload: JsonObject
    content_digest: str
    answer: Answered | None
    events: list[Event]
    error: NotRequired[Missing]


class TasksAnswer(TypedDict):
    items: list[TaskItem]
    next_cursor: str | None


class GrantAnswer(TypedDict):
    """`case_id`: the task whose approval made it, or the grant's own case; `interaction_id`: its row of the ledger."""

    grant_id: str
    operation: str
    payload: JsonObject
    reason: str | None
    case_id: str
    interaction_id: str
    granted_by: JsonObject
    created_at: Instant
    expires_at: Instant
    revoked_at: Instant | None
    revoked_by: JsonObject | None


class GrantsAnswer(TypedDict):
    items: list[GrantAnswer]
    next_cursor: str | None


def accepted_answer(task: TaskView) -> Accepted:
    return {"task_id": task.task_id, "status": task.status}


def task_item(task: TaskView) -> TaskItem:
    return {
        "task_id": task.task_id,
        "operation": task.operation,
        "status": task.status,
        "requested_by": task.requested_by,
        "source_id": task.source_id,
        "policy": task.ruling,
        "grant_id": task.grant_id,
        "created_at": iso(task.created_at),
        "expires_at": iso(task.case.expires_at),
        "approved_at": _instant(task.approved_at),
        "dispatched_at": _instant(task.dispatched_at),
        "event_id": task.event_id,
        "failure": task.failure,
    }


def task_answer(task: TaskView) -> TaskAnswer:
    events = [{**event, "at": iso(event["at"])} for event in task.events]
    found = {
        **task_item(task),
        "payload": task.payload,
        "content_digest": task.case.content_digest,
        "answer": _answer(task.case),
        "events": events,
    }
    if task.status is TaskState.HITL_REQUIRED:
        missing = approval_missing(task)
        found["error"] = {"code": "HITL_REQUIRED", "message": missing.message, "approval_link": missing.approval_link}
    return cast(TaskAnswer, found)


def _answer(case: Case) -> Answered | None:
    if case.result is None or case.answered is None or case.closed_at is None:
        return None
    data: JsonObject = case.result["data"]
    return {
        "action": case.result["action"],
        "by": case.answered["by"],
        "via": case.answered["via"],
        "reason": data.get("reason") or data.get("feedback"),
        "approver": data.get("approver"),
        "at": iso(case.closed_at),
    }


def approval_missing(task: TaskView) -> HitlRequired:
    return HitlRequired(
        "a person must agree to this first: send them the approval_link, then read the task again",
        approval_link=task.approval_link,
        task_id=task.task_id,
    )


def not_dispatched(task: TaskView) -> Refused:
    """Why a task that was waited for goes to nobody."""
    why = {
        TaskState.REJECTED: "this was rejected",
        TaskState.EXPIRED: "nobody agreed to this in time",
        TaskState.FAILED: "this was refused at dispatch",
    }
    words = task.failure or (task.ruling.get("reason") if task.ruling.get("verdict") == "deny" else None)
    message = why.get(task.status, "this is not dispatched")
    return Refused(f"{message}: {words}" if words else message, task_id=task.task_id, status=str(task.status))


def grant_answer(grant: Grant) -> GrantAnswer:
    return {
        "grant_id": grant.grant_id,
        "operation": grant.operation,
        "payload": grant.payload,
        "reason": grant.reason,
        "case_id": grant.case_id,
        "interaction_id": grant.interaction_id,
        "granted_by": grant.granted_by,
        "created_at": iso(grant.created_at),
        "expires_at": iso(grant.expires_at),
        "revoked_at": _instant(grant.revoked_at),
        "revoked_by": grant.revoked_by,
    }


def _instant(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)
