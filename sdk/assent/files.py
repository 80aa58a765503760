"""A SQLite file that survives crashes: every change is on the disk before the call returns."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from assent.errors import StoreFailed

BUSY_SECONDS = 10.0


class File:
    """One connection, for any thread, one at a time; a forked process opens its own."""

    def __init__(self, path: str | Path, schema: Callable[[sqlite3.Connection], object]) -> None:
        self._path = str(path)
        self._schema = schema
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        with self.transaction():  # a file that cannot be had shows at once
            pass

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes beside. Raises StoreFailed."""
        with self._lock:
            try:
                connection = self._opened()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise StoreFailed(f"the file {self._path} cannot be used: {error}") from error

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None or self._pid != os.getpid():
            connection = sqlite3.connect(
                self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            self._schema(connection)
            self._connection, self._pid = connection, os.getpid()
        return self._connection
