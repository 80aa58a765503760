"""Remembered approvals: this operation, with just these arguments, is let through until then. Each is a ledger row: the
approval that asked for it, or the answer by which a reviewer gave it by itself. Listed, and revocable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from core.approvals import MAX_GRANT, grant_write, payload_text
from core.errors import InvalidInput, NotFound
from core.gate import Gate
from core.ledger import Database, Row, Tx, Write
from core.ledger import case_queries as q
from core.ledger import guard_queries as g
from core.model import Case, Draft, Idempotency, Identity, JsonObject, Opened, Origin, Principal, Repeated
from core.moves import close, locked
from core.outcome import Closing, decided, interaction_row
from core.rows import maybe_json, to_json
from core.schedule import MINUTE, SECOND
from core.states import Event
from core.tokens import new_id

NEWEST = (2**62, "")  # before every grant


@dataclass(frozen=True, slots=True)
class Grant:
    """Times are milliseconds since 1970 (UTC). `case_id`, `interaction_id`: where in the ledger it stands."""

    grant_id: str
    operation: str
    payload: JsonObject
    reason: str | None
    case_id: str
    interaction_id: str
    granted_by: JsonObject
    created_at: int
    expires_at: int
    revoked_at: int | None = None
    revoked_by: JsonObject | None = None


class Grants:
    def __init__(self, database: Database, gate: Gate) -> None:
        self._database = database
        self._gate = gate

    async def give(
        self,
        principal: Principal,
        operation: str,
        payload: JsonObject,
        ms: int,
        reason: str | None,
        idempotency: Idempotency | None,
        render: Callable[[Grant], str],
    ) -> str:
        """The door's answer to a new grant, or the first one to the same request. Raises InvalidInput."""
        if not SECOND <= ms <= MAX_GRANT:
            raise InvalidInput("a grant lasts from a second to 8 hours", field="minutes")
        payload_text(payload)
        by = Identity("key", principal.key_id, verified=True)
        grant_id = new_id("grt_")
        closing = Closing(
            Event.COMPLETE, "confirm", {"reason": reason} if reason else {}, by, "api", Origin.API_SHIM, "sys:grant",
            grant_id,
        )  # fmt: skip

        def rendered(opened: Opened) -> str:
            case = opened.case
            return render(
                Grant(
                    grant_id=grant_id,
                    operation=operation,
                    payload=payload,
                    reason=reason,
                    case_id=case.case_id,
                    interaction_id=closing.interaction_id,
                    granted_by=by.as_json(),
                    created_at=case.created_at,
                    expires_at=case.created_at + ms,
                )
            )

        async def then(tx: Tx, case: Case) -> Case:
            closed = await close(tx, case, closing, case.created_at)
            decision = decided(closed, closing.interaction_id)
            assert decision is not None  # it was confirmed
            await tx.write(grant_write(closed, decision, ms, grant_id))
            return closed

        draft = _draft(operation, payload, ms, reason)
        answer = await self._gate.open(principal, draft, idempotency, rendered, then=then)
        return answer.answer if isinstance(answer, Repeated) else rendered(answer)

    async def get(self, tenant_id: str, grant_id: str) -> Grant:
        """Raises NotFound for unknown and foreign ones alike."""

        async def body(tx: Tx) -> Grant:
            return _known(await tx.one(g.GRANT, grant_id=grant_id, tenant_id=tenant_id))

        return await self._database.read(body)

    async def list(
        self, tenant_id: str, before: tuple[int, str] = NEWEST, limit: int = 50, *, live: bool = False
    ) -> list[Grant]:
        """The grants before a place, newest first; one more than `limit` when there are more. `live`: only those that
        still let something through.
        """
        moment, grant_id = before

        async def body(tx: Tx) -> list[Grant]:
            place = {"before": moment, "before_id": grant_id, "limit": limit + 1, "live": int(live)}
            return [_grant(row) for row in await tx.all(g.GRANTS, tenant_id=tenant_id, **place)]

        return await self._database.read(body)

    async def revoke(self, principal: Principal, grant_id: str) -> Grant:
        """From now on it lets nothing through; revoking it again answers the same. Raises NotFound."""
        by, interaction_id = Identity("key", principal.key_id, verified=True), new_id("int_")

        async def body(tx: Tx) -> Grant:
            row = await tx.one(g.LOCK_GRANT, grant_id=grant_id, tenant_id=principal.tenant_id)
            if _known(row).revoked_at is not None:
                return _known(row)
            assert row is not None
            case, now = await locked(tx, row["case_id"]), await tx.now()
            closing = Closing(
                Event.CANCEL, "revoke", {"grant_id": grant_id}, by, "api", Origin.API_SHIM, "sys:revoke", grant_id,
                interaction_id=interaction_id,
            )  # fmt: skip
            revoked = {"grant_id": grant_id, "now": now, "revoked_by": to_json(by.as_json())}
            await tx.write(
                Write(q.INSERT_INTERACTION, interaction_row(case, closing, now) | {"position": None}),
                Write(g.REVOKE_GRANT, revoked),
            )
            return _known(await tx.one(g.GRANT, grant_id=grant_id, tenant_id=principal.tenant_id))

        return await self._database.transact(body)


def _draft(operation: str, payload: JsonObject, ms: int, reason: str | None) -> Draft:
    """The case that a reviewer opens and answers at once, so that the ledger has a row for it. A grant carries nothing
    out, so no event follows.
    """
    minutes = -(-ms // MINUTE)
    block = {
        "id": "payload", "label": "Arguments", "type": "json", "content": payload, "editable": False,
        "render_hints": {},
    }  # fmt: skip
    return Draft(
        type="confirmation",
        prompt=f"Let {operation} with these arguments through for {minutes} minutes",
        message=reason,
        context={"operation": operation, "grant_minutes": minutes},
        blocks=(block,),
        actions=("confirm", "cancel"),
        reminder_at=(),
        notify=(),
        grace_ms=0,
    )


def _known(row: Row | None) -> Grant:
    if row is None:
        raise NotFound("there is no such grant")
    return _grant(row)


def _grant(row: Row) -> Grant:
    return Grant(
        grant_id=row["grant_id"],
        operation=row["operation"],
        payload=json.loads(row["payload"]),
        reason=row["reason"],
        case_id=row["case_id"],
        interaction_id=row["interaction_id"],
        granted_by=json.loads(row["granted_by"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        revoked_by=maybe_json(row["revoked_by"]),
    )
