"""What a run takes with it when it is called off: its gates are withdrawn, and nobody is asked any more."""

from __future__ import annotations

from core.ledger import Tx
from core.ledger import run_queries as rq
from core.model import Identity, Origin
from core.moves import close, locked
from core.outcome import Closing
from core.run_moves import Run
from core.states import TERMINAL, Event

WITHDRAWER = Identity(platform="system", user_id="run", display_name="the run", verified=True)


async def withdraw_gates(tx: Tx, run: Run, now: int) -> list[str]:
    """Withdraw what still waits; the ids of those cases. The run is locked."""
    withdrawn = []
    for row in await tx.all(rq.WAITING_GATES, workflow_id=run.workflow_id):
        case = await locked(tx, row["case_id"])
        if case.status in TERMINAL:  # answered in this very moment: its signal finds the run ended
            continue
        closing = Closing(
            Event.CANCEL,
            "cancelled",
            {},
            WITHDRAWER,
            "api",
            Origin.API_SHIM,
            "sys:cancel",
            "cancel",
            "the run has ended",
        )
        await close(tx, case, closing, now)
        withdrawn.append(case.case_id)
    return withdrawn
