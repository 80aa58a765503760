"""Sections 7.5, 13.2 and 13.8: answers by a tap in a chat, and answers that come too late."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.conformance.hitl.target import TAP, Target, review_token


def _error(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


def test_an_accepted_tap_answers_200_and_says_when(target: Target) -> None:
    case = target.open_inline()
    answer = target.tap(case, "confirm")
    found = answer.json()
    assert (200, "completed", case["case_id"]) == (answer.status_code, found["status"], found["case_id"])
    assert found["completed_at"] == target.state(case)["completed_at"]


def test_a_token_that_is_not_the_cases_own_answers_401(target: Target) -> None:
    case, other = target.open_inline(), target.open_inline()
    for token in ("x" * 43, other["submit_token"]):
        assert (401, "invalid_token") == _error(target.tap(case, "confirm", token=token))


def test_a_token_that_is_not_the_cases_own_is_refused(target: Target) -> None:
    case, other = target.open_inline(), target.open_inline()
    for token in ("x" * 43, other["submit_token"], case["submit_token"][:-1]):
        answer = target.tap(case, "confirm", token=token)
        assert answer.status_code in (401, 403)
        assert "invalid_token" == answer.json()["error"]
    assert "pending" == target.state(case)["status"]


def test_the_review_token_does_not_submit_inline(target: Target) -> None:
    case = target.open_inline()
    assert target.tap(case, "confirm", token=review_token(case)).status_code in (401, 403)
    assert "pending" == target.state(case)["status"]


def test_the_submit_token_does_not_open_the_page(target: Target) -> None:
    case = target.open_inline()
    stolen = case["review_url"].replace(review_token(case), case["submit_token"])
    page = target.visit(case | {"review_url": stolen})
    assert 400 <= page.status_code < 500
    assert case["prompt"] not in page.text


def test_the_submit_token_does_not_answer_on_the_page(target: Target) -> None:
    case = target.open_inline()
    assert target.submit(case, "confirm", token=case["submit_token"]).status_code in (401, 403)
    assert "pending" == target.state(case)["status"]


def test_an_action_is_required(target: Target) -> None:
    case = target.open_inline()
    for action in (None, "", 7):
        assert 400 == target.tap(case, action).status_code, action  # type: ignore[arg-type]
    assert "pending" == target.state(case)["status"]


def test_an_action_of_another_type_is_not_accepted(target: Target) -> None:
    case = target.open_inline()
    for action in ("approve", "retry", "nonsense"):
        assert target.tap(case, action).status_code in (400, 403), action
    assert "pending" == target.state(case)["status"]


def test_an_action_that_is_not_listed_answers_403(target: Target) -> None:
    case = target.open_inline("approval")
    assert (403, "action_not_inline") == _error(target.tap(case, "edit"))
    narrow = target.open_inline(inline_actions=["cancel"])
    assert ["cancel"] == narrow["inline_actions"]
    assert (403, "action_not_inline") == _error(target.tap(narrow, "confirm"))
    assert 200 == target.tap(narrow, "cancel").status_code


def test_the_refusal_of_an_action_names_the_case(target: Target) -> None:
    case = target.open_inline("approval")
    found = target.tap(case, "edit").json()
    assert case["case_id"] == found["case_id"]
    assert found.get("review_url", case["review_url"]).startswith(case["review_url"].partition("?")[0])


def _refused(target: Target, **fields: Any) -> None:
    case = target.open_inline()
    assert 400 == target.tap(case, "confirm", **fields).status_code
    assert "pending" == target.state(case)["status"]


def test_the_channel_is_required(target: Target) -> None:
    _refused(target, submitted_via=None)


def test_a_channel_is_a_known_one_or_begins_with_x(target: Target) -> None:
    _refused(target, submitted_via="carrier_pigeon")
    assert 200 == target.tap(target.open_inline(), "confirm", submitted_via="x-carrier-pigeon").status_code


def test_who_tapped_is_required(target: Target) -> None:
    _refused(target, submitted_by=None)


def test_the_platform_of_who_tapped_is_required(target: Target) -> None:
    _refused(target, submitted_by={"platform_user_id": "1"})
    _refused(target, submitted_by={"platform": "carrier_pigeon", "platform_user_id": "1"})


def test_the_id_of_who_tapped_is_required(target: Target) -> None:
    _refused(target, submitted_by={"platform": "telegram"})


def test_a_result_says_by_which_way_and_by_whom_it_came(target: Target) -> None:
    case = target.open_inline()
    target.tap(case, "confirm")
    context = target.ended(case, "completed")["submission_context"]
    assert ("inline_submit", TAP["submitted_via"]) == (context["mode"], context["submitted_via"])
    assert TAP["submitted_by"] == context["submitted_by"]


def test_a_result_says_who_responded(target: Target) -> None:
    case = target.open_inline()
    target.tap(case, "confirm")
    assert "Reviewer One" == target.ended(case, "completed")["responded_by"]["name"]


def test_a_second_answer_is_refused_with_409(target: Target) -> None:
    case = target.open_inline()
    assert 200 == target.tap(case, "confirm").status_code
    other = {"platform": "telegram", "platform_user_id": "987654321"}
    assert (409, "duplicate_submission") == _error(target.tap(case, "cancel"))
    assert (409, "duplicate_submission") == _error(target.tap(case, "confirm", submitted_by=other))
    assert 409 == target.submit(case, "cancel").status_code
    assert "confirm" == target.state(case)["result"]["action"]


def test_the_first_answer_completes_the_case(target: Target) -> None:
    by_tap, by_page = target.open_inline(), target.open()
    target.tap(by_tap, "cancel")
    target.submit(by_page, "confirm")
    assert ("cancel", "confirm") == tuple(
        target.ended(case, "completed")["result"]["action"] for case in (by_tap, by_page)
    )


def test_an_answer_on_the_page_is_final_five_minutes_later(target: Target) -> None:
    case = target.open()
    assert 200 == target.submit(case, "confirm").status_code
    target.later(5 * 60 + 1)
    assert 409 == target.submit(case, "cancel").status_code
    assert "confirm" == target.state(case)["result"]["action"]


@pytest.mark.parametrize("way", ["inline", "page"])
def test_an_answer_after_the_expiry_is_refused_with_410(target: Target, way: str) -> None:
    case = target.expired()
    if way == "inline" and "submit_url" not in case:
        target.lacks("inline submit is not offered")
    late = target.tap(case, "confirm") if way == "inline" else target.submit(case, "confirm")
    assert (410, "case_expired") == _error(late)
    assert "expired" == target.state(case)["status"]
