"""SQL scripts as operators run them: through `psql` and `sqlite3` where there are such programs, else the drivers."""

from __future__ import annotations

import asyncio
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg

_TAB = "\t"


async def run_script(url: str, file: Path) -> list[tuple[str, ...]]:
    """The rows that a script of SELECTs prints, all as text."""
    program, *arguments = _command(url, file)
    if shutil.which(program) is None:
        return await _by_driver(url, file)
    with file.open("rb") as script:
        process = await asyncio.create_subprocess_exec(
            program, *arguments, stdin=script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, wrong = await process.communicate()
    assert (0, b"") == (process.returncode, wrong), wrong.decode()
    return [tuple(line.split(_TAB)) for line in out.decode().splitlines()]


def _command(url: str, file: Path) -> list[str]:
    if url.startswith("sqlite:"):
        return ["sqlite3", "-readonly", "-bail", "-separator", _TAB, url.removeprefix("sqlite:///")]
    return ["psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-F", _TAB, url, "-f", str(file)]


async def _by_driver(url: str, file: Path) -> list[tuple[str, ...]]:
    text = re.sub(r"^--.*$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    selects = [one for one in re.split(r";$", text, flags=re.MULTILINE) if one.strip().startswith("SELECT")]
    if url.startswith("sqlite:"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return [tuple(map(str, row)) for one in selects for row in connection.execute(one)]
    session = await asyncpg.connect(url)
    try:
        return [tuple(map(str, row)) for one in selects for row in await session.fetch(one)]
    finally:
        await session.close()
