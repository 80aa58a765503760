"""What a gate of a run asks, and what came of it as types of the program's own. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, Required, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from assent.errors import BadReply
from assent.questions import Block, Duration, Reviewers
from assent.schemas import problems
from assent.wire import Gate

T = TypeVar("T")

Schema = type[BaseModel] | Mapping[str, Any] | None


class Escalation(BaseModel):
    """Whom to tell when nobody answers in time, and for how long they are asked: `timeout`, a duration or seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    notify: Sequence[str]
    timeout: Duration | int | None = None
    reviewers: Reviewers | None = None


class Choice(BaseModel):
    """The answer to a gate without a schema of its own."""

    model_config = ConfigDict(frozen=True)

    choice: Literal["yes", "no"]
    rationale: str | None = None


class Asking(TypedDict, total=False):
    """What a gate asks.

    `timeout`: when the answer is due, a duration (`5m`) or seconds; `escalation` starts then. `type`: how a yes or no
    is asked for. `next_action`: what the run says it waits for. The rest is as in `Approval`.
    """

    gate_key: Required[str]
    prompt: Required[str]
    type: Literal["approval", "confirmation"]
    message: str
    context: dict[str, Any]
    blocks: Sequence[Block]
    timeout: Duration | int
    escalation: Escalation
    reviewers: Reviewers
    notify: Sequence[str]
    requested_by: str
    reminder_at: Sequence[str]
    next_action: str
    callback_url: str


class _Posted(BaseModel):
    """The body that opens a gate."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", ser_json_inf_nan="constants"
    )

    prompt: str
    type: str | None = None
    answer: dict[str, Any] | None = Field(default=None, alias="schema")
    message: str | None = None
    context: dict[str, Any] | None = None
    blocks: Sequence[Block] | None = None
    timeout: Duration | int | None = None
    escalation: Escalation | None = None
    reviewers: Reviewers | None = None
    notify: Sequence[str] | None = None
    requested_by: str | None = None
    reminder_at: Sequence[str] | None = None
    next_action: str | None = None
    callback_url: str | None = None


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """What came of a gate: the same, however often it is asked for. `payload` is None when nobody answered in time."""

    state: Literal["RECEIVED", "TIMED_OUT"]
    payload: T | None
    interaction_id: str
    at: datetime
    gate: Gate = field(compare=False, repr=False)

    @property
    def received(self) -> bool:
        return self.state == "RECEIVED"

    @property
    def approved(self) -> bool:
        """Whether people agreed. What fills in a schema has; a deadline that passed is no assent."""
        branch = self.gate.decision
        return self.received and branch is not None and branch.verdict == "APPROVE"


def body_of(schema: Schema, asking: Asking) -> bytes:
    """What is posted: the same bytes for the same question in every process. Raises pydantic's ValidationError for
    fields that are not there, and ValueError for what is no JSON.
    """
    fields: dict[str, Any] = {name: value for name, value in asking.items() if name != "gate_key"}
    posted = _Posted(**fields, answer=json_schema(schema)).model_dump(mode="json", by_alias=True, exclude_none=True)
    return json.dumps(posted, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def json_schema(schema: Schema) -> dict[str, Any] | None:
    if schema is None or isinstance(schema, Mapping):
        return None if schema is None else dict(schema)
    return schema.model_json_schema()


def reply_of(gate: Gate, schema: Schema) -> Reply[Any]:
    """The reply that ended this gate. Raises BadReply."""
    result = gate.result
    assert result is not None, "the gate has ended, and was not withdrawn"  # noqa: S101 - for the reader
    payload = None if result.payload is None else _read(gate, schema, result.payload)
    return Reply(result.state, payload, result.interaction_id, result.at, gate)


def _read(gate: Gate, schema: Schema, payload: dict[str, Any]) -> Any:
    # An answer that was left out may come as null.
    given = {name: value for name, value in payload.items() if value is not None}
    if isinstance(schema, Mapping):
        for problem in problems(schema, given):
            raise BadReply(gate, problem)
        return given
    try:
        return (schema or Choice).model_validate_json(json.dumps(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, ("payload", *first["loc"])))
        raise BadReply(gate, f"{where}: {first['msg']}") from error
