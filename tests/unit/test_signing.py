"""Signed results: what is signed, by which key, and what a reader can tell from it."""

from __future__ import annotations

import base64
import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core.model import Case, Policy
from core.sealed import sealed_data
from core.sealing import KeyRing
from core.signing import check, jwks, shown_result
from core.states import Status

RING = KeyRing(["a secret that only tests use"])
URL = "https://assent.example.com"
DATA = {"note": "Grüße, only remote", "amount": 12.5, "list": [1, {"b": None, "a": True}]}


def case(**changes: Any) -> Case:
    policy = Policy()
    found = Case(
        case_id="review_1",
        tenant_id="t",
        workflow_id="w",
        gate_key="review",
        source_id="src_1",
        type="approval",
        status=Status.COMPLETED,
        content={"context": {}},
        content_digest="sha256:0",
        terms={"policy": policy.as_json(), "signed": True},
        policy=policy,
        created_at=0,
        opened_at=None,
        expires_at=10,
        closed_at=1_771_582_500_000,
        result={"action": "approve", "data": DATA},
        answered={},
        previous_case_id=None,
        next_case_id=None,
        progress=None,
        version=2,
        last_event=1,
    )
    return replace(found, **changes)


def signed(ring: KeyRing = RING, **changes: Any) -> dict[str, Any]:
    found = shown_result(case(**changes), ring, URL)
    assert found is not None
    return found


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_a_reader_with_any_jose_library_can_check_it() -> None:
    signature = signed()["signature"]
    header, detached, value = signature["value"].split(".")
    (key,) = jwks(RING)["keys"]
    assert {"alg": "EdDSA", "kid": key["kid"]} == json.loads(raw(header))
    assert ("", "2026-02-20T10:15:00.000Z") == (detached, signature["signed_at"])
    assert f"{URL}/.well-known/jwks.json" == signature["signer"]
    assert ("OKP", "Ed25519", "EdDSA", "sig") == tuple(key[name] for name in ("kty", "crv", "alg", "use"))
    payload = (
        '{"action":"approve","case_id":"review_1","data":{"amount":12.5,"list":[1,{"a":true,"b":null}],'
        '"note":"Grüße, only remote"},"signed_at":"2026-02-20T10:15:00.000Z"}'
    ).encode()
    message = f"{header}.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}".encode()
    Ed25519PublicKey.from_public_bytes(raw(key["x"])).verify(raw(value), message)


def test_the_private_half_is_not_published_and_does_not_sign_the_ledger() -> None:
    (key,) = jwks(RING)["keys"]
    assert {"kty", "crv", "x", "kid", "alg", "use"} == set(key)
    key_id, signature = RING.sign(b"seal")
    public = Ed25519PublicKey.from_public_bytes(raw(key["x"]))
    assert key_id not in json.dumps(key)
    with pytest.raises(InvalidSignature):
        public.verify(bytes.fromhex(signature), b"seal")


def test_every_rendering_carries_the_same_signature() -> None:
    again = shown_result(case(version=9, next_case_id="review_2"), KeyRing(["a secret that only tests use"]), URL)
    assert signed() == again
    assert check("review_1", json.loads(json.dumps(signed())), jwks(RING)).good


def changed(path: str, value: Any) -> dict[str, Any]:
    found = copy.deepcopy(signed())
    place: Any = found
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    place[last] = value
    return found


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (changed("action", "reject"), "not what was signed"),
        (changed("data.amount", 13), "not what was signed"),
        (changed("data.more", 1), "not what was signed"),
        (changed("signature.signed_at", "2026-02-20T10:15:01.000Z"), "not what was signed"),
        (changed("signature.algorithm", "none"), "nothing else is taken"),
        (changed("signature.value", "a.b"), "cannot be read"),
        (changed("signature.value", "bm8.payload.c2ln"), "cannot be read"),
        (changed("signature.value", None), "cannot be read"),
        (changed("signature.signed_at", 3), "not what was signed"),
        (changed("signature", None), "not signed"),
        (changed("data.number", float("nan")), "cannot be read"),
    ],
)
def test_anything_else_than_what_was_signed_is_not_good(result: dict[str, Any], reason: str) -> None:
    found = check("review_1", result, jwks(RING))
    assert not found.good
    assert reason in found.reason


def test_a_signature_of_another_case_or_another_key_is_not_good() -> None:
    assert not check("review_2", signed(), jwks(RING)).good
    other = KeyRing(["another secret that tests use"])
    assert "not among the published ones" in check("review_1", signed(), jwks(other)).reason
    stolen = jwks(other)
    stolen["keys"][0]["kid"] = jwks(RING)["keys"][0]["kid"]
    assert not check("review_1", signed(), stolen).good


@pytest.mark.parametrize("alg", ["none", "HS256", "RS256"])
def test_the_header_does_not_choose_the_algorithm(alg: str) -> None:
    (key,) = jwks(RING)["keys"]
    header = base64.urlsafe_b64encode(json.dumps({"alg": alg, "kid": key["kid"]}).encode()).decode().rstrip("=")
    assert not check("review_1", changed("signature.value", f"{header}..c2ln"), jwks(RING)).good


@pytest.mark.parametrize("published", [{}, {"keys": 3}, {"keys": [3, {}, {"kid": "x"}]}])
def test_a_strange_key_set_holds_no_key(published: dict[str, Any]) -> None:
    assert "not among the published ones" in check("review_1", signed(), published).reason


def test_what_was_signed_before_a_rotation_stays_good() -> None:
    rotated = KeyRing(["a newer secret that tests use", "a secret that only tests use"])
    published = jwks(rotated)
    assert 2 == len(published["keys"])
    assert check("review_1", signed(), published).good
    newer = check("review_1", signed(rotated), published)
    assert (True, published["keys"][0]["kid"]) == (newer.good, newer.key_id)


def test_sensitive_values_are_signed_as_they_are_shown() -> None:
    form = {"form": {"fields": [{"key": "pin", "type": "text", "label": "PIN", "sensitive": True}]}}
    (stored, *_) = sealed_data(RING, "review_1", form, {"pin": "1234"})
    assert "1234" not in json.dumps(stored)
    found = signed(result={"action": "submit", "data": stored})
    assert {"pin": "1234"} == found["data"]
    assert check("review_1", found, jwks(RING)).good


def test_only_cases_that_ask_for_it_are_signed() -> None:
    assert "signature" not in signed(terms={"signed": False})
    assert "signature" not in signed(terms={})
    assert shown_result(case(result=None), RING, URL) is None
