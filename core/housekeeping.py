"""What may be forgotten: the platforms' delivery ids, kept answers and used proofs, once nobody can repeat them; what
was typed and never sent, once its case has ended; counts of requests, once their window has.
"""

from __future__ import annotations

from core.kept import ANSWERS_KEPT
from core.ledger import Database, Tx, Write
from core.ledger import case_queries as q
from core.ledger import flood_queries as fq
from core.ledger import inbox_queries as iq
from core.ledger import kept_queries as k
from core.ledger import people_queries as pq
from core.ledger import rate_queries as rq
from core.ledger import saved_queries as sq
from core.ledger import verification_queries as vq
from core.schedule import DAY, HOUR

INBOUND_KEPT = 7 * DAY  # no platform delivers a tap again after so long
CHATS_KEPT = HOUR  # no limit of a platform looks back as far
QUESTIONS_KEPT = 40 * DAY  # no case waits for as long
PROOFS_KEPT = 400 * DAY  # no policy takes one that is as old (its freshness is at most 366 days)


class Housekeeping:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget(self) -> None:
        async def body(tx: Tx) -> None:
            now = await tx.now()
            await tx.write(
                Write(q.FORGET_INBOUND, {"before": now - INBOUND_KEPT}, rows=None),
                Write(k.FORGET_IDEMPOTENCY, {"before": now - ANSWERS_KEPT}, rows=None),
                Write(k.FORGET_LEASES, {"before": now - ANSWERS_KEPT}, rows=None),
                Write(sq.FORGET_SAVED_OF_CLOSED, rows=None),
                Write(rq.FORGET_RATE_WINDOWS, {"before": now}, rows=None),
                Write(fq.FORGET_CHATS, {"before": now - CHATS_KEPT}, rows=None),
                Write(pq.FORGET_CODES, {"before": now}, rows=None),
                Write(pq.FORGET_SESSIONS, {"before": now}, rows=None),
                Write(iq.FORGET_QUESTIONS, {"before": now - QUESTIONS_KEPT}, rows=None),
                Write(vq.FORGET_USED_EVIDENCE, {"before": now - PROOFS_KEPT}, rows=None),
            )

        await self._database.transact(body)
