"""Whether a signed result is what Assent signed (`result.signature`): needs the extra `assent[verify]`.

The signature is a detached JWS (RFC 7515, appendix F) by EdDSA over Ed25519 (RFC 8037); what is signed is the RFC 8785
form of `{"action", "case_id", "data", "signed_at"}`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from rfc8785 import CanonicalizationError, dumps

from assent.errors import BadSignature

_ALGORITHM = "EdDSA"


def check_result(case_id: str, result: Mapping[str, Any] | None, jwks: Mapping[str, Any]) -> str:
    """The id of the key that signed this result of this case. `jwks`: what Assent publishes at
    `/.well-known/jwks.json`; fetch it over https, from the Assent that you know, never from where the result says.
    Raises BadSignature.
    """
    signature = (result or {}).get("signature")
    if result is None or not isinstance(signature, Mapping):
        raise BadSignature("this result is not signed; the source of the case must ask for signed_responses")
    try:
        header, detached, value = str(signature["value"]).split(".")
        named = json.loads(_bytes(header))
        signed_at = str(signature["signed_at"])
        payload = dumps(
            {"action": result["action"], "case_id": case_id, "data": result["data"], "signed_at": signed_at}
        )
        algorithm, key_id = named["alg"], named["kid"]
    except (CanonicalizationError, KeyError, RecursionError, TypeError, ValueError):
        raise BadSignature("the signature of this result cannot be read") from None
    if detached or "crit" in named or {algorithm, signature.get("algorithm")} != {_ALGORITHM}:
        raise BadSignature(
            f"the signature of this result is not a detached {_ALGORITHM} one, and nothing else is taken"
        )
    try:
        _published(jwks, key_id).verify(_bytes(value), f"{header}.{_text(payload)}".encode())
    except (InvalidSignature, ValueError):
        raise BadSignature("this result is not what Assent signed") from None
    return str(key_id)


def _published(jwks: Mapping[str, Any], key_id: object) -> Ed25519PublicKey:
    keys = jwks.get("keys")
    for jwk in keys if isinstance(keys, list) else ():
        if isinstance(jwk, Mapping) and (jwk.get("kid"), jwk.get("kty"), jwk.get("crv")) == (key_id, "OKP", "Ed25519"):
            return Ed25519PublicKey.from_public_bytes(_bytes(str(jwk.get("x"))))
    raise BadSignature(f"the key {key_id} is not among those that Assent publishes")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _text(raw) != text:
        raise ValueError("base64url has several spellings; only one is taken")
    return raw
