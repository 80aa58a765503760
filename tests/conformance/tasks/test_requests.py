"""What every request must bring, and how a refusal is said."""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.conformance.tasks.target import RISKY, Target, error

GETS = ("/tasks", "/tasks/review_none", "/grants", "/grants/grt_none")
POSTS = ("/tasks", "/approvals/review_none", "/grants", "/grants/grt_none/revoke")


def test_a_request_without_one_of_its_headers_is_refused(target: Target) -> None:
    full = {**target.reviewer.headers, "Idempotency-Key": uuid4().hex}
    for method, paths in (("GET", GETS), ("POST", POSTS)):
        for path in paths:
            for name in full if method == "POST" else target.reviewer.headers:
                headers = {other: value for other, value in full.items() if other != name}
                answer = target.browser.request(method, path, headers=headers)
                assert (400, "SCHEMA_VALIDATION_FAILED") == error(answer), (path, name)


@pytest.mark.parametrize(
    ("header", "value", "expected"),
    [
        ("Authorization", "Basic YWtfOng=", (400, "SCHEMA_VALIDATION_FAILED")),
        ("Authorization", "Bearer nothing", (400, "SCHEMA_VALIDATION_FAILED")),
        ("Authorization", "Bearer ak_" + "x" * 43, (401, "AUTHENTICATION_FAILED")),
        ("X-Tenant-ID", "acme", (400, "SCHEMA_VALIDATION_FAILED")),
        ("X-Tenant-ID", "00000000-0000-4000-8000-000000000000", (403, "AUTHORIZATION_FAILED")),
        ("Idempotency-Key", "two words", (400, "SCHEMA_VALIDATION_FAILED")),
        ("Idempotency-Key", "x" * 256, (400, "SCHEMA_VALIDATION_FAILED")),
    ],
)
def test_a_header_that_is_not_right_is_refused(
    target: Target, header: str, value: str, expected: tuple[int, str]
) -> None:
    headers = {**target.agent.headers, "Idempotency-Key": uuid4().hex, header: value}
    body = {"operation": RISKY, "payload": {}}
    assert expected == error(target.browser.post("/tasks", json=body, headers=headers))


def test_the_document_needs_no_headers(target: Target) -> None:
    answer = target.browser.get("/openapi")
    assert (200, "3.0.3") == (answer.status_code, answer.json()["openapi"])
    assert {"/tasks", "/tasks/{task_id}", "/approvals/{task_id}"} <= set(answer.json()["paths"])


@pytest.mark.parametrize(
    "changes",
    [
        {"operation": "commit"},
        {"operation": 1},
        {"payload": "all"},
        {"payload": None},
        {"unknown": 1},
        {"notify": ["x"]},
    ],
    ids=str,
)
def test_a_task_that_is_not_valid_is_refused(target: Target, changes: dict[str, object]) -> None:
    body = {"operation": RISKY, "payload": {}} | changes
    assert (400, "SCHEMA_VALIDATION_FAILED") == error(target.agent.post("/tasks", body))


def test_what_is_not_there_is_not_found(target: Target) -> None:
    for path in ("/tasks/review_none", "/grants/grt_none", "/tasks/a/b"):
        assert (404, "RESOURCE_NOT_FOUND") == error(target.reviewer.get(path)), path
    said = {"decision": "approve", "approver": "ana"}
    assert (404, "RESOURCE_NOT_FOUND") == error(target.reviewer.post("/approvals/review_none", said))


def test_a_key_stands_for_one_request(target: Target) -> None:
    key, body = uuid4().hex, {"operation": RISKY, "payload": {"commit": uuid4().hex}}
    first, again = target.agent.post("/tasks", body, key), target.agent.post("/tasks", body, key)
    assert (202, first.content) == (first.status_code, again.content)
    assert (422, "SCHEMA_VALIDATION_FAILED") == error(target.agent.post("/tasks", body | {"requested_by": "x"}, key))
