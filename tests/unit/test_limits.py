"""Hits are taken in blocks: together the processes let in what the limit says, and never one more."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from core.errors import Unavailable
from core.limits import OFF, Hit, Limit, Limits, Rates, Taken, parse_rates

TENANT, DOOR = "a tenant", "hitl"


@dataclass
class Keeper:
    """Windows that several processes share, on a clock that only tests move; `latency` passes while it answers."""

    now: float = 1_000.0
    latency: float = 0.0
    asked: list[int] = field(default_factory=list)
    away: bool = False
    at_once: int = 0
    _windows: dict[str, tuple[int, float]] = field(default_factory=dict)

    async def hit(self, key: str, seconds: int, amount: int, /) -> Hit:
        self.at_once += 1
        assert 1 == self.at_once, "one question at a time"
        self.asked.append(amount)
        counted, ends = self._windows.get(key, (0, 0.0))
        if ends <= self.now:
            counted, ends = 0, self.now + seconds
        self._windows[key] = counted + amount, ends
        left = ends - self.now
        await asyncio.sleep(0)
        self.now += self.latency
        self.at_once -= 1
        if self.away:
            raise Unavailable
        return Hit(counted + amount, left)

    async def close(self) -> None: ...

    def process(self, requests: int, seconds: int = 60) -> Limits:
        return Limits(Rates(Limit(requests, seconds)), self, lambda: self.now)


async def _take(limits: Limits, tenant: str = TENANT, door: str = DOOR) -> Taken:
    taken = await limits.take(tenant, door)
    assert taken is not None
    return taken


@pytest.mark.parametrize("requests", [1, 7, 199, 1_000, 6_000])
async def test_ten_times_the_limit_from_three_processes_lets_in_the_limit_exactly(requests: int) -> None:
    keeper = Keeper()
    processes = [keeper.process(requests) for _ in range(3)]
    let_in = 0
    for _ in range(10 * requests):
        let_in += not (await _take(random.choice(processes))).refused
    assert requests == let_in


async def test_what_an_idle_process_holds_is_a_block_at_most() -> None:
    keeper = Keeper()
    idle, busy = keeper.process(6_000), keeper.process(6_000)
    await _take(idle)
    let_in = [not (await _take(busy)).refused for _ in range(7_000)]
    assert 6_000 - 30 == sum(let_in)


async def test_a_block_costs_one_question_and_the_last_ones_are_small() -> None:
    keeper = Keeper()
    limits = keeper.process(6_000)
    for _ in range(20_000):
        await _take(limits)
    assert 30 == max(keeper.asked)
    assert [1] * 10 == keeper.asked[-10:]
    assert 270 > len(keeper.asked), "whoever knows that nothing is left does not ask"


async def test_what_is_left_is_told_and_counts_down() -> None:
    limits = Keeper().process(400)
    assert [399, 398, 397, 396] == [(await _take(limits)).remaining for _ in range(4)]
    last = [await _take(limits) for _ in range(397)][-2:]
    assert [(0, False), (0, True)] == [(taken.remaining, taken.refused) for taken in last]


async def test_whoever_comes_when_told_is_let_in_and_whoever_comes_before_is_not() -> None:
    keeper = Keeper(latency=0.2)
    limits = keeper.process(3)
    for _ in range(3):
        await _take(limits)
    keeper.now += 20.5
    refused = await _take(limits)
    assert refused.refused
    assert refused.reset == (await _take(limits)).reset
    keeper.now += refused.reset - 2
    assert (await _take(limits)).refused
    keeper.now += 2
    assert not (await _take(limits)).refused


async def test_what_is_in_hand_ends_with_its_window() -> None:
    keeper = Keeper()
    one, two = keeper.process(1_000), keeper.process(1_000)
    await _take(one)  # and has four in hand
    keeper.now += 60
    assert 1_000 == sum([not (await _take(two)).refused for _ in range(1_100)])
    assert (await _take(one)).refused


async def test_sixty_four_at_once_are_served_by_a_few_questions_one_after_the_other() -> None:
    for requests, questions in ((6_000, 2), (100, 2)):
        keeper = Keeper()
        limits = keeper.process(requests)
        found = await asyncio.gather(*(_take(limits) for _ in range(64)))
        assert not any(taken.refused for taken in found)
        assert questions >= len(keeper.asked)


async def test_sixty_four_at_once_are_no_way_round_the_limit() -> None:
    limits = Keeper().process(40)
    found = await asyncio.gather(*(_take(limits) for _ in range(64)))
    assert 40 == sum(not taken.refused for taken in found)


async def test_an_answer_that_takes_longer_than_its_window_still_serves_who_waited_for_it() -> None:
    keeper = Keeper(latency=5)
    limits = keeper.process(10, seconds=1)
    for _ in range(3):
        assert not (await _take(limits)).refused
    assert 3 == len(keeper.asked)


async def test_the_hit_of_somebody_who_has_gone_away_is_left_to_others() -> None:
    keeper = Keeper()
    limits = keeper.process(100)
    gone, stays = asyncio.create_task(_take(limits)), asyncio.create_task(_take(limits))
    await asyncio.sleep(0)  # both wait
    await asyncio.sleep(0)  # and the keeper has been asked for both
    gone.cancel()
    assert not (await stays).refused
    assert 98 == (await _take(limits)).remaining
    assert [2] == keeper.asked


async def test_tenants_and_doors_are_counted_apart() -> None:
    keeper = Keeper()
    limits = keeper.process(1)
    about = [("one", "hitl"), ("one", "executors"), ("two", "hitl")]
    assert [False, False, False] == [(await _take(limits, *each)).refused for each in about]
    assert [True, True, True] == [(await _take(limits, *each)).refused for each in about]


async def test_where_there_is_no_limit_nothing_is_counted() -> None:
    keeper = Keeper()
    limits = Limits(Rates(None, {"tasks": Limit(1, 60)}), keeper, lambda: keeper.now)
    assert await limits.take(TENANT, "hitl") is None
    assert await Limits().take(TENANT, "tasks") is None
    assert [] == keeper.asked
    assert not (await _take(limits, door="tasks")).refused


async def test_while_nobody_can_count_requests_go_on_and_the_keeper_is_asked_once_a_second() -> None:
    keeper = Keeper(away=True)
    limits = keeper.process(100)
    found = [await _take(limits) for _ in range(50)]
    assert not any(taken.refused for taken in found)
    assert 1 == len(keeper.asked)
    keeper.now += 1
    await _take(limits)
    assert 2 == len(keeper.asked)
    keeper.away = False
    keeper.now += 60
    assert 100 == sum([not (await _take(limits)).refused for _ in range(200)])


async def test_a_process_forgets_tenants_whose_windows_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.limits.MANY", 10)
    keeper = Keeper()
    limits = keeper.process(1)
    for n in range(10):
        await _take(limits, str(n))
    assert (await _take(limits, "0")).refused, "nobody whose window goes on is forgotten"
    keeper.now += 60
    await _take(limits, "another")
    assert 1 == len(limits._shares)


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("6000/minute", Rates(Limit(6_000, 60))),
        ("off", OFF),
        ("6000/minute, tasks=600/hour, hitl=off", Rates(Limit(6_000, 60), {"tasks": Limit(600, 3_600), "hitl": None})),
        ("hitl = 1/second", Rates(Limit(6_000, 60), {"hitl": Limit(1, 1)})),
        ("off,hitl=2/day", Rates(None, {"hitl": Limit(2, 86_400)})),
    ],
)
def test_limits_are_read(text: str, rates: Rates) -> None:
    assert rates == parse_rates(text)


@pytest.mark.parametrize(
    "text",
    ["", "6000", "0/minute", "-1/minute", "1_000/minute", "5/fortnight", "on", "hitl=", "=5/hour", "5/hour,6/hour",
     "hitl=off,hitl=5/hour", "5/minute,", "٣/minute"],
)  # fmt: skip
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rates(text)
