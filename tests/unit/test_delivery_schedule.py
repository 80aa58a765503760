"""When a delivery is tried again: the documented schedule, an endpoint's own, Retry-After."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.schedule import DAY, DELIVERY_DELAYS, HOUR, MINUTE, SECOND, Retries


class Clock:
    """Time that moves only when told to."""

    def __init__(self) -> None:
        self.now = 0


def attempts_of(retries: Retries, clock: Clock, jitter: float = 0.0, retry_after: int | None = None) -> list[int]:
    """The moments of all attempts of a delivery that never arrives."""
    moments = [clock.now]
    while (delay := retries.delay_after(len(moments), jitter, retry_after=retry_after)) is not None:
        clock.now += delay
        moments.append(clock.now)
    return moments


def test_the_documented_schedule_is_eleven_attempts_within_73_hours() -> None:
    clock = Clock()
    moments = attempts_of(Retries(), clock)
    assert 11 == len(moments)
    gaps = [after - before for before, after in pairwise(moments)]
    assert gaps == [
        30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 1 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
        24 * HOUR, 26 * HOUR,
    ]  # fmt: skip
    assert 72 * HOUR < clock.now <= 73 * HOUR


def test_jitter_only_ever_delays_and_by_little() -> None:
    plain, late = attempts_of(Retries(), Clock()), attempts_of(Retries(), Clock(), jitter=0.999)
    assert all(after > before for before, after in zip(plain[1:], late[1:], strict=True))
    assert late[-1] - plain[-1] < HOUR


def test_an_endpoints_own_schedule_doubles_and_is_capped_at_a_day() -> None:
    retries = Retries(max_attempts=20, backoff=10 * SECOND)
    moments = attempts_of(retries, Clock())
    gaps = [after - before for before, after in pairwise(moments)]
    assert 20 == len(moments)
    assert [10 * SECOND, 20 * SECOND, 40 * SECOND] == gaps[:3]
    assert DAY == max(gaps) == gaps[-1]


def test_max_attempts_alone_cuts_the_documented_schedule() -> None:
    assert 3 == len(attempts_of(Retries(max_attempts=3), Clock()))
    assert [0] == attempts_of(Retries(max_attempts=1), Clock())


def test_more_attempts_than_the_documented_schedule_has_repeat_its_last_delay() -> None:
    moments = attempts_of(Retries(max_attempts=13), Clock())
    assert [26 * HOUR] * 3 == [after - before for before, after in pairwise(moments[9:])]


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(None, 30 * SECOND), (0, 30 * SECOND), (5 * SECOND, 30 * SECOND), (2 * MINUTE, 2 * MINUTE), (9 * HOUR, HOUR)],
)
def test_retry_after_is_waited_for_at_least_and_honoured_up_to_an_hour(asked: int | None, waited: int) -> None:
    assert waited == Retries().delay_after(1, 0.0, retry_after=asked)


def test_retry_after_does_not_shorten_a_longer_wait() -> None:
    assert 26 * HOUR == Retries().delay_after(10, 0.0, retry_after=HOUR)


@given(
    st.integers(1, 200), st.floats(0, 1, exclude_max=True), st.none() | st.integers(0, 10**15),
    st.builds(Retries, st.integers(1, 100), st.none() | st.integers(SECOND, DAY)),
)  # fmt: skip
def test_whatever_is_asked_a_wait_is_never_negative_and_never_much_longer_than_the_longest(
    attempts: int, jitter: float, retry_after: int | None, retries: Retries
) -> None:
    delay = retries.delay_after(attempts, jitter, retry_after=retry_after)
    assert (delay is None) == (attempts >= retries.max_attempts)
    assert delay is None or SECOND <= delay <= max(DELIVERY_DELAYS) + 5 * MINUTE
