"""PostgreSQL's own benchmark with the transactions of a case: what the server could do with nothing in front of it.

The script is made from a recording: the statements as the gate sends them, with literals instead of parameters and
with ids of its own for every case. Each run of the script is one case: two transactions that write, and the poll.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from core.ledger.statements import batch_args, batch_for_postgres, for_postgres
from tests.bench.recording import Question, Recording, Transaction, record_case
from tests.support import postgres_programs

LIMIT_SECONDS = 300.0
_PLACE = re.compile(r"\$(\d+)")


class PgbenchFailed(Exception):
    """pgbench could not be found or run; the message says why."""


def program() -> Path:
    """Raises PgbenchFailed when this machine has none."""
    found = shutil.which("pgbench")
    if found:
        return Path(found)
    for programs in (postgres_programs.on_this_machine(), postgres_programs.from_wheel()):
        if programs and (programs.folder / "pgbench").exists():
            return programs.folder / "pgbench"
    raise PgbenchFailed("pgbench was not found; it comes with PostgreSQL")


async def rate(database_url: str, cases: int, clients: int) -> float:
    """Cases (two transactions each) per second that pgbench does on this database (migrated, PostgreSQL)."""
    recording = await record_case(database_url)
    with tempfile.TemporaryDirectory(prefix="assent-bench-") as folder:
        script = Path(folder) / "case.sql"
        script.write_text(script_of(recording))
        clients = min(clients, cases)
        each = -(-cases // clients)
        said = await _run(database_url, script, ["--client", str(clients), "--transactions", str(each)])
    match = re.search(r"^tps = ([\d.]+)", said, re.MULTILINE)
    failed = re.search(r"number of failed transactions: ([1-9]\d*)", said)
    if match is None or failed:
        raise PgbenchFailed(said)
    return float(match[1])


async def _run(database_url: str, script: Path, arguments: list[str]) -> str:
    """Runs pgbench and returns what it printed. Raises PgbenchFailed."""
    parts = urlsplit(database_url)
    environment = {"PGPASSWORD": unquote(parts.password or ""), "PATH": os.environ["PATH"], "LC_ALL": "C"}
    host = f"{parts.username}@{parts.hostname}:{parts.port or 5432}"  # the process list must not show the password
    process = await asyncio.create_subprocess_exec(
        *(str(program()), "--no-vacuum", "--protocol=prepared", "--jobs=2", f"--file={script}", *arguments),
        f"postgresql://{host}{parts.path}",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise PgbenchFailed(f"pgbench did not end within {LIMIT_SECONDS:.0f} s") from None
    if process.returncode != 0:
        raise PgbenchFailed(said.decode(errors="replace"))
    return said.decode()


def script_of(recording: Recording) -> str:
    """The pgbench script of one case."""
    values = _Values(recording.unique)
    lines = [r"\set case random(1, 9223372036854775807)"]
    for transaction in (recording.opening, recording.answering):
        lines += ["BEGIN;", *_statements(transaction, values), "COMMIT;"]
    lines += _statements(recording.reading, values)
    return "\n".join(lines) + "\n"


def _statements(transaction: Transaction, values: _Values) -> Iterator[str]:
    for step in transaction.steps:
        if isinstance(step, Question):
            question = for_postgres(step.statement)
            yield values.into(question.sql, question.args(step.params))
        else:
            batch = batch_for_postgres(tuple(write.statement for write in step))
            yield values.into(batch.sql, batch_args(batch, step))


class _Values:
    """Parameters as SQL literals. What no two cases share is made of pgbench's variable `case`, at the same length."""

    def __init__(self, unique: list[str]) -> None:
        self._unique = {
            value: f"({_literal(f'{number}{value[:4]}')} || lpad(CAST(:case AS text), {len(value) - 5}, '0'))"
            for number, value in enumerate(unique)
        }

    def into(self, sql: str, args: list[Any]) -> str:
        return _PLACE.sub(lambda match: self._written(args[int(match[1]) - 1]), sql).strip() + ";"

    def _written(self, value: Any) -> str:
        return self._unique.get(value) or _literal(value)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    # pgbench looks for its variables inside of literals, too: no colon may stand there.
    escaped = str(value).replace("\\", "\\\\").replace("'", "''").replace(":", "\\x3a")
    return f"E'{escaped}'"
