"""Sources, their webhooks and deliveries, acks and claims of the executors' door."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.schemas.base import Anything, Moment, Wire, one_of
from api.schemas.events import ClaimAnswer
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
from core.chat_terms import MAX_REASON, MAX_REASONS, Level, chain_of
from core.deliveries import Attempt
from core.destinations import MAX_URL, Destinations
from core.errors import InvalidInput
from core.events import Claim
from core.model import Policy, Source
from core.pushes import Failed, Pushed, Shown, Standing, Traffic, Trial
from core.schedule import MAX_TIMEOUT, MINUTE, SECOND, duration_words, iso, parse_duration, parse_instant
from core.sources import Changed, Wanted, WantedWebhook

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


class AttemptAnswer(TypedDict):
    """One attempt to deliver. `response`: what came back, cut short and without secrets."""

    number: int
    at: Moment
    took_ms: int
    status: int | None
    response: str | None
    error: str | None


class Endpoint(TypedDict):
    """How a webhook stands. `failures` in a row; `waiting` and `failed` are deliveries."""

    state: Annotated[str, one_of("active", "paused", "disabled")]
    reason: str | None
    failures: int
    waiting: NotRequired[int]
    failed: NotRequired[int]
    last_attempt: NotRequired[AttemptAnswer | None]
    next_attempt_at: NotRequired[Moment | None]


class WebhookAnswer(TypedDict):
    """`secret` only where one was made up just now: it is seen once."""

    url: str
    secret_set: Literal[True]
    timeout_ms: int | None
    max_attempts: int | None
    retry_backoff_seconds: int | None
    secret: NotRequired[str]
    enabled: NotRequired[bool]
    endpoint: NotRequired[Endpoint]


class DeliveryAnswer(TypedDict):
    mode: Annotated[str, one_of("PULL_ONLY", "WEBHOOK_ONLY", "WEBHOOK_AND_PULL")]
    webhook: WebhookAnswer | None


class SourceAnswer(TypedDict):
    id: str
    name: str
    description: str | None
    created_at: Moment
    delivery: DeliveryAnswer
    notify: list[str]
    reviewers: Anything | None
    grace_period: str
    signed_responses: bool
    allow_images: bool
    require_full_review: bool | None
    language: str | None
    ask_reason: bool
    deny_reasons: list[str]
    extend_by: str | None
    max_extensions: int | None
    snooze_for: str | None
    escalation_chain: list[Anything]


class SourcesAnswer(TypedDict):
    items: list[SourceAnswer]


class RotatedAnswer(TypedDict):
    """`secret` only where it was made up here: it is seen once."""

    secret_set: Literal[True]
    old_secret_valid_until: Moment | None
    secret: NotRequired[str]


class PushedAnswer(TypedDict):
    """A delivery of one event to the webhook, with its last few attempts."""

    id: str
    event_id: str
    case_id: str | None
    state: Annotated[str, one_of("waiting", "delivered", "failed")]
    attempts: int
    created_at: Moment
    next_attempt_at: Moment | None
    finished_at: Moment | None
    last_status: int | None
    last_error: str | None
    recent_attempts: list[AttemptAnswer]


class PushedPage(TypedDict):
    """Newest first. `next_cursor` is the `after` of the next page; null on the last one."""

    items: list[PushedAnswer]
    next_cursor: str | None


class Replayed(TypedDict):
    """How many deliveries are tried again."""

    replayed: int


class TrialAnswer(TypedDict):
    """What the webhook answered to a test. `accepted`: with 2xx."""

    event_id: str
    accepted: bool
    status: int | None
    response: str | None
    error: str | None
    took_ms: int


def claim_answer(claim: Claim) -> ClaimAnswer:
    return {
        "claim_id": claim.claim_id,
        "event_id": claim.event_id,
        "claimer_id": claim.claimer_id,
        "claimed_at": iso(claim.claimed_at),
        "final_digest": claim.final_digest,
    }


def _words(ms: int | None) -> str | None:
    return None if ms is None else duration_words(ms)


def _level(level: Level) -> dict[str, Any]:
    return {
        "after": duration_words(level.after_ms),
        "notify": [str(address) for address in level.notify],
        "reviewers": {"any_of": list(level.reviewers)} if level.reviewers else None,
        "mention": list(level.mention),
    }


def source_answer(source: Source, shown: Shown | None = None, *, secret: str | None = None) -> SourceAnswer:
    """A source. `shown`: with how its webhook stands. `secret`: one that was made up just now, which is seen once."""
    return {
        "id": source.source_id,
        "name": source.name,
        "description": source.description,
        "created_at": iso(source.created_at),
        "delivery": {"mode": source.mode, "webhook": _webhook(source, shown, secret)},
        "notify": [str(address) for address in source.notify],
        "reviewers": source.policy.as_json() if source.policy else None,
        "grace_period": duration_words(source.grace_ms),
        "signed_responses": source.signed,
        "allow_images": source.images,
        "require_full_review": source.chat.get("require_full_review"),
        "language": source.chat.get("language"),
        "ask_reason": bool(source.chat.get("ask_reason")),
        "deny_reasons": list(source.chat.get("deny_reasons", ())),
        "extend_by": _words(source.chat.get("extend_ms")),
        "max_extensions": source.chat.get("max_extensions"),
        "snooze_for": _words(source.chat.get("snooze_ms")),
        "escalation_chain": [_level(level) for level in chain_of({"escalation_chain": source.escalation_chain})],
    }


def _webhook(source: Source, shown: Shown | None, secret: str | None) -> WebhookAnswer | None:
    webhook = source.webhook
    if webhook is None:
        return None
    found: WebhookAnswer = {
        "url": webhook.url,
        "secret_set": True,
        "timeout_ms": webhook.timeout_ms,
        "max_attempts": webhook.max_attempts,
        "retry_backoff_seconds": None if webhook.backoff_ms is None else webhook.backoff_ms // SECOND,
    }
    if secret is not None:
        found["secret"] = secret
    if shown is not None and (standing := shown.standing) is not None:
        found["enabled"] = standing.state == "active"
        found["endpoint"] = _endpoint(standing, shown.traffic)
    return found


def _endpoint(standing: Standing, traffic: Traffic | None) -> Endpoint:
    found: Endpoint = {"state": standing.state, "reason": standing.reason, "failures": standing.failures}
    if traffic is not None:
        found |= {
            "waiting": traffic.waiting,
            "failed": traffic.failed,
            "last_attempt": None if traffic.last is None else attempt_answer(traffic.last),
            "next_attempt_at": None if traffic.next_at is None else iso(traffic.next_at),
        }
    return found


def rotated_answer(changed: Changed) -> RotatedAnswer:
    """`secret` only where it was made up here: then this is the only time that it is seen."""
    webhook = changed.source.webhook
    old = webhook.old_secrets if webhook else ()
    found: RotatedAnswer = {"secret_set": True, "old_secret_valid_until": iso(old[0][1]) if old else None}
    return found if changed.secret is None else {**found, "secret": changed.secret}


def attempt_answer(attempt: Attempt) -> AttemptAnswer:
    return {
        "number": attempt.number,
        "at": iso(attempt.started_at),
        "took_ms": attempt.took_ms,
        "status": attempt.status,
        "response": attempt.response,
        "error": attempt.error,
    }


def pushed_answer(pushed: Pushed) -> PushedAnswer:
    """A delivery, with its last few attempts."""
    one = pushed.delivery
    return {
        "id": one.delivery_id,
        "event_id": one.message_id,
        "case_id": one.case_id,
        "state": one.state,
        "attempts": one.attempts,
        "created_at": iso(one.created_at),
        "next_attempt_at": iso(one.due_at) if one.state == "waiting" and one.endpoint_state == "active" else None,
        "finished_at": None if one.finished_at is None else iso(one.finished_at),
        "last_status": one.last_status,
        "last_error": one.last_error,
        "recent_attempts": [attempt_answer(attempt) for attempt in pushed.attempts],
    }


def trial_answer(trial: Trial) -> TrialAnswer:
    return {
        "event_id": trial.message_id,
        "accepted": trial.accepted,
        "status": trial.status,
        "response": trial.response,
        "error": trial.error,
        "took_ms": trial.took_ms,
    }
