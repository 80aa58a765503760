"""The door of runs over HTTP: its routes, its errors row by row, waiting, streaming, and who may do what."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from core.run_states import RunStatus
from core.runs import Runs
from tests.support.databases import rows
from tests.support.gates import world
from tests.support.server import Client, Server, running, server_fixture, until

__all__ = ["server_fixture"]

GATE = "plan-approval"
REPLY: dict[str, Any] = {"payload": {"choice": "yes"}, "dedupeKey": "k1", "origin": "external"}
EVENT: dict[str, Any] = {**REPLY, "workflowId": "$W", "gateKey": GATE, "topic": f"human:{GATE}"}


@dataclass
class Desk:
    """An agent and a reviewer of one tenant."""

    server: Server
    url: str
    agent: Client
    reviewer: Client

    async def start(self, **fields: Any) -> str:
        """A run, from its intent."""
        intent = await self.agent.http.post("/api/intents", json={"goal": "Scale search"} | fields)
        assert 201 == intent.status_code, intent.text
        body = {**intent.json(), "queuePartitionKey": "tests"}
        started = await self.agent.http.post("/api/runs", json=body)
        assert 201 == started.status_code, started.text
        return str(started.json()["workflowID"])

    async def run(self, wid: str, wait: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = (await self.agent.http.get(f"/api/runs/{wid}", params={"timeoutS": wait})).json()
        return found

    async def waiting(self, **fields: Any) -> str:
        wid = await self.start(**fields)
        assert "waiting_input" == (await self.run(wid, 20))["status"]
        return wid

    async def gate(self, wid: str, key: str = GATE, wait: int = 0) -> httpx.Response:
        return await self.agent.http.get(f"/api/runs/{wid}/gates/{key}", params={"timeoutS": wait})

    async def reply(self, wid: str, key: str = GATE, **fields: Any) -> httpx.Response:
        return await self.reviewer.http.post(f"/api/runs/{wid}/gates/{key}/reply", json=REPLY | fields)

    async def ledger(self) -> int:
        return len(await rows(self.url, "SELECT interaction_id FROM human_interactions"))


@pytest.fixture
async def desk(server: Server, database_url: str) -> Desk:
    return Desk(server, database_url, await server.client("agent"), await server.client("reviewer"))


def code(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert {"code", "message", "details", "request_id"} == set(error)
    return response.status_code, error["code"]


# --- the contract's table of bad inputs, each row with the ledger counted before and after ---


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in EVENT.items() if key != name}).encode()


MALFORMED: dict[str, tuple[str, bytes]] = {
    "not JSON": ("reply", b'{"payload": '),
    "not an object": ("reply", b"[]"),
    "no dedupe key": ("reply", b'{"payload": {"choice": "yes"}, "origin": "external"}'),
    "an empty dedupe key": ("reply", json.dumps(REPLY | {"dedupeKey": ""}).encode()),
    "a long dedupe key": ("reply", json.dumps(REPLY | {"dedupeKey": "k" * 257}).encode()),
    "a dedupe key that is no text": ("reply", json.dumps(REPLY | {"dedupeKey": 7}).encode()),
    "no origin": ("reply", b'{"payload": {"choice": "yes"}, "dedupeKey": "k1"}'),
    "an origin that is not in the list": ("reply", json.dumps(REPLY | {"origin": "email"}).encode()),
    "the origin of imported history": ("reply", json.dumps(REPLY | {"origin": "unknown"}).encode()),
    "an unknown field": ("reply", json.dumps(REPLY | {"dedupe_key": "k1"}).encode()),
    "no payload": ("reply", b'{"dedupeKey": "k1", "origin": "external"}'),
    "a payload that is no object": ("reply", json.dumps(REPLY | {"payload": "yes"}).encode()),
    "a choice that is none": ("reply", json.dumps(REPLY | {"payload": {"choice": "maybe"}}).encode()),
    "an unknown field in the payload": ("reply", json.dumps(REPLY | {"payload": {"choice": "yes", "x": 1}}).encode()),
    "NUL in the key": ("reply", json.dumps(REPLY | {"dedupeKey": "k\0"}).encode()),
    "an event without a topic": ("event", without("topic")),
    "an event with a bad gate key": ("event", json.dumps(EVENT | {"gateKey": "Plan Approval"}).encode()),
    "an event without a workflow": (
        "event",
        json.dumps({k: v for k, v in EVENT.items() if k != "workflowId"}).encode(),
    ),
}


async def test_malformed_replies_are_400_and_leave_no_row(desk: Desk) -> None:
    wid = await desk.waiting()
    for name, (lane, body) in MALFORMED.items():
        path = "/api/events/hitl" if lane == "event" else f"/api/runs/{wid}/gates/{GATE}/reply"
        answer = await desk.reviewer.http.post(path, content=body.replace(b"$W", wid.encode()))
        assert 400 == code(answer)[0], (name, answer.text)
    for bad in ("PLAN", "-x", "x" * 65, "a b", "a:b", "%00", "é"):
        assert (400, "invalid_body") == code(await desk.reply(wid, bad)), bad
        assert 400 == code(await desk.gate(wid, bad))[0], bad
    for seconds in ("31", "-1", "1.5", "x", "", "999999"):
        path = f"/api/runs/{wid}/gates/{GATE}?timeoutS={seconds}"
        assert 400 == code(await desk.agent.http.get(path))[0], seconds
    assert 400 == code(await desk.agent.http.get(f"/api/runs/{wid}/gates/{GATE}?timeout=1"))[0]
    assert 0 == await desk.ledger()


async def test_malformed_intents_and_runs_are_400(desk: Desk) -> None:
    http = desk.agent.http
    intents: list[dict[str, Any]] = [
        {}, {"goal": ""}, {"goal": 7}, {"goal": "x", "colour": "red"}, {"goal": "x", "workflow": "another"},
        {"goal": "x", "input": {"service": "moon"}}, {"goal": "x", "timeout": "1s"}, {"goal": "x", "timeout": 5},
        {"goal": "x", "sourceId": "src_none"}, {"goal": "x", "escalation": {}}, {"goal": "x", "notify": ["slack:#A"]},
        {"goal": "x", "workflow": "external", "timeout": "1h"},
    ]  # fmt: skip
    for body in intents:
        assert 400 == code(await http.post("/api/intents", json=body))[0], body
    intent = (await http.post("/api/intents", json={"goal": "x"})).json()
    runs: list[dict[str, Any]] = [
        {}, intent, intent | {"queuePartitionKey": ""}, intent | {"queuePartitionKey": " \t"},
        intent | {"queuePartitionKey": 1}, intent | {"queuePartitionKey": "p", "x": 1},
    ]  # fmt: skip
    for body in runs:
        assert 400 == code(await http.post("/api/runs", json=body))[0], body
    assert [] == await rows(desk.url, "SELECT * FROM runs")


async def test_unknown_runs_and_gates_are_404_and_leave_no_row(desk: Desk) -> None:
    wid = await desk.waiting()
    for path in ("", "/steps", "/gates", "/interactions", "/stream", f"/gates/{GATE}"):
        assert (404, "not_found") == code(await desk.agent.http.get(f"/api/runs/wf_none{path}")), path
    assert (404, "not_found") == code(await desk.reply("wf_none"))
    assert (404, "not_found") == code(await desk.reply("wf%00"))
    assert (404, "not_found") == code(await desk.reply(wid, "another"))
    assert (404, "not_found") == code(await desk.gate(wid, "another"))
    unknown = await desk.reviewer.http.post("/api/events/hitl", json=EVENT | {"workflowId": "wf_none"})
    assert (404, "not_found") == code(unknown)
    start = {"intentId": "intent_none", "queuePartitionKey": "p"}
    assert (404, "not_found") == code(await desk.agent.http.post("/api/runs", json=start))
    assert (404, "not_found") == code(await desk.agent.http.post("/api/runs/wf_none/finish", json={"status": "failed"}))
    assert 0 == await desk.ledger()


async def test_replies_to_what_does_not_wait_are_409_and_leave_no_row(desk: Desk) -> None:
    wid = await desk.waiting()
    assert (409, "topic_mismatch") == code(await desk.reply(wid, topic="human:another"))
    event = EVENT | {"workflowId": wid, "topic": "sys:timeout"}
    assert (409, "topic_mismatch") == code(await desk.reviewer.http.post("/api/events/hitl", json=event))
    await desk.agent.http.post(f"/api/runs/{wid}/finish", json={"status": "cancelled"})
    withdrawn = await desk.ledger()  # the row of the withdrawal
    assert (409, "case_cancelled") == code(await desk.reply(wid))
    late = await desk.waiting()
    desk.server.clock.forward(hours=25)
    await until(lambda: _ended(desk, late))
    timed_out = await desk.ledger()
    assert (409, "case_expired") == code(await desk.reply(late))
    assert (1, 2) == (withdrawn, timed_out)
    assert 2 == await desk.ledger()


async def _ended(desk: Desk, wid: str) -> bool:
    return (await desk.run(wid))["finishedAt"] is not None


async def test_a_known_dedupe_key_with_another_payload_or_topic_is_409_and_one_row_stays(desk: Desk) -> None:
    wid = await desk.waiting()
    assert 200 == (await desk.reply(wid)).status_code
    assert (409, "dedupe_mismatch") == code(await desk.reply(wid, payload={"choice": "no"}))
    assert (409, "dedupe_mismatch") == code(await desk.reply(wid, payload={"choice": "maybe"}))
    assert (409, "topic_mismatch") == code(await desk.reply(wid, topic="human:another"))
    assert (409, "duplicate_submission") == code(await desk.reply(wid, dedupeKey="k2"))
    assert 1 == await desk.ledger()


async def test_the_same_reply_fifty_times_at_once_is_one_row_and_one_answer(desk: Desk) -> None:
    wid = await desk.waiting()
    event = EVENT | {"workflowId": wid}
    lanes = [desk.reply(wid), desk.reviewer.http.post("/api/events/hitl", json=event)]
    more = [desk.reply(wid) for _ in range(48)]
    answers = await asyncio.gather(*lanes, *more)
    assert {200} == {answer.status_code for answer in answers}
    bodies = [answer.json() for answer in answers]
    assert 1 == sum(not body["isReplay"] for body in bodies)
    assert 1 == len({json.dumps(body["result"], sort_keys=True) for body in bodies})
    assert 1 == await desk.ledger()
    assert "executed" == (await desk.run(wid, 20))["outcome"]
    again = (await desk.reply(wid)).json()
    assert (True, bodies[0]["interactionId"]) == (again["isReplay"], again["interactionId"])


# --- what the routes give ---


async def test_one_run_per_intent(desk: Desk) -> None:
    http = desk.agent.http
    intent = (await http.post("/api/intents", json={"goal": "x", "key": "nightly"})).json()
    assert intent == (await http.post("/api/intents", json={"goal": "x", "key": "nightly"})).json()
    assert (409, "conflict") == code(await http.post("/api/intents", json={"goal": "y", "key": "nightly"}))
    first, again = [await http.post("/api/runs", json=intent | {"queuePartitionKey": "p"}) for _ in range(2)]
    assert first.json() == again.json()
    assert (409, "conflict") == code(await http.post("/api/runs", json=intent | {"queuePartitionKey": "q"}))


async def test_a_run_and_its_gate_show_what_was_asked_and_answered(desk: Desk) -> None:
    wid = await desk.waiting(timeout=3600, escalation={"notify": ["slack:C1"]})
    gate = (await desk.gate(wid)).json()
    asked = {"gateKey": GATE, "topic": f"human:{GATE}", "state": "PENDING", "withdrawn": False, "result": None}
    assert asked == {name: gate[name] for name in asked}
    assert f"esc:{wid}:{GATE}" == gate["escalationId"]
    replied = (await desk.reply(wid, payload={"choice": "no", "rationale": "not today"})).json()
    run = await desk.run(wid, 20)
    assert ("completed", "denied", None) == (run["status"], run["outcome"], run["nextAction"])
    gate = (await desk.gate(wid)).json()
    result = gate["result"]
    assert ("RECEIVED", {"choice": "no", "rationale": "not today"}) == (result["state"], result["payload"])
    assert replied["interactionId"] == result["interaction_id"]
    assert {"verdict": "DENY", "action": "reject", "timed_out": False} == gate["decision"]
    assert [gate] == (await desk.agent.http.get(f"/api/runs/{wid}/gates")).json()["items"]
    steps = (await desk.agent.http.get(f"/api/runs/{wid}/steps")).json()
    assert ["compile", "gate", "apply", "decide", "execute"] == [step["stepId"] for step in steps["items"]]
    (row,) = (await desk.agent.http.get(f"/api/runs/{wid}/interactions")).json()["items"]
    assert ("k1", "external", GATE) == (row["dedupeKey"], row["origin"], row["gateKey"])


async def test_a_gate_is_waited_for_and_so_is_its_result(desk: Desk) -> None:
    wid = await desk.start(workflow="external")
    waiting = asyncio.create_task(desk.gate(wid, "deploy", 3))  # should it come late, it waits for the result instead
    opened = await desk.agent.http.post(f"/api/runs/{wid}/gates/deploy", json={"prompt": "Deploy?"})
    assert 200 == opened.status_code, opened.text
    assert "PENDING" == (await waiting).json()["state"]
    waiting = asyncio.create_task(desk.gate(wid, "deploy", 20))
    await asyncio.sleep(0)  # it is on its way; whether it comes before or after the reply must not matter
    await desk.reply(wid, "deploy")
    assert "RECEIVED" == (await waiting).json()["state"]
    assert (404, "not_found") == code(await desk.gate(wid, "another", 1))


async def test_an_agent_finds_its_gates_again(desk: Desk) -> None:
    wid = await desk.start(workflow="external")
    body = {"prompt": "Which region?", "schema": {"type": "object", "properties": {"region": {"enum": ["eu", "us"]}}}}
    path = f"/api/runs/{wid}/gates/region"
    first, again = [(await desk.agent.http.post(path, json=body)).json() for _ in range(2)]
    assert first == again
    assert "/hitl/review/" in first["reviewUrl"]
    assert (409, "conflict") == code(await desk.agent.http.post(path, json=body | {"prompt": "Which one?"}))
    assert ("waiting_input", "ANSWER_REGION") == ((run := await desk.run(wid))["status"], run["nextAction"])
    assert (400, "invalid_data") == code(await desk.reply(wid, "region", payload={"region": "mars"}))
    assert {"region": "eu"} == (await desk.reply(wid, "region", payload={"region": "eu"})).json()["result"]["payload"]
    ended = {"status": "completed", "outcome": "deployed"}
    for _ in range(2):
        answer = (await desk.agent.http.post(f"/api/runs/{wid}/finish", json=ended)).json()
        assert ended == {name: answer[name] for name in ended}
    assert (409, "not_waiting") == code(
        await desk.agent.http.post(f"/api/runs/{wid}/finish", json={"status": "failed"})
    )


async def test_schemas_that_no_form_can_keep_to_are_400(desk: Desk) -> None:
    wid = await desk.start(workflow="external")
    for schema in (
        {},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {"a": {"type": "object"}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}},
        {"type": "object", "properties": {"a": {"type": "number", "multipleOf": 2}}},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"type": "object", "properties": {"a-b": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)"}}},
        {"type": "object", "properties": {"a": {"type": "string", "title": 7}}},
        {"type": "object", "properties": {"a": {"type": ["string", "integer"]}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": [["a"]]},
    ):
        answer = await desk.agent.http.post(f"/api/runs/{wid}/gates/x", json={"prompt": "?", "schema": schema})
        assert 400 == code(answer)[0], (schema, answer.text)


async def test_the_page_answers_a_gate_with_a_schema(desk: Desk) -> None:
    wid = await desk.start(workflow="external")
    schema = {"type": "object", "properties": {"replicas": {"type": "integer"}}, "required": ["replicas"]}
    body = {"prompt": "How many?", "schema": schema}
    gate = (await desk.agent.http.post(f"/api/runs/{wid}/gates/count", json=body)).json()
    token = gate["reviewUrl"].partition("?token=")[2]

    async def answer(replicas: float) -> int:
        body = {"token": token, "result": {"action": "submit", "data": {"replicas": replicas}}}
        return (await desk.agent.page.post(f"/api/hitl/cases/{gate['caseId']}/respond", json=body)).status_code

    assert [400, 200] == [await answer(1.5), await answer(3)]
    result = (await desk.gate(wid, "count")).json()["result"]
    assert ("RECEIVED", {"replicas": 3}) == (result["state"], result["payload"])


async def test_a_stream_tells_a_run_to_its_end_and_goes_on_where_its_reader_left(desk: Desk) -> None:
    wid = await desk.waiting()
    seen: list[tuple[str, str]] = []
    async with desk.agent.http.stream("GET", f"/api/runs/{wid}/stream") as response:
        assert "text/event-stream" == response.headers["content-type"]
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "id":
                seen.append((value, ""))
            elif name == "event":
                seen[-1] = (seen[-1][0], value)
                if value == "run.waiting":
                    assert 200 == (await desk.reply(wid)).status_code
    kinds = ["run.queued", "run.step", "run.waiting", "run.resumed", "run.step", "run.step", "run.ended"]
    assert kinds == [kind for _, kind in seen]
    rest = await desk.agent.http.get(f"/api/runs/{wid}/stream", headers={"Last-Event-ID": seen[-2][0]})
    assert 1 == rest.text.count("event: ")
    last = await desk.agent.http.get(f"/api/runs/{wid}/stream", headers={"Last-Event-ID": seen[-1][0]})
    assert "" == last.text


async def test_the_inbox_lists_the_most_urgent_first_and_says_how_urgent(desk: Desk) -> None:
    slow = await desk.waiting(timeout="10h", escalation={"notify": ["slack:C1"]})
    quick = await desk.waiting(timeout="1h")
    case = await desk.agent.case(timeout="2h")

    async def inbox(**params: Any) -> list[tuple[str, str]]:
        answer = await desk.reviewer.http.get("/api/hitl/inbox", params=params)
        return [(item["workflowID"], item["slaState"]) for item in answer.json()["items"]]

    assert [(quick, "NORMAL"), (case["case_id"], "NORMAL"), (slow, "NORMAL")] == await inbox()
    desk.server.clock.forward(seconds=46 * 60)
    assert [(quick, "WARNING"), (case["case_id"], "NORMAL")] == await inbox(limit=2)
    desk.server.clock.forward(seconds=9 * 60)
    assert (quick, "CRITICAL") == (await inbox())[0]
    answer = (await desk.reviewer.http.get("/api/hitl/inbox")).json()["items"]
    assert [None, None, f"esc:{slow}:{GATE}"] == [item["escalationId"] for item in answer]
    for limit in ("0", "201", "x"):
        assert 400 == code(await desk.reviewer.http.get("/api/hitl/inbox", params={"limit": limit}))[0]


async def test_a_stream_hears_of_what_another_process_did_though_no_wake_up_came(sqlite_url: str) -> None:
    async with running(sqlite_url, clock_role=False) as server:
        agent = await server.client("agent")
        desk = Desk(server, sqlite_url, agent, agent)
        wid = await desk.start(workflow="external")
        kinds = []
        async with agent.http.stream("GET", f"/api/runs/{wid}/stream") as response:
            async for line in response.aiter_lines():
                if line == "event: run.running":
                    async with world(sqlite_url) as elsewhere:
                        assert agent.principal is not None
                        runs = Runs(elsewhere.database, elsewhere.gate, elsewhere.hub)
                        await runs.finish(agent.principal, wid, RunStatus.COMPLETED, None)
                if line.startswith("event: "):
                    kinds.append(line)
        assert ["event: run.running", "event: run.ended"] == kinds


async def test_what_nobody_answered_escalates_to_a_run_of_its_own(desk: Desk) -> None:
    wid = await desk.waiting(escalation={"notify": ["slack:C1"], "timeout": "1h"})
    desk.server.clock.forward(hours=25)
    name = (await desk.gate(wid)).json()["escalationId"]

    async def escalated() -> bool:
        return (await desk.agent.http.get(f"/api/runs/{name}")).status_code == 200

    await until(escalated)
    assert ("waiting_input", "ACKNOWLEDGE_ESCALATION") == (
        (run := await desk.run(name, 20))["status"],
        run["nextAction"],
    )
    assert 200 == (await desk.reply(name, "escalation")).status_code
    assert "acknowledged" == (await desk.run(name, 20))["outcome"]
    assert "timed_out" == (await desk.run(wid, 20))["outcome"]
    assert ("TIMED_OUT", None) == ((result := (await desk.gate(wid)).json()["result"])["state"], result["payload"])
    assert (409, "case_expired") == code(await desk.reply(wid))


async def test_an_escalation_goes_to_a_channel_by_its_name(desk: Desk) -> None:
    wid = await desk.start(workflow="external")
    path, body = f"/api/runs/{wid}/gates/deploy", {"prompt": "Deploy?", "timeout": 300}
    wrong = await desk.agent.http.post(path, json=body | {"escalation": {"notify": ["slack:#On Call"]}})
    assert (400, "invalid_body") == code(wrong)
    assert "lowercase letters" in wrong.json()["error"]["message"]
    opened = await desk.agent.http.post(path, json=body | {"escalation": {"notify": ["slack:#oncall"]}})
    assert 200 == opened.status_code, opened.text
    desk.server.clock.forward(seconds=301)

    async def asked() -> bool:
        return ["#oncall"] == [row["channel"] for row in await rows(desk.url, "SELECT channel FROM cards")]

    await until(asked)


# --- who may do what ---


async def test_keys_do_what_their_scope_says_and_see_their_tenants_runs_only(desk: Desk) -> None:
    wid = await desk.waiting()
    path = f"/api/runs/{wid}/gates/{GATE}/reply"
    assert (403, "forbidden") == code(await desk.agent.http.post(path, json=REPLY))
    assert (403, "forbidden") == code(await desk.reviewer.http.post("/api/intents", json={"goal": "x"}))
    assert (401, "unauthorized") == code(await desk.server.nobody().http.get(f"/api/runs/{wid}"))
    stranger = await desk.server.client("admin", "7d0f3a4e-1111-4222-8333-444455556666")
    for leaf in ("", "/steps", "/gates", "/interactions", "/stream", f"/gates/{GATE}"):
        assert (404, "not_found") == code(await stranger.http.get(f"/api/runs/{wid}{leaf}")), leaf
    assert (404, "not_found") == code(await stranger.http.post(path, json=REPLY))
    assert (404, "not_found") == code(await stranger.http.post(f"/api/runs/{wid}/gates/x", json={"prompt": "?"}))
    assert (404, "not_found") == code(await stranger.http.post(f"/api/runs/{wid}/finish", json={"status": "cancelled"}))
    assert [] == (await stranger.http.get("/api/hitl/inbox")).json()["items"]
    assert 0 == await desk.ledger()


async def test_where_only_named_people_may_decide_a_key_is_refused(desk: Desk) -> None:
    wid = await desk.waiting(reviewers={"any_of": ["slack:U0ANA"]})
    assert (403, "not_a_reviewer") == code(await desk.reply(wid))
    assert 0 == await desk.ledger()


async def test_errors_where_there_is_no_route_are_worded_as_the_doors_are(desk: Desk) -> None:
    assert (404, "not_found") == code(await desk.agent.http.get("/api/runs/x/y/z"))
    assert (405, "method_not_allowed") == code(await desk.agent.http.delete("/api/intents"))
