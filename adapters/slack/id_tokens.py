"""ID tokens: what Slack says of a person, signed (OpenID Connect Core 1.0, section 3.1.3.7). Pure.

Only RS256 is taken, whatever a token asks for: `none`, and a secret that is the public key, are old tricks.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from core.tokens import same

CLOCKS_DIFFER = 60  # seconds
MAX_TOKEN = 16 * 1024


class NotProved(Exception):
    """The token proves nothing. The message says why, and quotes nothing of it."""


def verified(
    token: str, keys: Sequence[Mapping[str, Any]], *, issuer: str, audience: str, nonce: str, now: float
) -> Mapping[str, Any]:
    """The claims of a token that one of these keys (RFC 7517) has signed for us, about this very question. `now`:
    seconds since 1970. Raises NotProved.
    """
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN:
        raise NotProved("it is no token")
    head, claims = _json(parts[0]), _json(parts[1])
    if head.get("alg") != "RS256":
        raise NotProved("it is not signed as Slack signs")
    fitting = [key for key in keys if key.get("kty") == "RSA" and key.get("kid") == head.get("kid")]
    signed, signature = f"{parts[0]}.{parts[1]}".encode(), _bytes(parts[2])
    if not any(_signed(key, signed, signature) for key in fitting):
        raise NotProved("Slack has not signed it")
    if claims.get("iss") != issuer:
        raise NotProved("somebody else has issued it")
    if claims.get("aud") != audience:
        raise NotProved("it is for another app")
    if not isinstance(claims.get("exp"), int) or claims["exp"] + CLOCKS_DIFFER <= now:
        raise NotProved("it has expired")
    if not isinstance(claims.get("nonce"), str) or not same(claims["nonce"], nonce):
        raise NotProved("it answers another question")
    return claims


def _signed(key: Mapping[str, Any], signed: bytes, signature: bytes) -> bool:
    try:
        public = rsa.RSAPublicNumbers(_number(key["e"]), _number(key["n"])).public_key()
        public.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, KeyError, ValueError):
        return False
    return True


def _json(part: str) -> Mapping[str, Any]:
    try:
        found = json.loads(_bytes(part))
    except (ValueError, RecursionError):
        raise NotProved("it is no token") from None
    if not isinstance(found, dict):
        raise NotProved("it is no token")
    return found


def _number(text: str) -> int:
    return int.from_bytes(_bytes(text), "big")


def _bytes(part: object) -> bytes:
    try:
        return base64.urlsafe_b64decode(f"{part}==".encode("ascii"))
    except (binascii.Error, UnicodeEncodeError):
        raise NotProved("it is no token") from None
