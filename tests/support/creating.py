"""Every POST that creates something and takes an Idempotency-Key, as data; what tests walk and storms are made of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import httpx

Scope = Literal["agent", "reviewer", "admin", "operator"]
Said = tuple[int, str]  # status and code of an error
IN_FLIGHT_CODES = {"idempotency_in_flight", "IDEMPOTENCY_IN_FLIGHT", "RATE_LIMIT_EXCEEDED"}


@dataclass(frozen=True, slots=True)
class Words:
    """How a door says what can be wrong with a key."""

    malformed: Said
    mismatch: Said
    in_flight: Said


HITL = Words((400, "invalid_body"), (409, "idempotency_mismatch"), (409, "idempotency_in_flight"))
EXECUTORS = Words((400, "VALIDATION_ERROR"), (409, "IDEMPOTENCY_MISMATCH"), (409, "IDEMPOTENCY_IN_FLIGHT"))
TASKS = Words((400, "SCHEMA_VALIDATION_FAILED"), (422, "SCHEMA_VALIDATION_FAILED"), (429, "RATE_LIMIT_EXCEEDED"))


@dataclass(frozen=True, slots=True)
class Creating:
    """`path` as the route has it; what its placeholders stand for is the caller's. `sourced`: the body names a source.
    Each success answers `status` and, with `table`, makes one row of it.
    """

    path: str
    body: dict[str, Any]
    status: int
    words: Words
    scope: Scope = "agent"
    table: str | None = "cases"
    sourced: bool = False

    def content(self, source: str) -> bytes:
        return json.dumps({**self.body, **({"source_id": source} if self.sourced else {})}).encode()


CASE = Creating("/api/hitl/cases", {"type": "confirmation", "prompt": "Send the newsletter?"}, 202, HITL)
REVIEW_TASK = Creating(
    "/review-tasks",
    {
        "title": "Reply to the vendor",
        "service": {"id": "mail", "name": "Mail"},
        "action": {"type": "reply", "verb": "Reply"},
        "risk_level": "low",
        "blocks": [{"id": "body", "label": "Body", "type": "plaintext", "content": "Hello"}],
    },
    201,
    EXECUTORS,
    table="review_tasks",
    sourced=True,
)
SOURCE = Creating(
    "/sources",
    {"name": "Deploys", "delivery": {"webhook": {"url": "http://127.0.0.1:9/hook", "enabled": False}}},
    201,
    EXECUTORS,
    "admin",
    "sources",
)
TASK = Creating("/tasks", {"operation": "repo.commit", "payload": {"branch": "main"}}, 202, TASKS, table="tasks")
_GRANT = {"operation": "repo.push", "payload": {"branch": "main"}, "valid_for": "1h"}
_OPERATION = {"operation": "repo.commit", "payload": {"repo": "site", "branch": "main"}}
TASK = Creating("/tasks", _OPERATION, 202, TASKS, table="tasks")
_CV = {"firstName": "Alex", "lastName": "Johnson", "title": "Engineer"}
CREATING = (
    CASE,
    Creating("/api/agent/{flow}", {"prefer_hitl": True, "cv_data": _CV}, 202, HITL),
    Creating("/api/agent/{flow}", {"skip_hitl": True, "cv_data": _CV}, 201, HITL, table="flow_runs"),
    REVIEW_TASK,
    TASK,
    Creating("/grants", _GRANT, 201, TASKS, "admin", "grants"),
    SOURCE,
    Creating("/sources/{source_id}/webhook/rotate-secret", {"grace_seconds": 60}, 200, EXECUTORS, "admin", None),
    Creating("/sources/{source_id}/webhook/test", {}, 200, EXECUTORS, "admin", None),
    Creating("/sources/{source_id}/deliveries/replay", {"state": "failed"}, 200, EXECUTORS, "admin", None),
    TASK,
    Creating("/approvals/{task_id}", {"decision": "approve", "approver": "Ana"}, 200, TASKS, "reviewer", None),
    Creating("/grants", {**_OPERATION, "valid_for": "1h"}, 201, TASKS, "reviewer", "grants"),
    Creating("/admin/tenants", {"name": "Acme"}, 201, EXECUTORS, "operator", "tenants"),
    Creating("/admin/tenants/{tenant_id}/keys", {"name": "first"}, 201, EXECUTORS, "operator", "api_keys"),
    Creating("/admin/keys", {"scope": "executor"}, 201, EXECUTORS, "admin", "api_keys"),
    Creating("/admin/keys/{key_id}/rotate", {"grace_seconds": 60}, 201, EXECUTORS, "admin", None),
)


def said(response: httpx.Response) -> Said:
    """Status and code of an error, in the words of any door."""
    error = response.json()["error"]
    return response.status_code, error["code"] if isinstance(error, dict) else error


def in_flight(response: httpx.Response) -> bool:
    """Whether the first request with this key is under way, as every door says it: come again in a second."""
    return (
        response.status_code in (409, 429)
        and said(response)[1] in IN_FLIGHT_CODES
        and response.headers.get("retry-after") == "1"
    )


async def until_answered(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Ask again while the first request is under way, as every client is asked to (but sooner)."""
    while True:
        response = await ask()
        if not in_flight(response):
            return response
        await asyncio.sleep(0.02)
