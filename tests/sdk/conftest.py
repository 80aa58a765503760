"""The real server on each database, and people and programs around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from assent import AsyncAgent, AsyncExecutor
from tests.sdk.support import Clients, Relay, relay
from tests.support.patience import patient_pool
from tests.support.server import Client, Server, running

__all__ = ["patient_pool"]


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[Server]:
    async with running(database_url) as found:
        yield found


@pytest.fixture
async def on_sqlite(sqlite_url: str) -> AsyncIterator[Server]:
    """For what no database has a part in."""
    async with running(sqlite_url) as found:
        yield found


@pytest.fixture
async def people(server: Server) -> Client:
    return await server.client("agent")


@pytest.fixture
async def line(server: Server) -> AsyncIterator[Relay]:
    """A way to the server that can break."""
    async with relay(server.url) as found:
        yield found


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    """Makes clients of the SDK; they are closed after the test."""
    found = Clients()
    yield found
    for each in found.made:
        await each.close() if isinstance(each, AsyncAgent | AsyncExecutor) else await asyncio.to_thread(each.close)


@pytest.fixture
def agent(server: Server, people: Client, clients: Clients) -> AsyncAgent:
    return clients.agent(server.url, people.key)
