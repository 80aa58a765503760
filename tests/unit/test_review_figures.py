"""The figures of a period: how many, how fast, by whom; and the pictures that are drawn of them."""

from __future__ import annotations

from typing import Any

import pytest

from api.inbox.charts import days_of, rows_of, span_short, tiles_of
from api.inbox.strings import words_for
from api.review.strings import texts_for
from core.records import Ended
from core.review_figures import percentile, review_figures
from core.schedule import DAY, HOUR, MINUTE, SECOND
from core.states import Status

NOW = 20_000 * DAY + 10 * HOUR
ADA = {"platform": "slack", "platform_user_id": "UADA", "display_name": "Ada"}
EN, WORDS = texts_for("en"), words_for("en")


def ended(minutes: int, *, days_ago: int = 0, status: Status = Status.COMPLETED, **more: Any) -> Ended:
    closed = NOW - days_ago * DAY
    values: dict[str, Any] = {"source_id": "s1", "by": ADA, "edited": False}
    return Ended(status=status, created_at=closed - minutes * MINUTE, closed_at=closed, **(values | more))


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7], 0.5, 7), ([1, 2], 0.5, 1), ([3, 1, 2], 0.5, 2), (list(range(1, 11)), 0.9, 9), ([5, 1], 0.9, 5),
        ([1] * 99 + [9], 0.9, 1),
    ],
)  # fmt: skip
def test_a_percentile_is_one_of_the_values(values: list[int], share: float, expected: int) -> None:
    assert expected == percentile(values, share)


def test_what_was_decided_expired_and_changed_is_counted() -> None:
    found = review_figures(
        [
            ended(10), ended(20, edited=True), ended(60, days_ago=2), ended(5, status=Status.EXPIRED, by=None),
            ended(5, status=Status.CANCELLED, by=None),
        ],
        now=NOW,
        days=7,
    )  # fmt: skip
    assert (3, 1, 1) == (found.decided, found.expired, found.overridden)
    assert (20 * MINUTE, 60 * MINUTE) == (found.median, found.p90)
    assert [0, 0, 0, 0, 1, 0, 2] == [count for _, count in found.days]


def test_sources_and_reviewers_are_told_apart_the_busiest_first() -> None:
    ben = ADA | {"platform_user_id": "UBEN", "display_name": "Ben"}
    found = review_figures([ended(1), ended(3), ended(9, source_id=None, by=ben)], now=NOW, days=7)
    assert [("s1", 2), (None, 1)] == [(one.key, one.count) for one in found.by_source]
    assert [("Ada", MINUTE), ("Ben", 9 * MINUTE)] == [(one.name, one.median) for one in found.by_reviewer]


def test_two_people_of_one_name_are_two() -> None:
    other = ADA | {"platform_user_id": "UADA2"}
    found = review_figures([ended(1), ended(3, by=other)], now=NOW, days=7)
    assert [1, 1] == [one.count for one in found.by_reviewer]


def test_without_decisions_there_is_nothing_to_draw() -> None:
    found = review_figures([], now=NOW, days=30)
    assert (0, None, None) == (found.decided, found.median, found.p90)
    assert (0, 30) == (days_of(found).most, len(days_of(found).rows))
    assert ["0", "–", "0", "–", "–", "0", "0"] == [one.value for one in tiles_of(found, "0", None, EN, WORDS)]


def test_bars_stay_within_the_picture_and_say_what_the_numbers_say() -> None:
    found = review_figures([ended(1), ended(2), ended(400, days_ago=3)], now=NOW, days=7)
    picture = days_of(found)
    assert all(0 <= bar.y <= 100 and bar.x + bar.width <= picture.width for bar in picture.bars)
    assert [0, 0, 0, 50, 0, 0, 100] == [bar.height for bar in picture.bars]
    (row,) = rows_of(found.by_source, {"s1": "<b>Billing"}, EN, WORDS)
    assert ("<b>Billing", 100, 3) == (row.name, row.p90_width, row.count)


def test_names_hide_nothing() -> None:
    found = review_figures([ended(1, by=ADA | {"display_name": "Ada\u202egnp"})], now=NOW, days=7)
    assert "Ada[U+202E]gnp" == rows_of(found.by_reviewer, {}, EN, WORDS)[0].name


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, "–"), (0, "0 s"), (1_500, "1.5 s"), (90 * SECOND, "90 s"), (12 * MINUTE, "12 min"), (3 * HOUR, "3 h"),
        (5 * DAY, "5 d"),
    ],
)  # fmt: skip
def test_spans_are_short(ms: int | None, words: str) -> None:
    assert words == span_short(ms, EN, WORDS)


def test_a_span_has_the_decimal_mark_of_the_language() -> None:
    assert "8,7 min" == span_short(522 * SECOND, texts_for("de"), words_for("de"))
