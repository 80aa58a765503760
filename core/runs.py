"""The verbs of runs: state an intent, start its run, open a gate, reply to one, end a run. Gates are cases: opening and
answering them are the gate's own verbs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.digest import digest
from core.errors import CaseExpired, Conflict, InvalidInput, NotFound
from core.gate import Gate
from core.gate_answers import answer_of, gate_of
from core.gate_keys import human_topic
from core.gate_rows import prompt_write, run_row
from core.hub import Hub
from core.ledger import Database, DuplicateKey, Row, Tx, Write
from core.ledger import run_queries as rq
from core.ledger import source_queries as q
from core.model import Case, Identity, JsonObject, Opened, Origin, Principal
from core.moves import audit, locked
from core.plan_approval import check_input
from core.replies import Answered, Reply
from core.rows import case_of, maybe_json, to_json
from core.run_endings import withdraw_gates
from core.run_moves import ENGINE, Run, after, locked_run, move, run_of, told
from core.run_states import RunEvent, RunStatus
from core.run_worker import WAKES
from core.tokens import new_id
from core.workflows import EXTERNAL, FIRST_STEP, PLAN_APPROVAL, Asked, draft_of

INTENT, WORKFLOW = "intent_", "wf_"


class NotWaiting(Conflict):
    """This run does not wait for an answer to this gate."""

    code = "not_waiting"


class TopicMismatch(Conflict):
    """This topic is not the gate's."""

    code = "topic_mismatch"


@dataclass(frozen=True, slots=True)
class Intent:
    """What somebody wants done. `terms`: how the run's own gates are asked (`notify`, `policy`, `timeout`,
    `timeout_ms`, `escalation`, `requested_by`). `key`: the caller's own name for it.
    """

    goal: str
    workflow: str
    input: JsonObject
    terms: JsonObject
    source_id: str | None = None
    key: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {"goal": self.goal, "workflow": self.workflow, "input": self.input, "terms": self.terms}


class Runs:
    """`engine`: the name of the workflow engine that carries on what is carried out here; None: our own loop."""

    def __init__(self, database: Database, gate: Gate, hub: Hub, engine: str | None = None) -> None:
        self._database = database
        self._gate = gate
        self._hub = hub
        self._engine = engine

    async def intend(self, principal: Principal, intent: Intent) -> str:
        """The id of a new intent, or of the one that has the same key and says the same. Raises InvalidInput, Conflict
        when it says something else.
        """
        if intent.workflow == PLAN_APPROVAL:
            check_input(intent.input)
        if not principal.reaches(intent.source_id):
            raise InvalidInput("sourceId: there is no such source that this key is bound to", field="sourceId")
        intent_id, body_hash = new_id(INTENT), digest({**intent.as_json(), "source_id": intent.source_id})

        async def body(tx: Tx) -> str:
            if intent.key is not None:
                known = await tx.one(rq.INTENT_BY_KEY, tenant_id=principal.tenant_id, key=intent.key)
                if known is not None:
                    return _same_intent(known, body_hash)
            source = {"source_id": intent.source_id, "tenant_id": principal.tenant_id}
            if intent.source_id is not None and await tx.one(q.SOURCE, **source) is None:
                raise InvalidInput("sourceId: there is no such source", field="sourceId")
            row = {
                "intent_id": intent_id,
                "tenant_id": principal.tenant_id,
                "key_id": principal.key_id,
                "key": intent.key,
                "source_id": intent.source_id,
                "body": to_json(intent.as_json()),
                "body_hash": body_hash,
                "created_at": await tx.now(),
            }
            await tx.write(Write(rq.INSERT_INTENT, row))
            return intent_id

        try:
            return await self._database.transact(body)
        except DuplicateKey:  # two came at once, or the commit of the first attempt was not acknowledged
            return await self._database.transact(body) if intent.key is not None else intent_id

    async def start(self, principal: Principal, intent_id: str, queue_partition_key: str) -> Run:
        """The one run of an intent. Raises NotFound, Conflict when it was started under another partition."""
        workflow_id, run_id = WORKFLOW + intent_id.removeprefix(INTENT), new_id("run_")

        async def body(tx: Tx) -> Run:
            intent = await tx.one(rq.INTENT, intent_id=intent_id, tenant_id=principal.tenant_id)
            if intent is None or not principal.reaches(intent["source_id"]):
                raise NotFound("there is no such intent")
            known = await tx.one(rq.RUN, workflow_id=workflow_id, tenant_id=principal.tenant_id)
            if known is not None:
                if known["queue_partition_key"] != queue_partition_key:
                    raise Conflict("the run of this intent was started with another queuePartitionKey")
                return run_of(known)
            row = _new_run(intent, workflow_id, run_id, queue_partition_key, principal, await tx.now(), self._engine)
            run = run_of(row)
            await tx.write(Write(rq.INSERT_RUN, row), told(run, str(run.status), {}))
            return run

        try:
            run = await self._database.transact(body)
        except DuplicateKey:
            run = await self._database.transact(body)
        self._hub.wake(WAKES, f"run:{workflow_id}")
        return run

    async def open_gate(self, principal: Principal, workflow_id: str, asked: Asked) -> Case:
        """Open a gate on a run that its agent carries out; the same again is the same gate. Raises NotFound,
        InvalidInput, Conflict for another question behind it, for a run that has ended, or that is carried out here.
        """
        run = await self._run(principal, workflow_id)
        draft = draft_of(run, asked)

        async def beside(tx: Tx, opened: Opened) -> list[Write]:
            was, now = await locked_run(tx, workflow_id), opened.case.created_at
            _check_open(was)
            asking = after(was, RunEvent.ASK, now, next_action=asked.next_action)
            return [prompt_write(opened.case), *move(was, asking, "waiting", {"gateKey": asked.gate_key})]

        known = await self._gate_row(workflow_id, asked.gate_key)
        if known is None:
            _check_open(run)
            owner = Principal(run.key_id, run.tenant_id, "agent")
            try:
                opened = await self._gate.open(owner, draft, beside=beside)
                assert isinstance(opened, Opened)
                self._hub.wake(f"run:{workflow_id}")
                return opened.case
            except Conflict:
                known = await self._gate_row(workflow_id, asked.gate_key)
                if known is None:
                    raise
        case = case_of(known)
        if (gate_of(case) or {}).get("body_hash") != asked.body_hash:
            raise Conflict("another question was asked behind this gate; a gate asks one, once", gateKey=asked.gate_key)
        return case

    async def reply(
        self,
        principal: Principal,
        workflow_id: str,
        gate_key: str,
        *,
        payload: JsonObject,
        dedupe_key: str,
        origin: Origin,
        topic: str | None,
    ) -> Answered:
        """Answer a gate, exactly once per dedupe key. Raises NotFound, TopicMismatch, and as `Gate.respond` does."""
        await self._run(principal, workflow_id)
        row = await self._gate_row(workflow_id, gate_key)
        if row is None:
            raise NotFound("there is no such gate")
        case = case_of(row)
        action, data, problem = answer_of(case, payload)
        reply = Reply(
            case_id=case.case_id,
            door="api",
            token="",
            action=action,
            data=data,
            identity=Identity(platform="key", user_id=principal.key_id, verified=True),
            via="api",
            origin=origin,
            in_channel=True,  # a reviewer's key stands for the reviewers of its tenant
            tenant_id=principal.tenant_id,
            dedupe_key=dedupe_key,
            problem=problem,
        )
        try:
            if topic not in (None, human_topic(gate_key)):
                raise TopicMismatch(f"replies to this gate go to {human_topic(gate_key)}", topic=topic)
            return await self._gate.respond(reply)
        except (Conflict, CaseExpired, InvalidInput) as error:
            await self._note_refusal(reply, error.code)
            raise

    async def _note_refusal(self, reply: Reply, code: str) -> None:
        """In the case's events; the ledger keeps what was accepted."""

        async def body(tx: Tx) -> None:
            await audit(tx, await locked(tx, reply.case_id), reply, "refused", await tx.now(), code=code)

        await self._database.transact(body)

    async def finish(self, principal: Principal, workflow_id: str, status: RunStatus, outcome: str | None) -> Run:
        """End a run that its agent carries out, or call any run off; its gates are withdrawn. The same again is the
        same. Raises NotFound, Conflict.
        """
        await self._run(principal, workflow_id)
        event = _ENDS[status]

        async def body(tx: Tx) -> tuple[Run, list[str]]:
            was = await locked_run(tx, workflow_id)
            if was.ended:
                if (was.status, was.outcome) == (status, outcome):
                    return was, []
                raise NotWaiting(f"this run has ended before: {was.status}")
            if was.kind != EXTERNAL and event is not RunEvent.CANCEL:
                raise Conflict("this run is carried out here; it can only be called off, with status cancelled")
            now = await tx.now()
            withdrawn = await withdraw_gates(tx, was, now)
            run = after(was, event, now, outcome=outcome, lease=was.lease + 1)
            await tx.write(*move(was, run, "ended", {}))
            return run, withdrawn

        run, withdrawn = await self._database.transact(body)
        cases = [f"case:{case_id}" for case_id in withdrawn]
        self._hub.wake(WAKES, f"run:{workflow_id}", "seal", "cards", "deliveries", *cases)
        return run

    async def _run(self, principal: Principal, workflow_id: str) -> Run:
        async def body(tx: Tx) -> Run:
            return found_run(await tx.one(rq.RUN, workflow_id=workflow_id, tenant_id=principal.tenant_id), principal)

        return await self._database.read(body)

    async def _gate_row(self, workflow_id: str, gate_key: str) -> Row | None:
        async def body(tx: Tx) -> Row | None:
            return await tx.one(rq.GATE, workflow_id=workflow_id, gate_key=gate_key)

        return await self._database.read(body)


_ENDS = {
    RunStatus.COMPLETED: RunEvent.COMPLETE,
    RunStatus.FAILED: RunEvent.FAIL,
    RunStatus.CANCELLED: RunEvent.CANCEL,
}


def found_run(row: Row | None, principal: Principal) -> Run:
    """The run of this row. Raises NotFound for unknown and foreign ones alike, and for those that the key is not bound
    to.
    """
    if row is None or not principal.reaches(row["source_id"]):
        raise NotFound("there is no such run")
    return run_of(row)


def _same_intent(known: Row, body_hash: str) -> str:
    if known["body_hash"] != body_hash:
        raise Conflict("another intent has this key", field="key")
    return str(known["intent_id"])


def _check_open(run: Run) -> None:
    if run.kind != EXTERNAL:
        raise Conflict("this run is carried out here, and opens its gates itself")
    if run.ended:
        raise NotWaiting(f"this run has ended: {run.status}")


def _new_run(
    intent: Row, workflow_id: str, run_id: str, partition: str, principal: Principal, now: int, engine: str | None
) -> dict[str, Any]:
    wanted = maybe_json(intent["body"])
    kind = wanted["workflow"]
    row = run_row(
        now=now,
        workflow_id=workflow_id,
        run_id=run_id,
        tenant_id=principal.tenant_id,
        key_id=principal.key_id,
        source_id=intent["source_id"],
        intent_id=intent["intent_id"],
        queue_partition_key=partition,
        kind=kind,
        state=to_json(wanted | ({ENGINE: engine} if engine and kind in FIRST_STEP else {})),
        step=FIRST_STEP.get(kind),
        due_at=now if kind in FIRST_STEP else None,
    )
    return row | {"last_event": 1} | ({} if kind in FIRST_STEP else {"status": str(RunStatus.RUNNING)})
