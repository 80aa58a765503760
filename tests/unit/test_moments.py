"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.messages import moment
from core.moments import read_moment

NOW = int(datetime(2026, 11, 21, 18, 0, tzinfo=UTC).timestamp() * 1000)  # a Saturday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3d", "24 Nov 2026, 18:00 UTC"),
        ("12h", "22 Nov 2026, 06:00 UTC"),
        ("90 minutes", "21 Nov 2026, 19:30 UTC"),
        ("2 weeks", "5 Dec 2026, 18:00 UTC"),
        ("in 3 days", "24 Nov 2026, 18:00 UTC"),
        ("3 Tage", "24 Nov 2026, 18:00 UTC"),
        ("friday", "27 Nov 2026, 00:00 UTC"),
        ("Freitag", "27 Nov 2026, 00:00 UTC"),
        ("sat", "28 Nov 2026, 00:00 UTC"),
        ("next monday", "23 Nov 2026, 00:00 UTC"),
        ("fri 17:00", "27 Nov 2026, 17:00 UTC"),
        ("Monday at 9am", "23 Nov 2026, 09:00 UTC"),
        ("montag um 9 uhr", "23 Nov 2026, 09:00 UTC"),
        ("tomorrow", "22 Nov 2026, 00:00 UTC"),
        ("morgen 12pm", "22 Nov 2026, 12:00 UTC"),
        ("today 23:00", "21 Nov 2026, 23:00 UTC"),
        ("17:30", "22 Nov 2026, 17:30 UTC"),
        ("18:30", "21 Nov 2026, 18:30 UTC"),
        ("12am", "22 Nov 2026, 00:00 UTC"),
        ("2026-12-01", "1 Dec 2026, 00:00 UTC"),
        ("2026-12-01T09:30", "1 Dec 2026, 09:30 UTC"),
        ("1.12.", "1 Dec 2026, 00:00 UTC"),
        ("1.2.", "1 Feb 2027, 00:00 UTC"),
        ("24.12.2026 18 uhr", "24 Dec 2026, 18:00 UTC"),
        ("24. Dezember", "24 Dec 2026, 00:00 UTC"),
        ("1 March", "1 Mar 2027, 00:00 UTC"),
        ("Dec 24, 2026", "24 Dec 2026, 00:00 UTC"),
        ("3. März", "3 Mar 2027, 00:00 UTC"),
    ],
)
def test_a_moment_may_be_a_span_a_day_a_time_or_both(text: str, expected: str) -> None:
    found = read_moment(text, NOW)

    assert found is not None
    assert expected == moment(found)


@pytest.mark.parametrize(
    "text",
    ["", "soon", "25:00", "17", "31.2.", "2026-13-01", "13pm", "friday 99:99", "1_0d", "¹d", "friday friday", "-3d"],
)
def test_what_is_no_moment_is_none(text: str) -> None:
    assert read_moment(text, NOW) is None


def test_days_and_times_are_those_of_the_writers_clock() -> None:
    tokyo = read_moment("monday 09:00", NOW, timedelta(hours=9))

    assert tokyo is not None
    assert "23 Nov 2026, 00:00 UTC" == moment(tokyo)
    # There it is Sunday already.
    assert moment(read_moment("tomorrow", NOW, timedelta(hours=9)) or 0) == "22 Nov 2026, 15:00 UTC"


def test_a_moment_in_the_past_is_read_as_it_stands() -> None:
    assert (read_moment("2020-01-01", NOW) or NOW) < NOW


@given(
    text=st.one_of(st.text(), st.from_regex(r"[0-9.:\-a-zä ]{1,16}")),
    now=st.integers(0, 4_000_000_000_000),
    zone=st.integers(-86_400, 86_400),
)
def test_no_text_raises(text: str, now: int, zone: int) -> None:
    read_moment(text, now, timedelta(seconds=zone))
