"""The verbs: open, respond, cancel, expire, and what a review page reports. Each is one short transaction.

Order in `respond`: lock the case, know the token, look the reply up (a known one is answered as before), then the
case's state and deadline on the database's clock, the action, the content, the policy, the data; then everything is
written at once, and only after the commit is anybody woken. What is refused by policy is audited, and changes nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

from core.checkpoints import checkpoint
from core.digest import canonical, sha256_hex
from core.errors import (
    ActionNotInline,
    AlreadyDecided,
    CaseCancelled,
    CaseExpired,
    Conflict,
    ContentChanged,
    IdempotencyMismatch,
    InvalidAction,
    InvalidInput,
    InvalidToken,
    NotFound,
    Refused,
)
from core.hub import Hub
from core.ledger import Body, Database, DuplicateKey, Row, Tx, Write
from core.ledger import queries as q
from core.model import (
    Answered,
    Case,
    Draft,
    Idempotency,
    Identity,
    JsonObject,
    Opened,
    Origin,
    Principal,
    Repeated,
    Reply,
)
from core.opening import new_case, opening_writes, source_defaults
from core.outcome import Closing, case_event, closing_writes, dedupe_key, payload_of, topic
from core.policy import refusal
from core.rows import case_of, to_json
from core.sealing import KeyRing
from core.states import TERMINAL, Event, Status, apply
from core.tokens import new_id, token_hash

SYSTEM = Identity(platform="system", user_id="clock", display_name="the deadline", verified=True)
EXPIRE_BATCH = 50


class Gate:
    def __init__(self, database: Database, hub: Hub, keys: KeyRing) -> None:
        self._database = database
        self._hub = hub
        self._keys = keys

    async def open(
        self,
        principal: Principal,
        draft: Draft,
        idempotency: Idempotency | None = None,
        render: Callable[[Opened], str] = lambda opened: opened.case.case_id,
    ) -> Opened | Repeated:
        """Open a case. With an Idempotency-Key the door's answer (`render`) is kept, sealed, in the same transaction,
        and a repetition gets it back as Repeated. Raises InvalidInput, NotFound (source, previous case),
        IdempotencyMismatch, Conflict (another case stands behind the gate).
        """
        found = new_case(draft, self._keys)
        tries = count()

        async def body(tx: Tx) -> Opened | Repeated:
            facts = await tx.one(
                q.OPEN_FACTS,
                tenant_id=principal.tenant_id,
                door=idempotency.door if idempotency else "",
                idempotency_key=idempotency.key if idempotency else "",
                source_id=draft.source_id,
                previous_case_id=draft.previous_case_id,
            )
            assert facts is not None
            if idempotency is not None and facts["answer"] is not None:
                if facts["body_hash"] != idempotency.body_hash:
                    raise IdempotencyMismatch
                about = f"{principal.tenant_id}:{idempotency.door}:{idempotency.key}"
                return Repeated(self._keys.unseal(facts["answer"], about=about))
            _check_references(draft, facts)
            settled = source_defaults(draft, facts["source_settings"])
            if next(tries):  # the commit before this run may have happened unseen
                row = await tx.one(q.CASE, case_id=found.case_id, tenant_id=principal.tenant_id)
                if row is not None:
                    return Opened(case_of(row), found.review_token, found.submit_token)
            opened, writes = opening_writes(found, principal, settled, tx.clock(facts["now"]), self._keys)
            if idempotency is not None:
                writes.append(self._keep_answer(principal, idempotency, render(opened), opened.case.created_at))
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

    def _keep_answer(self, principal: Principal, idempotency: Idempotency, answer: str, now: int) -> Write:
        about = f"{principal.tenant_id}:{idempotency.door}:{idempotency.key}"
        return Write(
            q.INSERT_IDEMPOTENCY,
            {
                "tenant_id": principal.tenant_id,
                "door": idempotency.door,
                "key": idempotency.key,
                "body_hash": idempotency.body_hash,
                "answer": self._keys.seal(answer, about=about),
                "created_at": now,
            },
        )

    async def respond(self, reply: Reply) -> Answered:
        """Answer a case, exactly once. Raises NotFound, InvalidToken, AlreadyDecided, CaseCancelled, CaseExpired,
        InvalidAction, ActionNotInline, ContentChanged, NotAReviewer, SelfApproval, InvalidData."""

        interaction_id = new_id("int_")
        tries = count()

        async def body(tx: Tx) -> Answered | Refused:
            return await _respond(tx, reply, interaction_id, again=next(tries) > 0)

        answer = await self._database.transact(body)
        checkpoint("respond.after_commit")
        if isinstance(answer, Refused):
            raise answer
        if not answer.replay:
            self._wake(answer.case)
        return answer

    async def cancel(self, principal: Principal, case_id: str, reason: str | None) -> Case:
        """Withdraw a waiting case; withdrawing it again answers the same. Raises NotFound, AlreadyDecided,
        CaseExpired.
        """

        async def body(tx: Tx) -> Case:
            case = await _locked(tx, case_id)
            if case.tenant_id != principal.tenant_id:
                raise NotFound
            if case.status is Status.CANCELLED:
                return case
            _check_waiting(case)
            agent = Identity(platform="key", user_id=principal.key_id, verified=True)
            closing = Closing(
                Event.CANCEL, "cancelled", {}, agent, "api", Origin.API_SHIM, "sys:cancel", "cancel", reason
            )
            return await _close(tx, case, closing, await tx.now())

        case = await self._database.transact(body)
        self._wake(case)
        return case

    async def expire_due(self) -> int:
        """Close cases whose deadline has passed, with their default action; how many. Call again while it is not 0."""

        async def body(tx: Tx) -> list[Case]:
            now = await tx.now()
            due = [case_of(row) for row in await tx.all(q.DUE_CASES, now=now, limit=EXPIRE_BATCH)]
            return [await _close(tx, case, _expiry(case), now) for case in due]

        closed = await self._database.transact(body)
        for case in closed:
            self._wake(case)
        return len(closed)

    async def next_deadline(self) -> int | None:
        """Milliseconds until the next waiting case expires; None when nothing waits."""

        async def body(tx: Tx) -> int | None:
            row = await tx.one(q.NEXT_DEADLINE)
            return None if row is None or row["expires_at"] is None else max(0, row["expires_at"] - await tx.now())

        return await self._database.read(body)

    async def report(self, case_id: str, review_token: str, event: Event, progress: JsonObject | None = None) -> Case:
        """The review page was opened, or its form is being filled. Raises NotFound, InvalidToken."""

        async def body(tx: Tx) -> Case:
            case = await _locked(tx, case_id)
            if await tx.one(q.REVIEWED_CASE, case_id=case_id, token_hash=token_hash(review_token)) is None:
                raise InvalidToken
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
            await tx.write(
                _move(case, moved),
                case_event(moved, "opened" if event is Event.OPEN else "in_progress", {}, now),
                Write(q.REDRAW_CARDS, {"case_id": case_id}, rows=None),
            )
            return moved

        case = await self._database.transact(body)
        self._wake(case)
        return case

    def wake_cards(self) -> None:
        self._hub.wake("cards")

    def _wake(self, case: Case) -> None:
        self._hub.wake(f"case:{case.case_id}", "seal", "cards")


async def _respond(tx: Tx, reply: Reply, interaction_id: str, *, again: bool = False) -> Answered | Refused:
    """`again`: an earlier run may have been committed without our knowing; what it left is not a redelivery."""
    case = await _locked(tx, reply.case_id)
    checkpoint("respond.after_begin")
    payload, invalid = payload_of(case, reply)
    payload_hash = sha256_hex(canonical(payload))
    facts = await tx.one(
        q.REPLY_FACTS,
        token_hash=token_hash(reply.token),
        case_id=case.case_id,
        workflow_id=case.workflow_id,
        gate_key=case.gate_key,
        topic=topic(case),
        dedupe_key=dedupe_key(reply.identity),
        platform=reply.identity.platform,
        delivery_id=reply.delivery_id,
    )
    assert facts is not None
    now = tx.clock(facts["now"])
    if facts["token_kind"] != ("review" if reply.door == "page" else "submit") or facts["token_revoked_at"] is not None:
        raise InvalidToken
    if facts["interaction_id"] == interaction_id:  # accepted by an earlier run, whose commit was not acknowledged
        return Answered(case, interaction_id)
    if facts["interaction_id"] is not None and facts["payload_hash"] == payload_hash:
        delivered = facts["delivery_id"] is not None
        if not delivered:
            await _audit(tx, case, reply, "replayed", now)
        return Answered(case, facts["interaction_id"], replay=True, redelivered=delivered and not again)
    _check_waiting(case)
    if now >= case.expires_at:
        raise CaseExpired
    _check_action(case, reply)
    if reply.content_digest not in (None, case.content_digest):
        raise ContentChanged
    requested_by = case.terms.get("requested_by")
    if refused := refusal(case.policy, reply.identity, in_channel=reply.in_channel, requested_by=requested_by):
        if facts["delivery_id"] is None:
            await _audit(tx, case, reply, "refused", now, code=refused.code)
        elif not again:
            return type(refused)(refused.message, redelivered=True)
        return refused
    if invalid is not None:
        raise invalid
    closing = Closing(
        Event.COMPLETE,
        reply.action,
        payload["data"],
        reply.identity,
        reply.via,
        reply.origin,
        topic(case),
        dedupe_key(reply.identity),
        mode="browser_submit" if reply.door == "page" else "inline_submit",
        interaction_id=interaction_id,
    )
    closed = await _close(tx, case, closing, now, delivery_id=reply.delivery_id)
    checkpoint("respond.after_insert")
    return Answered(closed, interaction_id)


async def _locked(tx: Tx, case_id: str) -> Case:
    row = await tx.one(q.LOCK_CASE, case_id=case_id)
    if row is None:
        raise NotFound
    return case_of(row)


def _check_references(draft: Draft, facts: Row) -> None:
    if draft.source_id is not None and facts["source_id"] is None:
        raise InvalidInput("source_id: there is no such source", field="source_id")
    if draft.previous_case_id is not None and facts["previous_case_id"] is None:
        raise InvalidInput("previous_case_id: there is no such case", field="previous_case_id")


def _check_waiting(case: Case) -> None:
    match case.status:
        case Status.COMPLETED:
            raise AlreadyDecided
        case Status.CANCELLED:
            raise CaseCancelled
        case Status.EXPIRED:
            raise CaseExpired
        case _:
            return


def _check_action(case: Case, reply: Reply) -> None:
    if reply.door == "inline" and reply.action not in case.inline_actions:
        raise ActionNotInline
    if reply.action not in case.actions:
        raise InvalidAction(f"action must be one of {', '.join(case.actions)}", field="action")


async def _audit(tx: Tx, case: Case, reply: Reply, kind: str, now: int, **details: str) -> None:
    noted = replace(case, last_event=case.last_event + 1)
    by = reply.identity.as_json()
    writes = [
        Write(q.NOTE_EVENT, {"case_id": case.case_id, "last_event": noted.last_event}),
        case_event(noted, kind, {"by": by, "via": reply.via, "action": reply.action, **details}, now),
    ]
    await tx.write(*writes, *_received(reply.identity.platform, reply.delivery_id, now))


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
        timed_out=True,
    )


async def _close(tx: Tx, case: Case, closing: Closing, now: int, *, delivery_id: str | None = None) -> Case:
    """The one way in which a case ends: ledger row, case row, case event, decision, decision event, cards; all or
    nothing.
    """
    status = apply(case.status, closing.event)
    closed = replace(
        case,
        status=status,
        closed_at=now,
        result={"action": closing.action, "data": closing.data} if status is Status.COMPLETED else None,
        answered=closing.answered,
        version=case.version + 1,
        last_event=case.last_event + 1,
    )
    writes = closing_writes(closed, closing, now)
    writes.insert(1, _move(case, closed))
    await tx.write(*writes, *_received(closing.identity.platform, delivery_id, now))
    return closed


def _received(platform: str, delivery_id: str | None, now: int) -> list[Write]:
    """That this delivery of the platform was dealt with, so that its redelivery is told nothing a second time."""
    if delivery_id is None:
        return []
    inbound = {"platform": platform, "delivery_id": delivery_id, "received_at": now}
    return [Write(q.INSERT_INBOUND, inbound, rows=None)]


def _move(was: Case, now: Case) -> Write:
    return Write(
        q.MOVE_CASE,
        {
            "case_id": was.case_id,
            "was_status": str(was.status),
            "was_version": was.version,
            "status": str(now.status),
            "opened_at": now.opened_at,
            "closed_at": now.closed_at,
            "result": None if now.result is None else to_json(now.result),
            "answered": None if now.answered is None else to_json(now.answered),
            "progress": None if now.progress is None else to_json(now.progress),
            "last_event": now.last_event,
        },
    )
