"""Escalations: when a case has waited for so long, others are asked as well: cards in more chats, more people who may
decide, and those who are called. In order, each level once, before the deadline.
"""

from __future__ import annotations

import time
from dataclasses import replace

from core.chat_terms import chain_of, next_level
from core.checkpoints import checkpoint
from core.hub import Hub
from core.ledger import Database, Tx, Write, card_queries
from core.ledger import climbing_queries as q
from core.ledger import reminder_queries as rq
from core.meters import NOBODY, Spans
from core.model import Case
from core.notices import ESCALATION
from core.opening import card_writes, inbox_writes
from core.outcome import case_event
from core.rows import case_of, to_json
from core.sealing import KeyRing

KIND = "escalated"
BATCH = 20


class Escalations:
    """The verb `escalate`. Any number of processes may run it at once."""

    def __init__(self, database: Database, hub: Hub, keys: KeyRing, spans: Spans = NOBODY.spans) -> None:
        self._database = database
        self._hub = hub
        self._keys = keys
        self._spans = spans

    async def escalate_due(self) -> int:
        """Let cases climb whose moment has come; how many. Call again while it is not 0."""
        began = time.time_ns()

        async def body(tx: Tx) -> list[Case]:
            now = await tx.now()
            due = [case_of(row) for row in await tx.all(q.DUE_ESCALATIONS, now=now, limit=BATCH)]
            climbed = [await self._climb(tx, case, now) for case in due]
            if climbed:
                checkpoint("escalate.before_commit")
            return climbed

        climbed = await self._database.transact(body)
        if climbed:
            checkpoint("escalate.after_commit")
            self._hub.wake("cards", "notices", *(f"case:{case.case_id}" for case in climbed))
        for case in climbed:
            self._spans.done("gate.escalate", began, tenant_id=case.tenant_id, case_id=case.case_id)
        return len(climbed)

    async def next_escalation(self) -> int | None:
        """Milliseconds until the next one is due; None when none is planned."""

        async def body(tx: Tx) -> int | None:
            now = await tx.now()
            row = await tx.one(q.NEXT_ESCALATION, now=now)
            return None if row is None else max(0, row["escalate_at"] - now)

        return await self._database.read(body)

    async def _climb(self, tx: Tx, case: Case, now: int) -> Case:
        """One level a time: after a downtime each is still climbed, and said so, in its order."""
        chain = chain_of(case.terms)
        level, climbed = chain[case.escalated], case.escalated + 1
        moved = replace(
            case,
            escalated=climbed,
            policy=replace(case.policy, any_of=tuple(dict.fromkeys((*case.policy.any_of, *level.reviewers)))),
            version=case.version + 1,
            last_event=case.last_event + 1,
        )
        standing = await tx.all(card_queries.CARDS_OF_CASE, case_id=case.case_id)
        known = {(card["platform"], card["channel"]) for card in standing}
        chats = [one for one in level.notify if (one.platform, one.channel) not in known]
        told = {"level": climbed, "levels": len(chain), **level.as_json()}
        await tx.write(
            Write(
                q.CLIMBED,
                {
                    "case_id": case.case_id,
                    "was_version": case.version,
                    "escalated": climbed,
                    "escalate_at": next_level(chain, case.created_at, climbed),
                    "last_event": moved.last_event,
                },
            ),
            case_event(moved, KIND, told, now),
            Write(card_queries.REDRAW_CARDS, {"case_id": case.case_id}, rows=None),
            Write(
                rq.INSERT_NOTICES,
                {
                    "case_id": case.case_id,
                    "kind": ESCALATION,
                    "key": str(climbed),
                    "data": to_json({"level": climbed, "mention": list(level.mention or level.reviewers)}),
                    "now": now,
                },
                rows=None,
            ),
            *card_writes(moved, chats, self._keys, now, connected={platform for platform, _ in known}),
            *inbox_writes(moved, level.reviewers, chats),
        )
        return moved
