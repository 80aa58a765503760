"""The bad day of executors with smaller numbers; `python -m tests.chaos.executors` is the long form."""

from __future__ import annotations

from tests.chaos.executors import Plan, bad_day


async def test_every_decision_arrives_and_is_acted_on_once_through_a_bad_day(postgres_url: str) -> None:
    plan = Plan(events=120, couriers=2, pullers=2, kill_every=1.0, kills=1, hurry=True, limit_seconds=100)
    figures = await bad_day(postgres_url, plan)
    print(figures)
    assert 1 == figures["couriers_killed"]
