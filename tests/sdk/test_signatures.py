"""Webhooks and callbacks: what is signed with a known secret is taken, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from assent import BadSignature, DecisionEvent, check_callback, check_webhook
from assent.results import check_result
from core.callbacks import signature
from core.sealing import KeyRing
from core.signing import jwks, signed
from core.webhooks import signatures
from tests.sdk.support import Clients, decided, source
from tests.support.server import Server

NOW = 1_790_000_000.0
OLD, NEW = "whsec_" + base64.b64encode(b"old" * 8).decode(), "whsec_" + base64.b64encode(b"new" * 8).decode()
BODY = b'{"event_id":"evt_1"}'


def standard(*secrets: str, body: bytes = BODY, at: float = NOW, message_id: str = "evt_1") -> dict[str, str]:
    """The headers as the Standard Webhooks specification says, one signature per secret."""
    signed_text = f"{message_id}.{int(at)}.".encode() + body
    keys = [base64.b64decode(s[6:]) if s.startswith("whsec_") else s.encode() for s in secrets]
    values = ["v1," + base64.b64encode(hmac.new(key, signed_text, hashlib.sha256).digest()).decode() for key in keys]
    return {"webhook-id": message_id, "webhook-timestamp": str(int(at)), "webhook-signature": " ".join(values)}


def plain(secret: str, body: bytes = BODY) -> dict[str, str]:
    return {"X-HILT-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def good(headers: dict[str, str], body: bytes = BODY, secrets: tuple[str, ...] = (OLD,), now: float = NOW) -> bool:
    try:
        check_webhook(headers, body, secrets, now=lambda: now)
    except BadSignature:
        return False
    return True


def test_either_form_is_taken_whatever_the_case_of_its_headers() -> None:
    assert good(standard(OLD))
    assert good({name.title(): value for name, value in standard(OLD).items()})
    assert good(plain(OLD))
    assert good(plain("not base64 at all!"), secrets=("not base64 at all!",))
    assert good(standard(OLD) | plain(OLD))
    assert good(standard("a secret of my own"), secrets=("a secret of my own",))
    assert not good(standard("whsec_AAAA"), secrets=("whsec_not base64",))


def test_the_example_of_the_standard_webhooks_specification_verifies() -> None:
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert good(headers, body, (secret,), now=1_614_265_330)


def test_during_a_rotation_either_secret_is_enough() -> None:
    assert good(standard(OLD, NEW), secrets=(NEW,))
    assert good(standard(OLD, NEW), secrets=(OLD,))
    assert good(standard(OLD), secrets=(NEW, OLD))
    assert good(plain(NEW), secrets=(OLD, NEW))
    assert not good(standard(OLD), secrets=(NEW,))


@given(at=st.integers(0, len(BODY) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_fails_both(at: int, bit: int) -> None:
    flipped = bytearray(BODY)
    flipped[at] ^= 1 << bit
    assert not good(standard(OLD), bytes(flipped))
    assert not good(plain(OLD), bytes(flipped))


def test_what_is_old_comes_from_the_future_or_was_meddled_with_is_refused() -> None:
    assert good(standard(OLD, at=NOW - 299))
    assert not good(standard(OLD, at=NOW - 301))
    assert not good(standard(OLD, at=NOW + 301))
    fine = standard(OLD)
    for change in (
        {"webhook-id": "evt_2"},
        {"webhook-timestamp": str(int(NOW) + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "1_790_000_000"},
        {"webhook-timestamp": "٣"},
        {"webhook-id": ""},
        {"webhook-signature": ""},
        {"webhook-signature": fine["webhook-signature"].replace("v1,", "v1a,")},
        {"webhook-signature": "v1,größe"},
        {"webhook-signature": "v1," + "\udcff"},
        {"webhook-signature": "v1,x " * 50 + fine["webhook-signature"]},
    ):
        assert not good(fine | change), change
    # One wrong form is not saved by the other being right.
    assert not good(standard(NEW) | plain(OLD))
    assert not good({})
    assert not good({"x-hilt-signature": ""})
    assert not good({"x-hilt-signature": "grün"})


def test_what_the_server_signs_is_taken_with_every_secret_that_is_in_force() -> None:
    for secrets in ((NEW, OLD), ("a secret of my own", OLD), (OLD, "a secret of my own")):
        headers = signatures("evt_1", int(NOW * 1000), BODY, secrets)
        assert [True, True] == [good(headers, secrets=(secret,)) for secret in secrets]
        assert not good(headers, BODY + b" ", secrets)
        hex_alone = {"x-hilt-signature": headers["x-hilt-signature"]}
        assert [True, False] == [good(hex_alone, secrets=(secret,)) for secret in secrets]


def test_secrets_are_a_list_that_is_not_empty() -> None:
    wrong: list[Any] = [[], [""], OLD]
    for secrets in wrong:
        with pytest.raises(ValueError, match="secrets"):
            check_webhook(standard(OLD), BODY, secrets)


def test_callbacks_are_verified_in_both_forms() -> None:
    for form in (None, "sha256"):
        headers = {"X-HITL-Signature": signature("ak_key", BODY, form)}
        check_callback(headers, BODY, ["ak_other", "ak_key"])
        for wrong in (({}, BODY), (headers, BODY + b" "), ({"x-hitl-signature": "sha256=zz"}, BODY)):
            with pytest.raises(BadSignature):
                check_callback(wrong[0], wrong[1], ["ak_key"])
        with pytest.raises(BadSignature):
            check_callback(headers, BODY, ["ak_other"])


def test_a_signed_result_is_verified_with_the_published_keys() -> None:
    ring, other = KeyRing(["a secret for the tests"]), KeyRing(["another secret for the tests"])
    result = signed(
        {"action": "approve", "data": {"n": 1.5, "ü": "é"}}, "review_1", "2026-01-01T00:00:00Z", ring, "http://x"
    )
    assert check_result("review_1", result, jwks(ring))
    value = result["signature"]["value"]
    wrong: list[tuple[str, Any, Any]] = [
        ("review_2", result, jwks(ring)),
        ("review_1", result | {"action": "reject"}, jwks(ring)),
        ("review_1", result | {"data": {}}, jwks(ring)),
        ("review_1", result, jwks(other)),
        ("review_1", result, {"keys": "none"}),
        ("review_1", {"action": "approve", "data": {}}, jwks(ring)),
        ("review_1", None, jwks(ring)),
        ("review_1", result | {"signature": result["signature"] | {"algorithm": "none"}}, jwks(ring)),
        ("review_1", result | {"signature": result["signature"] | {"value": value[:-2] + "AA"}}, jwks(ring)),
        ("review_1", result | {"signature": result["signature"] | {"value": value.replace("..", ".x.")}}, jwks(ring)),
        ("review_1", result | {"signature": {"value": "a.b"}}, jwks(ring)),
        ("review_1", result | {"signature": {"value": "[]..", "signed_at": ""}}, jwks(ring)),
    ]
    for case_id, changed, published in wrong:
        with pytest.raises(BadSignature):
            check_result(case_id, changed, published)


async def test_a_web_application_takes_webhooks_and_acts_once(server: Server, clients: Clients, tmp_path: Any) -> None:
    source_id = await source(server)
    (event,) = await decided(server, source_id)
    key = (await server.client("executor")).key
    did: list[DecisionEvent] = []
    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db", secrets=[OLD, NEW])

    async def webhook(request: Request) -> Response:
        return Response(status_code=await executor.receive(request.headers, await request.body(), did.append))

    app = Starlette(routes=[Route("/assent", webhook, methods=["POST"])])
    body = event.model_dump_json().encode()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://executor") as http:
        for secret, status in ((OLD, 204), (NEW, 204), ("whsec_" + base64.b64encode(b"no").decode(), 401)):
            headers = standard(secret, body=body, at=time.time(), message_id=event.event_id)
            assert status == (await http.post("/assent", content=body, headers=headers)).status_code
        other = json.dumps(json.loads(body) | {"source_id": "src_other"}).encode()
        assert 401 == (await http.post("/assent", content=other, headers=plain(OLD, other))).status_code
        for text, status in ((b'{"type": "test", "source_id": "x"}', 204), (b'{"type": "new"}', 400), (b"[]", 400)):
            assert status == (await http.post("/assent", content=text, headers=plain(OLD, text))).status_code
        nothing = b"no json"
        assert 401 == (await http.post("/assent", content=nothing, headers=plain(OLD, nothing))).status_code
    assert [event] == did
    assert isinstance(did[0], DecisionEvent)
