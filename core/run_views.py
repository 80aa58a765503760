"""What the doors read of runs and gates; and waiting for something to become of them."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from core.errors import NotFound
from core.gate_answers import gate_of
from core.gate_keys import decision_key, escalation_of, result_key
from core.hub import Hub
from core.ledger import Database, Tx
from core.ledger import run_queries as rq
from core.ledger.engine import Row
from core.model import Case, JsonObject, Principal
from core.rows import case_of, maybe_json
from core.run_moves import Run
from core.run_states import RunStatus
from core.runs import found_run
from core.states import TERMINAL

T = TypeVar("T")
RESCAN_SECONDS = 1.0
MAX_INTERACTIONS = 1_000
STREAM_PAGE = 200
Sla = Literal["NORMAL", "WARNING", "CRITICAL"]


@dataclass(frozen=True, slots=True)
class GateView:
    """A gate as it stands: `result` and `branch` are None until it has ended, and for good when it was withdrawn."""

    case: Case
    result: JsonObject | None
    branch: JsonObject | None

    @property
    def terms(self) -> JsonObject:
        return gate_of(self.case) or {}

    @property
    def escalation_id(self) -> str | None:
        """The workflow that starts when nobody answers in time."""
        case = self.case
        return escalation_of(case.workflow_id, case.gate_key) if self.terms.get("escalation") else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A gate of the inbox."""

    gate: GateView
    sla: Sla
    left_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """One entry of a run's stream."""

    counter: int
    kind: str
    data: JsonObject
    created_at: int


def sla_of(created_at: int, expires_at: int, now: int) -> Sla:
    """NORMAL until three quarters of a gate's time have passed, WARNING until nine tenths, then CRITICAL."""
    passed, whole = now - created_at, expires_at - created_at
    if passed * 10 >= whole * 9:
        return "CRITICAL"
    return "WARNING" if passed * 4 >= whole * 3 else "NORMAL"


class RunViews:
    def __init__(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._hub = hub

    async def run(self, principal: Principal, workflow_id: str, wait_seconds: float = 0) -> Run:
        """The run; waits up to so long for it to wait for somebody, or to end. Raises NotFound."""

        async def body(tx: Tx) -> Run:
            row = await tx.one(rq.RUN, workflow_id=workflow_id, tenant_id=principal.tenant_id)
            run = found_run(row, principal)
            assert row is not None
            if run.status is RunStatus.WAITING_INPUT and not row["waits"]:  # answered; the run hears of it in a moment
                return replace(run, status=RunStatus.RUNNING, next_action=None)
            return run

        def at_rest(run: Run) -> bool:
            return run.ended or run.status is RunStatus.WAITING_INPUT

        return await self._until(workflow_id, lambda: self._database.read(body), at_rest, wait_seconds)

    async def steps(self, principal: Principal, workflow_id: str) -> tuple[Sequence[Row], Sequence[Row]]:
        """The run's steps and its artifacts, each in the order in which they came. Raises NotFound."""

        async def body(tx: Tx) -> tuple[Sequence[Row], Sequence[Row]]:
            run = found_run(await tx.one(rq.RUN, workflow_id=workflow_id, tenant_id=principal.tenant_id), principal)
            return await tx.all(rq.STEPS, run_id=run.run_id), await tx.all(rq.ARTIFACTS, run_id=run.run_id)

        return await self._database.read(body)

    async def gates(self, principal: Principal, workflow_id: str) -> list[GateView]:
        """All gates of a run, as they were opened. Raises NotFound."""

        async def body(tx: Tx) -> list[GateView]:
            found_run(await tx.one(rq.RUN, workflow_id=workflow_id, tenant_id=principal.tenant_id), principal)
            rows = await tx.all(rq.GATES, workflow_id=workflow_id)
            events = {
                row["key"]: maybe_json(row["data"]) for row in await tx.all(rq.EVENTS_OF, workflow_id=workflow_id)
            }
            return [_view(case_of(row), events) for row in rows]

        return await self._database.read(body)

    async def gate(self, principal: Principal, workflow_id: str, gate_key: str, wait_seconds: float = 0) -> GateView:
        """One gate. Waits up to so long for its prompt when it is not there, else for its result. Raises NotFound."""

        async def body(tx: Tx) -> GateView | None:
            found_run(await tx.one(rq.RUN, workflow_id=workflow_id, tenant_id=principal.tenant_id), principal)
            row = await tx.one(rq.GATE, workflow_id=workflow_id, gate_key=gate_key)
            if row is None:
                return None
            events = {}
            for key in (result_key(gate_key), decision_key(gate_key)):
                event = await tx.one(rq.EVENT, workflow_id=workflow_id, key=key)
                events[key] = None if event is None else maybe_json(event["data"])
            return _view(case_of(row), events)

        def read() -> Awaitable[GateView | None]:
            return self._database.read(body)

        first = await read()
        if first is not None and first.case.status in TERMINAL:
            return first

        def is_news(view: GateView | None) -> bool:
            return view is not None and (first is None or view.case.status in TERMINAL)

        found = await self._until(workflow_id, read, is_news, wait_seconds)
        if found is None:
            raise NotFound("there is no such gate")
        return found

    async def interactions(self, principal: Principal, workflow_id: str) -> Sequence[Row]:
        """The run's rows of the ledger, oldest first. Raises NotFound."""

        async def body(tx: Tx) -> Sequence[Row]:
            found_run(await tx.one(rq.RUN, workflow_id=workflow_id, tenant_id=principal.tenant_id), principal)
            return await tx.all(rq.INTERACTIONS_OF, workflow_id=workflow_id, limit=MAX_INTERACTIONS)

        return await self._database.read(body)

    async def inbox(self, principal: Principal, limit: int) -> list[Waiting]:
        """What waits for people, the most urgent first."""
        bound = principal.sources is not None
        sources = json.dumps(sorted(principal.sources or ()))

        async def body(tx: Tx) -> list[Waiting]:
            rows = await tx.all(rq.INBOX, tenant_id=principal.tenant_id, bound=int(bound), sources=sources, limit=limit)
            return [_waiting(case_of(row), tx.clock(row["now"])) for row in rows]

        return await self._database.read(body)

    async def stream(self, workflow_id: str, seen: int) -> list[Told]:
        """What a run's readers were told after the entry that was `seen`. Whose run it is is for the caller to know."""

        async def body(tx: Tx) -> list[Told]:
            rows = await tx.all(rq.STREAM, workflow_id=workflow_id, after=seen, limit=STREAM_PAGE)
            return [Told(row["counter"], row["kind"], json.loads(row["data"]), row["created_at"]) for row in rows]

        return await self._database.read(body)

    async def heads(self, workflow_ids: Sequence[str]) -> dict[str, int]:
        """The newest entry of each of these runs' streams, in one question."""

        async def body(tx: Tx) -> dict[str, int]:
            rows = await tx.all(rq.STREAM_HEADS, workflow_ids=json.dumps(list(workflow_ids)))
            return {row["workflow_id"]: row["last_event"] for row in rows}

        return await self._database.read(body)

    async def _until(
        self, workflow_id: str, read: Callable[[], Awaitable[T]], enough: Callable[[T], bool], seconds: float
    ) -> T:
        deadline = time.monotonic() + seconds
        with self._hub.subscribe(f"run:{workflow_id}") as woken:
            while True:
                found = await read()
                left = deadline - time.monotonic()
                if left <= 0 or enough(found):
                    return found
                await woken.wait(min(left, RESCAN_SECONDS))


def _view(case: Case, events: dict[str, Any]) -> GateView:
    return GateView(case, events.get(result_key(case.gate_key)), events.get(decision_key(case.gate_key)))


def _waiting(case: Case, now: int) -> Waiting:
    return Waiting(GateView(case, None, None), sla_of(case.created_at, case.expires_at, now), case.expires_at - now)
