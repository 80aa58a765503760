"""Tasks from posting to dispatch: who may agree, what the orchestrator sees, and grants."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from tests.conformance.tasks.target import RISKY, Target, error


def test_a_risky_operation_needs_a_person_and_says_where_to_ask(target: Target) -> None:
    body = {"operation": RISKY, "payload": {"commit": uuid4().hex}, "requested_by": "release-bot"}
    posted = target.agent.post("/tasks", body)
    assert (202, {"task_id", "status"}) == (posted.status_code, set(posted.json()))
    task = target.agent.read(posted.json())
    assert ("hitl_required", "HITL_REQUIRED") == (task["status"], task["error"]["code"])
    assert task["error"]["message"]
    page = target.browser.get(task["error"]["approval_link"])
    assert (200, True) == (page.status_code, RISKY in page.text)
    assert "hitl_required" == target.agent.read(task)["status"]


def test_whoever_waits_is_answered_the_error_itself(target: Target) -> None:
    answer = target.agent.post("/tasks?wait=1", {"operation": RISKY, "payload": {"commit": uuid4().hex}})
    assert (403, "HITL_REQUIRED") == error(answer)
    assert answer.json()["error"]["approval_link"].startswith("http")


def test_a_reviewers_key_approves_and_the_task_is_dispatched(target: Target) -> None:
    task = target.agent.task()
    answer = target.reviewer.say(task, reason="Checked.")
    assert (200, task["task_id"]) == (answer.status_code, answer.json()["task_id"])
    done = target.agent.until(task, "dispatched")
    assert "error" not in done
    moments = [event["at"] for event in done["events"]]
    assert sorted(moments) == moments
    assert {"created", "dispatched"} <= {event["event"] for event in done["events"]}


def test_an_approval_token_approves_with_whatever_key(target: Target) -> None:
    task = target.agent.task()
    assert 200 == target.agent.say(task, approval_token=target.approval_token(task)).status_code
    target.agent.until(task, "dispatched")


def test_a_rejected_task_stays_rejected(target: Target) -> None:
    task = target.agent.task()
    first, again = target.reviewer.say(task, "reject"), target.reviewer.say(task, "reject")
    assert (200, "rejected", first.json()) == (first.status_code, first.json()["status"], again.json())
    assert (403, "AUTHORIZATION_FAILED") == error(target.reviewer.say(task))
    assert "rejected" == target.agent.read(task)["status"]


def test_an_agent_does_not_approve_its_own_task(target: Target) -> None:
    task = target.agent.task()
    token = parse_qs(urlsplit(task["error"]["approval_link"]).query)["token"][0]
    assert (403, "AUTHORIZATION_FAILED") == error(target.agent.say(task))
    for given in (token, target.agent_key, "x" * 43):
        assert (403, "AUTHORIZATION_FAILED") == error(target.agent.say(task, approval_token=given))
    if (
        target.reviewer.post("/tasks", {}).status_code == 400
    ):  # an admin's key may post, and still not agree with itself
        assert (403, "AUTHORIZATION_FAILED") == error(target.reviewer.say(target.reviewer.task()))
    assert "hitl_required" == target.agent.read(task)["status"]


def test_a_task_can_be_found_in_the_list(target: Target) -> None:
    tasks = [target.agent.task() for _ in range(3)]
    first = target.agent.get("/tasks?limit=2").json()
    rest = target.agent.get(f"/tasks?limit=1&after={first['next_cursor']}").json()
    found = [one["task_id"] for one in first["items"] + rest["items"]]
    assert [task["task_id"] for task in reversed(tasks)] == found


def test_a_grant_lets_just_that_through_until_it_is_revoked(target: Target) -> None:
    body = {"operation": RISKY, "payload": {"commit": uuid4().hex}}
    given = target.reviewer.post("/grants", body | {"valid_for": "1h", "reason": "Release day."})
    assert 201 == given.status_code, given.text
    grant = given.json()["grant_id"]
    through = target.agent.post("/tasks?wait=1", body)
    assert (202, "dispatched") == (through.status_code, through.json()["status"])
    assert grant == target.agent.read(through.json())["grant_id"]
    assert grant in [one["grant_id"] for one in target.reviewer.get("/grants?live=1").json()["items"]]
    for _ in range(2):
        assert 200 == target.reviewer.post(f"/grants/{grant}/revoke", {}).status_code
    assert "hitl_required" == target.agent.task(payload=body["payload"])["status"]
    assert grant not in [one["grant_id"] for one in target.reviewer.get("/grants?live=1").json()["items"]]
    assert target.reviewer.get(f"/grants/{grant}").json()["revoked_at"]


def test_an_agent_gives_itself_no_grant(target: Target) -> None:
    body = {"operation": RISKY, "payload": {}, "valid_for": "1h"}
    assert (403, "AUTHORIZATION_FAILED") == error(target.agent.post("/grants", body))


def test_no_grant_lasts_longer_than_eight_hours(target: Target) -> None:
    body = {"operation": RISKY, "payload": {}, "valid_for": "8h1m"}
    for valid_for in ("9h", "1d", "0s"):
        assert (400, "SCHEMA_VALIDATION_FAILED") == error(
            target.reviewer.post("/grants", body | {"valid_for": valid_for})
        )
