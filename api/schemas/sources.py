"""Sources, acks and claims of the executors' door."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Wire, not_yet
from api.schemas.shared import MAX_ADDRESSES, Reviewers, addresses, grace_ms
from core.errors import InvalidInput
from core.events import Claim
from core.model import Address, Policy, Source
from core.schedule import duration_words, iso

MAX_ACKS = 500
PULL_ONLY = "PULL_ONLY"


class Delivery(Wire):
    mode: Literal["PULL_ONLY", "WEBHOOK_ONLY", "WEBHOOK_AND_PULL"] | None = None
    webhook: dict[str, Any] | None = None


class NewSource(Wire):
    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=2000)] | None = None
    delivery: Delivery | None = None
    notify: Annotated[list[str], Field(max_length=MAX_ADDRESSES)] | None = None
    reviewers: Reviewers | None = None
    escalation_chain: Any = None
    grace_period: Any = None
    signed_responses: bool | None = None
    require_full_review: bool | None = None
    allow_images: bool | None = None

    def mode(self) -> str:
        """How decisions are delivered. Raises InvalidInput for what cannot be had yet."""
        delivery = self.delivery or Delivery()
        if delivery.mode not in (None, PULL_ONLY):
            raise InvalidInput(
                f"delivery.mode {delivery.mode} needs webhooks, which are not available yet; use {PULL_ONLY}",
                field="delivery.mode",
            )
        if delivery.webhook is not None and delivery.webhook != {"enabled": False}:
            raise not_yet("delivery.webhook")
        if self.escalation_chain not in (None, []):
            raise not_yet("escalation_chain")
        if self.require_full_review:
            raise not_yet("require_full_review")
        return PULL_ONLY

    def addresses(self) -> tuple[Address, ...]:
        return addresses(self.notify or [], "notify")

    def policy(self) -> Policy | None:
        """The reviewers of its cases. A source knows no types of cases: whoever asked is excluded unless it says no."""
        return None if self.reviewers is None else self.reviewers.as_policy(Policy(exclude_requester=True))

    def grace_ms(self) -> int:
        """How long answers given on the page may be revised; executors wait for no second thoughts by default."""
        return grace_ms(self.grace_period) or 0


class Acks(Wire):
    event_ids: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=MAX_ACKS)
    ]


class WantedClaim(Wire):
    """`claimer_id`: the caller's own name for the executor that will act; the same one after every restart."""

    final_digest: Annotated[str, Field(min_length=1, max_length=200)]
    claimer_id: Annotated[str, Field(min_length=1, max_length=200)]


def claim_answer(claim: Claim) -> dict[str, Any]:
    return {
        "claim_id": claim.claim_id,
        "event_id": claim.event_id,
        "claimer_id": claim.claimer_id,
        "claimed_at": iso(claim.claimed_at),
        "final_digest": claim.final_digest,
    }


def source_answer(source: Source) -> dict[str, Any]:
    return {
        "id": source.source_id,
        "name": source.name,
        "description": source.description,
        "created_at": iso(source.created_at),
        "delivery": {"mode": source.mode, "webhook": None},
        "notify": [str(address) for address in source.notify],
        "reviewers": source.policy.as_json() if source.policy else None,
        "grace_period": duration_words(source.grace_ms),
        "signed_responses": source.signed,
        "allow_images": source.images,
    }
