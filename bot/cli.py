"""The command line. Every command says in plain words what went wrong, and exits 1 (or 2 for wrong words)."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from bot import logs
from bot.cli_tools import DatabaseOption, prepare, run, tools
from bot.delivery_commands import deliveries_app
from bot.doctor_commands import doctor
from bot.key_commands import keys_app
from bot.people_commands import groups_app, reviewers_app
from bot.policy_commands import policy_app
from bot.result_commands import verify_result
from bot.retention_commands import retention
from bot.roles import parse_roles
from bot.seal_commands import load, seals_app
from bot.source_commands import sources_app
from bot.tenant_commands import tenants_app
from core.errors import AssentError
from core.ledger import migrate
from core.oracle_list import script
from core.oracles import Finding, Oracles, Progress
from core.sealing import Unsealable
from core.views import Views
from core.wording import moment, visible

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Assent: the gate between agents and what they may do."
)
app.add_typer(tenants_app, name="tenants")
app.add_typer(keys_app, name="keys")
app.add_typer(deliveries_app, name="deliveries")
app.add_typer(sources_app, name="sources")
app.add_typer(policy_app, name="policy")
app.add_typer(seals_app, name="seals")
app.add_typer(groups_app, name="groups")
app.add_typer(reviewers_app, name="reviewers")

SWITCH_SECONDS = 0.001  # the writer thread asks for the interpreter often; the default 5 ms would be its latency


def main() -> None:
    """Entry point of `assent`."""
    try:
        app()
    except Unsealable:
        _fail("ASSENT_SECRET_KEY is not the one that this database was set up with; set the right one")
    except AssentError as error:
        _fail(error.message)


def _fail(message: str) -> None:
    # Not wrapped, and no markup: what is wrong may be a path, and may be searched for.
    Console(stderr=True).print(Text.assemble(("assent:", "bold red"), " ", message), soft_wrap=True)
    raise SystemExit(1)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default: HOST")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for a free one; default: PORT")] = None,
    database: DatabaseOption = None,
    roles: Annotated[str | None, typer.Option(help="api,slack,telegram,courier,clock; default: all")] = None,
    no_migrate: Annotated[bool, typer.Option("--no-migrate", help="Leave the schema as it is")] = False,
) -> None:
    """Run Assent."""
    from bot.serve import running

    settings = prepare(database, host=host, port=port)
    chosen = parse_roles(roles, settings)
    if not no_migrate:
        migrate(settings.database_url)
    sys.setswitchinterval(SWITCH_SECONDS)

    async def work() -> None:
        async with running(settings, chosen) as (process, serving):
            # What was loaded and wired stays; to look through it again and again costs 7 % of a case.
            gc.collect()
            gc.freeze()
            gc.set_threshold(20_000, 20, 50)
            for name in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(name, process.stop)
            await serving

    run(work())


@app.command()
def verify(
    database: DatabaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON Lines")] = False,
    seals: Annotated[str | None, typer.Option(help="A file of `assent seals export`; - for the input")] = None,
    sql: Annotated[
        Literal["sqlite", "postgresql"] | None, typer.Option(help="Only print what is asked as SQL, for this database")
    ] = None,
) -> None:
    """Hold the ledger, the decisions and the events against each other. Exits 0 only when nothing is wrong."""
    if sql is not None:
        print(script(sql), end="")
        return
    settings = prepare(database)
    console = Console(stderr=True)
    exported = [] if seals is None else load(seals)

    async def work(watch: Callable[[Progress], None]) -> tuple[list[Finding], int]:
        async with tools(settings) as opened:
            oracles = Oracles(opened.database, opened.ring, watch)
            return await oracles.findings(exported), oracles.erased

    with console.status("Verifying…") as status:
        findings, erased = run(work(lambda seen: status.update(f"Verifying: {seen.oracle}, {seen.rows} rows")))
    for finding in findings:
        if as_json:
            print(json.dumps({"oracle": finding.oracle, "key": finding.key, "detail": finding.detail}))
        else:
            print(f"{finding.oracle}: {finding.key}: {finding.detail}")
    if findings:
        raise SystemExit(1)
    if not as_json:
        print("All oracles are zero: the ledger, the decisions and the events agree.")
        if erased:
            print(f"{erased} of their rows were erased, and stand as the ledger says that they were left.")


@app.command()
def cases(
    database: DatabaseOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines")] = False,
) -> None:
    """List the newest cases, and where their cards stand."""
    settings = prepare(database)

    async def work() -> list[tuple[Any, list[Any]]]:
        async with tools(settings) as opened:
            views = Views(opened.database, opened.ring)
            found = [case for tenant in await views.tenants() for case in await views.recent(tenant, limit)]
            found.sort(key=lambda case: -case.created_at)
            return [(case, await views.cards(case.case_id)) for case in found[:limit]]

    table = Table(Column("case", no_wrap=True), "type", "status", "prompt", "asked", "expires", "cards")
    for case, cards in run(work()):
        where = [f"{card.address} {_card_state(card)}" for card in cards]
        if as_json:
            row = {"case_id": case.case_id, "tenant_id": case.tenant_id, "type": case.type, "status": case.status}
            print(json.dumps(row | {"prompt": case.prompt, "cards": where}, ensure_ascii=False))
        else:
            asked, expires = moment(case.created_at), moment(case.expires_at)
            table.add_row(
                case.case_id, case.type, str(case.status), visible(case.prompt), asked, expires, "\n".join(where)
            )
    if not as_json:
        Console().print(table)


def _card_state(card: Any) -> str:
    if card.state == "dead":
        return f"could not be shown: {card.last_error}"
    if card.shown_version < card.wanted_version:
        return f"waiting: {card.last_error}" if card.last_error else "waiting"
    return "shown"


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="Tap by script, print the events and end")] = False,
    port: Annotated[int, typer.Option(help="Port of the web messenger, 0 for a free one")] = 0,
) -> None:
    """Try Assent with a built-in web messenger: no account, no token."""
    from bot.demo import run_demo

    logs.configure("text", quiet=True)
    sys.setswitchinterval(SWITCH_SECONDS)
    raise SystemExit(run(run_demo(once=once, port=port)))


# The help lists commands in this order: what is needed first stands first.
app.command()(doctor)
app.command()(retention)
app.command("verify-result")(verify_result)
