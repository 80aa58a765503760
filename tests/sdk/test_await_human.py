"""`await_human` on runs, against the real server: one prompt and one answer, whatever is killed in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, Literal

import httpx
import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from assent import (
    Agent,
    AsyncAgent,
    AsyncRun,
    BadReply,
    Choice,
    Conflict,
    InvalidRequest,
    Reply,
    StillWaiting,
    Withdrawn,
    await_human,
)
from assent.gates import Escalation
from assent.watching import Watch
from core.callbacks import signature
from tests.sdk.support import Clients, Relay, program
from tests.sdk.test_docs import EXAMPLES
from tests.support.databases import rows
from tests.support.server import Client, Server, until

GATE = "plan-approval"


class PlanApproval(BaseModel):
    approved: bool
    region: Literal["eu", "us"]
    replicas: int = Field(default=2, ge=1, le=9)
    due: date | None = None
    note: str | None = None


FILLED = {"approved": True, "region": "eu", "replicas": 3, "due": "2026-12-01"}


class People:
    """Reviewers who reply to gates, and what the database holds of that."""

    def __init__(self, client: Client, url: str) -> None:
        self._client = client
        self._url = url

    async def reply(self, run: str, payload: dict[str, Any] | None = None, gate_key: str = GATE) -> httpx.Response:
        body = {"payload": payload or {"choice": "yes"}, "dedupeKey": f"{gate_key}:ana", "origin": "external"}
        return await self._client.http.post(f"/api/runs/{run}/gates/{gate_key}/reply", json=body)

    async def count(self, table: str, where: str = "1 = 1") -> int:
        return len(await rows(self._url, f"SELECT 1 AS one FROM {table} WHERE {where}"))

    async def asked(self) -> tuple[str, str]:
        """Workflow and case of the one gate, once it is there."""
        found: list[Any] = []

        async def there() -> bool:
            found[:] = await rows(self._url, "SELECT workflow_id, case_id FROM cases WHERE workflow_id LIKE 'wf_%'")
            return bool(found)

        await until(there)
        ((workflow_id, case_id),) = [(row["workflow_id"], row["case_id"]) for row in found]
        return workflow_id, case_id


@pytest.fixture
async def reviewers(server: Server, database_url: str) -> People:
    return People(await server.client("reviewer"), database_url)


async def _watched(server: Server) -> None:
    """Somebody follows a run."""
    await until(lambda: server.services.hub.watched("run:") != [])


# --- asking


async def test_the_answer_comes_as_the_programs_own_type(server: Server, agent: AsyncAgent, reviewers: People) -> None:
    ctx = await agent.run("deploy-2.14.0-run-7", goal="Deploy 2.14.0")

    def ask() -> Awaitable[Reply[PlanApproval]]:
        return await_human(
            ctx,
            gate_key="plan-approval",
            prompt="Deploy 2.14.0?",
            schema=PlanApproval,
            timeout=300,
            escalation=Escalation(notify=["slack:C0ONCALL"]),
        )

    waiting = asyncio.ensure_future(ask())
    await _watched(server)
    state = await ctx.state()
    assert ("waiting_input", "ANSWER_PLAN_APPROVAL", False) == (state.status, state.next_action, state.ended)
    assert 400 == (await reviewers.reply(ctx.workflow_id, {"approved": True, "region": "mars"})).status_code
    replied = await reviewers.reply(ctx.workflow_id, FILLED)
    reply = await waiting
    assert PlanApproval(approved=True, region="eu", replicas=3, due=date(2026, 12, 1)) == reply.payload
    assert ("RECEIVED", replied.json()["interactionId"], True) == (reply.state, reply.interaction_id, reply.approved)
    assert 300 == (reply.gate.expires_at - reply.gate.created_at).total_seconds()
    assert reply == await ask(), "the same again"
    assert [GATE] == [row["gate_key"] for row in await rows(reviewers._url, "SELECT gate_key FROM human_interactions")]
    done = await ctx.finish("completed", "deployed")
    assert ("completed", "deployed", True) == (done.status, done.outcome, done.ended)
    assert reply == await ask(), "also when the run has ended"
    with pytest.raises(Conflict):
        await await_human(ctx, gate_key="another", prompt="One more?")


async def test_the_example_of_the_documentation_works_as_written(
    on_sqlite: Server, sqlite_url: str, clients: Clients, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = [code for code in EXAMPLES if "await await_human(" in code]
    names: dict[str, Any] = {}
    exec(compile(example, "docs/sdk.md", "exec"), names)  # noqa: S102 - our own page
    reviewers = People(await on_sqlite.client("reviewer"), sqlite_url)
    agent = clients.agent(on_sqlite.url, (await on_sqlite.client("agent")).key)
    for _ in range(2):  # as it is, and once more after a crash
        deploying = asyncio.create_task(names["deploy"](agent))
        workflow_id, _ = await reviewers.asked()
        assert 200 == (await reviewers.reply(workflow_id, {"approved": True, "replicas": 3})).status_code
        await deploying
        assert "deploying to 3\n" == capsys.readouterr().out


async def test_without_a_schema_people_say_yes_or_no(agent: AsyncAgent, reviewers: People) -> None:
    for choice, approved in (("yes", True), ("no", False)):
        run = await agent.run(f"run-{choice}")
        await run.open(gate_key=GATE, prompt="Deploy?")
        await reviewers.reply(run.workflow_id, {"choice": choice, "rationale": "looked at it"})
        reply = await await_human(agent, key=f"run-{choice}", gate_key=GATE, prompt="Deploy?")
        assert Choice.model_validate({"choice": choice, "rationale": "looked at it"}) == reply.payload
        assert approved == reply.approved


async def test_the_blocking_face_asks_from_any_thread(
    server: Server, people: Client, reviewers: People, clients: Clients
) -> None:
    agent: Agent = clients.blocking_agent(server.url, people.key)

    def ask() -> Reply[PlanApproval]:
        run = agent.run("nightly")
        reply = await_human(run, gate_key=GATE, prompt="Deploy?", schema=PlanApproval)
        run.finish()
        return reply

    waits = [asyncio.create_task(asyncio.to_thread(ask)) for _ in range(2)]
    workflow_id, _ = await reviewers.asked()
    await reviewers.reply(workflow_id, FILLED)
    first, second = await asyncio.gather(*waits)
    assert first == second
    assert first.payload is not None
    assert "eu" == first.payload.region
    assert "completed" == (await asyncio.to_thread(lambda: agent.run("nightly").state())).status


async def test_a_json_schema_gives_a_dictionary_that_fits_it(agent: AsyncAgent, reviewers: People) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    run = await agent.run("numbers")
    await run.open(gate_key=GATE, prompt="How many?", schema=schema)
    await reviewers.reply(run.workflow_id, {"n": 3})
    assert {"n": 3} == (await await_human(run, gate_key=GATE, prompt="How many?", schema=schema)).payload


class Even(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def even(cls, n: int) -> int:
        if n % 2:
            raise ValueError("must be even")
        return n


async def test_an_answer_that_the_programs_own_type_refuses_is_an_error(agent: AsyncAgent, reviewers: People) -> None:
    run = await agent.run("even")
    await run.open(gate_key=GATE, prompt="How many?", schema=Even)
    await reviewers.reply(run.workflow_id, {"n": 3})
    with pytest.raises(BadReply, match=r"payload\.n: Value error, must be even") as raised:
        await await_human(run, gate_key=GATE, prompt="How many?", schema=Even)
    assert raised.value.gate.result is not None
    assert {"n": 3} == raised.value.gate.result.payload


async def test_what_cannot_be_asked_is_said_before_anybody_is_asked(agent: AsyncAgent, reviewers: People) -> None:
    class Nested(BaseModel):
        plan: PlanApproval

    run = await agent.run("odd")
    with pytest.raises(InvalidRequest, match="plan"):
        await await_human(run, gate_key=GATE, prompt="?", schema=Nested)
    with pytest.raises(InvalidRequest, match="gateKey"):
        await await_human(run, gate_key="Plan Approval", prompt="?")
    with pytest.raises(InvalidRequest, match="callbackUrl"):
        await await_human(run, gate_key=GATE, prompt="?", callback_url="ftp://example.com")
    with pytest.raises(InvalidRequest, match=r"escalation\.notify"):
        await await_human(run, gate_key=GATE, prompt="?", escalation=Escalation(notify=["#oncall"]))
    with pytest.raises(ValidationError, match="promt"):
        await await_human(run, gate_key=GATE, prompt="?", promt="?")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="key"):
        await await_human(agent, gate_key=GATE, prompt="?")
    with pytest.raises(TypeError, match="key"):
        await await_human(run, key="odd", gate_key=GATE, prompt="?")
    assert 0 == await reviewers.count("cases")


async def test_a_gate_asks_one_question_and_a_key_names_one_run(agent: AsyncAgent) -> None:
    run = await agent.run("once")
    gate = await run.open(gate_key=GATE, prompt="Deploy?")
    assert gate.review_url is not None
    assert gate.review_url not in repr(gate), "whoever holds it can answer"
    with pytest.raises(Conflict, match="another question"):
        await await_human(run, gate_key=GATE, prompt="Destroy?")
    again = await agent.run("once")
    assert (run.workflow_id, run.run_id) == (again.workflow_id, again.run_id)
    with pytest.raises(Conflict):
        await agent.run("once", goal="something else")


# --- waiting


@pytest.mark.parametrize("watch", ["stream", "poll"])
async def test_a_wait_outlives_its_connection(
    server: Server, people: Client, reviewers: People, line: Relay, clients: Clients, watch: Watch
) -> None:
    run = await clients.agent(line.url, people.key).run("broken")
    waiting = asyncio.ensure_future(await_human(run, gate_key=GATE, prompt="Deploy?", watch=watch))
    path = "/stream" if watch == "stream" else "timeouts=30"
    await until(lambda: len(line.heads(path)) == 1)
    await _watched(server)
    line.cut()
    await until(lambda: len(line.heads(path)) == 2)
    await reviewers.reply(run.workflow_id)
    async with asyncio.timeout(10):
        assert (await waiting).approved


async def test_a_callback_ends_a_wait_at_once(
    server: Server, people: Client, reviewers: People, clients: Clients
) -> None:
    agent = clients.agent(server.url, people.key)
    run = await agent.run("called")
    waiting = asyncio.ensure_future(await_human(run, gate_key=GATE, prompt="Deploy?", watch="callback"))
    _, case_id = await reviewers.asked()
    await until(lambda: agent._callbacks.awaits(case_id))
    await reviewers.reply(run.workflow_id)
    about = {
        "event": "review.completed",
        "case_id": case_id,
        "status": "completed",
        "timestamp": "2026-01-01T00:00:00Z",
    }
    body = json.dumps(about).encode()
    agent.receive_callback({"X-HITL-Signature": signature(people.key, body)}, body)
    async with asyncio.timeout(10):
        assert (await waiting).approved


async def test_a_wait_that_has_had_its_time_says_so_and_the_same_call_goes_on(
    agent: AsyncAgent, reviewers: People
) -> None:
    ways: list[Watch] = ["stream", "poll", "callback"]
    for watch in ways:
        with pytest.raises(StillWaiting):
            await await_human(agent, key="slow", gate_key=GATE, prompt="Deploy?", watch=watch, within=0.05)
    workflow_id, _ = await reviewers.asked()
    await reviewers.reply(workflow_id)
    assert (await await_human(agent, key="slow", gate_key=GATE, prompt="Deploy?")).approved


async def test_several_gates_of_a_run_wait_side_by_side(server: Server, agent: AsyncAgent, reviewers: People) -> None:
    run = await agent.run("both")
    waits = {
        name: asyncio.ensure_future(await_human(run, gate_key=name, prompt=f"{name}?")) for name in ("first", "second")
    }
    await until(lambda: len(server.services.hub.watched("run:")) >= 1)

    async def both() -> bool:
        return 2 == await reviewers.count("cases")

    await until(both)
    await reviewers.reply(run.workflow_id, gate_key="second")
    assert "second" == (await waits["second"]).gate.gate_key
    assert not waits["first"].done()
    await reviewers.reply(run.workflow_id, {"choice": "no"}, gate_key="first")
    assert not (await waits["first"]).approved


async def test_a_deadline_is_decided_once_and_escalates_once(
    server: Server, agent: AsyncAgent, reviewers: People
) -> None:
    run = await agent.run("late")

    def ask(watch: Watch) -> Awaitable[Reply[Choice]]:
        return await_human(
            run,
            gate_key=GATE,
            prompt="Deploy?",
            timeout=60,
            escalation=Escalation(notify=["slack:C0ONCALL"], timeout="1h"),
            watch=watch,
        )

    waits = [asyncio.ensure_future(ask(watch)) for watch in ("stream", "poll")]
    await _watched(server)
    await reviewers.asked()
    server.clock.forward(seconds=61)
    async with asyncio.timeout(15):
        first, second = await asyncio.gather(*waits)
    assert (("TIMED_OUT", None), False, False) == ((first.state, first.payload), first.received, first.approved)
    assert f"esc:{run.workflow_id}:{GATE}" == first.gate.escalation_id
    assert 409 == (await reviewers.reply(run.workflow_id)).status_code
    assert first == second == await ask("stream")
    escalations = "workflow_id LIKE 'esc:%'"

    async def started() -> bool:
        return 1 == await reviewers.count("runs", escalations)

    await until(started)
    assert (1, 1) == (
        await reviewers.count("human_interactions"),
        await reviewers.count("workflow_events", f"key = 'decision:{GATE}' AND workflow_id NOT LIKE 'esc:%'"),
    )
    assert first == await ask("poll")
    assert 1 == await reviewers.count("runs", escalations)


async def test_a_withdrawn_gate_raises_with_the_reason_every_time(
    server: Server, agent: AsyncAgent, reviewers: People
) -> None:
    run = await agent.run("gone")
    waiting = asyncio.ensure_future(await_human(run, gate_key=GATE, prompt="Deploy?"))
    await _watched(server)
    _, case_id = await reviewers.asked()
    await agent.cancel(case_id, "not needed any more")
    with pytest.raises(Withdrawn) as raised:
        await waiting
    assert "not needed any more" == raised.value.answer.reason
    with pytest.raises(Withdrawn):
        await await_human(run, gate_key=GATE, prompt="Deploy?")
    assert "cancelled" == (await run.state()).status


# --- what is killed

PROGRAM = """
    import sys
    from assent import Agent, await_human
    from assent.gates import Escalation
    agent = Agent(sys.argv[1], sys.argv[2])
    run = agent.run("deploy-2.14.0", goal="Deploy 2.14.0")
    print("asking", flush=True)
    reply = await_human(run, gate_key="plan-approval", prompt="Deploy 2.14.0?", notify=["slack:C0APPROVE"])
    print(reply.interaction_id, reply.payload.choice, flush=True)
    sys.stdin.readline()
    """


async def test_a_killed_program_asks_nobody_twice_and_gets_the_same_answer(
    server: Server, people: Client, reviewers: People
) -> None:
    async with program(PROGRAM, server.url, people.key) as first:
        assert "asking" == await first.line()
        asked = await reviewers.asked()
        await _watched(server)
        first.kill()
        assert -9 == await first.ended()
    async with program(PROGRAM, server.url, people.key) as second:
        assert "asking" == await second.line()
        await _watched(server)
        assert asked == await reviewers.asked(), "the prompt is the one that was shown before the crash"
        replied = (await reviewers.reply(asked[0])).json()
        said = f"{replied['interactionId']} yes"
        assert said == await second.line()
        second.kill()
        assert -9 == await second.ended()
    async with program(PROGRAM, server.url, people.key) as third:
        assert ["asking", said] == [await third.line(), await third.line()]
    assert (1, 1, 1, 1) == (
        await reviewers.count("cases"),
        await reviewers.count("cards"),
        await reviewers.count("human_interactions"),
        await reviewers.count("workflow_events", "key = 'ui:plan-approval'"),
    )


async def test_lost_answers_to_opening_open_nothing_twice(
    server: Server, people: Client, reviewers: People, line: Relay, clients: Clients
) -> None:
    lost: set[bytes] = set()

    def lose(data: bytes) -> Any:
        request = data.partition(b"\r\n")[0]
        if request.startswith(b"POST /api/") and request not in lost:
            lost.add(request)
            return "after"
        return None

    line.cut_when = lose
    agent: Callable[..., Any] = clients.agent(line.url, people.key).run
    run: AsyncRun = await agent("lossy")
    await run.open(gate_key=GATE, prompt="Deploy?")
    await run.finish("failed", "nobody knows")
    assert 4 == len(lost)
    counts = [await reviewers.count(table) for table in ("intents", "runs", "cases")]
    assert [1, 1, 1] == counts
