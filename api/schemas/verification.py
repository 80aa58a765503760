"""Verification on the wire (HITL Protocol v0.8, section 7.6): the policy that a case is posted with, and the evidence
that comes with an answer. Both are strict; what they mean, `core.verification` says.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from api.schemas.base import Exact, Wire, is_custom, parse, whole
from core.errors import InvalidInput
from core.schedule import parse_instant
from core.strictjson import loads
from core.verification import PROOF_OF_HUMAN, Evidence

MAX_BRANCHES = 20
MAX_EVIDENCE = 10
MAX_FRESHNESS = 366 * 86_400  # used proofs are remembered for longer
FORMATS = ("provider_opaque", "jwt", "zkp", "attestation")


def _one_of(*known: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in known and not is_custom(value):
            raise PydanticCustomError("unknown", f"must be one of {', '.join(known)} or begin with x-")
        return value

    return AfterValidator(check)


def _once(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise PydanticCustomError("twice", "lists an entry twice")
    return values


def _instant(text: str) -> str:
    try:
        parse_instant(text, field="expires_at")
    except InvalidInput as error:
        raise PydanticCustomError("instant", error.message.removeprefix("expires_at ")) from None
    return text


def _presentation(value: Any) -> Any:
    if not isinstance(value, (str, dict)):
        raise PydanticCustomError("presentation", "must be text or an object")
    return value


def _binding(value: dict[str, Any]) -> dict[str, Any]:
    for name in ("case_id", "action", "challenge"):
        if not isinstance(value.get(name, ""), str):
            raise PydanticCustomError("binding", f"needs text as {name}")
    return value


ProofType = Annotated[str, _one_of(PROOF_OF_HUMAN)]
Format = Annotated[str, _one_of(*FORMATS)]
Provider = Annotated[str, Field(max_length=200)]
Way = Literal["inline_submit", "browser_submit"]
Fallback = Literal["browser_review", "reject"]


class EvidenceRequirement(Exact):
    proof_type: ProofType
    provider: Provider | None = None
    min_assurance: Literal["low", "medium", "high"] | None = None
    presentation_formats: Annotated[list[Format], Field(max_length=MAX_BRANCHES)] | None = None


class Branch(Exact):
    all_of: Annotated[list[EvidenceRequirement], Field(min_length=1, max_length=MAX_BRANCHES)]


class Requirements(Exact):
    any_of: Annotated[list[Branch], Field(min_length=1, max_length=MAX_BRANCHES)]


class Binding(Exact):
    case_id: bool
    action: bool
    challenge: Annotated[str, Field(max_length=500)] | None = None
    freshness_seconds: Annotated[int, Field(ge=1, le=MAX_FRESHNESS), BeforeValidator(whole)]
    expires_at: Annotated[str, AfterValidator(_instant)] | None = None
    single_use: bool


class Fallbacks(Exact):
    on_missing: Fallback
    on_invalid: Fallback


class VerificationPolicy(Exact):
    mode: Literal["optional", "required", "step_up"]
    required_for: Annotated[list[Way], Field(min_length=1), AfterValidator(_once)]
    requirements: Requirements
    binding: Binding
    fallback: Fallbacks

    def as_json(self) -> dict[str, Any]:
        """The policy as the core keeps it and the `hitl` object repeats it."""
        return self.model_dump(exclude_none=True)


class PresentedEvidence(Exact):
    proof_type: ProofType
    provider: Provider
    format: Format
    presentation: Annotated[Any, BeforeValidator(_presentation)]
    binding: Annotated[dict[str, Any], AfterValidator(_binding)]

    def as_evidence(self) -> Evidence:
        return Evidence(self.proof_type, self.provider, self.format, self.presentation, self.binding)


EvidenceList = Annotated[list[PresentedEvidence], Field(max_length=MAX_EVIDENCE)]


class _Form(Wire):
    """The field of a posted form, whose value is JSON."""

    verification_evidence: EvidenceList


def evidence_in(text: str) -> tuple[Evidence, ...]:
    """The evidence in a field of the page's form; none when it is empty. Raises InvalidInput."""
    if not text:
        return ()
    return evidence_of(parse(_Form, {"verification_evidence": loads(text.encode())}).verification_evidence)


def evidence_of(listed: list[PresentedEvidence] | None) -> tuple[Evidence, ...]:
    return tuple(one.as_evidence() for one in listed or ())
