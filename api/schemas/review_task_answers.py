"""Review tasks of the executors' door, as they go out."""

from __future__ import annotations

from typing import Annotated, NotRequired, cast

from typing_extensions import TypedDict

from api.schemas.answers import HitlObject, hitl_object
from api.schemas.base import Anything, Moment, one_of
from api.schemas.events import BlockObject, DecisionObject, Diff, ShortDecision
from core.model import Opened
from core.review_tasks import Task
from core.schedule import iso
from core.tasks import INTENT, TaskStatus
from core.urls import case_url


class ServiceAnswer(TypedDict):
    id: str
    name: str
    icon: NotRequired[str]


class ActionAnswer(TypedDict):
    type: str
    verb: str
    icon: NotRequired[str]


class ReasonAnswer(TypedDict):
    id: str
    label: str


class ReviewTaskSummary(TypedDict):
    """What a task and its line in a list have in common. `has_changes`: of its blocks, by a reviewer."""

    id: str
    case_id: str
    source_id: str | None
    source_name: str | None
    status: Annotated[str, one_of(*TaskStatus)]
    title: str
    service: ServiceAnswer | None
    source_service: ServiceAnswer | None
    action: ActionAnswer | None
    risk_level: Annotated[str, one_of("low", "medium", "high", "critical")] | None
    risk_warning: str | None
    priority: Annotated[str, one_of("LOW", "NORMAL", "HIGH")] | None
    preview: str | None
    has_changes: bool
    created_at: Moment
    expires_at: Moment
    dispatched_at: Moment | None
    archived_at: Moment | None


class ReviewTaskItem(ReviewTaskSummary):
    decision: ShortDecision | None
    block_count: int


class ReviewTasksPage(TypedDict):
    """Newest first. `next_cursor` is the `cursor` of the next page; null on the last one."""

    items: list[ReviewTaskItem]
    total_count: int
    next_cursor: str | None


class ReviewTask(ReviewTaskSummary):
    """A review task. The blocks as they came, as they stand, and as they were agreed to; `etag` is of the second."""

    interaction_schema: Anything | None
    deny_reasons: list[ReasonAnswer]
    execution_intent: Anything | None
    blocks_original: list[BlockObject]
    blocks_working: list[BlockObject]
    blocks_final: list[BlockObject] | None
    diff: Diff | None
    decision: DecisionObject | None
    event_id: str | None
    final_digest: str | None
    content_digest: str
    etag: str
    metadata: Anything
    poll_url: str
    events_url: str


class OpenedTask(ReviewTask):
    """A new task, with the addresses and tokens of its case."""

    hitl: HitlObject


def opened_task(opened: Opened, task: Task, public_url: str) -> OpenedTask:
    """The body of the 201: the task, and the case's own addresses and tokens."""
    return {**task_answer(task, public_url), "hitl": hitl_object(opened, public_url)}


def task_answer(task: Task, public_url: str) -> ReviewTask:
    case, event = task.case, task.event
    blocks = case.content["blocks"]
    intent = next((block["content"] for block in blocks if block["id"] == INTENT), None)
    content = case.task or {}
    return {
        **_summary(task),
        "interaction_schema": content.get("interaction_schema"),
        "deny_reasons": content.get("deny_reasons", []),
        "execution_intent": intent,
        "blocks_original": cast(list[BlockObject], list(case.original)),
        "blocks_working": blocks,
        "blocks_final": None if event is None else event["final"],
        "diff": None if event is None else event["diff"],
        "decision": None if event is None else event["decision"],
        "event_id": None if event is None else event["event_id"],
        "final_digest": None if event is None else event["final_digest"],
        "content_digest": case.content_digest,
        "etag": etag_of(case.edition),
        "metadata": case.terms["metadata"],
        "poll_url": case_url(public_url, case.case_id, "status"),
        "events_url": case_url(public_url, case.case_id, "events"),
    }


def task_item(task: Task) -> ReviewTaskItem:
    """The task in a list: without its blocks."""
    made = task.decision
    decision: ShortDecision | None = None
    if made is not None:
        decision = {"type": made["type"], "action": made["action"], "decided_at": made["decided_at"]}
    return {
        **_summary(task),
        "decision": decision,
        "block_count": len(task.case.original),
    }


def _summary(task: Task) -> ReviewTaskSummary:
    case, content = task.case, task.case.task or {}
    return {
        "id": case.case_id,
        "case_id": case.case_id,
        "source_id": case.source_id,
        "source_name": task.source_name,
        "status": str(task.status),
        "title": case.prompt,
        "service": content.get("service"),
        "source_service": content.get("source_service"),
        "action": content.get("action"),
        "risk_level": content.get("risk_level"),
        "risk_warning": content.get("risk_warning"),
        "priority": content.get("priority"),
        "preview": content.get("preview"),
        "has_changes": case.edition > 0 and case.opened_blocks != tuple(case.content["blocks"]),
        "created_at": iso(case.created_at),
        "expires_at": iso(case.expires_at),
        "dispatched_at": None if task.dispatched_at is None else iso(task.dispatched_at),
        "archived_at": None if task.archived_at is None else iso(task.archived_at),
    }


def etag_of(edition: int) -> str:
    """The entity tag of a task's blocks: which edition of them it is."""
    return f'"blocks-{edition}"'
