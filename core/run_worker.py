"""Carries runs on: brings them the results of their gates, and does their steps, one transaction each.

Any number of processes may do this at once. A claim is a lease with a fencing number, so a worker that is killed, or
stopped past its lease and resumed, changes nothing that another has done since. A run that waits is a row, and no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from core.checkpoints import checkpoint
from core.digest import sha256_hex
from core.errors import AssentError
from core.gate import Gate
from core.gate_rows import prompt_write
from core.hub import Hub
from core.ledger import Database, Row, Tx, Write
from core.ledger import run_queries as rq
from core.model import Opened, Principal
from core.rows import to_json
from core.run_moves import ENGINE, LEASE_MS, Fenced, Run, after, locked_run, move, run_of
from core.run_signals import Message, received, sent
from core.run_states import RunEvent, RunStatus
from core.schedule import retry_delay
from core.workflows import STEPS, Asked, Asks, Did, draft_of, step_of

log = structlog.get_logger()

SIGNALS_AT_ONCE, RUNS_AT_ONCE = 20, 20
RESCAN_SECONDS = 1.0
BREATH_SECONDS = 0.01  # before looking again at what somebody else may have just taken
MAX_ATTEMPTS = 8  # of one step, some four minutes; then the run has failed
HANDED = 3  # leases of one step that an engine has for it, and
SENDS = 5  # of one signal to it, half a minute; then the loop takes the run over
WAKES = "runs"


class Engine(Protocol):
    """Carries runs on in place of the loop, with the steps of `core.run_engine`. `start` and `send` are safe to repeat
    and raise Unavailable.
    """

    @property
    def name(self) -> str: ...

    def has_room(self) -> bool:
        """Whether this process may take one run more."""
        ...

    async def start(self, run: Run) -> None: ...

    async def send(self, message: Message) -> None: ...

    async def forget(self, workflow_id: str) -> None:
        """Erase what it keeps of a run that has ended; nothing where it keeps nothing. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is this worker's for a while. `began`: when its present step did, on the database's clock."""

    run: Run
    began: int


class RunWorker:
    """`engine`: has the runs that were started for it, as long as it moves them."""

    def __init__(self, database: Database, gate: Gate, hub: Hub, engine: Engine | None = None) -> None:
        self._database = database
        self._gate = gate
        self._hub = hub
        self._engine = engine

    async def round(self) -> float:
        """Do what is due; how many seconds until there may be more (0: come again at once)."""
        due = await self._due_in()
        if due is None or due > 0:
            return RESCAN_SECONDS if due is None else min(RESCAN_SECONDS, due / 1000)
        resumed, claimed = await self._carry(), await self._claim()
        await asyncio.gather(*map(self._carry_on, resumed), *map(self._take, claimed))
        return 0.0 if resumed or claimed else BREATH_SECONDS

    async def work(self) -> int:
        """Rounds until nothing is due; how many there were."""
        rounds = 0
        while await self._due_in() == 0:
            await self.round()
            rounds += 1
        return rounds

    async def _due_in(self) -> int | None:
        """Milliseconds until something is due; None when nothing is."""

        async def body(tx: Tx) -> int | None:
            row = await tx.one(rq.NEXT_WORK)
            assert row is not None
            due = [moment for moment in (row["run_due"], row["signal_due"]) if moment is not None]
            return max(0, min(due) - tx.clock(row["now"])) if due else None

        return await self._database.read(body)

    # --- signals: what became of gates, brought to their runs ---

    async def _carry(self) -> list[Claimed]:
        """Bring the signals that are due to their runs; which of those go on here."""

        async def body(tx: Tx) -> Sequence[Row]:
            return await tx.all(rq.DUE_SIGNALS, now=await tx.now(), limit=SIGNALS_AT_ONCE)

        due = await self._database.read(body)
        resumed = await asyncio.gather(*(self._bring(row["workflow_id"], row["gate_key"]) for row in due))
        # Two signals for one run: as the later one has left it.
        latest = {one.run.workflow_id: one for one in sorted(filter(None, resumed), key=lambda one: one.run.last_event)}
        return list(latest.values())

    async def _bring(self, workflow_id: str, gate_key: str) -> Claimed | None:
        place = {"workflow_id": workflow_id, "gate_key": gate_key}

        async def body(tx: Tx) -> tuple[Claimed | Message | None, list[str]]:
            signal = await tx.one(rq.LOCK_SIGNAL, **place)
            if signal is None:  # another worker has it, or had it
                return None, []
            now = await tx.now()
            was = await locked_run(tx, workflow_id)
            if self._engine_of(was) is not None and signal["attempts"] < SENDS:
                return await sent(tx, signal, now), []
            run, withdrawn = await received(tx, was, signal, now)
            checkpoint("signal.before_commit")
            goes_on = run.status is RunStatus.RUNNING and run.kind in STEPS
            return Claimed(run, now) if goes_on else None, withdrawn

        try:
            found, withdrawn = await self._database.transact(body)
            if isinstance(found, Message) and self._engine is not None:
                await self._engine.send(found)
        except AssentError as error:
            await self._bring_later(place, error.message)
            return None
        except Exception as error:
            # One bad signal must not hold up the others.
            log.exception("signal.defect", workflow_id=workflow_id, gate_key=gate_key)
            await self._bring_later(place, f"a defect: {error!r}")
            return None
        checkpoint("signal.after_commit")
        self._wake(workflow_id, withdrawn)
        return found if isinstance(found, Claimed) else None

    async def receive(self, workflow_id: str, gate_key: str) -> None:
        """Bring a run the result of this gate, for an engine; nothing when it has it, or there is none yet."""

        async def body(tx: Tx) -> list[str]:
            signal = await tx.one(rq.AWAIT_SIGNAL, workflow_id=workflow_id, gate_key=gate_key)
            if signal is None:
                return []
            _, withdrawn = await received(tx, await locked_run(tx, workflow_id), signal, await tx.now())
            checkpoint("signal.before_commit")
            return withdrawn

        withdrawn = await self._database.transact(body)
        checkpoint("signal.after_commit")
        self._wake(workflow_id, withdrawn)

    def _wake(self, workflow_id: str, withdrawn: Sequence[str]) -> None:
        cases = [f"case:{case_id}" for case_id in withdrawn]
        self._hub.wake(f"run:{workflow_id}", *cases, *(("cards", "seal", "deliveries") if cases else ()))

    async def _bring_later(self, place: Mapping[str, str], reason: str) -> None:
        log.warning("signal.put_off", **place, reason=reason)

        async def body(tx: Tx) -> None:
            signal = await tx.one(rq.LOCK_SIGNAL, **place)
            if signal is not None:
                due_at = await tx.now() + retry_delay(signal["attempts"] + 1)
                await tx.write(Write(rq.PUT_OFF_SIGNAL, {**place, "due_at": due_at, "error": reason}))

        await self._database.transact(body)

    # --- steps ---

    async def _claim(self) -> list[Claimed]:
        async def body(tx: Tx) -> list[Claimed]:
            now = await tx.now()
            rows = await tx.all(rq.CLAIM_RUNS, now=now, lease_until=now + LEASE_MS, limit=RUNS_AT_ONCE)
            return [Claimed(run_of(row), now) for row in rows]

        claimed = await self._database.transact(body)
        if claimed:
            checkpoint("run.after_claim")
        return claimed

    async def _take(self, claimed: Claimed) -> None:
        """Hand a run to the engine it was started for; carry it on here when that has no room, or does not move it."""
        run = claimed.run
        engine = self._engine_of(run)
        if engine is not None and run.attempts <= HANDED and engine.has_room():
            try:
                await engine.start(run)
            except AssentError as error:  # it is due again when its lease ends
                log.warning("run.not_handed_over", workflow_id=run.workflow_id, reason=error.message)
            return
        if run.engine is not None:
            state = {name: value for name, value in run.state.items() if name != ENGINE}
            claimed = Claimed(replace(run, state=state), claimed.began)
        await self._carry_on(claimed)

    def _engine_of(self, run: Run) -> Engine | None:
        """The engine that this run was started for, where it runs in this process."""
        engine = self._engine
        return engine if engine is not None and run.engine == engine.name else None

    async def step(self, claimed: Claimed) -> None:
        """Do the run's next step, for an engine. Raises Fenced when somebody else has moved it meanwhile."""
        await self._step(claimed)
        self._hub.wake(f"run:{claimed.run.workflow_id}")

    async def _carry_on(self, claimed: Claimed) -> None:
        """Step by step, until the run waits or has ended, or somebody else has it."""
        going: Claimed | None = claimed
        while going is not None:
            going = await self._try(going)
            self._hub.wake(f"run:{claimed.run.workflow_id}")

    async def _try(self, claimed: Claimed) -> Claimed | None:
        run = claimed.run
        try:
            return await self._step(claimed)
        except Fenced:
            return None
        except AssentError as error:
            await self._put_off(claimed, error.message)
        except Exception:
            # A defect in one run must not hold up the others.
            log.exception("run.defect", workflow_id=run.workflow_id, tenant_id=run.tenant_id, step=run.step)
            await self._put_off(claimed, "a defect of ours; the log says which")
        return None

    async def _step(self, claimed: Claimed) -> Claimed | None:
        match step_of(claimed.run)(claimed.run):
            case Did() as did:
                return await self._save(claimed, did)
            case Asks(asked, then):
                await self._ask(claimed, asked, then)
                return None

    async def _save(self, claimed: Claimed, did: Did) -> Claimed | None:
        was = claimed.run

        async def body(tx: Tx) -> Claimed | None:
            now = await tx.now()
            state = {**was.state, **did.state}
            about = {"stepId": was.step, "attempt": was.attempts, "stepStatus": did.status}
            if did.then is None:
                run, kind = after(was, RunEvent.COMPLETE, now, state=state, outcome=did.outcome), "ended"
            else:
                going_on = {"step": did.then, "attempts": 1, "due_at": now + LEASE_MS, "last_error": None}
                run, kind = after(was, RunEvent.STEP, now, state=state, **going_on), "step"
            await _check_held(tx, was)
            await tx.write(*_record(claimed, did, now), *move(was, run, kind, about))
            checkpoint("step.before_commit")
            return None if run.ended else Claimed(run, now)

        saved = await self._database.transact(body)
        checkpoint("step.after_commit")
        return saved

    async def _ask(self, claimed: Claimed, asked: Asked, then: str) -> None:
        was = claimed.run

        async def beside(tx: Tx, opened: Opened) -> Sequence[Write]:
            await _check_held(tx, was)
            now = opened.case.created_at
            waiting = {"step": then, "attempts": 0, "due_at": None, "next_action": asked.next_action}
            run = after(was, RunEvent.ASK, now, last_error=None, **waiting)
            about = {"stepId": was.step, "gateKey": asked.gate_key}
            return [
                prompt_write(opened.case),
                _step_write(was, "waiting_input", {"gate_key": asked.gate_key}, claimed.began, now),
                *move(was, run, "waiting", about),
            ]

        owner = Principal(was.key_id, was.tenant_id, "agent")
        await self._gate.open(owner, draft_of(was, asked), beside=beside)

    async def _put_off(self, claimed: Claimed, reason: str) -> None:
        """The step could not be done: try again later, or give the run up."""
        was = claimed.run
        log.warning(
            "run.put_off", workflow_id=was.workflow_id, tenant_id=was.tenant_id, step=was.step, reason=reason,
            attempt=was.attempts,
        )  # fmt: skip

        async def body(tx: Tx) -> None:
            now = await tx.now()
            about = {"stepId": was.step, "attempt": was.attempts, "stepStatus": "failed"}
            if was.attempts >= MAX_ATTEMPTS:
                run = after(was, RunEvent.FAIL, now, outcome="failed", last_error=reason)
            else:
                due_at = now + retry_delay(was.attempts)
                run = after(was, RunEvent.STEP, now, due_at=due_at, last_error=reason)
            row = await tx.one(rq.LOCK_RUN, workflow_id=was.workflow_id)
            if row is None or (row["lease"], row["last_event"]) != (was.lease, was.last_event):
                return
            failed = _step_write(was, "failed", {"reason": reason}, claimed.began, now)
            await tx.write(failed, *move(was, run, "ended" if run.ended else "step", about))

        await self._database.transact(body)


async def _check_held(tx: Tx, was: Run) -> None:
    """Raise Fenced unless the run is still as this worker claimed it; then it is nobody else's until the end."""
    now = await locked_run(tx, was.workflow_id)
    if (now.lease, now.last_event) != (was.lease, was.last_event) or now.ended:
        raise Fenced


def _record(claimed: Claimed, did: Did, now: int) -> list[Write]:
    run = claimed.run
    made = [
        {
            "run_id": run.run_id,
            "step_id": run.step,
            "task_key": artifact.task_key,
            "attempt": run.attempts,
            "idx": idx,
            "media_type": artifact.media_type,
            "body": artifact.body,
            "digest": f"sha256:{sha256_hex(artifact.body.encode())}",
            "created_at": now,
        }
        for idx, artifact in enumerate(did.artifacts)
    ]
    return [
        _step_write(run, did.status, did.output, claimed.began, now),
        *(Write(rq.INSERT_ARTIFACT, row) for row in made),
    ]


def _step_write(run: Run, status: str, output: object, began: int, now: int) -> Write:
    row = {
        "run_id": run.run_id,
        "step_id": run.step,
        "attempt": run.attempts,
        "status": status,
        "output": to_json(output),
        "started_at": began,
        "finished_at": now,
    }
    return Write(rq.INSERT_STEP, row)
