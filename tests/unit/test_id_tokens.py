"""What Slack says of a person counts only if Slack has signed it, for us, now, and about this very question."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from adapters.slack.id_tokens import NotProved, verified
from bot.sandbox.slack.id_tokens import public_key, signed

NOW = 1_800_000_000
CLAIMS: dict[str, Any] = {"iss": "https://slack.test", "aud": "12.34", "exp": NOW + 300, "nonce": "n1", "sub": "U1"}


def look(token: str, keys: list[dict[str, Any]] | None = None) -> Any:
    return verified(
        token,
        [public_key()] if keys is None else keys,
        issuer="https://slack.test",
        audience="12.34",
        nonce="n1",
        now=NOW,
    )


def test_what_slack_has_signed_is_believed() -> None:
    assert CLAIMS == look(signed(CLAIMS))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.test"}, {"aud": "56.78"}, {"aud": ["12.34"]}, {"exp": NOW - 61}, {"exp": "later"},
        {"nonce": "n2"}, {"nonce": None}, {"nonce": 1},
    ],
)  # fmt: skip
def test_for_another_app_question_time_or_issuer_it_proves_nothing(changed: dict[str, Any]) -> None:
    with pytest.raises(NotProved):
        look(signed(CLAIMS | changed))


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_what_slack_has_not_signed_proves_nothing() -> None:
    head, claims, signature = signed(CLAIMS).split(".")
    other = part(CLAIMS | {"sub": "U2"})
    unsigned = part({"alg": "none", "kid": public_key()["kid"]})
    for token in (
        f"{head}.{other}.{signature}", f"{unsigned}.{claims}.", f"{unsigned}.{claims}.{signature}",
        f"{part({'alg': 'HS256', 'kid': public_key()['kid']})}.{claims}.{signature}", f"{head}.{claims}.",
        "", "a.b.c", "..", "é.é.é", f"{part([1])}.{claims}.{signature}", "x" * 20_000,
    ):  # fmt: skip
        with pytest.raises(NotProved):
            look(token)


def test_a_key_that_slack_does_not_have_signs_nothing() -> None:
    with pytest.raises(NotProved):
        look(signed(CLAIMS), [])
    for broken in ({"n": "AQAB"}, {"e": ""}, {"kid": "other"}, {"kty": "EC"}):
        with pytest.raises(NotProved):
            look(signed(CLAIMS), [public_key() | broken])
