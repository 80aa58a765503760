"""The test card: posted by the real adapter, and redrawn as finished once somebody has looked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from bot.doctor.findings import Finding, broken, ok, refused, warning
from bot.doctor.installed import NO_BOT_TOKEN
from bot.doctor.known import Known
from bot.messengers import has_slack, telegram_settings
from core.messages import Card
from core.model import Address
from core.ports import ChannelMoved, Messenger, SendFailed
from core.testcard import finished, new_test_card

Looked = Callable[[Address], Awaitable[None]]
_TOKENS = {"slack": "SLACK_BOT_TOKEN", "telegram": "TELEGRAM_BOT_TOKEN"}
_AGAIN = "Try again in a minute"
_INSTALL = "Install the app in that workspace again, at /slack/install"


@dataclass(frozen=True, slots=True)
class _Desk:
    """Who posts in a chat: `chat` as they know it, and what is written before it elsewhere (`T…/`)."""

    messenger: Messenger
    chat: Address
    prefix: str = ""

    def named(self, chat: Address) -> Address:
        return Address(chat.platform, self.prefix + chat.channel)


async def posted(known: Known, address: Address, looked: Looked) -> AsyncIterator[Finding]:
    """Post a test card there, wait until it was `looked` at, and redraw it as finished, whatever happens meanwhile.
    `known`: after a round, with the workspaces where the Slack app was installed.
    """
    name, about = f"test_card.{address.platform}", f"No card can be posted in {address}: "
    async with AsyncExitStack() as stack:
        try:
            desk = await stack.enter_async_context(_desk(known, address))
        except ValueError:
            yield replace(NO_BOT_TOKEN, name=name)
            return
        except SendFailed as failed:
            yield refused(name, failed.message, _AGAIN, about=about)
            return
        if desk is None:
            missing = _TOKENS[address.platform]
            yield broken(name, f"{address.platform.capitalize()} is not connected.", f"Set {missing}.")
            return
        card = new_test_card(_now())
        try:
            chat, message = await _post(desk, card)
        except SendFailed as failed:
            otherwise = _INSTALL if failed.permanent and desk.prefix else _AGAIN
            yield refused(name, failed.message, otherwise, about=about)
            return
        redrawn: SendFailed | None = None
        try:
            await looked(desk.named(chat))
        finally:
            try:
                await desk.messenger.update(chat, message, finished(card, _now()))
            except SendFailed as failed:
                redrawn = failed
        if redrawn is None:
            yield ok(name, f"The card “Test card” was posted in {address}, and redrawn as finished.")
        else:
            words = f"The card “Test card” was posted in {address}, but not redrawn: {redrawn.message}."
            yield warning(name, words, "Delete it by hand; it asks nothing.")


async def _post(desk: _Desk, card: Card) -> tuple[Address, str]:
    """Where it stands, as its messenger knows the chat, and which message it is."""
    try:
        return desk.chat, await desk.messenger.post(desk.chat, card)
    except ChannelMoved as moved:  # a name, or a group with a new number
        there = Address(desk.chat.platform, moved.new_channel)
        return there, await desk.messenger.post(there, card)


@asynccontextmanager
async def _desk(known: Known, address: Address) -> AsyncIterator[_Desk | None]:
    """The real messenger, connected; None when its token is not set. Raises SendFailed for a workspace of Slack that is
    not connected.
    """
    settings = known.settings
    async with AsyncExitStack() as stack:
        if address.platform == "slack" and has_slack(settings):
            from bot.doctor.workspaces import Workspaces

            workspaces = await stack.enter_async_context(Workspaces(known))
            health, chat = await workspaces.at(address)
            yield _Desk(health, chat, address.channel.removesuffix(chat.channel))
        elif address.platform == "telegram" and settings.telegram_bot_token is not None:
            from adapters.telegram.health import TelegramHealth

            token = settings.telegram_bot_token.get_secret_value()
            telegram = TelegramHealth(telegram_settings(settings, token, known.url))
            stack.push_async_callback(telegram.end)
            yield _Desk(telegram, address)
        else:
            yield None


def _now() -> int:
    return time.time_ns() // 1_000_000
