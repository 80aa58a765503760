"""Keys that are bound to sources: what belongs to another source is not there for them. (On every route:
test_isolation.)
"""

from __future__ import annotations

import pytest

from core.access import Scope
from core.errors import InvalidInput
from tests.support.server import Client, Server, agent_fixture, server_fixture  # noqa: F401 (fixtures)

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
