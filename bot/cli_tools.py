"""What all commands of the command line need: the settings, a database, and an event loop to work in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer
import uvloop

from bot import logs
from bot.secret_key import key_ring
from bot.settings import Settings, read_settings
from core.hub import Hub
from core.ledger import Database, open_database
from core.sealing import KeyRing

DatabaseOption = Annotated[
    str | None, typer.Option("--database", help="sqlite:///FILE or postgresql://…; default: DATABASE_URL")
]


@dataclass(frozen=True, slots=True)
class Tools:
    """What commands beside a server work with."""

    settings: Settings
    database: Database
    ring: KeyRing
    hub: Hub


def run(work: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def prepare(database: str | None, **given: Any) -> Settings:
    settings = read_settings(database_url=database, **given)
    logs.configure(settings.log_format)
    return settings


@asynccontextmanager
async def tools(settings: Settings) -> AsyncIterator[Tools]:
    database, hub = open_database(settings.database_url, pool_size=2), Hub()
    await database.start(hub)
    try:
        yield Tools(settings, database, key_ring(settings), hub)
    finally:
        await database.close()
