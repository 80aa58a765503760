"""Door 3 over HTTP: its headers, its closed list of errors, tasks from posting to dispatch, approvals, grants."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from api import tasks
from api.doors.entry import Entry
from api.doors.tasks import TASKS_DOOR
from api.errors import TASKS, error_answer
from api.headers import required
from core.access import Scope
from core.errors import AssentError, CaseExpired, HitlRequired, RateLimited, TookTooLong, Unavailable
from core.guard.conditions import Named
from core.guard.globs import glob
from core.guard.rules import PolicySet, Rule, Verdict
from core.strictjson import load_object
from tests.support.dump import row_counts
from tests.support.server import Client, Server, running, server_fixture, until  # noqa: F401 (fixture)

PAYLOAD = {"branch": "main", "commit": "9f2c1e7"}
ENUM = {
    "SCHEMA_VALIDATION_FAILED", "AUTHENTICATION_FAILED", "AUTHORIZATION_FAILED", "RESOURCE_NOT_FOUND",
    "RATE_LIMIT_EXCEEDED", "HITL_REQUIRED", "EXECUTION_TIMEOUT", "DEPENDENCY_FAILED", "INTERNAL_ERROR",
}  # fmt: skip
OTHER_TENANT = "2b0f6f0e-7a53-4f0e-8d4f-93a1a3a6e0c1"


@dataclass
class Caller:
    """Somebody with a key, who sends all headers that the door insists on."""

    client: Client
    numbers: count[int] = field(default_factory=count)

    @property
    def headers(self) -> dict[str, str]:
        assert self.client.principal is not None
        return {
            "Authorization": f"Bearer {self.client.key}",
            "X-Tenant-ID": self.client.principal.tenant_id,
            "Idempotency-Key": f"key-{next(self.numbers)}",
        }

    async def ask(self, method: str, path: str, body: Any = None, /, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.page.request(method, path, json=body, headers=self.headers | named)

    async def post(self, path: str, /, **body: Any) -> httpx.Response:
        return await self.ask("POST", path, body)

    async def task(self, operation: str = "repo.commit", /, **more: Any) -> dict[str, Any]:
        """A new task, as it is read."""
        answer = await self.post("/tasks", **({"operation": operation, "payload": PAYLOAD} | more))
        assert 202 == answer.status_code, answer.text
        return await self.read(answer.json())

    async def read(self, task: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = (await self.ask("GET", f"/tasks/{task['task_id']}")).json()
        return found

    async def say(self, task: dict[str, Any], decision: str = "approve", /, **more: Any) -> httpx.Response:
        body = {"decision": decision, "approver": "ana"} | more
        return await self.post(f"/approvals/{task['task_id']}", **body)


async def caller(server: Server, scope: Scope, tenant: str | None = None) -> Caller:
    return Caller(await server.client(scope, tenant))


@pytest.fixture
async def agent(server: Server) -> Caller:
    return await caller(server, "agent")


@pytest.fixture
async def reviewer(server: Server) -> Caller:
    return await caller(server, "reviewer")


@pytest.fixture
async def small(sqlite_url: str) -> AsyncIterator[Server]:
    """For what does not depend on the database."""
    async with running(sqlite_url, clock_role=False) as found:
        yield found


def ruled(server: Server, **verdicts: Verdict) -> None:
    """Policy says this about operations by their resource, and requires a person for all others."""
    server.services.policies.current = PolicySet(
        Rule("tests", resource, verdict, f"the test says {verdict}", (Named("operation", (glob(f"{resource}.*"),)),))
        for resource, verdict in verdicts.items()
    )


def said(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, whose body has the door's shape."""
    error = answer.json()["error"]
    assert {"code", "message", "details", "request_id"} <= set(error)
    assert answer.headers["x-request-id"] == error["request_id"]
    return answer.status_code, error["code"]


# --- headers, on every route of the table

ROUTES = [entry for entry in TASKS_DOOR.entries if entry.scopes]
MALFORMED = {
    "Authorization": ("", "Bearer", "Basic YWtfOng=", "Bearer no-key", "Bearer ak_", "Bearer ak_a b", "ak_abc"),
    "X-Tenant-ID": ("", "tenant", f"{{{OTHER_TENANT}}}", OTHER_TENANT.replace("-", ""), OTHER_TENANT + "0"),
    "Idempotency-Key": ("", "two words", "x" * 256, "schlüssel"),
}


def _path(entry: Entry) -> str:
    return entry.path.replace("{task_id}", "review_none").replace("{grant_id}", "grt_none")


async def test_every_route_needs_its_headers_in_their_form(small: Server, sqlite_url: str) -> None:
    admin = await caller(small, "admin")
    before = await row_counts(sqlite_url)
    for entry in ROUTES:
        for name in required(entry.method):
            rest = {other: value for other, value in admin.headers.items() if other != name}
            answer = await admin.client.page.request(entry.method, _path(entry), headers=rest)
            assert (400, "SCHEMA_VALIDATION_FAILED") == said(answer), (entry.path, name)
            assert name == answer.json()["error"]["details"]["field"]
            for value in MALFORMED[name]:
                given = [(one.encode(), two.encode("latin-1")) for one, two in (rest | {name: value}).items()]
                answer = await admin.client.page.request(entry.method, _path(entry), headers=given)
                assert (400, "SCHEMA_VALIDATION_FAILED") == said(answer), (entry.path, name, value)
            twice = [*admin.headers.items(), (name, admin.headers[name])]
            answer = await admin.client.page.request(entry.method, _path(entry), headers=twice)
            assert (400, "SCHEMA_VALIDATION_FAILED") == said(answer), (entry.path, name, "twice")
    assert before == await row_counts(sqlite_url)


async def test_every_route_refuses_unknown_keys_other_tenants_and_other_scopes(small: Server, sqlite_url: str) -> None:
    holders = {scope: await caller(small, scope) for scope in ("agent", "executor", "reviewer", "admin")}
    stranger = await caller(small, "admin", OTHER_TENANT)
    before = await row_counts(sqlite_url)
    for entry in ROUTES:
        path, admin = _path(entry), holders["admin"]
        unknown = await admin.ask(entry.method, path, Authorization=f"Bearer ak_{'x' * 43}")
        assert (401, "AUTHENTICATION_FAILED") == said(unknown), entry.path
        assert "Bearer" == unknown.headers["www-authenticate"]
        for tenant in (OTHER_TENANT, str(uuid4())):  # one that is there, one that is not
            foreign = await admin.ask(entry.method, path, X_Tenant_ID=tenant)
            assert (403, "AUTHORIZATION_FAILED") == said(foreign), entry.path
        theirs = await stranger.ask(entry.method, path, X_Tenant_ID=admin.headers["X-Tenant-ID"])
        assert (403, "AUTHORIZATION_FAILED") == said(theirs), entry.path
        for scope, holder in holders.items():
            if scope not in entry.scopes:
                assert (403, "AUTHORIZATION_FAILED") == said(await holder.ask(entry.method, path)), (entry.path, scope)
    assert before == await row_counts(sqlite_url)


async def test_the_tenant_may_be_written_in_capitals(small: Server) -> None:
    agent = await caller(small, "agent")
    answer = await agent.ask("GET", "/tasks", X_Tenant_ID=agent.headers["X-Tenant-ID"].upper())
    assert (200, []) == (answer.status_code, answer.json()["items"])


# --- errors


def test_whatever_goes_wrong_is_said_in_nine_codes() -> None:
    contract = {
        "SCHEMA_VALIDATION_FAILED": {400, 405, 413, 422}, "AUTHENTICATION_FAILED": {401},
        "AUTHORIZATION_FAILED": {403}, "RESOURCE_NOT_FOUND": {404}, "RATE_LIMIT_EXCEEDED": {429},
        "HITL_REQUIRED": {403}, "EXECUTION_TIMEOUT": {504}, "DEPENDENCY_FAILED": {503}, "INTERNAL_ERROR": {500},
    }  # fmt: skip
    assert ENUM == set(contract)
    waiting = [AssentError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        status, code = TASKS.look_up(kind)
        assert status in contract[code], kind


@pytest.mark.parametrize(
    ("error", "status", "code", "beside", "headers"),
    [
        (RateLimited(retry_after=7), 429, "RATE_LIMIT_EXCEEDED", {"retry_after": 7}, {(b"retry-after", b"7")}),
        (Unavailable(retry_after=2), 503, "DEPENDENCY_FAILED", {"retry_after": 2}, {(b"retry-after", b"2")}),
        (HitlRequired(approval_link="https://a/b"), 403, "HITL_REQUIRED", {"approval_link": "https://a/b"}, set()),
        (TookTooLong(task_id="t"), 504, "EXECUTION_TIMEOUT", {}, set()),
        (CaseExpired(), 403, "AUTHORIZATION_FAILED", {}, set()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_says_what_to_do_next(
    error: Any, status: int, code: str, beside: dict[str, Any], headers: set[tuple[bytes, bytes]]
) -> None:
    answer = error_answer(error, TASKS, "req-1")
    body = load_object(answer.body)["error"]
    assert (status, code, "req-1") == (answer.status, body["code"], body["request_id"])
    assert beside == {name: value for name, value in body.items() if name in ("retry_after", "approval_link")}
    assert headers <= set(answer.headers)


async def test_no_route_and_a_wrong_method_are_said_in_the_doors_words(small: Server) -> None:
    agent = await caller(small, "agent")
    for path in ("/tasks/a/b", "/approvals", "/grants/a/b/c"):
        assert (404, "RESOURCE_NOT_FOUND") == said(await agent.ask("GET", path)), path
    wrong = await agent.ask("DELETE", "/tasks")
    assert ((405, "SCHEMA_VALIDATION_FAILED"), "GET, HEAD, POST") == (said(wrong), wrong.headers["allow"])
    large = await agent.post("/tasks", operation="repo.commit", payload={"text": "x" * 1_100_000})
    assert (413, "SCHEMA_VALIDATION_FAILED") == said(large)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"operation": None}, "operation"),
        ({"operation": "commit"}, "operation"),
        ({"operation": "Repo.Commit"}, "operation"),
        ({"operation": "repo.commit\n"}, "operation"),
        ({"operation": "repo..commit"}, "operation"),
        ({"operation": "x" * 200 + ".y"}, "operation"),
        ({"payload": None}, "payload"),
        ({"payload": [1]}, "payload"),
        ({"payload": {"text": "x" * 300_000}}, "payload"),
        ({"requested_by": ""}, "requested_by"),
        ({"source_id": "src_none"}, "source_id"),
        ({"notify": ["mail:ana"]}, "notify[0]"),
        ({"wait": True}, "wait"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_task_that_is_not_valid_is_refused_by_name(small: Server, changes: dict[str, Any], named: str) -> None:
    agent = await caller(small, "agent")
    answer = await agent.post("/tasks", **({"operation": "repo.commit", "payload": PAYLOAD} | changes))
    assert (400, "SCHEMA_VALIDATION_FAILED") == said(answer)
    assert named == answer.json()["error"]["details"]["field"]
    assert [] == (await agent.ask("GET", "/tasks")).json()["items"]


async def test_a_database_that_is_away_is_a_failed_dependency(server: Server, agent: Caller) -> None:
    task = await agent.task()
    await server.database.close()
    for answer in (await agent.post("/tasks", operation="a.b", payload={}), await agent.say(task)):
        assert (503, "DEPENDENCY_FAILED") == said(answer)
        assert answer.headers["retry-after"] == str(answer.json()["error"]["retry_after"])
    await server.database.start(server.services.hub)


# --- tasks


async def test_a_risky_operation_waits_for_a_person_and_says_where(agent: Caller) -> None:
    answer = await agent.post("/tasks", operation="repo.commit", payload=PAYLOAD, requested_by="release-bot")
    assert (202, {"task_id", "status"}) == (answer.status_code, set(answer.json()))
    assert f"/tasks/{answer.json()['task_id']}" == answer.headers["location"]
    task = await agent.read(answer.json())
    assert ("hitl_required", PAYLOAD, "release-bot") == (task["status"], task["payload"], task["requested_by"])
    assert ["created", "policy_require"] == [event["event"] for event in task["events"]]
    assert ("require", "commit-and-actuate") == (task["policy"]["verdict"], task["policy"]["rule"])
    assert ("HITL_REQUIRED", None) == (task["error"]["code"], task["answer"])
    page = await agent.client.page.get(task["error"]["approval_link"])
    assert (200, True) == (page.status_code, "repo.commit" in page.text)


async def test_whoever_waits_for_a_risky_operation_is_answered_the_error_itself(
    agent: Caller, reviewer: Caller
) -> None:
    body, key = {"operation": "robot.actuate", "payload": {"arm": 2}}, {"Idempotency_Key": "one"}
    waited = await agent.ask("POST", "/tasks?wait=1", body, **key)
    error = waited.json()["error"]
    assert (403, "HITL_REQUIRED") == said(waited)
    task = await agent.read(error["details"])
    assert (task["task_id"], task["error"]["approval_link"]) == (error["details"]["task_id"], error["approval_link"])
    assert 200 == (await reviewer.say(task)).status_code
    again = await agent.ask("POST", "/tasks?wait=1", body, **key)  # the same request, once a person has agreed
    assert (202, {"task_id": task["task_id"], "status": "dispatched"}) == (again.status_code, again.json())


async def test_an_allowed_operation_is_dispatched_to_the_default_source(server: Server, agent: Caller) -> None:
    ruled(server, repo="allow")
    answer = await agent.ask("POST", "/tasks?wait=1", {"operation": "repo.read", "payload": PAYLOAD})
    assert (202, "dispatched") == (answer.status_code, answer.json()["status"])
    task = await agent.read(answer.json())
    assert ["created", "policy_allow", "dispatched"] == [
        event["event"] for event in task["events"] if event["event"] != "completed"
    ]
    assert "policy" == task["answer"]["by"]["platform"]
    executor = await caller(server, "executor")
    pulled = await executor.client.http.get(f"/sources/{task['source_id']}/decision-events?wait=5")
    (event,) = pulled.json()["items"]
    assert (task["event_id"], "APPROVE", PAYLOAD) == (
        event["event_id"],
        event["decision"]["type"],
        event["final"][0]["content"],
    )


async def test_a_denied_operation_is_rejected_and_nobody_waits_for_it(small: Server) -> None:
    ruled(small, repo="deny")
    agent = await caller(small, "agent")
    assert "rejected" == (await agent.task())["status"]
    waited = await agent.ask("POST", "/tasks?wait=1", {"operation": "repo.commit", "payload": PAYLOAD})
    assert (403, "AUTHORIZATION_FAILED") == said(waited)
    assert "the test says deny" in waited.json()["error"]["message"]
    assert "rejected" == waited.json()["error"]["details"]["status"]


async def test_what_is_not_dispatched_in_time_times_out(small: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_WAIT_SECONDS", 0.02)
    monkeypatch.setattr(tasks, "RESCAN_SECONDS", 0.01)
    ruled(small, repo="allow")
    agent = await caller(small, "agent")  # nobody dispatches here
    late = await agent.ask("POST", "/tasks?wait=1", {"operation": "repo.read", "payload": PAYLOAD})
    assert (504, "EXECUTION_TIMEOUT") == said(late)
    assert "approved" == (await agent.read(late.json()["error"]["details"]))["status"]


async def test_lists_go_on_where_they_ended_and_a_bound_key_sees_its_sources(server: Server, agent: Caller) -> None:
    admin = await caller(server, "admin")
    source = (await admin.client.http.post("/sources", json={"name": "Robots"})).json()["id"]
    made = [await agent.task(f"repo.commit{n}") for n in range(3)] + [await agent.task(source_id=source)]
    seen: list[str] = []
    after: str | None = ""
    for _ in range(2):
        page = (await agent.ask("GET", f"/tasks?limit=2&after={after}")).json()
        seen += [item["task_id"] for item in page["items"]]
        after = page["next_cursor"]
    assert [task["task_id"] for task in reversed(made)] == seen
    assert after is None
    tenant = admin.headers["X-Tenant-ID"]
    key, principal = await server.services.keys.create("agent", tenant, sources=[source])
    bound = Caller(server.holder(key, principal))
    items = (await bound.ask("GET", "/tasks")).json()["items"]
    assert [made[3]["task_id"]] == [item["task_id"] for item in items]
    assert (404, "RESOURCE_NOT_FOUND") == said(await bound.ask("GET", f"/tasks/{made[0]['task_id']}"))
    for query in ("limit=0", "limit=101", "after=x", "status=approved"):
        assert (400, "SCHEMA_VALIDATION_FAILED") == said(await agent.ask("GET", f"/tasks?{query}")), query


async def test_a_task_of_another_tenant_is_not_there(small: Server) -> None:
    agent, stranger = await caller(small, "agent"), await caller(small, "reviewer", OTHER_TENANT)
    task = await agent.task()
    for answer in (await stranger.ask("GET", f"/tasks/{task['task_id']}"), await stranger.say(task)):
        assert (404, "RESOURCE_NOT_FOUND") == said(answer)
    assert [] == (await stranger.ask("GET", "/tasks")).json()["items"]


# --- approvals


async def test_a_reviewers_key_and_an_approval_token_approve_and_an_agent_does_not(
    server: Server,
    agent: Caller,
    reviewer: Caller,
) -> None:
    task, other = await agent.task(), await agent.task("robot.actuate")
    link_token = task["error"]["approval_link"].partition("?token=")[2]
    for token in (None, "wrong", link_token, agent.client.key, "é" * 20):
        assert (403, "AUTHORIZATION_FAILED") == said(await agent.say(task, approval_token=token)), token
    assert "hitl_required" == (await agent.read(task))["status"]
    token = await server.services.views.review_token(task["task_id"])
    by_token = await agent.say(task, reason="Checked.", approval_token=token)
    by_key = await agent.say(other, approval_token=reviewer.client.key)
    assert [200, 200] == [by_token.status_code, by_key.status_code]
    assert by_token.json()["status"] in ("approved", "dispatched")
    answer = (await agent.read(task))["answer"]
    assert ("approve", "ana", "Checked.") == (answer["action"], answer["approver"], answer["reason"])


async def test_the_key_that_posted_a_task_never_approves_it(small: Server) -> None:
    admin, other = await caller(small, "admin"), await caller(small, "admin")
    task = await admin.task()
    for token in (None, admin.client.key):
        assert (403, "AUTHORIZATION_FAILED") == said(await admin.say(task, approval_token=token))
    assert 200 == (await other.say(task)).status_code


async def test_no_other_door_approves_a_task_for_the_key_that_posted_it_or_tells_it_the_token(small: Server) -> None:
    admin = await caller(small, "admin")
    task = await admin.task(requested_by="somebody-else")
    it, digest = task["task_id"], task["content_digest"]
    token = str(await small.services.views.review_token(it))
    gate = {"payload": {"choice": "yes"}, "dedupeKey": "k", "origin": "manual"}
    said_yes = {
        "action": "approve",
        "submitted_via": "slack_block_action",
        "submitted_by": {"platform": "slack", "platform_user_id": "U1"},
    }
    page = {"token": task["error"]["approval_link"].partition("?token=")[2], "result": {"action": "approve"}}
    sent: list[tuple[str, str, Any]] = [
        ("POST", f"/review-tasks/{it}/decision", {"decision": "APPROVE", "content_digest": digest}),
        ("PATCH", f"/review-tasks/{it}/blocks", {"blocks": [{"id": "payload", "content": {}}]}),
        ("POST", f"/api/runs/{it}/gates/review", {"prompt": "?"}),
        ("POST", f"/api/runs/{it}/gates/review/reply", gate),
        ("POST", "/api/events/hitl", {"workflowId": it, "gateKey": "review", "topic": "human:review"} | gate),
        ("POST", f"/api/hitl/cases/{it}/respond", said_yes),
        ("POST", "/grants", {"operation": "repo.commit", "payload": PAYLOAD, "valid_for": "1h"}),
        ("GET", f"/review-tasks/{it}", None),
        ("GET", f"/api/runs/{it}", None),
        ("GET", f"/api/hitl/cases/{it}/status", None),
        ("GET", "/api/hitl/inbox", None),
        ("GET", "/review-tasks", None),
        ("GET", "/tasks", None),
        ("GET", task["error"]["approval_link"], None),
    ]  # fmt: skip
    answers = [await admin.ask(*one) for one in sent]
    answers.append(await small.nobody().page.post(f"/api/hitl/cases/{it}/respond", json=page))
    assert [404, 404, 404, 404, 404, 403, 201] == [answer.status_code for answer in answers[:7]]
    assert 403 == answers[-1].status_code
    assert not [answer.url for answer in answers if token in answer.text]
    assert "hitl_required" == (await admin.read(task))["status"]
    assert "hitl_required" == (await admin.task(requested_by="somebody-else"))["status"]  # its own grant is no help


async def test_an_approval_is_answered_once_and_the_same_again(agent: Caller, reviewer: Caller) -> None:
    task = await agent.task()
    path, body = (
        f"/approvals/{task['task_id']}",
        {"decision": "reject", "approver": "ana", "reason": "Not on a Friday."},
    )
    first = await reviewer.ask("POST", path, body, Idempotency_Key="one")
    again = await reviewer.ask("POST", path, body, Idempotency_Key="one")
    anew = await reviewer.ask("POST", path, body, Idempotency_Key="two")
    assert (200, "rejected") == (first.status_code, first.json()["status"])
    assert first.content == again.content == anew.content
    other = await reviewer.ask("POST", path, body | {"decision": "approve"}, Idempotency_Key="one")
    assert (422, "SCHEMA_VALIDATION_FAILED") == said(other)
    assert (403, "AUTHORIZATION_FAILED") == said(await reviewer.say(task))
    assert "Not on a Friday." == (await agent.read(task))["answer"]["reason"]
    assert (404, "RESOURCE_NOT_FOUND") == said(await reviewer.say({"task_id": "review_none"}))


async def test_nobody_approves_after_the_deadline(server: Server, agent: Caller, reviewer: Caller) -> None:
    task = await agent.task()
    server.clock.forward(hours=25)
    assert (403, "AUTHORIZATION_FAILED") == said(await reviewer.say(task))
    await until(lambda: expired(agent, task))


async def expired(agent: Caller, task: dict[str, Any]) -> bool:
    return bool("expired" == (await agent.read(task))["status"])


# --- grants


async def test_a_grant_lets_just_that_through_until_it_is_revoked(agent: Caller, reviewer: Caller) -> None:
    given = await reviewer.post(
        "/grants", operation="repo.commit", payload=PAYLOAD, valid_for="PT1H", reason="Release day."
    )
    grant = given.json()
    assert (201, f"/grants/{grant['grant_id']}") == (given.status_code, given.headers["location"])
    task = await agent.task()
    assert (grant["grant_id"], True) == (task["grant_id"], task["status"] in ("approved", "dispatched"))
    assert "hitl_required" == (await agent.task(payload={**PAYLOAD, "force": True}))["status"]
    assert "hitl_required" == (await agent.task("repo.push"))["status"]
    revoke = f"/grants/{grant['grant_id']}/revoke"
    revoked, again = await reviewer.post(revoke), await reviewer.post(revoke)
    assert (200, True, revoked.json()) == (revoked.status_code, bool(revoked.json()["revoked_at"]), again.json())
    assert "hitl_required" == (await agent.task())["status"]
    assert revoked.json() == (await reviewer.ask("GET", f"/grants/{grant['grant_id']}")).json()
    assert [revoked.json()] == (await reviewer.ask("GET", "/grants")).json()["items"]
    assert [] == (await reviewer.ask("GET", "/grants?live=1")).json()["items"]


@pytest.mark.parametrize("valid_for", ["59s", "8h1m", "PT481M", "1d", "soon", "", 3600], ids=str)
async def test_a_grant_lasts_between_a_minute_and_eight_hours(small: Server, valid_for: object) -> None:
    reviewer = await caller(small, "reviewer")
    answer = await reviewer.post("/grants", operation="repo.commit", payload=PAYLOAD, valid_for=valid_for)
    assert (400, "SCHEMA_VALIDATION_FAILED") == said(answer)


async def test_no_grant_outside_ones_tenant_or_with_a_bound_key(small: Server) -> None:
    reviewer, stranger = await caller(small, "reviewer"), await caller(small, "reviewer", OTHER_TENANT)
    grant = (await reviewer.post("/grants", operation="a.b", payload={}, valid_for="1m")).json()
    for method, path in (("GET", f"/grants/{grant['grant_id']}"), ("POST", f"/grants/{grant['grant_id']}/revoke")):
        assert (404, "RESOURCE_NOT_FOUND") == said(await stranger.ask(method, path))
    key, bound = await small.services.keys.create("reviewer", reviewer.headers["X-Tenant-ID"], sources=[])
    wanted = {"operation": "a.b", "payload": {}, "valid_for": "1m"}
    refused = await Caller(small.holder(key, bound)).ask("POST", "/grants", wanted)
    assert (403, "AUTHORIZATION_FAILED") == said(refused)


# --- the documentation


async def test_the_walk_through_works_as_it_is_written(server: Server, agent: Caller, reviewer: Caller) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text()
    known = {
        "URL": server.url, "TENANT": agent.headers["X-Tenant-ID"],
        "AGENT_KEY": agent.client.key, "REVIEWER_KEY": reviewer.client.key,
    }  # fmt: skip
    said = []
    for command in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        run = await asyncio.create_subprocess_exec(
            "sh", "-c", command, stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"], **known}
        )
        out, _ = await run.communicate()
        said.append(load_object(out))
        known.setdefault("TASK", said[0].get("task_id", ""))
    posted, read, approved, waited, grant = said
    assert ("hitl_required", "HITL_REQUIRED") == (posted["status"], read["error"]["code"])
    assert known["TASK"] == read["task_id"] == approved["task_id"] == waited["task_id"]
    assert ("dispatched", "Release day.") == (waited["status"], grant["reason"])
