"""`assent tenants …`: made, listed, suspended and resumed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table

from bot.cli_tools import DatabaseOption, Tools, prepare
from bot.key_commands import WHOEVER_IS_HERE, with_desk
from core.access import Keys
from core.keys import KeyDesk
from core.ledger import migrate
from core.schedule import iso
from core.tenants import OLDEST, Change, Tenant, Tenants
from core.wording import moment, visible

tenants_app = typer.Typer(no_args_is_help=True, help="Tenants.")

TenantArgument = Annotated[str, typer.Argument(help="A tenant's UUID, as `assent tenants list` shows it")]


def _with(database: str | None, work: Callable[[Tenants], Awaitable[Any]]) -> Any:
    async def opened(found: Tools, keys: Keys, _desk: KeyDesk) -> Any:
        return await work(Tenants(found.database, found.ring, keys))

    return with_desk(database, opened)


@tenants_app.command("create")
def create_tenant(
    name: Annotated[str, typer.Option(help="A name to recognise the tenant by")],
    database: DatabaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Make a tenant. `assent keys create --scope admin --tenant …` makes its first key."""

    migrate(prepare(database).database_url)

    async def work(tenants: Tenants) -> Any:
        return await tenants.create(WHOEVER_IS_HERE, name, None, lambda tenant: tenant.tenant_id)

    tenant: Tenant = _with(database, work)
    print(json.dumps(_as_json(tenant), ensure_ascii=False) if as_json else f"Tenant: {tenant.tenant_id}")


@tenants_app.command("list")
def list_tenants(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, oldest first")] = 100,
    database: DatabaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines")] = False,
) -> None:
    """List the tenants."""

    async def work(tenants: Tenants) -> list[Tenant]:
        return await tenants.list(OLDEST, limit)

    table = Table(Column("tenant", no_wrap=True), "name", "made", "default source", "state")
    for tenant in _with(database, work):
        if as_json:
            print(json.dumps(_as_json(tenant), ensure_ascii=False))
        else:
            state = "" if tenant.suspended_at is None else f"suspended {moment(tenant.suspended_at)}"
            made, source = moment(tenant.created_at), tenant.default_source_id or ""
            table.add_row(tenant.tenant_id, visible(tenant.name or ""), made, source, state)
    if not as_json:
        Console().print(table)


@tenants_app.command("suspend")
def suspend_tenant(tenant: TenantArgument, database: DatabaseOption = None) -> None:
    """Let none of a tenant's keys in. Once this has ended, no server does."""
    _with(database, lambda tenants: tenants.change(tenant, Change(suspended=True)))
    print(f"Suspended: {tenant}")


@tenants_app.command("resume")
def resume_tenant(tenant: TenantArgument, database: DatabaseOption = None) -> None:
    """Let a suspended tenant's keys in again."""
    _with(database, lambda tenants: tenants.change(tenant, Change(suspended=False)))
    print(f"Resumed: {tenant}")


def _as_json(tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.name,
        "created_at": iso(tenant.created_at),
        "suspended_at": None if tenant.suspended_at is None else iso(tenant.suspended_at),
        "default_source_id": tenant.default_source_id,
    }
