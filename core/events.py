"""Decision events for executors: pull with a cursor that skips nothing, ack, and claim before acting.

The cursor is the event's position, which the sealer gives after the commit: positions become visible in their order,
so an event that commits late gets a later position and no cursor has passed it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from core.checkpoints import checkpoint
from core.errors import Conflict, NotFound, Refused
from core.hub import Hub
from core.ledger import Database, Row, Tx, Write
from core.ledger import executor_queries as eq
from core.model import Principal
from core.sealed import opened_text
from core.sealing import KeyRing
from core.states import Verdict
from core.tokens import new_id

RESCAN_SECONDS = 1.0
MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """Events (each the JSON text that its executor gets), oldest first, and the cursor after them."""

    items: list[str]
    cursor: int


@dataclass(frozen=True, slots=True)
class Claim:
    """Leave to act on one decision event, given to one claimer and never to another."""

    claim_id: str
    event_id: str
    claimer_id: str
    claimed_at: int
    final_digest: str


class Events:
    def __init__(self, database: Database, hub: Hub, keys: KeyRing) -> None:
        self._database = database
        self._hub = hub
        self._keys = keys

    async def pull(self, source_id: str, after: int, limit: int, wait_seconds: float = 0) -> Page:
        """Events of the source after the cursor that nobody has acked; waits for the first one up to `wait_seconds`."""
        deadline = time.monotonic() + wait_seconds

        async def body(tx: Tx) -> Page:
            rows = await tx.all(eq.PULL, source_id=source_id, after=after, limit=min(limit, MAX_PAGE))
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
                if await tx.write(Write(eq.ACK, params, rows=None)) == [1]:
                    known.add(event_id)
            checkpoint("ack.before_commit")
            asked = list(dict.fromkeys(event_ids))
            return [one for one in asked if one in known], [one for one in asked if one not in known]

        answer = await self._database.transact(body)
        checkpoint("ack.after_commit")
        return answer

    async def claim(
        self, principal: Principal, source_id: str, event_id: str, final_digest: str, claimer_id: str
    ) -> Claim:
        """Give this claimer leave to act, once; asking again is asking once. Raises NotFound, Refused for what nobody
        agreed to, and Conflict when somebody else has the claim.
        """
        claim_id = new_id("clm_")

        async def body(tx: Tx) -> Claim:
            facts = await tx.one(eq.CLAIM_FACTS, event_id=event_id, source_id=source_id, tenant_id=principal.tenant_id)
            if facts is None:
                raise NotFound("there is no such decision event")
            _check_agreed(facts, final_digest)
            row = {
                "event_id": event_id,
                "claim_id": claim_id,
                "tenant_id": principal.tenant_id,
                "claimer_id": claimer_id,
                "key_id": principal.key_id,
                "final_digest": final_digest,
                "claimed_at": await tx.now(),
            }
            await tx.write(Write(eq.INSERT_CLAIM, row, rows=None))
            held = await tx.one(eq.CLAIM, event_id=event_id)
            assert held is not None, "a claim is never taken away"
            if held["claimer_id"] != claimer_id:
                raise Conflict("somebody else has claimed this event and acts on it; do not act")
            checkpoint("claim.before_commit")
            return Claim(**{name: held[name] for name in Claim.__slots__})

        claim = await self._database.transact(body)
        checkpoint("claim.after_commit")
        return claim


def _check_agreed(facts: Row, final_digest: str) -> None:
    """Raise Refused unless people agreed, for good, to exactly this."""
    if facts["settles_at"] is not None:
        raise Refused("this decision may still be revised, so nobody may act on it yet")
    if facts["verdict"] != Verdict.APPROVE:
        raise Refused("this decision is a DENY: there is nothing to act on")
    if json.loads(facts["body"])["final_digest"] != final_digest:
        raise Refused("final_digest is not that of this event: what you hold is not what was agreed to; do not act")
