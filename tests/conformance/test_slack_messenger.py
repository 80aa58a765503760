"""Slack keeps the promises of the messenger port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.slack.messenger import SlackMessenger
from bot.sandbox import Sandbox
from core.model import Address
from core.ports import Messenger
from tests.conformance.messenger import Chat, MessengerContract, Shown, refusal
from tests.integration.slack_support import APPROVALS, HERE, REVIEWER, settings_for, shown

METHODS = {"post": "chat.postMessage", "update": "chat.update", "notify": "chat.postEphemeral"}


class TestSlack(MessengerContract):
    @pytest.fixture
    async def chat(self) -> AsyncIterator[Chat]:
        async with Sandbox.running() as sandbox:
            messenger = SlackMessenger(settings_for(sandbox))
            await messenger.start()

            def remove(message: str) -> None:
                found = sandbox.slack.world.message(APPROVALS, message)
                assert found is not None
                sandbox.slack.world.remove(found)

            def other(token: str | None, base_url: str | None) -> Messenger:
                ours = sandbox.slack.app.bot_token, sandbox.slack.base_url
                return SlackMessenger(settings_for(sandbox, bot_token=token or ours[0], base_url=base_url or ours[1]))

            yield Chat(
                sandbox=sandbox,
                messenger=messenger,
                here=HERE,
                nowhere=Address("slack", "C0NOWHERE"),
                person=REVIEWER,
                onlooker="U0REVIEW2",
                methods=METHODS,
                finds=True,
                shown=lambda channel: _messages(sandbox, channel),
                told=lambda user: [notice.text for notice in sandbox.notices(user)],
                remove=remove,
                other=other,
            )
            await messenger.close()

    async def test_nobody_can_be_told_something_in_a_channel_that_does_not_exist(self, chat: Chat) -> None:
        failed = await refusal(chat, "notify", chat.nowhere)

        assert failed.permanent
        assert len(failed.message) > 20, "say what to do"


def _messages(sandbox: Sandbox, channel: str) -> list[Shown]:
    return [
        Shown(one.ts, shown(one), tuple(button["text"]["text"] for button in one.buttons()))
        for one in sandbox.slack.messages(channel)
    ]
