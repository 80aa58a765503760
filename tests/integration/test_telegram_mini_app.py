"""Review as a Mini App: where Telegram lets cards open one, and that it knows who opened it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.telegram.sign_in import TelegramSignIn
from bot.sandbox import Sandbox
from core.model import Address, Policy
from core.reminders import Reminders
from core.schedule import HOUR
from tests.integration.telegram_support import GROUP, PRIVATE, Scene, a_scene, adapter_for, card_in
from tests.support.chats import bot_said
from tests.support.cores import a_card, a_core
from tests.support.databases import eventually, rows


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    async with a_scene(sqlite_url, mini_app=True, notices=True) as found:
        yield found


async def opened(scene: Scene, chat: int, button: str = "Review", saying: str = "") -> str:
    """What the button opens for Reviewer One."""
    message = await card_in(scene.sandbox, chat, saying)
    return (await scene.sandbox.telegram.tap(chat, message.message_id, button)).url


async def test_a_card_in_a_private_chat_opens_the_review_page_with_the_persons_verified_identity(scene: Scene) -> None:
    case = await scene.core.ask(PRIVATE)
    address = urlsplit(await opened(scene, PRIVATE))
    assert f"/en/hitl/review/{case.case.case_id}" == address.path
    assert f"token={case.review_token}" == address.query
    [data] = parse_qs(address.fragment)["tgWebAppData"]
    identity = TelegramSignIn(scene.sandbox.telegram.token).identity(data)
    assert identity is not None
    assert ("telegram:1002", "Reviewer One", True) == (identity.key, identity.display_name, identity.verified)


async def test_reminders_and_the_inbox_in_a_private_chat_open_it_as_well(scene: Scene) -> None:
    await scene.core.ask(PRIVATE, policy=Policy(("telegram:1002",)), timeout="24h", timeout_ms=24 * HOUR)
    await eventually(lambda: rows(scene.core.url, "SELECT 1 FROM cards WHERE message IS NOT NULL"))
    scene.core.clock[0] += 12 * HOUR
    await Reminders(scene.core.database, scene.core.hub).remind_due()
    assert "#tgWebAppData=" in await opened(scene, PRIVATE, saying="Reminder")
    told = await scene.command("/inbox", says="Waiting")
    tap = await scene.sandbox.telegram.tap(PRIVATE, told.message_id, "1 · Review")
    assert "#tgWebAppData=" in tap.url


async def test_in_a_group_the_plain_link_stands_because_telegram_refuses_mini_app_buttons_there(scene: Scene) -> None:
    case = await scene.core.ask(GROUP)
    assert case.review_token in await opened(scene, GROUP)


async def test_in_a_group_the_link_of_the_named_app_says_the_case_and_no_token(sqlite_url: str) -> None:
    async with a_scene(sqlite_url, mini_app=True, mini_app_name="review") as scene:
        case = await scene.core.ask(GROUP)
        address = f"https://t.me/assent_sandbox_bot/review?startapp={case.case.case_id}"
        assert address == await opened(scene, GROUP)


async def test_before_the_bot_has_connected_a_group_gets_the_plain_link(sqlite_url: str) -> None:
    async with Sandbox.running() as sandbox, a_core(sqlite_url) as core:
        adapter = adapter_for(core, sandbox, mini_app=True, mini_app_name="review")
        await adapter.messenger.post(Address("telegram", str(GROUP)), a_card())
        [card] = sandbox.telegram.messages(GROUP)
        assert str(a_card().review_url) in str(card.markup)
        await adapter.stop(1)


async def test_without_the_setting_review_is_a_page_in_the_browser(sqlite_url: str) -> None:
    async with a_scene(sqlite_url) as scene:
        case = await scene.core.ask(PRIVATE)
        address = await opened(scene, PRIVATE)
        assert address.endswith(case.review_token)
        assert "tgWebAppData" not in address


async def test_a_card_with_a_mini_app_decides_with_its_buttons_all_the_same(scene: Scene) -> None:
    await scene.core.ask(PRIVATE)
    card = await bot_said(scene.sandbox, PRIVATE)
    assert "Recorded: Approved." == (await scene.press(card, "Approve")).text
