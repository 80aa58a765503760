"""Figures that people ask for, of the cases that somebody may see: how many, how fast, by whom. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from core.records import Ended
from core.schedule import DAY
from core.states import Status

MOST_ROWS = 12  # sources, reviewers


@dataclass(frozen=True, slots=True)
class Spread:
    """How long decisions took (ms) under one name: `key` of a source or a reviewer, None for no source."""

    key: str | None
    name: str | None
    count: int
    median: int
    p90: int


@dataclass(frozen=True, slots=True)
class ReviewFigures:
    """`median` and `p90` are None when nothing was decided. `days`: each day (ms UTC of its begin) and how many."""

    decided: int
    median: int | None
    p90: int | None
    expired: int
    overridden: int
    days: Sequence[tuple[int, int]]
    by_source: Sequence[Spread]
    by_reviewer: Sequence[Spread]


def percentile(values: Sequence[int], share: float) -> int:
    """The smallest of these values (at least one) that so large a share of them do not exceed: the nearest rank."""
    ordered = sorted(values)
    rank = -(-len(ordered) * round(share * 100) // 100)  # rounded up, without a float that is a hair too large
    return ordered[max(rank, 1) - 1]


def review_figures(ended: Sequence[Ended], *, now: int, days: int) -> ReviewFigures:
    """Of what ended in the last `days` days, today included."""
    decided = [one for one in ended if one.status is Status.COMPLETED]
    spans = [_span(one) for one in decided]
    counts = Counter(one.closed_at // DAY for one in decided)
    today = now // DAY
    sources: dict[tuple[str | None, str | None], list[int]] = {}
    reviewers: dict[tuple[str | None, str | None], list[int]] = {}
    names: dict[str, str] = {}
    for one in decided:
        sources.setdefault((one.source_id, None), []).append(_span(one))
        if one.by is not None:
            key = f"{one.by.get('platform')}:{one.by.get('platform_user_id')}"
            name = names.setdefault(key, str(one.by.get("display_name") or one.by.get("platform_user_id")))
            reviewers.setdefault((key, name), []).append(_span(one))
    return ReviewFigures(
        decided=len(decided),
        median=percentile(spans, 0.5) if spans else None,
        p90=percentile(spans, 0.9) if spans else None,
        expired=sum(1 for one in ended if one.status is Status.EXPIRED),
        overridden=sum(1 for one in decided if one.edited),
        days=[(day * DAY, counts.get(day, 0)) for day in range(today - days + 1, today + 1)],
        by_source=_spreads(sources),
        by_reviewer=_spreads(reviewers),
    )


def day_of(ms: int) -> str:
    """`2026-11-21`."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d}"


def _span(one: Ended) -> int:
    return max(0, one.closed_at - one.created_at)


def _spreads(groups: dict[tuple[str | None, str | None], list[int]]) -> list[Spread]:
    """The largest first."""
    found = [
        Spread(key, name, len(spans), percentile(spans, 0.5), percentile(spans, 0.9))
        for (key, name), spans in groups.items()
    ]
    return sorted(found, key=lambda one: (-one.count, one.key or ""))[:MOST_ROWS]
