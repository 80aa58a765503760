"""Retention: what was decided long enough ago loses its content, case by case, each in one transaction; hashes stay.

Any number of processes may do it at once, and be killed anywhere: a case is erased whole or not at all, and once (the
ledger's unique key says so). What is still to be handed on is not erased yet. `core.erasure` says what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from core.checkpoints import checkpoint
from core.dispatch_check import objection
from core.erasure import (
    ACTION,
    DEDUPE_KEY,
    TOPIC,
    emptied_case,
    emptied_event,
    emptied_interaction,
    erased_decision,
    erased_gate_event,
    erased_told,
    erased_words,
    erasure_data,
)
from core.errors import AssentError
from core.flows import Inputs
from core.gate_answers import gate_of, payload_of
from core.gate_keys import event_keys
from core.hub import Hub
from core.ledger import Database, Row, Tx, Write, case_queries
from core.ledger import retention_queries as q
from core.ledger.guard_queries import EVIDENCE_OF_TASK
from core.ledger.oracle_queries import OUTCOME_OF_CASE
from core.model import Case, Identity, Origin
from core.oracle_checks import disagreements
from core.outcome import Closing, interaction_row
from core.rows import case_of, is_as_written, is_event_as_written, to_json
from core.run_moves import Run, run_of
from core.run_worker import Engine
from core.schedule import DAY
from core.sealing import KeyRing
from core.states import Event
from core.tokens import new_id

log = structlog.get_logger()

ERASER = Identity(platform="system", user_id="retention", display_name="retention", verified=True)
PAGE = 20
WRITES_AT_ONCE = 50
SWEEP_SECONDS = 600.0  # from one look at all that is due to the next
BREATH_SECONDS = 0.1  # after each page, for those who decide something
CARD_SECONDS = 1.0  # messengers take about so long for a message in one chat, and new cards go first

# Why a case that is due is not erased yet, by what `DUE_ERASURES` calls it.
WAITS_FOR: Mapping[str, str] = {
    "answer": "its answer may still be revised",
    "delivery": "a webhook or callback is still to be delivered",
    "pull": "no executor has acknowledged its event",
    "dispatch": "it is approved and was not dispatched",
    "signal": "its workflow has not heard of its end",
    "run": "its run goes on",
    "run_since": "its run has ended since",
    "workflow": "another case of its workflow goes on",
    "workflow_since": "another case of its workflow has ended since",
    "round": "the round that follows it is not closed",
    "verify": "the ledger says that it was erased before; run `assent verify`",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many cases that are due wait for `reason`; the oldest was closed at `oldest` (ms UTC)."""

    reason: str
    total: int
    oldest: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How far retention is: cases that were erased, that can be erased now, and that wait for something."""

    erased: int
    due: int
    waiting: Sequence[Waiting]


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of one case: `cards` are to be drawn anew; `altered`, a row, is why it was not erased."""

    done: bool = False
    cards: int = 0
    altered: str | None = None


class Retention:
    """`days`: how long after its case was closed content is kept. `engine`: it keeps a record of the runs that it has
    carried on, which is erased with them.
    """

    def __init__(self, database: Database, hub: Hub, keys: KeyRing, days: int, engine: Engine | None = None) -> None:
        self._engine = engine
        self._database = database
        self._hub = hub
        self._keys = keys
        self._kept_ms = days * DAY
        self._after = (0, "")  # where this process goes on looking: what waits would else be looked at again and again

    async def round(self) -> float:
        """Erase what can be erased of the next few cases that are due; how many seconds until the next round."""
        page = await self._page()
        found = [await self._tried(row["case_id"]) for row in page if row["waits"] is None]
        if len(page) < PAGE:
            self._after = (0, "")
            await self._erase_loose()
            return SWEEP_SECONDS
        self._after = (page[-1]["closed_at"], page[-1]["case_id"])
        return max(BREATH_SECONDS, CARD_SECONDS * sum(one.cards for one in found))

    async def _tried(self, case_id: str) -> Erased:
        """One case that cannot be erased must not hold up the others; it is tried again with the next sweep."""
        try:
            return await self.erase(case_id)
        except AssentError as error:
            log.warning("retention.put_off", case_id=case_id, reason=error.message)
        except Exception:
            log.exception("retention.defect", case_id=case_id)
        return Erased()

    async def sweep(self) -> int:
        """Erase all that can be erased now; how many cases."""
        erased = 0
        while page := await self._page():
            found = [await self.erase(row["case_id"]) for row in page if row["waits"] is None]
            erased += sum(one.done for one in found)
            self._after = (page[-1]["closed_at"], page[-1]["case_id"])
        self._after = (0, "")
        await self._erase_loose()
        return erased

    async def erase(self, case_id: str) -> Erased:
        """Erase this case, when it is due and nothing waits for its content. Raises Unavailable."""
        if self._engine is not None:
            await self._forgotten(self._engine, case_id)

        interaction_id = new_id("int_")

        async def body(tx: Tx) -> Erased:
            now = await tx.now()
            row = await tx.one(q.LOCK_DUE, case_id=case_id, before=now - self._kept_ms)
            if row is None or row["waits"] is not None:
                return Erased()
            erased = await self._erased(tx, row, now, interaction_id)
            checkpoint("erase.before_commit")
            return erased

        found = await self._database.transact(body)
        checkpoint("erase.after_commit")
        if found.altered is not None:
            log.error("retention.altered", case_id=case_id, row=found.altered)
        if found.done:
            self._hub.wake("seal", *(("cards",) if found.cards else ()))
        return found

    async def _forgotten(self, engine: Engine, case_id: str) -> None:
        """The workflow engine's own record goes first: who is killed after that finds the case still to be erased."""

        async def body(tx: Tx) -> Run | None:
            row = await tx.one(q.ENDED_RUN_OF_CASE, case_id=case_id, before=await tx.now() - self._kept_ms)
            if row is None or await _altered(tx, case_id, *await _written(tx, case_id)) is not None:
                return None
            return run_of(row)

        run = await self._database.read(body)
        if run is not None and run.engine == engine.name:
            await engine.forget(run.workflow_id)

    async def _erased(self, tx: Tx, row: Row, now: int, interaction_id: str) -> Erased:
        case, case_id = case_of(row), row["case_id"]
        ledger, events = await _written(tx, case_id)
        if (altered := await _altered(tx, case_id, ledger, events)) is not None:
            return Erased(altered=altered)  # to erase it would hide that
        interactions, bodies = [emptied_interaction(one) for one in ledger], [emptied_event(one) for one in events]
        whole, columns = emptied_case(row, now)
        emptied = [whole, *(one for one, _ in (*interactions, *bodies))]
        data = erasure_data(case.tenant_id, case_id, now, emptied, self._keys)
        closing = Closing(
            Event.CANCEL, ACTION, data, ERASER, "timer", Origin.ENGINE_DBOS, TOPIC, DEDUPE_KEY,
            interaction_id=interaction_id,
        )  # fmt: skip
        writes = [
            Write(q.ERASE_CASE, {"case_id": case_id, "now": now, **columns}),
            Write(case_queries.INSERT_INTERACTION, interaction_row(case, closing, now) | {"position": None}),
        ]
        for one, text in interactions:
            writes.append(Write(q.EMPTY_INTERACTION, {"id": one.id, "row_hash": one.row_hash, "text": text}))
        for one, text in bodies:
            writes.append(Write(q.EMPTY_EVENT, {"id": one.id, "row_hash": one.row_hash, "text": text, "now": now}))
        writes += [*await _beside(tx, case_id), *await _workflow(tx, case, now)]
        for n in range(0, len(writes), WRITES_AT_ONCE):
            await tx.write(*writes[n : n + WRITES_AT_ONCE])
        (cards,) = await tx.write(Write(q.REDRAW_ERASED, {"case_id": case_id, "now": now}, rows=None))
        return Erased(done=True, cards=cards)

    async def standing(self) -> Standing:
        """How far it is. Reads only."""

        async def body(tx: Tx) -> Standing:
            before = await tx.now() - self._kept_ms
            rows = {row["waits"]: row for row in await tx.all(q.COUNT_DUE, before=before)}
            erased, due = await tx.one(q.COUNT_ERASED), rows.pop(None, None)
            assert erased is not None
            waiting = [Waiting(WAITS_FOR[name], row["total"], row["oldest"]) for name, row in rows.items()]
            return Standing(
                erased["total"], 0 if due is None else due["total"], sorted(waiting, key=lambda one: one.oldest)
            )

        return await self._database.read(body)

    async def _page(self) -> Sequence[Row]:
        async def body(tx: Tx) -> Sequence[Row]:
            closed_at, case_id = self._after
            place = {"before": await tx.now() - self._kept_ms, "after": closed_at, "after_id": case_id}
            return await tx.all(q.DUE_ERASURES, **place, limit=PAGE)

        return await self._database.read(body)

    async def _erase_loose(self) -> None:
        """Runs and flows that asked nobody."""

        async def body(tx: Tx) -> int:
            now = await tx.now()
            due = {"before": now - self._kept_ms, "limit": PAGE}
            runs = [row["workflow_id"] for row in await tx.all(q.LOOSE_RUNS, **due)]
            flows = [row["workflow_id"] for row in await tx.all(q.LOOSE_FLOWS, **due)]
            for workflow_id in runs:
                await tx.write(*_run_writes(workflow_id, now))
            for workflow_id in flows:
                await tx.write(_flow_write(workflow_id, now))
            return len(runs) + len(flows)

        while await self._database.transact(body):
            pass


async def _written(tx: Tx, case_id: str) -> tuple[Sequence[Row], Sequence[Row]]:
    """The ledger rows of a case, and its decision event."""
    return await tx.all(q.LEDGER_ROWS, case_id=case_id), await tx.all(q.EVENT_OF_CASE, case_id=case_id)


async def _altered(tx: Tx, case_id: str, ledger: Sequence[Row], events: Sequence[Row]) -> str | None:
    """The first row that is not as it was written, or says something else than the ledger does (see `core.oracles`)."""
    for one in ledger:
        if not is_as_written(one):
            return str(one["interaction_id"])
    for event in events:
        if not is_event_as_written(event):
            return str(event["event_id"])
    outcome, task = await tx.one(OUTCOME_OF_CASE, case_id=case_id), await tx.one(EVIDENCE_OF_TASK, case_id=case_id)
    assert outcome is not None
    if any(disagreements(outcome)):
        return case_id
    return case_id if task is not None and task["approved_at"] is not None and objection(task) is not None else None


async def _beside(tx: Tx, case_id: str) -> list[Write]:
    """All that hangs on the case alone."""
    of_case = {"case_id": case_id}
    writes = []
    if (decision := await tx.one(q.DECISION_OF_CASE, **of_case)) is not None:
        writes.append(Write(q.EMPTY_DECISION, {**of_case, "body": erased_decision(decision["body"])}))
    for row in await tx.all(q.TOLD_OF_CASE, **of_case):
        if (data := erased_told(row["kind"], row["data"])) != row["data"]:
            writes.append(Write(q.EMPTY_TOLD, {**of_case, "counter": row["counter"], "data": data}))
    statements = (
        q.DROP_SEALED_TOKENS, q.DROP_SAVED, q.EMPTY_DELIVERIES, q.EMPTY_ATTEMPTS, q.EMPTY_NOTICES, q.EMPTY_TASK,
        q.EMPTY_GRANTS,
    )  # fmt: skip
    return writes + [Write(statement, of_case, rows=None) for statement in statements]


async def _workflow(tx: Tx, case: Case, now: int) -> list[Write]:
    """What a run or a flow keeps of its cases; all of them were closed as long ago."""
    if case.terms.get("flow"):
        return [_flow_write(case.workflow_id, now)]
    if gate_of(case) is None:
        return []
    answered = {name: value for name, value in (case.answered or {}).items() if name != "reason"}
    blank = replace(case, result=case.result and {**case.result, "data": {}}, answered=answered)
    prompt, payload = erased_words(case.terms, now), payload_of(blank)
    of_run = {"workflow_id": case.workflow_id}
    # Once, with its first case: it may have many. What goes wrong after that can only be noted beside a signal.
    whole = await tx.one(q.UNERASED_RUN, **of_run) is not None
    of_gate = Write(q.EMPTY_SIGNAL, {**of_run, "gate_key": case.gate_key}, rows=None)
    writes = _run_writes(case.workflow_id, now) if whole else [of_gate]
    for row in await tx.all(q.EVENTS_OF_GATE, **of_run, **event_keys(case.gate_key)):
        data = {"data": erased_gate_event(row["data"], prompt, payload)}
        writes.append(Write(q.EMPTY_GATE_EVENT, {**of_run, "key": row["key"], **data}))
    return writes


_OF_RUN = (q.EMPTY_INTENT, q.EMPTY_SIGNALS, q.EMPTY_STEPS, q.EMPTY_ARTIFACTS)


def _run_writes(workflow_id: str, now: int) -> list[Write]:
    of_run = {"workflow_id": workflow_id}
    emptied = [Write(one, of_run, rows=None) for one in _OF_RUN]
    return [Write(q.ERASE_RUN, {**of_run, "now": now}, rows=None), *emptied]


def _flow_write(workflow_id: str, now: int) -> Write:
    inputs = to_json(Inputs().as_json())
    return Write(q.ERASE_FLOW, {"workflow_id": workflow_id, "inputs": inputs, "now": now}, rows=None)
