"""Runs and gates on the wire: the bodies that come in. This door's names are in camelCase."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Wire
from api.schemas.cases import Block, blocks_of, reminders_of
from api.schemas.shared import MAX_ADDRESSES, Reviewers, addresses
from core.destinations import Destinations
from core.digest import digest
from core.errors import InvalidInput
from core.model import JsonObject, Policy
from core.policy import default_policy
from core.runs import Intent
from core.schedule import DEFAULT_TIMEOUT, SECOND, duration_words, parse_timeout
from core.workflows import EXTERNAL, PLAN_APPROVAL, Asked

MAX_GOAL = 400
_NOT_A_WORD = re.compile(r"[^A-Z0-9]+")

Id = Annotated[str, Field(min_length=1, max_length=200)]
Timeout = Annotated[
    str | int | None, Field(description="A duration such as `5m` or `PT1H`, or seconds; from 10 s to 30 d.")
]
Declared = Annotated[
    Literal["manual", "engine-dbos", "api-shim", "webhook", "webhook-ci", "external"],
    Field(description="Where the reply comes from, as the caller declares."),
]
DedupeKey = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        description="Derived from the prompt and the replier, never random: the same reply has the same key.",
    ),
]
Payload = Annotated[
    dict[str, Any],
    Field(description='`{"choice": "yes"|"no", "rationale"?}`, or what the gate\'s own schema asks for.'),
]


class Escalation(Wire):
    """Whom to tell when nobody answers in time, and how long they have."""

    notify: Annotated[list[str], Field(min_length=1, max_length=MAX_ADDRESSES)]
    timeout: Timeout = None
    reviewers: Reviewers | None = None

    def terms(self) -> dict[str, Any]:
        """As the gate keeps them. Raises InvalidInput."""
        text, ms = timeout_of(self.timeout, "escalation.timeout")
        notify = [str(address) for address in addresses(self.notify, "escalation.notify")]
        policy = None if self.reviewers is None else self.reviewers.as_policy(default_policy("confirmation"))
        return {"notify": notify, "timeout": text, "timeout_ms": ms, "policy": policy and policy.as_json()}


class NewIntent(Wire):
    """What somebody wants done. `workflow` plan-approval is carried out here; external by the caller, whose gates bring
    their own terms. `key`: the caller's own name for it; the same again is the same intent.
    """

    goal: Annotated[str, Field(min_length=1, max_length=MAX_GOAL)]
    workflow: Literal["plan-approval", "external"] | None = None
    input: dict[str, Any] | None = None
    key: Id | None = None
    sourceId: Id | None = None
    notify: Annotated[list[str], Field(max_length=MAX_ADDRESSES)] | None = None
    reviewers: Reviewers | None = None
    timeout: Timeout = None
    escalation: Escalation | None = None
    requestedBy: Id | None = None

    def intent(self) -> Intent:
        """Raises InvalidInput."""
        workflow = self.workflow or PLAN_APPROVAL
        if workflow == EXTERNAL:
            for name in ("notify", "reviewers", "timeout", "escalation"):
                if getattr(self, name) is not None:
                    raise InvalidInput(f"{name} belongs to the gates of an external run, not to its intent", field=name)
        text, ms = timeout_of(self.timeout, "timeout")
        policy = _policy(self.reviewers, "approval")
        notify = None if self.notify is None else [str(one) for one in addresses(self.notify, "notify")]
        terms = {
            "notify": notify,
            "policy": policy and policy.as_json(),
            "timeout": text,
            "timeout_ms": ms,
            "escalation": _escalation(self.escalation),
            "requested_by": self.requestedBy,
        }
        return Intent(self.goal, workflow, self.input or {}, terms, self.sourceId, self.key)


class StartRun(Wire):
    intentId: Id
    queuePartitionKey: Id

    def partition(self) -> str:
        """Raises InvalidInput."""
        if not self.queuePartitionKey.strip():
            raise InvalidInput("queuePartitionKey must not be blank", field="queuePartitionKey")
        return self.queuePartitionKey


class OpenGate(Wire):
    """What is asked. `schema`: a JSON Schema of the answer; without one it is a decision, yes or no."""

    prompt: Annotated[str, Field(min_length=1, max_length=500)]
    type: Literal["approval", "confirmation"] | None = None
    message: str | None = None
    context: dict[str, Any] | None = None
    blocks: Annotated[list[Block], Field(max_length=100)] | None = None
    answer: Annotated[dict[str, Any] | None, Field(alias="schema")] = None
    timeout: Timeout = None
    escalation: Escalation | None = None
    reviewers: Reviewers | None = None
    notify: Annotated[list[str], Field(max_length=MAX_ADDRESSES)] | None = None
    requestedBy: Id | None = None
    reminderAt: Any = None
    nextAction: Annotated[str, Field(max_length=64, pattern="^[A-Z][A-Z0-9_]*$")] | None = None
    callbackUrl: str | None = None

    def asked(self, gate_key: str, body: JsonObject, destinations: Destinations) -> Asked:
        """`body`: the request itself, to know its repetition. Raises InvalidInput."""
        if self.answer is not None and self.type is not None:
            raise InvalidInput("type is for a decision; a gate with a schema takes what that says", field="type")
        if "form" in (self.context or {}):
            raise InvalidInput("context.form is made from the schema", field="context.form")
        if self.callbackUrl is not None:
            destinations.check_url(self.callbackUrl, "callbackUrl")
        case_type = "input" if self.answer is not None else self.type or "approval"
        text, ms = timeout_of(self.timeout, "timeout")
        return Asked(
            gate_key,
            self.prompt,
            self.nextAction or f"ANSWER_{_NOT_A_WORD.sub('_', gate_key.upper()).strip('_')}",
            type=case_type,
            message=self.message,
            context=self.context or {},
            blocks=blocks_of(self.blocks or ()),
            schema=self.answer,
            timeout=text,
            timeout_ms=ms,
            reminder_at=reminders_of(self.reminderAt, "reminderAt"),
            notify=None if self.notify is None else addresses(self.notify, "notify"),
            policy=_policy(self.reviewers, case_type),
            escalation=_escalation(self.escalation),
            requested_by=self.requestedBy,
            callback_url=self.callbackUrl,
            body_hash=digest(body),
        )


class GateReply(Wire):
    payload: Payload
    dedupeKey: DedupeKey
    origin: Declared
    topic: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class HitlEvent(Wire):
    """A reply with its address: the same lane, for machines."""

    workflowId: Id
    gateKey: Annotated[str, Field(max_length=200)]
    topic: Annotated[str, Field(min_length=1, max_length=200)]
    payload: Payload
    dedupeKey: DedupeKey
    origin: Declared


class Finish(Wire):
    """How a run ended that its agent carries out; or `cancelled`, for any run."""

    status: Literal["completed", "failed", "cancelled"]
    outcome: Id | None = None


def timeout_of(value: str | int | None, field: str) -> tuple[str, int]:
    """The duration as text, and in milliseconds. Raises InvalidInput."""
    text = DEFAULT_TIMEOUT if value is None else value
    if isinstance(text, int):
        if not 0 < text <= 10_000_000:
            raise InvalidInput(f"{field} must be between 10s and 30d", field=field)
        text = duration_words(text * SECOND)
    return text, parse_timeout(text, field=field)


def _policy(reviewers: Reviewers | None, case_type: str) -> Policy | None:
    return None if reviewers is None else reviewers.as_policy(default_policy(case_type))


def _escalation(wanted: Escalation | None) -> dict[str, Any] | None:
    return None if wanted is None else wanted.terms()
