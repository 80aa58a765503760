"""Verification policies and evidence for tests: initData as Telegram signs it, and a provider that tests control."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from core.errors import Unavailable
from core.verification import PROOF_OF_HUMAN, Evidence, Expected, Verified

BOT_TOKEN = "123456789:AAF-a-token-that-only-tests-use-0123456"
USER = {"id": 1001, "first_name": "Ада", "last_name": "Б=&\n%", "language_code": "en"}
RAW = "a-raw-proof-that-nobody-may-keep"


def init_data(*, token: str = BOT_TOKEN, **changes: Any) -> str:
    """The initData of a Mini App, signed by Telegram's published algorithm; `changes` None leave a field out."""
    fields: dict[str, Any] = {
        "query_id": "AAHdF6IQAAAAAN0XohDhrOrc",
        "user": json.dumps(USER, ensure_ascii=False),
        "auth_date": "1800000000",
        "start_param": "nothing",
        "signature": "third-party-signature",
    }
    fields = {name: str(value) for name, value in (fields | changes).items() if value is not None}
    lines = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    key = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    return urlencode(fields | {"hash": hmac.new(key, lines.encode(), hashlib.sha256).hexdigest()})


def policy(provider: str | None = "acme", **changes: Any) -> dict[str, Any]:
    """A policy that requires one proof, on the inline way; `changes` are its fields, or those of its binding."""
    wanted = {"proof_type": PROOF_OF_HUMAN} | ({"provider": provider} if provider else {})
    binding: dict[str, Any] = {"case_id": True, "action": True, "freshness_seconds": 300, "single_use": True}
    names = (*binding, "challenge", "expires_at")
    found: dict[str, Any] = {
        "mode": "required",
        "required_for": ["inline_submit"],
        "requirements": {"any_of": [{"all_of": [wanted]}]},
        "binding": binding | {name: changes.pop(name) for name in names if name in changes},
        "fallback": {"on_missing": "browser_review", "on_invalid": "browser_review"},
    }
    return found | changes


def evidence(presentation: Any = RAW, provider: str = "acme", **changes: Any) -> dict[str, Any]:
    """A piece of evidence as it is sent."""
    found = {
        "proof_type": PROOF_OF_HUMAN,
        "provider": provider,
        "format": "provider_opaque",
        "presentation": presentation,
        "binding": {},
    }
    return found | changes


@dataclass
class Acme:
    """A provider whose every proof is good, and says what the test says. A proof is its text."""

    proved_at: int
    says: dict[str, Any] = field(default_factory=dict)
    away: bool = False
    asked: list[Expected] = field(default_factory=list)

    provider = "acme"
    proof_types = frozenset({PROOF_OF_HUMAN, "x-badge"})

    async def verify(self, evidence: Evidence, expected: Expected) -> Verified | str:
        self.asked.append(expected)
        if self.away:
            raise Unavailable("acme cannot be reached", retry_after=7)
        if evidence.presentation == "forged":
            return "it is forged"
        found: dict[str, Any] = {"assurance": "high", "bound_to_case": True, "bound_to_action": True}
        return Verified(**(found | self.says), proved_at=self.proved_at, proof_id=str(evidence.presentation))
