"""A database past the core: its rows, a time in which nothing can be written, and waiting for what no event tells."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

T = TypeVar("T")


@asynccontextmanager
async def stalled(url: str, seconds: float | None = None) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Nothing can be written for `seconds`, or until what is yielded is called; leaving the block waits for it."""
    over = asyncio.Event()

    async def until_over() -> None:
        try:
            async with asyncio.timeout(seconds):
                await over.wait()
        except TimeoutError:
            return

    begun = asyncio.Event()

    async def hold() -> None:
        if url.startswith("sqlite:"):
            connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=5)
            try:
                connection.execute("BEGIN EXCLUSIVE")
                begun.set()
                await until_over()
                connection.execute("ROLLBACK")
            finally:
                connection.close()
        else:
            session = await asyncpg.connect(url)
            try:
                async with session.transaction():
                    await session.execute(
                        "LOCK TABLE cases, human_interactions, cards, leases, identities, codes IN EXCLUSIVE MODE"
                    )
                    begun.set()
                    await until_over()
            finally:
                await session.close()

    async def end() -> None:
        over.set()
        await holding

    holding = asyncio.create_task(hold())
    await begun.wait()
    try:
        yield end
    except BaseException:
        over.set()
        raise
    finally:
        await holding


async def rows(url: str, sql: str) -> list[dict[str, Any]]:
    """What a statement gives, on a connection of its own."""
    if url.startswith("sqlite:"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(sql)]
        finally:
            connection.close()
    session = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await session.fetch(sql)]
    finally:
        await session.close()


async def eventually(look: Callable[[], Awaitable[T | None]], within: float = 30.0) -> T:
    """What `look` gives once it is true; for what no event announces (rows of a database)."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if found := await look():
            return found
        await asyncio.sleep(0.02)
    raise TimeoutError("it did not happen in time")
