"""POST /telegram/webhook: who may knock, what is accepted, and when it is confirmed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from bot.sandbox import Fault, Sandbox
from core.errors import AssentError
from core.words import EN
from tests.integration.sandbox_receiver import serving
from tests.integration.telegram_support import (
    FORUM,
    GROUP,
    PRIVATE,
    SECRET,
    adapter_for,
    card_in,
    closed_card,
    connected,
)
from tests.support.cores import Core, a_core
from tests.support.databases import rows

LATE = EN["late"]

HEADER = "X-Telegram-Bot-Api-Secret-Token"


@dataclass
class Scene:
    core: Core
    sandbox: Sandbox
    http: httpx.AsyncClient

    async def post(self, body: Any, secret: str | bytes | None = SECRET) -> httpx.Response:
        headers: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]
        if secret is not None:
            headers.append((HEADER.encode(), secret.encode() if isinstance(secret, str) else secret))
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(self.webhook_url, content=content, headers=headers)

    @property
    def webhook_url(self) -> str:
        webhook = self.sandbox.telegram.updates.webhook
        assert webhook is not None
        return webhook.url


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    async with _scene(database_url) as found:
        yield found


@pytest.fixture
async def door(sqlite_url: str) -> AsyncIterator[Scene]:
    """For what happens before any database is asked."""
    async with _scene(sqlite_url) as found:
        yield found


@asynccontextmanager
async def _scene(url: str, **options: Any) -> AsyncIterator[Scene]:
    async with (
        Sandbox.running() as sandbox,
        a_core(url) as core,
        connected(core, sandbox, webhook=True, **options),
        httpx.AsyncClient(trust_env=False) as http,
    ):
        sandbox.telegram.updates.retry_delays = (0.05,)
        yield Scene(core, sandbox, http)


async def test_the_webhook_is_set_with_its_secret_and_for_taps_and_messages_alone(scene: Scene) -> None:
    webhook = scene.sandbox.telegram.updates.webhook
    assert webhook is not None
    assert (SECRET, ["callback_query", "message"]) == (webhook.secret_token, webhook.allowed_updates)
    assert 100 == webhook.max_connections


@pytest.mark.parametrize(
    "secret", [None, "", "wrong", SECRET[:-1], SECRET + "x", b"\xff\xfe\xfd", "Schlüssel".encode()]
)
async def test_a_missing_or_wrong_secret_is_401(door: Scene, secret: str | bytes | None) -> None:
    await door.core.ask(GROUP)
    message = await card_in(door.sandbox, GROUP)
    tap = door.sandbox.telegram.prepare(GROUP, message.message_id, "Approve")
    answer = await door.post({"update_id": 1, "callback_query": tap.content}, secret)
    assert 401 == answer.status_code
    assert f"{HEADER} is missing or wrong" == answer.json()["error"]
    assert [] == await door.core.ledger()


async def test_a_forged_push_changes_nothing(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    prepared = scene.sandbox.telegram.prepare(GROUP, message.message_id, "Approve")
    assert 401 == (await scene.sandbox.telegram.forge(prepared, "wrong")).status
    assert 401 == (await scene.sandbox.telegram.forge(prepared, None)).status
    assert [] == await scene.core.ledger()


USER = {"id": 1002, "is_bot": False, "first_name": "Reviewer One"}
QUERY = {"id": "1", "from": USER, "chat_instance": "1", "data": "a:" + "x" * 22 + ":approve"}
SAID = {"message_id": 1, "date": 1, "chat": {"id": 1002, "type": "private"}, "from": USER, "text": "/web"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"\xff",
        b'{"update_id": NaN}',
        b'{"update_id": 1, "update_id": 2}',
        b'{"update_id": ' + b"9" * 5_000 + b"}",
        b"[" * 100_000,
        {},
        {"update_id": "1"},
        {"update_id": True},
        {"update_id": 1, "callback_query": 7},
        {"update_id": 1, "callback_query": {}},
        {"update_id": 1, "callback_query": QUERY | {"from": "somebody"}},
        {"update_id": 1, "callback_query": QUERY | {"from": USER | {"id": "1002"}}},
        {"update_id": 1, "callback_query": QUERY | {"from": USER | {"first_name": None}}},
        {"update_id": 1, "callback_query": QUERY | {"data": ["a"]}},
        {"update_id": 1, "callback_query": QUERY | {"message": "text"}},
        {"update_id": 1, "callback_query": QUERY | {"message": {"message_id": 1}}},
        {"update_id": 1, "message": {"text": "without the rest"}},
        {"update_id": 1, "message": "text"},
        {"update_id": 1, "message": SAID | {"from": USER | {"id": "1002"}}},
        {"update_id": 1, "message": SAID | {"from": USER | {"id": True}}},
        {"update_id": 1, "message": SAID | {"from": USER | {"first_name": 7}}},
        {"update_id": 1, "message": SAID | {"from": "somebody"}},
        {"update_id": 1, "message": SAID | {"text": ["/web"]}},
        {"update_id": 1, "message": SAID | {"chat": {"id": [], "type": "private"}}},
        {"update_id": 1, "message": SAID | {"chat": {}}},
        {"update_id": 1, "callback_query": QUERY | {"message": SAID | {"chat": {"id": {}, "type": "private"}}}},
        {"update_id": 1, "message": {"message_id": 1, "date": 10**15, "chat": {"id": 1, "type": "private"}}},
    ],
)
async def test_a_malformed_body_is_400_and_says_so(door: Scene, body: Any) -> None:
    answer = await door.post(body)
    assert 400 == answer.status_code
    assert answer.json()["error"]


async def test_a_body_over_one_mebibyte_is_413(door: Scene) -> None:
    assert 413 == (await door.post(b'{"update_id": 1, "x": "' + b"x" * 1024 * 1024 + b'"}')).status_code


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_post_is_answered(door: Scene, method: str) -> None:
    assert 405 == (await door.http.request(method, door.webhook_url)).status_code


async def test_updates_of_other_kinds_are_confirmed_and_ignored(door: Scene) -> None:
    assert 200 == (await door.post({"update_id": 1, "poll_answer_of_the_future": {"x": 1}})).status_code
    door.sandbox.telegram.say(PRIVATE, "")  # a sticker
    [[delivery]] = await door.sandbox.until(lambda: list(door.sandbox.telegram.updates.deliveries.values()))
    assert 200 == delivery.status
    assert [] == door.sandbox.calls("sendMessage")


async def test_what_the_sdk_fails_on_is_confirmed_and_does_not_come_again(
    door: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_application: object, _update: object) -> None:
        raise TypeError("unhashable type")

    with monkeypatch.context() as patched:
        patched.setattr("telegram.ext.Application.process_update", fails)
        assert 200 == (await door.post({"update_id": 1, "message": SAID})).status_code
    assert 200 == (await door.post({"update_id": 2, "message": SAID})).status_code


async def test_the_same_update_at_the_same_moment_is_one_tap(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    prepared = scene.sandbox.telegram.prepare(GROUP, message.message_id, "Approve")
    deliveries = await scene.sandbox.telegram.send_twice(prepared)
    assert [200, 200] == [delivery.status for delivery in deliveries]
    assert 1 == len(await scene.core.ledger())
    [notice] = await scene.sandbox.until(lambda: scene.sandbox.notices(PRIVATE))
    assert "Recorded: Approved." == notice.text


async def test_the_same_update_at_two_replicas_is_one_tap(database_url: str) -> None:
    async with (
        Sandbox.running() as sandbox,
        a_core(database_url) as one,
        a_core(database_url) as other,
        connected(one, sandbox, webhook=True),
        httpx.AsyncClient(trust_env=False) as http,
    ):
        first = Scene(one, sandbox, http).webhook_url
        await one.ask(GROUP)
        message = await card_in(sandbox, GROUP)
        query = sandbox.telegram.prepare(GROUP, message.message_id, "Approve").content
        async with connected(other, sandbox, webhook=True, worker=False):
            second = Scene(other, sandbox, http).webhook_url
            pushes = (
                http.post(url, json={"update_id": 5, "callback_query": query}, headers={HEADER: SECRET})
                for url in (first, second)
            )
            assert [200, 200] == [answer.status_code for answer in await asyncio.gather(*pushes)]
        assert first != second
        assert 1 == len(await one.ledger())


@pytest.fixture
async def hurried(database_url: str) -> AsyncIterator[Scene]:
    """No webhook waits for longer than a moment for its tap to be stored."""
    async with _scene(database_url, hold_seconds=0.6) as found:
        yield found


async def test_a_tap_that_is_not_stored_in_time_is_503_and_redelivered_and_stored_once(hurried: Scene) -> None:
    scene = hurried
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    async with scene.core.stalled() as end:
        tap = await scene.sandbox.telegram.tap(GROUP, message.message_id, "Approve")
        assert LATE == (await tap.answer()).text
        assert 503 == (await tap.delivered()).status
        await scene.sandbox.until(lambda: len(tap.deliveries) > 1)
        await end()
    await closed_card(scene.sandbox, message)
    await scene.sandbox.until(lambda: tap.deliveries[-1].status == 200)
    assert 1 == len(await scene.core.ledger())
    assert "Recorded: Approved." == (await card_in(scene.sandbox, PRIVATE)).text
    assert 1 == len(scene.sandbox.telegram.messages(PRIVATE))


async def test_a_tap_during_an_outage_is_delivered_again_until_it_is_stored(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.tap_desk.GIVE_UP_SECONDS", 0.3)  # the desk's patience, a minute otherwise
    async with (
        Sandbox.running() as sandbox,
        a_core(database_url) as core,
        connected(core, sandbox, webhook=True, worker=False, hold_seconds=0.5) as adapter,
    ):
        sandbox.telegram.updates.retry_delays = (0.05,)
        await core.ask(GROUP)
        [claimed] = await core.cards.claim("telegram", 1)
        message = int(await adapter.messenger.post(claimed.ref.address, claimed.card))
        await core.database.close()
        tap = await sandbox.telegram.tap(GROUP, message, "Approve")
        await sandbox.until(lambda: len(tap.deliveries) > 1)
        await core.database.start(core.hub)
        await sandbox.until(lambda: tap.deliveries[-1].status == 200)
        assert {503, 200} == {delivery.status for delivery in tap.deliveries}
        assert {LATE} == {notice.text for notice in sandbox.notices(PRIVATE)} - {"Recorded: Approved."}
        assert 1 == len(await core.ledger())


async def test_a_slow_answer_to_the_person_does_not_hold_the_confirmation_up(scene: Scene) -> None:
    held = scene.sandbox.faults.next("answerCallbackQuery", Fault.held())
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    tap = await scene.sandbox.telegram.tap(GROUP, message.message_id, "Approve")
    assert 200 == (await tap.delivered()).status
    held.release()


async def test_start_says_who_the_bot_is_and_the_address_of_the_chat(scene: Scene) -> None:
    scene.sandbox.telegram.start("Reviewer One")
    said = (await card_in(scene.sandbox, PRIVATE, "This is Assent")).text
    assert said.splitlines()[3:6] == ["telegram:1002", "", "Your name in a list of reviewers is the same."]
    scene.sandbox.telegram.say(GROUP, "/start@assent_sandbox_bot")
    assert (await card_in(scene.sandbox, GROUP, "This is Assent")).text.endswith("\ntelegram:-4001")
    scene.sandbox.telegram.say(FORUM, "/start", thread_id=8)
    reply = await card_in(scene.sandbox, FORUM, "This is Assent")
    assert reply.text.endswith(f"\ntelegram:{FORUM}/8")
    assert 8 == reply.thread_id


async def test_a_failure_nobody_foresaw_is_told_to_the_person(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    await rows(scene.core.url, "UPDATE cases SET terms = 'not json'")
    tap = await scene.sandbox.telegram.tap(GROUP, message.message_id, "Approve")
    answer = await tap.answer()
    assert answer.show_alert
    assert answer.text.startswith("Your tap could not be recorded")


async def test_before_the_start_and_after_the_stop_telegram_is_asked_to_come_again(database_url: str) -> None:
    app = Starlette()
    async with (
        Sandbox.running() as sandbox,
        a_core(database_url) as core,
        serving(app) as url,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        adapter = adapter_for(core, sandbox, webhook_secret=SECRET)
        app.router.routes.extend(adapter.routes)

        async def knock() -> int:
            headers = {HEADER: SECRET}
            return (await http.post(f"{url}/telegram/webhook", json={"update_id": 1}, headers=headers)).status_code

        assert 503 == await knock()
        await adapter.start()
        assert 200 == await knock()
        await adapter.stop(1)
        assert 503 == await knock()
        assert sandbox.telegram.updates.webhook is None  # without an address nothing is set


async def test_a_token_that_telegram_refuses_stops_the_start_in_words_without_the_token(database_url: str) -> None:
    async with Sandbox.running() as sandbox, a_core(database_url) as core:
        sandbox.telegram.token = "1:another"
        adapter = adapter_for(core, sandbox)
        sandbox.telegram.token = "1:changed"
        with pytest.raises(AssentError) as refused:
            await adapter.start()
        await adapter.stop(1)
    assert "Telegram does not accept the bot token; check TELEGRAM_BOT_TOKEN." == refused.value.message
    assert refused.value.__suppress_context__
    assert "1:another" not in repr(adapter._settings)


async def test_a_start_without_telegram_says_so_and_can_be_repeated(database_url: str) -> None:
    async with Sandbox.running() as sandbox, a_core(database_url) as core:
        adapter = adapter_for(core, sandbox)
        await sandbox.stop()
        with pytest.raises(AssentError, match="Telegram cannot be reached at http://127"):
            await adapter.start()
        await sandbox.start(int(sandbox.address.url.rpartition(":")[2]))
        await adapter.start()
        await adapter.stop(1)


async def test_a_webhook_address_that_telegram_refuses_is_told(database_url: str) -> None:
    async with Sandbox.running() as sandbox, a_core(database_url) as core:
        adapter = adapter_for(core, sandbox, webhook_secret=SECRET, webhook_url="http://assent.example.com/x")
        with pytest.raises(AssentError, match="an https url must be provided"):
            await adapter.start()
        await adapter.stop(1)
