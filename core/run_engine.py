"""A workflow engine that carries runs on, in place of this process' own loop.

Rows stay the truth. The engine decides when a step is done, and what it does is done here, on the run's row, under the
same fence: so a step that an engine does twice happens once, and where an engine does not come (it is gone, or was
killed with its machine) the loop takes the run over after a while, and the engine finds that it is late.
"""

from __future__ import annotations

from typing import Any, TypedDict

from core.gate_keys import prompt_key
from core.ledger import Database, Row, Tx
from core.ledger import run_queries as rq
from core.model import JsonObject
from core.rows import maybe_json
from core.run_moves import Fenced, run_of
from core.run_states import RunStatus
from core.run_worker import Claimed, RunWorker

ATTEMPTS_AT_ONE_STEP = 3


class Place(TypedDict):
    """Where a run is. `step`: what comes next; None when it has ended, with `outcome`. `gate`: what it waits behind,
    with what was asked there; None while it goes on. As an engine may keep it: JSON.
    """

    step: str | None
    gate: str | None
    prompt: JsonObject | None
    outcome: str | None


class RunSteps:
    """What an engine does for runs. Each call is safe to repeat, and raises Unavailable while the database is away."""

    def __init__(self, database: Database, worker: RunWorker) -> None:
        self._database = database
        self._worker = worker

    async def carry_on(self, workflow_id: str, step: str) -> Place:
        """Do this step, unless it is done; where the run is then."""
        for _ in range(ATTEMPTS_AT_ONE_STEP):
            claimed = await self._standing(workflow_id)
            run = claimed.run
            if run.ended or run.step != step or run.status is RunStatus.WAITING_INPUT:
                break
            try:
                await self._worker.step(claimed)
            except Fenced:  # somebody else moved it meanwhile: perhaps this very step, done by whom we took for dead
                continue
        return await self.place(workflow_id)

    async def receive(self, workflow_id: str, gate_key: str) -> Place:
        """Bring the run the result of this gate, unless it has it or there is none yet; where the run is then."""
        await self._worker.receive(workflow_id, gate_key)
        return await self.place(workflow_id)

    async def place(self, workflow_id: str) -> Place:
        async def body(tx: Tx) -> Place:
            row = await tx.one(rq.RUN_OF_ENGINE, workflow_id=workflow_id)
            assert row is not None
            run = run_of(row)
            gate_key = row["gate_key"] if run.status is RunStatus.WAITING_INPUT else None
            prompt = None
            if gate_key is not None:
                prompt = await tx.one(rq.EVENT, workflow_id=workflow_id, key=prompt_key(gate_key))
            return {
                "step": None if run.ended else run.step,
                "gate": gate_key,
                "prompt": _data(prompt),
                "outcome": run.outcome,
            }

        return await self._database.read(body)

    async def _standing(self, workflow_id: str) -> Claimed:
        async def body(tx: Tx) -> Claimed:
            row = await tx.one(rq.RUN_OF_ENGINE, workflow_id=workflow_id)
            assert row is not None
            return Claimed(run_of(row), await tx.now())

        return await self._database.read(body)


def _data(row: Row | None) -> Any:
    return None if row is None else maybe_json(row["data"])
