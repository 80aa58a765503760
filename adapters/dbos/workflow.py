"""plan-approval as a DBOS workflow: which step comes next is DBOS's to know, what a step does is the core's.

DBOS replays a workflow from what its steps gave, and runs the steps themselves at least once: those of the core do
nothing a second time. So whoever is killed here goes on where it was, and nobody is asked twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from dbos import DBOS, StepOptions

from core.gate_keys import human_topic, prompt_key, result_key
from core.run_engine import Place, RunSteps
from core.workflows import PLAN_APPROVAL

VERSION = "plan-approval-1"  # of the sequence of steps below: what waits under one is never replayed by another
LOOK_AGAIN_SECONDS = 86_400.0  # the deadline is the gate's, and the clock role's to call; this is for what got lost

Workflow = Callable[[str, str], Coroutine[Any, Any, str | None]]


def plan_approval(steps: RunSteps, running: set[asyncio.Task[Any]]) -> Workflow:
    """The workflow, registered with DBOS. `running`: the tasks that it runs in, for a stop."""

    # Waiting through many restarts is what it is for: there is no number of them after which it is given up.
    @DBOS.workflow(name=PLAN_APPROVAL, max_recovery_attempts=None)
    async def workflow(workflow_id: str, first_step: str) -> str | None:
        if (task := asyncio.current_task()) is not None:
            running.add(task)
            task.add_done_callback(running.discard)
        return await _carried_out(steps, workflow_id, first_step)

    return workflow


async def _carried_out(steps: RunSteps, workflow_id: str, first_step: str) -> str | None:
    """Until the run has ended; its outcome."""
    place: Place = {"step": first_step, "gate": None, "prompt": None, "outcome": None}
    while (step := place["step"]) is not None:
        gate_key = place["gate"]
        if gate_key is None:
            place = await DBOS.run_step_async(_named(step), steps.carry_on, workflow_id, step)
        else:
            await DBOS.set_event_async(prompt_key(gate_key), place["prompt"])
            place = await _answered(steps, workflow_id, gate_key)
    return place["outcome"]


async def _answered(steps: RunSteps, workflow_id: str, gate_key: str) -> Place:
    """Wait behind a gate; where the run is once it has its result."""
    while True:
        message = await DBOS.recv_async(human_topic(gate_key), LOOK_AGAIN_SECONDS)
        # The message says that there is a result; which one, the rows say.
        place = await DBOS.run_step_async(_named(f"receive {gate_key}"), steps.receive, workflow_id, gate_key)
        if place["gate"] != gate_key:
            break
    if message is not None and message["result"] is not None:
        await DBOS.set_event_async(result_key(gate_key), message["result"])
    return place


def _named(step: str) -> StepOptions:
    return {"name": step, "retries_allowed": True, "interval_seconds": 1.0, "max_attempts": 6, "backoff_rate": 2.0}
