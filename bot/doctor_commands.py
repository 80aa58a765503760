"""`assent doctor`: a round through the installation, and on demand a test card."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from bot import logs
from bot.cli_tools import DatabaseOption, run
from bot.doctor.findings import Finding, Level, without_secrets
from bot.doctor.installed import misspelt, wrong_settings
from bot.settings import Settings, WrongSetting, read_settings, secrets_of, strangers
from core.errors import InvalidInput
from core.model import Address
from core.recipients import address as address_in

COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.BROKEN: "red"}
WIDTH = 100


def doctor(
    post: Annotated[
        list[str] | None,
        typer.Option(
            help="Post a test card there: slack:C…, slack:#oncall, slack:T…/C…, telegram:<chat id>; may be repeated"
        ),
    ] = None,
    database: DatabaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON Lines")] = False,
) -> None:
    """Look at settings, database, clocks, Slack, Telegram and sources, and say what is wrong and what to do about it.
    Exits 0 only when nothing is broken.
    """
    chats = [_chat(text) for text in post or ()]
    logs.configure("text", silent=True)
    printer = _Lines() if as_json else _Page()
    try:
        settings = read_settings(database_url=database)
    except WrongSetting as error:
        for finding in [*wrong_settings(error.problems), *misspelt(strangers())]:
            printer.show(finding)
        printer.stop()
        printer.end("The rest can be looked at once the settings are right.")
        raise SystemExit(1) from None
    try:
        run(_round(settings, chats, printer))
    finally:
        printer.stop()
    printer.end()
    if printer.counts[Level.BROKEN]:
        raise SystemExit(1)


def _chat(text: str) -> Address:
    try:
        return address_in(text, field="--post")
    except InvalidInput as error:
        raise typer.BadParameter(error.message.removeprefix("--post "), param_hint="--post") from None


async def _round(settings: Settings, chats: list[Address], printer: _Lines) -> None:
    # A server loads this module, too, and has no use for what asks others.
    from bot.doctor.card import posted
    from bot.doctor.doctor import Doctor

    looking = Doctor(settings, progress=printer.progress)
    async for finding in looking.findings():
        printer.show(finding)
    secrets = list(secrets_of(settings))
    for chat in chats:
        printer.progress(f"the test card in {chat}")
        async for finding in posted(looking.known, chat, printer.looked):
            printer.show(without_secrets(finding, secrets))


class _Lines:
    """Findings as JSON Lines."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(Level, 0)

    def progress(self, what: str) -> None:
        """Say what is being looked at."""

    def show(self, finding: Finding) -> None:
        self.counts[finding.level] += 1
        self.draw(finding)

    def draw(self, finding: Finding) -> None:
        print(json.dumps(finding.as_json(), ensure_ascii=False))

    async def looked(self, chat: Address) -> None:
        """Let somebody look at the test card."""

    def stop(self) -> None:
        """Nothing more is looked at."""

    def end(self, note: str = "") -> None:
        """All findings were shown; `note`: what else there is to say."""


class _Page(_Lines):
    """Findings for people: a heading for each area, a line for each thing, and below it what is to be done."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console()
        self._narrow = min(self._console.width, WIDTH)
        self._area = ""
        # On one terminal both must go through one console, or the moving line and the findings write over each other.
        self._beside = self._console if self._console.is_terminal else Console(stderr=True)
        self._status = self._beside.status("Looking at settings…")
        self._status.start()

    def progress(self, what: str) -> None:
        self._status.update(f"Looking at {what}…")

    def draw(self, finding: Finding) -> None:
        if finding.area != self._area:
            self._area = finding.area
            words = finding.area.replace("_", " ").capitalize()
            self._console.print(Text(f"\n{words}", style="bold"))
        row = Table.grid(Column(width=8), Column(width=14), Column(), padding=(0, 1))
        color = COLORS[finding.level]
        row.add_row(Text(finding.level, style=color), Text(finding.subject), Text(finding.sentence))
        if finding.fix:
            row.add_row("", Text("→", justify="right", style="cyan"), Text(finding.fix, style="cyan"))
        self._console.print(Padding(row, (0, 0, 0, 2)), width=self._narrow)

    async def looked(self, chat: Address) -> None:
        """Until somebody presses Enter, where there is a keyboard."""
        if not (sys.stdin.isatty() and self._beside.is_terminal):
            return
        self._status.stop()
        words = (
            ": a card “Test card” stands there. Tap its button: Assent, when it runs, answers in private that the tap "
            "has arrived. Then press Enter here, and the card is closed."
        )
        self._beside.print(Text.assemble(("\nLook at ", "bold"), (str(chat), "bold cyan"), words))
        pressed, loop = asyncio.Event(), asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), pressed.set)
        try:
            await pressed.wait()
            sys.stdin.readline()
        finally:
            loop.remove_reader(sys.stdin.fileno())
            self._status.start()

    def stop(self) -> None:
        self._status.stop()

    def end(self, note: str = "") -> None:
        broken, warnings = self.counts[Level.BROKEN], self.counts[Level.WARNING]
        if not broken and not warnings:
            self._console.print(Text("\nEverything is well.", style="bold green"))
            return
        parts = [f"{broken} broken" if broken else "", f"{warnings} to look into" if warnings else ""]
        style = "bold red" if broken else "bold yellow"
        self._console.print(Text(f"\n{', '.join(filter(None, parts))}. {note}".rstrip(), style=style))
