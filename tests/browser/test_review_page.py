"""The review page in a real Chromium, against a real server on a real SQLite file."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from core.states import Status
from tests.support.reader import Reader, reader_of
from tests.support.review_page import Desk, path_of

pytestmark = pytest.mark.asyncio(loop_scope="package")

ITEMS = [
    {"id": "one", "label": "The first", "description": "Cheap.", "price": 12},
    {"id": "two", "label": "The second", "description": "Quick."},
    {"id": "three", "label": "The third"},
]
FORM = {
    "fields": [
        {"key": "name", "label": "Name", "type": "text", "required": True},
        {"key": "kind", "label": "Kind", "type": "select", "required": True,
         "options": [{"value": "small", "label": "Small"}, {"value": "large", "label": "Large"}]},
        {"key": "why", "label": "Why so large?", "type": "textarea", "required": True,
         "conditional": {"field": "kind", "operator": "eq", "value": "large"}},
        {"key": "nodes", "label": "Nodes", "type": "range", "validation": {"min": 1, "max": 9}},
        {"key": "backup", "label": "With backups?", "type": "boolean", "required": True},
        {"key": "zones", "label": "Zones", "type": "multiselect", "required": True,
         "options": [{"value": "a", "label": "Zone A"}, {"value": "b", "label": "Zone B"}]},
        {"key": "start", "label": "Start", "type": "date"},
        {"key": "pin", "label": "Pin", "type": "number", "sensitive": True},
        {"key": "news", "label": "Tell me when it runs", "type": "boolean"},
    ]
}  # fmt: skip


async def fill_form(page: Page) -> None:
    await page.get_by_label("Name").fill("north")
    await page.get_by_label("Kind").select_option("small")
    await page.get_by_role("spinbutton", name="Nodes").fill("3")
    await page.get_by_label("No", exact=True).check()
    await page.get_by_label("Zone A").check()
    await page.get_by_label("Zone B").check()
    await page.get_by_label("Start").fill("2026-12-01")
    await page.get_by_label("Pin").fill("4711")


FILLED = {
    "name": "north", "kind": "small", "nodes": 3, "backup": False, "zones": ["a", "b"], "start": "2026-12-01",
    "pin": 4711, "news": False,
}  # fmt: skip


async def answer(found: Reader, case_type: str) -> tuple[dict[str, Any], str]:
    """Answer as a person does; what should be recorded, and what the receipt says."""
    page = found.page
    match case_type:
        case "approval":
            await page.get_by_label("Feedback").fill("Good work.")
            await found.press("Reject")
            return {"action": "reject", "data": {"feedback": "Good work."}}, "Rejected"
        case "selection":
            await page.get_by_label("The first").check()
            await page.get_by_label("The third").check()
            await found.press("Select")
            return {"action": "select", "data": {"selected": ["one", "three"]}}, "Chosen"
        case "input":
            await fill_form(page)
            await found.press("Submit")
            return {"action": "submit", "data": FILLED}, "Submitted"
        case "confirmation":
            await found.press("Confirm")
            return {"action": "confirm", "data": {}}, "Confirmed"
        case _:
            await page.get_by_label("Reason").fill("Try the other region.")
            await found.press("Retry")
            return {"action": "retry", "data": {"reason": "Try the other region."}}, "Retry chosen"


CONTEXTS: dict[str, dict[str, Any]] = {
    "approval": {"service": "export"},
    "selection": {"items": ITEMS},
    "input": {"form": FORM},
    "confirmation": {},
    "escalation": {"error": "timed out"},
}


async def cut(route: Route) -> None:
    """The line is dead."""
    await route.abort()


@pytest.mark.parametrize("case_type", CONTEXTS)
async def test_every_type_is_answered_with_scripts(site: Desk, reader: Reader, case_type: str) -> None:
    opened = await site.ask(case_type, context=CONTEXTS[case_type])
    await reader.open(opened)
    result, receipt = await answer(reader, case_type)
    await reader.told("Your answer is recorded.")
    await expect(reader.page.get_by_role("group", name=receipt)).to_be_focused()
    case = await site.case(opened)
    assert (Status.COMPLETED, result) == (case.status, case.result)
    assert case.opened_at is not None


@pytest.mark.parametrize("case_type", CONTEXTS)
async def test_every_type_is_answered_without_scripts(site: Desk, plain_reader: Reader, case_type: str) -> None:
    opened = await site.ask(case_type, context=CONTEXTS[case_type])
    await plain_reader.open(opened)
    result, receipt = await answer(plain_reader, case_type)
    await plain_reader.told("Your answer is recorded.")
    await plain_reader.told(receipt)
    case = await site.case(opened)
    assert (Status.COMPLETED, result) == (case.status, case.result)
    assert case.opened_at is None  # reading reports nothing
    assert "token" not in plain_reader.page.url


async def test_a_two_button_case_takes_one_press_or_the_keyboard(site: Desk, reader: Reader) -> None:
    opened = await site.ask("confirmation")
    await reader.open(opened)
    await reader.page.get_by_role("button", name="Cancel").focus()
    await reader.page.keyboard.press("Enter")
    await reader.told("Declined")
    assert {"action": "cancel", "data": {}} == (await site.case(opened)).result


async def test_a_double_click_submits_once(site: Desk, reader: Reader) -> None:
    opened = await site.ask()
    await reader.open(opened)
    await reader.page.get_by_role("button", name="Approve").dblclick()
    await reader.told("Your answer is recorded.")
    assert 1 == reader.posts(opened)
    assert 1 == len(site.rows()["human_interactions"])


async def test_the_token_leaves_the_address_bar_and_a_reload_still_finds_the_case(site: Desk, reader: Reader) -> None:
    opened = await site.ask()
    await reader.open(opened)
    address = site.services.public_url + path_of(opened)
    await expect(reader.page).to_have_url(address)
    await reader.page.reload()
    await expect(reader.page.get_by_role("button", name="Approve")).to_be_visible()
    await expect(reader.page).to_have_url(address)
    await reader.press("Approve")
    await reader.told("Your answer is recorded.")
    await reader.page.reload()
    await reader.told("Approved")
    await expect(reader.page).to_have_url(address)
    # Whoever takes over the address finds nothing.
    other = await reader.context.new_page()
    await other.goto(address)
    await expect(other.get_by_role("heading", name="This link does not work")).to_be_visible()


async def test_a_wrong_link_says_so_and_forgets_its_token(site: Desk, reader: Reader) -> None:
    opened = await site.ask()
    await reader.page.goto(f"{site.services.public_url}{path_of(opened)}?token=wrong")
    await reader.told("This link does not work")
    await expect(reader.page).to_have_url(site.services.public_url + path_of(opened))
    await reader.page.reload()
    await reader.told("This link does not work")


async def test_the_deadline_passes_while_the_page_is_open(site: Desk, reader: Reader) -> None:
    await reader.stop_clock()
    opened = await site.ask(timeout="8m", timeout_ms=480_000)
    await reader.open(opened)
    await reader.page.get_by_label("Feedback").fill("Half a thought")
    await expect(reader.page.locator("#left")).to_have_text(re.compile(r"^(8:00|7:5\d) left$"))
    await reader.page.clock.fast_forward(200_000)
    await expect(reader.page.get_by_role("status")).to_have_text("Five minutes are left to answer.")
    await reader.page.clock.fast_forward(280_000)
    await reader.told("The deadline has passed. This can no longer be answered.")
    await expect(reader.page.get_by_role("button", name="Approve")).to_be_disabled()
    await expect(reader.page.get_by_label("Feedback")).to_have_value("Half a thought")
    assert 0 == reader.posts(opened)
    site.clock.offset = 480_000
    await reader.press("Show how it ended")
    await reader.told("Expired without an answer")


async def test_somebody_answers_elsewhere_while_the_page_is_open(site: Desk, reader: Reader) -> None:
    await reader.stop_clock()
    opened = await site.ask()
    await reader.open(opened)
    await expect(reader.page.get_by_role("button", name="Approve")).to_be_enabled()
    await site.tap(opened, "reject", reason="Last year's numbers.")
    await reader.page.clock.fast_forward(5_000)
    await reader.told("This has just been answered elsewhere.")
    await expect(reader.page.get_by_role("button", name="Approve")).to_be_disabled()
    await reader.press("Show how it ended")
    await expect(reader.page.get_by_role("heading", name="Rejected")).to_be_visible()
    for words in ("Reviewer One", "Slack", "Last year's numbers."):
        await reader.told(words)


async def test_who_is_too_late_is_told_what_was_decided(site: Desk, reader: Reader) -> None:
    opened = await site.ask()
    await reader.page.route("**/state", cut)  # the page has not heard of it yet
    await reader.open(opened)
    await site.tap(opened, "approve")
    await reader.press("Reject")
    await reader.told("Your answer was not recorded, because this had already ended")
    await expect(reader.page.get_by_role("heading", name="Approved")).to_be_visible()
    await expect(reader.page.get_by_role("alert")).to_be_focused()


async def test_what_is_wrong_stands_beside_the_fields_and_the_summary_has_the_focus(site: Desk, reader: Reader) -> None:
    opened = await site.ask("input", context={"form": FORM})
    await reader.open(opened)
    await reader.press("Submit")
    page = reader.page
    summary = page.get_by_role("alert").filter(has_text="This is not sent yet")
    await expect(summary).to_be_focused()
    await expect(summary.get_by_role("link")).to_have_count(4)
    await expect(page.get_by_label("Name")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("[id='f.name-error']")).to_be_visible()
    await expect(page.locator("[id='f.zones-error']")).to_have_text("Choose at least one.")
    assert 0 == reader.posts(opened)
    await summary.get_by_role("link", name="Name").click()
    await expect(page.get_by_label("Name")).to_be_focused()
    await page.keyboard.type("north")
    await expect(page.locator("[id='f.name-error']")).to_be_hidden()
    await summary.get_by_role("link", name="Zones").click()
    await expect(page.get_by_label("Zone A")).to_be_focused()


async def test_what_only_the_server_knows_to_be_wrong_is_shown_in_the_same_way(site: Desk, reader: Reader) -> None:
    fields = [
        {"key": "code", "label": "Code", "type": "text", "validation": {"pattern": "[[:alpha:]]+"}},
        {"key": "more", "label": "More", "type": "text"},
    ]
    opened = await site.ask("input", context={"form": {"fields": fields}})
    await reader.open(opened)
    await reader.page.get_by_label("Code").fill("1234")
    await reader.page.get_by_label("More").fill("kept")
    await reader.press("Submit")
    summary = reader.page.get_by_role("alert").filter(has_text="Code does not have the expected form")
    await expect(summary).to_be_focused()
    await expect(reader.page.get_by_label("More")).to_have_value("kept")
    await reader.page.get_by_label("Code").fill("abcd")
    await reader.press("Submit")
    await reader.told("Your answer is recorded.")


async def test_without_scripts_the_browser_itself_asks_for_what_is_missing(site: Desk, plain_reader: Reader) -> None:
    opened = await site.ask("input", context={"form": FORM})
    await plain_reader.open(opened)
    await plain_reader.press("Submit")
    await expect(plain_reader.page.get_by_label("Name")).to_be_focused()
    assert 0 == plain_reader.posts(opened)
    await plain_reader.told("Only needed when “Kind” is “Large”.")


async def test_a_condition_shows_a_field_asks_for_it_and_forgets_it_again(site: Desk, reader: Reader) -> None:
    opened = await site.ask("input", context={"form": FORM})
    await reader.open(opened)
    page = reader.page
    why = page.get_by_label("Why so large?")
    await expect(why).to_be_hidden()
    await fill_form(page)
    await page.get_by_label("Kind").select_option("large")
    await expect(why).to_be_visible()
    await reader.press("Submit")
    await expect(page.locator("[id='f.why-error']")).to_be_visible()
    await why.fill("It is not.")
    await page.get_by_label("Kind").select_option("small")
    await expect(why).to_be_hidden()
    await reader.press("Submit")
    await reader.told("Your answer is recorded.")
    assert {"action": "submit", "data": FILLED} == (await site.case(opened)).result


async def test_a_slider_moves_its_number_and_says_nothing_until_it_is_moved(site: Desk, reader: Reader) -> None:
    opened = await site.ask("input", context={"form": {"fields": [FORM["fields"][3]]}})
    await reader.open(opened)
    number = reader.page.get_by_role("spinbutton", name="Nodes")
    await expect(number).to_have_value("")
    slider = reader.page.get_by_role("slider", name="Nodes, slider")
    await slider.focus()
    await reader.page.keyboard.press("ArrowRight")
    await expect(number).to_have_value("2")
    await number.fill("7")
    await expect(slider).to_have_value("7")


async def test_a_sensitive_value_is_hidden_until_its_writer_wants_to_see_it(site: Desk, reader: Reader) -> None:
    opened = await site.ask("input", context={"form": FORM})
    await reader.open(opened)
    pin = reader.page.get_by_label("Pin")
    await expect(pin).to_have_attribute("type", "password")
    await reader.press("Show")
    await expect(pin).to_have_attribute("type", "text")
    await reader.press("Hide")
    await expect(pin).to_have_attribute("type", "password")


async def test_asking_for_changes_asks_once_for_words(site: Desk, reader: Reader) -> None:
    opened = await site.ask()
    await reader.open(opened)
    await reader.press("Ask for changes")
    await expect(reader.page.get_by_label("Feedback")).to_be_focused()
    await reader.told("Say in a few words what should change.")
    assert 0 == reader.posts(opened)
    await reader.press("Ask for changes")
    await reader.told("Changes requested")


async def test_a_lost_connection_loses_nothing(site: Desk, reader: Reader) -> None:
    opened = await site.ask()
    await reader.open(opened)
    await reader.page.get_by_label("Feedback").fill("Kept.")

    await reader.page.route(f"**{path_of(opened)}", cut)
    await reader.press("Approve")
    await reader.told("This could not be sent.")
    await expect(reader.page.get_by_label("Feedback")).to_have_value("Kept.")
    await reader.page.unroute(f"**{path_of(opened)}", cut)
    await reader.press("Approve")
    await reader.told("Your answer is recorded.")
    assert {"action": "approve", "data": {"feedback": "Kept."}} == (await site.case(opened)).result


async def test_others_are_told_that_somebody_is_filling_the_form(site: Desk, reader: Reader) -> None:
    await reader.stop_clock()
    opened = await site.ask("input", context={"form": FORM})
    async with reader.page.expect_response("**/opened"):
        await reader.open(opened)
    assert Status.OPENED == (await site.case(opened)).status
    await reader.page.get_by_label("Name").fill("north")
    async with reader.page.expect_response("**/progress"):
        await reader.page.clock.fast_forward(2_000)
    case = await site.case(opened)
    assert Status.IN_PROGRESS == case.status
    assert {"completed_fields": 1, "total_fields": 4} == case.progress


async def test_the_page_follows_the_reader_into_the_dark(site: Desk, browser: Browser) -> None:
    opened = await site.ask()
    colours = []
    for scheme in ("light", "dark"):
        found = await reader_of(site, browser, color_scheme=scheme)
        await found.open(opened)
        colours.append(await found.page.evaluate("getComputedStyle(document.body).backgroundColor"))
        await found.close()
    assert ["rgb(246, 245, 241)", "rgb(19, 22, 21)"] == colours


async def test_the_deadline_is_told_in_the_reader_s_own_time(site: Desk, browser: Browser) -> None:
    opened = await site.ask()
    shown = []
    for zone in ("UTC", "Asia/Tokyo"):
        found = await reader_of(site, browser, timezone_id=zone)
        await found.open(opened)
        await expect(found.page).to_have_url(re.compile("^[^?]*$"))  # the script has run
        shown.append(await found.page.locator(".deadline time").inner_text())
        await found.close()
    assert shown[0] != shown[1]
    assert "UTC" not in "".join(shown)
