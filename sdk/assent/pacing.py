"""When to try again. Pure but for `SystemClock`; the clock and the dice are arguments."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol

LONGEST_PAUSE = 3600.0  # whatever a server says
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


class Clock(Protocol):
    """Time in seconds: `now` since 1970, `monotonic` from anywhere but never back."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float, /) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from `base` up to `cap`, each shortened by up to a half so that many clients spread out.

    `patience`: for how long one request is tried again before its error is raised. All in seconds.
    """

    base: float = 0.5
    cap: float = 30.0
    patience: float = 60.0

    def pause(self, failures: int, told: float | None = None, *, luck: float = 0.0) -> float:
        """Seconds to wait after so many failures in a row, `luck` from [0, 1). What the server told is the least."""
        doubled: float = min(self.cap, self.base * 2 ** min(max(failures - 1, 0), 30))
        return max(doubled * (1 - luck / 2), min(told or 0.0, LONGEST_PAUSE))


def retry_after(text: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, section 10.2.3); None for none and for nonsense."""
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - datetime.fromtimestamp(now, UTC)).total_seconds()), LONGEST_PAUSE)
