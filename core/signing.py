"""Signed results: proof for an agent, or for whoever it shows the result to, that this server gave it. Pure.

What is signed is the RFC 8785 form of `{"action", "case_id", "data", "signed_at"}`; the signature is a JWS (RFC 7515)
in compact form with a detached payload (appendix F), by EdDSA over Ed25519 (RFC 8037). Its header names the key (`kid`,
the RFC 7638 thumbprint) in the JWKS that the server publishes. Nothing of it is stored: Ed25519 is deterministic and
`signed_at` is the moment of the answer, so every poll, frame and callback carries the same signature.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.digest import canonical
from core.errors import InvalidInput
from core.model import Case
from core.schedule import iso
from core.sealed import opened
from core.sealing import KeyRing
from core.urls import jwks_url

ALGORITHM = "EdDSA"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a signature is worth: `reason` in plain words, `key_id` of the key that it is good under."""

    good: bool
    reason: str
    key_id: str | None = None


def shown_result(case: Case, keys: KeyRing, public_url: str) -> dict[str, Any] | None:
    """The result as whoever asked for it gets it, on every way: sensitive values in clear, signed where the case asks
    for that. None while there is none.
    """
    if case.result is None:
        return None
    found = {**case.result, "data": opened(keys, case.case_id, case.result["data"])}
    if not case.terms.get("signed") or case.erased_at is not None:  # what is left of it is not what was answered
        return found
    assert case.closed_at is not None
    return signed(found, case.case_id, iso(case.closed_at), keys, public_url)


def signed(result: Mapping[str, Any], case_id: str, signed_at: str, keys: KeyRing, public_url: str) -> dict[str, Any]:
    """The result, its values in clear, with its signature. `signed_at`: the moment of the answer, as it is shown."""
    key = keys.result_keys[0]
    header = _text(canonical({"alg": ALGORITHM, "kid": _key_id(key)}))
    payload = _text(canonical(_payload(case_id, result, signed_at)))
    signature = {
        "algorithm": ALGORITHM,
        "value": f"{header}..{_text(key.sign(f'{header}.{payload}'.encode()))}",
        "signed_at": signed_at,
        "signer": jwks_url(public_url),
    }
    return {**result, "signature": signature}


def jwks(keys: KeyRing) -> dict[str, Any]:
    """The public halves of all keys of the ring (RFC 7517), so that what was signed before a rotation stays good."""
    return {"keys": [_jwk(key) | {"kid": _key_id(key), "alg": ALGORITHM, "use": "sig"} for key in keys.result_keys]}


def check(case_id: str, result: Mapping[str, Any], published: Mapping[str, Any]) -> Checked:
    """Whether `result` is what the owner of the published keys (a JWKS) signed for this case."""
    signature = result.get("signature")
    if not isinstance(signature, Mapping):
        return Checked(False, "the result is not signed")
    try:
        header, detached, value = str(signature["value"]).split(".")
        if detached:
            raise ValueError("not detached")
        named = json.loads(_bytes(header))
        algorithm, key_id = named["alg"], named["kid"]
        payload = canonical(_payload(case_id, result, str(signature["signed_at"])))
    except (InvalidInput, KeyError, RecursionError, TypeError, ValueError):
        return Checked(False, "the signature cannot be read; it is no detached JWS as this server writes them")
    if algorithm != ALGORITHM or signature.get("algorithm") != ALGORITHM or "crit" in named:
        return Checked(False, f"the signature is not {ALGORITHM}, and nothing else is taken")
    public = _published(published, key_id)
    if public is None:
        return Checked(False, f"the key {key_id} is not among the published ones")
    try:
        public.verify(_bytes(value), f"{header}.{_text(payload)}".encode())
    except (InvalidSignature, ValueError):
        return Checked(False, "the signature is wrong: this result is not what was signed", key_id)
    return Checked(True, "the signature is good", key_id)


def _payload(case_id: str, result: Mapping[str, Any], signed_at: str) -> dict[str, Any]:
    return {"case_id": case_id, "action": result["action"], "data": result["data"], "signed_at": signed_at}


@lru_cache(maxsize=16)
def _key_id(key: Ed25519PrivateKey) -> str:
    return _text(hashlib.sha256(canonical(_jwk(key))).digest())


def _jwk(key: Ed25519PrivateKey) -> dict[str, str]:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": _text(raw)}


def _published(published: Mapping[str, Any], key_id: object) -> Ed25519PublicKey | None:
    found = published.get("keys")
    for jwk in found if isinstance(found, Sequence) else ():
        if not isinstance(jwk, Mapping) or (jwk.get("kid"), jwk.get("kty"), jwk.get("crv")) != (
            key_id, "OKP", "Ed25519",
        ):  # fmt: skip
            continue
        try:
            return Ed25519PublicKey.from_public_bytes(_bytes(str(jwk.get("x"))))
        except ValueError:
            return None
    return None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(raw) != text:
        raise ValueError("base64url has several spellings; only one is ours")
    return raw
