"""Keys that are bound to sources: what belongs to another source is not there for them."""

from __future__ import annotations

from typing import Any

import pytest

from api.doors import DOORS
from core.access import Scope
from core.errors import InvalidInput
from tests.integration.test_hitl_safety import VALID
from tests.support.dump import everything
from tests.support.server import Client, Server, agent_fixture, server_fixture  # noqa: F401 (fixtures)

SCOPES: tuple[Scope, ...] = ("agent", "executor", "reviewer")
TASK = {
    "title": "Send the letter",
    "service": {"id": "mail", "name": "Mail"},
    "source_service": {"id": "agent", "name": "Agent"},
    "action": {"type": "send", "verb": "Send"},
    "risk_level": "low",
    "blocks": [{"id": "body", "label": "Body", "type": "plaintext", "content": "Dear all", "editable": True}],
}


async def _sources(server: Server) -> tuple[str, str]:
    admin = await server.client("admin")
    one, two = [(await admin.http.post("/sources", json={"name": name})).json()["id"] for name in ("One", "Two")]
    return one, two


async def bound(server: Server, scope: Scope, *sources: str) -> Client:
    key, principal = await server.services.keys.create(scope, None, sources=sources)
    return server.holder(key, principal)


def _without_id(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.text.replace(answer.headers["x-request-id"], "")


async def test_what_belongs_to_another_source_looks_like_what_never_was(
    server: Server, agent: Client, database_url: str
) -> None:
    mine, other = await _sources(server)
    hitl = await agent.case(source_id=other)
    loose = await agent.case()
    clients = {scope: await bound(server, scope, mine) for scope in SCOPES}
    before = _truth(await everything(database_url))
    for door in DOORS:
        for entry in door.entries:
            body = VALID.get(entry.path.rpartition("/")[2], {})
            for scope in SCOPES if "{" in entry.path else ():
                if scope not in entry.scopes:
                    continue
                answers = [
                    await clients[scope].http.request(
                        entry.method, entry.path.replace("{case_id}", case_id).replace("{source_id}", source), json=body
                    )
                    for case_id, source in ((hitl["case_id"], other), (loose["case_id"], other), ("review_x", "src_x"))
                ]
                assert 404 == answers[0].status_code, (entry.path, answers[0].text)
                assert 1 == len(set(map(_without_id, answers))), entry.path
    assert before == _truth(await everything(database_url))


def _truth(dump: str) -> list[str]:
    return sorted(line for line in dump.splitlines() if not line.startswith("polls"))


async def test_a_bound_agent_opens_and_follows_cases_of_its_source_and_no_others(server: Server, agent: Client) -> None:
    mine, other = await _sources(server)
    client = await bound(server, "agent", mine)
    hitl = await client.case(source_id=mine)
    assert "pending" == await client.status(hitl)
    foreign = await agent.case(source_id=other)
    for fields in ({}, {"source_id": other}, {"source_id": "src_none"}):
        refused = await client.open(**fields)
        assert (400, "source_id") == (refused.status_code, refused.json()["field"])
    refused = await client.open(source_id=mine, previous_case_id=foreign["case_id"])
    assert (400, "previous_case_id") == (refused.status_code, refused.json()["field"])
    flow = await client.http.post("/api/agent/cv-simple", json={"skip_hitl": True, "cv_data": {}})
    assert 403 == flow.status_code


async def test_a_bound_executor_pulls_and_lists_what_is_its_own(server: Server, agent: Client) -> None:
    mine, other = await _sources(server)
    executor = await bound(server, "executor", mine)
    for source in (mine, other):
        await agent.tap(await agent.case(source_id=source), "confirm")
    assert [mine] == [one["id"] for one in (await executor.http.get("/sources")).json()["items"]]
    page = await executor.http.get(f"/sources/{mine}/decision-events?wait=10")
    assert [mine] == [event["source_id"] for event in page.json()["items"]]
    assert 404 == (await executor.http.get(f"/sources/{other}/decision-events")).status_code


async def test_review_tasks_of_other_sources_are_in_no_list(server: Server) -> None:
    mine, other = await _sources(server)
    admin = await server.client("admin")
    for source in (mine, mine, other):
        made = await admin.http.post("/review-tasks", json={**TASK, "source_id": source})
        assert 201 == made.status_code, made.text
    one = await bound(server, "reviewer", mine)
    assert 2 == (await one.http.get("/review-tasks")).json()["total_count"]
    assert 0 == (await one.http.get(f"/review-tasks?source_id={other}")).json()["total_count"]
    both = await bound(server, "reviewer", mine, other)
    assert 400 == (await both.http.get("/review-tasks")).status_code
    assert 1 == (await both.http.get(f"/review-tasks?source_id={other}")).json()["total_count"]


async def test_a_key_is_bound_to_sources_that_there_are(server: Server) -> None:
    await server.client("admin")
    with pytest.raises(InvalidInput):
        await server.services.keys.create("agent", None, sources=["src_none"])
