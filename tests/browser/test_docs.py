"""The API reference in a browser: for everybody, on a phone and at a desk, in the light and in the dark."""

from __future__ import annotations

from functools import partial
from typing import Literal

import pytest
from playwright.async_api import Browser, Response, Route, expect

from api.docs_page.page import rendered
from api.doors import DOORS
from api.openapi.document import build
from tests.support import axe, gallery
from tests.support.server import running

pytestmark = pytest.mark.asyncio(loop_scope="package")

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (1280, 360)
# What axe looks at: one door, made as the whole is, which would take it a quarter of a minute each time.
ONE_DOOR = [door for door in DOORS if door.name == "tasks"]


async def _instead(html: str, whole: Response, route: Route) -> None:
    """Answer with this page, and the headers of the whole one."""
    headers = {name: value for name, value in whole.headers.items() if name != "content-length"}
    await route.fulfill(body=html, headers=headers)


async def test_everybody_can_read_it(sqlite_url: str, browser: Browser, pytestconfig: pytest.Config) -> None:
    async with running(sqlite_url) as server:
        html = rendered(build(ONE_DOOR, server.url), ONE_DOOR)
        for width in WIDTHS:
            context = await browser.new_context(viewport={"width": width, "height": 800}, reduced_motion="reduce")
            page = await context.new_page()
            whole = await page.goto(f"{server.url}/docs#tasks_post_task")
            assert whole is not None
            assert width >= await page.evaluate("document.documentElement.scrollWidth")
            if pytestconfig.getoption("full"):
                for scheme in SCHEMES:
                    await page.emulate_media(color_scheme=scheme)
                    await page.screenshot(path=gallery.picture("api reference", "en", scheme, width))
            await page.route(f"{server.url}/docs", partial(_instead, html, whole))
            for scheme in SCHEMES:
                await page.emulate_media(color_scheme=scheme)
                await page.goto(f"{server.url}/docs")
                assert [] == await axe.overflows(page)
                assert [] == await axe.violations(page)
                assert [] == await axe.untouchable(page)
                assert [] == await axe.unfocused(page)
                assert [] == await axe.restless(page)
            await context.close()


async def test_a_route_is_found_and_tried_without_scripts(sqlite_url: str, browser: Browser) -> None:
    async with running(sqlite_url) as server:
        context = await browser.new_context(viewport={"width": 1280, "height": 800}, java_script_enabled=False)
        page = await context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{server.url}/docs")
        doors = page.get_by_role("navigation", name="Doors and routes")
        await doors.get_by_text("Tasks", exact=True).click()
        await doors.get_by_role("link", name="Ask for an operation to be carried out").click()
        route = page.locator("#tasks_post_task")
        await expect(route).to_be_in_viewport()
        await expect(route.get_by_text("HITL_REQUIRED", exact=True).first).to_be_visible()
        await route.get_by_text("Example: Ask for an operation").click()
        await expect(route.get_by_label("curl command")).to_contain_text('-H "X-Tenant-ID: $TENANT_ID"')
        await route.get_by_role("link", name="NewTask").click()
        await expect(page.locator("#model-NewTask")).to_be_in_viewport()
        assert all(url.startswith(server.url) for url in asked)
        await context.close()
