"""What is dear to make is made once for all tests of a worker: the rows of a database, to be laid down in another."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing

import asyncpg

from tests.support import dump

Rows = Mapping[str, Sequence[tuple[object, ...]]]


async def taken(database_url: str) -> Rows:
    """The rows of every table that has any, the schema's revision aside."""
    found = await dump.tables(database_url)
    return {name: rows for name, rows in found.items() if rows and name != "alembic_version"}


async def lay_down(database_url: str, rows: Rows) -> None:
    """Let these tables hold these rows and no others. Foreign keys and checks are out of the way; the schema is the
    one that the rows were taken from.
    """
    if database_url.startswith("sqlite:///"):
        path = database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints=ON")
            connection.execute("BEGIN IMMEDIATE")
            for table, records in rows.items():
                connection.execute(f"DELETE FROM {table}")
                if records:
                    places = ", ".join("?" * len(records[0]))
                    connection.executemany(f"INSERT INTO {table} VALUES ({places})", records)
            connection.execute("COMMIT")
        return
    session = await asyncpg.connect(database_url)
    try:
        await session.execute("SET session_replication_role = replica")  # foreign keys are triggers
        async with session.transaction():
            await session.execute("; ".join(f"DELETE FROM {table}" for table in rows))
            for table, records in rows.items():
                await session.copy_records_to_table(table, records=records)
    finally:
        await session.close()
