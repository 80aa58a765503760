"""Deadlines, reminders and retry times as values. Every function takes `now`; none reads a clock.

Times are integers, milliseconds since 1970-01-01T00:00Z; durations are milliseconds.
"""

from __future__ import annotations

import re
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


def default_reminders(created_at: int, expires_at: int) -> list[int]:
    """One reminder 12 h before expiry; none when the timeout is under 12 h."""
    if expires_at - created_at < REMINDER_BEFORE:
        return []
    return [expires_at - REMINDER_BEFORE]


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


def retry_delay(attempt: int, *, base: int = SECOND, cap: int = 5 * MINUTE) -> int:
    """How long to wait after the `attempt`-th failure in a row (1-based): doubling from `base`, at most `cap`."""
    return min(cap, base << min(attempt - 1, 20))
