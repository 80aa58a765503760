"""What a test's database holds: how many rows each table has, and all of it as text."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import asyncpg

COUNTERS = frozenset({"polls"})  # counts requests; nothing that anybody decided


async def row_counts(database_url: str) -> dict[str, int]:
    """Rows per table, of every table that records something."""
    return {name: len(rows) for name, rows in (await tables(database_url)).items() if name not in COUNTERS}


async def everything(database_url: str) -> str:
    """All rows of all tables as text."""
    found = await tables(database_url)
    return "\n".join(f"{name}: {row}" for name, rows in found.items() for row in rows)


async def tables(database_url: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            return {name: list(connection.execute(f"SELECT * FROM {name}")) for name in names}
    connection = await asyncpg.connect(database_url)
    try:
        found = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = [row[0] for row in found]
        return {name: [tuple(row) for row in await connection.fetch(f"SELECT * FROM {name}")] for name in names}
    finally:
        await connection.close()
