"""A claim takes no more than it asks for, however PostgreSQL plans it."""

from __future__ import annotations

import time

import asyncpg
import pytest

from core.ledger import card_queries as q
from core.ledger import flood_queries as fq
from core.ledger import reminder_queries as rq
from core.ledger.statements import Statement, for_postgres
from tests.support.gates import as_superuser, slack, world

LATER = int(time.time() * 1000) + 3_600_000
# What makes a planner that knows little of a table look for the list anew for each of its rows.
ROW_BY_ROW = [f"enable_{one}" for one in ("hashjoin", "mergejoin", "hashagg", "material", "memoize", "sort")]
HERE = {"platform": "slack", "now": LATER, "lease_until": LATER, "limit": 3}


@pytest.mark.parametrize(
    ("statement", "more"),
    [(q.CLAIM_CARDS, {}), (fq.NEXT_QUEUED, {"chat": "C1", "late": 1}), (rq.CLAIM_NOTICES, {})],
    ids=lambda one: one.name if isinstance(one, Statement) else "",
)
async def test_a_claim_never_takes_more_than_its_limit(
    postgres_url: str, statement: Statement, more: dict[str, object]
) -> None:
    async with world(postgres_url) as here:
        for _ in range(30):
            await here.open(notify=(slack(),))
        if statement is fq.NEXT_QUEUED:
            await as_superuser(postgres_url, "UPDATE cards SET queue = 'C1'")
        if statement is rq.CLAIM_NOTICES:
            await as_superuser(
                postgres_url,
                "INSERT INTO notices (notice_id, card_id, case_id, tenant_id, platform, kind, key, data, state,"
                " attempts, due_at, lease) SELECT card_id, card_id, case_id, tenant_id, platform, 'reminder', 'x',"
                " '{}', 'waiting', 0, 0, 0 FROM cards",
            )
    connection = await asyncpg.connect(postgres_url)
    try:
        for setting in ROW_BY_ROW:
            await connection.execute(f"SET {setting} = off")
        rendered = for_postgres(statement)
        found = await connection.fetch(rendered.sql, *rendered.args(HERE | more))
    finally:
        await connection.close()
    assert len(found) == 3
