"""The transition table: what is in it happens, what is not raises and changes nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import IllegalTransition
from core.model import ACTIONS, CUSTOM_ACTIONS, DEFAULT_ACTIONS
from core.states import (
    EXPIRY_VERDICTS,
    GATE_STATE,
    TERMINAL,
    TRANSITIONS,
    VERDICTS,
    Event,
    GateState,
    Status,
    Verdict,
    apply,
    verdict,
)

PAIRS = [(status, event) for status in Status for event in Event]


@pytest.mark.parametrize(("status", "event"), PAIRS)
def test_every_pair_of_status_and_event_moves_by_the_table_or_raises(status: Status, event: Event) -> None:
    if (status, event) in TRANSITIONS:
        assert TRANSITIONS[status, event] is apply(status, event)
    else:
        with pytest.raises(IllegalTransition) as caught:
            apply(status, event)
        assert {"status": status, "event": event} == caught.value.details


def test_an_illegal_event_changes_nothing() -> None:
    before = dict(TRANSITIONS)
    with pytest.raises(IllegalTransition):
        apply(Status.COMPLETED, Event.CANCEL)
    assert before == TRANSITIONS


@given(st.lists(st.sampled_from(list(Event)), max_size=12))
def test_nothing_leaves_a_terminal_status_and_nothing_goes_back(events: list[Event]) -> None:
    order = list(Status)
    status = Status.PENDING
    for event in events:
        try:
            after = apply(status, event)
        except IllegalTransition:
            continue
        assert status not in TERMINAL
        assert order.index(after) > order.index(status)
        status = after


def test_the_contract_lists_exactly_these_moves() -> None:
    expected = {
        Status.PENDING: {Status.OPENED, Status.IN_PROGRESS, Status.COMPLETED, Status.EXPIRED, Status.CANCELLED},
        Status.OPENED: {Status.IN_PROGRESS, Status.COMPLETED, Status.EXPIRED, Status.CANCELLED},
        Status.IN_PROGRESS: {Status.COMPLETED, Status.EXPIRED, Status.CANCELLED},
    }
    found: dict[Status, set[Status]] = {}
    for (status, _), after in TRANSITIONS.items():
        found.setdefault(status, set()).add(after)
    assert expected == found


def test_every_status_has_its_gate_state() -> None:
    assert set(Status) == set(GATE_STATE)
    assert GateState.TIMED_OUT is GATE_STATE[Status.EXPIRED]
    assert GATE_STATE[Status.CANCELLED] is None


def test_every_action_of_every_type_has_a_verdict_but_edit() -> None:
    actions = {action for known in ACTIONS.values() for action in known} | set(CUSTOM_ACTIONS)
    assert actions - {"edit"} <= set(VERDICTS)
    assert verdict("edit") is None


def test_only_a_default_of_approve_lets_anything_run_after_the_deadline() -> None:
    assert set(DEFAULT_ACTIONS) == set(EXPIRY_VERDICTS)
    assert ["approve"] == [action for action in DEFAULT_ACTIONS if verdict(action, timed_out=True) is Verdict.APPROVE]


def test_a_skip_that_somebody_chose_goes_on_and_one_that_nobody_chose_does_not() -> None:
    assert Verdict.APPROVE is verdict("skip")
    assert Verdict.DENY is verdict("skip", timed_out=True)


@given(st.text())
def test_a_word_that_nobody_knows_never_means_approve(action: str) -> None:
    if action not in VERDICTS and action != "edit":
        assert Verdict.DENY is verdict(action)
    if action not in EXPIRY_VERDICTS and action != "edit":
        assert Verdict.DENY is verdict(action, timed_out=True)
