"""The server under test, as agents, reviewers and executors meet it: one admin's key stands for all of them."""

from __future__ import annotations

import time
from typing import Any

import httpx

Json = dict[str, Any]

BLOCKS: list[Json] = [
    {"id": "body", "label": "Body", "type": "markdown", "content": "One.\nTwo.\n", "editable": True},
    {"id": "data", "label": "Data", "type": "json", "content": {"to": ["a@example.org"]}, "editable": True},
    {"id": "fixed", "label": "Fixed", "type": "plaintext", "content": "As it is.", "editable": False},
]
ERROR = {"code", "message", "details", "request_id"}


class Target:
    def __init__(self, url: str, key: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=40, trust_env=False)
        self.bearer = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=40, trust_env=False
        )
        self.nobody = httpx.Client(base_url=url, timeout=40, trust_env=False)

    def close(self) -> None:
        for http in (self.http, self.bearer, self.nobody):
            http.close()

    def source(self, **fields: Any) -> str:
        answer = self.http.post("/sources", json={"name": "Conformance", "delivery": {"mode": "PULL_ONLY"}} | fields)
        assert 201 == answer.status_code, answer.text
        return str(answer.json()["id"])

    def ask(self, source: str, headers: dict[str, str] | None = None, /, **fields: Any) -> httpx.Response:
        """The request that opens a task."""
        body = {
            "source_id": source,
            "title": "Reply to the vendor",
            "service": {"id": "mail", "name": "Mail"},
            "action": {"type": "reply", "verb": "Reply"},
            "risk_level": "low",
            "blocks": BLOCKS,
        }
        return self.http.post("/review-tasks", json=body | fields, headers=headers or {})

    def task(self, source: str, **fields: Any) -> Json:
        answer = self.ask(source, **fields)
        assert 201 == answer.status_code, answer.text
        found: Json = answer.json()
        return found

    def read(self, task: Json) -> httpx.Response:
        return self.http.get(f"/review-tasks/{task['id']}")

    def edit(self, task: Json, etag: str, **contents: Any) -> httpx.Response:
        blocks = [{"id": name, "content": content} for name, content in contents.items()]
        return self.http.patch(
            f"/review-tasks/{task['id']}/blocks", json={"blocks_working": blocks}, headers={"If-Match": etag}
        )

    def decide(self, task: Json, decision: str = "APPROVE", **fields: Any) -> httpx.Response:
        return self.http.post(f"/review-tasks/{task['id']}/decision", json={"decision": decision} | fields)

    def pull(self, source: str, **query: Any) -> httpx.Response:
        return self.http.get(f"/sources/{source}/decision-events", params=query)

    def events(self, source: str, count: int) -> list[Json]:
        """The events of this source that nobody has acked, once there are so many."""
        found: list[Json] = []
        until = time.monotonic() + 20
        while time.monotonic() < until:
            found = self.pull(source, wait=1).json()["items"]
            if len(found) >= count:
                break
        assert count == len(found)
        return found

    def event(self, source: str) -> Json:
        return self.events(source, 1)[0]

    def ack(self, source: str, *event_ids: str) -> httpx.Response:
        return self.http.post(f"/sources/{source}/decision-events/ack", json={"event_ids": list(event_ids)})

    def claim(self, event: Json, claimer: str = "executor-1", **changes: Any) -> httpx.Response:
        address = f"/sources/{event['source_id']}/decision-events/{event['event_id']}/claim"
        body = {"final_digest": event["final_digest"], "claimer_id": claimer} | changes
        return self.http.post(address, json=body)


def error(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, whose body has the door's shape."""
    found = answer.json()["error"]
    assert set(found) >= ERROR
    return answer.status_code, found["code"]
