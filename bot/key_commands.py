"""`assent keys …`: made, listed, replaced and taken away, for any tenant and for operators."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Column, Table

from bot.cli_tools import DatabaseOption, Tools, prepare, run, tools
from core.access import CallbackSignature, Keys, Scope
from core.keys import MAX_GRACE_SECONDS, NEWEST, Key, KeyDesk, Made
from core.ledger import migrate
from core.ledger.tenant_queries import OPERATORS
from core.model import Principal
from core.schedule import iso
from core.views import Views
from core.wording import moment, visible

keys_app = typer.Typer(no_args_is_help=True, help="API keys.")

KeyArgument = Annotated[str, typer.Argument(help="A key's id, as `assent keys list` shows it")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON")]
SCOPES = ("agent", "executor", "reviewer", "admin", "operator")
WHOEVER_IS_HERE = Principal("command-line", OPERATORS, "operator")


def with_desk(database: str | None, work: Callable[[Tools, Keys, KeyDesk], Awaitable[Any]]) -> Any:
    settings = prepare(database)

    async def opened() -> Any:
        async with tools(settings) as found:
            keys = Keys(found.database, found.ring, found.hub)
            return await work(found, keys, KeyDesk(found.database, found.ring, keys))

    return run(opened())


@keys_app.command("create")
def create_key(
    scope: Annotated[str, typer.Option(help="agent, executor, reviewer, admin or operator")],
    tenant: Annotated[str | None, typer.Option(help="A tenant's UUID; default: the first tenant")] = None,
    name: Annotated[str | None, typer.Option(help="A name to recognise the key by")] = None,
    callback_signature: Annotated[
        str | None, typer.Option(help="sha256: sign this key's callbacks in the public specification's form")
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Bind the key to this source; may be given several times")
    ] = None,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an API key. It is shown once. An operator's key administers tenants, over the API, and can do nothing
    else."""
    if scope not in SCOPES:
        raise typer.BadParameter(f"choose {', '.join(SCOPES[:-1])} or {SCOPES[-1]}", param_hint="--scope")
    if callback_signature not in (None, "sha256"):
        raise typer.BadParameter("choose sha256, or leave it out", param_hint="--callback-signature")
    if source and scope == "admin":
        raise typer.BadParameter("an admin's key is for all sources of its tenant", param_hint="--source")
    if scope == "operator" and (source or tenant or callback_signature):
        raise typer.BadParameter(
            "an operator's key belongs to no tenant: give nothing but a name", param_hint="--scope"
        )
    form = cast(CallbackSignature | None, callback_signature)
    migrate(prepare(database).database_url)

    async def work(_found: Tools, keys: Keys, _desk: KeyDesk) -> tuple[str, Principal]:
        await keys.check_ring()
        return await keys.create(cast(Scope, scope), tenant, name, callback_signature=form, sources=source or None)

    key, principal = with_desk(database, work)
    if as_json:
        print(json.dumps({"key": key, "key_id": principal.key_id, "tenant_id": principal.tenant_id}))
    else:
        whose = "Tenant: none, it administers them" if scope == "operator" else f"Tenant: {principal.tenant_id}"
        print(f"Key (shown only now): {key}\n{whose}\nScope: {scope}")


@keys_app.command("list")
def list_keys(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first")] = 50,
    database: DatabaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines")] = False,
) -> None:
    """List API keys, without the keys themselves: whose they are, what they may, and when they were used."""

    async def work(found: Tools, _keys: Keys, desk: KeyDesk) -> list[Key]:
        tenants = [tenant] if tenant else await Views(found.database, found.ring).tenants()
        keys = [key for one in tenants for key in await desk.list(one, NEWEST, limit)]
        return sorted(keys, key=lambda key: -key.created_at)[:limit]

    table = Table(
        Column("key", no_wrap=True),
        Column("scope", no_wrap=True),
        "name",
        "tenant",
        "sources",
        "made",
        "last used",
        "state",
    )
    for key in with_desk(database, work):
        if as_json:
            print(json.dumps(_as_json(key), ensure_ascii=False))
        else:
            table.add_row(
                key.key_id,
                key.scope,
                visible(key.name or ""),
                "" if key.tenant_id == OPERATORS else key.tenant_id,
                "\n".join(key.sources or ()),
                moment(key.created_at),
                "" if key.last_used_at is None else moment(key.last_used_at),
                _state(key),
            )
    if not as_json:
        Console().print(table)


@keys_app.command("revoke")
def revoke_key(key: KeyArgument, database: DatabaseOption = None) -> None:
    """Take a key away. Once this has ended, no server lets it in."""

    async def work(_found: Tools, _keys: Keys, desk: KeyDesk) -> Key:
        return await desk.revoke(await desk.tenant_of(key), key, also_last=True)

    revoked: Key = with_desk(database, work)
    print(f"Revoked: {revoked.key_id} ({revoked.scope})")


@keys_app.command("rotate")
def rotate_key(
    key: KeyArgument,
    grace_seconds: Annotated[int, typer.Option(min=0, max=MAX_GRACE_SECONDS, help="How long the old key works on")] = 0,
    database: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Replace a key by a new one that can do the same. The new one is shown once."""

    async def work(_found: Tools, keys: Keys, desk: KeyDesk) -> Made:
        await keys.check_ring()
        tenant_id = await desk.tenant_of(key)
        made = await desk.rotate(WHOEVER_IS_HERE, tenant_id, key, grace_seconds, None, lambda made: made.key.key_id)
        return cast(Made, made)  # nothing was asked to be kept

    made: Made = with_desk(database, work)
    old = cast(Key, made.replaces)
    if as_json:
        found = {"key": made.raw, "key_id": made.key.key_id, "replaces": _as_json(old)}
        print(json.dumps(found, ensure_ascii=False))
    else:
        print(f"Key (shown only now): {made.raw}\nThe old one: {_state(old)}")


def _state(key: Key) -> str:
    match key.state:
        case "active":
            return "active"
        case "ending":
            return f"works until {moment(key.revoked_at or 0)}"
        case "revoked":
            return f"revoked {moment(key.revoked_at or 0)}"


def _as_json(key: Key) -> dict[str, Any]:
    moments = {name: getattr(key, name) for name in ("created_at", "last_used_at", "revoked_at")}
    return {
        "key_id": key.key_id,
        "tenant_id": None if key.tenant_id == OPERATORS else key.tenant_id,
        "scope": key.scope,
        "name": key.name,
        "sources": None if key.sources is None else list(key.sources),
        "callback_signature": key.callback_signature,
        "state": key.state,
        **{name: None if when is None else iso(when) for name, when in moments.items()},
    }
