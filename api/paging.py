"""Where a page of a list begins, and how long it is. A cursor is the place of the last entry: its moment and its id."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from core.errors import InvalidInput

T = TypeVar("T")
Place = tuple[int, str]

_PLACE = re.compile(r"([0-9]{1,16})\.([A-Za-z0-9_-]{1,100})", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,4}", re.ASCII)


def place(text: str | None, first: Place) -> Place:
    """What `after` says; `first` without one. Raises InvalidInput."""
    if not text:
        return first
    found = _PLACE.fullmatch(text)
    if found is None:
        raise InvalidInput("after must be a next_cursor that an earlier answer gave", field="after")
    return int(found[1]), found[2]


def page_size(text: str | None, usual: int, most: int) -> int:
    """What `limit` says. Raises InvalidInput."""
    if text is None:
        return usual
    if not _COUNT.fullmatch(text) or not 1 <= int(text) <= most:
        raise InvalidInput(f"limit must be a whole number from 1 to {most}", field="limit")
    return int(text)


def page(found: Sequence[T], limit: int, place_of: Callable[[T], Place]) -> tuple[Sequence[T], str | None]:
    """The first `limit` entries, and the cursor after them where there are more."""
    if len(found) <= limit:
        return found, None
    moment, key = place_of(found[limit - 1])
    return found[:limit], f"{moment}.{key}"
