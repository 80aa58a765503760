"""The crash points, once each, with leases that end at once; `python -m tests.chaos.crash_points` does it twenty times,
and waits for them.
"""

from __future__ import annotations

import pytest

from bot.sandbox import Sandbox
from core.checkpoints import NAMES
from tests.chaos.crash_points import run_trial


@pytest.mark.parametrize("point", NAMES)
async def test_a_kill_loses_and_doubles_nothing(point: str, database_url: str) -> None:
    async with Sandbox.running(rate_limits=False) as sandbox:
        await run_trial(point, database_url, sandbox, hurry=True)
