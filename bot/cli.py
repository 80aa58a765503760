"""The command line. Every command says in plain words what went wrong, and exits 1 (or 2 for wrong words)."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, cast

import typer
import uvloop
from rich.console import Console
from rich.table import Column, Table

from bot import logs
from bot.secret_key import key_ring
from bot.settings import Settings, parse_roles, read_settings
from core.access import Keys, Scope
from core.errors import AssentError
from core.hub import Hub
from core.ledger import Database, migrate, open_database
from core.messages import moment, visible
from core.oracles import Finding, Oracles, Progress
from core.sealing import KeyRing, Unsealable
from core.views import Views

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Assent: the gate between agents and what they may do."
)
keys_app = typer.Typer(no_args_is_help=True, help="API keys.")
app.add_typer(keys_app, name="keys")

SWITCH_SECONDS = 0.001  # the writer thread asks for the interpreter often; the default 5 ms would be its latency

DatabaseOption = Annotated[
    str | None, typer.Option("--database", help="sqlite:///FILE or postgresql://…; default: DATABASE_URL")
]


@dataclass(frozen=True, slots=True)
class Tools:
    """What commands beside a server work with."""

    settings: Settings
    database: Database
    ring: KeyRing


def main() -> None:
    """Entry point of `assent`."""
    try:
        app()
    except Unsealable:
        _fail("ASSENT_SECRET_KEY is not the one that this database was set up with; set the right one")
    except AssentError as error:
        _fail(error.message)


def _fail(message: str) -> None:
    Console(stderr=True).print(f"[bold red]assent:[/] {message}", highlight=False)
    raise SystemExit(1)


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def _prepare(database: str | None, **given: Any) -> Settings:
    settings = read_settings(database_url=database, **given)
    logs.configure(settings.log_format)
    return settings


@asynccontextmanager
async def _tools(settings: Settings) -> AsyncIterator[Tools]:
    database = open_database(settings.database_url, pool_size=2)
    await database.start(Hub())
    try:
        yield Tools(settings, database, key_ring(settings))
    finally:
        await database.close()


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

    settings = _prepare(database, host=host, port=port)
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

    _run(work())


@keys_app.command("create")
def create_key(
    scope: Annotated[str, typer.Option(help="agent, executor, reviewer or admin")],
    tenant: Annotated[str | None, typer.Option(help="A tenant's UUID; default: the first tenant")] = None,
    name: Annotated[str | None, typer.Option(help="A name to recognise the key by")] = None,
    database: DatabaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Make an API key. It is shown once."""
    if scope not in ("agent", "executor", "reviewer", "admin"):
        raise typer.BadParameter("choose agent, executor, reviewer or admin", param_hint="--scope")
    settings = _prepare(database)
    migrate(settings.database_url)

    async def work() -> tuple[str, str]:
        async with _tools(settings) as tools:
            keys = Keys(tools.database, tools.ring)
            await keys.check_ring()
            raw, principal = await keys.create(cast(Scope, scope), tenant, name)
            return raw, principal.tenant_id

    key, tenant_id = _run(work())
    if as_json:
        print(json.dumps({"key": key, "tenant_id": tenant_id}))
    else:
        print(f"Key (shown only now): {key}\nTenant: {tenant_id}\nScope: {scope}")


@app.command()
def verify(
    database: DatabaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON Lines")] = False,
) -> None:
    """Hold the ledger, the decisions and the events against each other. Exits 0 only when nothing is wrong."""
    settings = _prepare(database)
    console = Console(stderr=True)

    async def work(watch: Callable[[Progress], None]) -> list[Finding]:
        async with _tools(settings) as tools:
            return await Oracles(tools.database, tools.ring, watch).findings()

    with console.status("Verifying…") as status:
        findings = _run(work(lambda seen: status.update(f"Verifying: {seen.oracle}, {seen.rows} rows")))
    for finding in findings:
        if as_json:
            print(json.dumps({"oracle": finding.oracle, "key": finding.key, "detail": finding.detail}))
        else:
            print(f"{finding.oracle}: {finding.key}: {finding.detail}")
    if findings:
        raise SystemExit(1)
    if not as_json:
        print("All oracles are zero: the ledger, the decisions and the events agree.")


@app.command()
def cases(
    database: DatabaseOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines")] = False,
) -> None:
    """List the newest cases, and where their cards stand."""
    settings = _prepare(database)

    async def work() -> list[tuple[Any, list[Any]]]:
        async with _tools(settings) as tools:
            views = Views(tools.database, tools.ring)
            found = [case for tenant in await views.tenants() for case in await views.recent(tenant, limit)]
            found.sort(key=lambda case: -case.created_at)
            return [(case, await views.cards(case.case_id)) for case in found[:limit]]

    table = Table(Column("case", no_wrap=True), "type", "status", "prompt", "asked", "expires", "cards")
    for case, cards in _run(work()):
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
    raise SystemExit(_run(run_demo(once=once, port=port)))
