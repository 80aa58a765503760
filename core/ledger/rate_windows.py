"""A storage for `limits` in the ledger's database: what replicas on PostgreSQL share without another server.

Imported only by who counts there: the library costs a serving process 60 ms and 3 MB.
"""

from __future__ import annotations

import time

from limits.aio.storage import Storage

from core.errors import Unavailable
from core.ledger.engine import Database, Row, Tx
from core.ledger.rate_queries import CLEAR_RATE_WINDOW, CLEAR_RATE_WINDOWS, HIT_RATE_WINDOW, RATE_WINDOW
from core.ledger.statements import Write
from core.limits import Hit


class RateWindows(Storage):
    """Counts in the table `rate_windows`, on the database's clock; one statement per hit, without a transaction of its
    own. Raises Unavailable. A hit whose answer is lost may be counted twice.
    """

    STORAGE_SCHEME = None  # it is built, not found by an address

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database

    @property
    def base_exceptions(self) -> type[Exception]:
        return Unavailable

    async def hit(self, key: str, seconds: int, amount: int, /) -> Hit:
        async def body(tx: Tx) -> Row | None:
            return await tx.one(HIT_RATE_WINDOW, key=key, amount=amount, length=seconds * 1000)

        row = await self._database.read(body)  # the statement is its own transaction
        assert row is not None
        return Hit(int(row["count"]), int(row["left_ms"]) / 1000)

    async def close(self) -> None:
        """The database is not ours to close."""

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return (await self.hit(key, expiry, amount)).counted

    async def get(self, key: str) -> int:
        return (await self._window(key)).counted

    async def get_expiry(self, key: str) -> float:
        """When the window ends, on this process's clock (seconds since 1970)."""
        return time.time() + (await self._window(key)).left

    async def check(self) -> bool:
        try:
            await self._window("")
        except Unavailable:
            return False
        return True

    async def reset(self) -> None:
        await self._write(Write(CLEAR_RATE_WINDOWS, rows=None))

    async def clear(self, key: str) -> None:
        await self._write(Write(CLEAR_RATE_WINDOW, {"key": key}, rows=None))

    async def _window(self, key: str) -> Hit:
        async def body(tx: Tx) -> Row | None:
            return await tx.one(RATE_WINDOW, key=key)

        row = await self._database.read(body)
        return Hit(0, 0.0) if row is None else Hit(int(row["count"]), int(row["left_ms"]) / 1000)

    async def _write(self, write: Write) -> None:
        async def body(tx: Tx) -> None:
            await tx.write(write)

        await self._database.transact(body)
