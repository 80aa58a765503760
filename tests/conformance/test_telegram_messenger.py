"""The port's suite, run against Telegram."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.telegram import TelegramAdapter
from bot.sandbox import Sandbox
from bot.sandbox.telegram import Message
from core.model import Address
from core.ports import Messenger
from tests.conformance.messenger import Chat, MessengerContract, Shown, a_card, a_notice
from tests.integration.telegram_support import FORUM, GROUP, PRIVATE, adapter_for
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
                methods={verb: "sendMessage" for verb in ("post", "notify", "remind")} | {"update": "editMessageText"},
                finds=False,
                shown=shown,
                told=lambda user: [message.text for message in sandbox.telegram.messages(int(user))],
                remove=remove,
                other=other,
            )
            for adapter in adapters:
                await adapter.stop(1)

    async def test_a_reminder_of_a_deleted_card_is_a_message_of_its_own(self, chat: Chat) -> None:
        card = await chat.messenger.post(HERE, a_card())
        chat.remove(card)
        await chat.messenger.remind(HERE, card, a_notice())

        (shown,) = chat.visible()
        assert "" == shown.below
        assert "Reminder: approval needed" in shown.text

    async def test_a_reminder_stays_in_its_topic(self, chat: Chat) -> None:
        topic = Address("telegram", f"{FORUM}/7")
        card = await chat.messenger.post(topic, a_card())
        await chat.messenger.remind(topic, card, a_notice())

        assert [7, 7] == [message.thread_id for message in chat.sandbox.telegram.messages(FORUM)]

    async def test_a_review_link_that_can_be_no_button_is_shown_as_text(self, chat: Chat) -> None:
        card = await chat.messenger.post(HERE, a_card())
        await chat.messenger.remind(HERE, card, a_notice(review_url="http://localhost:8080/en/hitl/review/r?token=t"))

        assert "Review: http://localhost:8080/en/hitl/review/r?token=t" in chat.visible()[-1].text
        assert () == chat.visible()[-1].buttons


def _as_seen(message: Message) -> Shown:
    rows = (message.markup or {}).get("inline_keyboard", [])
    mentions = (str(entity["user"]["id"]) for entity in message.entities if entity["type"] == "text_mention")
    return Shown(
        str(message.message_id),
        message.text,
        tuple(button["text"] for row in rows for button in row),
        str(message.reply_to or ""),
        tuple(mentions),
        tuple(entity["unix_time"] for entity in message.entities if entity["type"] == "date_time"),
    )
