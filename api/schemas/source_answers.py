"""Sources, their webhooks, deliveries and claims of the executors' door, as they go out."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from typing_extensions import TypedDict

from api.schemas.base import Anything, Moment, one_of
from api.schemas.events import ClaimAnswer
from core.chat_terms import Level, chain_of
from core.deliveries import Attempt
from core.events import Claim
from core.model import Source
from core.pushes import Pushed, Shown, Standing, Traffic, Trial
from core.schedule import SECOND, duration_words, iso
from core.sources import Changed


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
