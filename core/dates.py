"""What others say that the time is. Pure."""

from __future__ import annotations

from email.utils import parsedate_to_datetime


def ahead_of(date: str | None, now: float) -> int | None:
    """How far `now` (seconds since 1970) is ahead of an HTTP Date header, in milliseconds; None without one that can be
    read. The header has whole seconds, so the half of one is added.
    """
    if date is None:
        return None
    try:
        return round((now - parsedate_to_datetime(date).timestamp() - 0.5) * 1000)
    except (ValueError, OverflowError):
        return None
