"""What is written when a case ends: the ledger row, the decision and its event. Pure; the gate does the I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.approvals import approval_writes, check_remembered, guarded
from core.callbacks import callback_writes
from core.diff import json_patch, text_diff
from core.digest import canonical, digest, sha256_hex
from core.errors import InvalidData
from core.flow_content import named_answer
from core.forms import check_answers, fields_of, items_of
from core.gate_answers import check_integers
from core.gate_keys import decision_key, human_topic
from core.gate_rows import ending_writes
from core.ledger import Write
from core.ledger import card_queries as cq
from core.ledger import case_queries as q
from core.model import Case, Decision, Identity, JsonObject, Origin
from core.rows import replier_json, row_hash, to_json, with_edits
from core.schedule import iso
from core.states import Event, Status, Verdict, verdict
from core.tasks import chosen_edits, options_of
from core.tokens import new_id
from core.webhooks import delivery_write

MAX_DEDUPE_KEY = 256


@dataclass(frozen=True, slots=True)
class Closing:
    """One accepted reply that ends a case, whoever gave it: a person, the agent that withdraws, or the clock."""

    event: Event
    action: str
    data: JsonObject
    identity: Identity
    via: str
    origin: Origin
    topic: str
    dedupe_key: str
    withdrawal_reason: str | None = None
    mode: str | None = None
    revision: int | None = None  # of a page's answer, 1 for the first
    blocks: JsonObject = field(default_factory=dict)  # the artifacts that the reviewer edited, by id
    vote: JsonObject | None = None  # where several must agree
    verification: JsonObject | None = None  # the verification_result, where evidence was asked for or came
    interaction_id: str = field(default_factory=lambda: new_id("int_"))

    @property
    def reason(self) -> str | None:
        if self.withdrawal_reason is not None:
            return self.withdrawal_reason
        return reason_in(self.data)

    @property
    def answered(self) -> dict[str, Any]:
        found = {
            "by": self.identity.as_json(),
            "via": self.via,
            "mode": self.mode,
            "reason": self.reason,
            "revision": self.revision,
            "blocks": self.blocks or None,
            "verification": self.verification,
        }
        return {key: value for key, value in found.items() if value is not None}


def reason_in(data: JsonObject) -> str | None:
    """Why somebody answered so, when they said it."""
    return next((str(data[key]) for key in ("reason", "feedback", "note") if data.get(key)), None)


def topic(case: Case) -> str:
    """The lane on which people reply to this case's gate."""
    return human_topic(case.gate_key)


def dedupe_key(identity: Identity, slot: int = 1) -> str:
    """Derived from the prompt (the gate, in the unique key beside it), the replier, and which of the replier's answers
    it is (only one may be given, but for revisions); never random.
    """
    key = identity.key if slot == 1 else f"{identity.key}#{slot}"
    return key if len(key) <= MAX_DEDUPE_KEY else "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def checked_data(case: Case, action: str, data: JsonObject) -> tuple[JsonObject, InvalidData | None]:
    """The data that the ledger keeps, and what is wrong with it."""
    try:
        if flow := case.terms.get("flow"):
            data = named_answer(flow["answers"], action, data)
        check_remembered(case, action, data)
        check_integers(case, data)
        return _checked_data(case, action, data), None
    except InvalidData as error:
        return data, error


def checked_blocks(
    case: Case, action: str, edited: JsonObject, data: JsonObject
) -> tuple[JsonObject, InvalidData | None]:
    """What the reviewer changed in the artifacts, by block id, and what is wrong with it; by hand, or by the option
    that `data` names. A denial changes nothing.
    """
    if verdict(action) is Verdict.DENY:
        return {}, None
    try:
        changed = chosen_edits(case, edited, data) if options_of(case) else edited_blocks(case, edited)
    except InvalidData as error:
        return {}, error
    if changed and (case.policy.quorum > 1 or case.policy.reject_quorum > 1):
        words = "several people must agree to this, so nobody can change it with an answer"
        return {}, InvalidData(words, fields={f"block.{block_id}": words for block_id in changed})
    return changed, None


def edited_blocks(case: Case, edited: JsonObject) -> dict[str, Any]:
    """What is different from the blocks as they stand. Raises InvalidData for what cannot be edited."""
    if not edited:
        return {}
    blocks = {block["id"]: block for block in case.content["blocks"]}
    problems = {}
    for block_id, content in edited.items():
        block = blocks.get(block_id)
        if block is None or not block.get("editable"):
            problems[f"block.{block_id}"] = "this block cannot be edited"
        elif block["type"] != "json" and not isinstance(content, str):
            problems[f"block.{block_id}"] = "this block is text"
    if problems:
        raise InvalidData(f"please correct: {'; '.join(problems.values())}", fields=problems)
    return {name: one for name, one in edited.items() if canonical(one) != canonical(blocks[name]["content"])}


def _checked_data(case: Case, action: str, data: JsonObject) -> Mapping[str, Any]:
    context = case.content["context"]
    if action == "submit" and fields_of(context):
        return check_answers(context, data)
    if action == "select":
        return _checked_selection(context, data)
    return data


def _checked_selection(context: JsonObject, data: JsonObject) -> Mapping[str, Any]:
    known = [item_id(item) for item in items_of(context)]
    if not known:
        return data
    chosen = data.get("selected")
    if not isinstance(chosen, list) or not chosen:
        raise InvalidData("choose at least one of the options", fields={"selected": "choose at least one option"})
    if any(not isinstance(one, str) or one not in known for one in chosen) or len(set(chosen)) != len(chosen):
        raise InvalidData("choose from the options shown", fields={"selected": "choose from the options shown"})
    if len(chosen) > 1 and context.get("multiple") is False:
        raise InvalidData("choose one option", fields={"selected": "choose one option"})
    return data


def item_id(item: object) -> str:
    """How a choice is named in `result.data.selected`."""
    if isinstance(item, Mapping):
        return str(item.get("id", item.get("value", "")))
    return str(item)


def case_event(case: Case, kind: str, data: Mapping[str, Any], now: int) -> Write:
    """The newest event of the case (its counter is the case's `last_event`)."""
    return Write(
        q.INSERT_CASE_EVENT,
        {
            "case_id": case.case_id,
            "counter": case.last_event,
            "kind": kind,
            "data": to_json(data),
            "created_at": now,
        },
    )


def answer_writes(case: Case, closing: Closing, now: int) -> tuple[dict[str, Any], list[Write]]:
    """The ledger row, and all rows that make `case` (already in its new state) show it, the ledger row first."""
    interaction = interaction_row(case, closing, now)
    return interaction, [
        Write(q.INSERT_INTERACTION, interaction | {"position": None}),
        case_event(case, str(case.status), {}, now),
        Write(cq.REDRAW_CARDS, {"case_id": case.case_id}, rows=None),
        *callback_writes(case, now),
    ]


def decision_writes(case: Case, interaction_id: str, row_hash: str, now: int) -> list[Write]:
    """What a closed case decides, from the case alone and the ledger row that closed it: nothing for `edit`, else the
    decision, and its event where there is a source. Executors hear of an approved guarded operation only once its
    approval was checked again: see `core.dispatch`.
    """
    decision = decided(case, interaction_id)
    if decision is None:
        return []
    writes = [_decision(case, decision), *ending_writes(case, decision, now)]
    if guarded(case) and decision.type is Verdict.APPROVE:
        return writes + approval_writes(case, decision)
    return writes + announcement(case, decision, row_hash, now)


def decided(case: Case, interaction_id: str) -> Decision | None:
    """What a closed case decides; None for `edit`, which decides nothing."""
    timed_out = case.status is Status.EXPIRED
    action = _action(case)
    outcome = verdict(action, timed_out=timed_out)
    if outcome is None:
        return None
    assert case.answered is not None and case.closed_at is not None
    return Decision(
        type=outcome,
        action=action,
        decided_at=case.closed_at,
        decided_by=case.answered["by"],
        via=case.answered["via"],
        reason=case.answered.get("reason"),
        timed_out=timed_out,
        interaction_id=interaction_id,
    )


def announcement(case: Case, decision: Decision, row_hash: str, now: int) -> list[Write]:
    """The decision event and its delivery, where there is a source."""
    if case.source_id is None:
        return []
    event = _decision_event(case, decision, row_hash, now)
    return [Write(q.INSERT_DECISION_EVENT, event), delivery_write(event)]


def _action(case: Case) -> str:
    """What a closed case was answered with, whoever or whatever closed it."""
    if case.result is not None:
        return str(case.result["action"])
    return case.default_action if case.status is Status.EXPIRED else "cancelled"


def interaction_row(case: Case, closing: Closing, now: int) -> dict[str, Any]:
    """The ledger row of one accepted reply, without its position."""
    payload = canonical({"action": closing.action, "data": closing.data})
    row: dict[str, Any] = {
        "interaction_id": closing.interaction_id,
        "tenant_id": case.tenant_id,
        "case_id": case.case_id,
        "workflow_id": case.workflow_id,
        "gate_key": case.gate_key,
        "topic": closing.topic,
        "dedupe_key": closing.dedupe_key,
        "origin": str(closing.origin),
        "via": closing.via,
        "replier": replier_json(closing.identity),
        "payload": payload.decode(),
        "payload_hash": sha256_hex(payload),
        "content_digest": case.content_digest,
        "created_at": now,
    }
    return row | {"row_hash": row_hash(row)}


def decision_json(decision: Decision) -> dict[str, Any]:
    """The `decision` object of a decision event."""
    return {
        "type": str(decision.type),
        "action": decision.action,
        "reason": decision.reason,
        "decided_at": iso(decision.decided_at),
        "decided_by": decision.decided_by,
        "via": decision.via,
        "timed_out": decision.timed_out,
    }


def _decision(case: Case, decision: Decision) -> Write:
    return Write(
        q.INSERT_DECISION,
        {
            "case_id": case.case_id,
            "workflow_id": case.workflow_id,
            "key": decision_key(case.gate_key),
            "verdict": str(decision.type),
            "action": decision.action,
            "interaction_id": decision.interaction_id,
            "body": to_json(decision_json(decision)),
            "decided_at": decision.decided_at,
        },
    )


def _decision_event(case: Case, decision: Decision, interaction_hash: str, now: int) -> dict[str, Any]:
    event_id = new_id("evt_")
    original, final = case.original, with_edits(case.content["blocks"], (case.answered or {}).get("blocks", {}))
    result = {"action": decision.action, "data": (case.result or {}).get("data", {})}
    body = to_json(
        {
            "event_id": event_id,
            "source_id": case.source_id,
            "task_id": case.case_id,
            "case_id": case.case_id,
            "workflow_id": case.workflow_id,
            "gate_key": case.gate_key,
            "decision": decision_json(decision),
            "original": list(original),
            "final": final,
            "diff": _diff(original, final),
            "result": result,
            "content_digest": case.content_digest,
            "final_digest": digest({"blocks": final, "result": result}),
            "ledger": {"interaction_id": decision.interaction_id, "row_hash": interaction_hash},
            "metadata": case.terms["metadata"],
            "occurred_at": iso(now),
        }
    )
    return {
        "event_id": event_id,
        "tenant_id": case.tenant_id,
        "source_id": case.source_id,
        "case_id": case.case_id,
        "body": body,
        "row_hash": sha256_hex(body.encode()),
        "created_at": now,
        "position": None,
        "acked_at": None,
    }


def _diff(original: Sequence[JsonObject], final: Sequence[JsonObject]) -> dict[str, Any]:
    pairs = [(was, now["content"]) for was, now in zip(original, final, strict=True)]
    changed = [(was, now) for was, now in pairs if canonical(was["content"]) != canonical(now)]
    return {
        "text_diffs": [text_diff(was["id"], was["content"], now) for was, now in changed if was["type"] != "json"],
        "json_patches": [json_patch(was["id"], was["content"], now) for was, now in changed if was["type"] == "json"],
    }
