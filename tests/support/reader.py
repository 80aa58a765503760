"""Somebody with a browser and a review link: what the browser tests read and answer with."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from core.model import Opened
from tests.support.review_page import Desk, link_of, path_of

SLOW = 20_000  # milliseconds until what should show counts as missing, on a machine that is busy
PHONE = {"width": 390, "height": 844}
# Windows that nobody looks through now, by how they were opened. To open one takes half a second of CPU.
_FREE: WeakKeyDictionary[Browser, dict[str, list[BrowserContext]]] = WeakKeyDictionary()


class Reader:
    """Somebody with a browser. At the end nothing may have gone wrong in it, nor anything been asked of other hosts."""

    def __init__(self, site: Desk, context: BrowserContext, page: Page, free: list[BrowserContext]) -> None:
        self._site = site
        self._free = free
        self._own_clock = False
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
        await self.close()
        assert [] == self.wrong, self.wrong

    async def close(self) -> None:
        """Close the browser's window, whatever has gone wrong in it. Another reader gets it as if it were new."""
        if self._own_clock:  # which cannot be taken away again
            await self.context.close()
            return
        await self.context.unroute_all(behavior="ignoreErrors")
        for page in self.context.pages:
            await page.close()
        await self.context.clear_cookies()
        await self.context.set_offline(False)
        self._free.append(self.context)

    async def stop_clock(self) -> None:
        """Let the test move the page's clock; set before the page is opened."""
        self._own_clock = True
        await self.page.clock.install()

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
    """Somebody who has just opened a window of these options. What a page of the site keeps (cookies, sessions of a
    tab, what is cached) is gone with the reader before, or belongs to the address of a site that is gone.
    """
    wanted = {"viewport": PHONE, "locale": "en-GB"} | options
    free = _FREE.setdefault(browser, {}).setdefault(repr(sorted(wanted.items())), [])
    context = free.pop() if free else await browser.new_context(**wanted)
    return Reader(site, context, await context.new_page(), free)
