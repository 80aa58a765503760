"""The review page as a Mini App: what Telegram puts behind its address goes along as evidence."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from adapters.telegram.initdata import InitDataVerifier
from adapters.telegram.sign_in import TelegramSignIn
from core.verifiers import Verifiers
from tests.support.dump import everything
from tests.support.evidence import BOT_TOKEN, USER, init_data, policy
from tests.support.server import Client, Server, running

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest_asyncio.fixture(loop_scope="package")
async def page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(locale="en-GB")
    found = await context.new_page()
    wrong: list[str] = []
    found.on("pageerror", lambda error: wrong.append(str(error)))
    yield found
    await context.close()
    assert [] == wrong


@pytest_asyncio.fixture(loop_scope="package")
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    async with running(sqlite_url, verifiers=Verifiers(InitDataVerifier(BOT_TOKEN))) as found:
        yield found


async def case_for_the_page(server: Server) -> tuple[Client, dict[str, Any]]:
    agent = await server.client("agent")
    asked = policy("telegram", action=False, required_for=["browser_submit"])
    return agent, await agent.case(verification_policy=asked)


async def test_the_mini_apps_data_is_the_evidence(server: Server, page: Page, sqlite_url: str) -> None:
    agent, hitl = await case_for_the_page(server)
    data = init_data(start_param=hitl["case_id"], auth_date=int(time.time()))
    behind = urlencode({"tgWebAppData": data, "tgWebAppVersion": "8.0", "tgWebAppPlatform": "ios"})
    await page.goto(f"{hitl['review_url']}#{behind}")
    await page.get_by_role("button", name="Confirm", exact=True).click()
    await expect(page.get_by_text("Confirmed").first).to_be_visible()
    answer = (await agent.poll(hitl)).json()
    result = answer["submission_context"]["verification_result"]
    assert (True, "telegram") == (result["satisfied"], result["verified_evidence"][0]["provider"])
    kept = await everything(sqlite_url)
    assert "third-party-signature" not in kept
    assert data.rpartition("hash=")[2] not in kept


async def test_an_ordinary_browser_is_told_what_is_missing(server: Server, page: Page) -> None:
    agent, hitl = await case_for_the_page(server)
    await page.goto(hitl["review_url"])
    await page.get_by_role("button", name="Confirm", exact=True).click()
    await expect(page.get_by_text("needs proof_of_human by telegram").first).to_be_visible()
    assert "completed" != await agent.status(hitl)


async def test_it_opens_the_page_with_the_verified_identity_of_whoever_opened_it(sqlite_url: str, page: Page) -> None:
    signs_in = TelegramSignIn(BOT_TOKEN)
    async with running(sqlite_url, mini_app=signs_in) as server:
        agent = await server.client("agent")
        hitl = await agent.case(reviewers={"any_of": [f"telegram:{USER['id']}"]})
        data = init_data(start_param=hitl["case_id"], auth_date=int(time.time()))
        address = f"{hitl['review_url']}#{urlencode({'tgWebAppData': data})}"
        await page.goto(address)  # in an ordinary browser, which a link of somebody else's may have opened
        await expect(page.get_by_text("Sign in to answer in your name")).to_be_visible()
        assert [] == [one for one in await page.context.cookies() if one["name"] == "assent"]
        await page.add_init_script("window.TelegramWebviewProxy = { postEvent() {} };")
        await page.goto("about:blank")
        await page.goto(address)
        await expect(page.get_by_text(f"You answer as {USER['first_name']}")).to_be_visible()
        await page.get_by_role("button", name="Confirm", exact=True).click()
        await expect(page.get_by_text("Confirmed").first).to_be_visible()
        case = await server.services.views.case(agent.principal.tenant_id, hitl["case_id"]) if agent.principal else None
        assert case is not None
        by = (case.answered or {})["by"]
        assert ("telegram", str(USER["id"])) == (by["platform"], by["platform_user_id"])
