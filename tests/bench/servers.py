"""The servers that are measured: each a process of its own, and what it has used of processor and memory."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import psutil

from core.ledger import migrate
from tests.bench.client import Target
from tests.support.postgres import Run, create_database, drop_database
from tests.support.process import ServerProcess, make_key, serving

SQLITE, POSTGRES = "assent, SQLite", "assent, PostgreSQL"  # what tables call them
NULL = (sys.executable, "-m", "tests.bench.null_server")
QUIET_SHARE = 0.05  # of one core: a server that uses less has no work left over from the loop
QUIET_SECONDS = 0.2
SETTLE_SECONDS = 20.0
RELOAD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A server under measurement. `name` is what tables call it."""

    name: str
    target: Target
    pid: int
    ready_after: float

    def cpu(self) -> float:
        """User and system time of the process, its threads and children, in seconds."""
        return sum(_cpu(process) for process in self._family())

    def memory(self) -> float:
        """Resident set of the process and its children, in MB."""
        return sum(_memory(process) for process in self._family()) / 1e6

    async def settled(self) -> None:
        """Returns when what the loop left to do (seals, wake-ups) is done, so that it is on this server's account."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            before = self.cpu()
            await asyncio.sleep(QUIET_SECONDS)
            if self.cpu() - before < QUIET_SHARE * QUIET_SECONDS:
                return

    def _family(self) -> list[psutil.Process]:
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _memory(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0


class Databases:
    """New databases for the harness, on a file system and a PostgreSQL that really sync."""

    def __init__(self, folder: Path, postgres: Run, postgres_url: str | None) -> None:
        self._folder = folder
        self._postgres = postgres
        self._postgres_url = postgres_url

    @property
    def admin_url(self) -> str:
        """The PostgreSQL server: the one that was named, else a private one, started when it is first asked for."""
        return self._postgres_url or self._postgres.server().admin_url

    async def postgres_settings(self) -> str:
        """What decides how fast this PostgreSQL is. The tests' private server keeps little WAL and would make
        checkpoints all the time: here it gets PostgreSQL's own default.
        """
        connection = await asyncpg.connect(self.admin_url)
        try:
            if not self._postgres_url and "TEST_DATABASE_URL" not in os.environ:
                await connection.execute("ALTER SYSTEM SET max_wal_size = '1GB'")
                await connection.execute("SELECT pg_reload_conf()")
                async with asyncio.timeout(RELOAD_SECONDS):
                    while await connection.fetchval("SHOW max_wal_size") != "1GB":
                        await connection.execute("SELECT pg_sleep(0.01)")
            names = ("server_version", "fsync", "synchronous_commit", "shared_buffers", "max_wal_size")
            values = [f"{name}={await connection.fetchval(f'SHOW {name}')}" for name in names]
            return ", ".join(values)
        finally:
            await connection.close()

    @asynccontextmanager
    async def new(self, kind: str, *, migrated: bool = True) -> AsyncIterator[str]:
        """The URL of an empty database with the schema, or without; sqlite or postgresql. Removed afterwards."""
        if kind == "sqlite":
            place = Path(tempfile.mkdtemp(prefix="sqlite-", dir=self._folder))
            url = f"sqlite:///{place / 'assent.db'}"
            try:
                if migrated:
                    await asyncio.to_thread(migrate, url)
                yield url
            finally:
                shutil.rmtree(place)
        else:
            url = await asyncio.to_thread(create_database, self.admin_url)
            try:
                if migrated:
                    await asyncio.to_thread(migrate, url)
                yield url
            finally:
                await asyncio.to_thread(drop_database, self.admin_url, url)


@contextmanager
def databases(folder: Path | None, postgres_url: str | None) -> Iterator[Databases]:
    """Everything that is made here is removed at the end."""
    run = Run.begin()
    try:
        with tempfile.TemporaryDirectory(prefix="assent-bench-", dir=folder) as place:
            yield Databases(Path(place), run, postgres_url)
    finally:
        run.end()


@asynccontextmanager
async def assent(database_url: str) -> AsyncIterator[Measured]:
    """`assent serve` on this database, ready."""
    key = await make_key(database_url, "agent")
    async with serving(database_url, afresh=True) as server:
        yield measured(server, database_url, key)


def measured(server: ServerProcess, database_url: str, key: str) -> Measured:
    name = SQLITE if database_url.startswith("sqlite") else POSTGRES
    return Measured(name, Target(server.url, key), server.pid, server.ready_after)


@asynccontextmanager
async def null_server(*arguments: str) -> AsyncIterator[Measured]:
    async with serving("none", *arguments, command=NULL, afresh=True) as server:
        yield Measured("null", Target(server.url, "none"), server.pid, server.ready_after)
