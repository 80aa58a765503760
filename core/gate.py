"""The verbs: open, respond, cancel, close, expire, settle, and what a review page reports. Each is one short
transaction, and only after its commit is anybody woken. How a reply is judged stands in `replying`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import count

from core.approvals import guarded
from core.checkpoints import checkpoint
from core.directory import Directories
from core.errors import (
    CaseExpired,
    Conflict,
    ContentChanged,
    InvalidInput,
    InvalidToken,
    NotFound,
    Refused,
)
from core.gate_answers import gate_of
from core.hub import Hub
from core.kept import answer_in, keep_answer, key_params
from core.ledger import Body, Database, DuplicateKey, Row, Tx, Write
from core.ledger import card_queries as cq
from core.ledger import case_queries as q
from core.ledger import saved_queries as sv
from core.model import Case, Draft, Idempotency, Identity, JsonObject, Opened, Origin, Principal, Repeated
from core.moves import audit, check_waiting, close, locked, move, settle
from core.opening import new_case, opening_writes, source_defaults, with_groups
from core.outcome import Closing, case_event
from core.replies import REVIEW_PAGE, Answered, Reply, page_reply
from core.replying import NotAsked, respond
from core.reviewing import LINK_HOLDER, Reviewer, admitted_reviewer
from core.rows import case_of
from core.sealing import KeyRing
from core.states import TERMINAL, Event, Status, apply
from core.tokens import new_id, token_hash
from core.verifiers import Verifiers

SYSTEM = Identity(platform="system", user_id="clock", display_name="the deadline", verified=True)
EXPIRE_BATCH = 50

# What a caller adds to the transaction that opens a case.
Beside = Callable[[Tx, Opened], Awaitable[Sequence[Write]]]
# What a caller makes of the case at once, in that transaction: where no person need be asked.
Then = Callable[[Tx, Case], Awaitable[Case]]


class Gate:
    """`verifiers` look at the evidence that comes with answers; without any, none is believed. `directories` know who
    is in which user group; without any, nobody is. `language`: of cases where neither they nor their source name one.
    """

    def __init__(
        self,
        database: Database,
        hub: Hub,
        keys: KeyRing,
        verifiers: Verifiers | None = None,
        *,
        directories: Directories | None = None,
        language: str = "en",
    ) -> None:
        self._database = database
        self._hub = hub
        self._keys = keys
        self._verifiers = verifiers or Verifiers()
        self._directories = directories or Directories(database)
        self._language = language

    async def open(
        self,
        principal: Principal,
        draft: Draft,
        idempotency: Idempotency | None = None,
        render: Callable[[Opened], str] = lambda opened: opened.case.case_id,
        beside: Beside | None = None,
        then: Then | None = None,
    ) -> Opened | Repeated:
        """Open a case. With an Idempotency-Key the door's answer (`render`) is kept, sealed, in the same transaction,
        and a repetition gets it back as Repeated. Raises InvalidInput, NotFound (source, previous case),
        IdempotencyMismatch, IdempotencyInFlight, Conflict (another case stands behind the gate). `beside`: what else
        the transaction locks, checks and writes; `then`: what becomes of the case at once.
        """
        _check_bound(principal, draft)
        found = new_case(draft, self._keys)
        tries = count()

        async def body(tx: Tx) -> Opened | Repeated:
            facts = await tx.one(
                q.OPEN_FACTS,
                tenant_id=principal.tenant_id,
                source_id=draft.source_id,
                previous_case_id=draft.previous_case_id,
                **key_params(principal.tenant_id, idempotency),
            )
            assert facts is not None
            if idempotency is not None:
                first = await answer_in(facts, tx, self._keys, principal.tenant_id, idempotency)
                if first is not None:
                    return Repeated(first)
            _check_references(principal, draft, facts)
            settled = source_defaults(draft, facts["source_settings"], self._language)
            settled = await with_groups(tx, principal.tenant_id, settled)
            if next(tries):  # the commit before this run may have happened unseen
                row = await tx.one(q.CASE, case_id=found.case_id, tenant_id=principal.tenant_id)
                if row is not None:
                    return Opened(case_of(row), found.review_token, found.submit_token)
            opened, writes = opening_writes(found, principal, settled, tx.clock(facts["now"]), self._keys)
            tx.tell(opened.case)
            if beside is not None:
                writes += await beside(tx, opened)
            if then is not None:
                await tx.write(*writes)
                writes = []
                opened = replace(opened, case=await then(tx, opened.case))
            if idempotency is not None:
                kept = keep_answer(self._keys, principal.tenant_id, idempotency, render(opened), opened.case.created_at)
                writes.append(kept)
            if writes:
                await tx.write(*writes)
            checkpoint("open.before_commit")
            return opened

        try:
            answer = await self._database.transact(body)
        except DuplicateKey:
            answer = await self._open_again(body)
        checkpoint("open.after_commit")
        if isinstance(answer, Opened):
            self._wake(answer.case)
        return answer

    async def _open_again(self, body: Body[Opened | Repeated]) -> Opened | Repeated:
        """Two came at once. If it was the same request, the answer of the one that won is there now."""
        try:
            return await self._database.transact(body)
        except DuplicateKey:
            raise Conflict("another case already stands behind this gate") from None

    async def respond(self, reply: Reply) -> Answered:
        """Answer a case, exactly once. Raises NotFound, InvalidToken, AlreadyDecided, CaseCancelled, CaseExpired,
        InvalidAction, ActionNotInline, NotShownWhole, ContentChanged, NotAReviewer, SelfApproval, VerificationRequired,
        VerificationFailed, InvalidData.
        """
        reply = await self._verifiers.checked(self._database, reply)
        answer = await self._responded(reply)
        if isinstance(answer, NotAsked):
            answer = await self._responded(await self._directories.checked(reply))
        checkpoint("respond.after_commit")
        if isinstance(answer, Refused):
            raise answer
        assert isinstance(answer, Answered)
        if not answer.replay:
            self._wake(answer.case)
        return answer

    async def _responded(self, reply: Reply) -> Answered | Refused | NotAsked:
        interaction_id = new_id("int_")
        tries = count()

        async def body(tx: Tx) -> Answered | Refused | NotAsked:
            return await respond(tx, reply, self._keys, interaction_id, again=next(tries) > 0)

        try:
            return await self._database.transact(body)
        except DuplicateKey:
            # The same proof came with another answer at the same moment. Now it is known as used.
            return await self._database.transact(body)

    async def cancel(self, principal: Principal, case_id: str, reason: str | None) -> Case:
        """Withdraw a waiting case; withdrawing it again answers the same. Raises NotFound, AlreadyDecided,
        CaseExpired.
        """

        async def body(tx: Tx) -> Case:
            case = await locked(tx, case_id)
            if case.tenant_id != principal.tenant_id:
                raise NotFound
            if case.status is Status.CANCELLED:
                return case
            check_waiting(case)
            agent = Identity(platform="key", user_id=principal.key_id, verified=True)
            closing = Closing(
                Event.CANCEL, "cancelled", {}, agent, "api", Origin.API_SHIM, "sys:cancel", "cancel", reason
            )
            return await close(tx, case, closing, await tx.now())

        case = await self._database.transact(body)
        self._wake(case)
        return case

    async def close_unanswered(
        self,
        case_id: str,
        review_token: str,
        reason: str | None,
        content_digest: str | None = None,
        reviewer: Reviewer = LINK_HOLDER,
    ) -> Case:
        """Close a waiting case without an answer, from its review page; closing it again answers the same. Raises as
        `respond` does.
        """

        async def body(tx: Tx) -> Case | Refused:
            case = await _reviewed(tx, case_id, review_token)
            if case.status is Status.CANCELLED and (case.answered or {}).get("via") == REVIEW_PAGE:
                return case
            check_waiting(case)
            now = await tx.now()
            if now >= case.expires_at:
                raise CaseExpired
            if content_digest not in (None, case.content_digest):
                raise ContentChanged
            who = await admitted_reviewer(tx, case, reviewer, now)
            if isinstance(who, Refused):
                asked = page_reply(case_id, review_token, "close", {}, content_digest, identity=reviewer.identity)
                await audit(tx, case, asked, "refused", now, code=who.code)
                return who
            closing = Closing(
                Event.CANCEL, "cancelled", {}, who, REVIEW_PAGE, Origin.MANUAL, "sys:close", "close", reason
            )
            forget = Write(sv.FORGET_SAVED_ANSWERS, {"case_id": case_id}, rows=None)
            await tx.write(forget)
            return await close(tx, case, closing, now)

        case = await self._database.transact(body)
        if isinstance(case, Refused):
            raise case
        self._wake(case)
        return case

    async def expire_due(self) -> int:
        """Close cases whose deadline has passed, with their default action; how many. Call again while it is not 0."""

        async def body(tx: Tx) -> list[Case]:
            now = await tx.now()
            due = [case_of(row) for row in await tx.all(q.DUE_CASES, now=now, limit=EXPIRE_BATCH)]
            expired = [await close(tx, case, _expiry(case), now) for case in due]
            if expired:
                checkpoint("expire.before_commit")
            return expired

        closed = await self._database.transact(body)
        if closed:
            checkpoint("expire.after_commit")
        for case in closed:
            self._wake(case)
        return len(closed)

    async def settle_due(self) -> int:
        """Let answers decide that can no longer be revised; how many. Call again while it is not 0."""

        async def body(tx: Tx) -> list[Case]:
            now = await tx.now()
            due = [case_of(row) for row in await tx.all(q.SETTLING_CASES, now=now, limit=EXPIRE_BATCH)]
            return [await settle(tx, case, now) for case in due]

        settled = await self._database.transact(body)
        for case in settled:
            self._wake(case)
        return len(settled)

    async def next_deadline(self) -> int | None:
        """Milliseconds until the next waiting case expires or answer settles; None when nothing waits."""

        async def body(tx: Tx) -> int | None:
            rows = [await tx.one(q.NEXT_DEADLINE), await tx.one(q.NEXT_SETTLING)]
            moments = [row["moment"] for row in rows if row is not None and row["moment"] is not None]
            return max(0, min(moments) - await tx.now()) if moments else None

        return await self._database.read(body)

    async def report(self, case_id: str, review_token: str, event: Event, progress: JsonObject | None = None) -> Case:
        """The review page was opened, or its form is being filled. Raises NotFound, InvalidToken."""

        async def body(tx: Tx) -> Case:
            case = await _reviewed(tx, case_id, review_token)
            now = await tx.now()
            seen = case.status is not Status.PENDING if event is Event.OPEN else case.progress == progress
            if case.status in TERMINAL or now >= case.expires_at or seen:
                return case
            status = case.status if case.status is Status.IN_PROGRESS else apply(case.status, event)
            moved = replace(
                case,
                status=status,
                opened_at=case.opened_at or now,
                progress=case.progress if progress is None else progress,
                version=case.version + 1,
                last_event=case.last_event + 1,
            )
            told = {"progress": dict(progress)} if progress else {}
            await tx.write(
                move(case, moved),
                case_event(moved, "opened" if event is Event.OPEN else "in_progress", told, now),
                Write(cq.REDRAW_CARDS, {"case_id": case_id}, rows=None),
            )
            return moved

        case = await self._database.transact(body)
        self._wake(case)
        return case

    def wake_cards(self) -> None:
        self._hub.wake("cards")

    def _wake(self, case: Case) -> None:
        couriers = ("deliveries",) if case.terms.get("callback_url") or case.terms.get("pushed") else ()
        dispatcher = ("dispatch",) if guarded(case) else ()
        workflow = ("runs", f"run:{case.workflow_id}") if gate_of(case) else ()
        self._hub.wake(f"case:{case.case_id}", "seal", "cards", *couriers, *dispatcher, *workflow)


async def _reviewed(tx: Tx, case_id: str, review_token: str) -> Case:
    case = await locked(tx, case_id)
    if await tx.one(q.REVIEWED_CASE, case_id=case_id, token_hash=token_hash(review_token)) is None:
        raise InvalidToken
    return case


def _check_bound(principal: Principal, draft: Draft) -> None:
    if draft.source_id is None and not principal.reaches(None):
        raise InvalidInput("this key is bound to sources: name one of them as source_id", field="source_id")
    if not principal.reaches(draft.source_id):
        raise InvalidInput("source_id: there is no such source", field="source_id")


def _check_references(principal: Principal, draft: Draft, facts: Row) -> None:
    if draft.source_id is not None and facts["source_id"] is None:
        raise InvalidInput("source_id: there is no such source", field="source_id")
    known = facts["previous_case_id"] is not None and principal.reaches(facts["previous_source_id"])
    if draft.previous_case_id is not None and not known:
        raise InvalidInput("previous_case_id: there is no such case", field="previous_case_id")


def _expiry(case: Case) -> Closing:
    return Closing(
        Event.EXPIRE,
        case.default_action,
        {},
        SYSTEM,
        "timer",
        Origin.ENGINE_DBOS,
        "sys:timeout",
        "timeout",
    )
