"""The operators' page of a source: opened by a link from the command line, for a quarter of an hour."""

from __future__ import annotations

import re
from html import unescape

import httpx
from playwright.async_api import expect

from tests.integration.test_webhooks import Office, here, there  # noqa: F401 (fixtures)
from tests.support.axe import overflows, untouchable, violations
from tests.support.browser import chromium
from tests.support.dump import everything
from tests.support.gallery import picture
from tests.support.process import run_assent
from tests.support.receiver import Receiver, answer
from tests.support.server import SECRET


async def link_of(here: Office, source: str) -> str:  # noqa: F811
    """The path that the command line prints."""
    asked = ("sources", "page", source, "--database", here.url)
    status, out, err = await run_assent(*asked, environment={"ASSENT_SECRET_KEY": SECRET})
    assert 0 == status, err
    assert "15 minutes" in err
    found = re.search(r"http://localhost:\d+(/operators/source\?pass=\S+)", out)
    assert found, out
    return found[1]


async def press(here: Office, path: str, button: str, **headers: str) -> httpx.Response:  # noqa: F811
    """Press a button of the page, as a browser does."""
    http = here.agent.page
    html = (await http.get(path)).text
    forms = [form for form in re.findall(r"<form.*?</form>", html, re.DOTALL) if f">{button}<" in form]
    assert forms, f"no button {button}"
    fields = {unescape(k): unescape(v) for k, v in re.findall(r'name="([^"]*)" value="([^"]*)"', forms[0])}
    action = re.search(r'action="([^"]*)"', forms[0])
    assert action
    return await http.post(action[1], data=fields, headers=headers)


async def test_it_shows_what_was_pushed_and_pauses_resumes_and_replays(here: Office, there: Receiver) -> None:  # noqa: F811
    there.script.append(answer(400, "<script>alert(1)</script>"))
    source = await here.source(there.url())
    await here.decided(source)
    await here.work()
    path = await link_of(here, source)
    page = await here.agent.page.get(path)
    assert 200 == page.status_code
    assert "no-store" in page.headers["cache-control"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for shown in ("Deploys", "active", there.url(), "the receiver answered 400", "&lt;script&gt;alert(1)"):
        assert shown in page.text, shown
    assert "<script" not in page.text
    assert 303 == (await press(here, path, "Pause")).status_code
    assert "paused by an admin" in (await here.agent.page.get(path)).text
    assert 303 == (await press(here, path, "Try again")).status_code
    assert 0 == await here.work()
    back = await press(here, path, "Resume")
    assert path == back.headers["location"]
    assert 1 == await here.work()
    assert "delivered" in (await here.agent.page.get(path)).text


async def test_looking_changes_nothing_and_nobody_elses_page_can_press_a_button(here: Office, there: Receiver) -> None:  # noqa: F811
    source = await here.source(there.url())
    path = await link_of(here, source)
    before = await everything(here.url)
    for method in ("GET", "HEAD", "OPTIONS"):
        await here.agent.page.request(method, path)
    assert 403 == (await press(here, path, "Pause", origin="https://evil.example")).status_code
    assert 403 == (await press(here, path, "Pause", **{"sec-fetch-site": "cross-site"})).status_code
    assert before == await everything(here.url)


async def test_a_link_that_is_old_or_changed_opens_nothing(here: Office, there: Receiver) -> None:  # noqa: F811
    source = await here.source(there.url())
    path = await link_of(here, source)
    answers = [await here.agent.page.get(wrong) for wrong in (path[:-8] + "AAAAAAA=", path.split("=")[0], path + "é")]
    here.server.clock.forward(seconds=15 * 60)
    answers.append(await here.agent.page.get(path))
    assert [403] * 4 == [one.status_code for one in answers]
    assert 1 == len({one.text for one in answers})
    assert source not in answers[0].text


async def test_a_source_without_a_webhook_says_so(here: Office) -> None:  # noqa: F811
    source = (await here.admin.http.post("/sources", json={"name": "Plain"})).json()["id"]
    assert "its decisions are pulled" in (await here.agent.page.get(await link_of(here, source))).text
    status, _, err = await run_assent("sources", "page", "src_x", "--database", here.url)
    assert (1, True) == (status, "no such source" in err)


async def test_the_command_line_lists_sources(here: Office, there: Receiver) -> None:  # noqa: F811
    source = await here.source(there.url())
    status, out, _ = await run_assent("sources", "list", "--database", here.url)
    assert (0, True) == (status, source in out.replace("\n", ""))


async def test_an_operator_presses_the_buttons_in_a_browser_and_everybody_can(here: Office, there: Receiver) -> None:  # noqa: F811
    there.script.append(answer(400, "No " + "x" * 300))
    source = await here.source(there.url())
    await here.decided(source)
    await here.work()
    address = str(here.agent.page.base_url) + await link_of(here, source)
    async with chromium() as browser:
        for scheme, width in (("light", 360), ("dark", 1280)):
            page = await browser.new_page(viewport={"width": width, "height": 800}, bypass_csp=True)
            await page.emulate_media(color_scheme="dark" if width > 1000 else "light")
            await page.goto(address)
            assert [] == await violations(page)
            assert [] == await overflows(page) + await untouchable(page)
            await page.screenshot(path=picture("an operators page", "en", scheme, width), full_page=True)
            await page.get_by_role("button", name="Pause").click()
            await expect(page.get_by_text("paused by an admin")).to_be_visible()
            await page.get_by_role("button", name="Resume").click()
            await expect(page.get_by_role("button", name="Pause")).to_be_visible()
            await page.close()
