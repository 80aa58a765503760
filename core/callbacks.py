"""Callbacks: what an agent is told at its `hitl_callback_url` when its case is answered, expires or is withdrawn.

`callback_writes` is written with the ending itself; `callbacks` tells the courier how such a delivery is sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from core.ledger import Row, Write
from core.ledger import delivery_queries as q
from core.model import Case
from core.rows import to_json
from core.schedule import iso
from core.sealed import opened_text
from core.sealing import KeyRing
from core.sending import ERASED, Kind, Outgoing, Unsendable
from core.signing import signed
from core.states import Status

SHA256_FORM = "sha256"  # api_keys.callback_signature: the public specification's form of the signature


def callback_writes(case: Case, now: int) -> list[Write]:
    """The rows that tell the agent how its case stands now; none without a callback URL or while the case waits.

    Call it for every change of a closed case, a revised answer as well: each has an event counter of its own.
    """
    url = case.terms.get("callback_url")
    ending = _ending(case)
    if url is None or ending is None:
        return []
    endpoint_id, message_id = endpoint_of(case.tenant_id, url), f"{case.case_id}-{case.last_event}"
    body = {
        "event": f"review.{case.status}",
        "case_id": case.case_id,
        "status": str(case.status),
        "timestamp": iso(now),
        **ending,
    }
    endpoint = {
        "endpoint_id": endpoint_id,
        "tenant_id": case.tenant_id,
        "state": "active",
        "reason": None,
        "failures": 0,
        "open_until": 0,
        "changed_at": now,
    }
    delivery = {
        # Not random: a transaction that is run again writes the same row.
        "delivery_id": "dlv_" + _short(f"{endpoint_id} {message_id}"),
        "tenant_id": case.tenant_id,
        "endpoint_id": endpoint_id,
        "case_id": case.case_id,
        "url": url,
        "body": to_json(body),
        "message_id": message_id,
        "now": now,
    }
    return [Write(q.INSERT_ENDPOINT, endpoint, rows=None), Write(q.INSERT_CALLBACK, delivery)]


def _ending(case: Case) -> dict[str, Any] | None:
    if case.closed_at is None:
        return None
    moment = iso(case.closed_at)
    match case.status:
        case Status.COMPLETED:
            return {"completed_at": moment, "result": case.result}
        case Status.EXPIRED:
            return {"default_action": case.default_action, "expired_at": moment}
        case Status.CANCELLED:
            return {"reason": (case.answered or {}).get("reason"), "cancelled_at": moment}
        case _:
            return None


def endpoint_of(tenant_id: str, url: str) -> str:
    """One tenant's callback URL as an endpoint: what one tenant's receiver does holds up no other tenant."""
    return "cb_" + _short(f"{tenant_id} {url}")


def _short(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).decode().rstrip("=")


def callbacks(keys: KeyRing, public_url: str) -> Kind:
    """How deliveries of kind `callback` are sent. `public_url`: where others find the keys of signed results."""

    def render(row: Row, facts: Row, now: int) -> Outgoing:
        if facts["erased_at"] is not None:
            raise Unsendable(ERASED)
        stored = str(row["body"])
        text = opened_text(keys, stored)
        body = _with_signed_result(text, facts, keys, public_url).encode()
        headers = {
            "content-type": "application/json",
            "webhook-id": str(row["message_id"]),
            "webhook-timestamp": str(now // 1000),
            "x-hitl-signature": signature(_access_id(keys, facts), body, facts["callback_signature"]),
        }
        # A receiver may say back what it was sent: of what holds sensitive answers, no word is kept.
        return Outgoing(url=str(row["url"]), headers=headers, body=body, keep_response=text == stored)

    return Kind(q.CALLBACK_FACTS, render)


def _with_signed_result(text: str, facts: Row, keys: KeyRing, public_url: str) -> str:
    if not json.loads(facts["terms"]).get("signed"):
        return text
    body = json.loads(text)
    if "result" not in body:
        return text
    body["result"] = signed(body["result"], body["case_id"], body["completed_at"], keys, public_url)
    return to_json(body)


def _access_id(keys: KeyRing, facts: Row) -> str:
    if facts["sealed"] is None:
        raise Unsendable("the key that opened the case is not known any more")
    if facts["revoked_at"] is not None:
        raise Unsendable("the key that opened the case was revoked, so nothing is signed with it any more")
    return keys.unseal(facts["sealed"], about=facts["key_id"])


def signature(access_id: str, body: bytes, form: str | None = None) -> str:
    """`X-HITL-Signature` over the raw body, in the contract's form or the public specification's (`sha256`)."""
    mac = hmac.new(access_id.encode(), body, hashlib.sha256)
    if form == SHA256_FORM:
        return f"sha256={mac.hexdigest()}"
    return f"algorithm=HS256, value={base64.urlsafe_b64encode(mac.digest()).decode().rstrip('=')}"
