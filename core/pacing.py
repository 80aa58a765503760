"""How fast a chat may be written to. Pure; takes `now`.

A `Pacer` is what one process knows: a bucket per key that hands out moments instead of refusing. `Window`s are for what
all processes share: they are asked with the moments of the last messages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

MINUTE_MS = 60_000
MOST = 1_000  # messages that anybody would count
SURPLUS_MS = 1_000  # added to a platform's minute: messages do not all take equally long to arrive


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `burst` messages at once, then one every `interval_ms`; and never more than `per_minute`."""

    burst: int
    interval_ms: int
    per_minute: int | None = None

    def windows(self, *, spare: int = 0) -> tuple[Window, ...]:
        """The same as windows. `spare`: how many of a minute are left to others."""
        short = Window(self.burst, self.burst * self.interval_ms)
        if self.per_minute is None:
            return (short,)
        return short, Window(max(1, self.per_minute - spare), MINUTE_MS + SURPLUS_MS)


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` messages within any `ms`."""

    count: int
    ms: int


def free_at(moments: Sequence[int], windows: Sequence[Window], now: int) -> int:
    """When the next message may leave; `moments`, ascending, are those at which the last ones left."""
    filled = [moments[-window.count] + window.ms for window in windows if len(moments) >= window.count]
    return max([now, *moments[-1:], *filled])


def room(moments: Sequence[int], windows: Sequence[Window], now: int, most: int) -> int:
    """How many messages may leave at once, up to `most`."""
    free = 0
    while free < most and free_at([*moments, *[now] * free], windows, now) <= now:
        free += 1
    return free


def leaving(moments: Sequence[int], windows: Sequence[Window], now: int, until: int) -> int:
    """How many messages can leave until then, one after the other."""
    found = list(moments)
    while (at := free_at(found, windows, now)) <= until and len(found) < len(moments) + MOST:
        found.append(at)
    return len(found) - len(moments)


def remembered(moments: Sequence[int], windows: Sequence[Window]) -> list[int]:
    """As many of the moments as it takes to tell when the next message may leave."""
    return list(moments[-max(window.count for window in windows) :])


def a_minute(windows: Sequence[Window]) -> int:
    """How many messages a minute the windows let through in the long run."""
    return max(1, min(window.count * MINUTE_MS // window.ms for window in windows))


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
