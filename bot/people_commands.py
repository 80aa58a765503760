"""`assent groups …` and `assent reviewers …`: who is in which group, and which identities are one person."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Column, Table

from bot.cli_tools import DatabaseOption, prepare, run, tools
from core.codes import CodeDesk
from core.errors import InvalidInput, NotFound
from core.groups import Group, Groups
from core.people import People
from core.views import Views
from core.wording import moment, visible

T = TypeVar("T")

groups_app = typer.Typer(no_args_is_help=True, help="Groups of reviewers, which policies name: group:<name>.")
reviewers_app = typer.Typer(no_args_is_help=True, help="Reviewers, and the identities that are theirs.")

TenantOption = Annotated[str | None, typer.Option("--tenant", help="A tenant's UUID; default: the first tenant")]
NameArgument = Annotated[str, typer.Argument(help="The group's name: lower case letters, digits, - and _")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON Lines")]


def _with_groups(database: str | None, tenant: str | None, work: Callable[[Groups, str], Awaitable[T]]) -> T:
    async def body() -> T:
        async with tools(prepare(database)) as found:
            known = await Views(found.database, found.ring).tenants()
            if not known or tenant not in (None, *known):
                raise NotFound("there is no such tenant")
            return await work(Groups(found.database), tenant or known[0])

    found: T = run(body())
    return found


def _with_people(database: str | None, work: Callable[[People], Awaitable[T]]) -> T:
    async def body() -> T:
        async with tools(prepare(database)) as found:
            return await work(People(found.database, CodeDesk(found.database)))

    found: T = run(body())
    return found


@groups_app.command("list")
def list_groups(tenant: TenantOption = None, database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List a tenant's groups."""
    found = _with_groups(database, tenant, lambda groups, tenant_id: groups.all(tenant_id))
    if as_json:
        for group in found:
            print(json.dumps({"name": group.name, "members": group.members}))
        return
    table = Table(Column("group", no_wrap=True), "members", "changed")
    for group in found:
        table.add_row(group.name, ", ".join(group.members), moment(group.updated_at))
    Console().print(table)


@groups_app.command("set")
def set_group(
    name: NameArgument,
    members: Annotated[list[str], typer.Argument(help="Everybody who is to be in it: slack:U…, telegram:…")],
    tenant: TenantOption = None,
    database: DatabaseOption = None,
) -> None:
    """Say who is in a group. Whoever is not listed is not in it any more, and decides nothing more through it."""
    group: Group = _with_groups(database, tenant, lambda groups, tenant_id: groups.put(tenant_id, name, members))
    print(f"Group {group.name}: {', '.join(group.members)}")


@groups_app.command("drop")
def drop_group(name: NameArgument, tenant: TenantOption = None, database: DatabaseOption = None) -> None:
    """Drop a group: nobody is in it any more."""
    _with_groups(database, tenant, lambda groups, tenant_id: groups.drop(tenant_id, name))
    print(f"Dropped: {name}")


@reviewers_app.command("list")
def list_reviewers(database: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List the people that are known by name, each with all of their identities."""
    table = Table(Column("identity", no_wrap=True), "name", "same person as")
    for people in _with_people(database, lambda people: people.everybody()):
        for one in people:
            others = ", ".join(other.key for other in people if other is not one)
            if as_json:
                print(json.dumps({"identity": one.key, "name": one.display_name, "linked": others.split(", ")}))
            else:
                table.add_row(one.key, visible(one.display_name or ""), others)
    if not as_json:
        Console().print(table)


@reviewers_app.command("remove")
def remove(
    reviewer: Annotated[str, typer.Argument(help="slack:U… or telegram:<user id>; what is linked to it goes with it")],
    database: DatabaseOption = None,
) -> None:
    """Somebody has left: they decide nothing more under any of their identities, are signed out, and stand in for
    nobody; nobody stands in for them. What they have decided stays.
    """
    print(f"Removed: {', '.join(_with_people(database, lambda people: people.remove(reviewer)))}")


@reviewers_app.command("restore")
def restore(
    reviewer: Annotated[str, typer.Argument(help="As `assent reviewers removed` shows it")],
    database: DatabaseOption = None,
) -> None:
    """Let somebody decide again who was removed."""
    if not _with_people(database, lambda people: people.restore(reviewer)):
        raise InvalidInput("this one is not removed")
    print(f"Restored: {reviewer}")


@reviewers_app.command("removed")
def removed(database: DatabaseOption = None) -> None:
    """List who was removed."""
    for address in _with_people(database, lambda people: people.removed()):
        print(address)


@reviewers_app.command("unlink")
def unlink(
    identity: Annotated[str, typer.Argument(help="As `assent reviewers list` shows it: telegram:4711")],
    database: DatabaseOption = None,
) -> None:
    """Undo a link. From then on they count as two people: only do so when they are."""
    if not _with_people(database, lambda people: people.unlink(identity)):
        raise InvalidInput("this identity is not linked to another one")
    print(f"Unlinked: {identity}")
