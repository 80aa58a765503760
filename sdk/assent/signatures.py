"""Whether a webhook or a callback comes from Assent. Pure: headers and raw body in, BadSignature out.

Verify the raw bytes, before anything parses them. `headers` is any mapping of names to values, whatever their case.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence

from assent.errors import BadSignature

TOLERANCE_SECONDS = 300.0
PREFIX = "whsec_"
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_CALLBACK = re.compile(r"algorithm=HS256,\s*value=([A-Za-z0-9_-]+)", re.ASCII)


def check_webhook(
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: Callable[[], float] = time.time,
) -> None:
    """Raise BadSignature unless a decision event was signed with one of these secrets: while a secret is being rotated,
    both.

    Where the Standard Webhooks headers are there, they must be right, and their timestamp not be further from `now`
    than `tolerance` seconds. Where they are not, `X-HILT-Signature` (hex) is taken; it has no timestamp, so repeats are
    told by their event id alone, as an Executor does.
    """
    _need(secrets)
    given = {name.lower(): value for name, value in headers.items()}
    if "webhook-signature" in given:
        _check_standard(given, body, secrets, tolerance, now())
    elif signature := given.get("x-hilt-signature"):
        expected = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in secrets]
        _check_one_of([signature.strip().lower()], expected)
    else:
        raise BadSignature("this message has no signature: neither webhook-signature nor X-HILT-Signature")


def _check_standard(
    given: Mapping[str, str], body: bytes, secrets: Sequence[str], tolerance: float, now: float
) -> None:
    """https://github.com/standard-webhooks/standard-webhooks, "Signature scheme" """
    message_id, timestamp = given.get("webhook-id", ""), given.get("webhook-timestamp", "")
    if not message_id or not _SECONDS.fullmatch(timestamp):
        raise BadSignature("this message has a webhook-signature, but no webhook-id or no webhook-timestamp")
    if abs(now - int(timestamp)) > tolerance:
        raise BadSignature("this message was signed too long ago, or the clocks differ")
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = [hmac.new(key, signed, hashlib.sha256).digest() for key in map(_standard_key, secrets) if key]
    versions = [part.partition(",") for part in given["webhook-signature"].split()]
    _check_one_of(
        [value for version, _, value in versions if version == "v1"],
        [base64.b64encode(digest).decode() for digest in expected],
    )


def _standard_key(secret: str) -> bytes | None:
    """The bytes that a `whsec_` secret stands for, and the text of any other; None when it is no base64."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None


def check_callback(headers: Mapping[str, str], body: bytes, keys: Sequence[str]) -> None:
    """Raise BadSignature unless a HITL callback was signed with one of these API keys (the one that opened the case),
    in either form of `X-HITL-Signature`: `algorithm=HS256, value=…` or `sha256=…`.
    """
    _need(keys)
    given = {name.lower(): value for name, value in headers.items()}.get("x-hitl-signature", "").strip()
    digests = [hmac.new(key.encode(), body, hashlib.sha256).digest() for key in keys]
    if given.startswith("sha256="):
        _check_one_of([given.removeprefix("sha256=").lower()], [digest.hex() for digest in digests])
    elif found := _CALLBACK.fullmatch(given):
        texts = [base64.urlsafe_b64encode(digest).decode().rstrip("=") for digest in digests]
        _check_one_of([found[1]], texts)
    else:
        raise BadSignature("this message has no X-HITL-Signature, or one of a form that is not known here")


def _need(secrets: Sequence[str]) -> None:
    if isinstance(secrets, str) or not secrets or not all(secrets):
        raise ValueError("give the secrets as a list of at least one, none of them empty")


def _check_one_of(given: Sequence[str], expected: Sequence[str]) -> None:
    """Every pair is compared, in constant time and on bytes: `compare_digest` raises on text that is not ASCII."""
    good = False
    for one in given[:10]:
        for other in expected:
            good |= hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode())
    if not good:
        raise BadSignature
