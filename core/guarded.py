"""Guarded operations: an orchestrator asks before it acts. Policy allows, denies, or requires people; each way leaves a
ledger row, and executors hear of an approved task once its approval was looked at again (see `core.dispatch`).

A task is a case: its id is the case's, and people answer it through every door that cases have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from core.access import Keys
from core.approvals import payload_text, stands_in
from core.digest import sha256_hex
from core.errors import Conflict, InvalidToken, NotFound, Refused, SelfApproval
from core.gate import Gate
from core.guard.holder import Policies
from core.guard.rules import Operation, Ruling
from core.guarded_cases import answered_at_once, by_itself, draft_of
from core.guarded_views import TaskState, TaskView, state_of, task_view
from core.hub import Hub
from core.kept import work_once
from core.ledger import Database, Row, Tx, Write
from core.ledger import guard_queries as g
from core.model import Address, Case, Idempotency, Identity, JsonObject, Opened, Origin, Principal, Repeated
from core.moves import close
from core.replies import HOLDER, Reply
from core.rows import to_json
from core.sealing import KeyRing
from core.sources import Sources
from core.tokens import is_api_key, new_token, same, token_hash
from core.urls import task_url
from core.views import Views

REVIEWERS = frozenset({"reviewer", "admin"})
MAX_EVENTS = 200  # of a task, that are shown: repetitions and refusals may be very many
MAX_GRANTS_TRIED = 5  # of those for the same operation with the same arguments

Render = Callable[[TaskView], str]


@dataclass(frozen=True, slots=True)
class WantedTask:
    """What an orchestrator asks for. `notify` None: where policy or the source says."""

    operation: str
    payload: JsonObject
    requested_by: str | None = None
    source_id: str | None = None
    notify: tuple[Address, ...] | None = None


class _GrantIdle(Conflict):
    """This grant does not let the task through: it was revoked meanwhile, or does not count for it."""


class GuardedTasks:
    def __init__(
        self,
        database: Database,
        gate: Gate,
        views: Views,
        keys: Keys,
        sources: Sources,
        ring: KeyRing,
        hub: Hub,
        policies: Policies,
        public_url: str,
        *,
        spec_version: str = "0.6",
    ) -> None:
        self._database = database
        self._gate = gate
        self._views = views
        self._keys = keys
        self._sources = sources
        self._ring = ring
        self._hub = hub
        self._policies = policies
        self._public_url = public_url
        self._spec_version = spec_version

    async def open(
        self, principal: Principal, wanted: WantedTask, idempotency: Idempotency | None, render: Render
    ) -> str:
        """The door's answer to a new task, or the first one to the same request. Raises as `Gate.open` does."""
        payload = payload_text(wanted.payload)  # made once: large ones take a while
        now, source_id = await self._facts(principal, wanted)
        operation = Operation(principal.tenant_id, wanted.operation, wanted.payload, wanted.requested_by, source_id)
        ruling = self._policies.current.rule(operation, now)
        grants = await self._live_grants(operation, payload) if ruling.verdict == "require" and ruling.grants else ()
        for grant in grants:
            try:
                return await self._open(
                    principal, operation, payload, wanted.notify, ruling, grant, idempotency, render
                )
            except _GrantIdle:
                continue
        return await self._open(principal, operation, payload, wanted.notify, ruling, None, idempotency, render)

    async def get(self, tenant_id: str, task_id: str) -> TaskView:
        """Raises NotFound for unknown and foreign ones alike, and for cases that are no tasks."""

        async def body(tx: Tx) -> TaskView:
            row = await tx.one(g.TASK, case_id=task_id, tenant_id=tenant_id)
            return await self._viewed(tx, row)

        return await self._database.read(body)

    async def list(
        self, tenant_id: str, before: tuple[int, str], limit: int, source_id: str | None = None
    ) -> list[TaskView]:
        """The tasks before a place, newest first; one more than `limit` when there are more."""
        moment, case_id = before

        async def body(tx: Tx) -> list[TaskView]:
            place = {"before": moment, "before_id": case_id, "limit": limit + 1}
            rows = await tx.all(g.TASKS, tenant_id=tenant_id, source_id=source_id, **place)
            return [task_view(row, (), self._link(row)) for row in rows]

        return await self._database.read(body)

    async def dispatched(self, tenant_id: str, task_id: str, seconds: float) -> TaskView:
        """The task once nothing is to come any more that does not need a person, or as it is after `seconds`."""
        with self._hub.subscribe(f"case:{task_id}") as woken:
            task = await self.get(tenant_id, task_id)
            while task.status is TaskState.APPROVED and await woken.wait(seconds):
                task = await self.get(tenant_id, task_id)
        return await self.get(tenant_id, task_id) if task.status is TaskState.APPROVED else task

    async def approve(
        self,
        principal: Principal,
        task_id: str,
        decision: Literal["approve", "reject"],
        *,
        reason: str | None,
        approver: str,
        approval_token: str | None,
        idempotency: Idempotency | None,
        render: Render,
    ) -> str:
        """Record what a reviewer said. `approval_token`: the one of the review link on the card, or a reviewer's key; a
        principal that is a reviewer needs none. `approver` is what the request says, and kept as such. Raises NotFound,
        InvalidToken, SelfApproval, and as `Gate.respond` does.
        """

        async def work() -> str:
            task = await self.get(principal.tenant_id, task_id)
            data = {"approver": approver} | ({"reason": reason} if reason else {})
            await self._gate.respond(await self._reply(principal, task, decision, data, approval_token))
            return render(await self.get(principal.tenant_id, task_id))

        return await work_once(self._database, self._ring, principal.tenant_id, idempotency, work)

    async def by_link(self, task_id: str, link_token: str) -> TaskView:
        """The task that this approval link shows. Raises InvalidToken, whatever is wrong with the link."""

        async def body(tx: Tx) -> TaskView:
            row = await tx.one(g.TASK_BY_LINK, case_id=task_id, link_hash=token_hash(link_token))
            if row is None:
                raise InvalidToken
            return await self._viewed(tx, row)

        return await self._database.read(body)

    async def sign_in(self, task_id: str, link_token: str, credential: str) -> str:
        """The review link's token, for a reviewer who shows a key or that token. Raises InvalidToken for all else."""
        task = await self.by_link(task_id, link_token)
        review_token = await self._views.review_token(task_id)
        if review_token is None:
            raise InvalidToken
        if same(credential, review_token):
            return review_token
        try:
            await self._reviewer(task, credential)
        except Refused:
            raise InvalidToken("neither a reviewer's key nor this task's approval token") from None
        return review_token

    # --- opening ---

    async def _facts(self, principal: Principal, wanted: WantedTask) -> tuple[int, str]:
        """The database's time, and the source that the task goes to."""

        async def body(tx: Tx) -> tuple[int, str | None]:
            facts = await tx.one(g.GUARD_FACTS, tenant_id=principal.tenant_id)
            assert facts is not None  # keys belong to tenants
            return tx.clock(facts["now"]), facts["default_source_id"]

        now, default = await self._database.read(body)
        source_id = wanted.source_id or default or await self._sources.default(principal.tenant_id)
        return now, source_id

    async def _live_grants(self, operation: Operation, payload: str) -> Sequence[Row]:
        async def body(tx: Tx) -> Sequence[Row]:
            return await tx.all(
                g.LIVE_GRANTS,
                tenant_id=operation.tenant_id,
                operation=operation.operation,
                payload_digest=f"sha256:{sha256_hex(payload.encode())}",
                source_id=operation.source_id,
                limit=MAX_GRANTS_TRIED,
            )

        return await self._database.read(body)

    async def _open(
        self,
        principal: Principal,
        operation: Operation,
        payload: str,
        notify: tuple[Address, ...] | None,
        ruling: Ruling,
        grant: Row | None,
        idempotency: Idempotency | None,
        render: Render,
    ) -> str:
        asked = ruling.verdict == "require" and grant is None
        draft = draft_of(operation, ruling, asked=asked, notify=notify, spec_version=self._spec_version)
        link_token = new_token()

        def row_of(opened: Opened) -> dict[str, object]:
            case = opened.case
            return {
                "case_id": case.case_id,
                "tenant_id": case.tenant_id,
                "source_id": case.source_id,
                "key_id": principal.key_id,
                "operation": operation.operation,
                "payload": payload,
                "requested_by": operation.requested_by,
                "digest": case.content["context"]["task_digest"],
                "verdict": ruling.verdict,
                "ruling": to_json(ruling.as_json()),
                "grant_id": None if grant is None else grant["grant_id"],
                "link_hash": token_hash(link_token) if asked else None,
                "link_sealed": self._ring.seal(link_token, about=_link_about(case.case_id)) if asked else None,
                "created_at": case.created_at,
                "approved_at": None,
                "approved_until": None,
                "dispatched_at": None,
                "failed_at": None,
                "failure": None,
            }

        def rendered(opened: Opened) -> str:
            # How it is answered is known before it is written.
            state = TaskState.HITL_REQUIRED if asked else answered_at_once(ruling)
            row = row_of(opened)
            case = opened.case
            link = task_url(self._public_url, case.terms["language"], case.case_id, link_token) if asked else None
            return render(TaskView.new(case, row, state, link))

        async def beside(tx: Tx, opened: Opened) -> list[Write]:
            if grant is not None:
                await _check_grant(tx, grant, opened.case, principal)
            return [Write(g.INSERT_TASK, row_of(opened))]

        async def then(tx: Tx, case: Case) -> Case:
            return await close(tx, case, by_itself(ruling, grant), case.created_at)

        answer = await self._gate.open(principal, draft, idempotency, rendered, beside, None if asked else then)
        return answer.answer if isinstance(answer, Repeated) else rendered(answer)

    # --- views ---

    async def _viewed(self, tx: Tx, row: Row | None) -> TaskView:
        if row is None:
            raise NotFound("there is no such task")
        events = await tx.all(g.CASE_EVENTS, case_id=row["case_id"], limit=MAX_EVENTS)
        return task_view(row, events, self._link(row))

    def _link(self, row: Row) -> str | None:
        """The approval link, as long as the task waits for people."""
        if row["link_sealed"] is None or state_of(row) is not TaskState.HITL_REQUIRED:
            return None
        token = self._ring.unseal(row["link_sealed"], about=_link_about(row["case_id"]))
        return task_url(self._public_url, json.loads(row["terms"])["language"], row["case_id"], token)

    # --- approving ---

    async def _reply(
        self, principal: Principal, task: TaskView, decision: str, data: Mapping[str, str], token: str | None
    ) -> Reply:
        reply = Reply(
            case_id=task.task_id,
            door="api",
            token="",
            action=decision,
            data=data,
            identity=HOLDER,
            via="api",
            origin=Origin.API_SHIM,
            in_channel=True,  # a reviewer's key stands for the reviewers of its tenant
            tenant_id=task.tenant_id,
        )
        if token is not None and not is_api_key(token):
            return replace(reply, door="page", token=token, in_channel=False, tenant_id=None)
        reviewer = principal
        if token is not None:
            reviewer = await self._reviewer(task, token)
        elif principal.scope not in REVIEWERS:
            raise InvalidToken("approval_token is missing: it is on the card that reviewers got")
        _check_not_own(task, reviewer)
        return replace(reply, identity=Identity("key", reviewer.key_id, verified=True))

    async def _reviewer(self, task: TaskView, raw: str) -> Principal:
        """Whom a key speaks for that may decide this task. Raises InvalidToken, SelfApproval."""
        found = await self._keys.recognise(raw)
        known = found is not None and found.tenant_id == task.tenant_id and found.reaches(task.source_id)
        if found is None or not known or found.scope not in REVIEWERS:
            raise InvalidToken
        _check_not_own(task, found)
        return found


def _link_about(case_id: str) -> str:
    return f"{case_id}:task-link"


async def _check_grant(tx: Tx, grant: Row, case: Case, principal: Principal) -> None:
    row = await tx.one(g.LOCK_GRANT, grant_id=grant["grant_id"], tenant_id=case.tenant_id)
    if row is None or row["revoked_at"] is not None or not await stands_in(tx, row, case, principal):
        raise _GrantIdle


def _check_not_own(task: TaskView, reviewer: Principal) -> None:
    """Whoever posted a task cannot be the one who agrees to it, whatever the key's scope."""
    if reviewer.key_id == task.key_id:
        raise SelfApproval("the key that posted this task cannot approve it")
