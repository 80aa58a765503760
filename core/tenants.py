"""Tenants: made, named, suspended and resumed by operators; where its tasks go is also the tenant's own to say."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.access import Keys
from core.errors import InvalidInput
from core.kept import transact_once
from core.keys import the_tenant
from core.ledger import Database, Row, Tx, Write
from core.ledger import source_queries as q
from core.ledger import tenant_queries as t
from core.ledger.source_queries import LOCK_TENANT
from core.model import Idempotency, Principal, Repeated
from core.sealing import KeyRing

OLDEST = (-1, "")  # before every tenant


@dataclass(frozen=True, slots=True)
class Tenant:
    """`suspended_at`: since then none of its keys is known. `default_source_id`: where tasks go that name no source."""

    tenant_id: str
    name: str | None
    created_at: int
    suspended_at: int | None = None
    default_source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody wants of a tenant. `default_source_id`: None leaves it as it is, "" takes it away."""

    name: str | None = None
    suspended: bool | None = None
    default_source_id: str | None = None


class Tenants:
    """`access` is what recognises their keys: suspending ends when it knows them no more, here and elsewhere."""

    def __init__(self, database: Database, ring: KeyRing, access: Keys) -> None:
        self._database = database
        self._ring = ring
        self._access = access

    async def create(
        self, principal: Principal, name: str, once: Idempotency | None, render: Callable[[Tenant], str]
    ) -> Tenant | Repeated:
        """A new tenant, or the first answer (`render`) to the same request. Raises IdempotencyMismatch,
        IdempotencyInFlight.
        """
        tenant_id = str(uuid.uuid4())

        async def body(tx: Tx) -> Tenant:
            made = await tx.one(t.TENANT, tenant_id=tenant_id)
            if made is not None:  # by an earlier run, whose commit was not acknowledged
                return tenant_of(made)
            tenant = Tenant(tenant_id, name, created_at=await tx.now())
            row = {"tenant_id": tenant_id, "created_at": tenant.created_at, "name": name}
            await tx.write(Write(t.INSERT_TENANT, row))
            return tenant

        return await transact_once(self._database, self._ring, principal.tenant_id, once, body, render)

    async def list(self, after: tuple[int, str], limit: int) -> list[Tenant]:
        """Tenants, oldest first, those made after the place `after`."""
        made, tenant_id = after

        async def body(tx: Tx) -> list[Tenant]:
            rows = await tx.all(t.TENANT_PAGE, made=made, after_id=tenant_id, limit=limit)
            return [tenant_of(row) for row in rows]

        return await self._database.read(body)

    async def get(self, tenant_id: str) -> Tenant:
        """Raises NotFound."""

        async def body(tx: Tx) -> Tenant:
            return tenant_of(await the_tenant(tx, tenant_id))

        return await self._database.read(body)

    async def change(self, tenant_id: str, wanted: Change) -> Tenant:
        """The tenant with what is wanted. Once it is suspended no request that begins from now on can use its keys, on
        any replica. Raises NotFound, and InvalidInput for a source that the tenant does not have.
        """

        async def body(tx: Tx) -> Tenant:
            await tx.one(LOCK_TENANT, tenant_id=tenant_id)
            was, now = tenant_of(await the_tenant(tx, tenant_id)), await tx.now()
            await _check_source(tx, tenant_id, wanted.default_source_id)
            tenant = _changed(was, wanted, now)
            if tenant != was:
                columns = {
                    "name": tenant.name,
                    "suspended_at": tenant.suspended_at,
                    "default_source_id": tenant.default_source_id,
                }
                await tx.write(Write(t.CHANGE_TENANT, {"tenant_id": tenant_id, **columns}))
            return tenant

        tenant = await self._database.transact(body)
        if wanted.suspended:  # also when it was suspended already: that may have been a moment ago
            await self._access.forgotten()
        return tenant


async def _check_source(tx: Tx, tenant_id: str, source_id: str | None) -> None:
    if source_id and await tx.one(q.SOURCE, source_id=source_id, tenant_id=tenant_id) is None:
        raise InvalidInput("default_source_id: there is no such source", field="default_source_id")


def _changed(was: Tenant, wanted: Change, now: int) -> Tenant:
    tenant = was if wanted.name is None else replace(was, name=wanted.name)
    if wanted.default_source_id is not None:
        tenant = replace(tenant, default_source_id=wanted.default_source_id or None)
    if wanted.suspended is not None:
        tenant = replace(tenant, suspended_at=(was.suspended_at or now) if wanted.suspended else None)
    return tenant


def tenant_of(row: Row) -> Tenant:
    return Tenant(
        tenant_id=row["tenant_id"],
        name=row["name"],
        created_at=row["created_at"],
        suspended_at=row["suspended_at"],
        default_source_id=row["default_source_id"],
    )
