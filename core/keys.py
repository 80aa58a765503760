"""The keys of one tenant: made, listed, replaced and taken away by whoever administers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.access import Keys, Scope, bound_to, check_sources, new_key_write
from core.errors import Conflict, NotFound
from core.kept import transact_once
from core.ledger import Database, Row, Tx, Write
from core.ledger import tenant_queries as t
from core.ledger.source_queries import LOCK_TENANT
from core.model import Idempotency, Principal, Repeated
from core.rows import maybe_json
from core.schedule import SECOND
from core.sealing import KeyRing
from core.tokens import new_api_key, new_id

TenantScope = Literal["agent", "executor", "reviewer", "admin"]  # what a tenant's admin can give: never an operator's
State = Literal["active", "ending", "revoked"]
MAX_GRACE_SECONDS = 7 * 86_400
NEWEST = (2**62, "")  # before every key


@dataclass(frozen=True, slots=True)
class Key:
    """What may be shown of a key. `revoked_at` lies ahead of one that is ending: it was replaced, and works until then.
    `last_used_at` is to the minute.
    """

    key_id: str
    tenant_id: str
    name: str | None
    scope: Scope
    sources: tuple[str, ...] | None
    callback_signature: str | None
    created_at: int
    last_used_at: int | None = None
    revoked_at: int | None = None
    state: State = "active"


@dataclass(frozen=True, slots=True)
class WantedKey:
    scope: TenantScope
    name: str | None = None
    sources: tuple[str, ...] | None = None
    callback_signature: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A new key, raw for the only time. `replaces`: the key whose place it takes."""

    key: Key
    raw: str = field(repr=False)
    replaces: Key | None = None


Render = Callable[[Made], str]


class KeyDesk:
    """`access` is what recognises the keys: taking one away ends when it knows it no more, here and elsewhere."""

    def __init__(self, database: Database, ring: KeyRing, access: Keys) -> None:
        self._database = database
        self._ring = ring
        self._access = access

    async def create(
        self, principal: Principal, tenant_id: str, wanted: WantedKey, once: Idempotency | None, render: Render
    ) -> Made | Repeated:
        """A new key of this tenant, or the first answer (`render`) to the same request. Raises NotFound without such a
        tenant, InvalidInput for a source that it does not have, IdempotencyMismatch, IdempotencyInFlight.
        """
        raw, key_id = new_api_key(), new_id("key_")

        async def body(tx: Tx) -> Made:
            made = await tx.one(t.KEY_BY_ID, key_id=key_id, tenant_id=tenant_id)
            if made is not None:  # by an earlier run, whose commit was not acknowledged
                return Made(key_of(made, tx), raw)
            await the_tenant(tx, tenant_id)
            key = Key(
                key_id,
                tenant_id,
                wanted.name,
                wanted.scope,
                wanted.sources,
                wanted.callback_signature,
                created_at=await tx.now(),
            )
            speaks = Principal(key_id, tenant_id, wanted.scope, bound_to(wanted.sources))
            await check_sources(tx, speaks)
            await tx.write(
                new_key_write(self._ring, raw, speaks, wanted.name, wanted.callback_signature, key.created_at)
            )
            return Made(key, raw)

        return await transact_once(self._database, self._ring, principal.tenant_id, once, body, render)

    async def list(self, tenant_id: str, after: tuple[int, str], limit: int) -> list[Key]:
        """The tenant's keys, newest first, those made before the place `after`; also the revoked ones."""
        made, key_id = after

        async def body(tx: Tx) -> list[Key]:
            rows = await tx.all(t.KEY_PAGE, tenant_id=tenant_id, made=made, after_id=key_id, limit=limit)
            return [key_of(row, tx) for row in rows]

        return await self._database.read(body)

    async def get(self, tenant_id: str, key_id: str) -> Key:
        """Raises NotFound for unknown and foreign ones alike."""

        async def body(tx: Tx) -> Key:
            return await _key(tx, tenant_id, key_id)

        return await self._database.read(body)

    async def tenant_of(self, key_id: str) -> str:
        """Whose key this is, for who may know: the command line. Raises NotFound."""

        async def body(tx: Tx) -> str:
            row = await tx.one(t.TENANT_OF_KEY, key_id=key_id)
            if row is None:
                raise NotFound("there is no such key")
            return str(row["tenant_id"])

        return await self._database.read(body)

    async def revoke(self, tenant_id: str, key_id: str, *, also_last: bool = False) -> Key:
        """The key, which no request that begins from now on can use, on any replica; revoking again answers the same.
        Raises NotFound, and Conflict for the only key that administers the tenant (unless `also_last`).
        """

        async def body(tx: Tx) -> Key:
            # Who else administers the tenant must not change meanwhile.
            await tx.one(LOCK_TENANT, tenant_id=tenant_id)
            key = await _key(tx, tenant_id, key_id)
            if key.state == "revoked":
                return key
            if key.scope == "admin" and key.state == "active" and not also_last:
                row = await tx.one(t.OTHER_ADMIN_KEYS, tenant_id=tenant_id, key_id=key_id)
                if row is None or row["others"] == 0:
                    raise Conflict("this is the only key that administers its tenant; make another first, or rotate it")
            await tx.write(Write(t.END_KEY, {"tenant_id": tenant_id, "key_id": key_id, "revoked_at": await tx.now()}))
            return await _key(tx, tenant_id, key_id)

        key = await self._database.transact(body)
        await self._access.forgotten()
        return key

    async def rotate(
        self,
        principal: Principal,
        tenant_id: str,
        key_id: str,
        grace_seconds: int,
        once: Idempotency | None,
        render: Render,
    ) -> Made | Repeated:
        """A key that can all that the old one can, as `create`; the old one works on for `grace_seconds`. Without
        grace no request that begins from now on can use it. Raises NotFound, IdempotencyMismatch, IdempotencyInFlight,
        and Conflict for a key that was replaced or revoked already.
        """
        raw, new_key_id = new_api_key(), new_id("key_")

        async def body(tx: Tx) -> Made:
            await tx.one(LOCK_TENANT, tenant_id=tenant_id)
            old = await _key(tx, tenant_id, key_id)
            made = await tx.one(t.KEY_BY_ID, key_id=new_key_id, tenant_id=tenant_id)
            if made is not None:  # by an earlier run, whose commit was not acknowledged
                return Made(key_of(made, tx), raw, old)
            if old.revoked_at is not None:
                raise Conflict("this key was replaced or revoked already; rotate the key that took its place")
            now = await tx.now()
            end = {"tenant_id": tenant_id, "key_id": key_id, "revoked_at": now + grace_seconds * SECOND}
            await tx.write(Write(t.END_KEY, end))
            new = Key(new_key_id, tenant_id, old.name, old.scope, old.sources, old.callback_signature, created_at=now)
            speaks = Principal(new_key_id, tenant_id, old.scope, bound_to(old.sources))
            await tx.write(new_key_write(self._ring, raw, speaks, old.name, old.callback_signature, now))
            return Made(new, raw, await _key(tx, tenant_id, key_id))

        answer = await transact_once(self._database, self._ring, principal.tenant_id, once, body, render)
        if grace_seconds == 0:  # also for a repetition: the first one may still be at it
            await self._access.forgotten()
        return answer


async def the_tenant(tx: Tx, tenant_id: str) -> Row:
    """The tenant's row. Raises NotFound; operators are no tenant."""
    row = await tx.one(t.TENANT, tenant_id=tenant_id)
    if row is None or tenant_id == t.OPERATORS:
        raise NotFound("there is no such tenant")
    return row


async def _key(tx: Tx, tenant_id: str, key_id: str) -> Key:
    row = await tx.one(t.KEY_BY_ID, key_id=key_id, tenant_id=tenant_id)
    if row is None:
        raise NotFound("there is no such key")
    return key_of(row, tx)


def key_of(row: Row, tx: Tx) -> Key:
    sources: Sequence[str] | None = maybe_json(row["sources"])
    revoked_at, now = row["revoked_at"], tx.clock(row["now"])
    state: State = "active" if revoked_at is None else "ending" if revoked_at > now else "revoked"
    return Key(
        key_id=row["key_id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        scope=row["scope"],
        sources=None if sources is None else tuple(sources),
        callback_signature=row["callback_signature"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        revoked_at=revoked_at,
        state=state,
    )
