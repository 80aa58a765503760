"""The database: whether it answers, has the right schema, and keeps what it is given. Pure but for `file_seen`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.doctor.findings import Finding, broken, ok, sentence, warning
from core.checkup import OnPostgres, OnSqlite

MEBIBYTE = 2**20
LITTLE_SPACE, NO_SPACE = 1024 * MEBIBYTE, 64 * MEBIBYTE
FULL = 2  # PRAGMA synchronous


@dataclass(frozen=True, slots=True)
class FileSeen:
    """SQLite's file. `mode`: its permission bits, None when it is not there; sizes in bytes."""

    path: Path
    mode: int | None
    size: int
    free: int
    folder: bool = True  # whether the folder that it is or would be in is there


def file_seen(path: Path) -> FileSeen:
    folder = path.resolve().parent
    if not folder.is_dir():
        return FileSeen(path, None, 0, 0, folder=False)
    free = shutil.disk_usage(folder).free
    if not path.exists():
        return FileSeen(path, None, 0, free)
    stat = path.stat()
    return FileSeen(path, stat.st_mode & 0o777, stat.st_size, free)


def file(seen: FileSeen) -> Iterator[Finding]:
    """Who can read SQLite's file, and how much it can still grow."""
    if not seen.folder:
        yield broken(
            "database.file",
            f"The folder of {seen.path} is not there.",
            "Make it, or name another file in DATABASE_URL.",
        )
        return
    if seen.mode is None:
        yield warning(
            "database.file",
            f"There is no database {seen.path} yet.",
            "Start Assent once, which makes it: `assent serve`. If there was one, look whether DATABASE_URL names it "
            "(a relative path begins in the folder that Assent is started from).",
        )
    elif seen.mode & 0o044:
        yield warning(
            "database.permissions",
            f"Others on this machine can read {seen.path}: everything that was asked and answered.",
            f"`chmod 600 {seen.path}*`",
        )
    if seen.free < LITTLE_SPACE:
        say = broken if seen.free < NO_SPACE else warning
        yield say(
            "database.space",
            f"The disk of {seen.path} has {size(seen.free)} left; once it is full, nothing can be answered.",
            "Make room, or move the database to a larger disk.",
        )


def not_reached(url: str, words: str) -> Finding:
    """`words`: what the database or its driver said."""
    on_sqlite = url.startswith("sqlite:")
    fix = (
        "Look at the path in DATABASE_URL and at who may read and write that file. A file that is no database was put "
        "there by somebody else: name another one."
        if on_sqlite
        else "Look whether PostgreSQL runs there and lets this machine in, and check DATABASE_URL: host, port, name, "
        "user and password."
    )
    what = words.removeprefix("the database cannot be reached: ")
    return broken("database.reachable", sentence(f"The database does not answer: {what}"), fix)


def schema(revision: str | None, wanted: str) -> Finding:
    """Whether the database has the schema of this code."""
    if revision == wanted:
        return ok("database.schema", f"At revision {revision}, as this version of Assent needs it.")
    if revision is not None and revision > wanted:
        return broken(
            "database.schema",
            f"The database is at revision {revision}, and this version of Assent knows {wanted} only.",
            "Run the newer version of Assent that was here before, or restore a backup from before its first start.",
        )
    at = "has no tables yet" if revision is None else f"is at revision {revision}"
    return broken(
        "database.schema",
        f"The database {at}, and this version of Assent needs {wanted}.",
        "Start `assent serve` once without --no-migrate: it brings the database up to date. Make a backup before.",
    )


def sqlite(seen: OnSqlite, size_bytes: int, free: int) -> Iterator[Finding]:
    if seen.journal_mode != "wal" or seen.synchronous < FULL:
        yield broken(
            "database.durable",
            f"SQLite runs with journal_mode={seen.journal_mode} and synchronous={seen.synchronous}, so that an answer "
            "can be lost when the machine stops.",
            "Put the file on a local disk: WAL does not work on network file systems.",
        )
    else:
        yield ok("database.durable", f"SQLite with WAL and synchronous=FULL; {size(size_bytes)}, {size(free)} free.")


def postgres(seen: OnPostgres, pool: int) -> Iterator[Finding]:
    """`pool`: connections that one process may use, beside one for wake-ups."""
    off = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if getattr(seen, name) == "off"]
    if off:
        yield broken(
            "database.durable",
            f"PostgreSQL runs with {' and '.join(f'{name} = off' for name in off)}, so that an answer that was "
            "acknowledged can be lost in a crash.",
            " ".join(f"`ALTER SYSTEM SET {name} = on;`" for name in off) + ", then `SELECT pg_reload_conf();` A role "
            "or a database may have a value of its own (ALTER ROLE, ALTER DATABASE).",
        )
    else:
        yield ok("database.durable", f"PostgreSQL {seen.version.split()[0]}, and every commit is on disk.")
    if pool + 1 > seen.connections:
        yield broken(
            "database.connections",
            f"One process may use {pool + 1} connections (DATABASE_POOL={pool} and one for wake-ups), and PostgreSQL "
            f"gives out {seen.connections}.",
            f"Set DATABASE_POOL to at most {max(2, seen.connections // 2 - 1)}, or raise max_connections in "
            "postgresql.conf and restart PostgreSQL.",
        )
    elif seen.used + pool + 1 > seen.connections:
        yield warning(
            "database.connections",
            f"{seen.used} of PostgreSQL's {seen.connections} connections are in use, and one more process may want "
            f"{pool + 1}.",
            "Raise max_connections in postgresql.conf and restart PostgreSQL, or set DATABASE_POOL lower.",
        )
    else:
        yield ok("database.connections", f"{seen.used} of {seen.connections} in use; a process may use {pool + 1}.")


def size(count: int) -> str:
    """Bytes for people."""
    for unit, factor in (("TB", 2**40), ("GB", 2**30), ("MB", 2**20)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}".replace(".0 ", " ")
    return f"{max(1, round(count / 1024)) if count else 0} kB"
