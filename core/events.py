"""Decision events for executors: pull with a cursor that skips nothing, and ack.

The cursor is the event's position, which the sealer gives after the commit: positions become visible in their order,
so an event that commits late gets a later position and no cursor has passed it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.checkpoints import checkpoint
from core.hub import Hub
from core.ledger import Database, Tx, Write
from core.ledger import queries as q
from core.sealed import opened_text
from core.sealing import KeyRing

RESCAN_SECONDS = 1.0
MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Events (each the JSON text that its executor gets), oldest first, and the cursor after them."""

    items: list[str]
    cursor: int


class Events:
    def __init__(self, database: Database, hub: Hub, keys: KeyRing) -> None:
        self._database = database
        self._hub = hub
        self._keys = keys

    async def pull(self, source_id: str, after: int, limit: int, wait_seconds: float = 0) -> Page:
        """Events of the source after the cursor that nobody has acked; waits for the first one up to `wait_seconds`."""
        deadline = time.monotonic() + wait_seconds

        async def body(tx: Tx) -> Page:
            rows = await tx.all(q.PULL, source_id=source_id, after=after, limit=min(limit, MAX_PAGE))
            return Page([row["body"] for row in rows], rows[-1]["position"] if rows else after)

        with self._hub.subscribe(f"events:{source_id}") as woken:
            while True:
                page = await self._database.read(body)
                left = deadline - time.monotonic()
                if page.items or left <= 0:
                    return Page([opened_text(self._keys, text) for text in page.items], page.cursor)
                await woken.wait(min(left, RESCAN_SECONDS))

    async def ack(self, tenant_id: str, source_id: str, event_ids: list[str]) -> tuple[list[str], list[str]]:
        """Stop re-delivery of these events. (acked, unknown); an event of another source is as unknown as one that
        never was.
        """

        async def body(tx: Tx) -> tuple[list[str], list[str]]:
            now = await tx.now()
            known: set[str] = set()
            for event_id in sorted(set(event_ids)):  # in one order, so that two acks never wait for each other
                params = {"event_id": event_id, "source_id": source_id, "tenant_id": tenant_id, "now": now}
                if await tx.write(Write(q.ACK, params, rows=None)) == [1]:
                    known.add(event_id)
            checkpoint("ack.before_commit")
            asked = list(dict.fromkeys(event_ids))
            return [one for one in asked if one in known], [one for one in asked if one not in known]

        answer = await self._database.transact(body)
        checkpoint("ack.after_commit")
        return answer
