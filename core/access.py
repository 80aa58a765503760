"""API keys at the door: whom a request speaks for, and how a key that is taken away is forgotten by every process.

A process remembers a key for REMEMBER_SECONDS from before it asked the database. So whoever takes a key away commits
that, wakes all processes to forget, and answers only when none can remember it any more, woken or not.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Collection
from typing import Literal

from core.errors import InvalidInput
from core.hub import EVERYBODY, Hub
from core.ledger import Database, Tx, Write
from core.ledger import source_queries as q
from core.ledger import tenant_queries as t
from core.ledger.tenant_queries import OPERATORS
from core.model import Principal
from core.rows import maybe_json, to_json
from core.schedule import MINUTE
from core.sealing import KeyRing
from core.tokens import new_api_key, new_id, token_hash

Scope = Literal["agent", "executor", "reviewer", "admin", "operator"]
CallbackSignature = Literal["sha256"]  # the public specification's form
REMEMBER_SECONDS = 1.0  # how long a key is remembered by a process that has just seen it
MARGIN_SECONDS = 0.25  # for clocks that do not run alike
MANY = 1_000  # keys remembered at once
WAKES = "keys"  # the wake-up at which processes forget


class Keys:
    """Creates API keys and recognises them. A key is stored as its hash, and sealed because callbacks are signed with
    it. `hub` brings the news of keys that were taken away.
    """

    def __init__(self, database: Database, keys: KeyRing, hub: Hub | None = None) -> None:
        self._database = database
        self._keys = keys
        self._hub = hub or Hub()
        self._woken = self._hub.watch(WAKES, EVERYBODY)
        self._known: dict[str, tuple[float, Principal]] = {}
        self._developer: Principal | None = None
        self._making = asyncio.Lock()
        self._used: dict[str, float] = {}  # key → when, on the monotonic clock: what is still to be written down

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
        is none; an operator's key belongs to no tenant. `callback_signature`: the form in which its callbacks are
        signed; None for the usual one. `sources`: what it is bound to. Raises InvalidInput for a source that the
        tenant does not have.
        """
        if scope == "operator":
            tenant_id = OPERATORS
        elif tenant_id is not None:
            tenant_id = _tenant(tenant_id)
        raw, key_id = new_api_key(), new_id("key_")

        async def body(tx: Tx) -> Principal:
            made = await tx.one(t.TENANT_OF_KEY, key_id=key_id)
            if made is not None:  # by an earlier run, whose commit was not acknowledged
                return Principal(key_id, made["tenant_id"], scope, bound_to(sources))
            now = await tx.now()
            first = None if tenant_id else await tx.one(t.FIRST_TENANT)
            tenant = tenant_id or (str(first["tenant_id"]) if first else str(uuid.uuid4()))
            await tx.write(Write(t.ENSURE_TENANT, {"tenant_id": tenant, "created_at": now}, rows=None))
            principal = Principal(key_id, tenant, scope, bound_to(sources))
            await check_sources(tx, principal)
            await tx.write(new_key_write(self._keys, raw, principal, name, callback_signature, now))
            return principal

        return raw, await self._database.transact(body)

    async def check_ring(self) -> None:
        """Raise Unsealable when this process holds other secrets than those that the database was set up with."""

        async def body(tx: Tx) -> tuple[str, str] | None:
            row = await tx.one(t.NEWEST_KEY)
            return None if row is None else (row["sealed"], row["key_id"])

        newest = await self._database.read(body)
        if newest is not None:
            self._keys.unseal(newest[0], about=newest[1])

    async def recognise(self, raw: str) -> Principal | None:
        """Whom this key speaks for; None for unknown, revoked and suspended ones, which nothing tells apart."""
        hashed = token_hash(raw)
        if self._woken.taken():
            self._known = {}
        now, known = time.monotonic(), self._known
        if (found := known.get(hashed)) and found[0] > now:
            self._used[found[1].key_id] = now
            return found[1]

        async def body(tx: Tx) -> tuple[Principal, float] | None:
            row = await tx.one(t.KEY, key_hash=hashed)
            if row is None:
                return None
            left = _left(row["revoked_at"], tx.clock(row["now"]))
            bound = bound_to(maybe_json(row["sources"]))
            return (Principal(row["key_id"], row["tenant_id"], row["scope"], bound), left) if left > 0 else None

        recognised = await self._database.read(body)
        if len(known) > MANY:
            known.clear()
        if recognised is None:
            known.pop(hashed, None)
            return None
        principal, left = recognised
        # Whoever was woken meanwhile looks at another dictionary: what was read before is not remembered after.
        known[hashed] = (now + min(left, REMEMBER_SECONDS), principal)
        self._used[principal.key_id] = now
        return principal

    async def developer(self) -> Principal:
        """Whoever develops on this machine, by a key that nobody holds; made when it is first needed."""
        async with self._making:
            if self._developer is None:
                _, self._developer = await self.create("admin", None, "DEV_NO_AUTH")
            return self._developer

    async def known(self, key_ids: Collection[str]) -> set[str]:
        """Which of these keys are still known: for requests that stay open longer than keys are remembered."""

        async def body(tx: Tx) -> set[str]:
            rows = await tx.all(t.KNOWN_KEYS, key_ids=to_json(list(key_ids)))
            return {row["key_id"] for row in rows if _left(row["revoked_at"], tx.clock(row["now"])) > 0}

        return await self._database.read(body)

    async def forgotten(self) -> None:
        """After the commit that takes keys away: returns when no process lets them in any more."""
        self._hub.wake(WAKES)
        await asyncio.sleep(REMEMBER_SECONDS + MARGIN_SECONDS)

    async def save_uses(self) -> int:
        """Write down when keys were used since the last time, to the minute; of how many."""
        used, self._used = self._used, {}
        if not used:
            return 0
        read_at = time.monotonic()

        async def body(tx: Tx) -> None:
            now = await tx.now()
            moments = {key_id: now - int((read_at - when) * 1000) for key_id, when in used.items()}
            minutes = {key_id: moment - moment % MINUTE for key_id, moment in moments.items()}
            await tx.write(Write(t.KEYS_USED, {"used": to_json(minutes)}, rows=None))

        try:
            await self._database.transact(body)
        except BaseException:
            self._used = used | self._used
            raise
        return len(used)


def new_key_write(
    ring: KeyRing, raw: str, principal: Principal, name: str | None, callback_signature: str | None, now: int
) -> Write:
    """The row of a new key that speaks for this principal."""
    row = {
        "key_id": principal.key_id,
        "tenant_id": principal.tenant_id,
        "key_hash": token_hash(raw),
        "sealed": ring.seal(raw, about=principal.key_id),
        "scope": principal.scope,
        "name": name,
        "created_at": now,
        "revoked_at": None,
        "callback_signature": callback_signature,
        "sources": None if principal.sources is None else to_json(sorted(principal.sources)),
    }
    return Write(t.INSERT_KEY, row)


async def check_sources(tx: Tx, principal: Principal) -> None:
    """Raise InvalidInput when a key shall be bound to what its tenant does not have."""
    for source_id in sorted(principal.sources or ()):
        if await tx.one(q.SOURCE, source_id=source_id, tenant_id=principal.tenant_id) is None:
            raise InvalidInput(f"source {source_id}: the tenant has no such source", field="source")


def bound_to(sources: Collection[str] | None) -> frozenset[str] | None:
    return None if sources is None else frozenset(sources)


def _left(revoked_at: int | None, now: int) -> float:
    """For how many seconds a key is still known."""
    return REMEMBER_SECONDS if revoked_at is None else (revoked_at - now) / 1000


def _tenant(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise InvalidInput("tenant must be a UUID", field="tenant") from None
