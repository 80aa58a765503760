"""Kill the server between an approval and its dispatch: executors hear of the task once, and of no other."""

from __future__ import annotations

import sys

import httpx
import pytest

from core.checkpoints import DISPATCH_NAMES
from tests.support.databases import rows
from tests.support.gates import until
from tests.support.process import ServerProcess, make_key, serving

TASK = {"operation": "repo.commit", "payload": {"branch": "main"}}


@pytest.mark.parametrize("point", [*DISPATCH_NAMES, "respond.after_commit"])
async def test_a_crash_neither_loses_nor_doubles_a_dispatch(database_url: str, point: str) -> None:
    agent = await make_key(database_url, "agent")
    reviewer = await make_key(database_url, "reviewer")
    dying = (sys.executable, "-m", "tests.chaos.dying", point, "1")
    async with serving(database_url, command=dying) as server:
        await approved(server, database_url, agent, reviewer)
        assert await server.ended() == -9, f"{point} was never reached"
    async with serving(database_url):
        await until(lambda: dispatched(database_url))
    events = await rows(database_url, "SELECT case_id FROM decision_events")
    assert [row["case_id"] for row in await rows(database_url, "SELECT case_id FROM tasks")] == [
        row["case_id"] for row in events
    ]


async def approved(server: ServerProcess, database_url: str, agent: str, reviewer: str) -> None:
    (tenant,) = await rows(database_url, "SELECT tenant_id FROM tenants")
    about = {"X-Tenant-ID": tenant["tenant_id"], "Idempotency-Key": "one"}
    async with httpx.AsyncClient(base_url=server.url, headers=about, trust_env=False) as http:
        posted = await http.post("/tasks", json=TASK, headers={"Authorization": f"Bearer {agent}"})
        assert 202 == posted.status_code, posted.text
        said = {"decision": "approve", "approver": "Reviewer 1"}
        address, by = f"/approvals/{posted.json()['task_id']}", {"Authorization": f"Bearer {reviewer}"}
        try:
            answer = await http.post(address, json=said, headers=by)
        except httpx.TransportError:  # the server died before it could say so
            return
        assert 200 == answer.status_code, answer.text


async def dispatched(database_url: str) -> bool:
    found = await rows(database_url, "SELECT dispatched_at FROM tasks")
    return [True] == [row["dispatched_at"] is not None for row in found]
