"""How fast a chat may be written to: a bucket per key that hands out moments instead of refusing. Pure; takes `now`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `burst` messages at once, then one every `interval_ms`."""

    burst: int
    interval_ms: int


class Pacer:
    """Reserves moments. Times are milliseconds of any one monotonic clock."""

    def __init__(self) -> None:
        self._free_at: dict[str, float] = {}  # when the bucket of a key is full again
        self._paused: dict[str, float] = {}

    def reserve(self, key: str, rate: Rate, now: float) -> float:
        """How long the caller has to wait (ms, 0 for not at all) before its message may leave; the moment is then its
        own.
        """
        full_at = max(self._free_at.get(key, now), now) + rate.interval_ms
        self._free_at[key] = full_at
        wait = max(0.0, full_at - rate.burst * rate.interval_ms - now, self._paused.get(key, 0) - now)
        if len(self._free_at) > 10_000:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now}
            self._paused = {name: at for name, at in self._paused.items() if at > now}
        return wait

    def pause(self, key: str, ms: float, now: float) -> None:
        """The platform asked for quiet on this key (429, Retry-After): nothing of it leaves before then."""
        self._paused[key] = max(self._paused.get(key, 0), now + ms)
