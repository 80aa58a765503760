"""What retention should have erased some days ago, and did not: why, and whose it is. Reads only.

A case is overdue `OVERDUE_MS` after it was due, unless it waits for what is over by itself: another case of its
workflow, the round that follows it, a run that has ended since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.ledger import Tx
from core.ledger.retention_queries import OVERDUE
from core.schedule import DAY

OVERDUE_MS = 2 * DAY
LOOKED_AT = 2_000  # of those that were due so long ago, the oldest


@dataclass(frozen=True, slots=True)
class Overdue:
    """So many cases of one source (None: posted without one); the oldest was closed at `oldest` (ms UTC). `waits`: what
    for, as a key of `core.retention.WAITS_FOR`; None: for nothing, and they were not erased.
    """

    waits: str | None
    source_id: str | None
    total: int
    oldest: int


async def overdue(tx: Tx, days: int | None) -> Sequence[Overdue]:
    """The oldest first; nothing where nothing is erased (`days` None)."""
    if days is None:
        return ()
    before = await tx.now() - days * DAY - OVERDUE_MS
    rows = await tx.all(OVERDUE, before=before, limit=LOOKED_AT)
    return [Overdue(row["waits"], row["source_id"], row["total"], row["oldest"]) for row in rows]
