"""What an executor has done with each event, on a disk: so that one that comes twice is done once.

`SQLiteStore` is a file for one machine. For several executors that shall share what they know, put a table of your own
behind the same five methods.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, Protocol

from assent.files import File


class Standing(StrEnum):
    """Where an event stands with this executor."""

    NEW = "new"  # not begun, or its handler has failed and may try again
    BEGUN = "begun"  # a handler is at work on it, and its lease runs
    UNFINISHED = "unfinished"  # a handler began, and its lease ran out: nobody knows how far it came
    DONE = "done"  # its handler has finished; final
    LOST = "lost"  # somebody else has claimed it; final
    HELD = "held"  # a person must look at it; `release` makes it new


Ending = Literal[Standing.NEW, Standing.DONE, Standing.LOST, Standing.HELD]


@dataclass(frozen=True, slots=True)
class Entry:
    """`attempts` counts the handler's starts, `note` says why it is held or has failed."""

    event_id: str
    standing: Standing
    attempts: int = 0
    note: str = ""


class Store(Protocol):
    """Each method is one durable step: done, and on the disk, when it returns. They are called from any thread."""

    def identity(self) -> str:
        """A random name that this store got when it was made: who has lost the store is somebody else."""
        ...

    def look(self, event_id: str) -> Entry: ...

    def begin(self, event_id: str, owner: str, lease_seconds: float) -> Entry:
        """The entry as it was found. NEW and UNFINISHED become BEGUN by this owner, and count an attempt, in one atomic
        step; all others are left alone. The same owner with BEGUN, again, prolongs nothing.
        """
        ...

    def renew(self, event_id: str, owner: str, lease_seconds: float) -> None:
        """Prolong the lease of an event that this owner has begun."""
        ...

    def end(self, event_id: str, ending: Ending, note: str = "", owner: str | None = None) -> None:
        """Write down what became of it. DONE always stands; others only while this owner has it begun (None: nobody
        has), and never over DONE.
        """
        ...

    def held(self) -> list[Entry]:
        """What waits for a person, oldest first."""
        ...


def _schema(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE IF NOT EXISTS events (
            event_id TEXT PRIMARY KEY, standing TEXT NOT NULL, owner TEXT, lease_until REAL NOT NULL,
            attempts INTEGER NOT NULL, note TEXT NOT NULL, changed_at REAL NOT NULL)
        """
    )
    connection.execute("CREATE TABLE IF NOT EXISTS self (name TEXT NOT NULL)")
    connection.execute(
        "INSERT INTO self (name) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM self)", (secrets.token_urlsafe(12),)
    )


class SQLiteStore:
    """A Store in a file. Several processes of one machine may use it at once. Nothing is ever removed: an event may be
    replayed after years.
    """

    def __init__(self, path: str | Path, *, now: Callable[[], float] = time.time) -> None:
        self._file = File(path, _schema)
        self._now = now

    def identity(self) -> str:
        with self._file.transaction() as connection:
            return str(connection.execute("SELECT name FROM self").fetchone()["name"])

    def look(self, event_id: str) -> Entry:
        with self._file.transaction() as connection:
            return self._entry(connection, event_id)

    def begin(self, event_id: str, owner: str, lease_seconds: float) -> Entry:
        now = self._now()
        with self._file.transaction() as connection:
            found = self._entry(connection, event_id)
            if found.standing in (Standing.NEW, Standing.UNFINISHED):
                connection.execute(
                    """
                    INSERT INTO events (event_id, standing, owner, lease_until, attempts, note, changed_at)
                    VALUES (?, 'begun', ?, ?, 1, '', ?)
                    ON CONFLICT (event_id) DO UPDATE SET standing = 'begun', owner = excluded.owner,
                        lease_until = excluded.lease_until, attempts = attempts + 1, changed_at = excluded.changed_at
                    """,
                    (event_id, owner, now + lease_seconds, now),
                )
        return found

    def renew(self, event_id: str, owner: str, lease_seconds: float) -> None:
        with self._file.transaction() as connection:
            connection.execute(
                "UPDATE events SET lease_until = ? WHERE event_id = ? AND owner = ? AND standing = 'begun'",
                (self._now() + lease_seconds, event_id, owner),
            )

    def end(self, event_id: str, ending: Ending, note: str = "", owner: str | None = None) -> None:
        with self._file.transaction() as connection:
            connection.execute(
                """
                INSERT INTO events (event_id, standing, owner, lease_until, attempts, note, changed_at)
                VALUES (:event_id, :ending, NULL, 0, 0, :note, :now)
                ON CONFLICT (event_id) DO UPDATE SET standing = :ending, owner = NULL, note = :note, changed_at = :now
                WHERE :ending = 'done'
                    OR (standing = 'begun' AND owner IS :owner)
                    OR (standing NOT IN ('begun', 'done') AND :owner IS NULL)
                """,
                {"event_id": event_id, "ending": str(ending), "note": note, "now": self._now(), "owner": owner},
            )

    def held(self) -> list[Entry]:
        with self._file.transaction() as connection:
            rows = connection.execute("SELECT * FROM events WHERE standing = 'held' ORDER BY changed_at").fetchall()
        return [_entry(row, Standing.HELD) for row in rows]

    def close(self) -> None:
        self._file.close()

    def _entry(self, connection: sqlite3.Connection, event_id: str) -> Entry:
        row = connection.execute("SELECT * FROM events WHERE event_id = ?", (event_id,)).fetchone()
        if row is None:
            return Entry(event_id, Standing.NEW)
        standing = Standing(row["standing"])
        if standing is Standing.BEGUN and row["lease_until"] <= self._now():
            standing = Standing.UNFINISHED
        return _entry(row, standing)


def _entry(row: sqlite3.Row, standing: Standing) -> Entry:
    return Entry(row["event_id"], standing, row["attempts"], row["note"])
