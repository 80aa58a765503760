"""`assent sources …`: which there are, and the operators' page of one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from bot.cli_tools import DatabaseOption, prepare, run, tools
from core.hub import Hub
from core.pushes import PASS_MINUTES, Pushes, Shown
from core.views import Views
from core.wording import visible

sources_app = typer.Typer(no_args_is_help=True, help="Sources, and how their webhooks stand.")


@sources_app.command("list")
def list_sources(database: DatabaseOption = None) -> None:
    """List the sources of all tenants."""
    settings = prepare(database)

    async def work() -> list[Shown]:
        async with tools(settings) as found:
            pushes, views = Pushes(found.database, found.ring, Hub()), Views(found.database, found.ring)
            return [shown for tenant in await views.tenants() for shown in await pushes.all(tenant)]

    table = Table(Column("source", no_wrap=True), "name", "mode", "webhook")
    for shown in run(work()):
        source, standing = shown.source, shown.standing
        table.add_row(source.source_id, visible(source.name), source.mode, standing.state if standing else "")
    Console().print(table)


@sources_app.command()
def page(
    source: Annotated[str, typer.Argument(help="A source's id, as `assent sources list` shows it")],
    database: DatabaseOption = None,
) -> None:
    """Print a link to a source's page: what was pushed, what failed, pause and resume. Whoever has it is let in."""
    settings = prepare(database)

    async def work() -> str:
        async with tools(settings) as found:
            return await Pushes(found.database, found.ring, Hub()).new_pass(source)

    base = settings.public_url or f"http://localhost:{settings.port}"
    print(f"{base}/operators/source?pass={run(work())}")
    Console(stderr=True).print(f"The link is good for {PASS_MINUTES} minutes.", highlight=False)
