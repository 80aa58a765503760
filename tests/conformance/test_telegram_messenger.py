"""The port's suite, run against Telegram."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.telegram import TelegramAdapter
from bot.sandbox import Sandbox
from bot.sandbox.telegram import Message
from core.model import Address
from core.ports import Messenger
from tests.conformance.messenger import Chat, MessengerContract, Shown
from tests.integration.telegram_support import GROUP, PRIVATE, adapter_for
from tests.support.cores import a_core

HERE, NOWHERE, PERSON, ONLOOKER = Address("telegram", str(GROUP)), Address("telegram", "-99"), str(PRIVATE), "1003"


class TestTelegram(MessengerContract):
    @pytest.fixture(autouse=True)
    def _durations_as_the_sdk_will_give_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PTB_TIMEDELTA", "true")

    @pytest.fixture
    async def chat(self, sqlite_url: str) -> AsyncIterator[Chat]:
        async with Sandbox.running() as sandbox, a_core(sqlite_url) as core:
            adapters: list[TelegramAdapter] = []

            def other(token: str | None, base_url: str | None) -> Messenger:
                given = {"bot_token": token, "base_url": base_url}
                adapters.append(adapter_for(core, sandbox, **{name: value for name, value in given.items() if value}))
                return adapters[-1].messenger

            def shown(channel: str) -> list[Shown]:
                return [_as_seen(message) for message in sandbox.telegram.messages(channel)]

            def remove(message: str) -> None:
                found = sandbox.telegram.world.message(GROUP, int(message))
                assert found is not None
                sandbox.telegram.world.messages.remove(found)

            yield Chat(
                sandbox=sandbox,
                messenger=other(None, None),
                here=HERE,
                nowhere=NOWHERE,
                person=PERSON,
                onlooker=ONLOOKER,
                methods={"post": "sendMessage", "update": "editMessageText", "notify": "sendMessage"},
                finds=False,
                shown=shown,
                told=lambda user: [message.text for message in sandbox.telegram.messages(int(user))],
                remove=remove,
                other=other,
            )
            for adapter in adapters:
                await adapter.stop(1)


def _as_seen(message: Message) -> Shown:
    rows = (message.markup or {}).get("inline_keyboard", [])
    return Shown(str(message.message_id), message.text, tuple(button["text"] for row in rows for button in row))
