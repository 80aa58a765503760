"""`@require_approval`: nothing runs before somebody has agreed to this very call."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from assent import Agent, AsyncAgent, Denied, Expired, NotApproved, Withdrawn, require_approval
from core.model import Case
from tests.sdk.support import Clients
from tests.support.server import Client, Server, until


@pytest.fixture
def both(server: Server, people: Client, clients: Clients) -> list[Agent | AsyncAgent]:
    return [clients.blocking_agent(server.url, people.key), clients.agent(server.url, people.key)]


async def _asked(server: Server, count: int = 1) -> Case:
    """The newest case, once there are so many."""
    principal = (await server.client("agent")).principal
    assert principal is not None
    found: list[Case] = []

    async def enough() -> bool:
        found[:] = await server.services.views.recent(principal.tenant_id, 100)
        return len(found) == count

    await until(enough)
    return found[0]


async def _answer(server: Server, people: Client, case: Case, action: str, **data: Any) -> None:
    token = await server.services.views.review_token(case.case_id)
    body = {"token": token, "result": {"action": action, "data": data}}
    answer = await people.page.post(f"/api/hitl/cases/{case.case_id}/respond", json=body)
    assert 200 == answer.status_code, answer.text


async def test_plain_and_async_functions_run_after_a_yes_with_either_agent(
    server: Server, people: Client, both: list[Agent | AsyncAgent]
) -> None:
    ran: list[tuple[str, int]] = []
    count = 0
    for agent in both:

        @require_approval(agent)
        def plain(table: str, rows: int = 3) -> str:
            ran.append((table, rows))
            return f"plain {table}"

        @require_approval(agent)
        async def slow(table: str, *, rows: int) -> str:
            ran.append((table, rows))
            return f"slow {table}"

        for call in (asyncio.to_thread(plain, "users"), slow("users", rows=4)):
            count += 1
            running = asyncio.ensure_future(call)
            case = await _asked(server, count)
            assert count - 1 == len(ran), "it waits"
            await _answer(server, people, case, "approve")
            assert (await running).endswith(" users")
    assert [("users", 3), ("users", 4)] * 2 == ran


async def test_a_no_a_deadline_and_a_withdrawal_are_exceptions_and_nothing_runs(
    server: Server, people: Client, agent: AsyncAgent
) -> None:
    ran: list[str] = []

    @require_approval(agent, timeout="10s")
    async def drop(table: str) -> None:
        ran.append(table)

    running = [asyncio.ensure_future(drop(f"t{n}")) for n in range(3)]
    await _asked(server, 3)
    principal = people.principal
    assert principal is not None
    cases = {
        case.content["blocks"][1]["content"]["table"]: case
        for case in await server.services.views.recent(principal.tenant_id, 9)
    }
    await _answer(server, people, cases["t0"], "reject", reason="not on a Friday")
    await agent.cancel(cases["t1"].case_id)
    with pytest.raises(Denied, match="not on a Friday") as denied:
        await running[0]
    with pytest.raises(Withdrawn):
        await running[1]
    server.clock.forward(seconds=11)
    with pytest.raises(Expired) as expired:
        await running[2]
    assert [] == ran
    assert isinstance(expired.value, NotApproved)
    assert ("reject", "expired") == (denied.value.answer.action, expired.value.answer.status)


async def test_people_see_the_question_and_the_arguments_but_not_what_is_hidden(
    server: Server, people: Client, agent: AsyncAgent
) -> None:
    @require_approval(agent, "Delete {rows} rows of {table}?", hide=["password"], metadata={"trace_id": "t-1"})
    async def delete(table: str, rows: list[int], password: str, **more: object) -> None: ...

    odd = {"nan": float("nan"), "big": 2**60, "lone": "\udc00", "long": "x" * 9_000, "lock": threading.Lock}
    running = asyncio.ensure_future(delete("users\0", [1, 2], password="hunter2", **odd))
    case = await _asked(server)
    assert "Delete [1, 2] rows of users�?" == case.prompt
    function, arguments = case.content["blocks"]
    assert function["content"].endswith("delete")
    assert {"rows": [1, 2], "password": "[hidden]"} == {k: arguments["content"][k] for k in ("rows", "password")}
    more = arguments["content"]["more"]
    assert isinstance(more, str), "too long to be shown as it is"
    assert more.endswith("…")
    assert "hunter2" not in str(case)
    assert (("approve", "reject"), "reject", {"trace_id": "t-1"}) == (
        case.actions,
        case.default_action,
        case.terms["metadata"],
    )
    await _answer(server, people, case, "approve")
    await running


async def test_a_call_that_could_not_run_asks_nobody(server: Server, people: Client, agent: AsyncAgent) -> None:
    @require_approval(agent)
    async def act(a: int) -> None: ...

    with pytest.raises(TypeError):
        await act(b=1)  # type: ignore[call-arg]
    assert people.principal is not None
    assert [] == await server.services.views.recent(people.principal.tenant_id, 9)
    with pytest.raises(TypeError, match="hide"):
        require_approval(agent, hide=["c"])(act)


async def test_a_key_names_one_run_and_every_other_run_is_asked_anew(
    server: Server, people: Client, agent: AsyncAgent
) -> None:
    ran: list[str] = []

    @require_approval(agent, key=lambda version, run: f"deploy {run}".replace(" ", "-"))
    async def deploy(version: str, run: str) -> None:
        ran.append(run)

    first = asyncio.ensure_future(deploy("1", "a"))
    case = await _asked(server)
    first.cancel()  # a program that ends while it waits
    again = asyncio.ensure_future(deploy("1", "a"))
    await _answer(server, people, case, "approve")
    await again
    other = asyncio.ensure_future(deploy("1", "b"))
    await _answer(server, people, await _asked(server, 2), "approve")
    await other
    assert ["a", "b"] == ran
