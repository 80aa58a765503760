"""Things to test on: made on the server over its own API, with an admin's key."""

from __future__ import annotations

import uuid
from typing import Any

import httpx


class Maker:
    """Makes things on the server at `url`."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def tenant(self) -> str:
        return str(self._get("/admin/tenant")["tenant_id"])

    def key(self, scope: str) -> dict[str, Any]:
        return self._post("/admin/keys", {"scope": scope})

    def keys(self) -> list[str]:
        """The ids of all keys that there are."""
        return [one["key_id"] for one in self._get("/admin/keys?limit=100")["items"]]

    def source(self, mode: str) -> str:
        """Its webhook, where the mode has one, is an address of the server itself, which takes no POST there."""
        delivery: dict[str, Any] = {"mode": mode}
        if "WEBHOOK" in mode:
            delivery["webhook"] = {"url": f"{self._url}/healthz", "enabled": True}
        return str(self._post("/sources", {"name": "conformance", "delivery": delivery})["id"])

    def case(self) -> dict[str, Any]:
        """The `hitl` object of a new case."""
        found: dict[str, Any] = self._post("/api/hitl/cases", {"type": "approval", "prompt": "May it?"})["hitl"]
        return found

    def review_task(self, source_id: str) -> str:
        body = {
            "source_id": source_id,
            "title": "May this be tested?",
            "service": {"id": "tests", "name": "Tests"},
            "action": {"type": "test", "verb": "Test"},
            "risk_level": "low",
            "blocks": [{"id": "body", "type": "markdown", "content": "All of it.", "editable": True}],
        }
        return str(self._post("/review-tasks", body)["id"])

    def event(self, source_id: str) -> str:
        """The id of a decision event of that source."""
        task = self.review_task(source_id)
        self._post(f"/review-tasks/{task}/decision", {"decision": "APPROVE"})
        return str(self._get(f"/sources/{source_id}/decision-events?wait=10")["items"][0]["event_id"])

    def task(self, tenant_id: str, source_id: str) -> str:
        body = {"operation": "repo.commit", "payload": {"branch": "main"}, "source_id": source_id}
        headers = {"X-Tenant-ID": tenant_id, "Idempotency-Key": uuid.uuid4().hex}
        return str(self._post("/tasks", body, headers)["task_id"])

    def run(self, workflow: str) -> str:
        """The id of a new run, which waits at a gate: `plan-approval`, or `deploy` where the caller carries it out."""
        intent = self._post("/api/intents", {"goal": "Test it", "workflow": workflow})["intentId"]
        run = str(self._post("/api/runs", {"intentId": intent, "queuePartitionKey": "tests"})["workflowID"])
        if workflow == "external":
            self._post(f"/api/runs/{run}/gates/deploy", {"prompt": "May this be deployed?"})
        return run

    def _get(self, path: str) -> dict[str, Any]:
        return _made(self._http.get(path))

    def _post(self, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
        return _made(self._http.post(path, json=body, headers=headers))


def token_in(review_url: str) -> str:
    return review_url.partition("?token=")[2]


def _made(response: httpx.Response) -> dict[str, Any]:
    about = f"{response.request.method} {response.request.url}: {response.status_code} {response.text}"
    assert response.is_success, about
    found: dict[str, Any] = response.json()
    return found
