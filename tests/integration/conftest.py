"""A gate on each database, and Assent beside the local Slack, started and stopped around a test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.integration.slack_support import core, messenger, over_http, patient, sandbox, slack
from tests.support.gates import World, world
from tests.support.patience import busy_pool, patient_pool

__all__ = [
    "busy_pool",
    "core",
    "here",
    "messenger",
    "on_postgres",
    "on_sqlite",
    "over_http",
    "patient",
    "patient_pool",
    "sandbox",
    "slack",
]


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
