"""What a verification policy asks for, and what satisfies it."""

from __future__ import annotations

from typing import Any

import pytest

from core.errors import VerificationFailed, VerificationRequired
from core.verification import (
    Judgement,
    Presented,
    Verified,
    allows_inline,
    challenge_of,
    is_asked,
    judge,
    tap_evidence,
    with_challenge,
)
from tests.support.evidence import policy

NOW = 1_800_000_000_000
SECOND = 1_000
CASE = "review_" + "c" * 22


def proof(provider: str = "acme", *, proof_type: str = "proof_of_human", **changes: Any) -> Presented:
    found: dict[str, Any] = {
        "assurance": "medium",
        "proved_at": NOW - 10 * SECOND,
        "proof_id": "one",
        "bound_to_case": True,
        "bound_to_action": True,
    }
    return Presented(proof_type, provider, "jwt", Verified(**(found | changes)))


def asking(*branches: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A policy with these branches."""
    return policy(requirements={"any_of": [{"all_of": branch} for branch in branches]}, **changes)


def judged(asked: dict[str, Any] | None, *presented: Presented, **changes: Any) -> Judgement:
    given: dict[str, Any] = {
        "case_id": CASE,
        "way": "inline_submit",
        "action": "approve",
        "submitter": ("slack", "U1"),
        "now": NOW,
    }
    return judge(asked, presented, **(given | changes))


@pytest.mark.parametrize(
    ("mode", "required_for", "way", "action", "asked"),
    [
        ("required", ["inline_submit"], "inline_submit", "approve", True),
        ("required", ["inline_submit"], "inline_submit", "reject", True),
        ("required", ["inline_submit"], "browser_submit", "approve", False),
        ("required", ["browser_submit"], "browser_submit", "edit", True),
        ("required", ["inline_submit", "browser_submit"], "browser_submit", "approve", True),
        ("optional", ["inline_submit"], "inline_submit", "approve", False),
        ("step_up", ["inline_submit"], "inline_submit", "approve", True),
        ("step_up", ["inline_submit"], "inline_submit", "skip", True),
        ("step_up", ["inline_submit"], "inline_submit", "reject", False),
        ("step_up", ["browser_submit"], "browser_submit", "edit", False),
        ("step_up", ["browser_submit"], "inline_submit", "approve", False),
    ],
)
def test_evidence_is_asked_for_by_mode_way_and_action(
    mode: str, required_for: list[str], way: Any, action: str, asked: bool
) -> None:
    wanted = policy(mode=mode, required_for=required_for)
    assert asked is is_asked(wanted, way, action)
    refusal = judged(wanted, way=way, action=action).refusal
    assert asked is isinstance(refusal, VerificationRequired)


HUMAN = {"proof_type": "proof_of_human"}
HIGH = HUMAN | {"min_assurance": "high"}
BADGE = {"proof_type": "x-badge"}


@pytest.mark.parametrize(
    ("branches", "presented", "satisfied"),
    [
        ([[HUMAN]], [proof()], True),
        ([[HUMAN | {"provider": "acme"}]], [proof()], True),
        ([[HUMAN | {"provider": "other"}]], [proof()], False),
        ([[BADGE]], [proof()], False),
        ([[HIGH]], [proof()], False),
        ([[HIGH]], [proof(assurance="high")], True),
        ([[HUMAN | {"min_assurance": "low"}]], [proof()], True),
        ([[HUMAN | {"presentation_formats": ["zkp", "jwt"]}]], [proof()], True),
        ([[HUMAN | {"presentation_formats": ["zkp"]}]], [proof()], False),
        ([[HUMAN | {"presentation_formats": []}]], [proof()], False),
        ([[HUMAN, BADGE]], [proof()], False),
        ([[HUMAN, BADGE]], [proof(), proof("hr", proof_type="x-badge", proof_id="b")], True),
        ([[BADGE], [HUMAN]], [proof()], True),
        ([[HIGH], [HUMAN | {"provider": "other"}]], [proof()], False),
    ],
)
def test_one_branch_must_be_satisfied_whole(
    branches: list[list[dict[str, Any]]], presented: list[Presented], satisfied: bool
) -> None:
    found = judged(asking(*branches), *presented)
    if satisfied:
        assert found.result is not None
        assert (True, []) == (found.result["satisfied"], found.result["missing_requirements"])
        assert len(presented) == len(found.used)
    else:
        assert isinstance(found.refusal, VerificationFailed)
        assert () == found.used


@pytest.mark.parametrize(
    ("changes", "of_the_proof", "reason"),
    [
        ({}, {"bound_to_case": False}, "not bound to this case"),
        ({}, {"bound_to_action": False}, "not bound to this action"),
        ({}, {"proved_at": NOW - 301 * SECOND}, "older than 300 seconds"),
        ({}, {"proved_at": NOW + 61 * SECOND}, "from the future"),
        ({"expires_at": "2027-01-15T07:59:59Z"}, {}, "the time for verification is over"),
        ({}, {"subject": "U2"}, "somebody else"),
    ],
)
def test_evidence_that_proves_something_else_is_refused_with_the_reason(
    changes: dict[str, Any], of_the_proof: dict[str, Any], reason: str
) -> None:
    asked = asking([HUMAN], **changes)
    found = judged(asked, proof("slack", **of_the_proof)).refusal
    assert isinstance(found, VerificationFailed)
    assert reason in found.message


@pytest.mark.parametrize(
    ("changes", "of_the_proof"),
    [
        ({"case_id": False}, {"bound_to_case": False}),
        ({"action": False}, {"bound_to_action": False}),
        ({}, {"proved_at": NOW - 300 * SECOND}),
        ({}, {"proved_at": NOW + 60 * SECOND}),
        ({"expires_at": "2027-01-15T08:00:00Z"}, {}),
        ({}, {"subject": "U1"}),
    ],
)
def test_evidence_on_the_edge_is_accepted(changes: dict[str, Any], of_the_proof: dict[str, Any]) -> None:
    found = judged(asking([HUMAN], **changes), proof("slack", **of_the_proof))
    assert found.refusal is None
    assert found.result is not None
    (accepted,) = found.result["verified_evidence"]
    assert of_the_proof.get("bound_to_case", True) is accepted["bound_to_case"]
    assert of_the_proof.get("bound_to_action", True) is accepted["bound_to_action"]


def test_a_proof_counts_once_also_within_one_answer() -> None:
    one = proof()
    assert one.mark is not None
    assert isinstance(judged(policy(), one, used={one.mark}).refusal, VerificationFailed)
    assert (one.mark,) == judged(policy(), one, one).used
    reused = judged(policy(single_use=False), one, used={one.mark})
    assert reused.result is not None
    assert ((), False) == (reused.used, reused.result["verified_evidence"][0]["single_use_enforced"])


def test_optional_evidence_that_is_invalid_is_reported_and_changes_nothing() -> None:
    found = judged(policy(mode="optional"), proof(bound_to_case=False))
    assert found.refusal is None
    assert {"satisfied": False, "verified_evidence": [], "missing_requirements": ["proof_of_human by acme"]} == (
        found.result
    )
    assert judged(policy(mode="optional")) == Judgement()


def test_evidence_without_a_policy_is_looked_at_all_the_same() -> None:
    found = judged(None, proof(bound_to_action=False))
    assert found.result is not None
    assert (True, False) == (found.result["satisfied"], found.result["verified_evidence"][0]["bound_to_action"])
    wrong = judged(None, Presented("proof_of_human", "acme", "jwt", "it is forged")).result
    assert wrong is not None
    assert wrong["satisfied"] is False


def test_the_fallback_decides_whether_the_page_is_offered() -> None:
    asked = policy(fallback={"on_missing": "browser_review", "on_invalid": "reject"})
    missing, invalid = judged(asked).refusal, judged(asked, proof(bound_to_case=False)).refusal
    assert isinstance(missing, VerificationRequired)
    assert isinstance(invalid, VerificationFailed)
    assert (True, False) == (missing.browser_review, invalid.browser_review)
    assert missing.message.endswith("; open the review link")
    assert "review link" not in invalid.message
    on_the_page = judged(asked | {"required_for": ["browser_submit"]}, way="browser_submit").refusal
    assert on_the_page is not None
    assert "review link" not in on_the_page.message
    assert CASE == missing.details["case_id"] == invalid.details["case_id"]


def test_a_tap_counts_only_where_a_policy_could_want_it() -> None:
    tap = tap_evidence("slack", "U1", "delivery", NOW - SECOND)
    assert judged(None, tap) == Judgement()
    assert isinstance(judged(policy(), tap).refusal, VerificationRequired)
    late = tap_evidence("slack", "U1", "delivery", NOW - 301 * SECOND)
    assert isinstance(judged(asking([HUMAN | {"provider": "slack"}]), late).refusal, VerificationFailed)
    found = judged(asking([HUMAN | {"provider": "slack"}], mode="optional"), tap).result
    assert found is not None
    assert [
        {
            "proof_type": "proof_of_human",
            "provider": "slack",
            "assurance_level": "medium",
            "bound_to_case": True,
            "bound_to_action": True,
            "fresh": True,
            "single_use_enforced": True,
            "verified_at": "2027-01-15T08:00:00.000Z",
        }
    ] == found["verified_evidence"]


def test_the_inline_way_is_closed_where_it_would_lead_around_the_page() -> None:
    assert allows_inline(None)
    assert allows_inline(policy())
    assert allows_inline(policy(mode="optional", required_for=["browser_submit"]))
    assert not allows_inline(policy(required_for=["browser_submit"]))
    assert not allows_inline(policy(mode="step_up", required_for=["browser_submit"]))


def test_a_challenge_is_drawn_where_the_policy_has_none() -> None:
    assert "drawn" == challenge_of(with_challenge(policy(), "drawn"))
    assert "own" == challenge_of(with_challenge(policy(challenge="own"), "drawn"))
    assert with_challenge(None, "drawn") is None
