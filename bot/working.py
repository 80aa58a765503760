"""What works in a process beside its requests: the database, the workers, the messengers' connections.

Order of a stop, once requests have ended: messengers take no more updates; taps under way reach the ledger; workers
finish their round; messengers let go; the database closes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from bot.compose import Adapter, Assembly
from core.errors import AssentError

log = structlog.get_logger()

DRAIN_SECONDS = 10.0


@asynccontextmanager
async def working(assembly: Assembly) -> AsyncIterator[None]:
    """At work until the block is left. The database is migrated."""
    stopping = asyncio.Event()
    await assembly.database.start(assembly.hub)
    try:
        await assembly.services.keys.check_ring()
        if assembly.engine is not None:
            await assembly.engine.launch()
        loops = [asyncio.create_task(loop.run(stopping), name=loop.name) for loop in assembly.loops]
        messengers = [asyncio.create_task(_keep_connected(adapter, assembly)) for adapter in assembly.adapters]
        try:
            yield
        finally:
            for task in messengers:
                task.cancel()
            await asyncio.gather(*messengers, return_exceptions=True)
            await assembly.desk.drain(DRAIN_SECONDS)
            stopping.set()
            assembly.hub.wake_everybody()
            await _end(loops)
            await asyncio.gather(*(worker.drain(DRAIN_SECONDS) for worker in assembly.workers))
            stops = [adapter.stop(DRAIN_SECONDS) for adapter in assembly.adapters]
            await asyncio.gather(*stops, return_exceptions=True)
    finally:
        if assembly.engine is not None:
            await assembly.engine.stop()
        await asyncio.gather(*(directory.close() for directory in assembly.known), return_exceptions=True)
        await assembly.services.limits.close()
        await assembly.database.close()
        await assembly.watch.spans.close()


async def _end(loops: list[asyncio.Task[None]]) -> None:
    """Let the workers finish their round; one that does not is cut off, and its claims run out by themselves."""
    if loops:
        _, late = await asyncio.wait(loops, timeout=DRAIN_SECONDS)
        for task in late:
            log.warning("worker.cut_off", worker=task.get_name())
            task.cancel()


async def _keep_connected(adapter: Adapter, assembly: Assembly) -> None:
    """Start a messenger's connection and keep it; a platform that is away now may be back in a moment."""
    pause = 1.0
    while True:
        try:
            await adapter.start()
            await assembly.cards.try_again(adapter.messenger.platform)
            await adapter.run()
            return
        except AssentError as error:
            log.error("messenger.not_connected", platform=adapter.messenger.platform, reason=error.message)
        except Exception:
            # The other messenger and the API must go on whatever one SDK raises.
            log.exception("messenger.failed", platform=adapter.messenger.platform)
        await asyncio.sleep(pause)
        pause = min(60.0, pause * 2)
