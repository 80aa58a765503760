"""API keys: whom a request speaks for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from typing import Literal

from core.errors import InvalidInput
from core.ledger import Database, Tx, Write
from core.ledger import queries as q
from core.model import Principal
from core.rows import maybe_json, to_json
from core.sealing import KeyRing
from core.tokens import new_api_key, new_id, token_hash

Scope = Literal["agent", "executor", "reviewer", "admin"]
CallbackSignature = Literal["sha256"]  # the public specification's form
REMEMBER_SECONDS = 1.0  # how long a revoked key may still be remembered by a process that has just seen it


class Keys:
    """Creates API keys and recognises them. A key is stored as its hash, and sealed because callbacks are signed with
    it.
    """

    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys
        self._known: dict[str, tuple[float, Principal]] = {}

    async def create(
        self,
        scope: Scope,
        tenant_id: str | None,
        name: str | None = None,
        *,
        callback_signature: CallbackSignature | None = None,
        sources: Collection[str] | None = None,
    ) -> tuple[str, Principal]:
        """A new key, raw for the only time, and whom it speaks for. Without a tenant: the first one, made when there
        is none. `callback_signature`: the form in which its callbacks are signed; None for the usual one. `sources`:
        what it is bound to. Raises InvalidInput for a source that the tenant does not have.
        """
        if tenant_id is not None:
            tenant_id = _tenant(tenant_id)
        raw, key_id = new_api_key(), new_id("key_")
        bound = None if sources is None else frozenset(sources)

        async def body(tx: Tx) -> Principal:
            made = await tx.one(q.KEY, key_hash=token_hash(raw))
            if made is not None:  # by an earlier run, whose commit was not acknowledged
                return Principal(key_id, made["tenant_id"], scope, bound)
            now = await tx.now()
            first = None if tenant_id else await tx.one(q.FIRST_TENANT)
            tenant = tenant_id or (str(first["tenant_id"]) if first else str(uuid.uuid4()))
            await tx.write(Write(q.INSERT_TENANT, {"tenant_id": tenant, "created_at": now}, rows=None))
            for source_id in bound or ():
                if await tx.one(q.SOURCE, source_id=source_id, tenant_id=tenant) is None:
                    raise InvalidInput(f"source {source_id}: the tenant has no such source", field="source")
            row = {
                "key_id": key_id,
                "tenant_id": tenant,
                "key_hash": token_hash(raw),
                "sealed": self._keys.seal(raw, about=key_id),
                "scope": scope,
                "name": name,
                "created_at": now,
                "revoked_at": None,
                "callback_signature": callback_signature,
                "sources": None if bound is None else to_json(sorted(bound)),
            }
            await tx.write(Write(q.INSERT_KEY, row))
            return Principal(key_id, tenant, scope, bound)

        return raw, await self._database.transact(body)

    async def check_ring(self) -> None:
        """Raise Unsealable when this process holds other secrets than those that the database was set up with."""

        async def body(tx: Tx) -> tuple[str, str] | None:
            row = await tx.one(q.NEWEST_KEY)
            return None if row is None else (row["sealed"], row["key_id"])

        newest = await self._database.read(body)
        if newest is not None:
            self._keys.unseal(newest[0], about=newest[1])

    async def recognise(self, raw: str) -> Principal | None:
        """Whom this key speaks for; None for unknown and revoked ones, which nothing tells apart."""
        hashed = token_hash(raw)
        now = time.monotonic()
        if (known := self._known.get(hashed)) and known[0] > now:
            return known[1]

        async def body(tx: Tx) -> Principal | None:
            row = await tx.one(q.KEY, key_hash=hashed)
            if row is None:
                return None
            bound = maybe_json(row["sources"])
            return Principal(row["key_id"], row["tenant_id"], row["scope"], None if bound is None else frozenset(bound))

        principal = await self._database.read(body)
        if len(self._known) > 1_000:
            self._known.clear()
        if principal is not None:
            self._known[hashed] = (now + REMEMBER_SECONDS, principal)
        else:
            self._known.pop(hashed, None)
        return principal


def _tenant(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidInput("tenant must be a UUID", field="tenant") from None
