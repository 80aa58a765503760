"""Telegram as a verifier: the signed `initData` of a Mini App (core.telegram.org/bots/webapps, "Validating data
received via the Mini App").

What it proves: the owner of a Telegram account opened a Mini App of our own bot at `auth_date`. What that was for is
proved by `start_param` alone, the one signed field that a link chooses (`t.me/<bot>/<app>?startapp=…`):

- the case id: bound to the case;
- what `start_param` gives for case, action and challenge: bound to all three;
- anything else, or nothing (a Mini App that a keyboard button opened): bound to neither.

An action that is chosen on a page inside the Mini App is not signed by anybody, so it does not count as bound.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from core.digest import canonical
from core.tokens import same
from core.verification import PROOF_OF_HUMAN, Evidence, Expected, Verified

MAX_INIT_DATA = 16 * 1024
MAX_FIELDS = 50
_TAG = 22  # characters of base64url: 128 bits
_AUTH_DATE = re.compile(r"[0-9]{1,12}", re.ASCII)
_NAME = re.compile(r"[a-z_]{1,64}", re.ASCII)


def start_param(case_id: str, action: str | None = None, challenge: str | None = None) -> str:
    """What a link to the Mini App says as `startapp`, so that the initData is bound to this (1 to 512 characters of
    A–Z, a–z, 0–9, _ and -).
    """
    if action is None:
        return case_id
    about = hashlib.sha256(canonical([case_id, action, challenge])).digest()
    tag = base64.urlsafe_b64encode(about).decode()[:_TAG]
    return f"{case_id}-{tag}"


class InitDataVerifier:
    """Checks initData with the bot's own token; nobody is asked, and nothing is kept."""

    provider = "telegram"
    proof_types = frozenset({PROOF_OF_HUMAN})

    def __init__(self, bot_token: str) -> None:
        self._key = key_of(bot_token)

    async def verify(self, evidence: Evidence, expected: Expected) -> Verified | str:
        found = signed(evidence.presentation, self._key)
        if isinstance(found, str):
            return found
        acted = same(found.start_param, start_param(expected.case_id, expected.action, expected.challenge))
        return Verified(
            assurance="medium",
            proved_at=found.made_at,
            proof_id=found.proof_id,
            bound_to_case=acted or same(found.start_param, start_param(expected.case_id)),
            bound_to_action=acted,
            subject=found.user_id,
        )


@dataclass(frozen=True, slots=True)
class Signed:
    """What Telegram signed: whose app it was, when (ms since 1970), what the link said. `proof_id`: the signature."""

    user_id: str
    name: str
    made_at: int
    start_param: str
    proof_id: str = field(repr=False)


def key_of(bot_token: str) -> bytes:
    """The key that a bot's initData is signed with."""
    return hmac.digest(b"WebAppData", bot_token.encode(), "sha256")


def signed(presentation: str | Mapping[str, Any], key: bytes) -> Signed | str:
    """What initData says, once its signature was checked; or in plain words why it says nothing."""
    fields = _fields(presentation)
    if fields is None:
        return "it is no initData of a Mini App"
    given = fields.pop("hash", "")
    checked = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
    signature = hmac.digest(key, checked.encode(), "sha256").hex()
    if not same(given, signature):
        return "Telegram did not sign it for this bot"
    human = _human(fields.get("user", ""))
    if human is None:
        return "it names no person"
    if not _AUTH_DATE.fullmatch(fields.get("auth_date", "")):
        return "it does not say when it was made"
    user_id, name = human
    return Signed(user_id, name, int(fields["auth_date"]) * 1000, fields.get("start_param", ""), signature)


def _fields(presentation: str | Mapping[str, Any]) -> dict[str, str] | None:
    """The fields of initData, as the text itself or as `{"init_data": text}`; None for what is none."""
    text = presentation.get("init_data") if isinstance(presentation, Mapping) else presentation
    if not isinstance(text, str) or len(text) > MAX_INIT_DATA:
        return None
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS)
        text.encode()
    except ValueError:
        return None
    # What is signed is lines of name=value: nothing may read as another line, or as another name.
    if any("\n" in value or not _NAME.fullmatch(name) for name, value in pairs):
        return None
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else None


def _human(text: str) -> tuple[str, str] | None:
    """The number and the name of the person in the field `user`."""
    try:
        user = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(user, dict) or user.get("is_bot"):
        return None
    user_id = user.get("id")
    if not isinstance(user_id, int) or isinstance(user_id, bool):
        return None
    names = (user.get("first_name"), user.get("last_name"))
    return str(user_id), " ".join(name for name in names if isinstance(name, str) and name)
