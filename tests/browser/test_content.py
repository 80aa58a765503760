"""What the review page shows and lets people change, in a real Chromium: edits, other answers, languages, cards."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from core.model import Opened
from core.states import Status
from tests.support.reader import Reader, reader_of
from tests.support.review_page import Desk, path_of

pytestmark = pytest.mark.asyncio(loop_scope="package")

NOTES = "# Release\n\nOut on Monday.\n"
BLOCKS = [
    {"id": "notes", "label": "Release notes", "type": "markdown", "content": NOTES, "editable": True},
    {"id": "limits", "label": "Limits", "type": "json", "content": {"cpu": 2}, "editable": True},
    {"id": "execution_intent", "label": "Run", "type": "json", "content": {"kind": "custom"}, "editable": False},
]
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest_asyncio.fixture(loop_scope="package", params=[True, False], ids=["with scripts", "without"])
async def either(site: Desk, browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Reader]:
    found = await reader_of(site, browser, java_script_enabled=request.param)
    yield found
    await found.close()
    assert [] == found.wrong


async def edit(page: Page) -> None:
    for label, text in (("Release notes", NOTES.replace("Monday", "Tuesday")), ("Limits", '{"cpu": 4}')):
        await page.locator("summary", has_text=f"Edit: {label}").click()
        await page.get_by_label(label, exact=True).fill(text)


async def edited(site: Desk, opened: Opened) -> Any:
    case = await site.case(opened)
    return None if case.answered is None else case.answered.get("blocks")


async def test_an_edit_is_shown_and_then_approved(site: Desk, either: Reader) -> None:
    opened = await site.ask(blocks=BLOCKS)
    await either.open(opened)
    await edit(either.page)
    await either.page.get_by_role("button", name="Show my changes").first.click()
    await expect(either.page.get_by_role("heading", name="Your changes").first).to_be_visible()
    await expect(either.page.locator("ins mark")).to_have_text("Tuesday")
    assert Status.COMPLETED != (await site.case(opened)).status
    await either.press("Approve")
    await either.told("Approved")
    assert {"notes": NOTES.replace("Monday", "Tuesday"), "limits": {"cpu": 4}} == await edited(site, opened)


async def test_a_change_that_was_not_looked_at_is_shown_first(site: Desk, reader: Reader) -> None:
    opened = await site.ask(blocks=BLOCKS)
    await reader.open(opened)
    await edit(reader.page)
    await reader.press("Approve")
    await expect(reader.page.get_by_role("alert")).to_contain_text("Please check your changes")
    await expect(reader.page.get_by_role("alert")).to_be_focused()
    await reader.page.get_by_role("link", name="“Limits” has been changed").click()
    await expect(reader.page.locator("#block-1-changes")).to_be_focused()
    await reader.press("Approve")
    await reader.told("Approved")


async def test_a_mistake_in_json_leads_to_its_field(site: Desk, reader: Reader) -> None:
    opened = await site.ask(blocks=BLOCKS)
    await reader.open(opened)
    await reader.page.locator("summary", has_text="Edit: Limits").click()
    await reader.page.get_by_label("Limits", exact=True).fill('{"cpu":\n}')
    await reader.press("Approve")
    await reader.page.get_by_role("link", name="“Limits” is not valid JSON. Look at line 2").click()
    await expect(reader.page.get_by_label("Limits", exact=True)).to_be_focused()


async def test_an_answer_is_changed(site: Desk, either: Reader) -> None:
    opened = await site.ask()
    await either.open(opened)
    await either.page.get_by_label("Feedback").fill("Fine.")
    await either.press("Approve")
    await either.told("This answer can be changed until")
    await either.press("Change the answer")
    await expect(either.page.get_by_label("Feedback")).to_have_value("Fine.")
    await either.press("Leave it as it is")
    await either.told("Approved")
    await either.press("Change the answer")
    await either.press("Reject")
    await either.told("Rejected")
    assert {"action": "reject", "data": {"feedback": "Fine."}} == (await site.case(opened)).result


async def test_a_case_is_closed_without_an_answer(site: Desk, either: Reader) -> None:
    opened = await site.ask()
    await either.open(opened)
    await either.page.get_by_text("Close without answering").click()
    await either.page.get_by_label("Why it is closed").fill("Dropped.")
    await either.press("Yes, close it without an answer")
    await either.told("Closed without an answer")
    assert Status.CANCELLED == (await site.case(opened)).status


async def test_another_language_keeps_what_was_typed(site: Desk, either: Reader) -> None:
    opened = await site.ask()
    await either.open(opened)
    await either.page.get_by_label("Feedback").fill("Noch nicht fertig")
    await either.press("Deutsch")
    await expect(either.page.get_by_label("Rückmeldung")).to_have_value("Noch nicht fertig")
    assert "de" == await either.page.locator("html").get_attribute("lang")
    assert either.page.url == site.services.public_url + path_of(opened, "de")
    await either.press("Freigeben")
    await either.told("Freigegeben")
    await either.press("English")
    await either.told("Approved")


async def test_loading_a_page_again_that_came_as_an_answer_posts_nothing(site: Desk, reader: Reader) -> None:
    opened = await site.ask()
    await reader.open(opened)
    await reader.press("Deutsch")
    await expect(reader.page.get_by_role("button", name="Freigeben")).to_be_visible()
    german = ("POST", site.services.public_url + path_of(opened, "de"))
    await reader.page.reload()
    await expect(reader.page.get_by_role("button", name="Freigeben")).to_be_visible()
    assert 1 == reader.asked.count(german)
    assert "token" not in reader.page.url
    reader.asked[:] = [(method, url.replace("/de/", "/en/")) for method, url in reader.asked]


async def test_a_card_shows_its_image_and_is_chosen_by_touching_it_anywhere(site: Desk, plain_reader: Reader) -> None:
    source = await site.services.sources.create(
        site.principal, name="shop", description=None, mode="PULL_ONLY", notify=(), policy=None, images=True
    )
    items = [
        {"id": "a", "title": "By the sea", "image": "https://images.example/a.png", "description": "Quiet."},
        {"id": "b", "title": "In town", "price": 40, "currency": "EUR"},
    ]
    referrers = []

    async def image(route: Route) -> None:
        referrers.append(route.request.headers.get("referer"))
        await route.fulfill(
            body=PIXEL, content_type="image/png", headers={"Cross-Origin-Resource-Policy": "cross-origin"}
        )

    await plain_reader.context.route("https://images.example/**", image)
    opened = await site.ask(
        "selection", "Where?", context={"items": items, "multiple": False}, source_id=source.source_id
    )
    await plain_reader.open(opened)
    picture = plain_reader.page.get_by_role("img", name="By the sea")
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property("naturalWidth", 1)
    assert [None] == referrers
    await picture.click(force=True)  # what is touched there is the label, which covers the card
    await expect(plain_reader.page.get_by_role("radio", name="By the sea")).to_be_checked()
    await plain_reader.page.keyboard.press("ArrowDown")
    await expect(plain_reader.page.get_by_role("radio", name="In town")).to_be_checked()
    await plain_reader.press("Select")
    await plain_reader.told("Chosen")
    assert {"selected": ["b"]} == ((await site.case(opened)).result or {})["data"]


async def test_a_tree_is_opened_and_closed_from_the_keyboard(site: Desk, reader: Reader) -> None:
    await reader.open(await site.ask(context={"hosts": {f"host {n}": {"up": True} for n in range(30)}}))
    leaf = reader.page.get_by_text("host 29")
    await expect(leaf).to_be_hidden()
    await reader.page.locator("summary", has_text="Hosts").focus()
    await reader.page.keyboard.press("Enter")
    await expect(leaf).to_be_visible()
    await reader.page.keyboard.press("Space")
    await expect(leaf).to_be_hidden()


async def test_a_table_that_is_too_wide_is_moved_and_not_broken(site: Desk, reader: Reader) -> None:
    table = "|" + "wide|" * 30 + "\n|" + "-|" * 30 + "\n|" + "cell|" * 30
    await reader.open(await site.ask(blocks=[{"id": "text", "type": "markdown", "content": table}]))
    box = await reader.page.get_by_role("cell", name="cell").first.bounding_box()
    assert box is not None
    assert box["width"] > box["height"]  # its word stands in one line
    await reader.page.get_by_role("table").focus()
    await reader.page.keyboard.press("ArrowRight")
    await expect(reader.page.get_by_role("table")).not_to_have_js_property("scrollLeft", 0)
