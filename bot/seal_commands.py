"""`assent seals …`: the newest seals, to be kept where whoever holds the database does not reach."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bot.cli_tools import DatabaseOption, prepare, run, tools
from core.errors import AssentError, InvalidInput
from core.exported_seals import Seal, newest_seals, read_seals

seals_app = typer.Typer(no_args_is_help=True, help="The ledger's seals, outside the database.")


class UnreadableSeals(AssentError):
    """This is no file of exported seals."""

    code = "unreadable"


@seals_app.command()
def export(
    file: Annotated[str, typer.Argument(help="What they are added to, made when it is not there; - for the output")],
    database: DatabaseOption = None,
) -> None:
    """Add the newest seal of each tenant to a file: `assent verify --seals FILE` holds the ledger against it."""
    settings = prepare(database)

    async def work() -> list[Seal]:
        async with tools(settings) as found:
            return await newest_seals(found.database)

    if file == "-":
        for seal in run(work()):
            print(seal.line())
        return
    known = set(load(file)) if Path(file).exists() else set()  # before the database is asked: the file may be wrong
    added = [seal for seal in run(work()) if seal not in known]
    _append(file, added)
    words = f"{file}: {len(added)} new, {len(known) + len(added)} in all"
    Console(stderr=True).print(words, highlight=False, soft_wrap=True)


def load(file: str) -> list[Seal]:
    """The seals of a file; - is the input. Raises UnreadableSeals."""
    try:
        return read_seals((sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).split(b"\n"))
    except OSError as error:
        raise UnreadableSeals(f"{file}: {error.strerror}") from None
    except InvalidInput as error:
        raise UnreadableSeals(f"{file}: {error.message}") from None


def _append(file: str, seals: list[Seal]) -> None:
    try:
        with Path(file).open("a", encoding="utf-8") as out:
            out.writelines(f"{seal.line()}\n" for seal in seals)
            out.flush()
            os.fsync(out.fileno())
    except OSError as error:
        raise UnreadableSeals(f"{file}: {error.strerror}") from None
