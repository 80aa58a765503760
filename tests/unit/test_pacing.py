"""A pacer hands out moments: never more of them than the rate allows, and never none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.pacing import MINUTE_MS, Pacer, Rate, Window, a_minute, free_at, leaving, remembered, room

RATES = st.builds(Rate, burst=st.integers(1, 30), interval_ms=st.integers(1, 5_000))
WINDOWS = st.lists(st.builds(Window, count=st.integers(1, 20), ms=st.integers(1, 5_000)), min_size=1, max_size=3)
# What happens in turn: some milliseconds pass, then a message wants to leave, or the platform asks for quiet.
STEPS = st.lists(st.tuples(st.integers(0, 3_000), st.none() | st.integers(0, 10_000)), min_size=1, max_size=60)


def moments(rate: Rate, steps: list[tuple[int, int | None]], patience: float) -> list[float]:
    """When messages leave whose senders wait for `patience` and else do not send."""
    pacer, now, found = Pacer(), 0.0, []
    for passed, pause in steps:
        now += passed
        if pause is not None:
            pacer.pause("chat", pause, now)
        wait = pacer.reserve("chat", rate, now, patience)
        if wait <= patience:
            found.append(now + wait)
    return sorted(found)


@given(RATES, STEPS, st.sampled_from([0.0, 50.0, float("inf")]))
def test_no_window_holds_more_messages_than_the_rate_allows(
    rate: Rate, steps: list[tuple[int, int | None]], patience: float
) -> None:
    left = moments(rate, steps, patience)
    for first in range(len(left)):
        for last in range(first, len(left)):
            allowed = rate.burst + (left[last] - left[first]) / rate.interval_ms
            assert last - first + 1 <= allowed + 1e-6


@given(RATES, STEPS)
def test_nothing_leaves_while_the_platform_wants_quiet(rate: Rate, steps: list[tuple[int, int | None]]) -> None:
    pacer, now, quiet_until = Pacer(), 0.0, 0.0
    for passed, pause in steps:
        now += passed
        if pause is not None:
            pacer.pause("chat", pause, now)
            quiet_until = max(quiet_until, now + pause)
        assert now + pacer.reserve("chat", rate, now) >= quiet_until


def test_a_burst_leaves_at_once_and_then_one_by_one() -> None:
    pacer, rate = Pacer(), Rate(burst=3, interval_ms=1_000)
    assert [0, 0, 0, 1_000, 2_000] == [pacer.reserve("chat", rate, 0) for _ in range(5)]


def test_chats_do_not_wait_for_each_other() -> None:
    pacer, rate = Pacer(), Rate(burst=1, interval_ms=1_000)
    pacer.pause("one", 60_000, now=0)
    assert 60_000 == pacer.reserve("one", rate, 0)
    assert 0 == pacer.reserve("other", rate, 0)


def test_a_short_pause_does_not_shorten_a_long_one() -> None:
    pacer = Pacer()
    pacer.pause("chat", 10_000, now=0)
    pacer.pause("chat", 1_000, now=0)
    assert 10_000 == pacer.reserve("chat", Rate(1, 1), 0)


def test_whoever_comes_back_when_told_finds_a_free_moment() -> None:
    pacer, rate = Pacer(), Rate(burst=1, interval_ms=1_000)
    assert 0 == pacer.reserve("chat", rate, 0, patience=50)
    back_at = sorted(pacer.reserve("chat", rate, 0, patience=50) for _ in range(9))
    assert [1_000 * n for n in range(1, 10)] == back_at
    assert [0] * 9 == [pacer.reserve("chat", rate, now, patience=50) for now in back_at]


@given(RATES, st.integers(1, 40))
def test_a_backlog_is_through_after_as_long_as_the_rate_takes(rate: Rate, backlog: int) -> None:
    pacer, sent, tries = Pacer(), 0, 0
    due = [0.0] * backlog
    while due:
        due.sort()
        now, tries = due.pop(0), tries + 1
        wait = pacer.reserve("chat", rate, now, patience=0)
        if wait > 0:
            due.append(now + wait)
            continue
        sent += 1
        assert now <= max(0, sent - rate.burst) * rate.interval_ms + 1e-6
    assert tries <= 2 * backlog


# --- windows: what all processes share ---


@given(WINDOWS, st.lists(st.integers(0, 3_000), min_size=1, max_size=80))
def test_no_window_holds_more_messages_than_it_may_though_only_the_last_are_remembered(
    windows: list[Window], pauses: list[int]
) -> None:
    kept: list[int] = []
    left: list[int] = []
    now = 0
    for pause in pauses:
        now += pause
        now = free_at(kept, windows, now)
        left.append(now)
        kept = remembered([*kept, now], windows)
    for window in windows:
        for start in left:
            assert sum(start <= moment < start + window.ms for moment in left) <= window.count
    assert len(kept) <= max(window.count for window in windows)


@given(WINDOWS, st.lists(st.integers(0, 500), max_size=30), st.integers(1, 40))
def test_there_is_room_for_as_many_as_may_leave_at_this_moment(
    windows: list[Window], pauses: list[int], most: int
) -> None:
    moments = [sum(pauses[: n + 1]) for n in range(len(pauses))]
    now = sum(pauses)
    free = room(moments, windows, now, most)
    assert 0 <= free <= most
    if free < most:
        assert free_at([*moments, *[now] * free], windows, now) > now
    assert leaving(moments, windows, now, now) >= free


def test_a_rate_as_windows_leaves_some_of_its_minute_to_others() -> None:
    rate = Rate(burst=2, interval_ms=1_000, per_minute=20)
    assert Window(2, 2_000) == rate.windows()[0]
    assert [20, 18] == [rate.windows(spare=spare)[1].count for spare in (0, 2)]
    assert (Window(2, 2_000),) == Rate(burst=2, interval_ms=1_000).windows(spare=2)
    assert 60 == a_minute((Window(2, 2_000),))
    assert 5 == a_minute((Window(1, 1_000), Window(5, MINUTE_MS)))


def test_what_leaves_in_half_a_minute_is_what_the_narrowest_window_lets_through() -> None:
    assert 5 == leaving([], (Window(1, 1_000), Window(5, MINUTE_MS)), 0, 30_000)
    assert 31 == leaving([], (Window(1, 1_000),), 0, 30_000)
