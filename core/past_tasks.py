"""Tasks of the past, page by page, for trying policies on them. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from core.guard.rules import Operation, Verdict
from core.ledger import Database, Row, Tx
from core.ledger import policy_queries as q

PAGE = 500


@dataclass(frozen=True, slots=True)
class PastTask:
    """What was asked at `created_at` (ms UTC), and what policy said then."""

    task_id: str
    operation: Operation
    created_at: int
    verdict: Verdict


class PastTasks:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def now(self) -> int:
        """The database's clock, ms UTC."""

        async def body(tx: Tx) -> int:
            row = await tx.one(q.MOMENT)
            assert row is not None
            return int(row["now"])

        return await self._database.read(body)

    async def count(self, tenants: Sequence[str], since: int) -> int:
        async def body(tx: Tx) -> int:
            found = 0
            for tenant_id in tenants:
                row = await tx.one(q.COUNT_PAST_TASKS, tenant_id=tenant_id, since=since)
                assert row is not None
                found += int(row["total"])
            return found

        return await self._database.read(body)

    async def pages(self, tenants: Sequence[str], since: int) -> AsyncIterator[list[PastTask]]:
        """The tasks of these tenants since then, tenant by tenant, the oldest first; at most PAGE at once."""
        for tenant_id in tenants:
            after = (since, "")
            while found := await self._page(tenant_id, after):
                yield found
                after = (found[-1].created_at, found[-1].task_id)

    async def _page(self, tenant_id: str, after: tuple[int, str]) -> list[PastTask]:
        async def body(tx: Tx) -> list[Row]:
            rows = await tx.all(q.PAST_TASKS, tenant_id=tenant_id, after=after[0], after_id=after[1], limit=PAGE)
            return list(rows)

        return [_past(row) for row in await self._database.read(body)]


def _past(row: Row) -> PastTask:
    operation = Operation(
        row["tenant_id"], row["operation"], json.loads(row["payload"]), row["requested_by"], row["source_id"]
    )
    return PastTask(row["case_id"], operation, row["created_at"], row["verdict"])
