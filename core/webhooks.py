"""Webhooks of sources: how a decision event, or a test, is signed and sent to a source's endpoint.

What is to be sent is the event's own text, so every attempt has the same bytes; where it goes and what it is signed
with is asked when it is sent, so that a changed address or secret counts for what is under way as well.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import InvalidInput
from core.ledger import Row, Write
from core.ledger import delivery_queries as dq
from core.ledger import source_queries as q
from core.model import Source, Webhook
from core.rows import source_of, to_json
from core.schedule import DELIVERY_DELAYS, Retries, iso
from core.sealed import opened_text
from core.sealing import KeyRing
from core.sending import ERASED, Kind, Outgoing, Unsendable
from core.tokens import new_id

PREFIX = "whsec_"
NEW_SECRET_BYTES = 32
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # what Standard Webhooks asks of a key
PULL_ONLY, PUSH_AND_PULL = "PULL_ONLY", "WEBHOOK_AND_PULL"
_PLAIN = re.compile(r"[!-~]{16,200}", re.ASCII)


def new_secret() -> str:
    """A secret to sign with, in the form that the libraries of Standard Webhooks take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(NEW_SECRET_BYTES)).decode()


def check_secret(secret: str, field: str) -> None:
    """Raise InvalidInput that names `field` unless this can be signed with."""
    if secret.startswith(PREFIX):
        try:
            size = len(_decoded(secret))
        except (binascii.Error, ValueError):
            size = 0
        if not MIN_SECRET_BYTES <= size <= MAX_SECRET_BYTES:
            raise InvalidInput(
                f"{field} begins with {PREFIX}: what follows must be base64 of "
                f"{MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes",
                field=field,
            )
    elif not _PLAIN.fullmatch(secret):
        raise InvalidInput(
            f"{field} must be {PREFIX} and base64, or 16 to 200 ASCII characters without spaces", field=field
        )


def _decoded(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)


def _key(secret: str) -> bytes:
    """What Standard Webhooks signs with: the bytes that a `whsec_` secret stands for, and the text of any other."""
    return _decoded(secret) if secret.startswith(PREFIX) else secret.encode()


def signatures(message_id: str, now: int, body: bytes, in_force: Sequence[str]) -> dict[str, str]:
    """The headers that prove where `body` comes from, at `now`. `in_force`: the newest secret first; the hex signature
    is by that one, `webhook-signature` has one for each.
    """
    timestamp = str(now // 1000)
    signed = f"{message_id}.{timestamp}.".encode() + body
    found = [base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode() for secret in in_force]
    return {
        "x-hilt-signature": hmac.new(in_force[0].encode(), body, hashlib.sha256).hexdigest(),
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{one}" for one in found),
    }


def delivery_write(event: Mapping[str, Any]) -> Write:
    """The row that pushes this decision event (its row), where its source has its events pushed at this moment."""
    return Write(
        q.INSERT_DECISION_DELIVERY,
        {
            "delivery_id": new_id("dlv_"),
            "source_id": event["source_id"],
            "case_id": event["case_id"],
            "event_id": event["event_id"],
            "now": event["created_at"],
        },
        rows=None,
    )


def endpoint_write(source_id: str, tenant_id: str, now: int) -> Write:
    """The endpoint of a source's webhook, unless it is there."""
    row = {
        "endpoint_id": source_id,
        "tenant_id": tenant_id,
        "state": "active",
        "reason": None,
        "failures": 0,
        "open_until": 0,
        "changed_at": now,
    }
    return Write(dq.INSERT_ENDPOINT, row, rows=None)


def decisions(keys: KeyRing) -> Kind:
    """How deliveries of kind `decision` are sent."""

    def render(row: Row, facts: Row, now: int) -> Outgoing:
        source = source_of(facts)
        if source.mode == PULL_ONLY:
            raise Unsendable("the events of this source are only pulled now (delivery.mode is PULL_ONLY)")
        if facts["erased_at"] is not None:
            raise Unsendable(ERASED)
        stored = str(facts["event_body"])
        text = opened_text(keys, stored)
        # A receiver may say back what it was sent: of what holds sensitive answers, no word is kept.
        return _outgoing(source, "decision", str(row["message_id"]), text, now, keys, keep_response=text == stored)

    return Kind(q.DECISION_FACTS, render)


def trial(source: Source, now: int, keys: KeyRing) -> Outgoing:
    """A message that decides nothing, for trying a webhook out. Raises InvalidInput when the source has none."""
    event_id = new_id("evt_test_")
    body = {
        "event_id": event_id,
        "source_id": source.source_id,
        "type": "test",
        "message": "This is a test. Nothing was decided, and nothing is to be done.",
        "occurred_at": iso(now),
    }
    try:
        return _outgoing(source, "test", event_id, to_json(body), now, keys, keep_response=True)
    except Unsendable as problem:
        raise InvalidInput(problem.message, field="delivery.webhook") from None


def _outgoing(
    source: Source, event_type: str, message_id: str, text: str, now: int, keys: KeyRing, *, keep_response: bool
) -> Outgoing:
    webhook, body = source.webhook, text.encode()
    if webhook is None:
        raise Unsendable("this source has no webhook")
    in_force = [keys.unseal(sealed, about=source.source_id) for sealed in secrets_in_force(webhook, now)]
    headers = {
        "content-type": "application/json",
        "x-hilt-event-id": message_id,
        "x-hilt-event-type": event_type,
        **signatures(message_id, now, body, in_force),
    }
    return Outgoing(
        url=webhook.url,
        headers=headers,
        body=body,
        timeout_ms=webhook.timeout_ms,
        keep_response=keep_response,
        retries=Retries(webhook.max_attempts or len(DELIVERY_DELAYS) + 1, webhook.backoff_ms),
    )


def secrets_in_force(webhook: Webhook, now: int) -> list[str]:
    """Sealed: the secret, and those that it replaced and that are still to sign beside it, the newest first."""
    return [webhook.secret, *(sealed for sealed, until in webhook.old_secrets if until > now)]
