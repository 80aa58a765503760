"""The points at which a waiting run's server may be killed, once each; `python -m tests.chaos.gates` does it often."""

from __future__ import annotations

import pytest

from tests.chaos.gates import POINTS, run_trial

# What a crash leaves behind differs between the databases where a commit is near; the rest is told on SQLite.
ON_BOTH = ("open.after_commit", "respond.after_insert", "signal.after_commit", "expire.before_commit")


@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_asks_and_decides_nothing_twice(point: str, sqlite_url: str) -> None:
    await run_trial(point, sqlite_url)


@pytest.mark.parametrize("point", ON_BOTH)
async def test_a_kill_asks_and_decides_nothing_twice_on_postgresql(point: str, postgres_url: str) -> None:
    await run_trial(point, postgres_url)
