"""The points at which a waiting run's server may be killed; `python -m tests.chaos.gates` does it fifty times each."""

from __future__ import annotations

import pytest

from tests.chaos.gates import CLAIMED, POINTS, run_trial


# Three rounds of what is claimed, one of them on PostgreSQL, and one of every other point.
@pytest.mark.parametrize(("point", "turn"), [*((point, 1) for point in POINTS), *((point, 2) for point in CLAIMED)])
async def test_a_kill_asks_and_decides_nothing_twice(point: str, turn: int, sqlite_url: str) -> None:
    await run_trial(point, sqlite_url)


@pytest.mark.parametrize("point", CLAIMED)
async def test_a_kill_asks_and_decides_nothing_twice_on_postgresql(point: str, postgres_url: str) -> None:
    await run_trial(point, postgres_url)
