"""Slack keeps the promises of the messenger port."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from adapters.slack.messenger import SlackMessenger
from bot.sandbox import Sandbox
from core.model import Address
from core.ports import Messenger, SendFailed
from tests.conformance.messenger import Chat, MessengerContract, Shown, a_card, a_notice, refusal
from tests.integration.slack_support import APPROVALS, HERE, REVIEWER, mentions, settings_for, shown
from tests.support.chats import moments

METHODS = {
    "post": "chat.postMessage", "update": "chat.update", "notify": "chat.postEphemeral", "remind": "chat.postMessage",
}  # fmt: skip


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

    @pytest.mark.parametrize(("whom", "shown_in_channel"), [((), True), ((REVIEWER,), False), (("!here",), True)])
    async def test_a_reminder_that_calls_nobody_is_shown_in_the_channel_too(
        self, chat: Chat, whom: tuple[str, ...], shown_in_channel: bool
    ) -> None:
        card = await chat.messenger.post(HERE, a_card())
        reminder = await chat.messenger.remind(HERE, card, a_notice(mentions=whom))

        message = chat.sandbox.slack.world.message(APPROVALS, reminder)
        assert message is not None
        assert shown_in_channel is message.reply_broadcast
        assert (f"<@{REVIEWER}> " in message.text) is (not shown_in_channel)
        assert await chat.messenger.find(HERE, a_card()) == card, "a reminder is not taken for its card"

    async def test_in_a_direct_message_a_reminder_calls_whoever_it_is_for(self, chat: Chat) -> None:
        person = Address("slack", REVIEWER)
        card = await chat.messenger.post(person, a_card())
        await chat.messenger.remind(person, card, a_notice(mentions=("U0REVIEW2",)))

        assert (REVIEWER,) == chat.shown(f"D{REVIEWER[1:]}")[-1].mentions

    async def test_a_reminder_of_a_deleted_card_is_refused_for_good(self, chat: Chat) -> None:
        card = await chat.messenger.post(HERE, a_card())
        chat.remove(card)
        with pytest.raises(SendFailed) as raised:
            await chat.messenger.remind(HERE, card, a_notice())

        assert raised.value.permanent
        assert "deleted" in raised.value.message


def _messages(sandbox: Sandbox, channel: str) -> list[Shown]:
    return [
        Shown(
            one.ts,
            shown(one),
            tuple(button["text"]["text"] for button in one.buttons()),
            one.thread_ts,
            tuple(mentions(one.blocks)),
            tuple(moments(one.blocks)),
        )
        for one in sandbox.slack.messages(channel)
    ]
