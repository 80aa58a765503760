"""SQLite: whole transactions in one writer thread, many of them under one commit.

The writer takes every job that waits, gives each its savepoint, and commits them together: one fsync for all. A job
that fails rolls back to its savepoint and hurts nobody; nobody is told anything before the commit. Reads run the same
way in a second thread on a read-only connection (WAL: readers and the writer do not wait for each other).
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

import structlog

from core.errors import AssentError, Unavailable
from core.hub import Hub
from core.ledger.case_queries import POLLED_CASE
from core.ledger.engine import Body, DuplicateKey, Polled, Row, Tx, UnfitValue, check_touched
from core.ledger.statements import SQLITE_NOW as NOW
from core.ledger.statements import Statement, Write, for_sqlite
from core.model import Case

T = TypeVar("T")
log = structlog.get_logger()

MIN_VERSION = (3, 35, 0)  # UPSERT and RETURNING as the statements use them
BUSY_SECONDS = 5.0  # how long another process (the CLI) may hold the write lock
MAX_BATCH = 128
MINUTE_MS = 60_000


def connect(path: str, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection with the settings that durability rests on. Raises Unavailable when the file cannot be opened."""
    if sqlite3.sqlite_version_info < MIN_VERSION:
        raise Unavailable(f"SQLite {sqlite3.sqlite_version} is too old; Assent needs 3.35 or newer")
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=512, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA secure_delete=ON")  # what was erased is not left in the file's free places
        connection.execute("PRAGMA cache_size=-16000")
        connection.execute("PRAGMA temp_store=MEMORY")  # savepoints would spill into temporary files
        connection.execute("PRAGMA wal_autocheckpoint=8000")  # pages; the default checkpoints every few dozen cases
        if read_only:
            connection.execute("PRAGMA query_only=ON")
    except sqlite3.Error as error:
        raise Unavailable(f"the database file {path} cannot be opened: {error}") from error
    connection.row_factory = sqlite3.Row
    return connection


class _SqliteTx:
    def __init__(self, connection: sqlite3.Connection, clock_offset: Callable[[], int]) -> None:
        self._connection = connection
        self._clock_offset = clock_offset

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        rendered = for_sqlite(statement)
        return cast(Row | None, self._connection.execute(rendered.sql, rendered.args(params)).fetchone())

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]:
        rendered = for_sqlite(statement)
        return cast(Sequence[Row], self._connection.execute(rendered.sql, rendered.args(params)).fetchall())

    async def write(self, *writes: Write) -> list[int]:
        touched = []
        for write in writes:
            rendered = for_sqlite(write.statement)
            touched.append(self._connection.execute(rendered.sql, rendered.args(write.params)).rowcount)
        check_touched(writes, touched)
        return touched

    async def now(self) -> int:
        return self.clock(self._connection.execute(f"SELECT {NOW}").fetchone()[0])

    def clock(self, read: int) -> int:
        return int(read) + self._clock_offset()

    def tell(self, case: Case) -> None:
        """Nobody counts here: see `watched`."""


class _Job:
    __slots__ = ("body", "error", "future", "result")

    def __init__(self, body: Body[Any], future: asyncio.Future[Any]) -> None:
        self.body = body
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():  # whoever asked has gone away; the transaction stands all the same
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _Worker:
    """A thread with one connection that runs jobs in batches."""

    def __init__(self, path: str, clock_offset: Callable[[], int], *, writes: bool) -> None:
        self._connection = connect(path, read_only=not writes)
        self._tx = _SqliteTx(self._connection, clock_offset)
        self._begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
        self._savepoints = writes
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._run, name="ledger-writer" if writes else "ledger-reader", daemon=True
        )
        self._thread.start()

    def submit(self, body: Body[T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(_Job(body, future))
        return future

    async def stop(self) -> None:
        """Finish what was submitted, then close."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            batch: list[_Job] = []
            job = self._jobs.get()
            while job is not None:
                batch.append(job)
                if len(batch) >= MAX_BATCH:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            stopping = job is None
            if batch:
                self._run_batch(batch)
                with suppress(RuntimeError):  # the loop closed while the last commit was under way
                    self._loop.call_soon_threadsafe(_settle, batch)
        self._connection.close()

    def _run_batch(self, batch: list[_Job]) -> None:
        try:
            self._connection.execute(self._begin)
            for job in batch:
                self._run_job(job)
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - nothing of this batch is durable: every job of it fails so
            if self._connection.in_transaction:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            failure = _translate(error)
            for job in batch:
                job.error = failure

    def _run_job(self, job: _Job) -> None:
        if self._savepoints:
            self._connection.execute("SAVEPOINT job")
        try:
            job.result = _drive(cast(Coroutine[Any, Any, Any], job.body(cast(Tx, self._tx))))
        except Exception as error:  # handed to whoever waits for this job
            job.error = _translate(error)
            if not self._connection.in_transaction:
                raise  # SQLite gave the whole transaction up (disk full, I/O error)
            if self._savepoints:
                self._connection.execute("ROLLBACK TO job")
        if self._savepoints:
            self._connection.execute("RELEASE job")


def _settle(batch: list[_Job]) -> None:
    for job in batch:
        job.settle()


def _drive(body: Coroutine[Any, Any, T]) -> T:
    try:
        body.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    body.close()
    raise RuntimeError("a transaction body may await nothing but its transaction")


def _translate(error: Exception) -> Exception:
    if isinstance(error, sqlite3.IntegrityError) and error.sqlite_errorname in (
        "SQLITE_CONSTRAINT_UNIQUE",
        "SQLITE_CONSTRAINT_PRIMARYKEY",
    ):
        return DuplicateKey(str(error))
    if isinstance(error, (OverflowError, UnicodeEncodeError)):
        return UnfitValue()
    if isinstance(error, sqlite3.OperationalError):
        log.error("ledger.unavailable", error=str(error))
        return Unavailable(retry_after=2)
    if not isinstance(error, AssentError):
        log.error("ledger.failed", error=repr(error))
    return error


class SqliteDatabase:
    """The embedded engine: one file, one process (the CLI may write beside it)."""

    dialect = "sqlite"

    def __init__(self, path: str, clock_offset: Callable[[], int]) -> None:
        self.path = path
        self._clock_offset = clock_offset
        self._writer: _Worker | None = None
        self._reader: _Worker | None = None
        self._polls: dict[str, tuple[int, int]] = {}  # when the minute of a case's polls began, and how many they are

    async def start(self, hub: Hub, /) -> None:
        self._writer = _Worker(self.path, self._clock_offset, writes=True)
        self._reader = _Worker(self.path, self._clock_offset, writes=False)

    async def transact(self, body: Body[T], /) -> T:
        if self._writer is None:
            raise Unavailable("the database is not open")
        return await asyncio.shield(self._writer.submit(body))

    async def read(self, body: Body[T], /) -> T:
        if self._reader is None:
            raise Unavailable("the database is not open")
        return await self._reader.submit(body)

    async def poll(self, tenant_id: str, case_id: str, /) -> Polled | None:
        async def body(tx: Tx) -> Row | None:
            return await tx.one(POLLED_CASE, tenant_id=tenant_id, case_id=case_id)

        row = await self.read(body)
        return None if row is None else Polled(row, *self._count_poll(case_id))

    def _count_poll(self, case_id: str) -> tuple[int, int]:
        now = time.monotonic_ns() // 1_000_000
        if len(self._polls) > 10_000:
            self._polls = {key: value for key, value in self._polls.items() if now < value[0] + MINUTE_MS}
        began, count = self._polls.get(case_id, (now, 0))
        if now >= began + MINUTE_MS:
            began, count = now, 0
        self._polls[case_id] = (began, count + 1)
        return count + 1, began + MINUTE_MS - now

    async def close(self) -> None:
        # Detached first: what comes after the last job is told so, instead of waiting for a thread that has ended.
        workers, self._writer, self._reader = (self._writer, self._reader), None, None
        for worker in workers:
            if worker is not None:
                await worker.stop()
