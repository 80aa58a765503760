"""The tests' own PostgreSQL: one server per run, a database per test, nothing left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest

from tests.support import postgres_programs
from tests.support.postgres import Run, Server, create_database, drop_database, start

BEGIN_AND_BE_KILLED = """
import os, signal
from tests.support.postgres import Run
run = Run.begin()
run.server()
print(run.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def template(postgres_server: Server) -> Iterator[str]:
    """The name of a database with one table, `notes`."""
    url = create_database(postgres_server.admin_url)
    asyncio.run(_execute(url, "CREATE TABLE notes (words text)"))
    yield urlsplit(url).path.lstrip("/")
    drop_database(postgres_server.admin_url, url)


async def test_cloned_databases_are_independent(postgres_server: Server, template: str) -> None:
    one, other = (create_database(postgres_server.admin_url, template) for _ in range(2))
    await _execute(one, "INSERT INTO notes VALUES ('only here')")
    assert 1 == await _value(one, "SELECT count(*) FROM notes")
    assert 0 == await _value(other, "SELECT count(*) FROM notes")
    for url in (one, other):
        drop_database(postgres_server.admin_url, url)


def test_databases_can_be_cloned_at_the_same_time(postgres_server: Server, template: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        urls = list(threads.map(lambda _: create_database(postgres_server.admin_url, template), range(8)))
        assert 8 == len(set(urls))
        list(threads.map(lambda url: drop_database(postgres_server.admin_url, url), urls))


async def test_a_database_is_dropped_under_a_connection_that_a_test_left_open(
    postgres_server: Server,
) -> None:
    url = create_database(postgres_server.admin_url)
    connection = await asyncpg.connect(url)
    drop_database(postgres_server.admin_url, url)
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)
    connection.terminate()


async def test_the_server_keeps_its_promises_about_durability(postgres_server: Server) -> None:
    assert "on" == await _value(postgres_server.admin_url, "SHOW fsync")
    assert "on" == await _value(postgres_server.admin_url, "SHOW full_page_writes")


def test_all_processes_of_a_run_get_the_same_server() -> None:
    run = Run.begin()
    try:
        with ThreadPoolExecutor(3) as processes:
            servers = set(processes.map(lambda _: Run(run.folder).server(), range(3)))
        assert 1 == len(servers)
    finally:
        run.end()
    assert not run.folder.exists()


def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    killed = subprocess.run([sys.executable, "-c", BEGIN_AND_BE_KILLED], capture_output=True, text=True, timeout=60)
    folder = Path(killed.stdout.strip())
    assert folder.is_dir(), killed.stderr
    Run.begin().end()
    assert not folder.exists()
    assert [] == _processes_of(folder)


def test_a_living_run_is_left_alone_by_another() -> None:
    living = Run.begin()
    Run.begin().end()
    assert living.folder.exists()
    living.end()


def test_the_pinned_wheel_has_a_server_that_works_wherever_it_is_copied() -> None:
    programs = postgres_programs.from_wheel()
    assert programs
    run = Run.begin()
    try:
        server = start(postgres_programs.copied(programs, run.folder / "programs"), run.folder)
        version = asyncio.run(_value(server.admin_url, "SHOW server_version"))
        assert ".".join(map(str, programs.version)) == version
    finally:
        run.end()
    assert [] == _processes_of(run.folder)


def test_without_any_postgresql_the_tests_fail_and_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("on_this_machine", "from_debian", "from_wheel"):
        monkeypatch.setattr(postgres_programs, source, lambda: None)
    with pytest.raises(postgres_programs.NoPostgres, match=r"apt-get install postgresql.*TEST_DATABASE_URL"):
        postgres_programs.find()


def test_a_server_named_by_the_environment_is_used_and_its_password_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql+asyncpg://someone:secret@db.example/postgres")
    run = Run.begin()
    try:
        assert "postgresql://someone:secret@db.example/postgres" == run.server().admin_url
        assert "secret" not in run.server().words
    finally:
        run.end()


def _processes_of(folder: Path) -> list[str]:
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(folder) in line]


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def _value(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()
