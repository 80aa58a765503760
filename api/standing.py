"""Requests that stay open (event streams, long polls): they end when the key that they came with is taken away.

A key is judged when a request begins. For those that last, one question per process and second asks for all their keys
together, and at once when a key was taken away somewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from core.access import WAKES, Keys
from core.errors import AssentError
from core.hub import EVERYBODY, Hub

log = structlog.get_logger()

RESCAN_SECONDS = 1.0


class Standing:
    """The requests that are open in this process, by their keys."""

    def __init__(self, keys: Keys, hub: Hub) -> None:
        self._keys = keys
        self._hub = hub
        self._open: dict[str, set[Callable[[], None]]] = {}
        self._watcher: asyncio.Task[None] | None = None

    @contextmanager
    def held(self, key_id: str, end: Callable[[], None]) -> Iterator[None]:
        """While a request with this key is open. `end` is called when the key is not known any more."""
        self._open.setdefault(key_id, set()).add(end)
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            ends = self._open[key_id]
            ends.discard(end)
            if not ends:
                del self._open[key_id]
            if not self._open:
                self._watcher.cancel()
                self._watcher = None

    async def _watch(self) -> None:
        with self._hub.subscribe(WAKES, EVERYBODY) as woken:
            while True:
                await woken.wait(RESCAN_SECONDS)
                asked = list(self._open)
                try:
                    known = await self._keys.known(asked)
                except AssentError as error:
                    log.warning("standing.again", error=error.message)
                    continue
                except Exception:
                    # Whoever is let in stays so until the question can be asked again.
                    log.exception("standing.failed")
                    continue
                for key_id in set(asked) - known:
                    for end in list(self._open.get(key_id, ())):
                        end()
