"""`assent retention`: what was erased, what is due, and what that waits for. Reads only."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from bot.cli_tools import DatabaseOption, prepare, run, tools
from core.errors import InvalidInput
from core.retention import Retention, Standing
from core.wording import moment


def retention(
    database: DatabaseOption = None,
    days: Annotated[int | None, typer.Option(min=1, help="As if it were set to this; default: RETENTION_DAYS")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Show how far the erasing of decided content is, and what waits for what."""
    settings = prepare(database)
    kept = days or settings.retention_days
    if kept is None:
        raise InvalidInput("RETENTION_DAYS is not set, so nothing is erased; --days shows what would be")

    async def work() -> Standing:
        async with tools(settings) as found:
            return await Retention(found.database, found.hub, found.ring, kept).standing()

    standing: Standing = run(work())
    if as_json:
        waiting = [{"reason": one.reason, "total": one.total, "oldest": one.oldest} for one in standing.waiting]
        print(json.dumps({"days": kept, "erased": standing.erased, "due": standing.due, "waiting": waiting}))
        return
    ago = "a day" if kept == 1 else f"{kept} days"
    print(f"Erased: {standing.erased}. Closed more than {ago} ago, and to be erased next: {standing.due}.")
    for one in standing.waiting:
        print(f"Waiting: {one.total}, because {one.reason} (the oldest was closed on {moment(one.oldest)}).")
