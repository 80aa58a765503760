"""What a gate of a run writes beside its case: the prompt when it opens; when it ends the result, the branch, the
trace, the signal to its workflow, and the escalation where nobody answered. Pure: whoever opens or closes the case
writes it in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.gate_answers import gate_of, payload_of
from core.gate_keys import audit_key, decision_key, escalation_of, prompt_key, result_key
from core.ledger import Write
from core.ledger import run_queries as rq
from core.model import Case, Decision
from core.rows import to_json
from core.run_states import RunStatus
from core.schedule import iso
from core.states import GATE_STATE, GateState
from core.tokens import new_id

ESCALATION = "escalation"  # the kind of the run that an unanswered gate starts
RESULT, WITHDRAWN = "result", "withdrawn"  # kinds of signals


def prompt_write(case: Case) -> Write:
    """`case` opens, in the same transaction."""
    gate = gate_of(case)
    assert gate is not None
    prompt = {
        "prompt": case.prompt,
        "message": case.content["message"],
        "schema": gate["schema"],
        "next_action": gate["next_action"],
        "content_digest": case.content_digest,
        "expires_at": iso(case.expires_at),
    }
    return _event(case, prompt_key(case.gate_key), None, prompt, case.created_at)


def ending_writes(case: Case, decision: Decision, now: int) -> list[Write]:
    """`case` has ended for good, in the same transaction; nothing for a case that is no gate of a run. A withdrawn gate
    has neither result nor branch.
    """
    gate = gate_of(case)
    if gate is None:
        return []
    state = GATE_STATE[case.status]
    writes = [_audit(case, decision, now), _signal(case, WITHDRAWN if state is None else RESULT, now)]
    if state is None:
        return writes
    interaction_id = decision.interaction_id
    writes += [
        _event(case, result_key(case.gate_key), interaction_id, _result(case, decision, state), now),
        _event(case, decision_key(case.gate_key), interaction_id, _branch(decision), now),
    ]
    if state is GateState.TIMED_OUT and gate.get("escalation"):
        writes.append(_escalation(case, gate["escalation"], now))
    return writes


def _result(case: Case, decision: Decision, state: GateState) -> dict[str, Any]:
    return {
        "state": str(state),
        "payload": payload_of(case),
        "interaction_id": decision.interaction_id,
        "at": iso(decision.decided_at),
    }


def _branch(decision: Decision) -> dict[str, Any]:
    return {"verdict": str(decision.type), "action": decision.action, "timed_out": decision.timed_out}


def _audit(case: Case, decision: Decision, now: int) -> Write:
    trace = {
        "status": str(case.status),
        "created_at": iso(case.created_at),
        "opened_at": None if case.opened_at is None else iso(case.opened_at),
        "ended_at": iso(decision.decided_at),
        "by": decision.decided_by,
        "via": decision.via,
        "content_digest": case.content_digest,
        "votes": list(case.votes),
    }
    return _event(case, audit_key(case.gate_key), decision.interaction_id, trace, now)


def _event(case: Case, key: str, interaction_id: str | None, data: Mapping[str, Any], now: int) -> Write:
    row = {
        "workflow_id": case.workflow_id,
        "key": key,
        "gate_key": case.gate_key,
        "case_id": case.case_id,
        "interaction_id": interaction_id,
        "data": to_json(data),
        "created_at": now,
    }
    return Write(rq.INSERT_EVENT, row)


def _signal(case: Case, kind: str, now: int) -> Write:
    row = {
        "workflow_id": case.workflow_id,
        "gate_key": case.gate_key,
        "kind": kind,
        "due_at": now,
        "attempts": 0,
        "created_at": now,
        "received_at": None,
        "last_error": None,
    }
    return Write(rq.INSERT_SIGNAL, row)


def _escalation(case: Case, terms: Mapping[str, Any], now: int) -> Write:
    """The run that tells others; its id is the gate's, so that there is never a second one."""
    state = {
        "workflow_id": case.workflow_id,
        "gate_key": case.gate_key,
        "case_id": case.case_id,
        "prompt": case.prompt,
        "expired_at": iso(case.expires_at),
        **terms,
    }
    row = run_row(
        workflow_id=escalation_of(case.workflow_id, case.gate_key),
        run_id=new_id("run_"),
        tenant_id=case.tenant_id,
        key_id=str((gate_of(case) or {})["key_id"]),
        source_id=case.source_id,
        intent_id=None,
        queue_partition_key=ESCALATION,
        kind=ESCALATION,
        state=to_json(state),
        step="escalate",
        due_at=now,
        now=now,
    )
    return Write(rq.INSERT_RUN_ONCE, row, rows=None)


def run_row(*, now: int, **given: Any) -> dict[str, Any]:
    """The row of a new run."""
    return {
        "status": str(RunStatus.QUEUED),
        "next_action": None,
        "outcome": None,
        "attempts": 0,
        "lease": 0,
        "last_event": 0,
        "last_error": None,
        "created_at": now,
        "updated_at": now,
        "finished_at": None,
        **given,
    }
