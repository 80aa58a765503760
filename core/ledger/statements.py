"""Named statements: SQL text with `:name` parameters, rendered once per database, and the writes that a transaction
collects.

The dialects differ only in the few places marked below; everything else is the SQL that both understand.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

SQLITE_NOW = "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"
# Not now(): that is frozen at the transaction's begin, and a reply may have waited for its lock since then.
POSTGRES_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
# Not FOR UPDATE: that also waits for, and deadlocks with, the checks of foreign keys (FOR KEY SHARE) to the same row.
ROW_LOCK = "FOR NO KEY UPDATE"
# Goes with its transaction or its connection, so that nobody who died keeps it.
TRY_LOCK = "pg_try_advisory_xact_lock(CAST(:lock AS BIGINT))"

_PARAM = re.compile(r"(?<![:\w]):([a-z_]+)")


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One named statement. `name` is unique; `postgresql`, where given, replaces `sql` there."""

    name: str
    sql: str
    postgresql: str | None = None
    table: str | None = None  # of an INSERT, with its columns
    columns: tuple[str, ...] = ()

    def text(self, dialect: str) -> str:
        """`{now}` is the database's clock and `{for_update}`, `{skip_locked}` the row locks that SQLite does not
        need. `{try_lock}`: whether the number `:lock` is this transaction's own until it ends; NULL where that need
        not be asked. `{any_of} SELECT … LIMIT … {skip_locked}{end}`: one of these, found once. (PostgreSQL may look for
        what stands in `IN (…)` again for each row; what is locked by then is skipped, and others are found, beyond the
        limit.)
        """
        on_postgres = dialect == "postgresql"
        text = self.postgresql if on_postgres and self.postgresql is not None else self.sql
        return (
            text.replace("{now}", POSTGRES_NOW if on_postgres else SQLITE_NOW)
            .replace("{for_update}", ROW_LOCK if on_postgres else "")
            .replace("{any_of}", "= ANY (ARRAY(" if on_postgres else "IN (")
            .replace("{end}", "))" if on_postgres else ")")
            .replace("{skip_locked}", f"{ROW_LOCK} SKIP LOCKED" if on_postgres else "")
            .replace("{try_lock}", TRY_LOCK if on_postgres else "NULL")
        )


@dataclass(frozen=True, slots=True)
class Write:
    """A statement with its parameters: what a transaction will change. `rows`: how many rows it must touch, None for
    any.
    """

    statement: Statement
    params: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = 1


@dataclass(frozen=True, slots=True)
class Rendered:
    """SQL in a driver's own placeholders, and the parameter names in their order."""

    sql: str
    names: tuple[str, ...]

    def args(self, params: Mapping[str, Any]) -> list[Any]:
        return [params[name] for name in self.names]


def insert(table: str, columns: str, *, conflict: str = "") -> Statement:
    """INSERT of a whole row: every column (separated by spaces) is a parameter. That they are all columns of the table
    is tested, not looked up: a serving process need not load what declares the schema."""
    names = columns.split()
    quoted = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(f":{name}" for name in names)
    sql = f"INSERT INTO {table} ({quoted}) VALUES ({values}) {conflict}"  # noqa: S608 - our own names
    return Statement(f"insert_{table}{'_once' if conflict else ''}", sql, table=table, columns=tuple(names))


@cache
def for_sqlite(statement: Statement) -> Rendered:
    names: list[str] = []

    def place(match: re.Match[str]) -> str:
        names.append(match[1])
        return "?"

    return Rendered(_PARAM.sub(place, statement.text("sqlite")), tuple(names))


@cache
def for_postgres(statement: Statement) -> Rendered:
    names: list[str] = []
    sql = _PARAM.sub(_dollar(names, ""), statement.text("postgresql"))
    return Rendered(sql, tuple(names))


@cache
def batch_for_postgres(statements: tuple[Statement, ...]) -> Rendered:
    """All writes as one statement, so that a transaction's changes cost one round trip.

    Each becomes a data-modifying CTE (PostgreSQL manual, 7.8.4); the answer has one count of touched rows per write.
    They share a snapshot, so two writes of one batch must not touch the same row.
    """
    names: list[str] = []
    parts = []
    for n, statement in enumerate(statements):
        sql = _PARAM.sub(_dollar(names, f"{n}."), statement.text("postgresql"))
        parts.append(f"w{n} AS ({sql} RETURNING 1)")
    counts = ", ".join(f"(SELECT count(*) FROM w{n}) AS n{n}" for n in range(len(statements)))  # noqa: S608 - our own names
    return Rendered(f"WITH {', '.join(parts)} SELECT {counts}", tuple(names))


def _dollar(names: list[str], prefix: str) -> Any:
    def place(match: re.Match[str]) -> str:
        name = prefix + match[1]
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return place


def batch_args(rendered: Rendered, writes: Sequence[Write]) -> list[Any]:
    found = []
    for name in rendered.names:
        number, _, param = name.partition(".")
        found.append(writes[int(number)].params[param])
    return found
