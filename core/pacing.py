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
        self._free_at: dict[str, float] = {}  # when the bucket of a key is full again
        self._paused: dict[str, float] = {}
        self._turns: dict[str, float] = {}  # when the next of those who were sent away may come back

    def reserve(self, key: str, rate: Rate, now: float, patience: float = math.inf) -> float:
        """How long the caller has to wait (ms, 0 for not at all) before its message may leave.

        Up to `patience` the moment is then its own. Beyond it nothing is taken, and the answer says when to ask again;
        everybody is told another moment, so that a backlog does not come back all at once.
        """
        start = max(now, self._paused.get(key, 0))
        full_at = max(self._free_at.get(key, 0), start) + rate.interval_ms
        moment = max(start, full_at - rate.burst * rate.interval_ms)
        if moment - now > patience:
            moment = max(moment, self._turns.get(key, 0))
            self._turns[key] = moment + rate.interval_ms
            return moment - now
        self._free_at[key] = full_at
        if len(self._free_at) > 10_000:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now}
            self._paused = {name: at for name, at in self._paused.items() if at > now}
            self._turns = {name: at for name, at in self._turns.items() if at > now}
        return moment - now

    def pause(self, key: str, ms: float, now: float) -> None:
        """The platform asked for quiet on this key (429, Retry-After): nothing of it leaves before then."""
        self._paused[key] = max(self._paused.get(key, 0), now + ms)

    def _forget(self, now: float) -> None:
        if len(self._full_at) > 10_000:
            for moments in (self._full_at, self._paused, self._promised):
                for key in [key for key, at in moments.items() if at <= now]:
                    del moments[key]
