"""The schema that migrations make is the declared one, on both databases, down to the last CHECK."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from core.errors import Unavailable
from core.ledger import REVISION, migrate
from core.ledger.chat_tables import metadata
from core.ledger.migrate import alembic_config, revision
from tests.support.postgres import Server, create_database, drop_database

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Server = request.getfixturevalue("postgres_server")
    url = create_database(server.admin_url)
    yield url
    drop_database(server.admin_url, url)


@pytest.fixture
def migrated_url(empty_url: str, request: pytest.FixtureRequest) -> str:
    """A migrated database of the same kind as `empty_url`."""
    url: str = request.getfixturevalue("sqlite_url" if empty_url.startswith("sqlite:") else "postgres_url")
    return url


def on(url: str, work: Callable[[Connection], Any]) -> Any:
    """What `work` finds on a connection to the database; it is committed."""

    async def run() -> Any:
        engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
        async with engine.begin() as connection:
            return await connection.run_sync(work)

    if url.startswith("postgresql:"):
        return asyncio.run(run())
    with create_engine(url, poolclass=NullPool).begin() as connection:
        return work(connection)


def fetch(url: str, question: str) -> list[tuple[Any, ...]]:
    """Rows of a question to the catalog, as plain tuples."""

    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(question)]
        finally:
            await connection.close()

    if url.startswith("postgresql:"):
        return asyncio.run(ask())
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute(question).fetchall()


ON_POSTGRES = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
        WHERE table_schema = 'public' ORDER BY 1, 2
    """,
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
    "other things": """
        SELECT relname, relkind::text FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('r', 'i') ORDER BY 1
    """,
}


def schema(url: str) -> dict[str, list[Any]]:
    """All that a database knows of its tables but Alembic's own, in comparable words."""
    if url.startswith("postgresql:"):
        found: dict[str, list[Any]] = {what: fetch(url, question) for what, question in ON_POSTGRES.items()}
        return {what: [row for row in rows if row[0] != "alembic_version"] for what, rows in found.items()}
    things = fetch(url, "SELECT tbl_name, type, name, sql FROM sqlite_master WHERE tbl_name != 'alembic_version'")
    return {
        "indexes": sorted((table, name, words(sql)) for table, kind, name, sql in things if kind == "index" and sql),
        "tables": sorted((table, parts(sql)) for table, kind, _, sql in things if kind == "table"),
        "other things": [thing for thing in things if thing[1] not in ("index", "table")],
    }


def words(sql: str) -> str:
    return " ".join(sql.replace('"', "").split())


def parts(sql: str) -> list[str]:
    """The columns and constraints of a CREATE TABLE, in an order of their own."""
    inner = words(sql).partition("(")[2].rpartition(")")[0].strip()
    found, depth, start = [], 0, 0
    for at, char in enumerate(inner):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            found.append(inner[start:at].strip())
            start = at + 1
    return sorted([*found, inner[start:].strip()])


# --- the migrated schema ---


def test_alembic_finds_no_difference(database_url: str) -> None:
    assert [] == on(
        database_url,
        lambda connection: compare_metadata(MigrationContext.configure(connection), metadata),
    )


def test_neither_do_the_databases_own_catalogs(migrated_url: str, empty_url: str) -> None:
    on(empty_url, metadata.create_all)
    declared, migrated = schema(empty_url), schema(migrated_url)
    assert set(declared) == set(migrated)
    for what in declared:
        assert declared[what] == migrated[what], what


def test_the_catalogs_show_what_alembic_does_not_compare(database_url: str) -> None:
    """A comparison that sees no checks and no predicates of indexes would prove nothing."""
    seen = schema(database_url)
    declared = {str(each.name) for table in metadata.tables.values() for each in table.constraints}
    assert {name for name in declared if name.startswith("ck_")} <= set(re.findall(r"ck_\w+", str(seen)))
    assert {"ck_cases_closed", "ck_human_interactions_origin"} <= declared
    assert 5 <= len([index for index in seen["indexes"] if " WHERE " in index[2]])


def test_counts_of_a_minute_are_not_logged_on_postgresql_and_everything_else_is(postgres_url: str) -> None:
    rows = fetch(
        postgres_url,
        "SELECT relname, relpersistence::text FROM pg_class "
        "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    )
    assert {"polls", "rate_windows"} == {name for name, persistence in rows if persistence == "u"}
    assert {name for name, persistence in rows if persistence == "p"} == set(metadata.tables) - {
        "polls",
        "rate_windows",
    } | {"alembic_version"}


def test_sqlite_keeps_its_log_beside_the_file(sqlite_url: str) -> None:
    assert [("wal",)] == fetch(sqlite_url, "PRAGMA journal_mode")


def test_a_new_file_is_its_owners_alone_and_one_that_is_there_stays_as_it_was(tmp_path: Path) -> None:
    made, shared = tmp_path / "made.db", tmp_path / "shared.db"
    shared.touch()
    shared.chmod(0o660)
    for file in (made, shared):
        migrate(f"sqlite:///{file}")
    assert [0o600, 0o660] == [file.stat().st_mode & 0o777 for file in (made, shared)]


# --- the way there and back ---


def test_migrating_twice_is_migrating_once(empty_url: str) -> None:
    migrate(empty_url)
    first = schema(empty_url)
    migrate(empty_url)
    command.upgrade(alembic_config(empty_url), "head")
    assert first == schema(empty_url)
    assert [(REVISION,)] == fetch(empty_url, "SELECT version_num FROM alembic_version")


def test_replicas_that_start_together_take_turns(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as replicas:
        assert [0] * 4 == list(replicas.map(_migrate_in_a_process, [empty_url] * 4))
    assert REVISION == revision(empty_url)
    assert {"cases", "human_interactions"} <= {row[0] for row in _tables(empty_url)}


def _migrate_in_a_process(url: str, before: str = "pass") -> int:
    code = f"import os, sys; from alembic import op; from core.ledger import migrate; {before}; migrate(sys.argv[1])"
    command_line = [sys.executable, "-c", code, url]
    return subprocess.run(command_line, timeout=60, cwd=ROOT, stderr=subprocess.DEVNULL).returncode


def test_a_migration_that_is_killed_half_way_leaves_nothing_behind(empty_url: str) -> None:
    assert 9 == _migrate_in_a_process(empty_url, "op.create_index = lambda *_, **__: os._exit(9)")
    assert [] == _tables(empty_url)
    migrate(empty_url)
    assert REVISION == revision(empty_url)


def _tables(url: str) -> list[tuple[Any, ...]]:
    if url.startswith("postgresql:"):
        return fetch(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return fetch(url, "SELECT name FROM sqlite_master WHERE type = 'table'")


def test_there_is_a_way_back_and_it_leads_forth_again(empty_url: str) -> None:
    migrate(empty_url)
    first = schema(empty_url)
    command.downgrade(alembic_config(empty_url), "base")
    assert {"alembic_version"} == {row[0] for row in _tables(empty_url)}
    migrate(empty_url)
    assert first == schema(empty_url)


def test_to_learn_to_erase_rewrites_no_table(postgres_server: Server) -> None:
    url = create_database(postgres_server.admin_url)
    tables = "SELECT relname, relfilenode FROM pg_class WHERE relname IN ('cases', 'runs', 'flow_runs') ORDER BY 1"
    try:
        command.upgrade(alembic_config(url), "0007")
        before = fetch(url, tables)
        command.upgrade(alembic_config(url), "0008")
        assert before == fetch(url, tables)
    finally:
        drop_database(postgres_server.admin_url, url)


def test_the_code_wants_the_newest_revision() -> None:
    scripts = ScriptDirectory.from_config(alembic_config("sqlite://"))
    assert [REVISION] == scripts.get_heads()
    assert all(script.module.downgrade is not None for script in scripts.walk_revisions())


def test_an_empty_database_has_no_revision(empty_url: str) -> None:
    assert revision(empty_url) is None


def test_a_database_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'nowhere' / 'assent.db'}", "postgresql://nobody@127.0.0.1:1/none"):
        with pytest.raises(Unavailable):
            migrate(url)
