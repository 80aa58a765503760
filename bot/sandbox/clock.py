"""The sandbox's two clocks in one object: elapsed time for limits and lifetimes, wall time for dates."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back. Rate limits and lifetimes use it."""
        ...

    def wall(self) -> float:
        """Seconds since 1970 UTC. Message timestamps and signatures use it."""
        ...


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()


class ManualClock:
    """A clock that moves only when told to: `clock.advance(150)` makes a callback query too old at once."""

    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self._elapsed = 0.0
        self._start = wall

    def monotonic(self) -> float:
        return self._elapsed

    def wall(self) -> float:
        return self._start + self._elapsed

    def advance(self, seconds: float) -> None:
        self._elapsed += seconds
