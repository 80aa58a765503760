"""Handing approved tasks to executors: each is looked at again, then its decision event is written, or it is refused
and says why. Any number of processes may do it at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from core.checkpoints import checkpoint
from core.dispatch_check import UNREADABLE, objection
from core.hub import Hub
from core.ledger import Database, Row, Tx, Write
from core.ledger import case_queries as q
from core.ledger import guard_queries as g
from core.outcome import announcement, decided
from core.rows import case_of

log = structlog.get_logger()

BATCH = 20


@dataclass(frozen=True, slots=True)
class _Dispatched:
    case_id: str
    tenant_id: str
    problem: str | None  # why executors do not get it


class Dispatcher:
    def __init__(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._hub = hub

    async def dispatch_due(self) -> int:
        """Dispatch or refuse what awaits it; how many. Call again while it is not 0."""

        async def body(tx: Tx) -> list[_Dispatched]:
            rows = await tx.all(g.AWAITING_DISPATCH, now=await tx.now(), limit=BATCH)
            waiting = [row["case_id"] for row in rows]
            done = [await _dispatch(tx, case_id) for case_id in waiting]
            if done:
                checkpoint("dispatch.before_commit")
            return done

        done = await self._database.transact(body)
        if done:
            checkpoint("dispatch.after_commit")
        for one in done:
            if one.problem is not None:
                log.error("dispatch.refused", case_id=one.case_id, tenant_id=one.tenant_id, reason=one.problem)
            self._hub.wake(f"case:{one.case_id}", "seal", "deliveries")
        return len(done)


async def _dispatch(tx: Tx, case_id: str) -> _Dispatched:
    row = await tx.one(g.EVIDENCE_OF_TASK, case_id=case_id)
    assert row is not None  # it is locked
    now = await tx.now()
    case_row = await tx.one(q.CASE, case_id=case_id, tenant_id=row["tenant_id"])
    problem, writes = _judged(row, case_row, now)
    await tx.write(*writes)
    return _Dispatched(case_id, row["tenant_id"], problem)


def _judged(row: Row, case_row: Row | None, now: int) -> tuple[str | None, list[Write]]:
    """What is wrong with this task, and what to write: its event, or that it was refused."""
    problem, event = objection(row, now), []
    if problem is None and case_row is not None:
        try:
            case = case_of(case_row)
            decision = decided(case, row["interaction_id"])
            event = announcement(case, decision, row["row_hash"], now) if decision else []
        except (ValueError, TypeError, LookupError):  # a task that cannot be read must not hold up the others
            problem = UNREADABLE
    if not event:
        problem = problem or UNREADABLE
        return problem, [Write(g.REFUSE_TASK, {"case_id": row["case_id"], "now": now, "failure": problem})]
    return None, [Write(g.DISPATCH_TASK, {"case_id": row["case_id"], "now": now}), *event]
