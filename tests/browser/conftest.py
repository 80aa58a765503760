"""One Chromium for all browser tests of a process, and a new gate with its review page for each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.support.browser import chromium
from tests.support.reader import SLOW, Reader, reader_of
from tests.support.review_page import Desk, served


@pytest_asyncio.fixture(loop_scope="package", scope="package")
async def browser() -> AsyncIterator[Browser]:
    expect.set_options(timeout=SLOW)
    async with chromium() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="package")
async def site(sqlite_url: str) -> AsyncIterator[Desk]:
    async with served(sqlite_url) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="package")
async def reader(site: Desk, browser: Browser) -> AsyncIterator[Reader]:
    found = await reader_of(site, browser)
    yield found
    await found.leave()
    assert found.hosts == {site.services.public_url}


@pytest_asyncio.fixture(loop_scope="package")
async def plain_reader(site: Desk, browser: Browser) -> AsyncIterator[Reader]:
    """A reader whose browser runs no scripts."""
    found = await reader_of(site, browser, java_script_enabled=False)
    yield found
    await found.leave()
