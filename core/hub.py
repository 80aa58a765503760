"""Wake-ups inside one process. They only save waiting: whoever waits also re-scans, so a lost one costs at most a
second.

Keys are plain strings (`case:<id>`, `events:<source>`, `cards:slack`, `seal`). A database that joins several processes
(PostgreSQL) hears of local wakes through `relay` and brings remote ones in through `wake(..., local=False)`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERYBODY = "*"  # besides its own keys, whoever wants to be woken at a stop or after a gap subscribes to this


class Subscription:
    """One waiter. `wait` returns True when any of its keys was woken since the last wait."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def taken(self) -> bool:
        """As `wait` without waiting: whether any of its keys was woken since the last time."""
        woken = self._event.is_set()
        if woken:
            self._event.clear()
        return woken

    async def wait(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Hub:
    def __init__(self) -> None:
        self._waiting: dict[str, set[Subscription]] = {}
        self.relay: Callable[[tuple[str, ...]], None] | None = None

    def wake(self, *keys: str, local: bool = True) -> None:
        for key in keys:
            for waiter in self._waiting.get(key, ()):
                waiter.set()
        if local and self.relay is not None and keys:
            self.relay(keys)

    def wake_everybody(self) -> None:
        """After a gap in which remote wakes may have been lost."""
        for waiters in self._waiting.values():
            for waiter in waiters:
                waiter.set()

    def watch(self, *keys: str) -> Subscription:
        """A subscription for as long as the hub lives."""
        waiter = Subscription()
        for key in keys:
            self._waiting.setdefault(key, set()).add(waiter)
        return waiter

    @contextmanager
    def subscribe(self, *keys: str) -> Iterator[Subscription]:
        waiter = self.watch(*keys)
        try:
            yield waiter
        finally:
            for key in set(keys):
                waiters = self._waiting[key]
                waiters.discard(waiter)
                if not waiters:
                    del self._waiting[key]

    def watched(self, prefix: str) -> list[str]:
        """The keys with this prefix that somebody waits for, so that one query can re-scan for all of them."""
        return [key for key in self._waiting if key.startswith(prefix)]
