"""Runs and gates on the wire, as they go out: how they stand, and what the ledger has of them. Names are in
camelCase.
"""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

from api.schemas.base import Anything, Moment
from core.gate_keys import human_topic
from core.ledger import Row
from core.model import Origin
from core.rows import maybe_json
from core.run_moves import Run
from core.run_states import RunStatus
from core.run_views import GateView, Sla, Waiting
from core.schedule import SECOND, iso
from core.states import GATE_STATE, Status


class IntentAnswer(TypedDict):
    intentId: str


class StartedRun(TypedDict):
    workflowID: str
    runId: str


class RunEvent(TypedDict):
    """One event of a run's stream; `data` is JSON."""

    event: str
    id: str
    data: str


class RunAnswer(TypedDict):
    """Where a run stands. `nextAction`: what people are asked for while it waits. `outcome`: how it ended."""

    workflowID: str
    runId: str
    intentId: str | None
    workflow: str
    queuePartitionKey: str
    status: RunStatus
    nextAction: str | None
    outcome: str | None
    step: str | None
    lastError: str | None
    createdAt: Moment
    updatedAt: Moment
    finishedAt: Moment | None


class StepAnswer(TypedDict):
    stepId: str
    attempt: int
    status: str
    output: Anything
    startedAt: Moment
    finishedAt: Moment


class ArtifactAnswer(TypedDict):
    """Something that a step made. `digest` is that of `body`."""

    stepId: str
    taskKey: str
    attempt: int
    idx: int
    mediaType: str
    body: str
    digest: str
    createdAt: Moment


class StepsAnswer(TypedDict):
    items: list[StepAnswer]
    artifacts: list[ArtifactAnswer]


GateStateName = Literal["PENDING", "RECEIVED", "TIMED_OUT"]


class GateResult(TypedDict):
    """`payload` is null when nobody answered in time."""

    state: Literal["RECEIVED", "TIMED_OUT"]
    payload: Anything | None
    interaction_id: str
    at: Moment


class GateBranch(TypedDict):
    verdict: Literal["APPROVE", "DENY"]
    action: str
    timed_out: bool


class GateAnswer(TypedDict):
    """A gate as it stands. One that was withdrawn has neither state nor result."""

    workflowID: str
    gateKey: str
    topic: str
    state: GateStateName | None
    withdrawn: bool
    caseId: str
    nextAction: str | None
    prompt: str
    message: str | None
    schema: Anything | None
    contentDigest: str
    createdAt: Moment
    expiresAt: Moment
    result: GateResult | None
    decision: GateBranch | None
    escalationId: str | None


class GatesAnswer(TypedDict):
    items: list[GateAnswer]


class OpenedGate(GateAnswer):
    """`reviewUrl`: the page on which whoever holds the link answers."""

    reviewUrl: str | None


class Replied(TypedDict):
    """`isReplay`: this reply was accepted before, and nothing happened now. `result` is null while others still have
    to agree.
    """

    workflowID: str
    gateKey: str
    interactionId: str
    isReplay: bool
    state: GateStateName | None
    result: GateResult | None


class InteractionAnswer(TypedDict):
    """One row of the ledger."""

    interactionId: str
    gateKey: str
    topic: str
    dedupeKey: str
    origin: Origin
    via: str
    replier: Anything
    payload: Anything
    payloadHash: str
    contentDigest: str
    at: Moment


class InteractionsAnswer(TypedDict):
    items: list[InteractionAnswer]


class InboxItem(TypedDict):
    """A gate that waits. `escalationId`: the workflow that starts at the deadline, where one was agreed."""

    workflowID: str
    gateKey: str
    topic: str
    caseId: str
    type: str
    prompt: str
    nextAction: str | None
    createdAt: Moment
    expiresAt: Moment
    leftSeconds: int
    slaState: Sla
    escalationId: str | None


class InboxAnswer(TypedDict):
    items: list[InboxItem]


def run_answer(run: Run) -> RunAnswer:
    return {
        "workflowID": run.workflow_id,
        "runId": run.run_id,
        "intentId": run.intent_id,
        "workflow": run.kind,
        "queuePartitionKey": run.queue_partition_key,
        "status": run.status,
        "nextAction": run.next_action,
        "outcome": run.outcome,
        "step": run.step,
        "lastError": run.last_error,
        "createdAt": iso(run.created_at),
        "updatedAt": iso(run.updated_at),
        "finishedAt": None if run.finished_at is None else iso(run.finished_at),
    }


def step_answer(row: Row) -> StepAnswer:
    return {
        "stepId": row["step_id"],
        "attempt": row["attempt"],
        "status": row["status"],
        "output": maybe_json(row["output"]),
        "startedAt": iso(row["started_at"]),
        "finishedAt": iso(row["finished_at"]),
    }


def artifact_answer(row: Row) -> ArtifactAnswer:
    return {
        "stepId": row["step_id"],
        "taskKey": row["task_key"],
        "attempt": row["attempt"],
        "idx": row["idx"],
        "mediaType": row["media_type"],
        "body": row["body"],
        "digest": row["digest"],
        "createdAt": iso(row["created_at"]),
    }


def gate_answer(view: GateView) -> GateAnswer:
    case = view.case
    state = GATE_STATE[case.status]
    found: Any = {
        "workflowID": case.workflow_id,
        "gateKey": case.gate_key,
        "topic": human_topic(case.gate_key),
        "state": state,
        "withdrawn": case.status is Status.CANCELLED,
        "caseId": case.case_id,
        "nextAction": view.terms.get("next_action"),
        "prompt": case.prompt,
        "message": case.content["message"],
        "schema": view.terms.get("schema"),
        "contentDigest": case.content_digest,
        "createdAt": iso(case.created_at),
        "expiresAt": iso(case.expires_at),
        "result": view.result,
        "decision": view.branch,
        "escalationId": view.escalation_id,
    }
    return found  # type: ignore[no-any-return]


def replied_answer(view: GateView, interaction_id: str, *, replay: bool) -> Replied:
    gate = gate_answer(view)
    return {
        "workflowID": gate["workflowID"],
        "gateKey": gate["gateKey"],
        "interactionId": interaction_id,
        "isReplay": replay,
        "state": gate["state"],
        "result": gate["result"],
    }


def interaction_answer(row: Row) -> InteractionAnswer:
    return {
        "interactionId": row["interaction_id"],
        "gateKey": row["gate_key"],
        "topic": row["topic"],
        "dedupeKey": row["dedupe_key"],
        "origin": row["origin"],
        "via": row["via"],
        "replier": maybe_json(row["replier"]),
        "payload": maybe_json(row["payload"]),
        "payloadHash": row["payload_hash"],
        "contentDigest": row["content_digest"],
        "at": iso(row["created_at"]),
    }


def inbox_item(waiting: Waiting) -> InboxItem:
    gate = gate_answer(waiting.gate)
    return {
        "workflowID": gate["workflowID"],
        "gateKey": gate["gateKey"],
        "topic": gate["topic"],
        "caseId": gate["caseId"],
        "type": waiting.gate.case.type,
        "prompt": gate["prompt"],
        "nextAction": gate["nextAction"],
        "createdAt": gate["createdAt"],
        "expiresAt": gate["expiresAt"],
        "leftSeconds": max(0, waiting.left_ms // SECOND),
        "slaState": waiting.sla,
        "escalationId": gate["escalationId"],
    }
