"""Bringing a database to the schema of this code. Alembic is only loaded when there is something to migrate."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from core.errors import Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
REVISION = "0009"  # the newest file in migrations/versions; a test says so


def migrate(url: str) -> None:
    """Run every migration that is missing. Replicas that start together take turns. Not from within an event loop.

    Raises Unavailable when the database cannot be reached.
    """
    if url.startswith("sqlite:///"):
        _make_private(url.removeprefix("sqlite:///"))
    if revision(url) != REVISION:
        from alembic import command

        command.upgrade(alembic_config(url), "head")


def _make_private(path: str) -> None:
    """A new file is its owner's alone, and SQLite gives what it puts beside it the same mode. One that is there stays
    as somebody wanted it; why one cannot be made is said when it is opened.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def alembic_config(url: str) -> Config:
    """Alembic's configuration for a database, for commands beside `migrate`."""
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url.replace("postgresql://", "postgresql+asyncpg://", 1)
    return config


def revision(url: str) -> str | None:
    """The revision that a database is at; None for an empty one."""
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        try:
            opened = sqlite3.connect(path)
        except sqlite3.Error as error:
            raise Unavailable(f"the database file {path} cannot be opened: {error}") from error
        with closing(opened) as connection:
            try:
                row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            except sqlite3.OperationalError:  # no such table: nothing was ever migrated
                return None
            except sqlite3.DatabaseError as error:
                raise Unavailable(f"the database file {path} cannot be read: {error}") from error
            return None if row is None else str(row[0])
    return asyncio.run(_postgres_revision(url))


async def _postgres_revision(url: str) -> str | None:
    try:
        connection = await asyncpg.connect(url, timeout=10)
    except (OSError, TimeoutError, ValueError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
        raise Unavailable(f"the database cannot be reached: {error}") from error
    try:
        found = await connection.fetchval("SELECT version_num FROM alembic_version")
        return None if found is None else str(found)
    except asyncpg.UndefinedTableError:
        return None
    finally:
        await connection.close()
