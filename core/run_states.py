"""Where a run stands, as a literal table and the one function that moves it. Pure: no I/O, no clock, no wording."""

from __future__ import annotations

from enum import StrEnum

from core.errors import IllegalTransition


class RunStatus(StrEnum):
    """Where a run stands. Nothing leaves a terminal status."""

    QUEUED = "queued"  # made, and no worker has looked; leaves by its first step
    RUNNING = "running"  # steps follow each other; leaves by asking somebody, by its end, or by being called off
    WAITING_INPUT = "waiting_input"  # a gate is open: a row, and nothing else; leaves when its signal is received
    COMPLETED = "completed"  # came to its end, whatever was decided; final
    FAILED = "failed"  # a step could not be done; final
    CANCELLED = "cancelled"  # called off, or its gate was withdrawn; final


class RunEvent(StrEnum):
    """What can happen to a run."""

    STEP = "step"
    ASK = "ask"
    RESUME = "resume"
    COMPLETE = "complete"
    FAIL = "fail"
    CANCEL = "cancel"


ENDED = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})
_GOING = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING_INPUT)

RUN_TRANSITIONS: dict[tuple[RunStatus, RunEvent], RunStatus] = {
    (RunStatus.QUEUED, RunEvent.STEP): RunStatus.RUNNING,
    (RunStatus.RUNNING, RunEvent.STEP): RunStatus.RUNNING,
    (RunStatus.QUEUED, RunEvent.ASK): RunStatus.WAITING_INPUT,
    (RunStatus.RUNNING, RunEvent.ASK): RunStatus.WAITING_INPUT,
    (RunStatus.WAITING_INPUT, RunEvent.ASK): RunStatus.WAITING_INPUT,  # an agent may ask several things at once
    (RunStatus.WAITING_INPUT, RunEvent.RESUME): RunStatus.RUNNING,
    **{(status, RunEvent.COMPLETE): RunStatus.COMPLETED for status in _GOING},
    **{(status, RunEvent.FAIL): RunStatus.FAILED for status in _GOING},
    **{(status, RunEvent.CANCEL): RunStatus.CANCELLED for status in _GOING},
}


def moved(status: RunStatus, event: RunEvent) -> RunStatus:
    """The status after `event`. Raises IllegalTransition, and changes nothing, when the table has no such row."""
    try:
        return RUN_TRANSITIONS[status, event]
    except KeyError:
        raise IllegalTransition(f"a run that is {status} cannot {event}", status=status, event=event) from None
