"""Forms of the review page in a real Chromium: step by step, kept meanwhile, by keyboard, and as the server judges."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from adapters.webhook.fetcher import GuardedFetcher
from adapters.webhook.guarded import GuardedHttp
from core.destinations import Destinations
from core.forms import visible
from core.model import Opened
from core.states import Status
from tests.support.reader import Reader, reader_of
from tests.support.receiver import answer, receiver
from tests.support.review_page import Desk, link_of, served

pytestmark = pytest.mark.asyncio(loop_scope="package")

PAIR = [{"value": "full", "label": "Full-time"}, {"value": "part", "label": "Part-time"}]
WIZARD: dict[str, Any] = {
    "steps": [
        {
            "title": "About you",
            "description": "Only what is needed.",
            "fields": [
                {"key": "name", "label": "Name", "type": "text", "required": True},
                {"key": "mail", "label": "E-mail", "type": "email"},
                {"key": "pin", "label": "Pin", "type": "text", "sensitive": True, "required": True},
            ],
        },
        {
            "title": "Work",
            "fields": [
                {"key": "kind", "label": "Kind", "type": "select", "required": True, "options": PAIR},
                {"key": "pay", "label": "Pay", "type": "number", "required": True,
                 "conditional": {"field": "kind", "operator": "eq", "value": "full"}},
                {"key": "days", "label": "Days", "type": "multiselect", "options": [
                    {"value": "mo", "label": "Monday"}, {"value": "tu", "label": "Tuesday"}]},
            ],
        },
        {
            "title": "Extras",
            "fields": [
                {"key": "car", "label": "Car", "type": "text",
                 "conditional": {"field": "kind", "operator": "eq", "value": "full"}},
            ],
        },
        {"title": "Check", "description": "Is it all right?", "fields": []},
    ]
}  # fmt: skip


async def wizard(site: Desk, reader: Reader, **more: Any) -> Opened:
    opened = await site.ask("input", "Your details, please", context={"form": WIZARD}, **more)
    await reader.open(opened)
    return opened


async def at(page: Page, title: str) -> None:
    """That this step, and only it, is shown, and has the focus at its heading."""
    heading = page.get_by_role("heading", name=title, exact=True)
    await expect(heading).to_be_focused()
    await expect(page.locator(".step:visible")).to_have_count(1)


async def fill_first(page: Page) -> None:
    await page.get_by_label("Name").fill("north")
    await page.get_by_label("Pin").fill("4711")


async def kept(page: Page) -> None:
    """Until the server has said that it keeps what was typed."""
    await expect(page.locator("[data-saved]")).to_contain_text("Kept.")


async def test_step_by_step_to_the_answer(site: Desk, reader: Reader) -> None:
    opened = await wizard(site, reader)
    page = reader.page
    await expect(page.get_by_text("Step 1 of 4")).to_be_visible()
    await expect(page.get_by_role("button", name="Back")).to_be_hidden()
    await expect(page.get_by_role("button", name="Submit")).to_be_hidden()
    await reader.press("Next")
    summary = page.get_by_role("alert").filter(has_text="This step is not complete yet")
    await expect(summary).to_be_focused()
    await expect(summary.get_by_role("link")).to_have_count(2)
    await fill_first(page)
    await reader.press("Next")
    await at(page, "Work")
    await page.get_by_label("Kind").select_option("full")
    await expect(page.get_by_role("status")).to_have_text("Now also asked: Pay")
    await page.get_by_label("Pay").fill("90000")
    await page.get_by_label("Tuesday").check()
    await reader.press("Next")
    await at(page, "Extras")
    await reader.press("Next")
    await at(page, "Check")
    for words in ("north", "•••••• (hidden)", "Full-time", "90000", "Tuesday", "nothing"):
        await expect(page.locator("[data-answers]").get_by_text(words, exact=True).first).to_be_visible()
    await expect(page.get_by_text("4711")).to_have_count(0)
    assert 0 == reader.posts(opened)
    await page.get_by_role("button", name="Change: Work").click()
    await at(page, "Work")
    await page.get_by_label("Kind").select_option("part")
    await reader.press("Next")
    await at(page, "Check")  # a step in which nothing is asked is left out
    await reader.press("Submit")
    await reader.told("Your answer is recorded.")
    case = await site.case(opened)
    assert case.result is not None
    assert {"name": "north", "pin": "4711", "kind": "part", "days": ["tu"]} == site.services.saved.given(case)


async def test_a_reload_in_the_middle_goes_on_where_it_stopped(site: Desk, reader: Reader) -> None:
    opened = await wizard(site, reader)
    page = reader.page
    await fill_first(page)
    async with page.expect_response("**/save"):
        await reader.press("Next")
    await page.get_by_label("Kind").select_option("full")
    await page.get_by_label("Pay").fill("90000")
    async with page.expect_response("**/save"):
        await page.get_by_label("Monday").check()
    await page.reload()
    await expect(page.get_by_role("heading", name="Work")).to_be_visible()
    await reader.told("Go on where it stopped.")
    await expect(page.get_by_label("Pay")).to_have_value("90000")
    await expect(page.get_by_label("Monday")).to_be_checked()
    assert "4711" not in await page.content()
    await reader.press("Back")
    await expect(page.get_by_label("Name")).to_have_value("north")
    await expect(page.get_by_label("Pin")).to_have_value("")
    await reader.told("A value is kept here.")
    for _ in range(3):
        await reader.press("Next")
    await reader.press("Submit")
    await reader.told("Your answer is recorded.")
    data = {"name": "north", "pin": "4711", "kind": "full", "pay": 90000, "days": ["mo"]}
    assert data == site.services.saved.given(await site.case(opened))
    assert [] == site.rows()["saved_answers"]


async def test_another_device_takes_over(site: Desk, reader: Reader, browser: Browser) -> None:
    opened = await wizard(site, reader)
    await fill_first(reader.page)
    await reader.press("Next")
    await kept(reader.page)
    other = await reader_of(site, browser, viewport={"width": 1280, "height": 800})
    await other.open(opened)
    await expect(other.page.get_by_label("Kind")).to_be_visible()
    await other.press("Back")
    await expect(other.page.get_by_label("Name")).to_have_value("north")
    await other.close()


async def test_what_was_typed_last_before_leaving_is_kept(site: Desk, reader: Reader) -> None:
    opened = await wizard(site, reader)
    await reader.page.get_by_label("Name").fill("north")
    await reader.page.goto("about:blank")  # at once: nothing waited for

    async def saved() -> bool:
        return bool(await site.services.saved.load(opened.case.case_id))

    async with asyncio.timeout(20):
        while not await saved():
            await reader.page.wait_for_timeout(20)
    assert ["north"] == (await site.services.saved.load(opened.case.case_id))["values"]["f.name"]


async def test_a_secret_that_was_typed_and_taken_back_is_not_kept(site: Desk, reader: Reader) -> None:
    opened = await wizard(site, reader)
    page = reader.page
    await fill_first(page)
    await kept(page)
    await page.get_by_label("Pin").fill("")
    async with page.expect_response("**/save"):
        await page.get_by_label("Name").fill("south")
    await page.reload()
    await expect(page.get_by_label("Name")).to_have_value("south")
    await expect(page.get_by_text("A value is kept here.")).to_be_hidden()
    assert [] == (await site.services.saved.load(opened.case.case_id))["values"]["f.pin"]


async def test_nothing_is_lost_while_the_line_is_dead(site: Desk, reader: Reader) -> None:
    opened = await wizard(site, reader)
    page = reader.page

    async def cut(route: Route) -> None:
        await route.abort()

    await page.route("**/save", cut)
    await fill_first(page)
    await reader.told("could not be kept yet")
    await page.unroute("**/save", cut)
    await page.get_by_label("Name").fill("north again")
    await kept(page)
    assert ["north again"] == (await site.services.saved.load(opened.case.case_id))["values"]["f.name"]


async def test_the_keyboard_alone_goes_through_it(site: Desk, reader: Reader) -> None:
    opened = await wizard(site, reader)
    page = reader.page
    await page.get_by_label("Name").press_sequentially("north")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").filter(has_text="not complete")).to_be_focused()
    assert 0 == reader.posts(opened)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")  # the summary's link leads to the field
    await expect(page.get_by_label("Pin")).to_be_focused()
    await page.keyboard.type("4711")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    await expect(page.get_by_label("Pin")).to_have_attribute("type", "text")
    await page.get_by_label("Pin").press("Control+Enter")
    await at(page, "Work")
    await page.keyboard.press("Tab")
    await page.keyboard.type("Part")
    await page.keyboard.press("Tab")
    await page.keyboard.press("2")
    await expect(page.get_by_label("Tuesday")).to_be_checked()
    await expect(page.get_by_label("Tuesday")).to_be_focused()
    await page.keyboard.press("Control+Enter")
    await at(page, "Check")
    await page.go_back()
    await at(page, "Work")
    await page.go_forward()
    await page.keyboard.press("Meta+Enter")
    await reader.told("Your answer is recorded.")
    assert Status.COMPLETED == (await site.case(opened)).status


async def test_several_buttons_are_not_pressed_by_a_shortcut(site: Desk, reader: Reader) -> None:
    opened = await site.ask()
    await reader.open(opened)
    await reader.page.get_by_label("Feedback").press("Control+Enter")
    await expect(reader.page.get_by_role("button", name="Approve")).to_be_enabled()
    assert 0 == reader.posts(opened)


async def test_what_the_server_finds_wrong_leads_to_its_step(site: Desk, reader: Reader) -> None:
    steps = [
        {"title": "One", "fields": [
            {"key": "code", "label": "Code", "type": "text", "validation": {"pattern": "[[:alpha:]]+"}}]},
        {"title": "Two", "fields": [{"key": "more", "label": "More", "type": "text"}]},
    ]  # fmt: skip
    await reader.open(await site.ask("input", context={"form": {"steps": steps}}))
    page = reader.page
    await page.get_by_label("Code").fill("1234")
    await reader.press("Next")
    await page.get_by_label("More").fill("kept")
    await reader.press("Submit")
    await expect(page.get_by_role("alert").filter(has_text="Code does not have the expected form")).to_be_focused()
    await expect(page.get_by_label("Code")).to_be_visible()
    await page.get_by_role("link", name="Code").click()
    await expect(page.get_by_label("Code")).to_be_focused()
    await page.get_by_label("Code").fill("abcd")
    await reader.press("Next")
    await expect(page.get_by_label("More")).to_have_value("kept")


async def test_what_is_wrong_is_said_in_the_language_of_the_page(site: Desk, reader: Reader) -> None:
    fields = [
        {"key": "name", "label": "Name", "type": "text", "required": True},
        {"key": "size", "label": "Größe", "type": "number", "validation": {"max": 1000.5}},
        {"key": "start", "label": "Beginn", "type": "date", "validation": {"min": "2026-12-01"}},
        {"key": "mail", "label": "E-Mail", "type": "email"},
    ]
    opened = await site.ask("input", context={"form": {"fields": fields}})
    await reader.page.goto(site.services.public_url + link_of(opened).replace("/en/", "/de/"))
    await reader.page.get_by_label("Größe").fill("2000")
    await reader.page.get_by_label("Beginn").fill("2026-11-30")
    await reader.page.get_by_label("E-Mail").fill("north")
    await reader.press("Absenden")
    summary = reader.page.get_by_role("alert").filter(has_text="Noch nicht gesendet")
    await expect(summary.get_by_role("link")).to_have_text(
        [
            "Name: Bitte ausfüllen",
            "Größe: Höchstens 1.000,5",
            "Beginn: Frühestens 2026-12-01",
            "E-Mail: Bitte eine E-Mail-Adresse eingeben",
        ]
    )
    await expect(reader.page.locator("[id='f.size-error']")).to_have_text("Größe: Höchstens 1.000,5")
    assert 0 == reader.posts(opened)


async def test_the_agent_hears_how_far_it_is(site: Desk, reader: Reader) -> None:
    opened = await wizard(site, reader)
    page = reader.page
    await page.get_by_label("E-mail").fill("north@one.example")  # not required, and so not counted
    await fill_first(page)
    async with page.expect_response("**/progress"):
        await reader.press("Next")

    async def told() -> Any:
        return (await site.case(opened)).progress

    expected = {"current_step": 2, "total_steps": 4, "completed_fields": 2, "total_fields": 3}
    async with asyncio.timeout(20):
        while await told() != expected:
            await page.wait_for_timeout(20)


async def test_without_scripts_all_steps_stand_below_each_other(site: Desk, plain_reader: Reader) -> None:
    opened = await wizard(site, plain_reader)
    page = plain_reader.page
    await expect(page.locator(".step:visible")).to_have_count(4)
    await page.get_by_label("Name").fill("north")
    await plain_reader.press("Keep this for later")
    await plain_reader.told("Kept. You can go on later with the same link")
    await expect(page.get_by_label("Name")).to_have_value("north")
    await page.get_by_label("Pin").fill("4711")
    await page.get_by_label("Kind").select_option("part")
    await plain_reader.press("Submit")
    await plain_reader.told("Your answer is recorded.")
    assert {"name": "north", "pin": "4711", "kind": "part"} == site.services.saved.given(await site.case(opened))


VALUES: list[Any] = [
    None, True, False, 0, 1, 1.5, -1, "", "1", "a", "b", "Z", "ä", "\uffee", "\U0001f600", [], ["a"], ["a", "b"],
    ["b", "a"],
]  # fmt: skip


async def test_the_page_judges_conditions_as_the_server_does(site: Desk, browser: Browser) -> None:
    found = await reader_of(site, browser, bypass_csp=True)
    await found.open(await site.ask("input", context={"form": WIZARD}))
    script = await found.page.locator("script[src$='/review.js']").get_attribute("src")
    conditions = [
        {"field": "x", "operator": operator, "value": wanted}
        for operator, wanted in itertools.product(("eq", "neq", "gt", "lt"), VALUES)
    ] + [{"field": "x", "operator": "in", "value": list(pair)} for pair in itertools.combinations(VALUES, 2)]
    judged = await found.page.evaluate(
        """async ([url, conditions, values]) => {
            const { holds } = await import(url);
            return conditions.map((condition) => values.map((value) => holds(condition, value ?? undefined)));
        }""",
        [str(script).replace("review.js", "fields.js"), conditions, VALUES],
    )
    await found.close()
    expected = [[visible({"conditional": condition}, {"x": value}) for value in VALUES] for condition in conditions]
    assert expected == judged


async def test_what_others_hold_is_filled_in(sqlite_url: str, browser: Browser) -> None:
    async with receiver() as elsewhere, served(sqlite_url, GuardedFetcher(GuardedHttp(Destinations(True)))) as site:
        elsewhere.then = answer(200, "north")
        fields: list[dict[str, Any]] = [
            {"key": "name", "label": "Name", "type": "text", "default_ref": elsewhere.url("/name")},
            {"key": "pin", "label": "Pin", "type": "text", "sensitive": True, "required": True},
            {"key": "city", "label": "City", "type": "text"},
        ]
        one = await site.ask("input", context={"form": {"fields": fields}})
        found = await reader_of(site, browser)
        await found.open(one)
        await expect(found.page.get_by_label("Name")).to_have_value("north")
        fields = [
            fields[1] | {"default_ref": elsewhere.url("/pin")},
            fields[2] | {"default_ref": elsewhere.url("/city")},
        ]
        elsewhere.then = answer(404)
        two = await site.ask("input", context={"form": {"fields": fields[1:]}})
        await found.page.goto(site.services.public_url + link_of(two))
        await found.told("could not be fetched. Please type it.")
        elsewhere.then = answer(200, "4711")
        three = await site.ask("input", context={"form": {"fields": fields[:1]}})
        await found.page.goto(site.services.public_url + link_of(three))
        await found.told("A value is kept here.")
        await found.press("Submit")
        await found.told("Your answer is recorded.")
        assert {"pin": "4711"} == site.services.saved.given(await site.case(three))
        assert [] == found.wrong
        await found.close()
