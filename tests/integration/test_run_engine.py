"""Runs that a workflow engine has: done once whoever does them, and taken over where the engine does not come."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import Unavailable
from core.model import Principal
from core.retention import Retention
from core.run_engine import RunSteps
from core.run_moves import Run
from core.run_signals import Message
from core.run_states import RunStatus
from core.run_worker import HANDED, SENDS, RunWorker
from core.runs import Intent, Runs
from core.schedule import DAY
from core.workflows import PLAN_APPROVAL
from tests.support.gates import MINUTE, World

STEPS = ["compile", "gate", "apply", "decide", "execute"]


class Elsewhere:
    """An engine that takes everything, and does it only when a test does."""

    name = "elsewhere"

    def __init__(self) -> None:
        self.started: list[str] = []
        self.messages: list[Message] = []
        self.forgotten: list[str] = []
        self.room = True
        self.away = False

    def has_room(self) -> bool:
        return self.room

    async def start(self, run: Run) -> None:
        self.started.append(run.workflow_id)

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    async def forget(self, workflow_id: str) -> None:
        if self.away:
            raise Unavailable
        self.forgotten.append(workflow_id)


class Stage:
    def __init__(self, here: World, reviewer: Principal) -> None:
        self.here = here
        self.engine = Elsewhere()
        self.runs = Runs(here.database, here.gate, here.hub, self.engine.name)
        self.worker = RunWorker(here.database, here.gate, here.hub, self.engine)
        self.loop_alone = RunWorker(here.database, here.gate, here.hub)
        self.steps = RunSteps(here.database, self.loop_alone)
        self.reviewer = reviewer

    async def started(self) -> str:
        intent_id = await self.runs.intend(self.here.agent, Intent("Scale search", PLAN_APPROVAL, {}, {}))
        return (await self.runs.start(self.here.agent, intent_id, "tests")).workflow_id

    async def waiting(self) -> str:
        """A run that the engine has brought to its gate."""
        wid = await self.started()
        await self.worker.work()
        await self.steps.carry_on(wid, "compile")
        assert PLAN_APPROVAL == (await self.steps.carry_on(wid, "gate"))["gate"]
        return wid

    async def reply(self, wid: str) -> None:
        answer = {"payload": {"choice": "yes"}, "dedupe_key": "ana", "origin": "external", "topic": None}
        await self.runs.reply(self.reviewer, wid, PLAN_APPROVAL, **answer)  # type: ignore[arg-type]

    async def status(self, wid: str) -> str:
        return str((await self.here.row("runs", "workflow_id = :w", w=wid))["status"])

    async def done(self, wid: str) -> list[str]:
        rows = await self.here.rows("run_steps")
        return [row["step_id"] for row in sorted(rows, key=lambda row: STEPS.index(row["step_id"]))]


@pytest.fixture
async def stage(here: World) -> Stage:
    _, principal = await here.keys.create("reviewer", here.agent.tenant_id)
    return Stage(here, principal)


async def test_an_engine_does_each_step_once_however_often_and_from_how_many_places_it_does_it(stage: Stage) -> None:
    wid = await stage.waiting()
    assert [wid] == stage.engine.started
    await stage.reply(wid)
    await stage.worker.work()
    assert ["result"] == [message.body["kind"] for message in stage.engine.messages]
    await asyncio.gather(*(stage.steps.receive(wid, PLAN_APPROVAL) for _ in range(5)))
    for step in STEPS[2:]:
        await asyncio.gather(*(stage.steps.carry_on(wid, step) for _ in range(5)))
    assert "completed" == await stage.status(wid)
    assert STEPS == await stage.done(wid)
    assert [] == await stage.here.findings()


async def test_a_signal_is_sent_again_until_it_is_received(stage: Stage) -> None:
    wid = await stage.waiting()
    await stage.reply(wid)
    for _ in range(SENDS):
        await stage.worker.work()
        stage.here.clock.forward(MINUTE)
    assert SENDS == len(stage.engine.messages)
    assert 1 == len({message.key for message in stage.engine.messages})
    assert "waiting_input" == await stage.status(wid)
    await stage.worker.work()  # nobody came for it: the loop goes on with the run
    assert "completed" == await stage.status(wid)
    late = await stage.steps.receive(wid, PLAN_APPROVAL)
    assert (None, "executed") == (late["step"], late["outcome"])
    assert STEPS == await stage.done(wid)
    assert [] == await stage.here.findings()


async def test_a_run_that_its_engine_does_not_move_is_taken_over(stage: Stage) -> None:
    wid = await stage.started()
    for _ in range(HANDED):
        await stage.worker.work()
        stage.here.clock.forward(MINUTE)
    assert [wid] * HANDED == stage.engine.started
    await stage.worker.work()
    assert RunStatus.WAITING_INPUT == await stage.status(wid)
    await stage.reply(wid)
    await stage.worker.work()
    assert [] == stage.engine.messages
    assert "completed" == await stage.status(wid)


async def test_what_an_engine_has_no_room_for_is_carried_on_as_rows(stage: Stage) -> None:
    stage.engine.room = False
    wid = await stage.started()
    await stage.worker.work()
    await stage.reply(wid)
    await stage.worker.work()
    assert "completed" == await stage.status(wid)
    assert ([], []) == (stage.engine.started, stage.engine.messages)


async def test_where_the_engine_is_not_chosen_any_more_its_runs_go_on(stage: Stage) -> None:
    wid = await stage.waiting()
    await stage.reply(wid)
    await stage.loop_alone.work()
    assert "completed" == await stage.status(wid)
    assert [] == await stage.here.findings()


async def test_the_engines_own_record_is_erased_before_the_run_is_and_not_without_it(stage: Stage) -> None:
    here, wid = stage.here, await stage.waiting()
    await stage.reply(wid)
    await stage.worker.work()
    await stage.steps.receive(wid, PLAN_APPROVAL)
    for step in STEPS[2:]:
        await stage.steps.carry_on(wid, step)
    assert "completed" == await stage.status(wid)
    here.clock.forward(2 * DAY)
    retention = Retention(here.database, here.hub, here.ring, 1, stage.engine)
    stage.engine.away = True
    await retention.round()
    assert 1 == (await retention.standing()).due
    stage.engine.away = False
    await retention.round()
    assert [wid] == stage.engine.forgotten
    assert (1, 0) == ((await retention.standing()).erased, (await retention.standing()).due)
    assert [] == await here.findings()
