"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.moments import read_moment, zone_called
from core.wording import moment
from core.words import words_for

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
    zone = timezone(timedelta(hours=9))
    tokyo = read_moment("monday 09:00", NOW, zone)

    assert tokyo is not None
    assert "23 Nov 2026, 00:00 UTC" == moment(tokyo)
    # There it is Sunday already.
    assert moment(read_moment("tomorrow", NOW, zone) or 0) == "22 Nov 2026, 15:00 UTC"


BERLIN = ZoneInfo("Europe/Berlin")  # on 25 Oct 2026 clocks go back at 3:00, on 28 Mar 2027 forward at 2:00


@pytest.mark.parametrize(
    ("now", "text", "expected"),
    [
        ("2026-10-23T12:00Z", "monday 09:00", "2026-10-26T08:00Z"),
        ("2026-10-23T12:00Z", "saturday 09:00", "2026-10-24T07:00Z"),
        ("2026-10-23T12:00Z", "monday", "2026-10-25T23:00Z"),
        ("2026-10-24T20:00Z", "18:00", "2026-10-25T17:00Z"),
        ("2027-03-27T20:00Z", "18:00", "2027-03-28T16:00Z"),
        ("2026-10-24T20:00Z", "24h", "2026-10-25T20:00Z"),
        # a quarter past two comes twice
        ("2026-10-24T23:30Z", "02:15", "2026-10-25T00:15Z"),
        ("2026-10-25T00:30Z", "02:15", "2026-10-25T01:15Z"),
        ("2026-10-25T01:30Z", "02:15", "2026-10-26T01:15Z"),
        ("2026-10-25T00:10Z", "today 02:15", "2026-10-25T00:15Z"),
        ("2026-10-25T00:30Z", "today 02:15", "2026-10-25T01:15Z"),
        ("2026-10-25T01:05Z", "18:00", "2026-10-25T17:00Z"),
        # and does not come at all
        ("2027-03-28T00:30Z", "02:15", "2027-03-28T01:15Z"),
    ],
)
def test_a_moment_after_a_change_of_the_clocks_is_by_the_clocks_of_then(now: str, text: str, expected: str) -> None:
    def ms(of: str) -> int:
        return int(datetime.fromisoformat(of).timestamp() * 1000)

    assert ms(expected) == read_moment(text, ms(now), BERLIN)


def test_a_moment_is_told_with_the_zone_whose_clocks_say_so() -> None:
    half_past = timezone(timedelta(hours=5, minutes=30))
    assert "21 Nov 2026, 18:00 UTC" == moment(NOW) == moment(NOW, zone=ZoneInfo("Etc/UTC"))
    assert "21 Nov 2026, 19:00 (Europe/Berlin)" == moment(NOW, zone=BERLIN)
    assert "21. Nov. 2026, 19:00 Uhr (Europe/Berlin)" == moment(NOW, words_for("de"), BERLIN)
    assert "21 Nov 2026, 23:30 UTC+05:30" == moment(NOW, zone=half_past)


@pytest.mark.parametrize("name", ["", "Europe", "Europe/Atlantis", "../etc/passwd", "/etc/passwd", "a\x00b", "UTC+2 "])
def test_what_is_no_time_zone_is_none(name: str) -> None:
    assert zone_called(name) is None
    assert zone_called("Europe/Berlin") == BERLIN


def test_a_moment_in_the_past_is_read_as_it_stands() -> None:
    assert (read_moment("2020-01-01", NOW) or NOW) < NOW


@given(
    text=st.one_of(st.text(), st.from_regex(r"[0-9.:\-a-zä ]{1,16}")),
    now=st.integers(0, 4_000_000_000_000),
    zone=st.one_of(
        st.integers(-86_399, 86_399).map(lambda ahead: timezone(timedelta(seconds=ahead))),
        st.sampled_from(["Europe/Berlin", "Pacific/Apia", "America/Havana"]).map(ZoneInfo),
    ),
)
def test_no_text_raises(text: str, now: int, zone: tzinfo) -> None:
    read_moment(text, now, zone)
