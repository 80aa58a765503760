"""Canonical JSON (RFC 8785) and SHA-256: what is shown is what is agreed."""

from __future__ import annotations

import hashlib
from typing import Any

import rfc8785

from core.errors import InvalidInput


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of a JSON value. Raises InvalidInput for what JSON on the web cannot carry exactly."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidInput(f"this JSON has no canonical form: {error}") from error


def sha256_hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest(value: Any) -> str:
    """`sha256:` and the hex SHA-256 of the value's canonical form."""
    return "sha256:" + sha256_hex(canonical(value))
