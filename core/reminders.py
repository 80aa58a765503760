"""Reminders: when a moment that was agreed at opening has come and the case still waits, everybody is told once.

The clock writes the case event (which the event stream passes on) and one notice per posted card; workers carry those
to the messengers. A card that is posted only after that moment is its own reminder.
"""

from __future__ import annotations

import time
from dataclasses import replace

from core import wording
from core.checkpoints import checkpoint
from core.hub import Hub
from core.ledger import Database, Tx, Write
from core.ledger import reminder_queries as q
from core.meters import NOBODY, Spans
from core.model import Case
from core.outcome import case_event
from core.rows import case_of, to_json
from core.schedule import iso, next_reminder

KIND = "reminder"
BATCH = 20  # whoever answers one of them meanwhile waits for the transaction


class Reminders:
    """The verb `remind`. Any number of processes may run it at once."""

    def __init__(self, database: Database, hub: Hub, spans: Spans = NOBODY.spans) -> None:
        self._database = database
        self._hub = hub
        self._spans = spans

    async def remind_due(self) -> int:
        """Remind of cases whose moment has come; of how many. Call again while it is not 0."""
        began = time.time_ns()

        async def body(tx: Tx) -> list[Case]:
            now = await tx.now()
            rows = await tx.all(q.DUE_REMINDERS, now=now, limit=BATCH)
            reminded = [await _remind(tx, case_of(row), int(row["remind_at"]), now) for row in rows]
            if reminded:
                checkpoint("remind.before_commit")
            return reminded

        reminded = await self._database.transact(body)
        if reminded:
            checkpoint("remind.after_commit")
            self._hub.wake("notices", *(f"case:{case.case_id}" for case in reminded))
        for case in reminded:
            self._spans.done("gate.remind", began, tenant_id=case.tenant_id, case_id=case.case_id)
        return len(reminded)

    async def next_reminder(self) -> int | None:
        """Milliseconds until the next reminder is due; None when none is planned."""

        async def body(tx: Tx) -> int | None:
            now = await tx.now()
            row = await tx.one(q.NEXT_REMINDER, now=now)
            return None if row is None else max(0, row["remind_at"] - now)

        return await self._database.read(body)


async def _remind(tx: Tx, case: Case, due_at: int, now: int) -> Case:
    """One reminder for all moments that have passed: after a downtime nobody is told the same several times. `due_at`
    is one of those that were agreed when the case opened, or that people have put it off to.
    """
    moments: list[int] = case.terms["reminder_at"]
    planned = max([moment for moment in moments if moment <= now] + [due_at])
    reminded = replace(case, reminder_sent_at=now, version=case.version + 1, last_event=case.last_event + 1)
    data = {"reminder_at": iso(planned), "message": f"Review expires in {wording.span(case.expires_at - now)}"}
    await tx.write(
        Write(
            q.REMINDED,
            {
                "case_id": case.case_id,
                "was_version": case.version,
                "remind_at": next_reminder(moments, now, case.expires_at),
                "now": now,
                "last_event": reminded.last_event,
            },
        ),
        case_event(reminded, KIND, data, now),
        Write(q.SUPERSEDE_NOTICES, {"case_id": case.case_id, "kind": KIND}, rows=None),
        Write(
            q.INSERT_NOTICES,
            {"case_id": case.case_id, "kind": KIND, "key": iso(planned), "data": to_json(data), "now": now},
            rows=None,
        ),
    )
    return reminded
