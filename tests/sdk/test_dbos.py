"""`assent.dbos`: workflows of somebody else's DBOS application that wait for people at a real Assent."""

from __future__ import annotations

import ast
import importlib
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from assent.dbos import config
from tests.sdk.support import ROOT, Program, program
from tests.support.databases import eventually, rows
from tests.support.postgres import Server as Postgres
from tests.support.postgres import create_database, drop_database
from tests.support.server import Client, Server, running

# `start ID KIND` on its standard input starts a workflow; what comes of one is printed once, also after a restart.
APPLICATION = """
    import asyncio, json, sys
    import httpx
    from dbos import DBOS, SetWorkflowID
    from pydantic import BaseModel
    from assent import Agent, AsyncAgent, Withdrawn
    from assent.dbos import await_human, config, finish
    from assent.gates import Escalation

    url, key, database = sys.argv[1:]
    connect = lambda: httpx.AsyncClient(trust_env=False)
    agent, plain_agent = AsyncAgent(url, key, connect=connect), Agent(url, key, connect=connect)

    class Window(BaseModel):
        ticket: str
        minutes: int

    @DBOS.workflow()
    async def deploy(version: str) -> list:
        try:
            reply = await await_human(
                agent, gate_key="deploy", prompt=f"Deploy {version}?", timeout=600,
                escalation=Escalation(notify=["slack:C0ONCALL"]),
            )
        except Withdrawn as error:
            return ["withdrawn", error.answer.status]
        if not reply.approved:
            return [reply.state, reply.payload and reply.payload.choice]
        window = await await_human(agent, gate_key="window", prompt="When?", schema=Window)
        await finish(agent, "completed", "deployed")
        return [reply.payload.rationale, window.payload.minutes]

    @DBOS.workflow()
    def deploy_plainly(version: str) -> list:
        reply = await_human(plain_agent, gate_key="deploy", prompt=f"Deploy {version}?")
        finish(plain_agent, outcome="deployed")
        return [reply.state, reply.payload.choice]

    async def show():
        shown = set()
        while True:
            for found in await DBOS.list_workflows_async(status=["SUCCESS", "ERROR"]):
                if found.workflow_id not in shown:
                    shown.add(found.workflow_id)
                    print(json.dumps([found.workflow_id, found.output, found.error and repr(found.error)]))
            await asyncio.sleep(0.05)

    async def main():
        DBOS(config=config("deployer", database, application_version="1", executor_id="one") | {"log_level": "ERROR"})
        DBOS.launch()
        showing = asyncio.create_task(show())
        print("ready")
        while line := await asyncio.to_thread(sys.stdin.readline):
            _, workflow_id, kind = line.split()
            with SetWorkflowID(workflow_id):
                if kind == "plain":
                    await asyncio.to_thread(DBOS.start_workflow, deploy_plainly, workflow_id)
                else:
                    await DBOS.start_workflow_async(deploy, workflow_id)

    asyncio.run(main())
"""


@pytest.fixture(scope="module")
def dbos_url(postgres_server: Postgres) -> Iterator[str]:
    """The application's own database."""
    url = create_database(postgres_server.admin_url)
    yield url
    drop_database(postgres_server.admin_url, url)


@pytest.fixture
async def server(postgres_url: str) -> AsyncIterator[Server]:
    async with running(postgres_url) as found:
        yield found


class People:
    """Who answers at Assent."""

    def __init__(self, server: Server, url: str, reviewer: Client, agent: Client) -> None:
        self.server = server
        self.url = url
        self.reviewer = reviewer
        self.agent = agent

    async def gate(self, workflow_id: str, gate_key: str = "deploy") -> dict[str, Any]:
        """The case behind a gate of a workflow, once it is there."""
        sql = f"""
            SELECT c.case_id, c.workflow_id FROM cases c JOIN runs r ON r.workflow_id = c.workflow_id
            JOIN intents i ON i.intent_id = r.intent_id
            WHERE i.key = 'dbos:{workflow_id}' AND c.gate_key = '{gate_key}' AND c.status = 'pending'
        """

        async def look() -> dict[str, Any] | None:
            return next(iter(await rows(self.url, sql)), None)

        return await eventually(look)

    async def reply(self, gate: dict[str, Any], payload: dict[str, Any], gate_key: str = "deploy") -> None:
        body = {"payload": payload, "dedupeKey": "ana", "origin": "external"}
        path = f"/api/runs/{gate['workflow_id']}/gates/{gate_key}/reply"
        for _ in range(2):  # the second one is a replay
            answer = await self.reviewer.http.post(path, json=body)
            assert 200 == answer.status_code, answer.text


@pytest.fixture
async def people(server: Server, postgres_url: str) -> People:
    return People(server, postgres_url, await server.client("reviewer"), await server.client("agent"))


@asynccontextmanager
async def application(people: People, database: str) -> AsyncIterator[Program]:
    async with program(APPLICATION, people.server.url, people.agent.key, database) as found:
        assert "ready" == await found.line(60)
        yield found


async def outcomes(app: Program, *workflow_ids: str) -> dict[str, Any]:
    """What comes of these workflows."""
    found: dict[str, Any] = {}
    while not set(workflow_ids) <= set(found):
        workflow_id, output, error = json.loads(await app.line())
        assert error is None, error
        found[workflow_id] = output
    return {workflow_id: found[workflow_id] for workflow_id in workflow_ids}


async def test_each_workflow_gets_its_own_answer(people: People, dbos_url: str) -> None:
    names = ("agreed", "denied", "late", "withdrawn", "plain")
    async with application(people, dbos_url) as app:
        for name in names:
            await app.say(f"start {name} {'plain' if name == 'plain' else 'async'}")
        gates = {name: await people.gate(name) for name in names}
        connections = psutil.Process(app.pid).net_connections()
        established = [one for one in connections if one.status == psutil.CONN_ESTABLISHED]
        assert {"127.0.0.1"} == {one.raddr[0] for one in established}
        await people.reply(gates["agreed"], {"choice": "yes", "rationale": "Fine."})
        await people.reply(gates["denied"], {"choice": "no"})
        await people.reply(gates["plain"], {"choice": "yes"})
        case = f"/api/hitl/cases/{gates['withdrawn']['case_id']}/cancel"
        assert 200 == (await people.agent.http.post(case, json={"reason": "not now"})).status_code
        window = await people.gate("agreed", "window")
        await people.reply(window, {"ticket": "OPS-7", "minutes": 30}, "window")
        done = await outcomes(app, "agreed", "denied", "plain", "withdrawn")
        assert {"agreed": ["Fine.", 30], "denied": ["RECEIVED", "no"], "plain": ["RECEIVED", "yes"]} == {
            name: done[name] for name in ("agreed", "denied", "plain")
        }
        assert ["withdrawn", "cancelled"] == done["withdrawn"]
        people.server.clock.forward(seconds=601)  # Assent's clock alone: the application's goes on as it went
        assert {"late": ["TIMED_OUT", None]} == await outcomes(app, "late")
    states = await rows(people.url, "SELECT outcome FROM runs WHERE status = 'completed' AND kind = 'external'")
    assert ["deployed", "deployed"] == [one["outcome"] for one in states]
    escalations = await rows(people.url, "SELECT workflow_id FROM runs WHERE kind = 'escalation'")
    assert [f"esc:{gates['late']['workflow_id']}:deploy"] == [one["workflow_id"] for one in escalations]


async def test_a_killed_application_goes_on_with_the_answer_that_came_meanwhile(people: People, dbos_url: str) -> None:
    async with application(people, dbos_url) as first:
        await first.say("start killed plain")
        gate = await people.gate("killed")
        await eventually(lambda: rows(dbos_url, "SELECT * FROM dbos.workflow_events WHERE workflow_uuid = 'killed'"))
        first.kill()
        await first.ended()
    await people.reply(gate, {"choice": "yes"})
    async with application(people, dbos_url) as second:
        assert {"killed": ["RECEIVED", "yes"]} == await outcomes(second, "killed")
    (message,) = await rows(dbos_url, "SELECT message_uuid FROM dbos.notifications WHERE destination_uuid = 'killed'")
    (accepted,) = await rows(people.url, "SELECT interaction_id FROM human_interactions")
    assert f"human:deploy:{accepted['interaction_id']}::killed" == message["message_uuid"]
    assert 1 == len(await rows(people.url, "SELECT case_id FROM cases"))
    (kept,) = await rows(dbos_url, "SELECT * FROM dbos.workflow_status WHERE workflow_uuid = 'killed'")
    assert ("1", "one") == (kept["application_version"], kept["executor_id"])
    kept_by_dbos = json.dumps(await rows(dbos_url, "SELECT * FROM dbos.operation_outputs"), default=str)
    assert "token=" not in kept_by_dbos  # whoever reads DBOS's tables cannot answer


def test_a_configuration_pins_version_and_executor_and_sends_nothing_out() -> None:
    found = config("deployer", "postgresql://u@host/name", application_version="7", executor_id="b")
    assert ("7", "b", False) == (found["application_version"], found["executor_id"], found["enable_otlp"])
    assert not {"conductor_key", "conductor_url", "otlp_traces_endpoints", "otlp_logs_endpoints"} & set(found)


def test_the_example_of_the_docs_is_python_and_imports_what_is_there() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "dbos.md").read_text(), re.DOTALL)
    for node in ast.walk(ast.parse(example)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, name.name) for name in node.names)


def test_an_old_sqlite_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 40, 1))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.40.1")
    with pytest.raises(ValueError, match=r"SQLite 3\.42 or later.*not 3\.40\.1"):
        config("deployer", "sqlite:///dbos.db", application_version="1", executor_id="one")
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 42, 0))
    config("deployer", "sqlite:///dbos.db", application_version="1", executor_id="one")
