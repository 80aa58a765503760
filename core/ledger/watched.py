"""A database that tells of its transactions: how long each took, how often its body ran, and, once it is committed, how
the cases stand that it moved.
"""

from __future__ import annotations

import time
from typing import Literal, TypeVar, cast

from core.errors import Unavailable
from core.hub import Hub
from core.ledger.engine import Body, Database, Polled, Tx
from core.meters import Meters
from core.model import Case

T = TypeVar("T")


class WatchedDatabase:
    def __init__(self, database: Database, meters: Meters) -> None:
        self._database = database
        self._meters = meters

    @property
    def dialect(self) -> str:
        return self._database.dialect

    async def transact(self, body: Body[T], /) -> T:
        told: list[Case] = []
        runs = 0

        async def watched(tx: Tx) -> T:
            nonlocal runs
            runs += 1
            told.clear()  # by a run that was not committed
            return await body(cast(Tx, _TellingTx(tx, told)))

        began = time.perf_counter()
        try:
            answer = await self._database.transact(watched)
        except Exception as error:
            self._ended("write", error, began, runs)
            raise
        self._ended("write", None, began, runs)
        for case in told:
            self._meters.moved(case)
        return answer

    async def read(self, body: Body[T], /) -> T:
        began = time.perf_counter()
        try:
            answer = await self._database.read(body)
        except Exception as error:
            self._ended("read", error, began, 1)
            raise
        self._ended("read", None, began, 1)
        return answer

    async def poll(self, tenant_id: str, case_id: str, /) -> Polled | None:
        return await self._database.poll(tenant_id, case_id)

    async def start(self, hub: Hub, /) -> None:
        await self._database.start(hub)

    async def close(self) -> None:
        await self._database.close()

    def _ended(self, kind: Literal["read", "write"], error: Exception | None, began: float, runs: int) -> None:
        outcome = "committed" if error is None else "unavailable" if isinstance(error, Unavailable) else "refused"
        self._meters.transacted(kind, outcome, time.perf_counter() - began, runs)


class _TellingTx:
    """A transaction that hears what it is told; all else is the engine's own, without another call in between."""

    __slots__ = ("all", "clock", "now", "one", "tell", "write")

    def __init__(self, tx: Tx, told: list[Case]) -> None:
        self.one, self.all, self.write = tx.one, tx.all, tx.write
        self.now, self.clock = tx.now, tx.clock
        self.tell = told.append
