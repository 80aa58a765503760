"""Runs through flows: what was given so far, the next case, the final result. `core.flows` decides; this keeps.

All cases of a run share its workflow_id and form a chain; the run's row knows the newest. Going on locks the run and
that newest case, so that whoever comes at the same time finds the chain grown, and gets the same next case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.errors import Conflict, NotFound, NotReady
from core.flow_content import case_body, result_of, scope_of
from core.flows import (
    Ask,
    Flow,
    Inputs,
    Past,
    Submitted,
    carries,
    check_finished,
    check_given,
    check_values,
    inputs_of,
    next_step,
    take_in,
)
from core.gate import Gate
from core.hub import Hub
from core.kept import known_answer, transact_once
from core.ledger import Body, Database, Row, Tx, Write
from core.ledger import flow_queries as f
from core.model import Case, Draft, Idempotency, JsonObject, Opened, Principal, Repeated
from core.moves import locked, settle
from core.rows import case_of, to_json
from core.sealing import KeyRing
from core.tokens import new_id, new_token
from core.views import Views

TRIES = 10

DraftOf = Callable[[JsonObject], Draft]  # how the door reads the body of a case


class Moved(Conflict):
    """Another request has moved this flow at the same moment; ask again."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it stands: its cases in the order of the chain, and the newest case's submit token, sealed."""

    workflow_id: str
    inputs: Inputs
    cases: tuple[Case, ...]
    submit_token: str | None
    result: str | None

    @property
    def last(self) -> Case:
        return self.cases[-1]

    @property
    def history(self) -> list[Past]:
        return [past_of(case) for case in self.cases]


def past_of(case: Case) -> Past:
    result = case.result or {}
    about = case.terms["flow"]
    return Past(case.case_id, about["step"], about["round"], case.status, result.get("action"), result.get("data", {}))


class Flows:
    """`flows`: what can be run, by name. `public_url`: the address that results may begin with."""

    def __init__(
        self,
        database: Database,
        gate: Gate,
        views: Views,
        hub: Hub,
        keys: KeyRing,
        flows: Mapping[str, Flow],
        public_url: str,
    ) -> None:
        self._database = database
        self._gate = gate
        self._views = views
        self._hub = hub
        self._keys = keys
        self._flows = flows
        self._public_url = public_url

    def get(self, name: str) -> Flow:
        if name not in self._flows:
            raise NotFound("there is no such flow")
        return self._flows[name]

    async def ask(
        self,
        principal: Principal,
        flow: Flow,
        submitted: Submitted,
        draft_of: DraftOf,
        *,
        after: str | None = None,
        jump: str | None = None,
        once: Idempotency | None = None,
        render: Callable[[Opened], str],
    ) -> Opened | Repeated:
        """Open the case that follows `after` (the first one of a new run without it). Continuing twice from one case
        gives the same next case, with the same links and tokens. Raises InvalidInput, NotFound, NotReady,
        IdempotencyMismatch, IdempotencyInFlight.
        """
        check_values(flow, submitted.values)
        for _ in range(TRIES):
            kept, run = await self._database.read(self._known(principal, flow, after, once))
            if kept is not None:
                return Repeated(kept)
            if run is not None and run.last.case_id != after:
                assert after is not None
                opened = await self._again(run, after, jump, submitted)
                return await self._kept(principal, opened, once, render)
            try:
                return await self._open(principal, flow, run, submitted, draft_of, jump, once, render)
            except Conflict as error:
                if type(error) not in (Conflict, Moved):
                    raise
        raise Moved

    async def finish(
        self, principal: Principal, flow: Flow, case_id: str, submitted: Submitted, once: Idempotency | None
    ) -> str:
        """The final result as JSON; always the same for one run. Raises NotFound, NotReady, IdempotencyMismatch,
        IdempotencyInFlight.
        """
        secret = new_token()

        async def body(tx: Tx) -> tuple[str, Case | None]:
            found = _checked(await tx.one(f.RUN_OF_CASE, case_id=case_id, tenant_id=principal.tenant_id), flow, case_id)
            await tx.one(f.LOCK_RUN, workflow_id=found["workflow_id"])
            run = await _run(tx, found["workflow_id"], principal.tenant_id)
            last = await locked(tx, run.last.case_id)
            run = replace(run, cases=(*run.cases[:-1], last))
            check_finished(flow, run.inputs, run.history, case_id)
            if not carries(run.inputs, submitted):
                raise NotReady(
                    f"something else than this was approved; leave {flow.data} out, or begin anew", case_id=case_id
                )
            if run.result is not None:
                return self._keys.unseal(run.result, about=_result_of(run.workflow_id)), None
            now = await tx.now()
            if last.settles_at is not None:  # what is finished can no longer be revised
                last = await settle(tx, last, now)
            scope = scope_of(flow, run.inputs, run.history, self._public_url)
            text = to_json(result_of(flow, scope, secret))
            await tx.write(Write(f.FINISH_RUN, self._ending(run.workflow_id, text, now)))
            return text, last

        made = await transact_once(self._database, self._keys, principal.tenant_id, once, body, lambda made: made[0])
        if isinstance(made, Repeated):
            return made.answer
        text, closed = made
        if closed is not None:
            self._hub.wake(f"case:{closed.case_id}", "seal", "cards", "deliveries")
        return text

    async def create(self, principal: Principal, flow: Flow, submitted: Submitted, once: Idempotency | None) -> str:
        """A run without any case: the final result at once, as JSON. Raises InvalidInput, IdempotencyMismatch,
        IdempotencyInFlight.
        """
        check_values(flow, submitted.values)
        inputs = take_in(flow, Inputs(), None, submitted)
        check_given(flow, inputs, [name for step in flow.steps for name in step.needs])
        text = to_json(result_of(flow, scope_of(flow, inputs, (), self._public_url), new_token()))
        workflow_id = new_id("flow_")

        async def body(tx: Tx) -> str:
            if await tx.one(f.RUN, workflow_id=workflow_id, tenant_id=principal.tenant_id) is not None:
                return text  # by an earlier run of this transaction, whose commit was not acknowledged
            now = await tx.now()
            row = self._row(principal, flow, workflow_id, inputs, now) | self._ending(workflow_id, text, now)
            await tx.write(Write(f.INSERT_RUN, row))
            return text

        made = await transact_once(self._database, self._keys, principal.tenant_id, once, body, str)
        return made.answer if isinstance(made, Repeated) else made

    async def _kept(
        self, principal: Principal, opened: Opened, once: Idempotency | None, render: Callable[[Opened], str]
    ) -> Opened | Repeated:
        """What was opened before is the answer to this request, too."""

        async def body(_tx: Tx) -> Opened:
            return opened

        if once is None:
            return opened
        return await transact_once(self._database, self._keys, principal.tenant_id, once, body, render)

    def _known(
        self, principal: Principal, flow: Flow, after: str | None, once: Idempotency | None
    ) -> Body[tuple[str | None, Run | None]]:
        async def body(tx: Tx) -> tuple[str | None, Run | None]:
            if (kept := await known_answer(tx, self._keys, principal.tenant_id, once)) is not None:
                return kept, None
            if after is None:
                return None, None
            found = _checked(await tx.one(f.RUN_OF_CASE, case_id=after, tenant_id=principal.tenant_id), flow, after)
            return None, await _run(tx, found["workflow_id"], principal.tenant_id)

        return body

    async def _open(
        self,
        principal: Principal,
        flow: Flow,
        run: Run | None,
        submitted: Submitted,
        draft_of: DraftOf,
        jump: str | None,
        once: Idempotency | None,
        render: Callable[[Opened], str],
    ) -> Opened | Repeated:
        """One attempt. Raises Moved, or Conflict from the gate, when another request was faster."""
        history = run.history if run else []
        inputs = take_in(flow, run.inputs if run else Inputs(), history[-1] if history else None, submitted)
        ask = next_step(flow, inputs, history, jump)
        if run is not None and run.result is not None:
            raise NotReady(
                f"this flow is finished; hitl_approved_case_id: {run.last.case_id} gives its result again",
                case_id=run.last.case_id,
            )
        if not isinstance(ask, Ask):
            raise NotReady(
                f"nothing is left to ask; finish with hitl_approved_case_id: {ask.case_id}", case_id=ask.case_id
            )
        workflow_id = run.workflow_id if run else new_id("flow_")
        scope = scope_of(flow, inputs, history, self._public_url)
        draft = replace(
            draft_of(case_body(flow, inputs, ask, scope)),
            workflow_id=workflow_id,
            gate_key=ask.gate_key,
            previous_case_id=run.last.case_id if run else None,
            flow={"name": flow.name, "step": ask.step.name, "round": ask.round, "answers": ask.step.answers},
        )

        async def beside(tx: Tx, opened: Opened) -> Sequence[Write]:
            case = opened.case
            about = _token_of(case.case_id)
            token = None if opened.submit_token is None else self._keys.seal(opened.submit_token, about=about)
            newest = {"last_case_id": case.case_id, "submit_token": token}
            if run is None:
                row = self._row(principal, flow, workflow_id, inputs, case.created_at)
                return [Write(f.INSERT_RUN, row | newest)]
            row_now = await tx.one(f.LOCK_RUN, workflow_id=workflow_id)
            if row_now is None or row_now["last_case_id"] != run.last.case_id or row_now["finished_at"] is not None:
                raise Moved
            if (await locked(tx, run.last.case_id)).version != run.last.version:
                raise Moved  # an answer that was just revised may lead elsewhere
            given = {"workflow_id": workflow_id, "inputs": to_json(inputs.as_json())}
            return [Write(f.MOVE_RUN, given | newest)]

        return await self._gate.open(principal, draft, once, render, beside)

    async def _again(self, run: Run, after: str, jump: str | None, submitted: Submitted) -> Opened:
        """The case that `after` was continued with, as it was given out then."""
        case = next(case for case in run.cases if case.previous_case_id == after)
        newest = case is run.last
        if jump not in (None, case.terms["flow"]["step"]) or (newest and not carries(run.inputs, submitted)):
            raise NotReady(
                f"{after} was continued before, in another way; go on from {case.case_id}",
                case_id=case.case_id,
            )
        token = await self._views.review_token(case.case_id)
        assert token is not None
        submit = run.submit_token if newest else None
        return Opened(case, token, submit and self._keys.unseal(submit, about=_token_of(case.case_id)))

    def _row(self, principal: Principal, flow: Flow, workflow_id: str, inputs: Inputs, now: int) -> dict[str, Any]:
        return {
            "workflow_id": workflow_id,
            "tenant_id": principal.tenant_id,
            "flow": flow.name,
            "inputs": to_json(inputs.as_json()),
            "last_case_id": None,
            "submit_token": None,
            "result": None,
            "created_at": now,
            "finished_at": None,
        }

    def _ending(self, workflow_id: str, text: str, now: int) -> dict[str, Any]:
        sealed = self._keys.seal(text, about=_result_of(workflow_id))
        return {"workflow_id": workflow_id, "result": sealed, "finished_at": now}


def _token_of(case_id: str) -> str:
    return f"{case_id}:submit:agent"


def _result_of(workflow_id: str) -> str:
    return f"{workflow_id}:result"


def _checked(found: Row | None, flow: Flow, case_id: str) -> Row:
    """The run of a case that the agent named. Raises NotFound, NotReady for a case of another flow."""
    if found is None:
        raise NotFound("there is no such case")
    if found["flow"] != flow.name:
        whose = f"of the flow {found['flow']}" if found["flow"] else "of no flow"
        raise NotReady(f"{case_id} is a case {whose}, not of {flow.name}", case_id=case_id)
    if found["erased_at"] is not None:
        raise NotReady("this flow is over, and its content was erased; begin anew", case_id=case_id)
    return found


async def _run(tx: Tx, workflow_id: str, tenant_id: str) -> Run:
    row = await tx.one(f.RUN, workflow_id=workflow_id, tenant_id=tenant_id)
    assert row is not None
    cases = {case["case_id"]: case_of(case) for case in await tx.all(f.CASES_OF_RUN, workflow_id=workflow_id)}
    chain: list[Case] = []
    case_id: str | None = row["last_case_id"]
    while case_id is not None:  # a case that came since the row was read is not in the chain yet
        chain.append(cases[case_id])
        case_id = cases[case_id].previous_case_id
    inputs = inputs_of(json.loads(row["inputs"]))
    return Run(row["workflow_id"], inputs, tuple(reversed(chain)), row["submit_token"], row["result"])
