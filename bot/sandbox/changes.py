"""Tells whoever waits that something in the sandbox changed: tests, long polls, the face's live updates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes:
    """A counter that can be awaited. Everything that changes what the sandbox holds calls `touch()`."""

    def __init__(self) -> None:
        self.version = 0
        self.closed = False
        self._moved = asyncio.Event()

    def touch(self) -> None:
        self.version += 1
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def close(self) -> None:
        """Wake every waiter for good, so that the server can stop without waiting for long polls."""
        self.closed = True
        self.touch()

    async def after(self, version: int, within: float) -> int:
        """The version as soon as it is past `version`, or after `within` seconds as it is."""
        if self.version <= version and not self.closed:
            try:
                async with asyncio.timeout(within):
                    await self._moved.wait()
            except TimeoutError:
                return self.version
        return self.version

    async def until(self, look: Callable[[], T | None], within: float = 5.0) -> T:
        """What `look()` gives once it is true, looking after each change; TimeoutError after `within` s."""
        async with asyncio.timeout(within):
            while True:
                version = self.version
                found = look()
                if found:
                    return found
                if self.closed:
                    raise TimeoutError("the sandbox was stopped")
                if self.version == version:
                    await self._moved.wait()
