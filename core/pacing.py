"""How fast a chat may be written to: a bucket per key that hands out moments instead of refusing. Pure; takes `now`."""

from __future__ import annotations

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

    def reserve(self, key: str, rate: Rate, now: float) -> float:
        """0: the message may leave now, and is counted. Else how long to wait (ms) before asking again; nothing is
        counted then, and whoever asks next is named a later moment, so that a queue does not come back all at once."""
        full_at = max(self._full_at.get(key, now), now) + rate.interval_ms
        ready_at = max(full_at - rate.burst * rate.interval_ms, self._paused.get(key, now))
        if ready_at <= now:
            self._full_at[key] = full_at
            self._forget(now)
            return 0.0
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
