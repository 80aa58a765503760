"""What may be forgotten: the platforms' delivery ids and kept answers, once nobody can repeat them."""

from __future__ import annotations

from core.ledger import Database, Tx, Write
from core.ledger import queries as q
from core.schedule import DAY

INBOUND_KEPT = 7 * DAY  # no platform delivers a tap again after so long
ANSWERS_KEPT = DAY  # contract: an Idempotency-Key holds for 24 h


class Housekeeping:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget(self) -> None:
        async def body(tx: Tx) -> None:
            now = await tx.now()
            await tx.write(
                Write(q.FORGET_INBOUND, {"before": now - INBOUND_KEPT}, rows=None),
                Write(q.FORGET_IDEMPOTENCY, {"before": now - ANSWERS_KEPT}, rows=None),
            )

        await self._database.transact(body)
