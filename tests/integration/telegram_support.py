"""Assent with its Telegram adapter, on a real database, beside the local Telegram."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette

from adapters.telegram import TelegramAdapter, TelegramSettings
from bot.sandbox import Sandbox
from bot.sandbox.telegram import Message
from core.leases import Lease
from core.workers import CardWorker
from tests.integration.sandbox_receiver import serving
from tests.support.cores import Core
from tests.support.workers import drawing

GROUP, SUPERGROUP, FORUM, PRIVATE = -4001, -1001000000001, -1001000000002, 1002
SECRET = "a-webhook-secret"


def adapter_for(core: Core, sandbox: Sandbox, **more: Any) -> TelegramAdapter:
    """`more`: fields of the settings, and hold_seconds."""
    options = {name: more.pop(name) for name in ("hold_seconds",) if name in more}
    settings = TelegramSettings(**({"bot_token": sandbox.telegram.token, "base_url": sandbox.telegram.base_url} | more))
    return TelegramAdapter(
        settings, core.cards, core.desk, core.hub, Lease(core.database, "telegram-poller"), **options
    )


@asynccontextmanager
async def connected(
    core: Core, sandbox: Sandbox, *, webhook: bool = False, worker: bool = True, **more: Any
) -> AsyncIterator[TelegramAdapter]:
    """A running adapter: taps by webhook (over real HTTP) or by polling; cards are drawn by a worker of its own."""
    app = Starlette()
    async with serving(app) as url, AsyncExitStack() as stack:
        if webhook:
            more |= {"webhook_secret": SECRET, "webhook_url": f"{url}/telegram/webhook"}
        adapter = adapter_for(core, sandbox, **more)
        app.router.routes.extend(adapter.routes)
        await adapter.start()
        if worker:
            await stack.enter_async_context(drawing(CardWorker(core.cards, adapter.messenger, core.hub), core.hub))
        running = asyncio.create_task(adapter.run())
        try:
            yield adapter
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await adapter.stop(5)


async def card_in(sandbox: Sandbox, chat: int, saying: str = "", number: int = 1) -> Message:
    """The newest card in a chat, once there are `number` of them."""

    def look() -> Message | None:
        found = [one for one in sandbox.telegram.messages(chat) if saying in one.text]
        return found[-1] if len(found) >= number else None

    return await sandbox.until(look)


async def closed_card(sandbox: Sandbox, message: Message) -> Message:
    """The message once it has lost its buttons."""
    return await sandbox.until(lambda: message if message.markup is None else None)
