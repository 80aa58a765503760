"""A card worker at work, as the product runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.loops import Loop
from bot.serve import DRAIN_SECONDS
from core.hub import Hub
from core.workers import CardWorker


@asynccontextmanager
async def drawing(worker: CardWorker, hub: Hub) -> AsyncIterator[None]:
    """Cards are drawn until the block is left; what is under way then is finished."""
    stopping = asyncio.Event()
    loop = asyncio.create_task(Loop("cards", hub, worker.round, "cards").run(stopping))
    try:
        yield
    finally:
        stopping.set()
        hub.wake_everybody()
        await loop
        await worker.drain(DRAIN_SECONDS)
