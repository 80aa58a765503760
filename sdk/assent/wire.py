"""What Assent says, as types. Fields that a later server adds are kept out of the way, not refused."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from assent.errors import ContentErased

M = TypeVar("M", bound=BaseModel)

# What means that people agreed, in the server's own words for decisions; an unknown word is no assent.
_AGREED = frozenset({"approve", "confirm", "select", "submit", "retry", "skip"})


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Case(_Told):
    """A question that waits for people. `submit_token` answers it: keep it as you keep the key."""

    case_id: str
    type: str
    prompt: str
    review_url: str = Field(repr=False)  # whoever holds it can answer
    created_at: datetime
    expires_at: datetime
    previous_case_id: str | None = None
    inline_actions: tuple[str, ...] = ()
    submit_token: str | None = Field(default=None, repr=False)


class Answer(_Told):
    """How a case stands; `closed` says whether that is final.

    An answer given on the review page may still be revised while its grace period lasts.
    """

    case_id: str
    status: Literal["pending", "opened", "in_progress", "completed", "expired", "cancelled"]
    created_at: datetime
    expires_at: datetime
    opened_at: datetime | None = None
    completed_at: datetime | None = None
    expired_at: datetime | None = None
    cancelled_at: datetime | None = None
    default_action: str | None = None
    result: dict[str, Any] | None = None
    reason: str | None = None
    responded_by: dict[str, Any] | None = None
    submission_context: dict[str, Any] | None = None
    progress: dict[str, Any] | None = None
    next_case_id: str | None = None

    @property
    def closed(self) -> bool:
        return self.status in ("completed", "expired", "cancelled")

    @property
    def action(self) -> str | None:
        """What was chosen; None unless somebody answered."""
        return None if self.result is None else str(self.result.get("action"))

    @property
    def data(self) -> dict[str, Any]:
        """What came with the answer: form values, `selected`, a reason; {} without any. Raises ContentErased when
        nobody knows any more.
        """
        if self.result is not None and "data" not in self.result:
            raise ContentErased
        found = (self.result or {}).get("data")
        return found if isinstance(found, dict) else {}

    @property
    def selected(self) -> list[str]:
        """The chosen options of a selection, by id. Raises ContentErased."""
        found = self.data.get("selected")
        return [str(one) for one in found] if isinstance(found, list) else []

    @property
    def approved(self) -> bool:
        """Whether this may be done. A deadline that passed is a yes only where its default action was `approve`."""
        if self.status == "expired":
            return self.default_action == "approve"
        return self.status == "completed" and self.action in _AGREED

    @property
    def feedback(self) -> str | None:
        """What people said beside their choice."""
        if "data" not in (self.result or {}):  # it was withdrawn, or erased
            return self.reason
        said = [self.data.get(name) for name in ("reason", "feedback", "note")]
        return next((str(one) for one in said if one), self.reason)

    def data_as(self, model: type[M]) -> M:
        """The data as a pydantic model of your own. Raises pydantic's ValidationError, ContentErased."""
        return model.model_validate(self.data)


class Notice(_Told):
    """Something that happened to a case: `review.opened`, `review.in_progress`, `review.reminder`, …"""

    event: str
    data: dict[str, Any]
    id: str | None = None


class Callback(_Told):
    """What Assent posts to a case's `callback_url`. The same may come more than once, and `result` be revised."""

    event: str
    case_id: str
    status: str
    timestamp: datetime
    result: dict[str, Any] | None = None
    reason: str | None = None
    default_action: str | None = None


class EventBlock(_Told):
    id: str
    type: str
    content: Any
    label: str | None = None


class Decided(_Told):
    """The decision itself. `decided_by` and `via` say who answered and through what."""

    type: Literal["APPROVE", "DENY"]
    action: str
    reason: str | None = None
    decided_at: datetime
    decided_by: dict[str, Any]
    via: str
    timed_out: bool


class Result(_Told):
    action: str
    data: dict[str, Any]


class DecisionEvent(_Told):
    """What people decided, for whoever acts on it. `event_id` names it for good: give it to the systems that you call
    as their idempotency key.
    """

    event_id: str
    source_id: str
    case_id: str
    task_id: str
    workflow_id: str
    gate_key: str
    decision: Decided
    original: tuple[EventBlock, ...]
    final: tuple[EventBlock, ...]
    diff: dict[str, Any]
    result: Result
    content_digest: str
    final_digest: str
    ledger: dict[str, Any]
    metadata: dict[str, Any]
    occurred_at: datetime

    @property
    def approved(self) -> bool:
        return self.decision.type == "APPROVE"

    def block(self, block_id: str) -> Any:
        """The content of a block as it was agreed to. Raises KeyError."""
        for block in self.final:
            if block.id == block_id:
                return block.content
        raise KeyError(block_id)


class Page(_Told):
    """Decision events of a source, oldest first, and the cursor after them."""

    items: tuple[DecisionEvent, ...]
    next_cursor: str


class Acked(_Told):
    acked: tuple[str, ...]
    unknown: tuple[str, ...]


class Claim(_Told):
    """Leave to act on one event."""

    claim_id: str
    event_id: str
    claimer_id: str
    claimed_at: datetime
    final_digest: str


class Opened(_Told):
    """The 202 to a new case."""

    hitl: Case


class _ToldInCamelCase(_Told):
    model_config = ConfigDict(alias_generator=to_camel)


class Intended(_ToldInCamelCase):
    intent_id: str


class Started(_ToldInCamelCase):
    """The names of a run."""

    workflow_id: str = Field(alias="workflowID")
    run_id: str


class RunState(_ToldInCamelCase):
    """Where a run stands. `next_action`: what people are asked for while it waits. `outcome`: how it ended."""

    workflow_id: str = Field(alias="workflowID")
    run_id: str
    intent_id: str | None
    workflow: str
    status: Literal["queued", "running", "waiting_input", "completed", "failed", "cancelled"]
    next_action: str | None
    outcome: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None

    @property
    def ended(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")


class GateResult(_Told):
    """What came of a gate. `payload`: None when nobody answered in time. `interaction_id`: its row of the ledger."""

    state: Literal["RECEIVED", "TIMED_OUT"]
    payload: dict[str, Any] | None
    interaction_id: str
    at: datetime


class GateBranch(_Told):
    verdict: Literal["APPROVE", "DENY"]
    action: str
    timed_out: bool


class Gate(_ToldInCamelCase):
    """A question of a run, as it stands. One that was withdrawn has neither state nor result."""

    workflow_id: str = Field(alias="workflowID")
    gate_key: str
    state: Literal["PENDING", "RECEIVED", "TIMED_OUT"] | None
    withdrawn: bool
    case_id: str
    prompt: str
    next_action: str | None = None
    content_digest: str
    created_at: datetime
    expires_at: datetime
    result: GateResult | None = None
    decision: GateBranch | None = None
    escalation_id: str | None = None
    review_url: str | None = Field(default=None, repr=False)  # whoever holds it can answer

    @property
    def closed(self) -> bool:
        return self.withdrawn or self.result is not None


class TaskPosted(_Told):
    task_id: str


class TaskMissing(_Told):
    approval_link: str


class Task(_Told):
    """A guarded operation. `policy`: what policy said, and why. `event_id`: its decision event, once it is dispatched.
    `events`: what happened to it, oldest first. `answer`: what was said to it, by whom.
    """

    task_id: str
    operation: str
    payload: dict[str, Any]
    status: Literal["queued", "hitl_required", "approved", "rejected", "expired", "dispatched", "failed"]
    requested_by: str | None
    source_id: str
    policy: dict[str, Any]
    grant_id: str | None
    created_at: datetime
    expires_at: datetime
    approved_at: datetime | None
    dispatched_at: datetime | None
    event_id: str | None
    failure: str | None
    answer: dict[str, Any] | None = None
    events: tuple[dict[str, Any], ...] = ()
    error: TaskMissing | None = Field(default=None, repr=False)

    @property
    def approval_link(self) -> str | None:
        """For people, while one must agree. It shows the task, and decides nothing by itself."""
        return None if self.error is None else self.error.approval_link
