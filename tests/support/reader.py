"""Somebody with a browser and a review link: what the browser tests read and answer with."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from core.model import Opened
from tests.support.review_page import Desk, link_of, path_of

SLOW = 20_000  # milliseconds until what should show counts as missing, on a machine that is busy
PHONE = {"width": 390, "height": 844}


class Reader:
    """Somebody with a browser. At the end nothing may have gone wrong in it, nor anything been asked of other hosts."""

    def __init__(self, site: Desk, context: BrowserContext, page: Page) -> None:
        self._site = site
        self.context = context
        self.page = page
        self.wrong: list[str] = []
        self.asked: list[tuple[str, str]] = []
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", self._listen)
        page.on("request", lambda request: self.asked.append((request.method, request.url)))

    @property
    def hosts(self) -> set[str]:
        """Whom anything was asked of."""
        return {"{0.scheme}://{0.netloc}".format(urlsplit(url)) for _, url in self.asked}

    async def leave(self) -> None:
        """Close the browser's window. Raises AssertionError if anything had gone wrong in it."""
        await self.context.close()
        assert [] == self.wrong, self.wrong

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.wrong.append(message.text)

    async def open(self, opened: Opened, lang: str = "en") -> None:
        await self.page.goto(self._site.services.public_url + link_of(opened, lang))

    def posts(self, opened: Opened) -> int:
        """How often the form was sent."""
        return self.asked.count(("POST", self._site.services.public_url + path_of(opened)))

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def told(self, words: str) -> None:
        # As it is written: "nothing is approved" stands on a page that does not say "Approved" yet.
        await expect(self.page.get_by_text(re.compile(re.escape(words))).first).to_be_visible()


async def reader_of(site: Desk, browser: Browser, **options: Any) -> Reader:
    context = await browser.new_context(**({"viewport": PHONE, "locale": "en-GB"} | options))
    return Reader(site, context, await context.new_page())
