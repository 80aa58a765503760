"""What waits at this moment, in numbers, for whoever watches the installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.ledger import Database, Row, Tx
from core.ledger import metric_queries as q
from core.overdue import overdue

MOST = 200_000  # rows of one kind that are counted; there may be more
FEW = 1_000  # unacked events of one source that are counted
SOURCES = 200  # sources whose unacked events are counted


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many of something, of which the first waits since so many seconds. `tenant_id`, `source_id`, `platform` and
    `state` say whose or of what kind they are, where that is known.
    """

    count: int
    seconds: float
    tenant_id: str = ""
    source_id: str = ""
    platform: str = ""
    state: str = ""
    endpoints: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    cases: Sequence[Waiting]  # by tenant and source
    cards: Sequence[Waiting]  # by platform
    queued: Sequence[Waiting]  # cards whose chat is busy, by platform
    notices: Sequence[Waiting]  # by platform
    deliveries: Sequence[Waiting]  # by tenant and the state of their endpoints: active, tripped, paused, disabled
    events: Sequence[Waiting]  # by tenant and source
    runs: Sequence[Waiting]  # by tenant
    unsealed: Waiting
    overdue: int  # cases that should have been erased


async def read_figures(database: Database, retention_days: int | None = None) -> Figures:
    """Without days nothing is overdue. Raises Unavailable."""

    async def body(tx: Tx) -> Figures:
        now = await tx.now()
        (unsealed,) = await tx.all(q.UNSEALED, limit=FEW)
        deliveries = await tx.all(q.WAITING_DELIVERIES, limit=MOST)
        return Figures(
            cases=[
                Waiting(row["waiting"], _since(now, row["oldest"]), row["tenant_id"], row["source_id"] or "")
                for row in await tx.all(q.WAITING_CASES, limit=MOST)
            ],
            cards=[_of_platform(now, row) for row in await tx.all(q.WAITING_CARDS, limit=MOST)],
            queued=[_of_platform(now, row) for row in await tx.all(q.QUEUED_CARDS, limit=MOST)],
            notices=[_of_platform(now, row) for row in await tx.all(q.WAITING_NOTICES, limit=MOST)],
            deliveries=[_of_endpoints(now, row) for row in deliveries],
            events=[
                Waiting(row["waiting"], _since(now, row["oldest"]), row["tenant_id"], row["source_id"])
                for row in await tx.all(q.UNACKED_EVENTS, window=SOURCES, few=FEW)
            ],
            runs=[Waiting(row["waiting"], 0, row["tenant_id"]) for row in await tx.all(q.WAITING_RUNS, limit=MOST)],
            unsealed=Waiting(unsealed["waiting"], _since(now, unsealed["oldest"])),
            overdue=sum(one.total for one in await overdue(tx, retention_days)),
        )

    return await database.read(body)


def _of_platform(now: int, row: Row) -> Waiting:
    return Waiting(row["waiting"], _since(now, row["moment"]), platform=row["platform"])


def _of_endpoints(now: int, row: Row) -> Waiting:
    state = "tripped" if row["tripped"] else row["state"]
    return Waiting(
        int(row["waiting"]), _since(now, row["due_at"]), row["tenant_id"], state=state, endpoints=row["endpoints"]
    )


def _since(now: int, moment: int | None) -> float:
    """Seconds since then; 0 for what is not due yet, or for nothing."""
    return 0.0 if moment is None else max(0, now - moment) / 1000
