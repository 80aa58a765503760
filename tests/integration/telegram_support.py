"""Assent with its Telegram adapter, on a real database, beside the local Telegram."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg
from starlette.applications import Starlette

from adapters.telegram import TelegramAdapter, TelegramSettings
from bot.sandbox import Sandbox
from bot.sandbox.telegram import Message
from core.access import Keys
from core.cards import Cards
from core.gate import Gate
from core.hub import Hub
from core.leases import Lease
from core.ledger import Database, open_database
from core.messages import Button, Card
from core.model import Address, Draft, Opened, Policy, Principal
from core.sealing import KeyRing
from core.taps import TapDesk
from core.workers import CardWorker
from tests.integration.sandbox_receiver import serving

T = TypeVar("T")

GROUP, SUPERGROUP, FORUM, PRIVATE = -4001, -1001000000001, -1001000000002, 1002
SECRET = "a-webhook-secret"
RING = KeyRing(["a secret that seals in tests"])


@dataclass
class Core:
    """One process's core: what an adapter is composed with."""

    url: str
    database: Database
    hub: Hub
    gate: Gate
    cards: Cards
    desk: TapDesk
    principal: Principal
    clock: list[int] = field(default_factory=lambda: [0])
    """What the database's clock is ahead for this process, in milliseconds."""

    async def ask(self, *chats: int | str, policy: Policy | None = None, **more: Any) -> Opened:
        """Open a case with cards in these chats."""
        fields: dict[str, Any] = {
            "type": "approval",
            "prompt": "Deploy checkout 2.14.0?",
            "actions": ("approve", "reject"),
            "inline_actions": ("approve", "reject"),
            "notify": tuple(Address("telegram", str(chat)) for chat in chats),
            "policy": policy or Policy(("channel", "link")),
        }
        opened = await self.gate.open(self.principal, Draft(**(fields | more)))
        assert isinstance(opened, Opened)
        return opened

    async def ledger(self) -> list[dict[str, Any]]:
        """The rows of the ledger, read past the core."""
        return await rows(self.url, "SELECT * FROM human_interactions ORDER BY created_at")


@asynccontextmanager
async def a_core(url: str, **desk: Any) -> AsyncIterator[Core]:
    clock = [0]
    hub, database = Hub(), open_database(url, clock_offset=lambda: clock[0])
    await database.start(hub)
    try:
        gate = Gate(database, hub, RING)
        cards = Cards(database, gate, RING, "https://assent.example.com")
        _, principal = await Keys(database, RING).create("agent", None)
        yield Core(url, database, hub, gate, cards, TapDesk(cards, **desk), principal, clock)
    finally:
        await database.close()


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
    async with serving(app) as url:
        if webhook:
            more |= {"webhook_secret": SECRET, "webhook_url": f"{url}/telegram/webhook"}
        adapter = adapter_for(core, sandbox, **more)
        app.router.routes.extend(adapter.routes)
        await adapter.start()
        tasks = [asyncio.create_task(adapter.run())]
        if worker:
            tasks.append(asyncio.create_task(CardWorker(core.cards, adapter.messenger, core.hub).run()))
        try:
            yield adapter
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await adapter.stop(5)


@asynccontextmanager
async def stalled(url: str, seconds: float | None = None) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Nothing can be written for `seconds`, or until what is yielded is called; leaving the block waits for it."""
    over = asyncio.Event()

    async def until_over() -> None:
        try:
            async with asyncio.timeout(seconds):
                await over.wait()
        except TimeoutError:
            return

    begun = asyncio.Event()

    async def hold() -> None:
        if url.startswith("sqlite:"):
            connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=5)
            try:
                connection.execute("BEGIN EXCLUSIVE")
                begun.set()
                await until_over()
                connection.execute("ROLLBACK")
            finally:
                connection.close()
        else:
            session = await asyncpg.connect(url)
            try:
                async with session.transaction():
                    await session.execute("LOCK TABLE cases, human_interactions, cards, leases IN EXCLUSIVE MODE")
                    begun.set()
                    await until_over()
            finally:
                await session.close()

    async def end() -> None:
        over.set()
        await holding

    holding = asyncio.create_task(hold())
    await begun.wait()
    try:
        yield end
    except BaseException:
        over.set()
        raise
    finally:
        await holding


async def rows(url: str, sql: str) -> list[dict[str, Any]]:
    """What a statement gives, on a connection of its own."""
    if url.startswith("sqlite:"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql)]
        finally:
            connection.close()
    session = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await session.fetch(sql)]
    finally:
        await session.close()


async def eventually(look: Callable[[], Awaitable[T | None]], within: float = 10.0) -> T:
    """What `look` gives once it is true; for what no event announces (rows of a database)."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if found := await look():
            return found
        await asyncio.sleep(0.02)
    raise TimeoutError("it did not happen in time")


async def card_in(sandbox: Sandbox, chat: int, saying: str = "", number: int = 1) -> Message:
    """The newest card in a chat, once there are `number` of them."""

    def look() -> Message | None:
        found = [one for one in sandbox.telegram.messages(chat) if saying in one.text]
        return found[-1] if len(found) >= number else None

    return await sandbox.until(look)


async def closed_card(sandbox: Sandbox, message: Message) -> Message:
    """The message once it has lost its buttons."""
    return await sandbox.until(lambda: message if message.markup is None else None)


def a_card(**fields: Any) -> Card:
    """A card as the core makes them."""
    found: dict[str, Any] = {
        "card_id": "c" * 22,
        "case_id": "review_" + "d" * 22,
        "version": 1,
        "title": "Approval needed",
        "prompt": "Deploy checkout 2.14.0?",
        "facts": (("Asked by", "Deploy agent"),),
        "body": (),
        "buttons": (Button("approve", "Approve", "primary"), Button("reject", "Reject", "danger")),
        "review_url": "https://assent.example.com/en/hitl/review/review_1?token=t",
        "deadline": "21 Nov 2026, 10:00 UTC",
        "outcome": None,
        "digest": "0123456789ab",
    }
    return Card(**(found | fields))
