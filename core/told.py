"""What people are told, and the times that stand in it: a messenger that can shows them by the clocks of whoever reads.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, `at` in milliseconds since 1970, and how it stands in a text for whoever sees nothing else: `text`."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """A text for people. What of `moments` does not stand in it, whole, is not shown."""

    text: str
    moments: tuple[Moment, ...] = ()


def parted(text: str, moments: Sequence[Moment]) -> Iterator[str | Moment]:
    """The text in parts, each moment once: where its words stand first. That these may be somebody's own words does no
    harm: they name the same moment.
    """
    left, at = list(moments), 0
    words = "|".join(re.escape(one) for one in sorted({one.text for one in left}, key=len, reverse=True))
    for found in re.finditer(rf"(?<!\w)(?:{words})(?!\w)", text) if words else ():
        if one := next((one for one in left if one.text == found[0]), None):
            if found.start() > at:
                yield text[at : found.start()]
            yield one
            left.remove(one)
            at = found.end()
    if at < len(text):
        yield text[at:]
