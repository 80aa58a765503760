"""Databases with a past: many cases that wait, and many that were decided.

The rows are copies of one real case's, each with random ids of its own, put in by bulk load. Their positions in the
ledger have no seals, so `assent verify` would object; speed and memory do not depend on that.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from typing import Any

import asyncpg

from tests.bench.recording import Recording, Transaction, record_case

CHUNK = 20_000
Row = dict[str, Any]
Load = dict[str, list[Row]]
"""Table → rows, in an order that foreign keys allow."""


async def fill(database_url: str, waiting: int, decided: int, say: Callable[[str], None]) -> None:
    """Add so many cases to a migrated database. The key and the case of the recording come on top."""
    recording = await record_case(database_url)
    loader = _sqlite_loader if database_url.startswith("sqlite") else _postgres_loader
    async with loader(database_url) as put:
        done = 0
        for chunk in _chunks(recording, waiting, decided):
            await put(chunk)
            done += len(chunk["cases"])
            say(f"filled {done:,} of {waiting + decided:,} cases")
        if decided:
            head = {"position": decided, "seal_no": 1, "chain_hash": "0" * 64}
            await put({"chains": [{"tenant_id": recording.principal.tenant_id, **head}]})


def _chunks(recording: Recording, waiting: int, decided: int) -> Iterator[Load]:
    opened = _rows(recording.opening)
    closed = _closed(opened, recording)
    dice = random.Random(1)
    for template, cases in ((opened, waiting), (closed, decided)):
        for begin in range(0, cases, CHUNK):
            yield _copies(template, recording.unique, range(begin, min(begin + CHUNK, cases)), dice)


def _rows(transaction: Transaction) -> Load:
    """What a transaction inserts."""
    found: Load = {}
    for write in transaction.writes:
        if write.statement.name.startswith("insert_"):
            found.setdefault(write.statement.name.removeprefix("insert_"), []).append(dict(write.params))
    return found


def _closed(opened: Load, recording: Recording) -> Load:
    """The rows of the case once it is decided: the case's own row as its last transition leaves it."""
    (moved,) = (write.params for write in recording.answering.writes if write.statement.name == "move_case")
    (case,) = opened["cases"]
    changed = {name: value for name, value in moved.items() if name in case}
    answered = _rows(recording.answering)
    # A decision refers to its interaction, so that comes first.
    order = sorted(answered, key=lambda table: table != "human_interactions")
    return {
        **opened,
        "cases": [case | changed | {"version": case["version"] + 1}],
        **{table: answered[table] for table in order},
    }


def _copies(template: Load, unique: list[str], numbers: range, dice: random.Random) -> Load:
    load: Load = {table: [] for table in template}
    for number in numbers:
        mark = f"{dice.getrandbits(128):032x}" * 2
        renamed = {value: f"{n}{value[:4]}{mark[: len(value) - 5]}" for n, value in enumerate(unique)}
        for table, rows in template.items():
            for row in rows:
                copy: Row = {name: renamed.get(value, value) for name, value in row.items()}
                if "position" in copy:
                    copy["position"] = number + 1
                if table == "cases":
                    copy["created_at"] -= number
                    copy["expires_at"] -= number
                load[table].append(copy)
    return load


Put = Callable[[Mapping[str, list[Row]]], Awaitable[None]]


@asynccontextmanager
async def _sqlite_loader(database_url: str) -> AsyncIterator[Put]:
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=OFF")  # while loading only
        connection.execute("PRAGMA cache_size=-400000")

        async def put(load: Mapping[str, list[Row]]) -> None:
            connection.execute("BEGIN")
            for table, rows in load.items():
                columns = ", ".join(f'"{name}"' for name in rows[0])
                places = ", ".join("?" * len(rows[0]))
                statement = f"INSERT INTO {table} ({columns}) VALUES ({places})"
                connection.executemany(statement, (tuple(row.values()) for row in rows))
            connection.execute("COMMIT")

        yield put
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@asynccontextmanager
async def _postgres_loader(database_url: str) -> AsyncIterator[Put]:
    connection = await asyncpg.connect(database_url)
    try:

        async def put(load: Mapping[str, list[Row]]) -> None:
            for table, rows in load.items():
                records = [tuple(row.values()) for row in rows]
                await connection.copy_records_to_table(table, records=records, columns=list(rows[0]))

        yield put
        # What autovacuum would soon do anyway must not fall into the measurement.
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
