"""The page behind an approval link in a browser: reviewers sign in, go on and decide; everybody can use it."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.async_api import Browser, expect

from api.review.strings import LANGUAGES
from core.schedule import HOUR
from tests.support import axe, gallery
from tests.support.reader import Reader, reader_of
from tests.support.review_page import Desk
from tests.support.tasks import answered, link_of, post, said

pytestmark = pytest.mark.asyncio(loop_scope="package")

LOOKS: dict[str, list[tuple[Literal["light", "dark"], int]]] = {
    "en": [("light", 1280), ("light", 360), ("dark", 360)],
    "de": [("dark", 360)],  # another language changes words, not colours
}


async def _signed_in(site: Desk, reader: Reader) -> str:
    """Sign in to a new task with a reviewer's key; the task's id."""
    task = await post(site, requested_by="release-bot")
    raw, _ = await site.services.keys.create("reviewer", site.principal.tenant_id)
    await reader.page.goto(site.services.public_url + link_of(task))
    await reader.page.get_by_label("Reviewer's key or approval token").fill(raw)
    await reader.press("Go on to the decision")
    await expect(reader.page.get_by_role("button", name="Approve", exact=True)).to_be_visible()
    assert raw not in reader.page.url
    return task.task_id


async def test_a_reviewer_signs_in_and_approves_for_an_hour(site: Desk, reader: Reader) -> None:
    task_id = await _signed_in(site, reader)
    assert "token" not in reader.page.url
    await reader.press("Approve for 1 hour")
    await reader.told("Allowed without asking for")
    (grant,) = await site.services.grants.list(site.principal.tenant_id)
    assert (task_id, HOUR) == (grant.case_id, grant.expires_at - grant.created_at)
    assert grant.grant_id == (await post(site)).grant_id


async def test_it_works_without_scripts(site: Desk, plain_reader: Reader) -> None:
    task_id = await _signed_in(site, plain_reader)
    await plain_reader.press("Reject")
    await plain_reader.told("Rejected")
    assert "rejected" == (await site.services.guarded.get(site.principal.tenant_id, task_id)).status


async def test_whoever_only_has_the_link_is_told_so_and_tries_again(site: Desk, reader: Reader) -> None:
    task = await post(site)
    await reader.page.goto(site.services.public_url + link_of(task))
    assert "token" not in reader.page.url
    await reader.page.reload()
    await reader.page.get_by_label("Reviewer's key or approval token").fill("not a key")
    await reader.press("Go on to the decision")
    await reader.told("This does not let you in")
    await reader.press("Deutsch")
    await reader.told("Wartet auf eine Freigabe")
    assert "hitl_required" == (await answered(site, task)).status


@pytest.mark.parametrize("lang", LANGUAGES)
async def test_every_state_can_be_used_by_everybody(site: Desk, browser: Browser, lang: str) -> None:
    """Open, refused to sign in, approved, and the review page of a task."""
    reader = await reader_of(site, browser, viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    waiting, done = await post(site, requested_by="release-bot"), await post(site, requested_by="release-bot")
    address, shown = site.services.public_url + link_of(waiting, lang), site.services.public_url + link_of(done, lang)
    token = await site.services.views.review_token(waiting.task_id)
    await said(site, done, "approve", reason="Checked with the team.")
    page, wrong = reader.page, []
    for state in ("a task", "a task, not signed in", "a task, approved", "a task to review"):
        if state == "a task to review":
            await page.goto(f"{site.services.public_url}/{lang}/hitl/review/{waiting.task_id}?token={token}")
        else:
            await page.goto(shown if state == "a task, approved" else address)
        if state == "a task, not signed in":
            await page.locator("#credential").fill("not a key")
            await page.locator(".sign-in .button").click()
            await expect(page.get_by_role("alert").first).to_be_visible()
        wrong += await axe.violations(page)
        for scheme, width in LOOKS[lang]:
            await page.emulate_media(color_scheme=scheme)
            await page.set_viewport_size({"width": width, "height": 800})
            if scheme == "dark":
                wrong += await axe.violations(page, axe.COLOURS)
            wrong += await axe.overflows(page)
            await page.screenshot(path=gallery.picture(state, lang, scheme, width), full_page=True)
        if lang == "en":
            for find in (axe.untouchable, axe.restless, axe.unfocused):
                wrong += await find(page)
    await reader.leave()
    assert [] == wrong
