"""Fairness between tenants and endpoints, circuits, and what an answer means."""

from __future__ import annotations

from collections import Counter

import pytest

from core.lanes import (
    AT_ONCE,
    CIRCUIT_BASE,
    CIRCUIT_CAP,
    FAILURES,
    PER_ENDPOINT,
    PER_TENANT,
    Lane,
    Load,
    circuit_after_failure,
    pick,
)
from core.sending import Meaning, Receipt, meaning

NOW = 1_000_000


def lane(endpoint: str, tenant: str = "t1", *, due: int = 1, failures: int = 0, open_until: int = 0) -> Lane:
    ids = tuple(f"{endpoint}-{n}" for n in range(min(due, PER_ENDPOINT)))
    return Lane(endpoint, tenant, True, failures, open_until, NOW - 5, ids)


def endpoints(picked: list[tuple[Lane, str]]) -> Counter[str]:
    return Counter(found.endpoint_id for found, _ in picked)


def test_an_endpoint_with_a_thousand_waiting_gets_no_more_than_its_few_places() -> None:
    picked = pick([lane("dead", due=1_000), lane("live")], Load.none(), AT_ONCE, NOW)
    assert {"dead": PER_ENDPOINT, "live": 1} == endpoints(picked)


def test_where_there_is_little_room_everybody_gets_some_of_it() -> None:
    lanes = [lane("a", due=8), lane("b", due=8), lane("c", "t2", due=8), lane("d", "t3")]
    assert {"a": 1, "c": 1, "d": 1} == endpoints(pick(lanes, Load.none(), 3, NOW))
    picked = pick(lanes, Load.none(), 7, NOW)
    assert {"t1": 3, "t2": 3, "t3": 1} == Counter(found.tenant_id for found, _ in picked)


def test_whoever_has_the_least_under_way_comes_first() -> None:
    load = Load.none()
    load.add("t1", "a", 3)
    load.add("t2", "c", 1)
    lanes = [lane("a", due=8), lane("b", due=8), lane("c", "t2", due=8)]
    assert {"c": 1} == endpoints(pick(lanes, load, 1, NOW))
    assert {"c": 2, "b": 1} == endpoints(pick(lanes, load, 3, NOW))


def test_a_tenant_with_many_endpoints_leaves_room_for_others() -> None:
    many = [lane(f"e{n}", due=8) for n in range(200)]
    picked = pick([*many, lane("other", "t2")], Load.none(), AT_ONCE, NOW)
    assert {"t1": PER_TENANT, "t2": 1} == Counter(found.tenant_id for found, _ in picked)


def test_what_is_under_way_counts_against_the_places() -> None:
    load = Load.none()
    load.add("t1", "a", PER_ENDPOINT - 1)
    assert {"a": 1} == endpoints(pick([lane("a", due=8)], load, AT_ONCE, NOW))
    load.add("t1", "a")
    assert {} == endpoints(pick([lane("a", due=8)], load, AT_ONCE, NOW))
    load.add("t1", "a", -PER_ENDPOINT)
    assert not load.tenants
    assert not load.endpoints


def test_nothing_is_picked_twice_and_what_is_due_first_comes_first() -> None:
    picked = [delivery for _, delivery in pick([lane("a", due=5)], Load.none(), AT_ONCE, NOW)]
    assert [f"a-{n}" for n in range(5)] == picked


def test_an_open_circuit_and_an_endpoint_that_is_not_active_are_left_alone() -> None:
    paused = Lane("p", "t1", False, 0, 0, NOW, ("p-0",))
    assert [] == pick([lane("open", open_until=NOW + 1), paused], Load.none(), AT_ONCE, NOW)
    assert paused.ready_at() is None
    assert NOW + 1 == lane("open", open_until=NOW + 1).ready_at()


def test_a_circuit_that_half_opens_is_tried_with_one_delivery() -> None:
    tripped = lane("a", due=8, failures=FAILURES, open_until=NOW)
    assert {"a": 1} == endpoints(pick([tripped], Load.none(), AT_ONCE, NOW))
    busy = Load.none()
    busy.add("t1", "a")
    assert [] == pick([tripped], busy, AT_ONCE, NOW)


def test_the_circuit_opens_after_so_many_failures_in_a_row_and_longer_each_time() -> None:
    failures, open_until = 0, 0
    for _ in range(FAILURES - 1):
        failures, open_until = circuit_after_failure(failures, open_until, NOW, probe=False)
    assert (FAILURES - 1, 0) == (failures, open_until)
    pauses = []
    now = NOW
    for n in range(8):
        failures, open_until = circuit_after_failure(failures, open_until, now, probe=n > 0)
        pauses.append(open_until - now)
        now = open_until
    assert [CIRCUIT_BASE, 2 * CIRCUIT_BASE, 4 * CIRCUIT_BASE] == pauses[:3]
    assert CIRCUIT_CAP == pauses[-1]


def test_what_was_under_way_when_the_circuit_opened_does_not_open_it_further() -> None:
    opened = circuit_after_failure(FAILURES - 1, 0, NOW, probe=False)
    assert opened == circuit_after_failure(*opened, NOW + 1, probe=False)
    assert opened != circuit_after_failure(*opened, NOW + 1, probe=True)


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        (200, Meaning.DELIVERED), (204, Meaning.DELIVERED), (299, Meaning.DELIVERED),
        (301, Meaning.RETRY), (302, Meaning.RETRY), (304, Meaning.RETRY), (307, Meaning.RETRY),
        (400, Meaning.REFUSED), (401, Meaning.REFUSED), (404, Meaning.REFUSED), (422, Meaning.REFUSED),
        (408, Meaning.RETRY), (425, Meaning.RETRY), (429, Meaning.RETRY), (410, Meaning.GONE),
        (500, Meaning.RETRY), (503, Meaning.RETRY), (599, Meaning.RETRY), (None, Meaning.RETRY), (199, Meaning.RETRY),
    ],
)  # fmt: skip
def test_what_an_answer_means(status: int | None, meant: Meaning) -> None:
    assert meant == meaning(Receipt(status, 1))
