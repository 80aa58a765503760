"""Which engine a database URL means."""

from __future__ import annotations

from collections.abc import Callable

from core.ledger.engine import Database
from core.ledger.postgres import PostgresDatabase
from core.ledger.sqlite import SqliteDatabase


def open_database(url: str, *, clock_offset: Callable[[], int] = lambda: 0, pool_size: int = 10) -> Database:
    """The engine for a URL: `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…`.

    `clock_offset` (milliseconds) moves the database's clock; tests of deadlines use it.
    """
    if url.startswith("sqlite:///"):
        return SqliteDatabase(url.removeprefix("sqlite:///"), clock_offset)
    return PostgresDatabase(url, clock_offset, pool_size)
