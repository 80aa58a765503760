"""A worker at work, as the product runs it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.loops import Loop
from bot.working import DRAIN_SECONDS
from core.hub import Hub
from core.outbox import OutboxWorker
from core.pacing import Pacer, Rate


class Noting(Pacer):
    """A pacer that keeps the moments (seconds of the monotonic clock) it gave away. A busy machine sends later than
    that, and two messages may so come closer together than they left.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []

    def reserve(self, key: str, rate: Rate, now: float, patience: float = math.inf) -> float:
        wait = super().reserve(key, rate, now, patience)
        if wait <= patience:
            self.moments.append((now + wait) / 1000)
        return wait

    def check_nothing_left_earlier(self, sent_at: list[float]) -> None:
        assert len(self.moments) == len(sent_at)
        resolution = 0.005  # of the event loop's timer
        assert all(sent > moment - resolution for moment, sent in zip(sorted(self.moments), sent_at, strict=True))


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
