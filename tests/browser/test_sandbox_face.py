"""The web messenger as a newcomer uses it: commands, modals, App Home, replies and Mini Apps in a real browser."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from telegram import (
    Bot,
    BotCommand,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    MenuButtonWebApp,
    Message,
    WebAppInfo,
)

from adapters.slack.shapes import context, own, quote
from adapters.telegram.markup import timed
from bot.sandbox import Sandbox
from core.told import Moment, Told
from tests.integration.sandbox_receiver import serving

pytestmark = pytest.mark.asyncio(loop_scope="package")

CHANNEL, GROUP, PRIVATE = "C0APPROVE", -4001, 1002
Block = dict[str, Any]


@pytest_asyncio.fixture(loop_scope="package")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox.running(rate_limits=False) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="package")
async def page(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Page]:
    context = await browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    found = await context.new_page()
    wrong: list[str] = []
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    await found.goto(sandbox.address.url)
    yield found
    await context.close()
    assert [] == wrong


@pytest_asyncio.fixture(loop_scope="package")
async def bolt(sandbox: Sandbox) -> AsyncIterator[AsyncApp]:
    client = AsyncWebClient(token=sandbox.slack.app.bot_token, base_url=sandbox.slack.base_url)
    app = AsyncApp(client=client, signing_secret=sandbox.slack.app.signing_secret)
    handler = AsyncSlackRequestHandler(app)

    async def events(request: Request) -> Response:
        answer: Response = await handler.handle(request)
        return answer

    async with serving(Starlette(routes=[Route("/slack/events", events, methods=["POST"])])) as url:
        sandbox.slack.app.request_url = f"{url}/slack/events"
        yield app


@pytest_asyncio.fixture(loop_scope="package")
async def bot(sandbox: Sandbox) -> AsyncIterator[Bot]:
    async with Bot(sandbox.telegram.token, base_url=f"{sandbox.telegram.base_url}/bot") as running:
        yield running


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def button(text: str) -> Block:
    return {"type": "actions", "elements": [{"type": "button", "text": plain(text), "action_id": text.lower()}]}


def reason_modal() -> Block:
    options = [{"text": plain(text), "value": text.lower()} for text in ("Too risky", "Not now")]
    inputs = [
        ("why", "Why", {"type": "radio_buttons", "action_id": "why", "options": options}),
        ("words", "In your own words", {"type": "plain_text_input", "action_id": "words", "multiline": True}),
    ]
    blocks: list[Block] = [
        {"type": "input", "block_id": name, "label": plain(label), "element": element}
        for name, label, element in inputs
    ]
    title, submit = plain("Reject"), plain("Send")
    return {"type": "modal", "callback_id": "deny", "title": title, "submit": submit, "blocks": blocks}


async def test_a_command_a_button_and_a_modal_with_an_error(page: Page, bolt: AsyncApp, sandbox: Sandbox) -> None:
    asked: list[str] = []
    given: list[Any] = []

    async def inbox(ack: Any, command: dict[str, Any]) -> None:
        asked.append(command["text"])
        await ack(text="Your inbox", blocks=[button("Reject")])

    async def open_modal(ack: Any, body: dict[str, Any], client: AsyncWebClient) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=reason_modal())

    async def judge(ack: Any, view: dict[str, Any]) -> None:
        values = view["state"]["values"]
        words = values["words"]["words"]["value"]
        if len(words) < 5:
            await ack(response_action="errors", errors={"words": "Say a little more."})
            return
        given.append((values["why"]["why"]["selected_option"]["value"], words))
        await ack()

    bolt.command("/assent")(inbox)
    bolt.action("reject")(open_modal)
    bolt.view("deny")(judge)
    await page.locator("#slack-text").fill("/as")
    await page.get_by_role("button", name="/assent").click()
    await page.locator("#slack-text").press_sequentially("to @Reviewer T")
    await page.get_by_role("button", name="@Reviewer Two").click()
    await page.locator("#slack-text").press("Enter")
    await expect(page.get_by_text("Only visible to you")).to_be_visible()
    assert ["to <@U0REVIEW2|reviewer.two>"] == asked
    await page.locator("#slack-log").get_by_role("button", name="Reject").click()
    modal = page.get_by_role("dialog")
    await modal.get_by_label("Not now").check()
    await modal.get_by_label("In your own words").fill("no")
    await modal.get_by_role("button", name="Send").click()
    await expect(modal.get_by_role("alert")).to_have_text("Say a little more.")
    await expect(modal.get_by_label("In your own words")).to_have_value("no")
    await expect(modal.get_by_label("In your own words")).to_be_focused()
    await expect(modal.get_by_label("Not now")).to_be_checked()
    await modal.get_by_label("In your own words").fill("not on a Friday")
    await modal.get_by_role("button", name="Send").click()
    await expect(modal).to_be_hidden()
    assert [("not now", "not on a Friday")] == given


async def test_app_home_is_asked_for_by_whoever_opens_it(page: Page, bolt: AsyncApp) -> None:
    async def opened(event: dict[str, Any], client: AsyncWebClient) -> None:
        words = {"type": "section", "text": plain(f"Nothing waits for {event['user']}")}
        await client.views_publish(user_id=event["user"], view={"type": "home", "blocks": [words]})

    bolt.event("app_home_opened")(opened)
    await page.locator("#slack-place").select_option("Home")
    await expect(page.get_by_text("Nothing waits for U0REVIEW1")).to_be_visible()
    await page.locator("#slack-me").select_option("Reviewer Two")
    await expect(page.get_by_text("Nothing waits for U0REVIEW2")).to_be_visible()
    await expect(page.locator("#slack-composer")).to_be_hidden()


async def test_a_reminder_stands_below_its_card(page: Page, bolt: AsyncApp) -> None:
    card = await bolt.client.chat_postMessage(channel=CHANNEL, text="Card")
    await bolt.client.chat_postMessage(channel=CHANNEL, text="Reminder <@U0REVIEW1>", thread_ts=card["ts"])
    await expect(page.get_by_role("group", name="Thread")).to_contain_text("Reminder @Reviewer One")


async def test_a_question_of_the_bot_is_answered_by_a_reply(page: Page, bot: Bot, sandbox: Sandbox) -> None:
    await bot.set_my_commands([BotCommand("inbox", "What waits for me")])
    await page.locator("#telegram-text").fill("/")
    await page.get_by_role("button", name="/inbox@assent_sandbox_bot").click()
    await page.locator("#telegram-text").press("Enter")
    await expect(page.locator("#telegram-log")).to_contain_text("/inbox@assent_sandbox_bot")
    question = await bot.send_message(GROUP, "@reviewer_one, why?", reply_markup=ForceReply(selective=True))
    await expect(page.get_by_text("Replying to Assent: @reviewer_one, why?")).to_be_visible()
    await page.locator("#telegram-text").fill("Too risky")
    await page.locator("#telegram-text").press("Enter")
    await expect(page.locator("#telegram-log")).to_contain_text("Too risky")
    command, reply = await heard(bot)
    assert ("/inbox@assent_sandbox_bot", "Too risky") == (command.text, reply.text)
    assert reply.reply_to_message is not None
    assert question.message_id == reply.reply_to_message.message_id
    await page.locator("#telegram-me").select_option("Reviewer Two")
    await expect(page.locator("#telegram-replying")).to_be_hidden()


async def test_a_mini_app_opens_in_a_frame_and_closes_itself(page: Page, bot: Bot, sandbox: Sandbox) -> None:
    async def app(request: Request) -> Response:
        framed = {"Content-Security-Policy": f"frame-ancestors {sandbox.address.url}"}
        return HTMLResponse(MINI_APP, headers=framed)

    async with serving(Starlette(routes=[Route("/app", app)])) as url:
        info = WebAppInfo(f"{url}/app")
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Open", web_app=info)]])
        await bot.send_message(PRIVATE, "Card", reply_markup=keyboard)
        await bot.set_chat_menu_button(menu_button=MenuButtonWebApp("Inbox", info))
        await page.locator("#telegram-place").select_option(str(PRIVATE))
        for opener in ("Open ↗", "Inbox"):
            await page.get_by_role("button", name=opener).click()
            frame = page.frame_locator("#mini-app iframe")
            await expect(frame.get_by_role("heading")).to_have_text("Hello Reviewer One")
            await frame.get_by_role("button", name="Done").click()
            await expect(page.locator("#mini-app")).to_be_hidden()


async def test_a_mini_app_that_lets_nobody_frame_it_opens_in_a_window(page: Page, bot: Bot) -> None:
    async def app(_request: Request) -> Response:
        return HTMLResponse(MINI_APP, headers={"X-Frame-Options": "DENY"})

    async with serving(Starlette(routes=[Route("/app", app)])) as url:
        keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Open", web_app=WebAppInfo(f"{url}/app"))]])
        await bot.send_message(PRIVATE, "Card", reply_markup=keyboard)
        await page.locator("#telegram-place").select_option(str(PRIVATE))
        async with page.context.expect_page() as opening:
            await page.get_by_role("button", name="Open ↗").click()
        await expect((await opening.value).get_by_role("heading")).to_have_text("Hello Reviewer One")


async def test_times_are_shown_by_the_clocks_of_whoever_looks(browser: Browser, sandbox: Sandbox, bot: Bot) -> None:
    until = Moment(1_795_255_200_000, "21 Nov 2026, 10:00 UTC")
    line = Told(f"Answer by {until.text}.", (until,))
    slack = AsyncWebClient(token=sandbox.slack.app.bot_token, base_url=sandbox.slack.base_url)
    await slack.chat_postMessage(
        channel=CHANNEL, text=line.text, blocks=[quote(line), context(own(line.text, [until]))]
    )
    await bot.send_message(GROUP, f"<b>{timed(line.text, [until])}</b>", parse_mode="HTML")
    zoned = (("Europe/Berlin", "11:00"), ("Asia/Tokyo", "19:00"), ("America/New_York", "05:00"))
    for zone, by_their_clocks in zoned:
        page = await browser.new_page(locale="en-GB", timezone_id=zone)
        await page.goto(sandbox.address.url)
        here = page.locator("#slack-log")
        await expect(here.locator("blockquote")).to_have_text(f"Answer by 21 Nov 2026, {by_their_clocks}.")
        await expect(here.locator(".context")).to_have_text(f"Answer by 21 Nov 2026, {by_their_clocks}.")
        there = page.locator("#telegram-log .bubble .text")
        await expect(there).to_have_text(re.compile(rf"^Answer by 21 November 2026(,| at) {by_their_clocks}\.$"))
        await expect(here.locator("blockquote time")).to_have_attribute("title", until.text)
        await page.close()


async def heard(bot: Bot) -> list[Message]:
    return [update.message for update in await bot.get_updates() if update.message]


MINI_APP = """<!doctype html><html lang="en"><title>App</title><h1></h1><button>Done</button><script>
const data = new URLSearchParams(new URLSearchParams(location.hash.slice(1)).get("tgWebAppData"));
document.querySelector("h1").textContent = `Hello ${JSON.parse(data.get("user")).first_name}`;
document.querySelector("button").onclick = () =>
  parent.postMessage(JSON.stringify({ eventType: "web_app_close", eventData: null }), "*");
</script></html>"""
