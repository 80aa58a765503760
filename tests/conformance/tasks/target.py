"""The server under test, as an orchestrator and a reviewer meet it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx

Json = dict[str, Any]
RISKY = "repo.commit"
CODES = {
    "SCHEMA_VALIDATION_FAILED": {400, 405, 413, 422}, "AUTHENTICATION_FAILED": {401}, "AUTHORIZATION_FAILED": {403},
    "RESOURCE_NOT_FOUND": {404}, "RATE_LIMIT_EXCEEDED": {429}, "HITL_REQUIRED": {403}, "EXECUTION_TIMEOUT": {504},
    "DEPENDENCY_FAILED": {503}, "INTERNAL_ERROR": {500},
}  # fmt: skip
STATES = {"queued", "hitl_required", "approved", "rejected", "expired", "dispatched", "failed"}


class Target:
    def __init__(self, url: str, tenant: str, agent_key: str, reviewer_key: str) -> None:
        self.tenant = tenant
        self.agent_key, self.reviewer_key = agent_key, reviewer_key
        self.browser = httpx.Client(base_url=url, timeout=40, trust_env=False)
        self.agent, self.reviewer = self._holder(agent_key), self._holder(reviewer_key)

    def _holder(self, key: str) -> Holder:
        return Holder(self.browser, {"Authorization": f"Bearer {key}", "X-Tenant-ID": self.tenant})

    def close(self) -> None:
        self.browser.close()

    def approval_token(self, task: Json) -> str:
        """What a reviewer holds after signing in on the page behind the approval link."""
        link = urlsplit(task["error"]["approval_link"])
        form = {"token": parse_qs(link.query)["token"][0], "credential": self.reviewer_key}
        answer = self.browser.post(link.path, data=form)
        assert 303 == answer.status_code, answer.text
        return parse_qs(urlsplit(answer.headers["location"]).query)["token"][0]


class Holder:
    """Somebody with a key."""

    def __init__(self, http: httpx.Client, headers: dict[str, str]) -> None:
        self.http = http
        self.headers = headers

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path, headers=self.headers)

    def post(self, path: str, body: Json, key: str | None = None) -> httpx.Response:
        return self.http.post(path, json=body, headers={**self.headers, "Idempotency-Key": key or uuid4().hex})

    def task(self, **fields: Any) -> Json:
        """A new task that needs a person, as it is read. Its arguments are like no other's."""
        body = {"operation": RISKY, "payload": {"commit": uuid4().hex}, **fields}
        answer = self.post("/tasks", body)
        assert 202 == answer.status_code, answer.text
        return self.read(answer.json())

    def read(self, task: Json) -> Json:
        answer = self.get(f"/tasks/{task['task_id']}")
        assert 200 == answer.status_code, answer.text
        found: Json = answer.json()
        assert found["status"] in STATES
        return found

    def say(self, task: Json, decision: str = "approve", **fields: Any) -> httpx.Response:
        return self.post(f"/approvals/{task['task_id']}", {"decision": decision, "approver": "ana"} | fields)

    def until(self, task: Json, status: str) -> Json:
        """The task, once it has come so far."""
        return until(lambda: self.read(task), lambda found: found["status"] == status)


def until(look: Callable[[], Json], good: Callable[[Json], bool]) -> Json:
    end = time.monotonic() + 20
    while not good(found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def error(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, whose body has the door's shape, and whose code is one of the nine."""
    found = answer.json()["error"]
    assert {"code", "message", "details", "request_id"} <= set(found)
    assert set(found) <= {"code", "message", "details", "request_id", "retry_after", "approval_link"}
    assert answer.status_code in CODES[found["code"]]
    return answer.status_code, found["code"]
