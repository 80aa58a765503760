"""A database that one test leaves to the next is as good as a new one, or it is thrown away."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest

from core.ledger import migrate
from tests.support.gates import world
from tests.support.postgres import Run, Server
from tests.support.postgres_recycling import Recycler


@pytest.fixture
def recycler(pytestconfig: pytest.Config, postgres_server: Server) -> Iterator[Recycler]:
    from tests.conftest import _RUN

    run: Run = pytestconfig.stash[_RUN]
    found = Recycler(postgres_server, run.template(migrate))
    yield found
    found.drop()


async def test_what_a_test_wrote_is_gone_for_the_next(recycler: Recycler) -> None:
    url = recycler.take()
    async with world(url) as here:
        await here.answer(await here.open())
    recycler.give_back()
    assert url == recycler.take()
    async with world(url) as here:
        assert [1, 1, 0, 0] == [
            len(await here.rows(table)) for table in ("tenants", "sources", "cases", "human_interactions")
        ]


async def test_who_still_uses_it_is_cut_off(recycler: Recycler) -> None:
    left_open = await asyncpg.connect(recycler.take())
    recycler.give_back()
    with pytest.raises(asyncpg.PostgresError):
        await left_open.execute("SELECT 1")
    left_open.terminate()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE human_interactions DROP CONSTRAINT fk_human_interactions_case_id",
        "ALTER TABLE cases ADD COLUMN more TEXT",
        "DROP INDEX ix_cases_waiting",
        "ALTER TABLE cases DISABLE TRIGGER ALL; CREATE FUNCTION odd() RETURNS INT LANGUAGE SQL AS 'SELECT 1'",
        "UPDATE alembic_version SET version_num = '0000'",
        "DROP TABLE alembic_version",
    ],
)
async def test_a_changed_schema_is_not_handed_on(recycler: Recycler, change: str) -> None:
    url = recycler.take()
    connection = await asyncpg.connect(url)
    await connection.execute(change)
    await connection.close()
    recycler.give_back()
    assert url != recycler.take()
