"""Figures as pictures: plain values that the templates draw as SVG, each with its numbers beneath as a table. Pure.

The pictures are stretched to the width that there is, so they hold no text; names and numbers stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.inbox.strings import Words
from api.review.pieces import shown
from api.review.strings import Texts, number_words
from core.review_figures import ReviewFigures, Spread, day_of
from core.schedule import DAY, HOUR, MINUTE, SECOND

HEIGHT, STEP, GAP = 100, 10, 2


@dataclass(frozen=True, slots=True)
class Bar:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Days:
    """A bar for each day; `rows` are the same as words, the newest first. `most`: what the tallest bar stands for."""

    width: int
    bars: Sequence[Bar]
    rows: Sequence[tuple[str, int]]
    first: str
    last: str
    most: int


@dataclass(frozen=True, slots=True)
class Row:
    """A name with its median and the time within which nine of ten were decided: as words, and in percent of the
    longest.
    """

    name: str
    count: int
    median: str
    p90: str
    median_width: float
    p90_width: float


@dataclass(frozen=True, slots=True)
class Tile:
    name: str
    value: str


def span_short(ms: int | None, texts: Texts, words: Words) -> str:
    """`35 s`, `12 min`, `3.5 h`, `2 d`, with the language's decimal mark."""
    if ms is None:
        return str(words["none"])
    second, minute, hour, day = words["units"]
    for length, unit, most in ((SECOND, second, 120), (MINUTE, minute, 120), (HOUR, hour, 48)):
        if ms < most * length:
            return f"{_rounded(ms / length, texts)} {unit}"
    return f"{_rounded(ms / DAY, texts)} {day}"


def days_of(figures: ReviewFigures) -> Days:
    most = max((count for _, count in figures.days), default=0)
    bars = [
        Bar(n * STEP + GAP / 2, HEIGHT - _height(count, most), STEP - GAP, _height(count, most))
        for n, (_, count) in enumerate(figures.days)
    ]
    named = [(day_of(day), count) for day, count in figures.days]
    return Days(width=len(named) * STEP, bars=bars, rows=named[::-1], first=named[0][0], last=named[-1][0], most=most)


def rows_of(spreads: Sequence[Spread], names: Mapping[str, str], texts: Texts, words: Words) -> list[Row]:
    longest = max((one.p90 for one in spreads), default=0) or 1
    return [
        Row(
            name=_name(one, names, texts, words),
            count=one.count,
            median=span_short(one.median, texts, words),
            p90=span_short(one.p90, texts, words),
            median_width=round(100 * one.median / longest, 2),
            p90_width=round(100 * one.p90 / longest, 2),
        )
        for one in spreads
    ]


def tiles_of(figures: ReviewFigures, waiting: str, oldest: int | None, texts: Texts, words: Words) -> list[Tile]:
    """`waiting`: how many; `oldest`: for how long the oldest has waited (ms)."""
    return [
        Tile(words["now"], waiting),
        Tile(words["oldest"], span_short(oldest, texts, words)),
        Tile(words["decided"], str(figures.decided)),
        Tile(words["median"], span_short(figures.median, texts, words)),
        Tile(words["p90"], span_short(figures.p90, texts, words)),
        Tile(words["expired_count"], str(figures.expired)),
        Tile(words["overridden"], str(figures.overridden)),
    ]


def _name(one: Spread, names: Mapping[str, str], texts: Texts, words: Words) -> str:
    if one.name is None:
        return shown(names.get(one.key, one.key)) if one.key else str(words["no_source"])
    return str(texts["link_holder"]) if (one.key or "").startswith("link:") else shown(one.name)


def _height(count: int, most: int) -> float:
    """So that a single one can still be seen."""
    return max(2.0, round(HEIGHT * count / most, 2)) if count else 0.0


def _rounded(value: float, texts: Texts) -> str:
    short = round(value, 1)
    return number_words(round(value) if value >= 10 or short.is_integer() else short, texts)
