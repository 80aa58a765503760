"""How fast a chat may be written to: a bucket per key that hands out moments instead of refusing. Pure; takes `now`."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `burst` messages at once, then one every `interval_ms`."""

    burst: int
    interval_ms: int


class Pacer:
    """Admits messages. Times are milliseconds of any one monotonic clock."""

    def __init__(self) -> None:
        self._full_at: dict[str, float] = {}  # when the bucket of a key is full again
        self._paused: dict[str, float] = {}
        self._promised: dict[str, float] = {}  # the last moment that was named to somebody who had to wait

    def reserve(self, key: str, rate: Rate, now: float, patience: float = math.inf) -> float:
        """How long to wait (ms, 0 for not at all) until the message may leave; up to `patience` it is counted, and the
        moment is the caller's own. Beyond it nothing is counted, the caller has to ask again then, and whoever asks
        next is named a later moment, so that a queue does not come back all at once."""
        start = max(now, self._paused.get(key, now))
        full_at = max(self._full_at.get(key, start), start) + rate.interval_ms
        ready_at = max(full_at - rate.burst * rate.interval_ms, start)
        if ready_at - now <= patience:
            self._full_at[key] = full_at
            self._forget(now)
            return ready_at - now
        if (promised := self._promised.get(key, now)) > now:
            ready_at = max(ready_at, promised + rate.interval_ms)
        self._promised[key] = ready_at
        return ready_at - now

    def pause(self, key: str, ms: float, now: float) -> None:
        """The platform asked for quiet on this key (429, Retry-After): nothing of it leaves before then."""
        self._paused[key] = max(self._paused.get(key, 0), now + ms)

    def _forget(self, now: float) -> None:
        if len(self._full_at) > 10_000:
            for moments in (self._full_at, self._paused, self._promised):
                for key in [key for key, at in moments.items() if at <= now]:
                    del moments[key]
