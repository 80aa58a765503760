"""Verification of whoever answers (HITL Protocol v0.8, section 7.6): what a policy asks for, and whether the evidence
that came satisfies it. Pure; who looks at the proofs themselves is a `Verifier` (core.ports).

A policy is kept as it was posted (the public schema), with the challenge drawn for it. Its modes:

- `required`: on the ways listed in `required_for`, nothing is accepted without evidence that satisfies it.
- `step_up`: the same, but only for answers that let something happen (the decision would be APPROVE). A refusal, or a
  wish for changes, needs no proof.
- `optional`: whatever comes is accepted, and the result says what was proved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from core.errors import Unverified, VerificationFailed, VerificationRequired
from core.schedule import SECOND, iso, parse_instant
from core.states import Verdict, verdict

JsonObject = Mapping[str, Any]
Assurance = Literal["low", "medium", "high"]
Way = Literal["inline_submit", "browser_submit"]

PROOF_OF_HUMAN = "proof_of_human"
LEVELS: tuple[Assurance, ...] = ("low", "medium", "high")
CLOCKS_DIFFER = 60 * SECOND  # how far a provider's clock may be ahead of the database's

# What is held against evidence for a case that declared no policy: it may come, and the result says what it proved.
UNDECLARED: JsonObject = {
    "mode": "optional",
    "required_for": ["inline_submit", "browser_submit"],
    "requirements": {"any_of": [{"all_of": [{"proof_type": PROOF_OF_HUMAN}]}]},
    "binding": {"case_id": True, "action": False, "freshness_seconds": 300, "single_use": True},
    "fallback": {"on_missing": "browser_review", "on_invalid": "browser_review"},
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A proof as it was presented. `presentation` is the provider's own and secret: it is checked and forgotten."""

    proof_type: str
    provider: str
    format: str
    presentation: str | JsonObject = field(repr=False)
    binding: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a proof has to speak of."""

    case_id: str
    action: str
    challenge: str | None


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verifier found proved, and nothing beyond that.

    `proved_at`: the moment of the proof, milliseconds since 1970, never later than it can have been. `proof_id`: the
    same for the same proof however it is spelled, and for no other. `subject`: whom it speaks of, by the provider's id.
    """

    assurance: Assurance
    proved_at: int
    proof_id: str = field(repr=False)
    bound_to_case: bool
    bound_to_action: bool
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class Presented:
    """One piece of evidence and what was found in it; text says why it proves nothing.

    `implied`: nobody presented it. A tap that reached our own messenger's door vouches for itself, and counts where a
    policy asks.
    """

    proof_type: str
    provider: str
    format: str
    found: Verified | str
    implied: bool = False

    @property
    def mark(self) -> str | None:
        """Under which name the proof is remembered as used; it says nothing of the proof."""
        if isinstance(self.found, str):
            return None
        return hashlib.sha256(f"{self.provider}:{self.found.proof_id}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Judgement:
    """`result` is the normalised verification_result, None when there is nothing to say. `used`: the marks of the
    proofs that this answer uses up. `refusal`: why the answer cannot be accepted.
    """

    result: JsonObject | None = None
    used: tuple[str, ...] = ()
    refusal: Unverified | None = None


NOTHING_ASKED = Judgement()


def tap_evidence(platform: str, user_id: str, delivery_id: str, tapped_at: int) -> Presented:
    """A tap that the platform itself brought to our adapter: it says who pressed which button of which card."""
    found = Verified(
        "medium", tapped_at, f"tap:{delivery_id}", bound_to_case=True, bound_to_action=True, subject=user_id
    )
    return Presented(PROOF_OF_HUMAN, platform, "attestation", found, implied=True)


def with_challenge(policy: JsonObject | None, challenge: str) -> JsonObject | None:
    """The policy with `challenge` where it names none of its own."""
    if policy is None or policy["binding"].get("challenge"):
        return policy
    return {**policy, "binding": {**policy["binding"], "challenge": challenge}}


def challenge_of(policy: JsonObject | None) -> str | None:
    return None if policy is None else policy["binding"].get("challenge")


def allows_inline(policy: JsonObject | None) -> bool:
    """Whether a case may be answered inline. Where the page must prove something and the inline way need not, the
    inline way would be a way around.
    """
    return policy is None or policy["mode"] == "optional" or "inline_submit" in policy["required_for"]


def is_asked(policy: JsonObject, way: Way, action: str) -> bool:
    """Whether this answer needs evidence."""
    if policy["mode"] == "optional" or way not in policy["required_for"]:
        return False
    return policy["mode"] == "required" or verdict(action) is Verdict.APPROVE


def judge(
    policy: JsonObject | None,
    presented: Sequence[Presented],
    *,
    case_id: str,
    way: Way,
    action: str,
    submitter: tuple[str, str],
    now: int,
    used: Collection[str] = (),
) -> Judgement:
    """What follows from the evidence that came with an answer.

    `submitter`: (platform, user id) of whoever is said to answer. `used`: those marks of the evidence that an earlier
    answer has used up.
    """
    if policy is None:
        if all(one.implied for one in presented):
            return NOTHING_ASKED
        policy = UNDECLARED
    branches = [branch["all_of"] for branch in policy["requirements"]["any_of"]]
    relevant = [one for one in presented if not one.implied or _is_wanted(one, branches)]
    accepted: list[tuple[Presented, Verified]] = []
    faults: list[str] = []
    taken = set(used)
    for one in relevant:
        found = _accepted(one, policy["binding"], submitter, now, taken)
        if isinstance(found, str):
            faults.append(f"the evidence by {one.provider} was not accepted: {found}")
            continue
        accepted.append((one, found))
        taken.add(one.mark or "")
    missing = _missing(branches, accepted)
    asked = is_asked(policy, way, action)
    if asked and missing:
        came = any(not one.implied for one in relevant)
        return Judgement(refusal=_refusal(policy, way, missing, faults, case_id, came=came))
    if not asked and not relevant:
        return NOTHING_ASKED
    single_use = bool(policy["binding"]["single_use"])
    result = {
        "satisfied": not missing,
        "verified_evidence": [_as_json(one, found, now, single_use=single_use) for one, found in accepted],
        "missing_requirements": missing,
    }
    marks = tuple(sorted(one.mark or "" for one, _ in accepted)) if single_use else ()
    return Judgement(result, marks)


def _is_wanted(one: Presented, branches: Sequence[Sequence[JsonObject]]) -> bool:
    return any(_kind_fits(want, one) for branch in branches for want in branch)


def _kind_fits(want: JsonObject, one: Presented) -> bool:
    return want["proof_type"] == one.proof_type and want.get("provider") in (None, one.provider)


def _accepted(
    one: Presented, binding: JsonObject, submitter: tuple[str, str], now: int, taken: Collection[str]
) -> Verified | str:
    """What counts of a piece of evidence, or why it does not."""
    found = one.found
    if isinstance(found, str):
        return found
    if binding["case_id"] and not found.bound_to_case:
        return "it is not bound to this case"
    if binding["action"] and not found.bound_to_action:
        return "it is not bound to this action"
    if "expires_at" in binding and now > parse_instant(binding["expires_at"], field="expires_at"):
        return "the time for verification is over"
    if found.proved_at > now + CLOCKS_DIFFER:
        return "it comes from the future"
    if now - found.proved_at > binding["freshness_seconds"] * SECOND:
        return f"it is older than {binding['freshness_seconds']} seconds"
    if found.subject is not None and submitter[0] == one.provider and submitter[1] != found.subject:
        return "it speaks of somebody else than whoever answers"
    if binding["single_use"] and one.mark in taken:
        return "it has been used before"
    return found


def _missing(branches: Sequence[Sequence[JsonObject]], accepted: Sequence[tuple[Presented, Verified]]) -> list[str]:
    """The branches that are not satisfied, in words; none when one of them is."""
    found = []
    for branch in branches:
        lacking = [want for want in branch if not any(_meets(want, one, proof) for one, proof in accepted)]
        if not lacking:
            return []
        found.append(" and ".join(map(_words, lacking)))
    return found


def _meets(want: JsonObject, one: Presented, proof: Verified) -> bool:
    least = want.get("min_assurance", "low")
    formats = want.get("presentation_formats")
    return (
        _kind_fits(want, one)
        and LEVELS.index(proof.assurance) >= LEVELS.index(least)
        and (formats is None or one.format in formats)
    )


def _words(want: JsonObject) -> str:
    text = str(want["proof_type"])
    if provider := want.get("provider"):
        text += f" by {provider}"
    if least := want.get("min_assurance"):
        text += f", assurance {least} or more"
    if formats := want.get("presentation_formats"):
        text += f", as {' or '.join(formats)}"
    return text


def _refusal(
    policy: JsonObject, way: Way, missing: Sequence[str], faults: Sequence[str], case_id: str, *, came: bool
) -> Unverified:
    needed = f"this answer needs {'; or '.join(missing)}"
    failed = came or bool(faults)
    fallback = policy["fallback"]["on_invalid" if failed else "on_missing"]
    browser = way == "inline_submit" and fallback == "browser_review"
    what_now = "; open the review link" if browser else ""
    if failed:
        reason = "; ".join(faults) or "the evidence that came is of another kind"
        return VerificationFailed(f"{needed}; {reason}{what_now}", case_id=case_id, browser_review=browser)
    return VerificationRequired(f"{needed}{what_now}", case_id=case_id, browser_review=browser)


def _as_json(one: Presented, found: Verified, now: int, *, single_use: bool) -> dict[str, Any]:
    return {
        "proof_type": one.proof_type,
        "provider": one.provider,
        "assurance_level": found.assurance,
        "bound_to_case": found.bound_to_case,
        "bound_to_action": found.bound_to_action,
        "fresh": True,
        "single_use_enforced": single_use,
        "verified_at": iso(now),
    }
