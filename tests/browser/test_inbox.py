"""The inbox in a real Chromium: the list beside the case, the keyboard, what happens live, several together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from core.model import Opened
from core.schedule import HOUR
from core.states import Status
from tests.support.axe import COLOURS, overflows, restless, unfocused, untouchable, violations
from tests.support.inbox import ADA, BEN, INBOX, answered, asked, place
from tests.support.reader import PHONE, SLOW, Reader, reader_of
from tests.support.review_page import Desk

pytestmark = pytest.mark.asyncio(loop_scope="package")

WIDE = {"width": 1280, "height": 800}


async def enter(site: Desk, reader: Reader) -> Page:
    """Sign in as Ada, by the bot's link."""
    code = await site.services.sessions.sign_in_code(ADA)
    await reader.page.goto(f"{site.services.public_url}{INBOX}/enter?code={code}")
    await reader.press("Sign in")
    await expect(reader.page).to_have_url(f"{site.services.public_url}{INBOX}")
    return reader.page


@pytest_asyncio.fixture(loop_scope="package")
async def wide(site: Desk, browser: Browser) -> AsyncIterator[Reader]:
    found = await reader_of(site, browser, viewport=WIDE)
    yield found
    await found.leave()
    assert found.hosts == {site.services.public_url}


async def status(site: Desk, opened: Opened) -> Status:
    return (await site.case(opened)).status


async def test_the_keyboard_opens_and_decides_and_no_stray_key_does(site: Desk, wide: Reader) -> None:
    first = await asked(site, "First?", timeout_ms=HOUR)
    second = await asked(site, "Second?", timeout_ms=2 * HOUR, message="A long story. " * 400)
    page = await enter(site, wide)
    await page.keyboard.press("a")
    await expect(page.locator(".hinted")).to_contain_text("Open a case first")
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="First?")).to_be_visible()
    button = page.get_by_role("button", name="Approve", exact=True)
    await page.keyboard.press("a")
    await expect(button).to_be_focused()
    await page.keyboard.press("k")  # another key lets go
    await page.keyboard.press("a")
    assert Status.COMPLETED is not await status(site, first)
    await expect(button).to_have_class("button primary armed")
    recorded = page.get_by_text("Your answer is recorded.")
    async with asyncio.timeout(SLOW / 1000):
        while not await recorded.is_visible():  # a press right after the first is one that bounces
            await page.keyboard.press("a")
    assert Status.COMPLETED is await status(site, first)
    await expect(page.locator("#items .item")).to_have_count(1)
    # What has not been read to its end is not answered.
    await page.keyboard.press("j")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Second?")).to_be_visible()
    await page.keyboard.press("r")
    await expect(page.locator(".hinted")).to_contain_text("Read to the end first")
    reject = page.get_by_role("button", name="Reject", exact=True)
    await expect(reject).to_be_in_viewport()
    await page.keyboard.press("r")
    await expect(reject).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Your answer is recorded.")).to_be_visible()
    assert 0 == await page.locator(".hinted").count()  # nobody is told any more to press again
    assert {"action": "reject", "data": {}} == (await site.case(second)).result
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


async def test_cases_come_change_and_go_without_a_reload(site: Desk, wide: Reader) -> None:
    page = await enter(site, wide)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible()
    await expect(page.get_by_text("Nothing waits for you").first).to_be_visible()
    opened = await asked(site, "Just in?")
    await expect(page.get_by_role("link", name="Just in?")).to_be_visible()
    await page.get_by_role("link", name="Just in?").focus()
    other = await asked(site, "And another?")
    await expect(page.locator("#items .item")).to_have_count(2)
    await expect(page.get_by_role("link", name="Just in?")).to_be_focused()
    await answered(site, opened, BEN)
    await expect(page.locator("#items .item")).to_have_count(1)
    await expect(page).to_have_title("Inbox (1) · Assent")
    # While the line is dead the page says so, and finds out later what it has missed.
    await page.context.set_offline(True)
    await page.evaluate("window.dispatchEvent(new Event('offline'))")
    site.app.state.streams.close()
    await expect(page.get_by_text("Reconnecting…")).to_be_visible()
    site.app.state.streams.closing = False
    await answered(site, other, BEN)
    await page.context.set_offline(False)
    await expect(page.get_by_text("Live", exact=True)).to_be_visible(timeout=SLOW)
    await expect(page.locator("#items .item[data-case]")).to_have_count(0)
    wide.wrong = [line for line in wide.wrong if "ERR_INTERNET_DISCONNECTED" not in line]


async def test_several_are_answered_together(site: Desk, wide: Reader) -> None:
    opened = [
        await asked(site, f"Refund order {n}?", context={"order": n}, timeout_ms=(n + 1) * HOUR) for n in range(4)
    ]
    await asked(site, "Something else?", context={"host": "north"})
    page = await enter(site, wide)
    boxes = page.locator("#items .pick input")
    await expect(boxes).to_have_count(4)
    for n in range(3):
        await boxes.nth(n).check()
    await page.set_viewport_size({"width": 1280, "height": 400})
    await expect(page.get_by_role("button", name="Review the selected ones together")).to_be_in_viewport(ratio=1)
    await wide.press("Review the selected ones together")
    await expect(page.get_by_role("heading", name="Review 3 together")).to_be_visible()
    await page.get_by_label("Answer this one, too").nth(1).uncheck()
    await wide.press("Approve the selected (2)")
    await wide.told("2 of 2 recorded")
    assert [True, False, True, False] == [await status(site, one) is Status.COMPLETED for one in opened]


async def test_everything_works_without_scripts(site: Desk, plain_reader: Reader) -> None:
    opened, other = await asked(site, "Ship it?"), await asked(site, "And this?", context={"host": "north"})
    page = await enter(site, plain_reader)
    await page.get_by_text("Filter").click()
    await page.get_by_label("Search").fill("north")
    await plain_reader.press("Apply")
    await expect(page.locator("#items .item")).to_have_count(1)
    await page.get_by_role("link", name="Clear").click()
    await page.get_by_role("link", name="Ship it?").click()
    await plain_reader.press("Approve")
    await plain_reader.told("Your answer is recorded.")
    await page.get_by_role("link", name="Inbox").click()
    await page.get_by_role("link", name="History").click()
    await page.get_by_role("link", name="Ship it?").click()
    await page.get_by_role("link", name="Timeline").click()
    await plain_reader.told("Ada Park answered: Approve")
    await page.get_by_role("link", name="Figures").click()
    await plain_reader.told("Decided per day")
    await plain_reader.press("Sign out")
    await plain_reader.told("Sign in first")
    assert [Status.COMPLETED, Status.PENDING] == [await status(site, opened), await status(site, other)]


async def test_every_page_is_usable_by_everybody(site: Desk, browser: Browser) -> None:
    """Phone and desktop, light and dark: WCAG 2.2 AA by axe, nothing sideways, nothing too small, focus shown."""
    opened = [await asked(site, f"Refund order {n}? {'All of it. ' * (9 * n)}", context={"order": n}) for n in range(3)]
    await answered(site, opened[0], BEN, feedback="Looks right")
    together = "&".join(f"case={one.case.case_id}" for one in opened[1:])
    paths = (
        INBOX, place(opened[1]), place(opened[0], "/timeline"), f"{INBOX}/together?{together}", f"{INBOX}/history",
        f"{INBOX}/figures",
    )  # fmt: skip
    bad: list[str] = []
    for viewport in (PHONE, WIDE):
        reader = await reader_of(site, browser, viewport=viewport, reduced_motion="reduce")
        page = await enter(site, reader)
        for path in paths:
            await page.goto(site.services.public_url + path)
            found = [*await violations(page), *await overflows(page), *await untouchable(page), *await restless(page)]
            await page.emulate_media(color_scheme="dark")
            found += await violations(page, COLOURS)
            await page.emulate_media(color_scheme="light")
            found += await unfocused(page)
            bad += [f"{path} at {viewport['width']}: {one}" for one in found]
        await reader.leave()
    assert [] == bad


async def test_a_reason_is_asked_for_where_one_is_wanted(site: Desk, wide: Reader) -> None:
    opened = await asked(site)
    site.alter("UPDATE cases SET terms = json_set(terms, '$.ask_reason', json('true'))")
    page = await enter(site, wide)
    await page.goto(site.services.public_url + place(opened))
    await wide.press("Reject")
    await wide.told("This is not sent yet")
    await expect(page.get_by_text("Deutsch", exact=True).filter(visible=True)).to_have_count(1)
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await expect(page.get_by_label("Feedback")).to_be_focused()
    await page.keyboard.type("a rather risky r")  # letters, not keys
    await page.keyboard.press("Escape")
    await page.keyboard.press("r")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("Your answer is recorded.")).to_be_visible()
    assert {"action": "reject", "data": {"feedback": "a rather risky r"}} == (await site.case(opened)).result
