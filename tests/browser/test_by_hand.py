"""The review page as people use it: by touch, by keyboard, in two windows, too late, and with the line gone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, Route, expect

from core.model import Opened
from core.states import Status
from tests.support.reader import PHONE, Reader, reader_of
from tests.support.review_page import Desk, link_of, path_of
from tests.support.stages import ALL_FIELDS, STEPS

pytestmark = pytest.mark.asyncio(loop_scope="package")

FILLED = {
    "name": "north", "why": "To\nread.", "readers": 4200, "start": "2026-12-12", "mail": "north@one.example",
    "site": "https://one.example/", "backup": True, "news": True, "kind": "large", "zones": ["a", "b"], "nodes": 3,
    "colour": "teal", "pin": "4711", "extra": "It grows.",
}  # fmt: skip


async def result_of(site: Desk, opened: Opened) -> Any:
    """What the agent is told when it asks."""
    key, _ = await site.services.keys.create("agent", None)
    async with httpx.AsyncClient(trust_env=False) as agent:
        url = f"{site.services.public_url}/api/hitl/cases/{opened.case.case_id}/status"
        poll = await agent.get(url, headers={"Authorization": f"Bearer {key}"})
    return poll.json().get("result")


def ledger(site: Desk) -> int:
    return len(site.rows()["human_interactions"])


async def go_to(page: Page, name: str) -> int:
    """Tab until the control of that name has the focus; how many presses that took."""
    control = page.get_by_role("button", name=name, exact=True).or_(page.get_by_label(name, exact=True)).first
    for presses in range(1, 60):
        await page.keyboard.press("Tab")
        if await control.evaluate("one => one === document.activeElement"):
            return presses
    raise AssertionError(f"the keyboard does not lead to {name!r}")


async def type_all(page: Page) -> None:
    """Fill the form in from the keyboard, in the order in which the page leads through it."""
    keys = page.keyboard
    for label, text in (
        ("Name", "north"),
        ("What is it for?", "To\nread."),
        ("Readers", "4200"),
        ("Start", "12122026"),
    ):
        await go_to(page, label if label == "Name" else f"{label} optional" if label[0] in "WS" else label)
        await keys.type(text)
    for label, text in (("E-mail", "north@one.example"), ("Website optional", "https://one.example/")):
        await go_to(page, label)
        await keys.type(text)
    await go_to(page, "Yes")
    await keys.press("Space")
    await go_to(page, "Tell me when it runs")
    await keys.press("Space")
    await go_to(page, "Size")
    await keys.type("Large")
    for zone in ("Zone A", "Zone B"):
        await go_to(page, zone)
        await keys.press("Space")
    for label, text in (
        ("Nodes optional", "3"),
        ("Colour optional", "teal"),
        ("Pin", "4711"),
        ("Why so large?", "It grows."),
    ):
        await go_to(page, label)
        await keys.type(text)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_every_type_of_field_is_filled_in_from_the_keyboard(site: Desk, browser: Browser, scripts: bool) -> None:
    reader = await reader_of(site, browser, java_script_enabled=scripts)
    opened = await site.ask("input", "How shall it be set up?", context={"form": {"fields": ALL_FIELDS}})
    await reader.open(opened)
    await type_all(reader.page)
    await go_to(reader.page, "Submit")
    await reader.page.keyboard.press("Enter")
    await reader.told("Your answer is recorded.")
    assert {"action": "submit", "data": FILLED} == await result_of(site, opened)
    await reader.leave()


CONDITIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "eq": ({"field": "kind", "operator": "eq", "value": "large"}, "large", "small"),
    "neq": ({"field": "kind", "operator": "neq", "value": "small"}, "large", "small"),
    "in": ({"field": "kind", "operator": "in", "value": ["large", "huge"]}, "huge", "small"),
    "gt": ({"field": "count", "operator": "gt", "value": 9}, "10", "9"),
    "lt": ({"field": "count", "operator": "lt", "value": 9}, "8.5", "10"),
}


@pytest.mark.parametrize("operator", CONDITIONS)
async def test_a_condition_decides_what_is_asked_and_kept(
    site: Desk, reader: Reader, plain_reader: Reader, operator: str
) -> None:
    condition, met, unmet = CONDITIONS[operator]
    options = [{"value": one, "label": one} for one in ("small", "large", "huge")]
    of_words = {"key": "kind", "label": "Kind", "type": "select", "options": options, "required": True}
    asked = of_words if condition["field"] == "kind" else {"key": "count", "label": "Kind", "type": "number"}
    then = {"key": "more", "label": "More", "type": "text", "required": True, "conditional": condition}
    given = {"kind": unmet} if condition["field"] == "kind" else {"count": int(unmet)}

    async def answer(page: Page, value: str) -> None:
        control = page.get_by_label("Kind")
        await (control.select_option(value) if condition["field"] == "kind" else control.fill(value))

    for found in (reader, plain_reader):
        opened = await site.ask("input", "How much?", context={"form": {"fields": [asked, then]}})
        await found.open(opened)
        more = found.page.get_by_label("More")
        await answer(found.page, met)
        await more.fill("never asked for")
        await answer(found.page, unmet)
        await expect(more).to_be_visible(visible=found is plain_reader)
        await found.press("Submit")
        await found.told("Your answer is recorded.")
        assert {"action": "submit", "data": given} == await result_of(site, opened)


async def test_a_form_is_begun_on_a_phone_and_sent_from_a_desk(site: Desk, reader: Reader, browser: Browser) -> None:
    opened = await site.ask("input", "Your details, please", context={"form": {"steps": STEPS}})
    await reader.open(opened)
    await reader.page.get_by_label("Name").fill("north")
    await reader.page.get_by_label("Pin").fill("4711")
    await reader.press("Next")
    async with reader.page.expect_response(lambda answer: "f.kind=large" in str(answer.request.post_data)):
        await reader.page.get_by_label("Size").select_option("large")
    await reader.page.reload()
    await expect(reader.page.get_by_label("Size")).to_have_value("large")
    desk = await reader_of(site, browser, viewport={"width": 1280, "height": 800})
    await desk.open(opened)
    await expect(desk.page.get_by_label("Size")).to_have_value("large")
    await desk.page.get_by_label("Monday").check()
    await desk.press("Next")
    await desk.press("Submit")
    await desk.told("Your answer is recorded.")
    await reader.told("This has just been answered elsewhere.")
    data = {"name": "north", "pin": "4711", "kind": "large", "days": ["mo"]}
    assert {"action": "submit", "data": data} == await result_of(site, opened)
    await desk.leave()


async def test_a_reload_in_the_middle_of_a_word_loses_nothing(site: Desk, reader: Reader) -> None:
    opened = await site.ask("input", "Your details, please", context={"form": {"steps": STEPS}})
    await reader.open(opened)
    saving = asyncio.Event()

    async def linger(route: Route) -> None:
        saving.set()  # and is never answered

    await reader.page.route("**/save", linger, times=1)
    await reader.page.get_by_label("Name").fill("nor")
    async with asyncio.timeout(20):
        await saving.wait()
    await reader.page.get_by_label("Name").fill("north")
    async with reader.page.expect_request("**/save") as kept, reader.page.expect_navigation():
        await reader.page.reload()
    assert "f.name=north" in str((await kept.value).post_data)
    await expect(reader.page.get_by_label("Name")).to_be_visible()
    asked = [method for method, url in reader.asked if url.split("?")[0].endswith((path_of(opened), "/save"))]
    assert "POST" in asked[2:-1]  # kept before the page is shown anew


async def test_a_phone_answers_with_one_tap(site: Desk, browser: Browser) -> None:
    phone = await reader_of(site, browser, viewport=PHONE, has_touch=True, is_mobile=True)
    opened = await site.ask("confirmation", "Send the newsletter to 4,200 readers?")
    await phone.open(opened)
    button = phone.page.get_by_role("button", name="Confirm")
    await expect(button).to_be_in_viewport(ratio=1)
    await button.tap()
    await phone.told("Confirmed")
    assert {"action": "confirm", "data": {}} == await result_of(site, opened)
    await phone.leave()


async def test_an_approval_is_given_from_the_keyboard_alone(site: Desk, reader: Reader) -> None:
    opened = await site.ask(context={"service": "export"})
    await reader.open(opened)
    await reader.page.keyboard.press("Tab")
    await expect(reader.page.get_by_role("link", name="Skip to the answer")).to_be_focused()
    await reader.page.keyboard.press("Enter")
    assert 1 == await go_to(reader.page, "Feedback optional")
    await reader.page.keyboard.type("Good work.")
    assert 1 == await go_to(reader.page, "Approve")
    await reader.page.keyboard.press("Space")
    await expect(reader.page.get_by_role("group", name="Approved")).to_be_focused()
    assert {"action": "approve", "data": {"feedback": "Good work."}} == await result_of(site, opened)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
@pytest.mark.parametrize("second", ["Approve", "Reject"])
async def test_two_windows_are_one_answer(site: Desk, browser: Browser, second: str, scripts: bool) -> None:
    reader = await reader_of(site, browser, java_script_enabled=scripts)
    opened = await site.ask()
    await reader.page.route("**/state", lambda route: route.abort())
    await reader.open(opened)
    other = await reader.context.new_page()
    await other.route("**/state", lambda route: route.abort())  # neither hears of the other
    await other.goto(site.services.public_url + link_of(opened))
    await reader.press("Approve")
    await reader.told("Your answer is recorded.")
    await other.get_by_role("button", name=second, exact=True).click()
    await expect(other.get_by_role("heading", name="Approved")).to_be_visible()
    if second == "Reject":
        await expect(other.get_by_role("alert")).to_contain_text("Your answer was not recorded")
    assert 1 == ledger(site)
    assert {"action": "approve", "data": {}} == await result_of(site, opened)
    await reader.leave()


@pytest.mark.parametrize("again", ["Approve", "Reject"])
async def test_going_back_and_pressing_again_is_one_answer(site: Desk, plain_reader: Reader, again: str) -> None:
    opened = await site.ask()
    await plain_reader.open(opened)
    await plain_reader.press("Approve")
    await plain_reader.told("Your answer is recorded.")
    await plain_reader.page.go_back()
    button = plain_reader.page.get_by_role("button", name=again, exact=True)
    if await button.count():  # unless the browser asked for the page anew, as `no-store` demands
        await button.click()
    await expect(plain_reader.page.get_by_role("heading", name="Approved")).to_be_visible()
    assert 1 == ledger(site)


async def test_loading_the_receipt_again_without_scripts_repeats_the_answer(site: Desk, plain_reader: Reader) -> None:
    opened = await site.ask()
    await plain_reader.open(opened)
    await plain_reader.press("Approve")
    await plain_reader.told("Your answer is recorded.")
    await plain_reader.page.reload()
    await plain_reader.told("Your answer is recorded.")
    assert 1 == ledger(site)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_who_presses_after_the_deadline_is_told_and_records_nothing(
    site: Desk, browser: Browser, scripts: bool
) -> None:
    reader = await reader_of(site, browser, java_script_enabled=scripts)
    await reader.page.route("**/state", lambda route: route.abort())
    opened = await site.ask(timeout="8m", timeout_ms=480_000)
    await reader.open(opened)
    site.clock.offset = 480_000  # this browser's clock is slow
    await reader.press("Approve")
    await reader.told("Expired without an answer")
    assert 0 == ledger(site)
    assert (await site.case(opened)).status is not Status.COMPLETED
    await reader.leave()


async def test_without_a_connection_nothing_is_lost_and_nothing_is_sent(site: Desk, reader: Reader) -> None:
    opened = await site.ask("input", "Your details, please", context={"form": {"fields": STEPS[0]["fields"]}})
    await reader.open(opened)
    await reader.page.get_by_label("Name").fill("north")
    await reader.page.get_by_label("Pin").fill("4711")
    await reader.context.set_offline(True)
    await reader.press("Submit")
    await reader.told("This could not be sent. Check your connection and press again; pressing twice is safe.")
    await expect(reader.page.get_by_role("button", name="Submit")).to_be_enabled()
    assert 0 == ledger(site)
    await reader.context.set_offline(False)
    await reader.press("Submit")
    await reader.told("Your answer is recorded.")
    assert {"action": "submit", "data": {"name": "north", "pin": "4711"}} == await result_of(site, opened)


async def test_the_address_holds_no_token_in_any_language_or_entry(site: Desk, reader: Reader) -> None:
    opened = await site.ask("input", "Your details, please", context={"form": {"steps": STEPS}})
    await reader.open(opened, "de")
    await expect(reader.page).to_have_url(site.services.public_url + path_of(opened, "de"))
    await reader.page.get_by_label("Name").fill("north")
    await reader.page.get_by_label("Pin").fill("4711")
    await reader.press("Weiter")
    await expect(reader.page.get_by_label("Size")).to_be_visible()
    await reader.page.go_back()
    await expect(reader.page.get_by_label("Name")).to_be_visible()
    await expect(reader.page).to_have_url(site.services.public_url + path_of(opened, "de"))
