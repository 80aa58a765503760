"""plan-approval on DBOS, in server processes on PostgreSQL: the same door, the same rows, also when killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest
import pytest_asyncio

from adapters.dbos import DbosSettings
from adapters.dbos.engine import config_of
from adapters.dbos.workflow import VERSION
from bot import compose
from bot.serve import running
from bot.settings import WrongSetting, read_settings
from core.hub import Hub
from core.ledger import migrate, open_database
from core.oracles import Oracles
from core.schedule import DAY
from core.sealing import KeyRing
from tests.support.databases import eventually, rows
from tests.support.gates import as_superuser
from tests.support.postgres import Server, create_database, drop_database
from tests.support.process import SECRET, ServerProcess, make_key, serving
from tests.support.server import let_in

pytestmark = pytest.mark.asyncio(loop_scope="module")
GATE = "plan-approval"
YES: dict[str, Any] = {"choice": "yes", "rationale": "Looks right."}
WAIT = 25
STEPS = ["compile", "gate", "apply", "decide", "execute"]


@dataclass
class Office:
    """A database with an agent's and a reviewer's key."""

    url: str
    keys: dict[str, str]

    async def asked(self, sql: str) -> list[dict[str, Any]]:
        return await rows(self.url, sql)

    async def workflow(self, wid: str) -> dict[str, Any] | None:
        """The workflow of a run as DBOS has it."""
        sql = f"SELECT * FROM assent_dbos.workflow_status WHERE workflow_uuid = '{wid}'"
        return next(iter(await self.asked(sql)), None)

    async def ended(self, wid: str) -> str:
        """How DBOS's own workflow has ended."""

        async def look() -> str | None:
            found = await self.workflow(wid)
            return str(found["status"]) if found and found["status"] not in ("PENDING", "ENQUEUED") else None

        return await eventually(look)

    async def findings(self) -> list[Any]:
        database = open_database(self.url, pool_size=2)
        await database.start(Hub())
        try:
            return list(await Oracles(database, KeyRing([SECRET])).findings())
        finally:
            await database.close()


@dataclass
class Desk:
    """A server, and somebody before it."""

    office: Office
    server: ServerProcess
    http: httpx.AsyncClient

    async def ask(self, method: str, path: str, scope: str = "agent", **given: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.office.keys[scope]}"}
        answer = await let_in(lambda: self.http.request(method, path, headers=headers, **given))
        assert answer.is_success, answer.text
        return answer.json()

    async def waiting(self, **fields: Any) -> str:
        """A run that waits behind its gate."""
        intent = await self.ask("POST", "/api/intents", json={"goal": "Scale search"} | fields)
        run = await self.ask("POST", "/api/runs", json={**intent, "queuePartitionKey": "tests"})
        wid = str(run["workflowID"])
        found = await self.ask("GET", f"/api/runs/{wid}", params={"timeoutS": WAIT})
        assert ("waiting_input", "APPROVE_PLAN") == (found["status"], found["nextAction"])
        return wid

    async def reply(self, wid: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
        body = {"payload": payload or YES, "dedupeKey": f"{GATE}:ana", "origin": "external"}
        found: dict[str, Any] = await self.ask("POST", f"/api/runs/{wid}/gates/{GATE}/reply", "reviewer", json=body)
        return found

    async def end(self, wid: str) -> tuple[str, str]:
        async def look() -> tuple[str, str] | None:
            found = await self.ask("GET", f"/api/runs/{wid}", params={"timeoutS": WAIT})
            return (found["status"], found["outcome"]) if found["finishedAt"] else None

        return await eventually(look)

    async def steps(self, wid: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.ask("GET", f"/api/runs/{wid}/steps")
        return found


async def office_of(url: str) -> Office:
    return Office(url, {"agent": await make_key(url, "agent"), "reviewer": await make_key(url, "reviewer")})


@asynccontextmanager
async def desk(office: Office, **environment: str) -> AsyncIterator[Desk]:
    settings = {"RUN_ENGINE": "dbos", "RUN_ENGINE_EXECUTOR": "tests"} | environment
    async with (
        serving(office.url, environment=settings) as server,
        httpx.AsyncClient(base_url=server.url, timeout=WAIT + 5, trust_env=False) as http,
    ):
        yield Desk(office, server, http)


@pytest.fixture(scope="module")
def database(postgres_server: Server) -> Iterator[str]:
    url = create_database(postgres_server.admin_url)
    migrate(url)
    yield url
    drop_database(postgres_server.admin_url, url)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def office(database: str) -> Office:
    return await office_of(database)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(office: Office) -> AsyncIterator[Desk]:
    async with desk(office) as found:
        yield found


async def test_a_plan_that_is_agreed_to_is_carried_out_by_dbos(here: Desk) -> None:
    wid = await here.waiting()
    await here.reply(wid)
    assert ("completed", "executed") == await here.end(wid)
    found = await here.steps(wid)
    assert [(step, 1) for step in STEPS] == [(step["stepId"], step["attempt"]) for step in found["items"]]
    assert ["plan", "difference", "inventory"] == [artifact["taskKey"] for artifact in found["artifacts"]]
    assert "SUCCESS" == await here.office.ended(wid)
    events = await here.office.asked(
        f"SELECT key FROM assent_dbos.workflow_events WHERE workflow_uuid = '{wid}' ORDER BY key"
    )
    assert [f"ui:{GATE}", f"ui:{GATE}:result"] == [event["key"] for event in events]
    assert [] == await here.office.findings()


async def test_a_plan_that_is_denied_or_that_nobody_answers_is_not_carried_out(here: Desk) -> None:
    denied, late = await here.waiting(), await here.waiting(escalation={"notify": ["slack:C0ONCALL"]})
    await here.reply(denied, {"choice": "no"})
    await as_superuser(here.office.url, f"UPDATE cases SET expires_at = 1 WHERE workflow_id = '{late}'")
    assert ("completed", "denied") == await here.end(denied)
    assert ("completed", "timed_out") == await here.end(late)
    for wid in (denied, late):
        assert "SUCCESS" == await here.office.ended(wid)
        skipped = [step["stepId"] for step in (await here.steps(wid))["items"] if step["status"] == "skipped"]
        assert ["apply", "execute"] == skipped
    gate = await here.ask("GET", f"/api/runs/{late}/gates/{GATE}")
    assert ("TIMED_OUT", f"esc:{late}:{GATE}") == (gate["state"], gate["escalationId"])


async def test_the_same_reply_twenty_times_is_one_message(here: Desk) -> None:
    wid = await here.waiting()
    replies = await asyncio.gather(*(here.reply(wid) for _ in range(20)))
    assert 1 == len({reply["interactionId"] for reply in replies})
    assert ("completed", "executed") == await here.end(wid)
    assert (await here.reply(wid))["isReplay"]
    (message,) = await here.office.asked(
        f"SELECT topic, message_uuid FROM assent_dbos.notifications WHERE destination_uuid = '{wid}'"
    )
    assert (f"human:{GATE}", f"human:{GATE}:{GATE}:ana::{wid}") == (message["topic"], message["message_uuid"])


async def test_what_is_erased_of_a_run_is_erased_in_dbos_as_well(here: Desk) -> None:
    wid = await here.waiting()
    await here.reply(wid)
    assert ("completed", "executed") == await here.end(wid)
    assert "SUCCESS" == await here.office.ended(wid)
    settings = read_settings(
        database_url=here.office.url, port=0, host="127.0.0.1", assent_secret_key=SECRET, run_engine="dbos",
        run_engine_executor="eraser", retention_days=1,
    )  # fmt: skip

    async with running(settings, ("clock",), clock_offset=lambda: 2 * DAY):

        async def erased() -> bool:
            (case,) = await here.office.asked(f"SELECT erased_at FROM cases WHERE workflow_id = '{wid}'")
            return case["erased_at"] is not None and await here.office.workflow(wid) is None

        await eventually(erased)
    assert ("completed", "executed") == await here.end(wid)
    assert [] == await here.office.findings()


async def test_a_run_that_is_called_off_ends_its_workflow(here: Desk) -> None:
    wid = await here.waiting()
    await here.ask("POST", f"/api/runs/{wid}/finish", json={"status": "cancelled"})
    assert "SUCCESS" == await here.office.ended(wid)
    assert "cancelled" == (await here.end(wid))[0]


async def test_version_and_executor_are_pinned_and_nothing_connects_to_the_outside(here: Desk) -> None:
    wid = await here.waiting()
    found = await here.office.workflow(wid)
    assert found is not None
    assert (VERSION, "tests", "PENDING") == (found["application_version"], found["executor_id"], found["status"])
    connections = psutil.Process(here.server.pid).net_connections()
    assert {"127.0.0.1"} == {one.raddr[0] for one in connections if one.status == psutil.CONN_ESTABLISHED}
    await here.reply(wid)
    await here.end(wid)


async def test_the_configuration_sends_nothing_out() -> None:
    config = config_of(DbosSettings("postgresql://u@host/name", "one", 10))
    assert config["enable_otlp"] is False
    assert not {"conductor_key", "conductor_url", "otlp_traces_endpoints", "otlp_logs_endpoints"} & set(config)


async def test_who_is_killed_while_runs_wait_goes_on_with_them(new_postgres_url: str) -> None:
    office = await office_of(new_postgres_url)
    async with desk(office, RUN_ENGINE_EXECUTOR="killed", RUN_ENGINE_WAITERS="1") as first:
        held = await first.waiting()
        beyond = await first.waiting()  # there is no room for it: rows
        first.server.kill()
        await first.server.ended()
    assert await office.workflow(held) is not None
    assert await office.workflow(beyond) is None
    async with desk(office, RUN_ENGINE_EXECUTOR="killed", RUN_ENGINE_WAITERS="1") as second:
        for wid in (held, beyond):
            await second.reply(wid)
            assert ("completed", "executed") == await second.end(wid)
            assert STEPS == [step["stepId"] for step in (await second.steps(wid))["items"]]
        assert "SUCCESS" == await office.ended(held)
        events = f"SELECT * FROM workflow_events WHERE workflow_id = '{held}' AND key = 'ui:{GATE}'"
        assert 1 == len(await office.asked(events))
    assert [] == await office.findings()


async def test_dbos_is_refused_on_sqlite_and_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongSetting, match="RUN_ENGINE: dbos needs PostgreSQL"):
        read_settings(run_engine="dbos", database_url="sqlite:///assent.db")
    settings = read_settings(run_engine="dbos", database_url="postgresql://u@host/name", assent_secret_key=SECRET)
    monkeypatch.setattr(compose, "find_spec", lambda _: None)
    with pytest.raises(WrongSetting, match="install the package dbos"):
        compose.assemble(settings, ("clock",), "http://localhost")
