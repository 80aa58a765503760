"""Review tasks: opened once, listed, edited against an entity tag, decided once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conformance.executors.target import BLOCKS, Target, error


def test_a_task_is_opened_and_read(target: Target, source: str) -> None:
    task = target.task(source, metadata={"trace_id": "t-1"}, priority="HIGH", preview="A short answer.")
    read = target.read(task)
    assert 200 == read.status_code
    found = read.json()
    assert {
        "id", "source_id", "source_name", "status", "priority", "title", "service", "action", "risk_level",
        "blocks_original", "blocks_working", "created_at",
    } <= set(found)  # fmt: skip
    assert ("PENDING", "HIGH", source) == (found["status"], found["priority"], found["source_id"])
    assert [block["content"] for block in BLOCKS] == [block["content"] for block in found["blocks_original"]]
    assert {"trace_id": "t-1"} == found["metadata"]
    assert read.headers["etag"]


@pytest.mark.parametrize(
    "changes",
    [{"title": "x" * 201}, {"title": None}, {"risk_level": "severe"}, {"priority": "now"}, {"blocks": []}],
    ids=str,
)
def test_a_task_that_is_not_valid_is_refused(target: Target, source: str, changes: dict[str, object]) -> None:
    assert (400, "VALIDATION_ERROR") == error(target.ask(source, **changes))


def test_the_same_request_opens_one_task(target: Target, source: str) -> None:
    once = {"Idempotency-Key": f"task-of-{source}"}
    first, again = target.ask(source, once), target.ask(source, once)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert (409, "IDEMPOTENCY_MISMATCH") == error(target.ask(source, once, title="Another"))
    assert 1 == target.http.get("/review-tasks", params={"source_id": source}).json()["total_count"]


def test_tasks_are_listed_page_by_page(target: Target, source: str) -> None:
    opened = [target.task(source, title=f"Task {n}")["id"] for n in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, Any] = {"source_id": source, "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = target.http.get("/review-tasks", params=query).json()
        assert 5 == page["total_count"]
        seen += [item["id"] for item in page["items"]]
        if not (cursor := page.get("next_cursor")):
            break
    assert sorted(opened) == sorted(seen)


def test_a_list_is_narrowed_by_every_filter(target: Target, source: str) -> None:
    task = target.task(
        source, risk_level="critical", service={"id": "bank", "name": "Bank"}, action={"type": "send", "verb": "Send"}
    )
    target.task(source)
    for name, value in (("risk_level", "critical"), ("service_id", "bank"), ("action_type", "send")):
        page = target.http.get("/review-tasks", params={"source_id": source, name: value}).json()
        assert [task["id"]] == [item["id"] for item in page["items"]], name
    page = target.http.get("/review-tasks", params={"source_id": source, "status": "PENDING"}).json()
    assert 2 == page["total_count"]


def test_an_edit_changes_what_works_and_not_the_original(target: Target, source: str) -> None:
    task = target.task(source)
    etag = target.read(task).headers["etag"]
    edited = target.edit(task, etag, body="One.\n2.\n")
    assert 200 == edited.status_code, edited.text
    assert "One.\n2.\n" == edited.json()["blocks_working"][0]["content"]
    assert task["blocks_original"] == edited.json()["blocks_original"]
    assert etag != edited.headers["etag"]


def test_an_edit_of_an_older_state_fails(target: Target, source: str) -> None:
    task = target.task(source)
    etag = target.read(task).headers["etag"]
    with ThreadPoolExecutor(4) as editors:
        answers = list(editors.map(lambda n: target.edit(task, etag, body=f"By {n}.\n"), range(4)))
    assert [200, 412, 412, 412] == sorted(answer.status_code for answer in answers)
    assert {(412, "PRECONDITION_FAILED")} == {error(answer) for answer in answers if answer.status_code != 200}


def test_a_block_that_is_not_editable_stays(target: Target, source: str) -> None:
    task = target.task(source)
    assert (400, "VALIDATION_ERROR") == error(target.edit(task, target.read(task).headers["etag"], fixed="Loose."))


def test_a_denial_needs_a_reason(target: Target, source: str) -> None:
    task = target.task(source)
    assert (400, "VALIDATION_ERROR") == error(target.decide(task, "DENY"))
    answer = target.decide(task, "DENY", reason="Wrong recipient.")
    assert (200, "DENIED") == (answer.status_code, answer.json()["status"])


def test_a_task_is_decided_once(target: Target, source: str) -> None:
    task = target.task(source)
    first, again = target.decide(task), target.decide(task)
    assert (200, "APPROVED") == (first.status_code, first.json()["status"])
    assert (200, first.json()["decision"]) == (again.status_code, again.json()["decision"])
    assert (422, "INVALID_STATE_TRANSITION") == error(target.decide(task, "DENY", reason="No."))
    assert (422, "INVALID_STATE_TRANSITION") == error(
        target.edit(task, target.read(task).headers["etag"], body="Too late.")
    )
