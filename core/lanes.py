"""Fairness between endpoints, and their circuits. Pure.

A lane is one endpoint with something waiting. Whoever has the least under way comes first: of the tenants, then of a
tenant's endpoints. So a thousand waiting deliveries of a dead endpoint cost its neighbours nothing but its few slots.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from core.schedule import MINUTE, SECOND, retry_delay

AT_ONCE = 128  # deliveries that one courier has under way
PER_TENANT = 48
PER_ENDPOINT = 8

FAILURES = 5  # in a row, after which an endpoint's circuit opens
CIRCUIT_BASE = 30 * SECOND
CIRCUIT_CAP = 10 * MINUTE


@dataclass(frozen=True, slots=True)
class Lane:
    """`due`: the ids of its first due deliveries. `due_at`: when the next one is, or was, due."""

    endpoint_id: str
    tenant_id: str
    active: bool
    failures: int
    open_until: int
    due_at: int
    due: tuple[str, ...] = ()

    @property
    def tripped(self) -> bool:
        return self.failures >= FAILURES

    def ready_at(self) -> int | None:
        """When something of it may be tried; None while it is paused or disabled."""
        return max(self.due_at, self.open_until) if self.active else None


@dataclass(slots=True)
class Load:
    """What one courier has under way."""

    tenants: Counter[str]
    endpoints: Counter[str]

    @classmethod
    def none(cls) -> Load:
        return cls(Counter(), Counter())

    def copy(self) -> Load:
        return Load(Counter(self.tenants), Counter(self.endpoints))

    def add(self, tenant_id: str, endpoint_id: str, by: int = 1) -> None:
        for counter, key in ((self.tenants, tenant_id), (self.endpoints, endpoint_id)):
            counter[key] += by
            if not counter[key]:
                del counter[key]

    def rank(self, lane: Lane) -> tuple[int, int]:
        return self.tenants[lane.tenant_id], self.endpoints[lane.endpoint_id]

    def has_room(self, lane: Lane) -> bool:
        # A tripped endpoint is tried with one delivery; only when that arrives do the others follow.
        most = 1 if lane.tripped else PER_ENDPOINT
        return self.tenants[lane.tenant_id] < PER_TENANT and self.endpoints[lane.endpoint_id] < most


def pick(lanes: Sequence[Lane], load: Load, room: int, now: int) -> list[tuple[Lane, str]]:
    """Up to `room` deliveries to claim: the least busy tenant's least busy endpoint first, over and over."""
    load, chosen = load.copy(), list[tuple[Lane, str]]()
    waiting = {n: list(reversed(lane.due)) for n, lane in enumerate(lanes) if lane.active and lane.open_until <= now}
    queue = [(*load.rank(lanes[n]), n) for n, due in waiting.items() if due]
    heapq.heapify(queue)
    while queue and len(chosen) < room:
        *rank, n = heapq.heappop(queue)
        lane = lanes[n]
        if not load.has_room(lane):
            continue
        if tuple(rank) != load.rank(lane):  # its tenant has got more to do since it was ranked
            heapq.heappush(queue, (*load.rank(lane), n))
            continue
        chosen.append((lane, waiting[n].pop()))
        load.add(lane.tenant_id, lane.endpoint_id)
        if waiting[n]:
            heapq.heappush(queue, (*load.rank(lane), n))
    return chosen


def circuit_after_failure(failures: int, open_until: int, now: int, *, probe: bool) -> tuple[int, int]:
    """An endpoint's failures in a row and the end of its pause, after one more failure.

    While the circuit is open, what was under way when it opened says nothing new; only the one try that half-opens it
    (`probe`) does.
    """
    if open_until > now and not probe:
        return failures, open_until
    failures += 1
    if failures < FAILURES:
        return failures, open_until
    return failures, now + retry_delay(failures - FAILURES + 1, base=CIRCUIT_BASE, cap=CIRCUIT_CAP)
