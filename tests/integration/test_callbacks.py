"""Callbacks: what an agent is told at its `hitl_callback_url`, and that it can tell who says so."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from adapters.webhook import WebhookSender
from adapters.webhook.guarded import GuardedHttp
from core.callbacks import callbacks
from core.couriers import Courier
from core.deliveries import Deliveries
from core.sealing import KeyRing
from core.signing import check, jwks
from tests.support.databases import rows
from tests.support.dump import everything
from tests.support.gates import World
from tests.support.post import DEVELOPMENT, Post, couriering
from tests.support.process import make_key, run_assent, serving
from tests.support.receiver import Received, Receiver, answer, held, receiver
from tests.support.server import SECRET, Client, Server, leaf, until
from tests.support.server import agent_fixture as agent_fixture
from tests.support.server import server_fixture as server_fixture


@pytest.fixture
async def there() -> AsyncIterator[Receiver]:
    async with receiver() as found:
        yield found


@asynccontextmanager
async def courier_of(server: Server) -> AsyncIterator[None]:
    """The courier role beside the server."""
    kinds = {"callback": callbacks(KeyRing([SECRET]), server.services.public_url)}
    sender = WebhookSender(GuardedHttp(DEVELOPMENT), 5.0)
    courier = Courier(Deliveries(server.database, kinds), sender, server.services.hub)
    async with couriering(courier, server.services.hub):
        yield


async def told(there: Receiver, count: int = 1) -> dict[str, Any]:
    """The newest of `count` callbacks."""
    await until(lambda: len(there.received) == count)
    found: dict[str, Any] = json.loads(there.received[-1].body)
    return found


def signed(request: Received, access_id: str) -> bool:
    """Checked as the contract writes it, from the raw body and the whole key."""
    mac = hmac.new(access_id.encode(), request.body, hashlib.sha256).digest()
    value = base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
    return request.headers["x-hitl-signature"] == f"algorithm=HS256, value={value}"


# --- end to end ---


async def test_an_agent_is_told_when_its_case_is_completed(server: Server, agent: Client, there: Receiver) -> None:
    hitl = await agent.case(hitl_callback_url=there.url("/hitl?for=me"))
    assert there.url("/hitl?for=me") == hitl["callback_url"]
    async with courier_of(server):
        assert 200 == (await agent.tap(hitl, "confirm", data={"note": "schön"})).status_code
        body = await told(there)
        polled = (await agent.poll(hitl)).json()
    assert list(body) == ["event", "case_id", "status", "timestamp", "completed_at", "result"]
    assert ("review.completed", hitl["case_id"], "completed") == (body["event"], body["case_id"], body["status"])
    assert polled["result"] == body["result"] == {"action": "confirm", "data": {"note": "schön"}}
    assert polled["completed_at"] == body["completed_at"]
    (request,) = there.received
    assert "/hitl?for=me" == request.target
    assert "application/json" == request.headers["content-type"]
    assert "schön".encode() in request.body
    assert signed(request, agent.key)
    assert not signed(request, agent.key.removeprefix("ak_"))
    assert request.headers["webhook-id"].startswith(f"{hitl['case_id']}-")
    assert request.headers["webhook-timestamp"].isdigit()


async def test_an_agent_is_told_when_its_case_expires(server: Server, agent: Client, there: Receiver) -> None:
    hitl = await agent.case(hitl_callback_url=there.url(), timeout="1h", default_action="reject")
    async with courier_of(server):
        server.clock.forward(hours=1.01)
        body = await told(there)
        polled = (await agent.poll(hitl)).json()
    assert list(body) == ["event", "case_id", "status", "timestamp", "default_action", "expired_at"]
    assert ("review.expired", "expired", "reject") == (body["event"], body["status"], body["default_action"])
    assert polled["expired_at"] == body["expired_at"]
    assert signed(there.received[0], agent.key)


async def test_an_agent_is_told_when_its_case_is_withdrawn(server: Server, agent: Client, there: Receiver) -> None:
    hitl = await agent.case(hitl_callback_url=there.url())
    async with courier_of(server):
        await agent.http.post(leaf(hitl, "cancel"), json={"reason": "no longer needed"})
        body = await told(there)
        polled = (await agent.poll(hitl)).json()
    assert list(body) == ["event", "case_id", "status", "timestamp", "reason", "cancelled_at"]
    assert ("review.cancelled", "cancelled", "no longer needed") == (body["event"], body["status"], body["reason"])
    assert polled["cancelled_at"] == body["cancelled_at"]


async def test_an_agent_is_told_of_a_page_answer_at_once_and_again_when_it_is_revised(
    server: Server, agent: Client, there: Receiver
) -> None:
    hitl = await agent.case(type="approval", hitl_callback_url=there.url(), grace_period="5m")
    async with courier_of(server):
        assert 200 == (await agent.submit(hitl, "approve")).status_code
        assert "approve" == (await told(there))["result"]["action"]
        assert 200 == (await agent.submit(hitl, "reject", {"reason": "on second thoughts"})).status_code
        body = await told(there, 2)
        assert ("review.completed", "reject") == (body["event"], body["result"]["action"])
        assert "on second thoughts" == body["result"]["data"]["reason"]
        server.clock.forward(hours=1)
    assert 2 == len({request.headers["webhook-id"] for request in there.received})


async def test_a_case_without_a_callback_url_tells_nobody(server: Server, agent: Client, there: Receiver) -> None:
    hitl = await agent.case()
    assert hitl["callback_url"] is None
    await agent.tap(hitl, "confirm")
    deliveries = Deliveries(server.database, {})
    assert [] == await deliveries.listing()


@pytest.mark.parametrize(
    "url",
    [
        "http://agent.example.com/hitl", "https://10.0.0.1/", "https://169.254.169.254/latest", "https://[::1]/",
        "https://user@agent.example.com/", "https://agent.example.com:22/", "ftp://agent.example.com/", "nonsense", "",
        "https://2130706433/", "https://localhost/", 7, ["https://agent.example.com/"], {},
    ],
    ids=str,
)  # fmt: skip
async def test_a_url_that_is_not_sent_to_is_refused_when_the_case_opens(agent: Client, url: Any) -> None:
    response = await agent.open(hitl_callback_url=url)
    assert 400 == response.status_code
    assert ("invalid_body", "hitl_callback_url") == (response.json()["error"], response.json()["field"])
    if isinstance(url, str) and len(url) > 12:
        assert url not in response.text


@pytest.mark.parametrize("url", ["https://agent.example.com/hitl", "http://localhost:9/", "http://127.0.0.1:9/x"])
async def test_a_url_that_may_be_sent_to_is_taken_without_looking_its_name_up(agent: Client, url: str) -> None:
    assert url == (await agent.case(hitl_callback_url=url))["callback_url"]


async def test_callbacks_are_among_the_transports(agent: Client) -> None:
    found = (await agent.http.get("/.well-known/hitl.json")).json()["hitl_protocol"]
    assert "callback" in found["capabilities"]["transports"]


# --- signatures ---


async def test_a_key_may_ask_for_the_public_specifications_signature(here: World, there: Receiver) -> None:
    raw, here.agent = await here.keys.create("agent", here.agent.tenant_id, callback_signature="sha256")
    post = Post(here)
    await post.closed(there.url())
    await post.work()
    (request,) = there.received
    expected = hmac.new(raw.encode(), request.body, hashlib.sha256).hexdigest()
    assert f"sha256={expected}" == request.headers["x-hitl-signature"]


async def test_the_key_that_opened_the_case_signs_whichever_others_there_are(here: World, there: Receiver) -> None:
    post = Post(here)
    keys = []
    for _ in range(2):
        raw, here.agent = await here.keys.create("agent", here.agent.tenant_id)
        keys.append(raw)
        await post.closed(there.url())
        await post.work()
    assert [True, False, False, True] == [signed(request, raw) for request in there.received for raw in keys]


async def test_a_signed_result_carries_its_signature_in_the_callback_too(here: World, there: Receiver) -> None:
    post = Post(here)
    source = await here.sources.create(
        here.agent, name="signs", description=None, mode="PULL_ONLY", notify=(), policy=None, signed=True
    )
    opened = await post.closed(there.url(), source_id=source.source_id)
    await post.work()
    shown = await here.views.case(opened.case.tenant_id, opened.case.case_id)
    assert shown.result is not None
    body = json.loads(there.received[0].body)
    assert check(opened.case.case_id, body["result"], jwks(here.ring)).good
    assert body["result"]["signature"]["value"] == shown.result["signature"]["value"]


# --- what is sensitive ---


async def test_sensitive_answers_are_sent_in_clear_and_kept_nowhere(here: World, there: Receiver) -> None:
    form = {"fields": [{"key": "pin", "label": "PIN", "type": "text", "sensitive": True}]}
    post = Post(here)
    there.script.append(answer(500, "I cannot take the PIN 4711-0815-topsecret"))
    there.then = answer(200, "thank you for 4711-0815-topsecret")
    opened = await here.open("input", context={"form": form}, callback_url=there.url())
    await here.answer(opened, "submit", {"pin": "4711-0815-topsecret"}, door="page")
    here.clock.forward(3_600_000)
    await post.work()
    here.clock.forward(3_600_000)
    await post.work()
    assert {"4711-0815-topsecret"} == {json.loads(request.body)["result"]["data"]["pin"] for request in there.received}
    assert 2 == len(there.received)
    assert 1 == len({request.body for request in there.received})
    assert "4711-0815-topsecret" not in await everything(here.url)
    attempts = await post.deliveries.attempts((await post.row(opened))["delivery_id"])
    assert [(500, None), (200, None)] == [(attempt.status, attempt.response) for attempt in attempts]


async def test_one_tenants_url_is_an_endpoint_of_its_own(here: World, there: Receiver) -> None:
    post = Post(here)
    mine = await post.closed(there.url())
    _, here.agent = await here.keys.create("agent", "6f6c3b62-57a0-4c9c-8a07-0f9d4c9a2f10")
    theirs = await post.closed(there.url(), sourced=False)
    assert (await post.row(mine))["endpoint_id"] != (await post.row(theirs))["endpoint_id"]
    assert 2 == len(await here.rows("endpoints"))


# --- the process ---


async def test_a_stop_waits_for_what_is_under_way_and_notes_it_down(database_url: str, there: Receiver) -> None:
    answered = asyncio.Event()
    there.then = held(answered)
    key = await make_key(database_url, "agent")
    async with serving(database_url) as process:
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
            body = {"type": "confirmation", "prompt": "Deploy?", "hitl_callback_url": there.url()}
            hitl = (await http.post(f"{process.url}/api/hitl/cases", json=body)).json()["hitl"]
            await http.post(leaf(hitl, "cancel"))
        await until(lambda: len(there.received) == 1)
        process.terminate()
        answered.set()
        assert 0 == await process.ended()
    (row,) = await rows(database_url, "SELECT state, attempts FROM deliveries")
    assert ("delivered", 1) == (row["state"], row["attempts"])


# --- the command line ---


async def test_operators_list_replay_pause_and_resume(here: World, there: Receiver) -> None:
    post = Post(here)
    there.then = answer(400)
    opened = await post.closed(there.url("/secret-path?token=secret-token"))
    await post.work()
    status, out, err = await run_assent("deliveries", "list", "--state", "failed", "--database", here.url, "--json")
    assert 0 == status, err
    row = json.loads(out)
    assert (opened.case.case_id, "failed", 400) == (row["case_id"], row["state"], row["last_status"])
    assert f"127.0.0.1:{there.port}" == row["endpoint"]["host"]
    assert "secret" not in out
    endpoint_id = row["endpoint"]["endpoint_id"]
    status, out, err = await run_assent("deliveries", "pause", endpoint_id, "--database", here.url)
    assert (0, "paused") == (status, (await post.endpoint(opened))["state"]), err
    status, out, err = await run_assent("deliveries", "resume", endpoint_id, "--database", here.url)
    assert (0, "active") == (status, (await post.endpoint(opened))["state"]), err
    status, out, err = await run_assent("deliveries", "replay", row["delivery_id"], "--database", here.url)
    assert (0, "1 delivery will be tried again.\n") == (status, out), err
    assert "waiting" == (await post.row(opened))["state"]
    status, out, err = await run_assent(
        "deliveries", "replay", "--since", "2020-01-01T00:00:00Z", "--database", here.url
    )
    assert (0, "0 deliveries will be tried again.\n") == (status, out), err
    assert 1 == (await run_assent("deliveries", "pause", "cb_unknown", "--database", here.url))[0]
    assert 2 == (await run_assent("deliveries", "replay", "--database", here.url))[0]


async def test_the_command_line_makes_keys_of_either_signature(here: World) -> None:
    create = ("keys", "create", "--scope", "agent", "--database", here.url)
    environment = {"ASSENT_SECRET_KEY": "a secret that only tests use"}
    status, _, err = await run_assent(*create, "--callback-signature", "sha256", environment=environment)
    assert 0 == status, err
    assert {None, "sha256"} == {row["callback_signature"] for row in await here.rows("api_keys")}
    assert 2 == (await run_assent(*create, "--callback-signature", "md5", environment=environment))[0]
