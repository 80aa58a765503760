"""Runs migrations on SQLite (its own driver) and PostgreSQL (asyncpg), one process at a time."""

from __future__ import annotations

import asyncio

from alembic import context
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from core.ledger.chat_tables import metadata

ADVISORY_LOCK = 4_927_318  # replicas that start together migrate one after the other


def run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=False, transactional_ddl=True
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        context.run_migrations()


def run_on_sqlite(url: str) -> None:
    # The driver's own transactions leave DDL outside: a migration that is killed would leave half a schema behind.
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": 30, "isolation_level": None})
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA journal_mode=WAL"))
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    with engine.connect() as connection:
        run(connection)
        connection.commit()


async def run_on_postgres(url: str) -> None:
    engine = create_async_engine(url, poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()


url: str = context.config.attributes["url"]
if url.startswith("sqlite:"):
    run_on_sqlite(url)
else:
    asyncio.run(run_on_postgres(url))
