"""Deadlines, reminders and retry times as values. Every function takes `now`; none reads a clock.

Times are integers, milliseconds since 1970-01-01T00:00Z; durations are milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from core.errors import InvalidInput

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

MIN_TIMEOUT = 10 * SECOND
MAX_TIMEOUT = 30 * DAY
DEFAULT_TIMEOUT = "24h"
REMINDER_BEFORE = 12 * HOUR

_SHORT = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_ISO = re.compile(r"P(?:(\d{1,6})W|(?:(\d{1,6})D)?(?:T(?=\d)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?)", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:", re.ASCII)  # fromisoformat takes more than RFC 3339
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def parse_duration(text: str, *, field: str = "timeout") -> int:
    """Milliseconds of `24h`, `7d`, `PT24H`, `P7D`, … Raises InvalidInput that names `field`."""
    if short := _SHORT.fullmatch(text):
        return int(short[1]) * _UNITS[short[2]]
    iso = _ISO.fullmatch(text)
    if iso is None or not any(iso.groups()):
        raise InvalidInput(f"{field} is not a duration; write it like 24h, 7d, PT24H or P7D", field=field)
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in iso.groups())
    return (weeks * 7 + days) * DAY + hours * HOUR + minutes * MINUTE + seconds * SECOND


def parse_timeout(text: str, *, field: str = "timeout") -> int:
    """A case's timeout in milliseconds, within the contract's 10 s to 30 d."""
    duration = parse_duration(text, field=field)
    if not MIN_TIMEOUT <= duration <= MAX_TIMEOUT:
        raise InvalidInput(f"{field} must be between 10s and 30d", field=field)
    return duration


def duration_words(ms: int) -> str:
    """A duration as the doors write it: `90s`, `5m`, `24h`; the largest unit that says it exactly."""
    unit = next((unit for unit in "hm" if ms and ms % _UNITS[unit] == 0), "s")
    return f"{ms // _UNITS[unit]}{unit}"


def default_reminders(created_at: int, expires_at: int) -> list[int]:
    """One reminder 12 h before expiry; none when the timeout is under 12 h."""
    if expires_at - created_at < REMINDER_BEFORE:
        return []
    return [expires_at - REMINDER_BEFORE]


def next_reminder(moments: Iterable[int], after: int, before: int) -> int | None:
    """The first of these moments that lies between `after` and `before`: what has passed is not made up for, and after
    the deadline nobody is reminded.
    """
    return min((moment for moment in moments if after < moment < before), default=None)


def iso(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, as every door writes times."""
    return f"{_second(ms // 1000)}.{ms % 1000:03d}Z"


@lru_cache(maxsize=1024)  # the same few seconds are written over and over
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def parse_instant(text: str, *, field: str) -> int:
    """Milliseconds of an RFC 3339 timestamp with an offset. Raises InvalidInput that names `field`."""
    try:
        instant = datetime.fromisoformat(text) if _INSTANT.match(text) else None
    except ValueError:
        instant = None
    if instant is None:
        raise InvalidInput(f"{field} is not a timestamp; write it like 2026-02-21T10:00:00Z", field=field)
    if instant.tzinfo is None:
        raise InvalidInput(f"{field} needs a time zone, for example a final Z", field=field)
    return (instant - _EPOCH) // timedelta(milliseconds=1)


# How long to wait after each attempt to deliver a webhook or callback but the last: 11 attempts within 73 hours.
DELIVERY_DELAYS = (
    30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR, 26 * HOUR,
)  # fmt: skip
DELIVERY_BACKOFF_CAP = DAY
RETRY_AFTER_CAP = HOUR
JITTER = 0.1  # at most so much longer (and never more than 5 min): what failed together does not come back together


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a delivery is tried, and how long is waited in between: the documented schedule, unless an endpoint
    has its own `max_attempts`, or a `backoff` that doubles from attempt to attempt up to a day.
    """

    max_attempts: int = len(DELIVERY_DELAYS) + 1
    backoff: int | None = None

    def delay_after(self, attempts: int, jitter: float, *, retry_after: int | None = None) -> int | None:
        """How long to wait after the `attempts`-th attempt (1-based); None when that was the last.

        `jitter`: drawn by the caller from [0, 1). `retry_after`: what the receiver asked for; waited for at least, but
        never longer than an hour on its account.
        """
        if attempts >= self.max_attempts:
            return None
        if self.backoff is None:
            delay = DELIVERY_DELAYS[min(attempts, len(DELIVERY_DELAYS)) - 1]
        else:
            delay = retry_delay(attempts, base=self.backoff, cap=DELIVERY_BACKOFF_CAP)
        delay += int(min(delay * JITTER, 5 * MINUTE) * jitter)
        return max(delay, min(retry_after or 0, RETRY_AFTER_CAP))


def retry_delay(attempt: int, *, base: int = SECOND, cap: int = 5 * MINUTE) -> int:
    """How long to wait after the `attempt`-th failure in a row (1-based): doubling from `base`, at most `cap`."""
    return min(cap, base << min(attempt - 1, 20))
