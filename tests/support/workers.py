"""A worker at work, as the product runs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.loops import Loop
from bot.working import DRAIN_SECONDS
from core.hub import Hub
from core.outbox import OutboxWorker


@asynccontextmanager
async def drawing(worker: OutboxWorker[Any], hub: Hub) -> AsyncIterator[None]:
    """What is due is sent until the block is left; what is under way then is finished."""
    stopping = asyncio.Event()
    key = f"{worker.kind}s"
    loop = asyncio.create_task(Loop(key, hub, worker.round, key).run(stopping))
    try:
        yield
    finally:
        stopping.set()
        hub.wake_everybody()
        await loop
        await worker.drain(DRAIN_SECONDS)
