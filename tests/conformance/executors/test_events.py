"""Decision events: what is in one, pulling, acks, and the claim before acting."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from tests.conformance.executors.target import Target, error

EVENT = {
    "event_id", "source_id", "task_id", "case_id", "workflow_id", "gate_key", "decision", "original", "final", "diff",
    "result", "content_digest", "final_digest", "ledger", "metadata", "occurred_at",
}  # fmt: skip


def test_an_event_says_what_was_agreed_to(target: Target, source: str) -> None:
    task = target.task(source, metadata={"trace_id": "t-1"})
    edited = target.edit(task, target.read(task).headers["etag"], body="One.\n2.\n", data={"to": ["b@example.org"]})
    assert 200 == edited.status_code
    assert 200 == target.decide(task, reason="Better so.").status_code
    event = target.event(source)
    assert set(event) >= EVENT
    assert (source, task["id"], "APPROVE") == (event["source_id"], event["task_id"], event["decision"]["type"])
    assert task["blocks_original"] == event["original"]
    assert edited.json()["blocks_working"] == event["final"]
    (text,), (patch,) = event["diff"]["text_diffs"], event["diff"]["json_patches"]
    assert "-Two.\n+2.\n" in text["unified_diff"]
    assert [{"op": "replace", "path": "/to/0", "value": "b@example.org"}] == patch["patch"]
    assert {"trace_id": "t-1"} == event["metadata"]


def test_a_denial_is_an_event_too(target: Target, source: str) -> None:
    target.decide(target.task(source), "DENY", reason="No.")
    decision = target.event(source)["decision"]
    assert ("DENY", "No.") == (decision["type"], decision["reason"])


def test_a_cursor_goes_on_where_it_ended(target: Target, source: str) -> None:
    for _ in range(3):
        target.decide(target.task(source))
    everything = [event["event_id"] for event in target.events(source, 3)]
    seen: list[str] = []
    after = ""
    for _ in range(3):
        page = target.pull(source, limit=1, after=after).json()
        seen += [event["event_id"] for event in page["items"]]
        after = page["next_cursor"]
    assert everything == seen
    assert [] == target.pull(source, after=after).json()["items"]


def test_a_pull_waits_for_the_first_event(target: Target, source: str) -> None:
    task = target.task(source)
    with ThreadPoolExecutor(1) as puller:
        began = time.monotonic()
        waiting = puller.submit(target.pull, source, wait=20)
        target.decide(task)
        page = waiting.result().json()
    assert [task["id"]] == [event["task_id"] for event in page["items"]]
    assert time.monotonic() - began < 15


def test_an_ack_ends_redelivery_and_dispatches_the_task(target: Target, source: str) -> None:
    task = target.task(source)
    target.decide(task)
    event = target.event(source)
    for _ in range(2):
        answer = target.ack(source, event["event_id"], "evt_none")
        assert 200 == answer.status_code
        assert (["evt_none"], [event["event_id"]]) == (answer.json()["unknown"], answer.json()["acked"])
    assert [] == target.pull(source).json()["items"]
    assert "DISPATCHED" == target.read(task).json()["status"]


def test_an_event_is_claimed_by_one(target: Target, source: str) -> None:
    task = target.task(source)
    target.decide(task)
    event = target.event(source)
    with ThreadPoolExecutor(6) as executors:
        answers = list(executors.map(lambda n: target.claim(event, f"executor-{n}"), range(6)))
    assert [200, 409, 409, 409, 409, 409] == sorted(answer.status_code for answer in answers)
    (won,) = [answer.json() for answer in answers if answer.status_code == 200]
    again = target.claim(event, won["claimer_id"])
    assert (200, won) == (again.status_code, again.json())
    assert "DISPATCHED" == target.read(task).json()["status"]


def test_nobody_claims_what_was_not_agreed_to(target: Target, source: str) -> None:
    target.decide(target.task(source), "DENY", reason="No.")
    assert (403, "FORBIDDEN") == error(target.claim(target.event(source)))
    other = target.source()
    target.decide(target.task(other))
    event = target.event(other)
    assert (403, "FORBIDDEN") == error(target.claim(event, final_digest="sha256:" + "0" * 64))
    assert (404, "NOT_FOUND") == error(target.claim(event | {"source_id": source}))
