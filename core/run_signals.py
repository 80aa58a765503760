"""A signal, in its transaction: what became of a gate is brought to its run, or told to the engine that has the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from core.gate_keys import audit_key, human_topic, result_key
from core.gate_rows import WITHDRAWN
from core.ledger import Row, Tx, Write
from core.ledger import run_queries as rq
from core.rows import case_of, maybe_json
from core.run_endings import withdraw_gates
from core.run_moves import LEASE_MS, Run, after, move
from core.run_states import RunEvent, RunStatus
from core.schedule import retry_delay
from core.workflows import STEPS


@dataclass(frozen=True, slots=True)
class Message:
    """A signal as an engine is told of it: once for each `key`, however often it is sent."""

    workflow_id: str
    topic: str
    key: str
    body: dict[str, Any]


async def sent(tx: Tx, signal: Row, now: int) -> Message:
    """The signal as the engine is told of it; it is due again unless the run receives it meanwhile."""
    workflow_id, gate_key = signal["workflow_id"], signal["gate_key"]
    keys = {"result_key": result_key(gate_key), "audit_key": audit_key(gate_key)}
    row = await tx.one(rq.MESSAGE, workflow_id=workflow_id, **keys)
    assert row is not None, "a gate ends with its trace"
    place = {"workflow_id": workflow_id, "gate_key": gate_key}
    due_at = now + retry_delay(signal["attempts"] + 1)
    await tx.write(Write(rq.PUT_OFF_SIGNAL, {**place, "due_at": due_at, "error": None}))
    topic = human_topic(gate_key)
    # Dedupe keys are unique behind one gate; the topic keeps those of a workflow's gates apart.
    key = f"{topic}:{row['dedupe_key']}"
    return Message(workflow_id, topic, key, {"kind": signal["kind"], "result": maybe_json(row["result"])})


async def received(tx: Tx, was: Run, signal: Row, now: int) -> tuple[Run, list[str]]:
    """The run as the signal leaves it, and the cases that were withdrawn with it. The run is locked."""
    withdrawn: list[str] = []
    writes: list[Write] = []
    run = was
    if was.ended:  # called off meanwhile: there is nobody to tell
        pass
    elif signal["kind"] == WITHDRAWN:
        withdrawn = await withdraw_gates(tx, was, now)
        run = after(was, RunEvent.CANCEL, now, outcome="withdrawn")
        writes = move(was, run, "ended", {"gateKey": signal["gate_key"]})
    else:
        run = await _with_result(tx, was, signal["gate_key"], now)
        result = run.results[signal["gate_key"]]
        writes = move(was, run, "resumed", {"gateKey": signal["gate_key"], "state": result["state"]})
    place = {"workflow_id": signal["workflow_id"], "gate_key": signal["gate_key"], "now": now}
    await tx.write(Write(rq.SIGNAL_RECEIVED, place), *writes)
    return run, withdrawn


async def _with_result(tx: Tx, was: Run, gate_key: str, now: int) -> Run:
    event = await tx.one(rq.EVENT, workflow_id=was.workflow_id, key=result_key(gate_key))
    assert event is not None, "a signal is written with its result"
    results = {**was.results, gate_key: maybe_json(event["data"])}
    state = {**was.state, "results": results}
    waiting = await tx.all(rq.WAITING_GATES, workflow_id=was.workflow_id)
    if waiting:
        next_action = case_of(waiting[0]).terms["gate"]["next_action"]
        return after(was, RunEvent.ASK, now, state=state, next_action=next_action)
    if was.status is not RunStatus.WAITING_INPUT:  # the other gate's signal came first
        return replace(was, state=state, updated_at=now, last_event=was.last_event + 1)
    claim = {"due_at": now + LEASE_MS, "lease": was.lease + 1, "attempts": 1} if was.kind in STEPS else {}
    return after(was, RunEvent.RESUME, now, state=state, **claim)
