"""Sources, their webhooks and deliveries, acks and claims of the executors' door: the bodies that come in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.base import Wire
from api.schemas.shared import (
    Addresses,
    CardLanguage,
    EscalationChain,
    GracePeriod,
    Reviewers,
    addresses,
    chain_json,
    grace_ms,
)
from core.chat_terms import MAX_REASON, MAX_REASONS
from core.destinations import MAX_URL, Destinations
from core.errors import InvalidInput
from core.model import Policy
from core.pushes import Failed
from core.schedule import MAX_TIMEOUT, MINUTE, SECOND, parse_duration, parse_instant
from core.sources import Wanted, WantedWebhook

MAX_ACKS = 500
MAX_GRACE_SECONDS = 7 * 86_400
LAST_MOMENT = 9_007_199_254_740_991
Id = Annotated[str, Field(min_length=1, max_length=200)]


class WebhookIn(Wire):
    enabled: bool | None = None
    url: Annotated[str, Field(min_length=1, max_length=MAX_URL)] | None = None
    secret: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    timeout_ms: Annotated[int, Field(ge=100, le=10_000)] | None = None
    max_attempts: Annotated[int, Field(ge=1, le=50)] | None = None
    retry_backoff_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None

    def wanted(self, destinations: Destinations) -> WantedWebhook:
        """Raises InvalidInput for an address that nothing is sent to."""
        if self.url is not None:
            destinations.check_url(self.url, "delivery.webhook.url")
        backoff = self.retry_backoff_seconds
        return WantedWebhook(
            url=self.url,
            secret=self.secret,
            enabled=self.enabled,
            timeout_ms=self.timeout_ms,
            max_attempts=self.max_attempts,
            backoff_ms=None if backoff is None else backoff * SECOND,
        )


class Delivery(Wire):
    mode: Literal["PULL_ONLY", "WEBHOOK_ONLY", "WEBHOOK_AND_PULL"] | None = None
    webhook: WebhookIn | None = None


class ChangedSource(Wire):
    """What is given is what changes."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    description: Annotated[str, Field(max_length=2000)] | None = None
    delivery: Delivery | None = None
    notify: Addresses | None = None
    reviewers: Reviewers | None = None
    escalation_chain: EscalationChain | None = None
    grace_period: GracePeriod = None
    signed_responses: bool | None = None
    require_full_review: Annotated[
        bool | None,
        Field(description="Whether only a card that shows everything may be approved; null: for guarded operations."),
    ] = None
    language: CardLanguage = None
    allow_images: bool | None = None
    ask_reason: Annotated[bool | None, Field(description="Whether a denial needs a reason, on every door.")] = None
    deny_reasons: (
        Annotated[
            list[Annotated[str, Field(min_length=1, max_length=MAX_REASON)]],
            Field(max_length=MAX_REASONS, description="Offered first to whoever is asked for a reason."),
        ]
        | None
    ) = None
    extend_by: Annotated[str | None, Field(description="By how much reviewers may move a deadline: `4h`.")] = None
    max_extensions: Annotated[int, Field(ge=1, le=10)] | None = None
    snooze_for: Annotated[str | None, Field(description="How long reviewers may put reminders off: `1h`.")] = None

    def wanted(self, destinations: Destinations) -> Wanted:
        """Raises InvalidInput."""
        delivery = self.delivery or Delivery()
        return Wanted(
            name=self.name,
            description=self.description,
            mode=delivery.mode,
            webhook=None if delivery.webhook is None else delivery.webhook.wanted(destinations),
            notify=None if self.notify is None else addresses(self.notify, "notify"),
            # A source knows no types of cases: whoever asked is excluded unless it says no.
            policy=None if self.reviewers is None else self.reviewers.as_policy(Policy(exclude_requester=True)),
            grace_ms=grace_ms(self.grace_period),
            signed=self.signed_responses,
            images=self.allow_images,
            escalation_chain=chain_json(self.escalation_chain),
            chat=self._chat(),
        )

    def _chat(self) -> dict[str, Any]:
        """What is given of how cases behave in chats; null takes a value away."""
        found: dict[str, Any] = {
            "language": self.language,
            "require_full_review": self.require_full_review,
            "ask_reason": self.ask_reason,
            "deny_reasons": _reasons(self.deny_reasons),
            "extend_by": _ms(self.extend_by, "extend_by"),
            "max_extensions": self.max_extensions,
            "snooze_for": _ms(self.snooze_for, "snooze_for"),
        }
        return {_KEPT_AS.get(name, name): value for name, value in found.items() if name in self.model_fields_set}


_KEPT_AS = {"extend_by": "extend_ms", "snooze_for": "snooze_ms"}


def _ms(text: str | None, field: str) -> int | None:
    if text is None:
        return None
    found = parse_duration(text, field=field)
    if not MINUTE <= found <= MAX_TIMEOUT:
        raise InvalidInput(f"{field} must be between 1m and 30d", field=field)
    return found


def _reasons(texts: list[str] | None) -> list[str] | None:
    """The offered reasons, each a line of its own. Raises InvalidInput."""
    if texts is None:
        return None
    found = [" ".join(text.split()) for text in texts]
    for n, text in enumerate(found):
        if not text or text in found[:n]:
            raise InvalidInput(f"deny_reasons[{n}] is empty or listed twice", field=f"deny_reasons[{n}]")
    return found


class NewSource(ChangedSource):
    """Answers given on the page may be revised for `grace_period`: not at all by default, as executors wait for it."""

    name: Annotated[str, Field(min_length=1, max_length=200)]


class NewSecret(Wire):
    """`grace_seconds`: how long the old secret also signs."""

    secret: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS)] | None = None

    def grace_ms(self) -> int:
        return (86_400 if self.grace_seconds is None else self.grace_seconds) * SECOND


class Replays(Wire):
    """Which failed deliveries to try again: by id (theirs or their events'), or all made from `from` to before `to`."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_ACKS)] | None = None
    since: Annotated[str | None, Field(alias="from")] = None
    to: str | None = None
    state: Literal["failed"] | None = None

    def failed(self) -> Failed:
        """Raises InvalidInput."""
        period = self.since or self.to or self.state
        if bool(self.ids) is bool(period):
            raise InvalidInput("name deliveries (ids), or a period (from, to) or state, not both", field="ids")
        if self.ids:
            return Failed(self.ids)
        since = parse_instant(self.since, field="from") if self.since else 0
        return Failed(None, since, parse_instant(self.to, field="to") if self.to else LAST_MOMENT)


class Acks(Wire):
    event_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_ACKS)]


class WantedClaim(Wire):
    """`claimer_id`: the caller's own name for the executor that will act; the same one after every restart."""

    final_digest: Annotated[str, Field(min_length=1, max_length=200)]
    claimer_id: Annotated[str, Field(min_length=1, max_length=200)]
