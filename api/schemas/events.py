"""Decision events on the wire. They are served as they were recorded, byte for byte; these types say what they hold."""

from __future__ import annotations

from typing import Annotated, Any

from typing_extensions import TypedDict

from api.schemas.base import Anything, Moment, one_of

Verdict = Annotated[str, one_of("APPROVE", "DENY")]


class DecisionObject(TypedDict):
    """What was decided, by whom, and through what. `timed_out`: by nobody, the deadline passed."""

    type: Verdict
    action: str
    reason: str | None
    decided_at: Moment
    decided_by: Anything
    via: str
    timed_out: bool


class BlockObject(TypedDict):
    """One artifact. `content` is text, or for `json` any value."""

    id: str
    label: str
    type: Annotated[str, one_of("markdown", "plaintext", "json")]
    content: Any
    editable: bool
    render_hints: Anything


class TextDiff(TypedDict):
    block_id: str
    unified_diff: str


class JsonPatch(TypedDict):
    """Operations of RFC 6902."""

    block_id: str
    patch: list[Anything]


class Diff(TypedDict):
    """What the reviewer changed in the artifacts."""

    text_diffs: list[TextDiff]
    json_patches: list[JsonPatch]


class EventResult(TypedDict):
    action: str
    data: Anything


class LedgerRow(TypedDict):
    """The row that proves it."""

    interaction_id: str
    row_hash: str


class DecisionEvent(TypedDict):
    """What a source's executor is told of one decision."""

    event_id: str
    source_id: str
    task_id: str
    case_id: str
    workflow_id: str
    gate_key: str
    decision: DecisionObject
    original: list[BlockObject]
    final: list[BlockObject]
    diff: Diff
    result: EventResult
    content_digest: str
    final_digest: str
    ledger: LedgerRow
    metadata: Anything
    occurred_at: Moment


class EventsPage(TypedDict):
    """Events that are not acked, oldest first. `next_cursor` is the `after` of the next request."""

    items: list[DecisionEvent]
    next_cursor: str


class Acked(TypedDict):
    """`unknown`: ids of no event of this source."""

    acked: list[str]
    unknown: list[str]


class ClaimAnswer(TypedDict):
    claim_id: str
    event_id: str
    claimer_id: str
    claimed_at: Moment
    final_digest: str


class ShortDecision(TypedDict):
    type: Verdict
    action: str
    decided_at: Moment
