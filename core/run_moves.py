"""A run as it stands, and how it moves inside a transaction: locked, judged, written whole, and told to its readers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import Conflict, NotFound
from core.ledger import Row, Tx, Write
from core.ledger import run_queries as rq
from core.model import JsonObject
from core.rows import to_json
from core.run_states import ENDED, RunEvent, RunStatus, moved
from core.schedule import SECOND

ENGINE = "engine"  # in a run's state
LEASE_MS = 5 * SECOND  # a step takes milliseconds; a killed worker's run waits so long for another


class Fenced(Conflict):
    """Somebody else has moved this run meanwhile; what was done for it does not count."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workflow. `state["results"]` holds the results of its gates, as the run has received them."""

    workflow_id: str
    run_id: str
    tenant_id: str
    key_id: str
    source_id: str | None
    intent_id: str | None
    queue_partition_key: str
    kind: str
    status: RunStatus
    next_action: str | None
    outcome: str | None
    state: JsonObject
    step: str | None
    attempts: int
    due_at: int | None
    lease: int
    last_event: int
    last_error: str | None
    created_at: int
    updated_at: int
    finished_at: int | None
    waits: int | None = field(default=None, compare=False)  # gates that people have not answered; None: not asked

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def engine(self) -> str | None:
        """Which workflow engine carries it on; None: our own loop."""
        found: str | None = self.state.get(ENGINE)
        return found

    @property
    def results(self) -> JsonObject:
        found: JsonObject = self.state.get("results", {})
        return found


_PLAIN = tuple(name for name in Run.__dataclass_fields__ if name not in ("status", "state", "waits"))


def run_of(row: Row) -> Run:
    found = {name: row[name] for name in _PLAIN}
    return Run(**found, status=RunStatus(row["status"]), state=json.loads(row["state"]))


async def locked_run(tx: Tx, workflow_id: str) -> Run:
    """The run, nobody else's until the transaction ends. Raises NotFound."""
    row = await tx.one(rq.LOCK_RUN, workflow_id=workflow_id)
    if row is None:
        raise NotFound("there is no such run")
    return run_of(row)


def after(run: Run, event: RunEvent, now: int, **changes: Any) -> Run:
    """The run after `event`, with changes. What has ended has nothing left to do."""
    status = moved(run.status, event)
    if status in ENDED:
        changes |= {"finished_at": now, "due_at": None, "step": None}
    if status is not RunStatus.WAITING_INPUT:
        changes |= {"next_action": None}
    return replace(run, status=status, updated_at=now, last_event=run.last_event + 1, **changes)


def move(was: Run, run: Run, kind: str, about: Mapping[str, Any]) -> list[Write]:
    """From what was judged to what it is now, only if nobody changed it in between; and its readers are told."""
    columns = {name: getattr(run, name) for name in _MOVED}
    guarded = {"workflow_id": was.workflow_id, "was_lease": was.lease, "was_event": was.last_event}
    changed = Write(rq.MOVE_RUN, {**columns, **guarded, "status": str(run.status), "state": to_json(run.state)})
    return [changed, told(run, kind, about)]


_MOVED = (
    "next_action", "outcome", "step", "attempts", "due_at", "lease", "last_event", "last_error", "updated_at",
    "finished_at",
)  # fmt: skip


def told(run: Run, kind: str, about: Mapping[str, Any]) -> Write:
    """The newest entry of the run's stream (its counter is the run's `last_event`)."""
    data = {"status": str(run.status), "nextAction": run.next_action, "outcome": run.outcome}
    row = {
        "workflow_id": run.workflow_id,
        "counter": run.last_event,
        "kind": kind,
        "data": to_json({name: value for name, value in {**data, **about}.items() if value is not None}),
        "created_at": run.updated_at,
    }
    return Write(rq.INSERT_STREAM, row)
