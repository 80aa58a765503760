"""Review tasks: cases with artifacts as the executors' door sees them. Opening and deciding are the gate's; here is
what reviewers make of the blocks before that, and where a task stands afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from core.digest import canonical, digest
from core.errors import CaseExpired, ContentChanged, InvalidInput, NotFound, Settled
from core.gate import Gate
from core.hub import Hub
from core.ledger import Database, Row, Tx, Write
from core.ledger import card_queries as cq
from core.ledger import source_queries as q
from core.ledger import task_queries as tq
from core.model import Case, Draft, Idempotency, Identity, JsonObject, Opened, Origin, Principal, Repeated
from core.moves import check_waiting, locked
from core.outcome import case_event, edited_blocks
from core.policy import refusal
from core.replies import Reply
from core.rows import case_of, maybe_json, to_json, with_edits
from core.tasks import ARCHIVED_AFTER, TaskStatus, check_options, options_of, status_of

MAX_BLOCKS_BYTES = 1024 * 1024
NEWEST = (2**62, "")  # before every task


@dataclass(frozen=True, slots=True)
class Task:
    """A review task at one moment. `decision` and `event` are the bodies that executors get, None while nothing is
    decided; `dispatched_at` is when the first of them had it.
    """

    case: Case
    source_name: str
    status: TaskStatus
    decision: JsonObject | None = None
    event: JsonObject | None = None
    dispatched_at: int | None = None

    @property
    def archived_at(self) -> int | None:
        if self.dispatched_at is None or self.status is not TaskStatus.ARCHIVED:
            return None
        return self.dispatched_at + ARCHIVED_AFTER


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is narrowed to; None: not by this."""

    source_id: str | None = None
    status: TaskStatus | None = None
    risk_level: str | None = None
    service_id: str | None = None
    action_type: str | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks, newest first, and how many there are in all; `next` is where the next page begins, None after the last."""

    items: list[Task]
    total: int
    next: tuple[int, str] | None


class ReviewTasks:
    def __init__(self, database: Database, gate: Gate, hub: Hub) -> None:
        self._database = database
        self._gate = gate
        self._hub = hub

    async def open(
        self, principal: Principal, draft: Draft, idempotency: Idempotency | None, render: Callable[[Opened, Task], str]
    ) -> str:
        """The door's answer to a new task, or the first one to the same request. Raises as `Gate.open` does."""
        task, source_id = draft.task, draft.source_id
        assert task is not None and source_id is not None
        name = ""

        def rendered(opened: Opened) -> str:
            return render(opened, Task(opened.case, name, TaskStatus.PENDING))

        async def beside(tx: Tx, opened: Opened) -> list[Write]:
            nonlocal name
            source = await tx.one(q.SOURCE, source_id=source_id, tenant_id=principal.tenant_id)
            assert source is not None  # the gate has looked
            name = source["name"]
            row = {
                "case_id": opened.case.case_id,
                "tenant_id": principal.tenant_id,
                "source_id": source_id,
                "service_id": task["service"]["id"],
                "action_type": task["action"]["type"],
                "risk_level": task["risk_level"],
                "created_at": opened.case.created_at,
            }
            return [Write(tq.INSERT_TASK, row)]

        answer = await self._gate.open(principal, draft, idempotency, rendered, beside)
        return answer.answer if isinstance(answer, Repeated) else rendered(answer)

    async def get(self, tenant_id: str, case_id: str) -> Task:
        """Raises NotFound for unknown and foreign ones alike, and for cases that are no review tasks."""

        async def body(tx: Tx) -> Task:
            row = await tx.one(tq.TASK, case_id=case_id, tenant_id=tenant_id)
            if row is None:
                raise NotFound("there is no such review task")
            return _task(row, await tx.now())

        return await self._database.read(body)

    async def list(self, tenant_id: str, wanted: Filter, before: tuple[int, str], limit: int) -> TaskPage:
        """The tasks of one page, those that were opened before the place `before`."""
        moment, case_id = before
        names = {
            "tenant_id": tenant_id,
            "source_id": wanted.source_id,
            "risk_level": wanted.risk_level,
            "service_id": wanted.service_id,
            "action_type": wanted.action_type,
        }

        async def body(tx: Tx) -> TaskPage:
            now = await tx.now()
            status = {"status": wanted.status and str(wanted.status), "archived_before": now - ARCHIVED_AFTER}
            page = {"before": moment, "before_id": case_id, "limit": limit + 1}
            rows = list(await tx.all(tq.TASKS, **names, **status, **page))
            counted = await (
                tx.one(tq.COUNT_TASKS, **names)
                if wanted.status is None
                else tx.one(tq.COUNT_TASKS_BY_STATUS, **names, **status)
            )
            assert counted is not None
            last = rows[limit - 1] if len(rows) > limit else None
            place = None if last is None else (last["created_at"], last["case_id"])
            return TaskPage([_task(row, now) for row in rows[:limit]], counted["total"], place)

        return await self._database.read(body)

    async def edit(
        self, principal: Principal, case_id: str, contents: Mapping[str, Any], editions: Collection[int] | None
    ) -> None:
        """Change blocks of a waiting task: `contents` by id. `editions`: only if what stands is one of these; None: not
        said, so only what the editor can be taken to know (see `replying`). Raises NotFound, AlreadyDecided,
        CaseCancelled, CaseExpired, Settled, ContentChanged, Refused, InvalidInput.
        """
        editor, tries = key_identity(principal), count()

        async def body(tx: Tx) -> None:
            case = await locked(tx, case_id)
            if case.tenant_id != principal.tenant_id or case.task is None:
                raise NotFound("there is no such review task")
            if next(tries) and case.edited_by == editor.key and not edited_blocks(case, contents):
                return  # made by an earlier run, whose commit was not acknowledged
            now = await tx.now()
            check_waiting(case)
            if now >= case.expires_at:
                raise CaseExpired
            if not _knows(case, editor, editions):
                raise ContentChanged("the blocks have changed since you read them; read the task again")
            if refused := refusal(case.policy, editor, in_channel=True, requested_by=case.terms.get("requested_by")):
                raise refused
            changed = edited_blocks(case, contents)
            if not changed:
                return
            if case.votes:
                raise Settled("somebody has already voted on these blocks, so they cannot be changed any more")
            await tx.write(*_edit_writes(case, editor, changed, now))

        await self._database.transact(body)
        self._hub.wake(f"case:{case_id}", "cards")

    async def decide(
        self,
        principal: Principal,
        case_id: str,
        action: str,
        data: JsonObject,
        *,
        edition: int | None = None,
        content_digest: str | None = None,
    ) -> None:
        """Answer a task with an API key. Raises as `Gate.respond` does."""
        reply = Reply(
            case_id=case_id,
            door="api",
            token="",
            action=action,
            data=data,
            identity=key_identity(principal),
            via="api",
            origin=Origin.API_SHIM,
            in_channel=True,  # a reviewer's key stands for the reviewers of its tenant
            content_digest=content_digest,
            edition=edition,
            tenant_id=principal.tenant_id,
        )
        await self._gate.respond(reply)


def key_identity(principal: Principal) -> Identity:
    return Identity(platform="key", user_id=principal.key_id, verified=True)


def _knows(case: Case, editor: Identity, editions: Collection[int] | None) -> bool:
    if editions is None:
        return case.edition == 0 or case.edited_by == editor.key
    return case.edition in editions


def _edit_writes(case: Case, editor: Identity, changed: JsonObject, now: int) -> list[Write]:
    """The next edition of the case's blocks. Raises InvalidInput when it is too large or an option no longer fits."""
    blocks = with_edits(case.content["blocks"], changed)
    check_options(blocks, options_of(case), "interaction_schema.options")
    if len(canonical(blocks)) > MAX_BLOCKS_BYTES:
        raise InvalidInput("all blocks together may have 1 MiB", field="blocks_working")
    originals = {block["id"]: canonical(block["content"]) for block in case.original}
    edits = {block["id"]: block["content"] for block in blocks if canonical(block["content"]) != originals[block["id"]]}
    working = {
        "edition": case.edition + 1,
        "by": editor.key,
        "edits": edits,
        "digest": digest({**case.content, "blocks": blocks}),
    }
    told = {"by": editor.as_json(), "blocks": sorted(changed), "content_digest": working["digest"]}
    noted = replace(case, last_event=case.last_event + 1)
    params = {
        "case_id": case.case_id,
        "working": to_json(working),
        "last_event": noted.last_event,
        "was_version": case.version,
    }
    return [
        Write(tq.EDIT_CASE, params),
        case_event(noted, "edited", told, now),
        Write(cq.REDRAW_CARDS, {"case_id": case.case_id}, rows=None),
    ]


def _task(row: Row, now: int) -> Task:
    dispatched_at = row["dispatched_at"]
    return Task(
        case=case_of(row),
        source_name=row["source_name"],
        status=status_of(row["verdict"], dispatched_at, now),
        decision=maybe_json(row["decision_body"]),
        event=None if row["event_body"] is None else json.loads(row["event_body"]),
        dispatched_at=dispatched_at,
    )
