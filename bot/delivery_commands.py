"""`assent deliveries …`: what was sent, what was not, and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.table import Column, Table

from bot.cli_tools import DatabaseOption, prepare, run, tools
from core.deliveries import Deliveries, Listed
from core.errors import InvalidInput
from core.schedule import iso, parse_instant
from core.wording import moment

deliveries_app = typer.Typer(no_args_is_help=True, help="Webhooks and callbacks, and the endpoints they go to.")

EndpointArgument = Annotated[str, typer.Argument(help="An endpoint's id, as `assent deliveries list` shows it")]
STATES = ("waiting", "delivered", "failed")
_END = 9_007_199_254_740_991


def _with(database: str | None, work: Callable[[Deliveries], Awaitable[Any]]) -> Any:
    settings = prepare(database)

    async def opened() -> Any:
        async with tools(settings) as found:
            return await work(Deliveries(found.database, {}))

    return run(opened())


@deliveries_app.command("list")
def list_deliveries(
    state: Annotated[str | None, typer.Option(help="waiting, delivered or failed")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Only this endpoint")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first")] = 20,
    database: DatabaseOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines")] = False,
) -> None:
    """List the newest deliveries and how their endpoints stand."""
    if state is not None and state not in STATES:
        raise typer.BadParameter(f"choose from {', '.join(STATES)}", param_hint="--state")

    async def work(deliveries: Deliveries) -> list[Listed]:
        return await deliveries.listing(state=state, endpoint_id=endpoint, limit=limit)

    table = Table(
        Column("delivery", no_wrap=True), "kind", "case", "state", "tries", "made", "endpoint", "last outcome"
    )
    for one in _with(database, work):
        if as_json:
            print(json.dumps(_as_json(one), ensure_ascii=False))
        else:
            table.add_row(
                one.delivery_id,
                one.kind,
                one.case_id or "",
                one.state if one.state != "waiting" else f"waiting until {moment(one.due_at)}",
                str(one.attempts),
                moment(one.created_at),
                f"{one.endpoint_id} {one.endpoint_state}\n{_place(one.url)}",
                one.last_error or ("" if one.last_status is None else str(one.last_status)),
            )
    if not as_json:
        Console().print(table)


def _as_json(one: Listed) -> dict[str, Any]:
    return {
        "delivery_id": one.delivery_id,
        "tenant_id": one.tenant_id,
        "kind": one.kind,
        "case_id": one.case_id,
        "message_id": one.message_id,
        "state": one.state,
        "attempts": one.attempts,
        "created_at": iso(one.created_at),
        "due_at": iso(one.due_at) if one.state == "waiting" else None,
        "finished_at": None if one.finished_at is None else iso(one.finished_at),
        "last_status": one.last_status,
        "last_error": one.last_error,
        "endpoint": {
            "endpoint_id": one.endpoint_id,
            "host": _place(one.url),
            "state": one.endpoint_state,
            "reason": one.endpoint_reason,
        },
    }


def _place(url: str | None) -> str:
    """Where it goes, without path and query: they may hold what lets in."""
    return "" if url is None else urlsplit(url).netloc


@deliveries_app.command()
def replay(
    delivery_ids: Annotated[list[str] | None, typer.Argument(help="Failed deliveries to try again")] = None,
    since: Annotated[str | None, typer.Option(help="All that failed, made since 2026-02-21T10:00:00Z")] = None,
    until: Annotated[str | None, typer.Option(help="… and before; default: now")] = None,
    endpoint: Annotated[str | None, typer.Option(help="… and only of this endpoint")] = None,
    database: DatabaseOption = None,
) -> None:
    """Try failed deliveries again, by id or by range. Each begins its schedule anew, with the same message id."""
    if bool(delivery_ids) == (since is not None):
        raise typer.BadParameter("name deliveries, or a range with --since")
    if delivery_ids and (until or endpoint):
        raise typer.BadParameter("--until and --endpoint go with --since")

    async def work(deliveries: Deliveries) -> int:
        if delivery_ids:
            return await deliveries.replay(delivery_ids)
        return await deliveries.replay_range(_instant(since, "--since", 0), _instant(until, "--until", _END), endpoint)

    count = _with(database, work)
    print(f"{count} {'delivery' if count == 1 else 'deliveries'} will be tried again.")


def _instant(text: str | None, field: str, default: int) -> int:
    if text is None:
        return default
    try:
        return parse_instant(text, field=field)
    except InvalidInput as error:
        raise typer.BadParameter(error.message) from None


@deliveries_app.command()
def pause(endpoint: EndpointArgument, database: DatabaseOption = None) -> None:
    """Send nothing to an endpoint; what comes up for it waits."""
    _with(database, lambda deliveries: deliveries.pause(endpoint))
    print(f"{endpoint} is paused.")


@deliveries_app.command()
def resume(endpoint: EndpointArgument, database: DatabaseOption = None) -> None:
    """Send to an endpoint again that was paused, or that was disabled because it answered 410."""
    _with(database, lambda deliveries: deliveries.resume(endpoint))
    print(f"{endpoint} is active.")
