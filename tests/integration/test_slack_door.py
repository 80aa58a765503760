"""The HTTP door lets only Slack through, and answers whatever arrives with words instead of an error of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.slack import SlackAdapter
from adapters.slack.connect import is_from_slack, is_recent
from adapters.slack.limits import BODY_BYTES
from bot.sandbox import Forgery, Sandbox
from tests.integration.slack_support import APPROVALS, ask, card_in, settings_for
from tests.support.cores import Core, a_core

SECRET = "sandbox-signing-secret"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
async def core(sqlite_url: str) -> AsyncIterator[Core]:
    async with a_core(sqlite_url) as found:
        yield found


def signed(body: bytes, stamp: str | None = None, kind: str = FORM) -> dict[str, str]:
    stamp = stamp or str(int(time.time()))
    digest = hmac.new(SECRET.encode(), b"v0:%s:%s" % (stamp.encode(), body), hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}", "Content-Type": kind}


async def post(sandbox: Sandbox, body: bytes, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.post(sandbox.slack.app.request_url, content=body, headers=headers)


@pytest.mark.usefixtures("over_http")
@pytest.mark.parametrize("forgery", list(Forgery))
async def test_a_forged_tap_is_turned_away(core: Core, sandbox: Sandbox, forgery: Forgery) -> None:
    await ask(core)
    card = await card_in(sandbox)
    tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve", forgery=forgery)

    assert 401 == tap.status
    assert [] == await core.ledger()
    assert [] == sandbox.notices()


@pytest.mark.usefixtures("over_http")
@pytest.mark.parametrize("name", ["/slack/interactions", "/slack/events"])
async def test_both_addresses_take_taps(core: Core, sandbox: Sandbox, name: str) -> None:
    url = sandbox.slack.app.request_url
    sandbox.slack.app.request_url = url.replace("/slack/interactions", name)
    await ask(core)
    card = await card_in(sandbox)

    assert 200 == (await sandbox.slack.tap(APPROVALS, card.ts, "Approve")).status


@pytest.mark.usefixtures("over_http")
async def test_slack_may_verify_the_address_of_events(sandbox: Sandbox) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "c0ffee"}).encode()
    answer = await post(sandbox, body, signed(body, kind="application/json"))

    assert 200 == answer.status_code
    assert {"challenge": "c0ffee"} == answer.json()


@pytest.mark.usefixtures("over_http")
async def test_a_body_of_more_than_a_mebibyte_is_refused(sandbox: Sandbox) -> None:
    body = b"payload=" + b"x" * BODY_BYTES
    answer = await post(sandbox, body, signed(body))

    assert 413 == answer.status_code


@pytest.mark.usefixtures("over_http")
async def test_a_long_body_that_does_not_say_so_is_refused_as_well(sandbox: Sandbox) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * (BODY_BYTES // 16)

    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(sandbox.slack.app.request_url, content=drip(), headers=signed(b""))

    assert 413 == answer.status_code


DEEP = "[" * 100_000
ODD = [
    b"",
    b"\xff\xfe",
    b"payload=",
    b"payload=%7B",
    b"payload=[]",
    b"payload=null",
    b"payload=7",
    b"payload=" + quote(DEEP).encode(),
    b"{",
    b"[]",
    b"{}",
    urlencode({"payload": json.dumps({"type": "block_actions"})}).encode(),
    urlencode({"payload": json.dumps({"type": "block_actions", "actions": [], "user": "me", "team": []})}).encode(),
    urlencode({"payload": json.dumps({"type": "block_actions", "actions": [{"action_id": "assent:x"}]})}).encode(),
    urlencode({"payload": json.dumps({"type": "view_submission", "view": 1})}).encode(),
    urlencode({"payload": json.dumps({"type": "shortcut", "callback_id": "x"})}).encode(),
    urlencode({"command": "/assent", "text": "history"}).encode(),
    json.dumps({"type": "event_callback", "event": {"type": "message"}, "authorizations": {}}).encode(),
]


@pytest.mark.usefixtures("over_http")
@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
async def test_signed_nonsense_is_never_a_failure_of_ours(sandbox: Sandbox, body: bytes) -> None:
    kind = "application/json" if body[:1] in b"{[" and body else FORM
    answer = await post(sandbox, body, signed(body, kind=kind))

    assert answer.status_code < 500, answer.text
    assert "Traceback" not in answer.text


@pytest.mark.usefixtures("over_http")
async def test_only_posts_are_taken(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        assert 405 == (await http.get(sandbox.slack.app.request_url)).status_code


async def test_socket_mode_opens_no_door(core: Core, sandbox: Sandbox) -> None:
    adapter = SlackAdapter(settings_for(sandbox, socket_mode=True), core.cards, core.desk, core.hub, core.chat)
    assert [] == adapter.routes
    await adapter.stop(1)


# The signature, as a rule


def signature(body: bytes, stamp: str) -> str:
    return signed(body, stamp)["X-Slack-Signature"]


@pytest.mark.parametrize("drift", [-300, 0, 300])
def test_a_signature_is_good_for_five_minutes(drift: int) -> None:
    stamp = str(1_800_000_000 + drift)
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature(b"body", stamp)}
    assert is_from_slack(SECRET, headers, b"body", 1_800_000_000)


@pytest.mark.parametrize("drift", [-301, 301, 10**9])
def test_a_signature_is_not_good_for_longer(drift: int) -> None:
    stamp = str(1_800_000_000 + drift)
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature(b"body", stamp)}
    assert not is_from_slack(SECRET, headers, b"body", 1_800_000_000)


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        " 1800000000",
        "1800000000 ",
        "+1800000000",
        "1_800_000_000",
        "1.8e9",
        "１８００００００００",
        "-1",
        "9" * 5_000,
    ],
)
def test_a_timestamp_is_plain_digits(stamp: str) -> None:
    assert not is_recent(stamp, 1_800_000_000)


@given(stamp=st.text(), sig=st.text(), body=st.binary(max_size=64))
@example("1800000000", "v0=" + "ü" * 64, b"")
@example("1800000000", "\ud800", b"")
def test_no_header_raises_and_none_is_believed(stamp: str, sig: str, body: bytes) -> None:
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": sig}
    assert not is_from_slack(SECRET, headers, body, 1_800_000_000)
