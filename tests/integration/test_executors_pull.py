"""Sources, and pulling decision events, through the executors' door."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.support.dump import everything, row_counts
from tests.support.server import (  # noqa: F401 (fixtures)
    Client,
    Server,
    agent_fixture,
    leaf,
    server_fixture,
    until,
)

OTHER_TENANT = "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11"


@pytest.fixture
async def admin(server: Server) -> Client:
    return await server.client("admin")


@pytest.fixture
async def executor(server: Server) -> Client:
    return await server.client("executor")


async def _source(admin: Client, **fields: Any) -> str:
    answer = await admin.http.post("/sources", json={"name": "Newsletter"} | fields)
    assert 201 == answer.status_code, answer.text
    found: str = answer.json()["id"]
    return found


async def _pull(client: Client, source: str, **query: Any) -> dict[str, Any]:
    answer = await client.http.get(f"/sources/{source}/decision-events", params=query)
    assert 200 == answer.status_code, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _ack(client: Client, source: str, *event_ids: str) -> httpx.Response:
    return await client.http.post(f"/sources/{source}/decision-events/ack", json={"event_ids": list(event_ids)})


async def _decided(agent: Client, source: str, action: str = "confirm") -> dict[str, Any]:
    hitl = await agent.case(source_id=source, metadata={"trace_id": "t-1"})
    assert 200 == (await agent.tap(hitl, action)).status_code
    return hitl


def _error(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert {"code", "message", "details", "request_id"} == set(error)
    assert response.headers["x-request-id"] == error["request_id"]
    return response.status_code, error["code"]


# --- sources


async def test_a_source_is_made_listed_and_read(admin: Client, executor: Client) -> None:
    made = await admin.http.post(
        "/sources",
        json={
            "name": "Deploys",
            "description": "What goes to production.",
            "delivery": {"mode": "PULL_ONLY", "webhook": None},
            "notify": ["slack:C0DEPLOY", "telegram:-100123"],
            "reviewers": {"any_of": ["channel", "slack:U0LEAD"]},
            "signed_responses": True,
            "grace_period": "PT5M",
            "allow_images": True,
            "require_full_review": False,
            "language": "de",
        },
    )
    source = made.json()
    assert (201, f"/sources/{source['id']}") == (made.status_code, made.headers["location"])
    assert ("Deploys", "What goes to production.") == (source["name"], source["description"])
    assert {"mode": "PULL_ONLY", "webhook": None} == source["delivery"]
    assert ["slack:C0DEPLOY", "telegram:-100123"] == source["notify"]
    assert {"any_of": ["channel", "slack:U0LEAD"], "exclude_requester": True}.items() <= source["reviewers"].items()
    assert ("5m", True, True) == (source["grace_period"], source["signed_responses"], source["allow_images"])
    assert (False, "de") == (source["require_full_review"], source["language"])
    plain = (await admin.http.post("/sources", json={"name": "Plain"})).json()
    assert (None, None) == (plain["require_full_review"], plain["language"])
    assert (None, [], "PULL_ONLY") == (plain["reviewers"], plain["notify"], plain["delivery"]["mode"])
    assert [source, plain] == (await executor.http.get("/sources")).json()["items"]
    assert source == (await executor.http.get(f"/sources/{source['id']}")).json()


async def test_what_is_wrong_with_a_source_is_named(admin: Client, database_url: str) -> None:
    before = await row_counts(database_url)
    webhook = {"url": "https://executor.example/hook"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"title": "x"}, "title"),
        ({"delivery": {"mode": "PUSH"}}, "delivery.mode"),
        ({"delivery": {"mode": "WEBHOOK_ONLY"}}, "delivery.webhook"),
        ({"delivery": {"mode": "WEBHOOK_AND_PULL", "webhook": {"enabled": False}}}, "delivery.webhook"),
        ({"delivery": {"webhook": {"enabled": True}}}, "delivery.webhook.url"),
        ({"delivery": {"webhook": {"url": "http://executor.example/hook"}}}, "delivery.webhook.url"),
        ({"delivery": {"webhook": {"url": "https://10.0.0.1/hook"}}}, "delivery.webhook.url"),
        ({"delivery": {"webhook": webhook | {"secret": "short"}}}, "delivery.webhook.secret"),
        ({"delivery": {"webhook": webhook | {"secret": "whsec_" + "A" * 16}}}, "delivery.webhook.secret"),
        ({"delivery": {"webhook": webhook | {"secret": "whsec_" + "A" * 33}}}, "delivery.webhook.secret"),
        ({"delivery": {"webhook": webhook | {"secret": "with spaces in between"}}}, "delivery.webhook.secret"),
        ({"delivery": {"webhook": webhook | {"timeout_ms": 10_001}}}, "delivery.webhook.timeout_ms"),
        ({"delivery": {"webhook": webhook | {"timeout_ms": 99}}}, "delivery.webhook.timeout_ms"),
        ({"delivery": {"webhook": webhook | {"max_attempts": 0}}}, "delivery.webhook.max_attempts"),
        ({"delivery": {"webhook": webhook | {"retry_backoff_seconds": 0}}}, "delivery.webhook.retry_backoff_seconds"),
        ({"delivery": {"webhook": webhook | {"headers": {}}}}, "delivery.webhook.headers"),
        ({"notify": ["slack:general"]}, "notify[0]"),
        ({"reviewers": {"quorum": 0}}, "reviewers.quorum"),
        ({"escalation_chain": [{"after": "1h"}]}, "escalation_chain[0]"),
        ({"escalation_chain": [{"after": "5s", "mention": ["slack:U1"]}]}, "escalation_chain[0].after"),
        ({"escalation_chain": [{"after": "1h", "mention": ["channel"]}]}, "escalation_chain[0].mention[0]"),
        ({"ask_reason": "yes"}, "ask_reason"),
        ({"deny_reasons": [" "]}, "deny_reasons[0]"),
        ({"extend_by": "10s"}, "extend_by"),
        ({"max_extensions": 11}, "max_extensions"),
        ({"snooze_for": "soon"}, "snooze_for"),
        ({"grace_period": "2d"}, "grace_period"),
        ({"grace_period": 5}, "grace_period"),
        ({"signed_responses": "yes"}, "signed_responses"),
        ({"allow_images": 1}, "allow_images"),
        ({"require_full_review": "yes"}, "require_full_review"),
        ({"language": "fr"}, "language"),
    ]
    for fields, named in wrong:
        answer = await admin.http.post("/sources", json={"name": "Deploys"} | fields)
        assert (400, "VALIDATION_ERROR") == _error(answer), fields
        assert named == answer.json()["error"]["details"]["field"], fields
    assert before == await row_counts(database_url)


async def test_only_an_admin_makes_sources_and_only_executors_read_them(server: Server, agent: Client) -> None:
    executor, reviewer = await server.client("executor"), await server.client("reviewer")
    for client in (executor, reviewer, agent):
        assert (403, "FORBIDDEN") == _error(await client.http.post("/sources", json={"name": "x"}))
    for client in (reviewer, agent):
        assert (403, "FORBIDDEN") == _error(await client.http.get("/sources"))
    for headers in ({}, {"X-API-Key": "ak_unknown"}, {"Authorization": "Bearer ak_unknown"}):
        assert (401, "UNAUTHORIZED") == _error(await agent.page.get("/sources", headers=headers))


async def test_the_key_may_come_as_x_api_key(server: Server, admin: Client) -> None:
    assert 200 == (await admin.page.get("/sources", headers={"X-API-Key": admin.key})).status_code
    # Not at the HITL door, whose contract has no such header.
    assert 401 == (await admin.page.post("/api/hitl/cases", headers={"X-API-Key": admin.key})).status_code


# --- events


async def test_a_decision_is_pulled_once_it_is_made_and_no_more_once_it_is_acked(
    agent: Client, admin: Client, executor: Client, database_url: str
) -> None:
    source = await _source(admin)
    assert {"items": [], "next_cursor": "p0"} == await _pull(executor, source)
    hitl = await _decided(agent, source)
    page = await _pull(executor, source, wait=10)
    (event,) = page["items"]
    assert (hitl["case_id"], source) == (event["case_id"], event["source_id"])
    assert ("APPROVE", "confirm", False) == tuple(event["decision"][k] for k in ("type", "action", "timed_out"))
    assert ({"trace_id": "t-1"}, {"action": "confirm", "data": {}}) == (event["metadata"], event["result"])
    raw = await executor.http.get(f"/sources/{source}/decision-events")
    body = raw.content.removeprefix(b'{"items":[').partition(b'],"next_cursor"')[0].decode()
    assert body in await everything(database_url)  # byte for byte what was recorded
    assert [] == (await _pull(executor, source, after=page["next_cursor"]))["items"]
    acked = await _ack(executor, source, event["event_id"])
    assert (200, {"acked": [event["event_id"]], "unknown": []}) == (acked.status_code, acked.json())
    assert acked.json() == (await _ack(executor, source, event["event_id"])).json()
    assert [] == (await _pull(executor, source))["items"]


async def test_a_denial_a_withdrawal_and_an_expiry_are_events_too(
    agent: Client, admin: Client, executor: Client, server: Server
) -> None:
    source = await _source(admin)
    await _decided(agent, source, "cancel")
    withdrawn = await agent.case(source_id=source)
    await agent.http.post(leaf(withdrawn, "cancel"))
    await agent.case(source_id=source, timeout="10s")
    server.clock.forward(seconds=11)

    async def three() -> bool:
        return len((await _pull(executor, source))["items"]) == 3

    await until(three)
    events = (await _pull(executor, source))["items"]
    assert [("DENY", "cancel", False), ("DENY", "cancelled", False), ("DENY", "skip", True)] == [
        (e["decision"]["type"], e["decision"]["action"], e["decision"]["timed_out"]) for e in events
    ]


async def test_pages_follow_each_other_without_a_gap(agent: Client, admin: Client, executor: Client) -> None:
    source, other = await _source(admin), await _source(admin)
    cases = [(await _decided(agent, source))["case_id"] for _ in range(5)]
    await _decided(agent, other)

    async def sealed() -> bool:
        return len((await _pull(executor, source))["items"]) == 5

    await until(sealed)
    found: list[str] = []
    cursor = ""
    while items := (page := await _pull(executor, source, after=cursor, limit=2))["items"]:
        assert len(items) <= 2
        found += [event["case_id"] for event in items]
        cursor = page["next_cursor"]
    assert cases == found
    assert cursor == (await _pull(executor, source, after=cursor))["next_cursor"]


async def test_a_long_poll_returns_as_soon_as_there_is_something(
    agent: Client, admin: Client, executor: Client, server: Server
) -> None:
    source = await _source(admin)
    hitl = await agent.case(source_id=source)
    waiting = asyncio.create_task(_pull(executor, source, wait=30))
    await until(lambda: server.services.hub.watched("events:") == [f"events:{source}"])
    started = time.monotonic()
    await agent.tap(hitl, "confirm")
    assert 1 == len((await waiting)["items"])
    assert time.monotonic() - started < 5


async def test_a_long_poll_ends_with_nothing_when_its_time_is_up(admin: Client, executor: Client) -> None:
    source = await _source(admin)
    started = time.monotonic()
    assert [] == (await _pull(executor, source, wait="0.3"))["items"]
    assert 0.25 < time.monotonic() - started < 5


async def test_whoever_hangs_up_a_long_poll_leaves_nothing_behind(
    admin: Client, executor: Client, server: Server
) -> None:
    source = await _source(admin)
    with pytest.raises(httpx.ReadTimeout):
        await executor.http.get(f"/sources/{source}/decision-events?wait=30", timeout=0.3)
    await until(lambda: server.services.hub.watched("events:") == [])


async def test_what_is_wrong_with_a_query_is_named(admin: Client, executor: Client) -> None:
    source = await _source(admin)
    wrong = {
        "limit": ["0", "501", "-1", "ten", "1_0", "", "٣", "9" * 5000],
        "wait": ["31", "-1", "soon", "1e1", "nan", "", "1_0"],
        "after": ["12", "p", "p-1", "p" + "9" * 19, "p1_0", "p١", "x1"],
        "before": ["p1"],
    }
    for name, values in wrong.items():
        for value in values:
            answer = await executor.http.get(f"/sources/{source}/decision-events", params={name: value})
            assert (400, "VALIDATION_ERROR", name) == (*_error(answer), answer.json()["error"]["details"]["field"]), (
                value
            )
    twice = await executor.http.get(f"/sources/{source}/decision-events?limit=1&limit=2")
    assert (400, "VALIDATION_ERROR") == _error(twice)


async def test_an_ack_says_which_events_it_did_not_know(agent: Client, admin: Client, executor: Client) -> None:
    mine, other = await _source(admin), await _source(admin)
    await _decided(agent, mine)
    (event,) = (await _pull(executor, mine, wait=10))["items"]
    wrong_source = await _ack(executor, other, event["event_id"], "evt_unknown")
    assert {"acked": [], "unknown": [event["event_id"], "evt_unknown"]} == wrong_source.json()
    assert 1 == len((await _pull(executor, mine))["items"])
    wrong: list[dict[str, Any]] = [
        {},
        {"event_ids": []},
        {"event_ids": "evt"},
        {"event_ids": [1]},
        {"event_ids": ["e"] * 501},
        {"ids": ["e"]},
    ]
    for body in wrong:
        answer = await executor.http.post(f"/sources/{mine}/decision-events/ack", json=body)
        assert (400, "VALIDATION_ERROR") == _error(answer), body


async def test_a_source_of_another_tenant_is_as_unknown_as_one_that_never_was(
    agent: Client, admin: Client, server: Server
) -> None:
    source = await _source(admin)
    await _decided(agent, source)
    (event,) = (await _pull(admin, source, wait=10))["items"]
    stranger = await server.client("admin", OTHER_TENANT)
    routes: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("GET", "/decision-events", None),
        ("POST", "/decision-events/ack", {"event_ids": [event["event_id"]]}),
    ]
    for method, path, body in routes:
        answers = [
            await stranger.http.request(method, f"/sources/{name}{path}", json=body) for name in (source, "src_x")
        ]
        assert [(404, "NOT_FOUND")] * 2 == [_error(answer) for answer in answers]
        errors = [answer.json()["error"] | {"request_id": ""} for answer in answers]
        assert errors[0] == errors[1]
    assert [] == (await stranger.http.get("/sources")).json()["items"]
    assert 1 == len((await _pull(admin, source))["items"])
    refused = await (await server.client("agent", OTHER_TENANT)).open(source_id=source)
    assert (400, "source_id") == (refused.status_code, refused.json()["field"])


async def test_a_source_that_only_pushes_cannot_be_pulled(admin: Client) -> None:
    webhook = {"url": "https://executor.example/hook"}
    source = await _source(admin, delivery={"mode": "WEBHOOK_ONLY", "webhook": webhook})
    answer = await admin.http.get(f"/sources/{source}/decision-events")
    assert (409, "CONFLICT") == _error(answer)
    assert "WEBHOOK_ONLY" in answer.json()["error"]["message"]
    assert (409, "CONFLICT") == _error(await _ack(admin, source, "evt_x"))


async def test_a_case_without_a_source_makes_no_event(agent: Client, admin: Client, database_url: str) -> None:
    await agent.tap(await agent.case(), "confirm")
    counts = await row_counts(database_url)
    assert (1, 0) == (counts["decisions"], counts["decision_events"])
