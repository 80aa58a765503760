"""Gates of runs in the core: one prompt, one result, one decision, whatever happens to whoever waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from core.errors import AlreadyDecided, CaseExpired, Conflict, DedupeMismatch, InvalidInput, NotFound
from core.model import JsonObject, Origin, Principal
from core.replies import Answered
from core.run_moves import LEASE_MS, Run
from core.run_states import RunStatus
from core.run_views import GateView, RunViews
from core.run_worker import RunWorker
from core.runs import Intent, NotWaiting, Runs, TopicMismatch
from core.workflows import EXTERNAL, PLAN_APPROVAL, Asked
from tests.support.gates import MINUTE, World, reviewer, slack, world

HOUR = 60 * MINUTE
YES = {"choice": "yes", "rationale": "looks right"}


@dataclass
class Stage:
    """Runs in a world: what drives them, and what reads them."""

    here: World
    runs: Runs
    views: RunViews
    worker: RunWorker
    reviewer: Principal

    async def start(self, workflow: str = PLAN_APPROVAL, **terms: Any) -> Run:
        intent = Intent("Scale search", workflow, {}, terms)
        intent_id = await self.runs.intend(self.here.agent, intent)
        return await self.runs.start(self.here.agent, intent_id, "tests")

    async def waiting(self, workflow: str = PLAN_APPROVAL, **terms: Any) -> Run:
        """A run that waits behind its gate."""
        run = await self.start(workflow, **terms)
        await self.worker.work()
        return await self.run(run)

    async def run(self, run: Run) -> Run:
        return await self.views.run(self.here.agent, run.workflow_id)

    async def gate(self, run: Run, gate_key: str = PLAN_APPROVAL) -> GateView:
        return await self.views.gate(self.here.agent, run.workflow_id, gate_key)

    async def reply(
        self,
        run: Run,
        payload: JsonObject = YES,
        key: str = "k1",
        gate_key: str = PLAN_APPROVAL,
        topic: str | None = None,
        origin: Origin = Origin.EXTERNAL,
    ) -> Answered:
        given: dict[str, Any] = {"payload": payload, "dedupe_key": key, "origin": origin, "topic": topic}
        return await self.runs.reply(self.reviewer, run.workflow_id, gate_key, **given)

    async def keys(self, run: Run) -> list[str]:
        rows = await self.here.rows("workflow_events", "workflow_id = :w", w=run.workflow_id)
        return sorted(row["key"] for row in rows)

    async def steps(self, run: Run) -> list[tuple[str, str]]:
        steps, _ = await self.views.steps(self.here.agent, run.workflow_id)
        return [(step["step_id"], step["status"]) for step in steps]


async def stage_on(here: World) -> Stage:
    _, principal = await here.keys.create("reviewer", here.agent.tenant_id)
    runs = Runs(here.database, here.gate, here.hub)
    worker = RunWorker(here.database, here.gate, here.hub)
    return Stage(here, runs, RunViews(here.database, here.hub), worker, principal)


@pytest.fixture
async def stage(here: World) -> Stage:
    return await stage_on(here)


async def test_a_run_compiles_asks_and_carries_out_what_was_agreed_to(stage: Stage) -> None:
    run = await stage.waiting()
    assert (RunStatus.WAITING_INPUT, "APPROVE_PLAN") == (run.status, run.next_action)
    assert ["ui:plan-approval"] == await stage.keys(run)
    answered = await stage.reply(run)
    await stage.worker.work()
    done = await stage.run(run)
    assert (RunStatus.COMPLETED, "executed", None) == (done.status, done.outcome, done.next_action)
    names = ["compile", "gate", "apply", "decide", "execute"]
    assert names == [step for step, _ in await stage.steps(run)]
    _, artifacts = await stage.views.steps(stage.here.agent, run.workflow_id)
    assert ["plan", "difference", "inventory"] == [artifact["task_key"] for artifact in artifacts]
    gate = await stage.gate(run)
    assert gate.result is not None
    assert ("RECEIVED", YES, answered.interaction_id) == tuple(
        gate.result[name] for name in ("state", "payload", "interaction_id")
    )
    prompt = "ui:plan-approval"
    assert sorted([prompt, f"{prompt}:result", f"{prompt}:audit", "decision:plan-approval"]) == await stage.keys(run)
    assert [] == await stage.here.findings()


async def test_a_denied_plan_is_not_carried_out(stage: Stage) -> None:
    run = await stage.waiting()
    await stage.reply(run, {"choice": "no"})
    await stage.worker.work()
    assert "denied" == (await stage.run(run)).outcome
    assert [("apply", "skipped"), ("decide", "completed"), ("execute", "skipped")] == (await stage.steps(run))[2:]
    assert [] == await stage.here.findings()


async def test_a_tap_on_the_card_answers_the_gate(stage: Stage) -> None:
    run = await stage.waiting(notify=["slack:C1"])
    card = await stage.here.row("cards")
    await stage.here.cards.claim("slack", 10)
    answer = await stage.here.tap(card["card_id"], "approve", reviewer())
    assert answer.recorded
    await stage.worker.work()
    assert "executed" == (await stage.run(run)).outcome
    assert "webhook" == (await stage.here.row("human_interactions"))["origin"]
    assert [] == await stage.here.findings()


async def test_the_same_reply_again_is_a_replay_however_late(stage: Stage) -> None:
    run = await stage.waiting()
    first = await stage.reply(run)
    assert not first.replay
    await stage.worker.work()
    stage.here.clock.forward(40 * 24 * HOUR)
    again = await stage.reply(run)
    assert (True, first.interaction_id) == (again.replay, again.interaction_id)
    with pytest.raises(DedupeMismatch):
        await stage.reply(run, {"choice": "no"})
    with pytest.raises(DedupeMismatch):
        await stage.reply(run, {"choice": "perhaps"})
    with pytest.raises(AlreadyDecided):
        await stage.reply(run, {"choice": "no"}, key="k2")
    assert 1 == len(await stage.here.rows("human_interactions"))


async def test_a_refused_reply_leaves_no_row(stage: Stage) -> None:
    run = await stage.waiting()
    for payload in ({"choice": "perhaps"}, {"choice": "yes", "why": "x"}, {"choice": "yes", "rationale": 7}, {}):
        with pytest.raises(InvalidInput):
            await stage.reply(run, payload)
    with pytest.raises(TopicMismatch):
        await stage.reply(run, topic="human:another")
    with pytest.raises(NotFound):
        await stage.reply(run, gate_key="another")
    assert [] == await stage.here.rows("human_interactions")
    refused = await stage.here.rows("case_events", "kind = 'refused'")
    assert ["invalid_body"] * 4 + ["topic_mismatch"] == sorted(json.loads(row["data"])["code"] for row in refused)


async def test_replies_at_once_are_one_reply(stage: Stage) -> None:
    run = await stage.waiting()
    answers = await asyncio.gather(*(stage.reply(run) for _ in range(50)))
    assert 1 == len({answer.interaction_id for answer in answers})
    assert 1 == sum(not answer.replay for answer in answers)
    await stage.worker.work()
    assert 1 == len(await stage.here.rows("human_interactions"))
    assert [] == await stage.here.findings()


async def test_different_replies_at_once_have_one_winner(stage: Stage) -> None:
    run = await stage.waiting()
    given: Sequence[dict[str, Any]] = [{"choice": "yes" if n % 2 else "no"} for n in range(50)]
    answers = await asyncio.gather(
        *(stage.reply(run, payload, f"k{n}") for n, payload in enumerate(given)), return_exceptions=True
    )
    assert 1 == sum(isinstance(answer, Answered) for answer in answers)
    assert {AlreadyDecided} == {type(answer) for answer in answers if not isinstance(answer, Answered)}
    await stage.worker.work()
    assert [] == await stage.here.findings()


async def test_a_timeout_is_decided_once_and_escalates_once(stage: Stage) -> None:
    escalation = {"notify": ["slack:C9"], "timeout": "24h", "timeout_ms": 24 * HOUR, "policy": None}
    run = await stage.waiting(escalation=escalation)
    stage.here.clock.forward(25 * HOUR)
    with pytest.raises(CaseExpired):
        await stage.reply(run)
    async with world(stage.here.url, beside=stage.here) as there:
        other = await stage_on(there)
        closed = await asyncio.gather(*(gate.expire_due() for gate in [stage.here.gate, there.gate] * 5))
        assert 1 == sum(closed)
        await asyncio.gather(stage.worker.work(), other.worker.work())
    done = await stage.run(run)
    assert (RunStatus.COMPLETED, "timed_out") == (done.status, done.outcome)
    gate = await stage.gate(run)
    assert gate.result is not None
    assert ("TIMED_OUT", None) == (gate.result["state"], gate.result["payload"])
    name = f"esc:{run.workflow_id}:plan-approval"
    (escalated,) = await stage.here.rows("runs", "workflow_id = :w", w=name)
    assert (name, "waiting_input") == (gate.escalation_id, escalated["status"])
    card = await stage.here.row("cards")
    assert ("slack", "C9") == (card["platform"], card["channel"])
    asked = await stage.views.run(stage.here.agent, name)
    await stage.reply(asked, {"choice": "yes"}, gate_key="escalation")
    await stage.worker.work()
    assert "acknowledged" == (await stage.views.run(stage.here.agent, name)).outcome
    assert [] == await stage.here.findings()


async def test_a_timeout_without_an_escalation_starts_nothing(stage: Stage) -> None:
    run = await stage.waiting()
    stage.here.clock.forward(25 * HOUR)
    await stage.here.gate.expire_due()
    await stage.worker.work()
    assert [run.workflow_id] == [row["workflow_id"] for row in await stage.here.rows("runs")]


async def test_a_withdrawn_gate_has_no_result_and_its_run_ends_cancelled(stage: Stage) -> None:
    run = await stage.waiting()
    gate = await stage.gate(run)
    await stage.here.gate.cancel(stage.here.agent, gate.case.case_id, "not needed any more")
    await stage.worker.work()
    done = await stage.run(run)
    assert (RunStatus.CANCELLED, "withdrawn") == (done.status, done.outcome)
    assert ["ui:plan-approval", "ui:plan-approval:audit"] == await stage.keys(run)
    with pytest.raises(Conflict):
        await stage.reply(run)
    assert [] == await stage.here.findings()


async def test_calling_a_run_off_withdraws_its_gates(stage: Stage) -> None:
    run = await stage.waiting()
    ended = await stage.runs.finish(stage.here.agent, run.workflow_id, RunStatus.CANCELLED, None)
    again = await stage.runs.finish(stage.here.agent, run.workflow_id, RunStatus.CANCELLED, None)
    assert ended == again
    with pytest.raises(NotWaiting):
        await stage.runs.finish(stage.here.agent, run.workflow_id, RunStatus.COMPLETED, None)
    await stage.worker.work()
    assert RunStatus.CANCELLED == (await stage.run(run)).status
    assert [] == await stage.here.findings()


async def test_a_killed_workers_run_is_taken_over_and_a_late_one_changes_nothing(stage: Stage) -> None:
    run = await stage.start()
    (stale,) = await stage.worker._claim()
    assert [] == await stage.worker._claim()
    stage.here.clock.forward(LEASE_MS + 1)
    await stage.worker.work()
    await stage.worker._carry_on(stale)
    assert [("compile", "completed"), ("gate", "waiting_input")] == await stage.steps(run)
    assert 2 == (await stage.here.rows("run_steps", "step_id = 'compile'"))[0]["attempt"]
    assert 1 == len(await stage.here.rows("cases"))
    assert [] == await stage.here.findings()


async def test_a_step_that_cannot_be_done_is_tried_again_and_then_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: Run) -> None:
        raise ValueError("of nobody's business")

    run = await stage.start()
    monkeypatch.setattr("core.run_worker.step_of", lambda run: broken)
    for _ in range(8):
        await stage.worker.work()
        stage.here.clock.forward(10 * MINUTE)
    failed = await stage.run(run)
    assert (RunStatus.FAILED, "a defect of ours; the log says which") == (failed.status, failed.last_error)
    assert [("compile", "failed")] * 8 == await stage.steps(run)
    assert "nobody's" not in str(await stage.here.rows("run_steps"))
    assert [] == await stage.here.findings()


async def test_a_signal_that_cannot_be_brought_holds_up_no_other(stage: Stage) -> None:
    bad, good = [await stage.waiting() for _ in range(2)]
    for run in (bad, good):
        await stage.reply(run)
    place = f"workflow_id = '{bad.workflow_id}' AND key = 'ui:plan-approval:result'"
    row = await stage.here.row("workflow_events", place)
    await stage.here.execute(f"DELETE FROM workflow_events WHERE {place}")
    await stage.worker.work()
    assert RunStatus.COMPLETED == (await stage.run(good)).status
    stuck = await stage.here.row("signals", "received_at IS NULL")
    assert (bad.workflow_id, 1) == (stuck["workflow_id"], stuck["attempts"])
    await stage.here.execute(f"INSERT INTO workflow_events VALUES ({', '.join(f':{name}' for name in row)})", **row)
    stage.here.clock.forward(MINUTE)
    await stage.worker.work()
    assert RunStatus.COMPLETED == (await stage.run(bad)).status
    assert [] == await stage.here.findings()


# --- runs that their agent carries out ---


async def open_gate(stage: Stage, run: Run, gate_key: str = "deploy", **changes: Any) -> GateView:
    asked = Asked(gate_key, "Deploy?", "DEPLOY", **{"body_hash": "one", **changes})
    case = await stage.runs.open_gate(stage.here.agent, run.workflow_id, asked)
    return await stage.views.gate(stage.here.agent, case.workflow_id, gate_key)


async def test_an_agent_opens_gates_and_finds_them_again(stage: Stage) -> None:
    run = await stage.waiting(EXTERNAL)
    assert RunStatus.RUNNING == run.status
    gates = await asyncio.gather(*(open_gate(stage, run) for _ in range(10)))
    assert 1 == len({gate.case.case_id for gate in gates})
    with pytest.raises(Conflict):
        await open_gate(stage, run, body_hash="two")
    assert (RunStatus.WAITING_INPUT, "DEPLOY") == ((now := await stage.run(run)).status, now.next_action)
    await stage.reply(run, gate_key="deploy")
    assert RunStatus.RUNNING == (await stage.run(run)).status
    await stage.worker.work()
    assert RunStatus.RUNNING == (await stage.run(run)).status
    assert "RECEIVED" == ((await open_gate(stage, run)).result or {})["state"]
    await stage.runs.finish(stage.here.agent, run.workflow_id, RunStatus.COMPLETED, "deployed")
    with pytest.raises(NotWaiting):
        await open_gate(stage, run, "another")
    assert [] == await stage.here.findings()


async def test_a_run_may_wait_behind_two_gates(stage: Stage) -> None:
    run = await stage.waiting(EXTERNAL)
    await open_gate(stage, run, "one")
    await open_gate(stage, run, "two")
    await stage.reply(run, gate_key="two")
    await stage.worker.work()
    assert RunStatus.WAITING_INPUT == (await stage.run(run)).status
    await stage.reply(run, gate_key="one")
    await stage.worker.work()
    done = await stage.run(run)
    assert (RunStatus.RUNNING, {"one", "two"}) == (done.status, set(done.results))
    assert [] == await stage.here.findings()


async def test_a_gate_with_a_schema_takes_what_it_says_from_people_and_machines_alike(stage: Stage) -> None:
    schema = {
        "type": "object",
        "properties": {
            "region": {"enum": ["eu", "us"]},
            "replicas": {"type": "integer", "minimum": 1},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
        "required": ["region", "replicas"],
    }
    run = await stage.waiting(EXTERNAL)
    gate = await open_gate(stage, run, schema=schema)
    assert "input" == gate.case.type
    for wrong in (
        {"region": "mars", "replicas": 1},
        {"region": "eu"},
        {"region": "eu", "replicas": 1.5},
        {"region": "eu", "replicas": 0},
        {"region": "eu", "replicas": 1, "x": 1},
    ):
        with pytest.raises(InvalidInput):
            await stage.reply(run, wrong, gate_key="deploy")
    given = {"region": "eu", "replicas": 3}
    await stage.reply(run, {**given, "note": None}, gate_key="deploy")
    assert given == ((await stage.gate(run, "deploy")).result or {})["payload"]
    assert [] == await stage.here.findings()


async def test_one_key_has_one_voice_in_a_quorum(stage: Stage) -> None:
    policy = {"any_of": ["channel", "link"], "quorum": 2, "reject_quorum": 1, "exclude_requester": False}
    run = await stage.waiting(policy=policy, notify=[str(slack())])
    await stage.reply(run)
    with pytest.raises(AlreadyDecided):
        await stage.reply(run, key="k2")
    assert RunStatus.WAITING_INPUT == (await stage.run(run)).status
    card = await stage.here.row("cards")
    await stage.here.cards.claim("slack", 10)
    await stage.here.tap(card["card_id"], "approve", reviewer())
    await stage.worker.work()
    assert "executed" == (await stage.run(run)).outcome
    assert [] == await stage.here.findings()


@pytest.mark.parametrize(("action", "outcome"), [("approve", "executed"), ("reject", "denied")])
async def test_a_machine_that_replies_under_a_persons_name_does_not_take_that_persons_voice(
    stage: Stage, action: str, outcome: str
) -> None:
    policy = {"any_of": ["channel"], "quorum": 2, "reject_quorum": 1, "exclude_requester": False}
    run = await stage.waiting(policy=policy, notify=[str(slack())])
    await stage.reply(run, {"choice": "yes"}, key=reviewer().key)
    card = await stage.here.row("cards")
    await stage.here.cards.claim("slack", 10)
    tapped = [await stage.here.tap(card["card_id"], action, reviewer(), delivery_id=f"d{n}") for n in range(2)]
    assert [True, True] == [answer.recorded for answer in tapped]
    assert 2 == len(await stage.here.rows("human_interactions"))
    await stage.worker.work()
    assert outcome == (await stage.run(run)).outcome
    assert [] == await stage.here.findings()


async def test_intents_with_one_key_are_one_intent(stage: Stage) -> None:
    intent = Intent("Scale search", EXTERNAL, {}, {}, key="nightly")
    ids = await asyncio.gather(*(stage.runs.intend(stage.here.agent, intent) for _ in range(10)))
    assert 1 == len(set(ids))
    with pytest.raises(Conflict):
        await stage.runs.intend(stage.here.agent, Intent("Scale mail", EXTERNAL, {}, {}, key="nightly"))
    runs = await asyncio.gather(*(stage.runs.start(stage.here.agent, ids[0], "p") for _ in range(10)))
    assert 1 == len({run.run_id for run in runs})
    with pytest.raises(Conflict):
        await stage.runs.start(stage.here.agent, ids[0], "q")


async def test_the_oracles_see_what_is_broken(stage: Stage) -> None:
    run = await stage.waiting()
    await stage.reply(run)
    await stage.worker.work()
    await stage.here.execute("UPDATE signals SET received_at = NULL, created_at = created_at - 60000")
    await stage.here.execute("UPDATE workflow_events SET interaction_id = 'int_x' WHERE key LIKE 'decision%'")
    found = {finding.oracle for finding in await stage.here.findings()}
    assert {"signals unsent", "results without an interaction", "branches that nobody decided"} == found
    await stage.here.execute("DELETE FROM signals")
    assert "gates that ended unheard" in {finding.oracle for finding in await stage.here.findings()}


async def test_the_ledger_keeps_the_key_that_the_caller_derived(stage: Stage) -> None:
    run = await stage.waiting()
    await stage.reply(run, key="prompt-1:alice", origin=Origin.WEBHOOK_CI)
    row = await stage.here.row("human_interactions")
    assert ("prompt-1:alice", "human:plan-approval", "webhook-ci") == (row["dedupe_key"], row["topic"], row["origin"])
    assert {"action": "approve", "data": {"reason": "looks right"}} == json.loads(row["payload"])
