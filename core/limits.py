"""Rate limits: how many requests of one tenant a door takes, whichever replica is asked.

A count per request would be a round trip and a row that everybody waits for. So a process takes hits out of the shared
window a block at a time and counts them down in memory: together the processes never let in more than the limit, and
each leaves at most a block unused. Times are durations on the monotonic clock; when a window ends is its keeper's word.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import structlog

from core.errors import Unavailable

log = structlog.get_logger()

UNITS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}  # in seconds
DEFAULT = "6000/minute"
BLOCKS = 200  # a block is this part of the limit, or one hit
LAST_BLOCKS = 10  # and at most this part of what the window has left, so that little is stranded at its end
STOPGAP_SECONDS = 1.0  # how long nobody asks again for a window that cannot be counted in
MANY = 10_000  # tenants and doors that a process remembers before it forgets those whose windows have ended
_LIMIT = re.compile(r"([1-9][0-9]{0,8})/(second|minute|hour|day)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many requests in a window of so many seconds, which begins with its first request."""

    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Rates:
    """The limits of all doors; None: there is none."""

    others: Limit | None
    doors: Mapping[str, Limit | None] = field(default_factory=dict)

    def at(self, door: str) -> Limit | None:
        return self.doors.get(door, self.others)


OFF = Rates(None)


def parse_rates(text: str) -> Rates:
    """Limits as they are set: `6000/minute`, `off`, or a list like `6000/minute, tasks=600/minute, hitl=off`, where the
    part without a name (DEFAULT when there is none) is that of all other doors. Raises ValueError.
    """
    found: dict[str, Limit | None] = {}
    for part in text.split(","):
        door, named, limit = part.rpartition("=")
        door = door.strip()
        if door in found or (named and not door):
            raise ValueError("a door is named twice, or not at all")
        found[door] = _limit(limit.strip())
    others = found.pop("") if "" in found else _limit(DEFAULT)
    return Rates(others, found)


def _limit(text: str) -> Limit | None:
    if text == "off":
        return None
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(f"write off or a number, a slash and one of {', '.join(UNITS)}, like {DEFAULT}")
    return Limit(int(match[1]), UNITS[match[2]])


class Hit(NamedTuple):
    """What a window has counted, this time included, and the seconds until it ends."""

    counted: int
    left: float


class Windows(Protocol):
    """The keeper of the windows that processes share; its clock says when a window ends."""

    async def hit(self, key: str, seconds: int, amount: int, /) -> Hit:
        """Count `amount` more in the window of this key, which begins now if there is none. Raises Unavailable."""
        ...

    async def close(self) -> None: ...


class Taken(NamedTuple):
    """How a request stands. `reset`: whole seconds, rounded up, until the window ends."""

    limit: int
    remaining: int
    reset: int
    refused: bool


class Limits:
    """Counts requests per tenant and door. When the windows cannot be reached requests go on uncounted, each process
    letting in at most the limit every STOPGAP_SECONDS: to refuse everybody would be worse than to count nobody.
    """

    def __init__(
        self, rates: Rates = OFF, windows: Windows | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rates = rates
        self._windows = windows
        self._clock = clock
        self._shares: dict[tuple[str, str], _Share] = {}

    async def take(self, tenant_id: str, door: str) -> Taken | None:
        """Count one request, and say whether it is one too many. None where there is no limit."""
        share = self._shares.get((tenant_id, door)) or self._new_share(tenant_id, door)
        if share is None:
            return None
        if taken := share.take(self._clock()):
            return taken
        waiter: Waiter = asyncio.get_running_loop().create_future()
        share.waiting.append(waiter)
        if share.refilling is None:
            share.refilling = asyncio.create_task(self._refill(share))
        return await waiter

    async def close(self) -> None:
        await asyncio.gather(*(share.refilling for share in self._shares.values() if share.refilling))
        if self._windows is not None:
            await self._windows.close()

    def _new_share(self, tenant_id: str, door: str) -> _Share | None:
        limit = self._rates.at(door)
        if limit is None or self._windows is None:
            return None
        if len(self._shares) >= MANY:
            now = self._clock()
            self._shares = {about: share for about, share in self._shares.items() if not share.idle(now)}
        return self._shares.setdefault((tenant_id, door), _Share(f"{tenant_id}/{door}/{limit.seconds}", limit))

    async def _refill(self, share: _Share) -> None:
        """Serve whoever waits: one question at a time, for all who have come until then."""
        assert self._windows is not None
        while batch := share.still_waiting(self._clock()):
            amount, asked = share.wanted(len(batch), self._clock()), self._clock()
            try:
                hit = await self._windows.hit(share.key, share.limit.seconds, amount)
            except Unavailable as error:
                log.warning("limits.uncounted", window=share.key, error=error.message)
                share.bridge(self._clock())
            except Exception as error:  # noqa: BLE001 - it is raised in every request that waits
                for waiter in batch:
                    if not waiter.done():
                        waiter.set_exception(error)
                continue
            else:
                share.grant(hit, amount, asked, self._clock())
            for waiter in batch:
                if not waiter.done():  # whoever has gone away leaves a hit to somebody else
                    # Counted where the keeper counted it: also when the answer took longer than the window.
                    waiter.set_result(share.hand_out(self._clock()))
        share.refilling = None


Waiter = asyncio.Future[Taken]


class _Share:
    """What one process holds of one window."""

    def __init__(self, key: str, limit: Limit) -> None:
        self.key = key
        self.limit = limit
        self.refilling: asyncio.Task[None] | None = None
        self.waiting: list[Waiter] = []
        self._in_hand = 0
        self._counted = 0  # by the window, when it was last asked: at most the limit
        # The window ends between these two: an answer takes time. What is in hand is good until the earlier one, and
        # who was told to come again at the later one is not too early.
        self._good_until = 0.0
        self._over = 0.0

    def take(self, now: float) -> Taken | None:
        """None when the window must be asked."""
        if self._in_hand and now < self._good_until:
            return self.hand_out(now)
        return self._standing(now, refused=True) if self._spent and now < self._over else None

    def hand_out(self, now: float) -> Taken:
        if not self._in_hand:
            return self._standing(now, refused=True)
        self._in_hand -= 1
        return self._standing(now, refused=False)

    def still_waiting(self, now: float) -> list[Waiter]:
        """Whoever waits and cannot be served out of hand."""
        waiting, self.waiting = [waiter for waiter in self.waiting if not waiter.done()], []
        for n, waiter in enumerate(waiting):
            taken = self.take(now)
            if taken is None:
                return waiting[n:]
            waiter.set_result(taken)
        return []

    def wanted(self, waiting: int, now: float) -> int:
        left = self.limit.requests - (self._counted if now < self._over else 0)
        block = max(1, min(self.limit.requests // BLOCKS, left // LAST_BLOCKS))
        return min(max(block, waiting), self.limit.requests)

    def grant(self, hit: Hit, amount: int, asked: float, now: float) -> None:
        """What the window gave for `amount`: nothing beyond the limit."""
        left = min(max(hit.left, 0.0), self.limit.seconds)
        self._in_hand = min(amount, max(0, self.limit.requests - (hit.counted - amount)))
        self._counted = min(hit.counted, self.limit.requests)
        self._good_until, self._over = asked + left, now + left

    def bridge(self, now: float) -> None:
        """Go on for a moment as if there were no other process."""
        self._in_hand, self._counted = self.limit.requests, self.limit.requests
        self._good_until = self._over = now + STOPGAP_SECONDS

    def idle(self, now: float) -> bool:
        return self.refilling is None and now >= self._over

    @property
    def _spent(self) -> bool:
        return self._counted >= self.limit.requests

    def _standing(self, now: float, *, refused: bool) -> Taken:
        remaining = 0 if refused else self.limit.requests - self._counted + self._in_hand
        return Taken(self.limit.requests, remaining, max(1, math.ceil(self._over - now)), refused)
