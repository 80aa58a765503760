"""Moments as people write them (`friday 17:00`, `3d`, `2026-12-01`, `morgen`), read as milliseconds since 1970. Pure.

A day stands for its beginning: who is away until Monday is back on Monday.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from core.schedule import DAY, HOUR, MINUTE

WEEK = 7 * DAY
_UNITS = {
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes", "minuten"), MINUTE),
    **dict.fromkeys(("h", "hour", "hours", "std", "stunde", "stunden"), HOUR),
    **dict.fromkeys(("d", "day", "days", "tag", "tage", "tagen"), DAY),
    **dict.fromkeys(("w", "week", "weeks", "woche", "wochen"), WEEK),
}
_WEEKDAYS = {
    name[:length]: day
    for names, shortest in (
        (("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), 3),
        (("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonntag"), 2),
    )
    for day, name in enumerate(names)
    for length in (shortest, len(name))
}
_MONTHS = {
    name[:length].casefold(): number
    for names in (
        ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
         "November", "December"),
        ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober",
         "November", "Dezember"),
    )
    for number, name in enumerate(names, 1)
    for length in (3, len(name))
}  # fmt: skip
_SPAN = re.compile(r"(?:in )?([0-9]{1,4}) ?([a-z]+)", re.ASCII)
_TIME = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))? ?(am|pm|uhr)?", re.ASCII)
_ISO = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", re.ASCII)
_DOTTED = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})?", re.ASCII)
_NAMED = re.compile(r"([0-9]{1,2})\.? ([^\W\d_]+)\.?(?: ([0-9]{4}))?")
_NAMED_FIRST = re.compile(r"([^\W\d_]+)\.? ([0-9]{1,2})(?:,? ([0-9]{4}))?")
_DAY_AND_TIME = re.compile(
    r"(.+?)(?: at | um |,? +|t)([0-9]{1,2}:[0-9]{2}(?: ?(?:am|pm|uhr))?|[0-9]{1,2} ?(?:am|pm|uhr))", re.ASCII
)


def zone_called(name: str) -> ZoneInfo | None:
    """The time zone of an IANA name, like `Europe/Berlin`; None where this machine knows none that is called so."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return None


def read_moment(text: str, now: int, zone: tzinfo = UTC) -> int | None:
    """The moment that `text` names, after `now` (ms UTC) where it may be read so; None when it is none. `zone`: whose
    clocks the writer goes by, at the moment that is named.
    """
    words = " ".join(text.casefold().split())
    if span := _SPAN.fullmatch(words):
        unit = _UNITS.get(span[2])
        if unit is not None:
            return now + int(span[1]) * unit
    try:
        found = _local_moment(words, datetime.fromtimestamp(now / 1000, zone))
        return None if found is None else int(found.timestamp() * 1000)
    except (ValueError, OverflowError):  # the 31st of February, a quarter past 25
        return None


def _local_moment(words: str, now: datetime) -> datetime | None:
    if time := _time(words):
        today = now.replace(hour=time[0], minute=time[1], second=0, microsecond=0, fold=0)
        # Where clocks are put back, a time comes twice. (Two times of one zone would be compared by their clocks.)
        coming = (today, today.replace(fold=1), today + timedelta(days=1))
        return next((one for one in coming if one.timestamp() > now.timestamp()), None)
    if day := _day(words, now):
        return day
    both = _DAY_AND_TIME.fullmatch(words)
    if both is None:
        return None
    day, time = _day(both[1], now), _time(both[2])
    if day is None or time is None:
        return None
    found = day.replace(hour=time[0], minute=time[1])
    # Of a time that comes twice, the second where the first is over.
    return found if found.timestamp() > now.timestamp() else found.replace(fold=1)


def _time(words: str) -> tuple[int, int] | None:
    """`17:30`, `5pm`, `17 uhr`; a bare number is no time."""
    found = _TIME.fullmatch(words)
    if found is None or not (found[2] or found[3]):
        return None
    hour, minute = int(found[1]), int(found[2] or 0)
    if found[3] in ("am", "pm"):
        if not 1 <= hour <= 12:
            raise ValueError(words)
        hour = hour % 12 + (12 if found[3] == "pm" else 0)
    return hour, minute


def _day(words: str, now: datetime) -> datetime | None:
    """The beginning of a day; one without a year is the next of its kind."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if words in ("today", "heute"):
        return today
    if words in ("tomorrow", "morgen"):
        return today + timedelta(days=1)
    weekday = _WEEKDAYS.get(words.removeprefix("next ").removeprefix("on ").removeprefix("am "))
    if weekday is not None:
        return today + timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)
    date = _date(words)
    if date is None:
        return None
    year, month, day = date
    found = today.replace(year=year or today.year, month=month, day=day)
    return found.replace(year=found.year + 1) if year is None and found <= today else found


def _date(words: str) -> tuple[int | None, int, int] | None:
    """Year (None where it is left out), month and day."""
    if found := _ISO.fullmatch(words):
        return int(found[1]), int(found[2]), int(found[3])
    if found := _DOTTED.fullmatch(words):
        return int(found[3]) if found[3] else None, int(found[2]), int(found[1])
    for pattern, day, month in ((_NAMED, 1, 2), (_NAMED_FIRST, 2, 1)):
        if (found := pattern.fullmatch(words)) and found[month] in _MONTHS:
            return int(found[3]) if found[3] else None, _MONTHS[found[month]], int(found[day])
    return None
