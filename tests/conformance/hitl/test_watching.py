"""Sections 8, 8.5, 13.5: polls, the event stream, and what a case never does."""

from __future__ import annotations

import re

import pytest

from tests.conformance.hitl.target import ANSWERS, Case, Target
from tests.support import schemas

MANY = 300  # polls: more than anybody allows in a minute


def _conforms(state: dict[str, object]) -> None:
    assert [] == schemas.problems("poll-response", state)


# --- polls


def test_the_agents_own_key_polls(target: Target) -> None:
    case = target.open()
    assert 200 == target.poll(case).status_code
    assert target.anyone.get(case["poll_url"]).status_code in (401, 403)


def test_every_answer_to_a_poll_is_as_the_schema_says(target: Target) -> None:
    pending, opened, begun = target.open("input"), target.open("input"), target.open("input")
    target.opens(opened)
    target.fills(begun)
    completed, cancelled = target.open(), target.open()
    target.submit(completed, "confirm")
    target.withdraw(cancelled, "Not needed.")
    for case in (pending, opened, begun, completed, cancelled, target.expired()):
        _conforms(target.state(case))


def test_a_poll_names_the_case_its_status_and_its_creation(target: Target) -> None:
    case = target.open()
    state = target.state(case)
    assert ("pending", case["case_id"], case["created_at"]) == (
        state["status"], state["case_id"], state["created_at"],
    )  # fmt: skip


def test_an_opened_case_says_when_it_was_opened(target: Target) -> None:
    case = target.open()
    target.opens(case)
    state = target.ended(case, "opened")
    assert case["created_at"] <= state["opened_at"]
    target.fills(case)
    assert state["opened_at"] == target.ended(case, "in_progress")["opened_at"]


def test_a_waiting_case_says_when_it_will_expire(target: Target) -> None:
    case = target.open()
    assert case["expires_at"] == target.state(case)["expires_at"]
    target.opens(case)
    assert case["expires_at"] == target.ended(case, "opened")["expires_at"]


def test_a_completed_case_says_when_and_has_the_result(target: Target) -> None:
    for kind, (action, data) in ANSWERS.items():
        case = target.open(kind)
        target.submit(case, action, data)
        state = target.ended(case, "completed")
        assert "completed_at" in state
        assert (action, data) == (state["result"]["action"], state["result"]["data"]), kind


def test_only_a_completed_case_has_a_result(target: Target) -> None:
    waiting, withdrawn = target.open(), target.open()
    target.withdraw(withdrawn)
    for case in (waiting, withdrawn, target.expired()):
        assert "result" not in target.state(case)


def test_an_expired_case_says_when_and_names_the_default_action(target: Target) -> None:
    state = target.state(target.expired(default_action="abort"))
    assert ("expired", "abort") == (state["status"], state["default_action"])
    assert "expired_at" in state


def test_a_cancelled_case_says_when_and_why(target: Target) -> None:
    case = target.open()
    target.withdraw(case, "Not needed.")
    state = target.ended(case, "cancelled")
    assert "Not needed." == state["reason"]
    assert "cancelled_at" in state


def test_a_human_can_close_a_case_without_an_answer(target: Target) -> None:
    case = target.open()
    assert 200 == target.gives_up(case).status_code
    assert "result" not in target.ended(case, "cancelled")


def test_a_case_that_has_ended_never_changes_again(target: Target) -> None:
    completed, cancelled, expired = target.open_inline(), target.open(), target.expired()
    target.tap(completed, "confirm")
    target.withdraw(cancelled)
    for case in (completed, cancelled, expired):
        before = target.state(case)
        target.submit(case, "cancel")
        target.withdraw(case)
        target.gives_up(case)
        assert before == target.state(case)


def test_an_unchanged_case_answers_304(target: Target) -> None:
    case = target.open()
    etag = target.poll(case).headers["etag"]
    unchanged = target.poll(case, if_none_match=etag)
    assert (304, b"") == (unchanged.status_code, unchanged.content)
    target.submit(case, "confirm")
    changed = target.poll(case, if_none_match=etag)
    assert (200, True) == (changed.status_code, changed.headers["etag"] != etag)


def _polled_until_refused(target: Target) -> tuple[int, int | None, str]:
    """How many polls were answered, the status that ended it, and its Retry-After."""
    case = target.open()
    for count in range(MANY):
        answer = target.poll(case)
        if answer.status_code != 200:
            return count, answer.status_code, answer.headers.get("retry-after", "")
    return MANY, None, ""


def test_polls_are_limited(target: Target) -> None:
    count, status, _ = _polled_until_refused(target)
    assert (True, 429) == (count < MANY, status)


def test_sixty_polls_of_a_case_are_answered_in_a_minute(target: Target) -> None:
    assert 60 == _polled_until_refused(target)[0]


def test_a_refused_poll_is_told_when_to_come_again(target: Target) -> None:
    _, status, retry_after = _polled_until_refused(target)
    assert 429 == status
    assert 1 <= int(retry_after) <= 60


def test_progress_is_told_while_a_form_is_being_filled(target: Target) -> None:
    case = target.open("input")
    target.fills(case, step=2)
    assert 2 == target.ended(case, "in_progress")["progress"]["current_step"]


# --- the event stream


def test_a_stream_tells_that_a_case_was_opened_begun_and_completed(target: Target) -> None:
    case = target.open("input")
    with target.stream(case) as stream:
        target.opens(case)
        opened = stream.until("review.opened")["data"]
        target.fills(case)
        begun = stream.until("review.in_progress")["data"]
        target.submit(case, *ANSWERS["input"])
        completed = stream.until("review.completed")["data"]
    state = target.state(case)
    for told in (opened, begun):
        assert (case["case_id"], state["opened_at"]) == (told["case_id"], told["opened_at"])
    assert {name: state[name] for name in ("case_id", "completed_at", "result")}.items() <= completed.items()


def test_a_stream_tells_that_a_case_has_expired(target: Target) -> None:
    case = target.open(timeout=f"{target.shortest_timeout}s", default_action="reject")
    with target.stream(case) as stream:
        target.later(target.shortest_timeout + 0.1)
        told = stream.until("review.expired")["data"]
    assert (case["case_id"], target.state(case)["expired_at"], "reject") == (
        told["case_id"], told["expired_at"], told["default_action"],
    )  # fmt: skip


def _withdrawn(target: Target) -> tuple[Case, dict[str, object]]:
    case = target.open()
    with target.stream(case) as stream:
        target.withdraw(case, "Not needed.")
        return case, stream.until("review.cancelled")["data"]


def test_a_stream_tells_that_a_case_was_cancelled(target: Target) -> None:
    case, told = _withdrawn(target)
    assert {"case_id": case["case_id"], "reason": "Not needed."}.items() <= told.items()


def test_the_cancelled_event_says_when(target: Target) -> None:
    case, told = _withdrawn(target)
    assert target.state(case)["cancelled_at"] == told["cancelled_at"]


def test_a_stream_tells_of_a_reminder(target: Target) -> None:
    target.need("supports_reminders")
    case = target.open(timeout="24h")
    reminders = case.get("reminder_at")
    assert reminders, "a reminder is due before the expiry"
    with target.stream(case) as stream:
        target.later(12 * 3600 + 1)
        told = stream.until("review.reminder")["data"]
    assert case["case_id"] == told["case_id"]
    assert {"reminder_at", "message"} <= set(told)
    assert "reminder_sent_at" in target.state(case)


def test_every_event_has_an_id(target: Target) -> None:
    case = target.open()
    with target.stream(case) as stream:
        target.opens(case)
        target.submit(case, "confirm")
        frames = [frame for frame in stream.rest() if frame["event"] != "review.status"]
    ids = [frame.get("id") for frame in frames]
    assert all(ids)
    assert len(ids) == len(set(ids)) >= 2


def test_what_was_missed_comes_after_the_last_event_id(target: Target) -> None:
    case = target.open()
    with target.stream(case) as stream:
        target.opens(case)
        seen = stream.until("review.opened")["id"]
    target.fills(case)
    target.submit(case, "confirm")
    with target.stream(case, seen) as stream:
        names = [frame["event"] for frame in stream.rest()]
    assert ["review.in_progress", "review.completed"] == [name for name in names if name != "review.status"]


@pytest.mark.parametrize("end", ["completed", "cancelled", "expired"])
def test_a_stream_closes_after_the_end_of_its_case(target: Target, end: str) -> None:
    case = target.open(timeout=f"{target.shortest_timeout}s")
    with target.stream(case) as stream:
        if end == "completed":
            target.submit(case, "confirm")
        elif end == "cancelled":
            target.withdraw(case)
        else:
            target.later(target.shortest_timeout + 0.1)
        assert f"review.{end}" == stream.rest()[-1]["event"]


def test_a_case_with_a_stream_can_be_polled_as_well(target: Target) -> None:
    case = target.open()
    with target.stream(case):
        assert "pending" == target.state(case)["status"]


def test_a_stream_is_one_of_server_sent_events(target: Target) -> None:
    case = target.open()
    with target.stream(case) as stream:
        assert re.match(r"text/event-stream\b", stream.response.headers["content-type"])
