"""What only one process may do at a time (the Telegram poller): a row with a holder and an end, renewed while it is
done.
"""

from __future__ import annotations

from core.ledger import Database, Tx, Write
from core.ledger import lease_queries as q
from core.tokens import new_id


class Lease:
    """One name, one holder. A holder that dies is replaced when its time is up."""

    def __init__(self, database: Database, name: str, *, ttl_ms: int = 10_000) -> None:
        self._database = database
        self._name = name
        self._ttl_ms = ttl_ms
        self._holder = new_id()

    async def take(self) -> bool:
        """Take or renew it; False while somebody else holds it."""

        async def body(tx: Tx) -> bool:
            now = await tx.now()
            params = {"name": self._name, "holder": self._holder, "until": now + self._ttl_ms, "now": now}
            return (await tx.write(Write(q.TAKE_LEASE, params, rows=None))) == [1]

        return await self._database.transact(body)

    async def state(self) -> str | None:
        """What the last holder wrote down for the next."""

        async def body(tx: Tx) -> str | None:
            row = await tx.one(q.LEASE, name=self._name)
            return None if row is None else row["state"]

        return await self._database.read(body)

    async def save(self, state: str) -> None:
        """Write something down for the next holder; without effect when the lease was lost."""

        async def body(tx: Tx) -> None:
            params = {"name": self._name, "holder": self._holder, "state": state}
            await tx.write(Write(q.SAVE_LEASE_STATE, params, rows=None))

        await self._database.transact(body)

    async def drop(self) -> None:
        """Let the next one start at once."""

        async def body(tx: Tx) -> None:
            await tx.write(Write(q.DROP_LEASE, {"name": self._name, "holder": self._holder}, rows=None))

        await self._database.transact(body)
