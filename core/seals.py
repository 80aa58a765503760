"""The sealer: after the commit it gives ledger rows and decision events their gap-free position per tenant and chains
them.

One at a time per tenant (the chain's row is locked), so decisions never queue behind each other, cursors never skip,
and an edited, deleted, reordered or cut row shows. A seal signs the head of the chain after its last position:
`chain_hash = SHA-256(previous chain_hash ‖ row_hash ‖ row_hash …)`, in hex text, in the order of positions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from core.hub import Hub
from core.ledger import Database, Row, Tx, Write
from core.ledger import seal_queries as q
from core.sealing import KeyRing

BATCH = 500


def chain(previous: str, row_hashes: Iterable[str]) -> str:
    """The head of the chain after these rows."""
    state = hashlib.sha256(previous.encode())
    for row_hash in row_hashes:
        state.update(row_hash.encode())
    return state.hexdigest()


def sealing_order(row: Row) -> tuple[int, int, str]:
    """The order that rows have under one seal. Compared here: databases do not agree on the order of texts."""
    return row["created_at"], row["kind"], row["id"]


def seal_message(tenant_id: str, seal_no: int, last_position: int, chain_hash: str, sealed_at: int) -> bytes:
    """What a seal's signature is over."""
    return f"assent-seal-v1\n{tenant_id}\n{seal_no}\n{last_position}\n{chain_hash}\n{sealed_at}".encode()


class Sealer:
    def __init__(self, database: Database, hub: Hub, keys: KeyRing) -> None:
        self._database = database
        self._hub = hub
        self._keys = keys

    async def seal(self) -> int:
        """Seal what is unsealed, up to BATCH rows per tenant; how many."""

        async def tenants(tx: Tx) -> list[str]:
            return [row["tenant_id"] for row in await tx.all(q.UNSEALED_TENANTS)]

        placed = 0
        for tenant_id in await self._database.read(tenants):
            rows = await self._seal_tenant(tenant_id)
            placed += len(rows)
            self._hub.wake(*{f"events:{row['source_id']}" for row in rows if row["source_id"] is not None})
        return placed

    async def _seal_tenant(self, tenant_id: str) -> list[Row]:
        async def body(tx: Tx) -> list[Row]:
            head = await tx.one(q.LOCK_CHAIN, tenant_id=tenant_id)
            if head is None:
                await tx.write(Write(q.START_CHAIN, {"tenant_id": tenant_id}, rows=None))
                head = await tx.one(q.LOCK_CHAIN, tenant_id=tenant_id)
                assert head is not None
            rows = sorted(await tx.all(q.UNSEALED, tenant_id=tenant_id, limit=BATCH), key=sealing_order)
            if rows:
                await self._place(tx, head, rows)
                await self._advance(tx, tenant_id, head, rows)
            return rows

        return await self._database.transact(body)

    async def _place(self, tx: Tx, head: Row, rows: list[Row]) -> None:
        places = [
            {"kind": row["kind"], "id": row["id"], "position": head["position"] + n} for n, row in enumerate(rows, 1)
        ]
        if self._database.dialect == "postgresql":
            placed = await tx.one(q.PLACE_MANY, places=json.dumps(places))
            assert placed is not None and placed["placed"] == len(rows)
            return
        for place in places:
            statement = q.PLACE_INTERACTION if place["kind"] == 0 else q.PLACE_EVENT
            await tx.write(Write(statement, place))

    async def _advance(self, tx: Tx, tenant_id: str, head: Row, rows: list[Row]) -> None:
        position = head["position"] + len(rows)
        chain_hash = chain(head["chain_hash"], (row["row_hash"] for row in rows))
        seal_no, now = head["seal_no"] + 1, await tx.now()
        key_id, signature = self._keys.sign(seal_message(tenant_id, seal_no, position, chain_hash, now))
        moved = {
            "tenant_id": tenant_id,
            "position": position,
            "seal_no": seal_no,
            "chain_hash": chain_hash,
            "was_seal_no": head["seal_no"],
        }
        seal = {
            "tenant_id": tenant_id,
            "seal_no": seal_no,
            "last_position": position,
            "chain_hash": chain_hash,
            "sealed_at": now,
            "key_id": key_id,
            "signature": signature,
        }
        await tx.write(Write(q.MOVE_CHAIN, moved), Write(q.INSERT_SEAL, seal))
