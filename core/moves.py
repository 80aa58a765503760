"""How a case moves inside a transaction: lock it, see that it waits, close it whole, note what was refused.

The verbs (gate, replying) decide; this is what they all write.
"""

from __future__ import annotations

from dataclasses import replace

from core.errors import AlreadyDecided, CaseCancelled, CaseExpired, NotFound
from core.ledger import Tx, Write
from core.ledger import case_queries as q
from core.ledger import inbox_queries as iq
from core.model import Case
from core.outcome import Closing, answer_writes, case_event, decision_writes
from core.replies import Reply
from core.rows import case_of, to_json
from core.states import Status, apply


async def locked(tx: Tx, case_id: str) -> Case:
    """The case, nobody else's until the transaction ends. Raises NotFound."""
    row = await tx.one(q.LOCK_CASE, case_id=case_id)
    if row is None:
        raise NotFound
    return case_of(row)


def check_waiting(case: Case) -> None:
    """Raise AlreadyDecided, CaseCancelled or CaseExpired for a closed case."""
    match case.status:
        case Status.COMPLETED:
            raise AlreadyDecided
        case Status.CANCELLED:
            raise CaseCancelled
        case Status.EXPIRED:
            raise CaseExpired
        case _:
            return


async def close(
    tx: Tx, case: Case, closing: Closing, now: int, *, grace_ms: int = 0, delivery_id: str | None = None
) -> Case:
    """The one way in which a case ends: ledger row, case row, case event, decision, decision event, cards; all or
    nothing. Within `grace_ms` the answer may still be revised, and the decision waits.
    """
    status = apply(case.status, closing.event)
    closed = replace(
        case,
        status=status,
        closed_at=now,
        result={"action": closing.action, "data": closing.data} if status is Status.COMPLETED else None,
        answered=closing.answered,
        votes=case.votes if closing.vote is None else (*case.votes, closing.vote),
        settles_at=now + grace_ms if grace_ms else None,
        version=case.version + 1,
        last_event=case.last_event + 1,
    )
    interaction, writes = answer_writes(closed, closing, now)
    writes.insert(1, move(case, closed))
    if case.terms.get("listed"):
        writes.append(Write(iq.CLOSE_INBOX, {"case_id": case.case_id, "now": now}, rows=None))
    if not grace_ms:
        writes += decision_writes(closed, interaction["interaction_id"], interaction["row_hash"], now)
        tx.tell(closed)
    await tx.write(*writes, *received(closing.identity.platform, delivery_id, now))
    return closed


async def revise(tx: Tx, case: Case, closing: Closing, now: int) -> Case:
    """Another answer in the place of one that may still be revised; it settles when the first would have."""
    revised = replace(
        case,
        closed_at=now,
        result={"action": closing.action, "data": closing.data},
        answered=closing.answered,
        version=case.version + 1,
        last_event=case.last_event + 1,
    )
    _, writes = answer_writes(revised, closing, now)
    writes.insert(1, move(case, revised))
    await tx.write(*writes)
    return revised


async def settle(tx: Tx, case: Case, now: int) -> Case:
    """The answer can no longer be revised: now it decides."""
    row = await tx.one(q.LATEST_INTERACTION, case_id=case.case_id)
    assert row is not None
    writes = decision_writes(case, row["interaction_id"], row["row_hash"], now)
    await tx.write(Write(q.SETTLE_CASE, {"case_id": case.case_id}), *writes)
    tx.tell(case)
    return replace(case, settles_at=None)


async def audit(tx: Tx, case: Case, reply: Reply, kind: str, now: int, **details: str) -> None:
    """Note something that changed nothing: a repetition, a refusal."""
    noted = replace(case, last_event=case.last_event + 1)
    by = reply.identity.as_json()
    writes = [
        Write(q.NOTE_EVENT, {"case_id": case.case_id, "last_event": noted.last_event}),
        case_event(noted, kind, {"by": by, "via": reply.via, "action": reply.action, **details}, now),
    ]
    await tx.write(*writes, *received(reply.identity.platform, reply.delivery_id, now))


def received(platform: str, delivery_id: str | None, now: int) -> list[Write]:
    """That this delivery of the platform was dealt with, so that its redelivery is told nothing a second time."""
    if delivery_id is None:
        return []
    inbound = {"platform": platform, "delivery_id": delivery_id, "received_at": now}
    return [Write(q.INSERT_INBOUND, inbound, rows=None)]


def move(was: Case, now: Case) -> Write:
    """The case row from what was judged to what it is now; only if nobody changed it in between."""
    return Write(
        q.MOVE_CASE,
        {
            "case_id": was.case_id,
            "was_status": str(was.status),
            "was_version": was.version,
            "status": str(now.status),
            "opened_at": now.opened_at,
            "closed_at": now.closed_at,
            "result": None if now.result is None else to_json(now.result),
            "answered": None if now.answered is None else to_json(now.answered),
            "progress": None if now.progress is None else to_json(now.progress),
            "last_event": now.last_event,
            "settles_at": now.settles_at,
            "votes": to_json(now.votes) if now.votes else None,
        },
    )
