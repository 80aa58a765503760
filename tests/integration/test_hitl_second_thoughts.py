"""Revising, voting and closing without an answer, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.server import (  # noqa: F401 (fixtures)
    Client,
    Server,
    agent_fixture,
    leaf,
    review_token,
    server_fixture,
    until,
)

FORM = {"form": {"fields": [{"key": "pin", "label": "PIN", "type": "text", "sensitive": True}]}}


def _problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


async def test_a_revised_answer_shows_in_the_poll_and_its_etag(agent: Client) -> None:
    hitl = await agent.case(type="approval")
    assert 200 == (await agent.submit(hitl, "approve", revision=0)).status_code
    first = await agent.poll(hitl)
    assert "approve" == first.json()["result"]["action"]
    revised = await agent.submit(hitl, "reject", {"feedback": "On second thoughts, no."}, revision=1)
    assert (200, "completed") == (revised.status_code, revised.json()["status"])
    second = await agent.poll(hitl, if_none_match=first.headers["etag"])
    assert (200, "reject") == (second.status_code, second.json()["result"]["action"])
    assert first.json()["completed_at"] < second.json()["completed_at"]
    assert (409, "duplicate_submission") == _problem(await agent.submit(hitl, "approve", revision=1))


async def test_after_its_grace_an_answer_stands(server: Server, agent: Client) -> None:
    hitl = await agent.case(type="approval", grace_period="30s")
    assert 200 == (await agent.submit(hitl, "approve")).status_code
    server.clock.forward(seconds=31)
    assert (409, "duplicate_submission") == _problem(await agent.submit(hitl, "reject", revision=1))
    assert 200 == (await agent.submit(hitl, "approve", revision=0)).status_code


async def test_a_reader_who_comes_back_gets_the_revision(agent: Client) -> None:
    hitl = await agent.case(type="approval")
    await agent.submit(hitl, "approve", revision=0)
    await agent.submit(hitl, "reject", revision=1)
    headers = {"Last-Event-ID": f"{hitl['case_id']}-1"}
    frames = (await agent.http.get(hitl["events_url"], headers=headers)).text.split("\n\n")
    assert ["review.status", "review.completed"] == [name for name in map(_event, frames) if name]
    assert f"id: {hitl['case_id']}-2" in frames[1]
    assert '"action":"reject"' in frames[1]


def _event(frame: str) -> str | None:
    return next((line.removeprefix("event: ") for line in frame.splitlines() if line.startswith("event: ")), None)


async def test_one_of_two_votes_leaves_the_case_open_and_says_how_it_stands(agent: Client) -> None:
    hitl = await agent.case(type="approval", reviewers={"quorum": 2})
    for _ in range(2):
        vote = await agent.submit(hitl, "approve")
        tally = {"votes": {"approve": 1}, "quorum": 2, "reject_quorum": 1}
        expected = {"success": True, "case_id": hitl["case_id"], "status": "in_progress", "tally": tally}
        assert (200, expected) == (vote.status_code, vote.json())
    assert "in_progress" == await agent.status(hitl)
    assert (403, "not_a_reviewer") == _problem(await agent.tap(hitl, "approve"))
    assert (409, "duplicate_submission") == _problem(await agent.submit(hitl, "reject"))


async def test_the_page_closes_a_case_without_an_answer(agent: Client) -> None:
    hitl = await agent.case()
    body: dict[str, Any] = {"token": review_token(hitl), "reason": "This is for somebody else."}
    for _ in range(2):
        closed = await agent.page.post(leaf(hitl, "close"), json=body)
        assert (200, "cancelled") == (closed.status_code, closed.json()["status"])
    poll = (await agent.poll(hitl)).json()
    assert ("cancelled", "This is for somebody else.") == (poll["status"], poll["reason"])
    assert (409, "case_cancelled") == _problem(await agent.submit(hitl, "confirm"))


async def test_closing_needs_the_pages_token_and_the_pages_own_site(agent: Client) -> None:
    hitl = await agent.case()
    wrong = await agent.page.post(leaf(hitl, "close"), json={"token": "wrong"})
    assert (403, "invalid_token") == _problem(wrong)
    unknown = await agent.page.post(leaf(hitl, "close").replace("review_", "review_x"), json={"token": "wrong"})
    assert (404, "not_found") == _problem(unknown)
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    body = {"token": review_token(hitl)}
    assert (403, "forbidden") == _problem(await agent.page.post(leaf(hitl, "close"), json=body, headers=elsewhere))
    assert "pending" == await agent.status(hitl)


async def test_the_agent_reads_sensitive_answers_in_clear_by_poll_and_by_stream(agent: Client) -> None:
    hitl = await agent.case(type="input", context=FORM)
    assert 200 == (await agent.submit(hitl, "submit", {"pin": "0815"})).status_code
    assert {"pin": "0815"} == (await agent.poll(hitl)).json()["result"]["data"]
    assert '"pin":"0815"' in (await agent.http.get(hitl["events_url"])).text


async def test_a_server_lets_answers_settle_by_itself(server: Server, agent: Client) -> None:
    admin = await server.client("admin", agent.principal.tenant_id if agent.principal else None)
    source = (await admin.http.post("/sources", json={"name": "Slow", "grace_period": "10s"})).json()["id"]
    hitl = await agent.case(type="approval", source_id=source)
    await agent.submit(hitl, "approve")
    assert [] == (await admin.http.get(f"/sources/{source}/decision-events")).json()["items"]
    server.clock.forward(seconds=11)

    async def delivered() -> bool:
        return bool((await admin.http.get(f"/sources/{source}/decision-events")).json()["items"])

    await until(delivered)
