"""Deadlines and retry times as values."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.schedule import (
    DAY,
    HOUR,
    MAX_TIMEOUT,
    MIN_TIMEOUT,
    MINUTE,
    SECOND,
    default_reminders,
    iso,
    parse_duration,
    parse_instant,
    parse_timeout,
    retry_delay,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("24h", DAY), ("7d", 7 * DAY), ("PT24H", DAY), ("P7D", 7 * DAY), ("90s", 90 * SECOND), ("2w", 14 * DAY),
        ("P1W", 7 * DAY), ("P1DT2H3M4S", DAY + 2 * HOUR + 3 * MINUTE + 4 * SECOND), ("PT1M", MINUTE), ("0s", 0),
    ],
)  # fmt: skip
def test_durations_as_people_and_iso_write_them(text: str, expected: int) -> None:
    assert expected == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "24", "h", "P", "PT", "P1", "-1h", "1.5h", "1_000s", "1 h", "24H", "٢h", "PT1H ", "\n1h", "P1DT",
        "9" * 5_000 + "s",
    ],
)  # fmt: skip
def test_what_is_no_duration_names_the_field(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_duration(text, field="snooze")
    assert "snooze" == caught.value.details["field"]


@given(st.text(max_size=40))
def test_any_text_is_a_duration_or_an_invalid_one(text: str) -> None:
    with suppress(InvalidInput):
        assert parse_duration(text) >= 0


@pytest.mark.parametrize(("text", "fits"), [("9s", False), ("10s", True), ("30d", True), ("2592001s", False)])
def test_a_timeout_lies_between_ten_seconds_and_thirty_days(text: str, fits: bool) -> None:
    if fits:
        assert MIN_TIMEOUT <= parse_timeout(text) <= MAX_TIMEOUT
    else:
        with pytest.raises(InvalidInput):
            parse_timeout(text)


def test_one_reminder_stands_twelve_hours_before_the_deadline() -> None:
    assert [36 * HOUR] == default_reminders(0, 48 * HOUR)
    assert [0] == default_reminders(0, 12 * HOUR)
    assert [] == default_reminders(0, 12 * HOUR - 1)


@given(st.integers(0, 4_102_444_800_000))
def test_a_time_written_is_the_time_read(ms: int) -> None:
    assert ms == parse_instant(iso(ms), field="reminder_at")
    assert iso(ms).endswith("Z")


def test_times_are_written_in_utc_with_milliseconds() -> None:
    assert "2026-02-21T10:00:00.007Z" == iso(int(datetime(2026, 2, 21, 10, tzinfo=UTC).timestamp()) * 1000 + 7)


def test_an_offset_is_honoured() -> None:
    assert parse_instant("2026-02-21T10:00:00Z", field="x") == parse_instant("2026-02-21T12:00:00+02:00", field="x")


@pytest.mark.parametrize(
    "text",
    [
        "", "tomorrow", "2026-02-21", "2026-02-21T10:00:00", "2026-02-30T10:00:00Z", "20260221T100000Z",
        "2026-W08-6T10:00:00Z", "2026-02-21T25:00:00Z", "1700000000",
    ],
)  # fmt: skip
def test_what_is_no_instant_names_the_field(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_instant(text, field="reminder_at[0]")
    assert "reminder_at[0]" == caught.value.details["field"]


@given(st.text(max_size=40) | st.datetimes().map(lambda moment: moment.isoformat() + "+23:59"))
def test_any_text_is_an_instant_or_an_invalid_one(text: str) -> None:
    with suppress(InvalidInput):
        assert isinstance(parse_instant(text, field="x"), int)


@given(st.integers(1, 10_000))
def test_retries_wait_longer_each_time_up_to_the_cap(attempt: int) -> None:
    assert SECOND <= retry_delay(attempt) <= 5 * MINUTE
    assert retry_delay(attempt) <= retry_delay(attempt + 1)


def test_the_first_retries_double() -> None:
    assert [1_000, 2_000, 4_000, 8_000] == [retry_delay(n) for n in (1, 2, 3, 4)]
