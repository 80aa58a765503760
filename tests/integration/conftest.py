"""A gate on each database, started and stopped around a test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.gates import World, world


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[World]:
    """One process on a new database; the test runs on SQLite and on PostgreSQL."""
    async with world(database_url) as found:
        yield found


@pytest.fixture
async def on_sqlite(sqlite_url: str) -> AsyncIterator[World]:
    async with world(sqlite_url) as found:
        yield found


@pytest.fixture
async def on_postgres(postgres_url: str) -> AsyncIterator[World]:
    async with world(postgres_url) as found:
        yield found
