"""`agent.guard` against the real server: an operation is let through, or it is said who must agree, or why not."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from assent import (
    Agent,
    AsyncAgent,
    Forbidden,
    HitlRequired,
    IdempotencyMismatch,
    InvalidRequest,
    NotDispatched,
    StillWaiting,
    Task,
)
from core.guard.conditions import Named
from core.guard.globs import glob
from core.guard.rules import PolicySet, Rule, Verdict
from tests.sdk.support import Clients
from tests.support.server import Client, Server, until

PAYLOAD = {"branch": "main", "commit": "9f2c1e7"}


def tenant_of(client: Client) -> str:
    assert client.principal is not None
    return client.principal.tenant_id


@pytest.fixture
def agent(server: Server, people: Client, clients: Clients) -> AsyncAgent:
    return clients.agent(server.url, people.key, tenant=tenant_of(people))


def ruled(server: Server, verdict: Verdict) -> None:
    """Policy says this about what is done to repositories."""
    those = (Named("operation", (glob("repo.*"),)),)
    server.services.policies.current = PolicySet([Rule("tests", "repo", verdict, "the test says so", those)])


async def say(server: Server, task: Task, decision: str, **more: Any) -> None:
    reviewer = await server.client("reviewer")
    answer = await reviewer.http.post(
        f"/approvals/{task.task_id}",
        json={"decision": decision, "approver": "ana"} | more,
        headers={"x-tenant-id": tenant_of(reviewer), "idempotency-key": f"{decision}-{task.task_id}"},
    )
    assert 200 == answer.status_code, answer.text


async def test_who_must_agree_is_sent_the_link_and_the_same_call_waits_for_them(
    server: Server, agent: AsyncAgent
) -> None:
    with pytest.raises(HitlRequired) as raised:
        await agent.guard("repo.commit", PAYLOAD, key="release-17", wait=False, requested_by="release-bot")
    asked = raised.value
    assert asked.approval_link is not None
    assert asked.task.task_id in asked.approval_link
    assert asked.approval_link not in repr(asked.task)
    waiting = asyncio.ensure_future(agent.guard("repo.commit", PAYLOAD, key="release-17", requested_by="release-bot"))
    await say(server, asked.task, "approve", reason="Checked with the team.")
    async with asyncio.timeout(10):
        task = await waiting
    assert (asked.task.task_id, "dispatched", PAYLOAD) == (task.task_id, task.status, task.payload)
    assert task.event_id is not None
    assert task.answer is not None
    assert ("approve", "ana", None) == (task.answer["action"], task.answer["approver"], task.approval_link)
    again = await agent.guard("repo.commit", PAYLOAD, key="release-17", wait=False, requested_by="release-bot")
    assert task == again


async def test_what_policy_allows_is_let_through_at_once(server: Server, agent: AsyncAgent) -> None:
    ruled(server, "allow")
    first, second = [await agent.guard("repo.commit", PAYLOAD, wait=False) for _ in range(2)]
    assert ["dispatched", "dispatched"] == [first.status, second.status]
    assert first.task_id != second.task_id, "without a key every call is one of its own"


async def test_what_is_not_let_through_says_why(server: Server, agent: AsyncAgent) -> None:
    waiting = asyncio.ensure_future(agent.guard("repo.commit", PAYLOAD, key="no"))
    late = asyncio.ensure_future(agent.guard("repo.commit", PAYLOAD, key="late"))
    with pytest.raises(StillWaiting) as still:
        await agent.guard("repo.commit", PAYLOAD, key="no", within=0.05)
    assert isinstance(still.value.case, Task)
    await say(server, still.value.case, "reject", reason="not on a Friday")
    with pytest.raises(NotDispatched, match="this was rejected: not on a Friday") as rejected:
        await waiting
    assert "rejected" == rejected.value.task.status
    with pytest.raises(HitlRequired):
        await agent.guard("repo.commit", PAYLOAD, key="late", wait=False)
    server.clock.forward(hours=800)
    with pytest.raises(NotDispatched, match="nobody agreed"):
        await late
    ruled(server, "deny")
    with pytest.raises(NotDispatched, match="this was rejected: the test says so"):
        await agent.guard("repo.commit", PAYLOAD, within=20)


async def test_what_is_wrong_with_a_call_has_a_type(
    server: Server, agent: AsyncAgent, people: Client, clients: Clients
) -> None:
    with pytest.raises(HitlRequired):
        await agent.guard("repo.commit", PAYLOAD, key="k", wait=False)
    with pytest.raises(IdempotencyMismatch):
        await agent.guard("repo.commit", {"branch": "other"}, key="k", wait=False)
    with pytest.raises(InvalidRequest, match="operation"):
        await agent.guard("Commit!", PAYLOAD)
    with pytest.raises(InvalidRequest, match="Idempotency-Key"):
        await agent.guard("repo.commit", PAYLOAD, key="two words")
    with pytest.raises(ValueError, match="tenant"):
        await clients.agent(server.url, people.key).guard("repo.commit", PAYLOAD)
    with pytest.raises(Forbidden, match="tenant"):
        await clients.agent(server.url, people.key, tenant=str(uuid4())).guard("repo.commit", PAYLOAD)


async def test_the_blocking_face_guards_too(server: Server, people: Client, clients: Clients) -> None:
    agent: Agent = clients.blocking_agent(server.url, people.key, tenant=tenant_of(people))
    waiting = asyncio.create_task(asyncio.to_thread(lambda: agent.guard("repo.commit", PAYLOAD, key="k")))

    def probe() -> Task | None:
        try:
            return agent.guard("repo.commit", PAYLOAD, key="k", wait=False)
        except HitlRequired as required:
            return required.task

    task = await asyncio.to_thread(probe)
    assert task is not None
    await say(server, task, "approve")
    await until(waiting.done)
    assert "dispatched" == (await waiting).status
