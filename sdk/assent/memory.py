"""Which case an agent's key stands for, kept for as long as the case may wait: longer than Assent itself keeps it."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from assent.errors import IdempotencyMismatch
from assent.files import File

KEPT_SECONDS = 86_400.0  # after its deadline a key may be used anew


def _schema(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE IF NOT EXISTS cases (
            url TEXT NOT NULL, key TEXT NOT NULL, body_hash TEXT NOT NULL, hitl TEXT NOT NULL, until REAL NOT NULL,
            PRIMARY KEY (url, key))
        """
    )


class Memory:
    """The file holds the cases' tokens: only its owner may read it."""

    def __init__(self, path: str | Path, url: str) -> None:
        with suppress(FileExistsError):  # one that is there is not touched: closing it would drop SQLite's own locks
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        self._file = File(path, _schema)
        self._url = url

    def recall(self, key: str, body: bytes) -> str | None:
        """The `hitl` object of the case that was opened with this key. Raises IdempotencyMismatch."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM cases WHERE until < ?", (time.time(),))
            found = connection.execute(
                "SELECT body_hash, hitl FROM cases WHERE url = ? AND key = ?", (self._url, key)
            ).fetchone()
        if found is None:
            return None
        if found["body_hash"] != _hash(body):
            raise IdempotencyMismatch
        return str(found["hitl"])

    def keep(self, key: str, body: bytes, hitl: str, expires_at: float) -> None:
        with self._file.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO cases (url, key, body_hash, hitl, until) VALUES (?, ?, ?, ?, ?)",
                (self._url, key, _hash(body), hitl, expires_at + KEPT_SECONDS),
            )


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
