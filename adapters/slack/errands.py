"""What is done beside an acknowledgement, and what has been taken in already.

Slack wants its acknowledgement within three seconds, we give it within one; all that takes longer is an errand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger()

ACK_SECONDS = 0.6  # of one second; the rest is for a busy machine
REMEMBERED = 4_096


class Errands:
    """The tasks that presses, commands and windows leave behind, and the deliveries that are known."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[Any]] = set()
        self._unacknowledged: set[asyncio.Task[Any]] = set()
        self._seen: dict[str, None] = {}  # deliveries, oldest first

    def is_new(self, delivery_id: str) -> bool:
        """Whether this delivery comes for the first time; from now on it has."""
        if delivery_id in self._seen:
            return False
        self._seen[delivery_id] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def forget(self, delivery_id: str) -> None:
        """Nothing came of it: the same delivery may be tried once more."""
        self._seen.pop(delivery_id, None)

    def run(self, errand: Coroutine[Any, Any, T], *, before_ack: bool = False) -> asyncio.Task[T]:
        """`before_ack`: its caller acknowledges when it is done, or after ACK_SECONDS."""
        task = asyncio.create_task(errand)
        for group in (self._under_way, self._unacknowledged)[: 1 + before_ack]:
            group.add(task)
            task.add_done_callback(group.discard)
        return task

    async def acknowledged(self) -> None:
        """Let what has arrived be acknowledged."""
        if self._unacknowledged:
            await asyncio.wait(self._unacknowledged, timeout=ACK_SECONDS)

    async def drain(self, seconds: float) -> None:
        """Let what is under way finish, and what people are to be told go out."""
        while self._under_way and seconds > 0:
            before = asyncio.get_running_loop().time()
            await asyncio.wait(self._under_way, timeout=seconds)
            seconds -= asyncio.get_running_loop().time() - before
