"""The test card: posted by the real adapter, and redrawn as finished once somebody has looked."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from bot.doctor.findings import Finding, broken, ok, refused, warning
from bot.doctor.installed import NO_BOT_TOKEN
from bot.messengers import slack_settings, telegram_settings
from bot.settings import Settings
from core.messages import Card
from core.model import Address
from core.ports import ChannelMoved, Messenger, SendFailed
from core.testcard import finished, new_test_card

Looked = Callable[[Address], Awaitable[None]]
_TOKENS = {"slack": "SLACK_BOT_TOKEN", "telegram": "TELEGRAM_BOT_TOKEN"}


async def posted(settings: Settings, url: str, address: Address, looked: Looked) -> AsyncIterator[Finding]:
    """Post a test card there, wait until it was `looked` at, and redraw it as finished, whatever happens meanwhile."""
    name = f"test_card.{address.platform}"
    async with AsyncExitStack() as stack:
        try:
            messenger = await stack.enter_async_context(_messenger(settings, url, address.platform))
        except ValueError:
            yield replace(NO_BOT_TOKEN, name=name)
            return
        if messenger is None:
            missing = _TOKENS[address.platform]
            yield broken(name, f"{address.platform.capitalize()} is not connected.", f"Set {missing}.")
            return
        card, asked = new_test_card(_now()), address
        try:
            address, message = await _post(messenger, address, card)
        except SendFailed as failed:
            yield refused(name, failed.message, "Try again in a minute", about=f"No card can be posted in {asked}: ")
            return
        redrawn: SendFailed | None = None
        try:
            await looked(address)
        finally:
            try:
                await messenger.update(address, message, finished(card, _now()))
            except SendFailed as failed:
                redrawn = failed
        if redrawn is None:
            yield ok(name, f"The card “Test card” was posted in {asked}, and redrawn as finished.")
        else:
            words = f"The card “Test card” was posted in {asked}, but not redrawn: {redrawn.message}."
            yield warning(name, words, "Delete it by hand; it asks nothing.")


async def _post(messenger: Messenger, address: Address, card: Card) -> tuple[Address, str]:
    try:
        return address, await messenger.post(address, card)
    except ChannelMoved as moved:  # a name, or a group with a new number
        there = Address(address.platform, moved.new_channel)
        return there, await messenger.post(there, card)


@asynccontextmanager
async def _messenger(settings: Settings, url: str, platform: str) -> AsyncIterator[Messenger | None]:
    """The real one, connected; None when its token is not set."""
    slack, telegram = settings.slack_bot_token, settings.telegram_bot_token
    async with AsyncExitStack() as stack:
        if platform == "slack" and slack is not None:
            from adapters.slack.health import SlackHealth

            slack_messenger = SlackHealth(slack_settings(settings, url))
            await slack_messenger.start()
            stack.push_async_callback(slack_messenger.close)
            yield slack_messenger
        elif platform == "telegram" and telegram is not None:
            from adapters.telegram.health import TelegramHealth

            telegram_messenger = TelegramHealth(telegram_settings(settings, telegram.get_secret_value(), url))
            stack.push_async_callback(telegram_messenger.end)
            yield telegram_messenger
        else:
            yield None


def _now() -> int:
    return time.time_ns() // 1_000_000
