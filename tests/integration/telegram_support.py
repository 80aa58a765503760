"""Assent with its Telegram adapter, on a real database, beside the local Telegram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette

from adapters.telegram import TelegramAdapter, TelegramSettings
from bot.sandbox import Clock, Sandbox
from bot.sandbox.telegram import CallbackAnswer, Message
from core.leases import Lease
from core.notices import Notices
from core.workers import CardWorker, NoticeWorker
from tests.integration.sandbox_receiver import serving
from tests.support.cores import PUBLIC_URL, RING, Core, a_core
from tests.support.workers import drawing

GROUP, SUPERGROUP, FORUM, PRIVATE = -4001, -1001000000001, -1001000000002, 1002
SECRET = "a-webhook-secret"


def adapter_for(core: Core, sandbox: Sandbox, **more: Any) -> TelegramAdapter:
    """`more`: fields of the settings, and hold_seconds."""
    options = {name: more.pop(name) for name in ("hold_seconds",) if name in more}
    settings = TelegramSettings(**({"bot_token": sandbox.telegram.token, "base_url": sandbox.telegram.base_url} | more))
    return TelegramAdapter(
        settings, core.cards, core.desk, core.hub, Lease(core.database, "telegram-poller"), core.chat, **options
    )


@asynccontextmanager
async def connected(
    core: Core, sandbox: Sandbox, *, webhook: bool = False, worker: bool = True, notices: bool = False, **more: Any
) -> AsyncIterator[TelegramAdapter]:
    """A running adapter: taps by webhook (over real HTTP) or by polling; cards are drawn by a worker of its own, and
    with `notices` what stands beside them is sent.
    """
    app = Starlette()
    async with serving(app) as url, AsyncExitStack() as stack:
        if webhook:
            more |= {"webhook_secret": SECRET, "webhook_url": f"{url}/telegram/webhook"}
        adapter = adapter_for(core, sandbox, **more)
        app.router.routes.extend(adapter.routes)
        await adapter.start()
        if worker:
            await stack.enter_async_context(drawing(CardWorker(core.cards, adapter.messenger, core.hub), core.hub))
        if notices:
            beside = Notices(core.database, RING, PUBLIC_URL)
            noticing = NoticeWorker(beside, core.cards, adapter.messenger, core.hub)
            await stack.enter_async_context(drawing(noticing, core.hub))
        running = asyncio.create_task(adapter.run())
        try:
            if not webhook:
                await sandbox.until(lambda: sandbox.calls("getUpdates"))
            yield adapter
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await adapter.stop(5)


@dataclass
class Scene:
    """One process with its adapter, beside the local Telegram."""

    core: Core
    sandbox: Sandbox
    adapter: TelegramAdapter

    async def press(self, message: Message, button: str, user: str = "Reviewer One", data: str = "") -> CallbackAnswer:
        """Press a button and see what the bot answers."""
        tap = await self.sandbox.telegram.tap(message.chat, message.message_id, button, user, data)
        return await tap.answer()

    async def command(self, text: str, chat: int = PRIVATE, user: str = "Reviewer One", says: str = "") -> Message:
        """Send a command; the bot's next message in that chat."""
        before = len(self.said(chat))
        self.sandbox.telegram.say(chat, text, user)
        return await self.next(chat, before, says)

    def said(self, chat: int) -> list[Message]:
        """What the bot has said in a chat."""
        world = self.sandbox.telegram.world
        return [one for one in self.sandbox.telegram.messages(chat) if one.sender == world.bot]

    async def next(self, chat: int, after: int, says: str = "") -> Message:
        """The bot's newest message in a chat that says this, once there are more than `after`."""

        def look() -> Message | None:
            found = [one for one in self.said(chat)[after:] if says in one.text]
            return found[-1] if found else None

        return await self.sandbox.until(look)


@asynccontextmanager
async def a_scene(url: str, *, clock: Clock | None = None, **more: Any) -> AsyncIterator[Scene]:
    """`more`: as for `connected`. The chats take any number of messages: what is too fast is tried elsewhere."""
    async with (
        Sandbox.running(clock=clock, rate_limits=False) as sandbox,
        a_core(url) as core,
        connected(core, sandbox, **more) as adapter,
    ):
        sandbox.telegram.updates.retry_delays = (0.05,)
        yield Scene(core, sandbox, adapter)


async def card_in(sandbox: Sandbox, chat: int, saying: str = "", number: int = 1) -> Message:
    """The newest card in a chat, once there are `number` of them."""

    def look() -> Message | None:
        found = [one for one in sandbox.telegram.messages(chat) if saying in one.text]
        return found[-1] if len(found) >= number else None

    return await sandbox.until(look)


async def closed_card(sandbox: Sandbox, message: Message) -> Message:
    """The message once it has lost its buttons."""
    return await sandbox.until(lambda: message if message.markup is None else None)
