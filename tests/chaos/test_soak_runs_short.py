"""The soak of runs with smaller numbers; `python -m tests.chaos.soak_runs` is the long form."""

from __future__ import annotations

from tests.chaos.soak import Plan
from tests.chaos.soak_runs import soak_runs


async def test_every_run_is_asked_answered_and_carried_out_once_while_servers_are_killed(postgres_url: str) -> None:
    figures = await soak_runs(postgres_url, Plan(runs=40, concurrency=12, kill_every=0.4, limit_seconds=100))
    print(figures)
    assert figures["kills"] >= 1
