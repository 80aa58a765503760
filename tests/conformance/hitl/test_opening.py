"""Sections 6, 13.1, 13.3 and 13.8: what the answer 202 says, and when there is one."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conformance.hitl.target import ANSWERS, Case, Target, review_token
from tests.support import schemas

LOCAL = re.compile(r"http://(localhost|127\.0\.0\.1)(:\d+)?(/.*)?")
URL_SAFE = re.compile(r"[A-Za-z0-9_-]+")
URLS = ("review_url", "poll_url", "events_url", "submit_url", "callback_url")
HIGH_STAKES: dict[str, Any] = {"inline": False}  # the wish of whoever wants no inline answers


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _is_absolute(url: str) -> bool:
    parts = urlsplit(url)
    return bool(parts.scheme and parts.netloc)


def _is_secure(url: str) -> bool:
    return url.startswith("https://") or LOCAL.fullmatch(url) is not None


@pytest.fixture(scope="module")
def case(target: Target) -> Case:
    """A case that nobody answers: for what its 202 says."""
    return target.open()


def test_a_request_that_needs_a_human_answers_202(target: Target) -> None:
    for kind in ANSWERS:
        assert 202 == target.ask(kind).status_code, kind


def test_a_request_that_needs_no_human_does_not_answer_202(target: Target) -> None:
    assert 200 == target.ask_for_nothing().status_code


def test_a_malformed_request_does_not_answer_202(target: Target) -> None:
    assert 400 <= target.ask_badly().status_code < 500


def test_the_status_says_that_human_input_is_required(target: Target) -> None:
    assert "human_input_required" == target.ask().json()["status"]


def test_a_message_comes_with_it(target: Target) -> None:
    message = target.ask().json()["message"]
    assert isinstance(message, str)
    assert message


def test_the_hitl_object_comes_with_it(target: Target) -> None:
    assert isinstance(target.ask().json()["hitl"], dict)


def test_the_hitl_object_is_as_the_schema_says(target: Target) -> None:
    for kind in ANSWERS:
        assert [] == schemas.problems("hitl-object", target.open(kind)), kind


def test_the_version_is_the_specifications(case: Case) -> None:
    assert "0.8" == case["spec_version"]


def test_the_case_id_is_url_safe_and_no_other_cases(target: Target, case: Case) -> None:
    assert URL_SAFE.fullmatch(case["case_id"])
    assert case["case_id"] != target.open()["case_id"]


def test_the_case_id_begins_with_review(case: Case) -> None:
    assert re.fullmatch(r"review_[A-Za-z0-9_-]{8,}", case["case_id"])


def test_the_review_url_is_whole_and_carries_a_token(case: Case) -> None:
    assert _is_absolute(case["review_url"])
    assert case["case_id"].removeprefix("review_") in case["review_url"]
    assert review_token(case)


def test_the_poll_url_is_whole_and_answers(target: Target, case: Case) -> None:
    assert _is_absolute(case["poll_url"])
    assert case["case_id"] == target.state(case)["case_id"]


def test_the_type_is_the_one_that_was_asked(target: Target) -> None:
    for kind in ANSWERS:
        assert kind == target.open(kind)["type"]


def test_the_prompt_is_there_and_short(target: Target, case: Case) -> None:
    assert 1 <= len(case["prompt"]) <= 500
    refused = target.ask(prompt="x" * 501)
    assert refused.status_code >= 400 or len(refused.json()["hitl"]["prompt"]) <= 500


def test_the_timeout_is_there_in_a_notation_of_durations(case: Case) -> None:
    assert re.fullmatch(r"\d+[smhdw]|P(\d+W|\d+D)?(T(\d+H)?(\d+M)?(\d+S)?)?", case["timeout"])


def test_the_times_of_creation_and_expiry_are_there(case: Case) -> None:
    assert _instant(case["created_at"]) < _instant(case["expires_at"])


def test_a_callback_url_is_repeated_and_null_without_one(target: Target, case: Case) -> None:
    assert case["callback_url"] is None
    target.need("callback")
    url = "http://127.0.0.1:9/hitl"
    assert url == target.open(hitl_callback_url=url)["callback_url"]


def test_a_case_with_a_callback_can_be_polled_as_well(target: Target) -> None:
    target.need("callback")
    case = target.open(hitl_callback_url="http://127.0.0.1:9/hitl")
    assert "pending" == target.state(case)["status"]


def test_every_url_is_https_or_local(target: Target, case: Case) -> None:
    found = {name: case[name] for name in URLS if case.get(name) is not None}
    assert {} == {name: url for name, url in found.items() if not _is_secure(url)}


def test_a_callback_over_plain_http_is_not_accepted(target: Target) -> None:
    answer = target.ask(hitl_callback_url="http://agent.example.com/hitl")
    assert answer.status_code >= 400 or answer.json()["hitl"].get("callback_url") is None


def test_a_submit_url_is_https_or_local(target: Target) -> None:
    assert _is_secure(target.open_inline()["submit_url"])


def test_a_submit_token_comes_with_a_submit_url_and_never_alone(target: Target) -> None:
    for kind in ANSWERS:
        case = target.open(kind)
        assert ("submit_url" in case) == ("submit_token" in case), kind


def test_the_submit_token_is_not_the_review_token(target: Target) -> None:
    case = target.open_inline()
    assert case["submit_token"] != review_token(case)


def test_the_tokens_are_long_and_each_cases_own(target: Target) -> None:
    cases = [target.open() for _ in range(20)]
    tokens = [review_token(case) for case in cases] + [case["submit_token"] for case in cases if "submit_token" in case]
    assert len(tokens) == len(set(tokens))
    assert {True} == {re.fullmatch(r"[A-Za-z0-9_-]{43,}", token) is not None for token in tokens}


def test_a_case_is_open_for_a_day_unless_asked_otherwise(target: Target, case: Case) -> None:
    assert timedelta(hours=24) == _instant(case["expires_at"]) - _instant(case["created_at"])


def test_a_case_stays_open_for_seven_days_at_most(target: Target) -> None:
    answer = target.ask(timeout="30d")
    if answer.status_code == 202:
        found = answer.json()["hitl"]
        assert _instant(found["expires_at"]) - _instant(found["created_at"]) <= timedelta(days=7)


def test_a_case_of_high_stakes_can_be_kept_from_inline_answers(target: Target) -> None:
    target.open_inline()
    assert "submit_url" not in target.open(**HIGH_STAKES)


def test_the_inline_actions_are_listed_and_leave_out_what_needs_the_page(target: Target) -> None:
    case = target.open_inline("approval")
    assert {"approve", "reject"} == set(case["inline_actions"])


def test_no_renderers_payload_stands_beside_the_review_url(target: Target) -> None:
    for kind in ANSWERS:
        found = target.open(kind)
        assert "review_url" in found
        assert set(found.get("surface", {})) <= {"format", "version"}
        assert "a2ui_surface" not in found


def test_an_earlier_case_is_named_by_the_next_and_names_it(target: Target) -> None:
    first = target.open("approval")
    assert 200 == target.submit(first, "edit", {"feedback": "Shorter."}).status_code
    second = target.open("approval", previous_case_id=first["case_id"])
    assert first["case_id"] == second["previous_case_id"]
    assert second["case_id"] == target.state(first)["next_case_id"]
