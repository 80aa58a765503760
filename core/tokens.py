"""Identifiers and secrets. A secret leaves this module raw exactly once; what is kept is its SHA-256."""

from __future__ import annotations

import hashlib
import hmac
import secrets

API_KEY_PREFIX = "ak_"


def new_id(prefix: str = "") -> str:
    """A URL-safe identifier with 128 random bits: `prefix` and 22 characters."""
    return prefix + secrets.token_urlsafe(16)


def new_token() -> str:
    """A secret with 256 random bits, 43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def new_api_key() -> str:
    """An API key (an `access_id` in the HITL Protocol's words)."""
    return API_KEY_PREFIX + new_token()


def is_api_key(text: str) -> bool:
    """Whether this is meant to be an API key, known or not."""
    return text.startswith(API_KEY_PREFIX)


def token_hash(token: str) -> str:
    """SHA-256 of a secret as hex. Accepts any text; lone surrogates hash to something that matches nothing."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def same(given: str, expected: str) -> bool:
    """Constant-time comparison on bytes (`compare_digest` raises on non-ASCII str)."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))
