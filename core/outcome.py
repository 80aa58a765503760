"""What is written when a case ends: the ledger row, the decision and its event. Pure; the gate does the I/O."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.digest import canonical, digest, sha256_hex
from core.errors import InvalidData
from core.forms import check_answers, fields_of, items_of
from core.ledger import Write
from core.ledger import queries as q
from core.model import Case, Decision, Identity, JsonObject, Origin, Reply
from core.rows import replier_json, row_hash, to_json
from core.schedule import iso
from core.states import Event, verdict
from core.tokens import new_id

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
    timed_out: bool = False
    interaction_id: str = field(default_factory=lambda: new_id("int_"))

    @property
    def reason(self) -> str | None:
        if self.withdrawal_reason is not None:
            return self.withdrawal_reason
        return next((str(self.data[key]) for key in ("reason", "feedback", "note") if self.data.get(key)), None)

    @property
    def answered(self) -> dict[str, Any]:
        found = {"by": self.identity.as_json(), "via": self.via, "mode": self.mode, "reason": self.reason}
        return {key: value for key, value in found.items() if value is not None}


def topic(case: Case) -> str:
    """The lane on which people reply to this case's gate."""
    return f"human:{case.gate_key}"


def dedupe_key(identity: Identity) -> str:
    """Derived from the prompt (the gate, in the unique key beside it) and the replier, never random."""
    key = identity.key
    return key if len(key) <= MAX_DEDUPE_KEY else "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def payload_of(case: Case, reply: Reply) -> tuple[dict[str, Any], InvalidData | None]:
    """The payload that the ledger keeps, and what is wrong with its data (judged only after replays are known)."""
    data: JsonObject = reply.data
    invalid: InvalidData | None = None
    try:
        data = _checked_data(case, reply.action, reply.data)
    except InvalidData as error:
        invalid = error
    return {"action": reply.action, "data": dict(data)}, invalid


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


def closing_writes(case: Case, closing: Closing, now: int) -> list[Write]:
    """All rows that close `case` (already in its final state), the ledger row first."""
    interaction = _interaction(case, closing, now)
    writes = [
        Write(q.INSERT_INTERACTION, interaction | {"position": None}),
        case_event(case, str(case.status), {}, now),
    ]
    outcome = verdict(closing.action, timed_out=closing.timed_out)
    if outcome is not None:
        decision = Decision(
            type=outcome,
            action=closing.action,
            decided_at=now,
            decided_by=closing.identity.as_json(),
            via=closing.via,
            reason=closing.reason,
            timed_out=closing.timed_out,
            interaction_id=closing.interaction_id,
        )
        writes.append(_decision(case, decision))
        if case.source_id is not None:
            writes.append(_decision_event(case, closing, decision, interaction["row_hash"]))
    writes.append(Write(q.REDRAW_CARDS, {"case_id": case.case_id}, rows=None))
    return writes


def _interaction(case: Case, closing: Closing, now: int) -> dict[str, Any]:
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
            "key": f"decision:{case.gate_key}",
            "verdict": str(decision.type),
            "action": decision.action,
            "interaction_id": decision.interaction_id,
            "body": to_json(decision_json(decision)),
            "decided_at": decision.decided_at,
        },
    )


def _decision_event(case: Case, closing: Closing, decision: Decision, interaction_hash: str) -> Write:
    event_id = new_id("evt_")
    blocks = case.content["blocks"]
    result = {"action": closing.action, "data": closing.data}
    body = to_json(
        {
            "event_id": event_id,
            "source_id": case.source_id,
            "task_id": case.case_id,
            "case_id": case.case_id,
            "workflow_id": case.workflow_id,
            "gate_key": case.gate_key,
            "decision": decision_json(decision),
            "original": blocks,
            "final": blocks,
            "diff": {"text_diffs": [], "json_patches": []},
            "result": result,
            "content_digest": case.content_digest,
            "final_digest": digest({"blocks": blocks, "result": result}),
            "ledger": {"interaction_id": closing.interaction_id, "row_hash": interaction_hash},
            "metadata": case.terms["metadata"],
            "occurred_at": iso(decision.decided_at),
        }
    )
    row = {
        "event_id": event_id,
        "tenant_id": case.tenant_id,
        "source_id": case.source_id,
        "case_id": case.case_id,
        "body": body,
        "row_hash": sha256_hex(body.encode()),
        "created_at": decision.decided_at,
        "position": None,
        "acked_at": None,
    }
    return Write(q.INSERT_DECISION_EVENT, row)
