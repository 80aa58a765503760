"""Signing id tokens (RS256) with a key that is made when the first one is wanted."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from bot.sandbox.wire import Json

KEY_ID = "sandbox-1"


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_key() -> Json:
    """As a JSON Web Key (RFC 7517)."""
    numbers = _key().public_key().public_numbers()
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": _number(numbers.n), "e": _number(numbers.e)}


def signed(claims: Json) -> str:
    """A compact JSON Web Token (RFC 7519)."""
    header = {"typ": "JWT", "alg": "RS256", "kid": KEY_ID}
    parts = [_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    body = ".".join(parts)
    return f"{body}.{_encoded(_key().sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def at_hash(token: str) -> str:
    """The access token's hash, https://openid.net/specs/openid-connect-core-1_0.html#CodeIDToken."""
    return _encoded(hashlib.sha256(token.encode()).digest()[:16])


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
