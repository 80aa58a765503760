"""Kill the clock while it erases: a case is erased whole or not at all, and once."""

from __future__ import annotations

import sys

import pytest

from core.checkpoints import RETENTION_NAMES
from core.schedule import DAY
from tests.support.databases import rows
from tests.support.dump import everything
from tests.support.gates import until, world
from tests.support.process import SECRET, serving

MARK = "Zanzibar"
LATER = {"RETENTION_DAYS": "1", "DAYS_AHEAD": "2"}


@pytest.mark.parametrize("point", RETENTION_NAMES)
async def test_a_crash_leaves_nothing_half_erased_and_erases_nothing_twice(database_url: str, point: str) -> None:
    async with world(database_url, secrets=(SECRET,)) as here:
        for _ in range(3):
            await here.answer(await here.open(sourced=False, prompt=MARK), "approve", {"note": MARK})
        await here.seal()
        here.clock.forward(2 * DAY)
        dying = (sys.executable, "-m", "tests.chaos.dying", point, "2")
        with pytest.raises(AssertionError, match="ended with -9"):  # before it is ready, or just after
            async with serving(database_url, command=dying, environment=LATER) as server:
                raise AssertionError(f"the server ended with {await server.ended()}")
        done = 1 if point == "erase.before_commit" else 2
        assert done == len(await rows(database_url, "SELECT 1 FROM cases WHERE erased_at IS NOT NULL"))
        assert [] == await here.findings()

        async with serving(database_url, command=(*dying[:-1], "9"), environment=LATER):
            await until(lambda: _erased(database_url))
        assert MARK not in await everything(database_url)
        assert 3 == len(await rows(database_url, "SELECT 1 FROM human_interactions WHERE topic = 'sys:erase'"))
        assert [] == await here.findings()


async def _erased(database_url: str) -> bool:
    return not await rows(database_url, "SELECT 1 FROM cases WHERE erased_at IS NULL")
