"""The clock role: deadlines, reminders, seals, what may be forgotten, what is to be erased. Any number of processes may
run it at once.
"""

from __future__ import annotations

from bot.loops import RESCAN_SECONDS, Loop
from core.dispatch import Dispatcher
from core.escalations import Escalations
from core.gate import Gate
from core.housekeeping import Housekeeping
from core.hub import Hub
from core.ledger import Database
from core.meters import NOBODY, Spans
from core.reminders import Reminders
from core.retention import SWEEP_SECONDS, Retention
from core.run_worker import WAKES, Engine, RunWorker
from core.sealing import KeyRing
from core.seals import BATCH, Sealer

SEAL_PAUSE = 0.006  # decisions that come within it share a seal; pull and webhooks wait for it
HOUSEKEEPING_SECONDS = 600.0


def clock_loops(
    database: Database,
    hub: Hub,
    ring: KeyRing,
    gate: Gate,
    engine: Engine | None = None,
    spans: Spans = NOBODY.spans,
    retention_days: int | None = None,
) -> list[Loop]:
    sealer = Sealer(database, hub, ring)
    reminders = Reminders(database, hub, spans)
    escalations = Escalations(database, hub, ring, spans)
    housekeeping = Housekeeping(database)
    dispatcher = Dispatcher(database, hub)

    async def dispatch() -> float:
        return 0.0 if await dispatcher.dispatch_due() else RESCAN_SECONDS

    async def seal() -> float:
        return 0.0 if await sealer.seal() >= BATCH else RESCAN_SECONDS

    async def expire() -> float:
        if await gate.expire_due() + await gate.settle_due():
            return 0.0
        until = await gate.next_deadline()
        return RESCAN_SECONDS if until is None else min(RESCAN_SECONDS, until / 1000)

    async def remind() -> float:
        if await reminders.remind_due():
            return 0.0
        until = await reminders.next_reminder()
        return RESCAN_SECONDS if until is None else min(RESCAN_SECONDS, until / 1000)

    async def escalate() -> float:
        if await escalations.escalate_due():
            return 0.0
        until = await escalations.next_escalation()
        return RESCAN_SECONDS if until is None else min(RESCAN_SECONDS, until / 1000)

    async def forget() -> float:
        await housekeeping.forget()
        return HOUSEKEEPING_SECONDS

    loops = [
        Loop("seals", hub, seal, "seal", pause=SEAL_PAUSE),
        Loop("deadlines", hub, expire, "deadlines"),
        Loop("reminders", hub, remind, "reminders"),
        Loop("escalations", hub, escalate, "escalations"),
        Loop("dispatch", hub, dispatch, "dispatch"),
        Loop("runs", hub, RunWorker(database, gate, hub, engine).round, WAKES),
        Loop("housekeeping", hub, forget, every=HOUSEKEEPING_SECONDS),
    ]
    if retention_days is not None:
        retention = Retention(database, hub, ring, retention_days, engine)
        loops.append(Loop("retention", hub, retention.round, every=SWEEP_SECONDS))
    return loops
