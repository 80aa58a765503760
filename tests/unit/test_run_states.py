"""Statuses of runs are monotonic."""

from __future__ import annotations

import itertools

import pytest

from core.errors import IllegalTransition
from core.run_states import ENDED, RUN_TRANSITIONS, RunEvent, RunStatus, moved
from core.run_views import sla_of


def test_nothing_leaves_a_terminal_status() -> None:
    for status, event in itertools.product(ENDED, RunEvent):
        with pytest.raises(IllegalTransition):
            moved(status, event)


def test_nothing_returns_to_the_queue() -> None:
    assert RunStatus.QUEUED not in RUN_TRANSITIONS.values()


def test_every_status_is_reached_and_every_other_one_can_end() -> None:
    assert set(RunStatus) - {RunStatus.QUEUED} == set(RUN_TRANSITIONS.values())
    for status in set(RunStatus) - ENDED:
        assert ENDED == {moved(status, event) for event in (RunEvent.COMPLETE, RunEvent.FAIL, RunEvent.CANCEL)}


@pytest.mark.parametrize(
    ("passed", "state"),
    [(0, "NORMAL"), (749, "NORMAL"), (750, "WARNING"), (899, "WARNING"), (900, "CRITICAL"), (1500, "CRITICAL")],
)
def test_a_gate_grows_urgent(passed: int, state: str) -> None:
    assert state == sla_of(5_000, 6_000, 5_000 + passed)
