"""Webhooks of sources: decision events pushed, signed and retried; secrets rotated; what admins see and can do."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from adapters.webhook import WebhookSender
from adapters.webhook.guarded import GuardedHttp
from assent.errors import BadSignature
from assent.signatures import check_webhook
from core.couriers import Courier
from core.deliveries import Deliveries
from core.oracles import Oracles
from core.sealing import KeyRing
from core.webhooks import decisions
from tests.support.databases import rows
from tests.support.dump import everything
from tests.support.gates import as_superuser
from tests.support.post import DEVELOPMENT, couriering
from tests.support.receiver import Received, Receiver, answer, held, receiver
from tests.support.server import SECRET, Client, Server, leaf, running, until

STRANGER = "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11"  # another tenant
KEY = "whsec_" + base64.b64encode(b"twenty-four bytes of key").decode()
PLAIN = "a-secret-of-another-kind"


@dataclass
class Office:
    """A server, a courier beside it, and those who use them."""

    url: str
    server: Server
    courier: Courier
    agent: Client
    admin: Client
    executor: Client

    async def source(self, url: str, mode: str = "WEBHOOK_AND_PULL", **webhook: Any) -> str:
        body = {"name": "Deploys", "delivery": {"mode": mode, "webhook": {"url": url, "secret": KEY} | webhook}}
        made = await self.admin.http.post("/sources", json=body)
        assert 201 == made.status_code, made.text
        found: str = made.json()["id"]
        return found

    async def decided(self, source: str, action: str = "confirm", **fields: Any) -> str:
        """The id of a case that was answered with that."""
        hitl = await self.agent.case(source_id=source, **fields)
        assert 200 == (await self.agent.tap(hitl, action)).status_code
        case_id: str = hitl["case_id"]
        return case_id

    async def get(self, path: str, **query: Any) -> Any:
        found = await self.executor.http.get(f"/sources/{path}", params=query)
        assert 200 == found.status_code, found.text
        return found.json()

    async def webhook(self, source: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.get(source))["delivery"]["webhook"]
        return found

    async def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        found = await self.admin.http.post(f"/sources/{path}", json=body)
        assert 200 == found.status_code, found.text
        return found.json()

    async def patch(self, source: str, body: dict[str, Any]) -> httpx.Response:
        return await self.admin.http.patch(f"/sources/{source}", json=body)

    async def work(self) -> int:
        return await self.courier.work()


@asynccontextmanager
async def office(database_url: str) -> AsyncIterator[Office]:
    async with running(database_url) as server:
        kinds = {"decision": decisions(KeyRing([SECRET]))}
        sender = WebhookSender(GuardedHttp(DEVELOPMENT), 5.0)
        deliveries = Deliveries(server.database, kinds, jitter=lambda: 0.0)
        courier = Courier(deliveries, sender, server.services.hub)
        clients = [await server.client(scope) for scope in ("agent", "admin", "executor")]
        yield Office(database_url, server, courier, *clients)


@pytest.fixture
async def there() -> AsyncIterator[Receiver]:
    async with receiver() as found:
        yield found


@pytest.fixture
async def here(sqlite_url: str) -> AsyncIterator[Office]:
    async with office(sqlite_url) as found:
        yield found


@pytest.fixture
async def everywhere(database_url: str) -> AsyncIterator[Office]:
    """On each database in turn."""
    async with office(database_url) as found:
        yield found


def genuine(request: Received, secret: str, body: bytes | None = None) -> tuple[bool, bool]:
    """Whether Standard Webhooks' own library and whoever checks the plain hex take a request (with another body)."""
    body = request.body if body is None else body
    try:
        Webhook(secret if secret.startswith("whsec_") else secret.encode()).verify(
            body, request.headers, json_parse=False
        )
        standard = True
    except WebhookVerificationError:
        standard = False
    plain = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() == request.headers["x-hilt-signature"]
    return standard, plain


# --- what is pushed


async def test_a_decision_is_pushed_as_it_is_pulled_and_anybody_can_check_where_it_comes_from(
    everywhere: Office, there: Receiver
) -> None:
    here = everywhere
    source = await here.source(there.url())
    case_id = await here.decided(source, metadata={"trace_id": "t-1"})
    assert (1, 0) == (await here.work(), await here.work())
    (request,) = there.received
    pulled = await here.executor.http.get(f"/sources/{source}/decision-events?wait=10")
    (event,) = pulled.json()["items"]
    assert case_id == event["case_id"]
    assert request.body in pulled.content  # byte for byte
    assert ("POST", "application/json") == (request.method, request.headers["content-type"])
    assert ("decision", event["event_id"], event["event_id"]) == tuple(
        request.headers[name] for name in ("x-hilt-event-type", "x-hilt-event-id", "webhook-id")
    )
    assert (True, True) == genuine(request, KEY)
    check_webhook(request.headers, request.body, [KEY])
    flipped = bytes([request.body[0] ^ 1]) + request.body[1:]
    assert (False, False) == genuine(request, KEY, flipped)
    assert (False, False) == genuine(request, "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode())
    with pytest.raises(BadSignature):
        check_webhook(request.headers, flipped, [KEY])
    assert [] == await Oracles(here.server.database, KeyRing([SECRET])).findings()


async def test_a_secret_of_another_kind_signs_with_its_own_bytes(here: Office, there: Receiver) -> None:
    source = await here.source(there.url(), secret=PLAIN)
    await here.decided(source)
    await here.work()
    assert (True, True) == genuine(there.received[0], PLAIN)
    check_webhook(there.received[0].headers, there.received[0].body, [PLAIN])


async def test_a_denial_a_withdrawal_and_an_expiry_are_pushed_too(everywhere: Office, there: Receiver) -> None:
    here = everywhere
    source = await here.source(there.url())
    await here.decided(source, "cancel")
    withdrawn = await here.agent.case(source_id=source)
    await here.agent.http.post(leaf(withdrawn, "cancel"))
    await here.agent.case(source_id=source, timeout="10s")
    here.server.clock.forward(seconds=11)

    async def all_three() -> bool:
        await here.work()
        return len(there.received) == 3

    await until(all_three)
    found = {event["action"]: event for event in (_event(request)["decision"] for request in there.received)}
    assert {"cancel": False, "cancelled": False, "skip": True} == {k: v["timed_out"] for k, v in found.items()}
    assert {"DENY"} == {event["type"] for event in found.values()}


def _event(request: Received) -> Any:
    return httpx.Response(200, content=request.body).json()


async def test_an_answer_that_may_be_revised_is_pushed_once_it_is_final(here: Office, there: Receiver) -> None:
    source = await here.source(there.url())
    await here.patch(source, {"grace_period": "1m"})
    hitl = await here.agent.case(source_id=source)
    await here.agent.submit(hitl, "confirm")
    assert 0 == await here.work()
    here.server.clock.forward(seconds=61)

    async def settled() -> bool:
        return await here.work() == 1

    await until(settled)
    assert 1 == len(there.received)


async def test_where_events_go_is_what_the_source_says(here: Office, there: Receiver) -> None:
    pulled = await here.source(there.url(), "PULL_ONLY")
    pushed = await here.source(there.url(), "WEBHOOK_ONLY")
    plain = (await here.admin.http.post("/sources", json={"name": "x"})).json()["id"]
    for source in (pulled, pushed, plain):
        await here.decided(source)
    assert 1 == await here.work()
    assert {pushed} == {_event(request)["source_id"] for request in there.received}
    assert 1 == len((await here.get(f"{pulled}/decision-events", wait=10))["items"])
    assert 409 == (await here.executor.http.get(f"/sources/{pushed}/decision-events")).status_code
    assert (
        "WEBHOOK_AND_PULL"
        == (
            await here.admin.http.post("/sources", json={"name": "x", "delivery": {"webhook": {"url": there.url()}}})
        ).json()["delivery"]["mode"]
    )  # both, unless something else is said


async def test_the_courier_is_woken_by_a_decision(here: Office, there: Receiver) -> None:
    source = await here.source(there.url())
    hub = here.server.services.hub
    hitl = await here.agent.case(source_id=source)
    with hub.subscribe("deliveries") as woken:
        await here.agent.tap(hitl, "confirm")
        assert await woken.wait(5)
    async with couriering(here.courier, hub):
        await until(lambda: len(there.received) == 1)


async def test_sensitive_answers_arrive_in_clear_and_nothing_the_receiver_says_of_them_is_kept(
    here: Office, there: Receiver
) -> None:
    there.then = answer(200, "you said: swordfish")
    source = await here.source(there.url())
    form = {"form": {"fields": [{"key": "word", "label": "Word", "type": "text", "sensitive": True}]}}
    hitl = await here.agent.case(type="input", prompt="The word?", context=form, source_id=source)
    assert 200 == (await here.agent.submit(hitl, "submit", {"word": "swordfish"})).status_code
    await here.work()
    assert {"word": "swordfish"} == _event(there.received[0])["result"]["data"]
    assert (True, True) == genuine(there.received[0], KEY)
    assert "swordfish" not in await everything(here.url)


# --- retries


async def test_every_attempt_has_the_same_bytes_and_the_sources_own_schedule(here: Office, there: Receiver) -> None:
    there.then = answer(302, location=there.url("/elsewhere"))
    source = await here.source(there.url(), max_attempts=3, retry_backoff_seconds=60)
    await here.decided(source)
    for wait in (60, 120):
        assert 1 == await here.work()
        here.server.clock.forward(seconds=wait - 2)
        assert 0 == await here.work()
        here.server.clock.forward(seconds=2)
    assert (1, 0) == (await here.work(), await here.work())
    assert ({"/hook"}, 3) == ({request.target for request in there.received}, len(there.received))
    assert 1 == len({(request.body, request.headers["webhook-id"]) for request in there.received})
    (delivery,) = (await here.get(f"{source}/deliveries"))["items"]
    assert ("failed", 3, 302) == (delivery["state"], delivery["attempts"], delivery["last_status"])
    assert [3, 2, 1] == [attempt["number"] for attempt in delivery["recent_attempts"]]
    endpoint = (await here.webhook(source))["endpoint"]
    assert (1, 0) == (endpoint["failed"], endpoint["waiting"])


async def test_a_4xx_is_final_and_shows(here: Office, there: Receiver) -> None:
    there.then = answer(422, "no such order; token=abcdef123456")
    source = await here.source(there.url())
    await here.decided(source)
    await here.work()
    (delivery,) = (await here.get(f"{source}/deliveries", state="failed"))["items"]
    (attempt,) = delivery["recent_attempts"]
    assert (422, "no such order; [redacted]") == (attempt["status"], attempt["response"])
    assert "active" == (await here.webhook(source))["endpoint"]["state"]


async def test_410_switches_the_webhook_off_until_an_admin_switches_it_on(here: Office, there: Receiver) -> None:
    there.script.append(answer(410))
    source = await here.source(there.url())
    first = await here.decided(source)
    await here.work()
    webhook = await here.webhook(source)
    assert (False, "disabled") == (webhook["enabled"], webhook["endpoint"]["state"])
    assert "410" in webhook["endpoint"]["reason"]
    await here.decided(source)
    assert 0 == await here.work()
    webhook = await here.webhook(source)
    assert (1, 1, None) == tuple(webhook["endpoint"][name] for name in ("waiting", "failed", "next_attempt_at"))
    on = (await here.patch(source, {"delivery": {"webhook": {"enabled": True}}})).json()["delivery"]["webhook"]
    assert (True, "active", None) == (on["enabled"], on["endpoint"]["state"], on["endpoint"]["reason"])
    assert 1 == await here.work()
    (failed,) = (await here.get(f"{source}/deliveries", state="failed"))["items"]
    assert first == failed["case_id"]
    assert {"replayed": 1} == await here.post(f"{source}/deliveries/replay", {"ids": [failed["event_id"]]})
    assert 1 == await here.work()
    assert [200] * 2 == [one["last_status"] for one in (await here.get(f"{source}/deliveries"))["items"]]


async def test_what_is_under_way_follows_a_changed_address_and_secret(here: Office, there: Receiver) -> None:
    there.script.append(answer(500))
    source = await here.source(there.url("/old"))
    await here.decided(source)
    await here.work()
    changed = await here.patch(source, {"delivery": {"webhook": {"url": there.url("/new"), "secret": PLAIN}}})
    assert there.url("/new") == changed.json()["delivery"]["webhook"]["url"]
    here.server.clock.forward(seconds=31)
    await here.work()
    old, new = there.received
    assert ("/old", "/new", old.body) == (old.target, new.target, new.body)
    assert old.headers["webhook-id"] == new.headers["webhook-id"]
    assert (False, True) == (genuine(new, KEY)[1], genuine(new, PLAIN)[1])


async def test_what_waits_is_not_pushed_once_the_source_is_only_pulled(here: Office, there: Receiver) -> None:
    source = await here.source(there.url(), "WEBHOOK_ONLY")
    await here.decided(source)
    assert "PULL_ONLY" == (await here.patch(source, {"delivery": {"mode": "PULL_ONLY"}})).json()["delivery"]["mode"]
    await here.work()
    assert [] == there.received
    (failed,) = (await here.get(f"{source}/deliveries", state="failed"))["items"]
    assert "PULL_ONLY" in failed["last_error"]
    assert 1 == len((await here.get(f"{source}/decision-events", wait=10))["items"])
    await here.patch(source, {"delivery": {"mode": "WEBHOOK_AND_PULL"}})
    await here.post(f"{source}/deliveries/replay", {"state": "failed"})
    await here.work()
    assert 1 == len(there.received)


# --- secrets


async def test_a_rotated_secret_signs_beside_the_old_one_for_a_while(everywhere: Office, there: Receiver) -> None:
    here = everywhere
    source = await here.source(there.url())
    second = (await here.post(f"{source}/webhook/rotate-secret", {"grace_seconds": 100}))["secret"]
    third = (await here.post(f"{source}/webhook/rotate-secret", {"grace_seconds": 200}))["secret"]
    await here.decided(source)
    await here.work()
    here.server.clock.forward(seconds=101)
    await here.decided(source)
    await here.work()
    here.server.clock.forward(seconds=100)
    await here.decided(source)
    await here.work()
    both, later, last = there.received
    assert 3 == len(both.headers["webhook-signature"].split(" "))
    assert [(True, False), (True, False), (True, True)] == [genuine(both, key) for key in (KEY, second, third)]
    assert [(False, False), (True, False), (True, True)] == [genuine(later, key) for key in (KEY, second, third)]
    assert [(False, False), (False, False), (True, True)] == [genuine(last, key) for key in (KEY, second, third)]


async def test_a_secret_of_ones_own_may_take_over_at_once(here: Office, there: Receiver) -> None:
    source = await here.source(there.url())
    await here.post(f"{source}/webhook/rotate-secret")
    told = await here.post(f"{source}/webhook/rotate-secret", {"secret": PLAIN, "grace_seconds": 0})
    assert {"secret_set": True, "old_secret_valid_until": None} == told
    assert told == await here.post(f"{source}/webhook/rotate-secret", {"secret": PLAIN})  # nothing to replace
    await here.decided(source)
    await here.work()
    assert [(False, False), (True, True)] == [genuine(there.received[0], key) for key in (KEY, PLAIN)]
    wrong = await here.admin.http.post(f"/sources/{source}/webhook/rotate-secret", json={"secret": "short"})
    assert (400, "secret") == (wrong.status_code, wrong.json()["error"]["details"]["field"])


async def test_a_secret_is_seen_once_when_it_is_made_up_and_never_read_back(here: Office, there: Receiver) -> None:
    webhook = {"url": there.url()}
    made = await here.admin.http.post("/sources", json={"name": "x", "delivery": {"webhook": webhook}})
    source, secret = made.json()["id"], made.json()["delivery"]["webhook"]["secret"]
    assert 32 == len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    rotated = (await here.post(f"{source}/webhook/rotate-secret"))["secret"]
    later = (await here.admin.http.post("/sources", json={"name": "y"})).json()["id"]
    added = (await here.patch(later, {"delivery": {"mode": "WEBHOOK_ONLY", "webhook": webhook}})).json()
    mine = await here.source(there.url())
    await here.decided(source)
    await here.work()
    known = (secret, rotated, added["delivery"]["webhook"]["secret"], KEY)
    assert 4 == len(set(known))
    answers = [
        await here.admin.http.get(path)
        for path in (
            "/sources",
            *(f"/sources/{one}{rest}" for one in (source, later, mine) for rest in ("", "/deliveries")),
        )
    ]
    answers.append(await here.patch(source, {"name": "z", "delivery": {"webhook": {"timeout_ms": 900}}}))
    for text in (*(one.text for one in answers), await everything(here.url)):
        assert [] == [one for one in known if one.removeprefix("whsec_") in text]
    assert '"secret_set":true' in answers[1].text
    assert genuine(there.received[0], rotated)[1]


# --- trying it out


async def test_a_test_is_sent_at_once_and_says_what_came_back(here: Office, there: Receiver) -> None:
    source = await here.source(there.url(), timeout_ms=300)
    await here.post(f"{source}/webhook/pause")  # a test goes out all the same
    there.script.extend(
        [answer(200, "hello token=abcdef123456"), answer(503, "busy"), answer(302, location=there.url())]
    )
    told = [await here.post(f"{source}/webhook/test") for _ in range(3)]
    assert [(True, 200, "hello [redacted]"), (False, 503, "busy"), (False, 302, None)] == [
        (one["accepted"], one["status"], one["response"]) for one in told
    ]
    assert [None, "the receiver answered 503", "the receiver answered 302"] == [one["error"] for one in told]
    assert 3 == len(there.received)  # nothing is tried again or followed
    assert {"test"} == {request.headers["x-hilt-event-type"] for request in there.received}
    assert [one["event_id"] for one in told] == [_event(request)["event_id"] for request in there.received]
    assert (True, True) == genuine(there.received[0], KEY)
    never = asyncio.Event()
    there.then = held(never)
    slow = await here.post(f"{source}/webhook/test")
    never.set()
    assert (False, None, "no whole answer came in time") == (slow["accepted"], slow["status"], slow["error"])
    assert slow["took_ms"] < 5_000
    assert [] == await rows(here.url, "SELECT * FROM deliveries")
    plain = (await here.admin.http.post("/sources", json={"name": "x"})).json()["id"]
    refused = await here.admin.http.post(f"/sources/{plain}/webhook/test")
    assert (400, "delivery.webhook") == (refused.status_code, refused.json()["error"]["details"]["field"])


# --- what admins see and can do


async def test_a_paused_webhook_gets_what_has_waited_once_it_is_resumed(everywhere: Office, there: Receiver) -> None:
    here = everywhere
    source = await here.source(there.url(), enabled=False)
    assert (False, "paused") == ((found := await here.webhook(source))["enabled"], found["endpoint"]["state"])
    await here.decided(source)
    assert 0 == await here.work()
    assert "active" == (await here.post(f"{source}/webhook/resume"))["delivery"]["webhook"]["endpoint"]["state"]
    assert 1 == await here.work()
    there.script.append(answer(500))
    await here.decided(source)
    await here.work()
    endpoint = (await here.webhook(source))["endpoint"]
    assert (1, 0, 500) == (endpoint["waiting"], endpoint["failed"], endpoint["last_attempt"]["status"])
    assert endpoint["next_attempt_at"] > endpoint["last_attempt"]["at"]
    paused = (await here.post(f"{source}/webhook/pause"))["delivery"]["webhook"]["endpoint"]
    assert ("paused", "paused by an admin", None) == (paused["state"], paused["reason"], paused["next_attempt_at"])
    here.server.clock.forward(hours=1)
    assert 0 == await here.work()


async def test_deliveries_are_listed_in_pages_and_replayed_by_id_or_by_period(
    everywhere: Office, there: Receiver
) -> None:
    here = everywhere
    there.then = answer(400)
    source, other = await here.source(there.url()), await here.source(there.url())
    cases = []
    for _ in range(5):
        cases.append(await here.decided(source))
        here.server.clock.forward(seconds=10)
    await here.decided(other)
    while await here.work():
        pass
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await here.get(f"{source}/deliveries", limit=2, after=cursor)
        assert len(page["items"]) <= 2
        found, cursor = [*found, *page["items"]], page["next_cursor"]
    assert cases[::-1] == [one["case_id"] for one in found]
    (foreign,) = (await here.get(f"{other}/deliveries"))["items"]
    there.then = answer(200)
    ids = [found[0]["id"], found[1]["event_id"], foreign["id"], "dlv_unknown"]
    assert {"replayed": 2} == await here.post(f"{source}/deliveries/replay", {"ids": ids})
    assert {"replayed": 0} == await here.post(f"{source}/deliveries/replay", {"ids": ids})
    period = {"from": found[4]["created_at"], "to": found[3]["created_at"]}
    assert {"replayed": 1} == await here.post(f"{source}/deliveries/replay", period)
    while await here.work():
        pass
    states = {one["case_id"]: one["state"] for one in (await here.get(f"{source}/deliveries"))["items"]}
    assert ["delivered", "failed", "failed", "delivered", "delivered"] == [states[case] for case in cases]
    assert {"replayed": 2} == await here.post(f"{source}/deliveries/replay", {"state": "failed"})
    assert 1 == (await here.webhook(other))["endpoint"]["failed"]


async def test_what_is_given_changes_and_the_rest_stays(here: Office, there: Receiver) -> None:
    source = await here.source(there.url(), max_attempts=7)
    before = await here.get(source)
    changed = await here.patch(
        source,
        {
            "name": "Releases",
            "notify": ["slack:C0NEW"],
            "reviewers": {"quorum": 2},
            "grace_period": "5m",
            "delivery": {"webhook": {"timeout_ms": 900}},
        },
    )
    now = changed.json()
    assert ("Releases", ["slack:C0NEW"], "5m", 2) == (
        now["name"], now["notify"], now["grace_period"], now["reviewers"]["quorum"],
    )  # fmt: skip
    assert before["delivery"]["webhook"] | {"timeout_ms": 900} == now["delivery"]["webhook"]
    assert now == await here.get(source)
    same = ("id", "description", "created_at", "signed_responses", "allow_images")
    assert [before[name] for name in same] == [now[name] for name in same]


async def test_what_is_wrong_with_a_change_is_named_and_nothing_changes(here: Office, there: Receiver) -> None:
    source = await here.source(there.url())
    plain = (await here.admin.http.post("/sources", json={"name": "x"})).json()["id"]
    before = [await here.get(one) for one in (source, plain)]
    wrong: list[tuple[str, dict[str, Any], str]] = [
        (source, {"id": "src_x"}, "id"),
        (source, {"name": ""}, "name"),
        (source, {"delivery": {"webhook": {"url": "https://192.168.0.1/"}}}, "delivery.webhook.url"),
        (source, {"delivery": {"webhook": {"url": "ftp://example.com/"}}}, "delivery.webhook.url"),
        (source, {"delivery": {"webhook": {"url": "https://user@example.com/"}}}, "delivery.webhook.url"),
        (source, {"delivery": {"webhook": {"secret": "x"}}}, "delivery.webhook.secret"),
        (source, {"require_full_review": 1}, "require_full_review"),
        (plain, {"delivery": {"mode": "WEBHOOK_ONLY"}}, "delivery.webhook"),
        (plain, {"delivery": {"webhook": {"timeout_ms": 900}}}, "delivery.webhook.url"),
    ]
    for where, body, named in wrong:
        told = await here.patch(where, body)
        assert (400, named) == (told.status_code, told.json()["error"]["details"]["field"]), body
    replays: list[dict[str, Any]] = [{}, {"ids": []}, {"ids": ["x"], "from": "2026-01-01T00:00:00Z"}, {"from": "soon"}]
    replays += [{"state": "delivered"}, {"since": "2026-01-01T00:00:00Z"}]
    for body in replays:
        told = await here.admin.http.post(f"/sources/{source}/deliveries/replay", json=body)
        assert 400 == told.status_code, body
    for query in ({"state": "lost"}, {"after": "p1"}, {"limit": "0"}, {"before": "x"}):
        assert 400 == (await here.executor.http.get(f"/sources/{source}/deliveries", params=query)).status_code
    assert 404 == (await here.admin.http.post(f"/sources/{plain}/webhook/pause")).status_code
    assert before == [await here.get(one) for one in (source, plain)]


ROUTES: list[tuple[str, str, dict[str, Any] | None]] = [
    ("PATCH", "", {"name": "Mine"}),
    ("POST", "/webhook/rotate-secret", {}),
    ("POST", "/webhook/test", {}),
    ("POST", "/webhook/pause", {}),
    ("POST", "/webhook/resume", {}),
    ("POST", "/deliveries/replay", {"state": "failed"}),
    ("GET", "/deliveries", None),
]


async def test_only_admins_change_webhooks_and_only_of_their_own_tenant(here: Office, there: Receiver) -> None:
    source = await here.source(there.url())
    stranger = await here.server.client("admin", STRANGER)
    reviewer = await here.server.client("reviewer")
    before = await everything(here.url)
    for method, path, body in ROUTES:
        foreign = [await stranger.http.request(method, f"/sources/{one}{path}", json=body) for one in (source, "src_x")]
        assert [404, 404] == [one.status_code for one in foreign]
        assert len({one.json()["error"]["message"] for one in foreign}) == 1
        for client in (reviewer, here.agent, *(() if method == "GET" else (here.executor,))):
            assert 403 == (await client.http.request(method, f"/sources/{source}{path}", json=body)).status_code
    assert [] == there.received
    assert before == await everything(here.url)


async def test_an_event_that_nothing_pushes_is_found(everywhere: Office, there: Receiver) -> None:
    here = everywhere
    url = here.url
    source = await here.source(there.url())
    oracles = Oracles(here.server.database, KeyRing([SECRET]))
    await here.decided(source)
    await as_superuser(url, "DELETE FROM deliveries")
    assert [] == await oracles.findings()  # it may have been decided while the source was being changed
    here.server.clock.forward(seconds=90)
    await here.decided(source)
    assert [] == await oracles.findings()
    await as_superuser(url, "DELETE FROM deliveries")
    (finding,) = await oracles.findings()
    (event,) = [row for row in await rows(url, "SELECT event_id, created_at FROM decision_events ORDER BY created_at")][
        1:
    ]
    assert ("events that nothing pushes", event["event_id"]) == (finding.oracle, finding.key)
    await here.patch(source, {"delivery": {"mode": "PULL_ONLY"}})
    assert [] == await oracles.findings()
