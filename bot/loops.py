"""Background work of a process: loops that wake up, do what there is, beat, and survive a database that is away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from core.errors import AssentError
from core.hub import EVERYBODY, Hub

log = structlog.get_logger()

RESCAN_SECONDS = 1.0
BEAT_SECONDS = 15.0  # a loop that has not come round for so long is not ready


class Loop:
    """Calls `work` whenever one of `keys` is woken, when it says when to come again, and every `every` seconds.

    `work` returns how many seconds it wants to sleep at the most: 0 when there is more to do at once.
    """

    def __init__(
        self,
        name: str,
        hub: Hub,
        work: Callable[[], Awaitable[float]],
        *keys: str,
        every: float = RESCAN_SECONDS,
        pause: float = 0.0,
    ) -> None:
        self.name = name
        self._hub = hub
        self._work = work
        self._keys = keys
        self._every = every
        self._pause = pause
        self._beat = time.monotonic()

    def beats(self) -> bool:
        return time.monotonic() - self._beat < BEAT_SECONDS + self._every

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; a round under way is finished."""
        with self._hub.subscribe(*self._keys, EVERYBODY) as woken:
            while not stopping.is_set():
                wait = min(self._every, await self._round())
                self._beat = time.monotonic()
                if wait > 0 and not stopping.is_set():
                    await woken.wait(wait)
                    # A short breath lets changes that come together be handled together.
                    await asyncio.sleep(self._pause)

    async def _round(self) -> float:
        try:
            return await self._work()
        except AssentError as error:
            log.warning("loop.again", loop=self.name, error=error.message)
        except Exception:
            # One bad row must not end the work on all others; it is tried again, and the log says so each time.
            log.exception("loop.failed", loop=self.name)
        return self._every
