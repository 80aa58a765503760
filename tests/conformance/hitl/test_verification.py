"""Sections 7.6 and 13.9: evidence that a human was there."""

from __future__ import annotations

from typing import Any

import httpx

from tests.conformance.hitl.target import Case, Target
from tests.support import schemas

FORGED = {
    "proof_type": "proof_of_human",
    "format": "provider_opaque",
    "presentation": "it-was-me-really",
    "binding": {},
}


def _policy(target: Target, **changes: Any) -> dict[str, Any]:
    return {
        "mode": "required",
        "required_for": ["inline_submit"],
        "requirements": {"any_of": [{"all_of": [{"proof_type": "proof_of_human", "provider": target.provider()}]}]},
        "binding": {"case_id": True, "action": True, "freshness_seconds": 300, "single_use": True},
        "fallback": {"on_missing": "browser_review", "on_invalid": "browser_review"},
    } | changes


def _case(target: Target, **changes: Any) -> Case:
    answer = target.ask(verification_policy=_policy(target, **changes))
    if answer.status_code != 202 or "verification_policy" not in answer.json()["hitl"]:
        target.lacks("verification is not offered")
    case: Case = answer.json()["hitl"]
    if "submit_url" not in case and "inline_submit" in case["verification_policy"]["required_for"]:
        target.lacks("inline submit is not offered")
    return case


def _forged(target: Target) -> list[dict[str, Any]]:
    return [FORGED | {"provider": target.provider()}]


def _proved(target: Target) -> tuple[Case, dict[str, Any]]:
    """A case that was answered with a proof, and that proof."""
    case = _case(target)
    evidence = target.evidence(case, "confirm")
    answer = target.tap(case, "confirm", verification_evidence=[evidence])
    assert 200 == answer.status_code, answer.text
    return case, evidence


def _refused(answer: httpx.Response, code: str) -> None:
    assert (403, code) == (answer.status_code, answer.json()["error"])


def test_no_verification_is_needed_unless_a_policy_asks_for_it(target: Target) -> None:
    case = target.open_inline()
    assert "verification_policy" not in case
    assert 200 == target.tap(case, "confirm").status_code


def test_a_policy_is_declared_as_the_schema_says(target: Target) -> None:
    case = _case(target)
    assert [] == schemas.problems("hitl-object", case)


def test_required_evidence_must_be_there(target: Target) -> None:
    case = _case(target)
    _refused(target.tap(case, "confirm"), "verification_required")
    assert "pending" == target.state(case)["status"]


def test_the_service_looks_at_the_evidence_itself(target: Target) -> None:
    case = _case(target)
    _refused(target.tap(case, "confirm", verification_evidence=_forged(target)), "verification_failed")
    assert "pending" == target.state(case)["status"]


def test_the_refusal_names_the_case(target: Target) -> None:
    case = _case(target)
    for evidence in (None, _forged(target)):
        assert case["case_id"] == target.tap(case, "confirm", verification_evidence=evidence).json()["case_id"]


def test_evidence_for_the_page_is_the_pages_affair(target: Target) -> None:
    case = _case(target, required_for=["browser_submit"])
    assert target.submit(case, "confirm").status_code == 403
    assert "completed" != target.state(case)["status"]


def test_a_proof_for_another_case_does_not_count(target: Target) -> None:
    case, other = _case(target), _case(target)
    evidence = target.evidence(other, "confirm")
    _refused(target.tap(case, "confirm", verification_evidence=[evidence]), "verification_failed")
    assert 200 == target.tap(other, "confirm", verification_evidence=[evidence]).status_code


def test_a_proof_for_another_action_does_not_count(target: Target) -> None:
    case = _case(target)
    evidence = target.evidence(case, "cancel")
    _refused(target.tap(case, "confirm", verification_evidence=[evidence]), "verification_failed")


def test_a_proof_counts_once(target: Target) -> None:
    loose = {"case_id": False, "action": False, "freshness_seconds": 300, "single_use": True}
    case, other = _case(target, binding=loose), _case(target, binding=loose)
    evidence = target.evidence(case, "confirm")
    bare = [evidence | {"binding": {}}]
    assert 200 == target.tap(case, "confirm", verification_evidence=bare).status_code
    _refused(target.tap(other, "confirm", verification_evidence=bare), "verification_failed")


def test_an_old_proof_does_not_count(target: Target) -> None:
    case = _case(target, binding={"case_id": True, "action": True, "freshness_seconds": 1, "single_use": True})
    evidence = target.evidence(case, "confirm")
    target.later(90)
    _refused(target.tap(case, "confirm", verification_evidence=[evidence]), "verification_failed")


def test_a_result_with_a_proof_says_what_was_verified(target: Target) -> None:
    case, _ = _proved(target)
    found = target.ended(case, "completed")["submission_context"]["verification_result"]
    assert found["satisfied"] is True
    assert [("proof_of_human", True, True)] == [
        (one["proof_type"], one["bound_to_case"], one["bound_to_action"]) for one in found["verified_evidence"]
    ]


def test_what_was_verified_is_told_in_the_schemas_words_alone(target: Target) -> None:
    case, _ = _proved(target)
    state = target.ended(case, "completed")
    assert [] == schemas.problems("poll-response", state)
    assert [] == schemas.problems("verification-result", state["submission_context"]["verification_result"])


def test_the_proof_itself_is_told_to_nobody(target: Target) -> None:
    case, evidence = _proved(target)
    assert str(evidence["presentation"]) not in target.poll(case).text
    assert str(evidence["presentation"]) not in target.visit(case).text


def test_the_key_of_the_api_is_all_that_an_agent_needs(target: Target) -> None:
    case = target.open_inline()
    assert 200 == target.poll(case).status_code
    assert 200 == target.tap(case, "confirm").status_code
