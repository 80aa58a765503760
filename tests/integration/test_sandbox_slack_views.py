"""The local Slack's commands, modals and App Home, driven through slack-bolt as the app will be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot.sandbox import ManualClock, Sandbox
from bot.sandbox.slack import Team
from tests.integration.sandbox_receiver import receiving, serving
from tests.support.chats import buttons, home_for, modal_for, replies_to, whispered

CHANNEL, ONE, TWO = "C0APPROVE", "U0REVIEW1", "U0REVIEW2"
Block = dict[str, Any]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox.running(clock=clock) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> AsyncWebClient:
    return AsyncWebClient(token=sandbox.slack.app.bot_token, base_url=sandbox.slack.base_url)


@pytest.fixture
async def bolt(sandbox: Sandbox, client: AsyncWebClient) -> AsyncIterator[AsyncApp]:
    app = AsyncApp(client=client, signing_secret=sandbox.slack.app.signing_secret, request_verification_enabled=False)
    handler = AsyncSlackRequestHandler(app)

    async def events(request: Request) -> Response:
        answer: Response = await handler.handle(request)
        return answer

    async with serving(Starlette(routes=[Route("/slack/events", events, methods=["POST"])])) as url:
        sandbox.slack.app.request_url = f"{url}/slack/events"
        yield app


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def option(value: str) -> Block:
    return {"text": plain(value.title()), "value": value}


def field(block_id: str, element: Block, **more: Any) -> Block:
    element = {"action_id": block_id} | element
    return {"type": "input", "block_id": block_id, "label": plain(block_id), "element": element} | more


def form(*blocks: Block, **more: Any) -> Block:
    return {"type": "modal", "callback_id": "form", "title": plain("Form"), "submit": plain("Send"), "blocks": list(
        blocks or [field("why", {"type": "plain_text_input", "max_length": 10})]
    )} | more  # fmt: skip


def button(text: str, **more: Any) -> Block:
    element = {"type": "button", "text": plain(text), "action_id": text.lower()} | more
    return {"type": "actions", "block_id": f"with {text}", "elements": [element]}


async def error_of(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def a_modal(sandbox: Sandbox, client: AsyncWebClient, view: Block, user: str = ONE) -> str:
    opened = await client.views_open(trigger_id=sandbox.slack.world.new_trigger(user), view=view)
    return str(opened["view"]["id"])


# Commands


async def test_a_command_names_people_groups_and_channels_by_id(sandbox: Sandbox) -> None:
    async with receiving() as receiver:
        sandbox.slack.app.request_url = "http://127.0.0.1:9/elsewhere"
        sandbox.slack.app.command_url = receiver.url
        text = "away until 5 < 6 to @Reviewer Two or @on.call, @reviewers in #oncall, not mail@requester"
        tap = await sandbox.slack.command("#approvals", "/assent", text)
    sent = {name: values[0] for name, values in parse_qs(receiver.received[0].body.decode()).items()}
    assert not tap.failed
    assert sent["text"] == (
        "away until 5 &lt; 6 to <@U0REVIEW2|reviewer.two> or <@U0ONCALL1|on.call>, "
        "<!subteam^S0REVIEWS|@reviewers> in <#C0ONCALL0|oncall>, not mail@requester"
    )
    assert ("/assent", ONE, "T0SANDBOX", CHANNEL, "approvals") == tuple(
        sent[name] for name in ("command", "user_id", "team_id", "channel_id", "channel_name")
    )
    assert "enterprise_id" not in sent


async def test_payloads_name_the_enterprise_of_a_workspace_that_has_one(sandbox: Sandbox) -> None:
    sandbox.slack.world.team = Team("T0SANDBOX", "Sandbox", "sandbox", enterprise_id="E0GRID")
    async with receiving() as receiver:
        sandbox.slack.app.request_url = receiver.url
        await sandbox.slack.command(CHANNEL, "/assent")
        await sandbox.slack.open_home("Reviewer One")
    command, event = receiver.received
    assert ["E0GRID"] == parse_qs(command.body.decode())["enterprise_id"]
    assert "E0GRID" == json.loads(event.body)["enterprise_id"]


async def test_a_command_that_the_app_does_not_have_is_not_sent(sandbox: Sandbox) -> None:
    with pytest.raises(LookupError, match="/approve is not a valid command"):
        await sandbox.slack.command(CHANNEL, "/approve")
    sandbox.slack.app.scopes = "chat:write"
    with pytest.raises(LookupError, match="/assent is not a valid command"):
        await sandbox.slack.command(CHANNEL, "/assent")


async def test_a_command_is_answered_with_buttons_that_one_person_sees(bolt: AsyncApp, sandbox: Sandbox) -> None:
    tapped: list[bool] = []

    async def inbox(ack: Any) -> None:
        await ack(text="Your inbox", blocks=[button("Approve", value="1")])

    async def approve(ack: Any, body: dict[str, Any], respond: Any) -> None:
        await ack()
        tapped.append(body["container"]["is_ephemeral"])
        await respond(text="Done", replace_original=True)

    bolt.command("/assent")(inbox)
    bolt.action("approve")(approve)
    await sandbox.slack.command(CHANNEL, "/assent", user=ONE)
    message = await whispered(sandbox, CHANNEL, ONE)
    assert ["Approve"] == buttons(message)
    assert [] == sandbox.slack.messages(CHANNEL, TWO)
    await sandbox.slack.tap(CHANNEL, message.ts, "Approve", ONE)
    await whispered(sandbox, CHANNEL, ONE, "Done")
    assert [True] == tapped


async def test_a_command_in_a_direct_message_says_so(sandbox: Sandbox) -> None:
    async with receiving() as receiver:
        sandbox.slack.app.request_url = receiver.url
        await sandbox.slack.command(sandbox.slack.direct_message("Outsider"), "/assent", user="Outsider")
    assert ["directmessage"] == parse_qs(receiver.received[0].body.decode())["channel_name"]


# Modals


@pytest.mark.parametrize(
    ("view", "error"),
    [
        (form(*({"type": "divider"} for _ in range(101))), "invalid_arguments"),
        (form(private_metadata="x" * 3001), "invalid_arguments"),
        (form(submit=plain("x" * 25)), "invalid_arguments"),
        (form(colour="red"), "invalid_arguments"),
        (form(field("n", {"type": "button", "text": plain("x")})), "invalid_arguments"),
        (form(field("n", {"type": "radio_buttons", "options": [option("x")] * 11})), "invalid_arguments"),
        (form(field("n", {"type": "static_select"})), "invalid_arguments"),
        (form(field("n", {"type": "plain_text_input", "max_length": 3001})), "invalid_arguments"),
        (form(button("x", confirm={"title": plain("x" * 101), "text": plain("y")})), "invalid_arguments"),
        (form(*({"type": "section", "text": plain("x" * 3000)} for _ in range(90))), "view_too_large"),
        (form(*({"type": "divider"} for _ in range(100))), ""),
    ],
)  # fmt: skip
async def test_a_view_past_a_limit_is_refused(
    sandbox: Sandbox, client: AsyncWebClient, view: Block, error: str
) -> None:
    opening = client.views_open(trigger_id=sandbox.slack.world.new_trigger(ONE), view=view)
    assert error == (await error_of(opening) if error else "" if (await opening)["ok"] else "not ok")


async def test_a_view_is_updated_by_either_id_and_only_as_it_was_seen(sandbox: Sandbox, client: AsyncWebClient) -> None:
    first = await client.views_open(trigger_id=sandbox.slack.world.new_trigger(ONE), view=form(external_id="mine"))
    seen = first["view"]["hash"]
    changed = await client.views_update(view_id=first["view"]["id"], hash=seen, view=form(title=plain("Two")))
    assert "hash_conflict" == await error_of(client.views_update(view_id=first["view"]["id"], hash=seen, view=form()))
    assert changed["view"]["hash"] != seen
    assert "not_found" == await error_of(client.views_update(external_id="mine", view=form()))
    await client.views_update(view_id=first["view"]["id"], view=form(external_id="mine"))
    other = client.views_open(trigger_id=sandbox.slack.world.new_trigger(TWO), view=form(external_id="mine"))
    assert "duplicate_external_id" == await error_of(other)
    await client.views_update(external_id="mine", view=form(title=plain("Three")))
    assert "Three" == (await modal_for(sandbox, ONE)).content["title"]["text"]


async def test_every_kind_of_input_arrives_as_slack_sends_it(
    bolt: AsyncApp, sandbox: Sandbox, client: AsyncWebClient
) -> None:
    taken: dict[str, Any] = {}

    async def submitted(ack: Any, view: dict[str, Any]) -> None:
        await ack()
        taken.update({name: next(iter(value.values())) for name, value in view["state"]["values"].items()})

    bolt.view("form")(submitted)
    options = [option("risk"), option("later")]
    await a_modal(sandbox, client, form(
        field("words", {"type": "plain_text_input", "initial_value": "As before"}),
        field("radio", {"type": "radio_buttons", "options": options}),
        field("ticks", {"type": "checkboxes", "options": options, "initial_options": options[:1]}),
        field("who", {"type": "users_select"}),
        field("day", {"type": "datepicker", "initial_date": "2026-11-30"}),
        field("more", {"type": "plain_text_input"}, optional=True),
    ))  # fmt: skip
    await sandbox.slack.submit(ONE, {"radio": "Later", "ticks": ["risk", "later"], "who": TWO})
    assert sandbox.slack.modal(ONE) is None
    assert taken == {
        "words": {"type": "plain_text_input", "value": "As before"},
        "radio": {"type": "radio_buttons", "selected_option": options[1]},
        "ticks": {"type": "checkboxes", "selected_options": options},
        "who": {"type": "users_select", "selected_user": TWO},
        "day": {"type": "datepicker", "selected_date": "2026-11-30"},
        "more": {"type": "plain_text_input", "value": None},
    }


async def test_what_slack_would_not_let_pass_is_not_submitted(sandbox: Sandbox, client: AsyncWebClient) -> None:
    await a_modal(sandbox, client, form(
        field("why", {"type": "plain_text_input", "max_length": 10}),
        field("menu", {"type": "static_select", "options": [option("a")]}, optional=True),
    ))  # fmt: skip
    for values, complaint in (
        ({}, "'why' is required"),
        ({"why": "x" * 11}, "takes 0 to 10 characters, not 11"),
        ({"why": "x", "menu": "b"}, "offers 'a', not 'b'"),
    ):
        with pytest.raises(ValueError, match=complaint):
            await sandbox.slack.submit(ONE, dict(values))


async def test_a_tap_inside_a_modal_carries_what_was_typed_and_an_update_keeps_it(
    bolt: AsyncApp, sandbox: Sandbox, client: AsyncWebClient
) -> None:
    seen: list[Any] = []

    async def more(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        view = body["view"]
        seen.append((body["container"], view["state"]["values"]["why"]["why"]["value"]))
        again = form(*view["blocks"], button("Less"))
        await client.views_update(view_id=view["id"], hash=view["hash"], view=again)

    async def submitted(ack: Any, view: dict[str, Any]) -> None:
        await ack(response_action="clear")
        seen.append(view["state"]["values"]["why"]["why"]["value"])

    bolt.action("more")(more)
    bolt.view("form")(submitted)
    view_id = await a_modal(sandbox, client, form(field("why", {"type": "plain_text_input"}), button("More")))
    await sandbox.slack.tap_view("More", ONE, {"why": "because"})
    assert ["More", "Less"] == buttons(await modal_for(sandbox, ONE, "Less"))
    await sandbox.slack.submit(ONE, {})
    assert [({"type": "view", "view_id": view_id}, "because"), "because"] == seen
    assert sandbox.slack.modal(ONE) is None


async def test_an_answer_can_show_another_view_or_lay_one_on_top(
    bolt: AsyncApp, sandbox: Sandbox, client: AsyncWebClient
) -> None:
    answers = iter([("update", "Second"), ("push", "Third"), ("push", "Fourth")])

    async def submitted(ack: Any) -> None:
        action, title = next(answers)
        await ack(response_action=action, view=form(title=plain(title), notify_on_close=True))

    closed: list[bool] = []

    async def heard(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        closed.append(body["is_cleared"])

    bolt.view("form")(submitted)
    bolt.view_closed("form")(heard)
    await a_modal(sandbox, client, form())
    for title in ("Second", "Third"):
        await sandbox.slack.submit(ONE, {"why": "x"})
        assert title == (await modal_for(sandbox, ONE)).content["title"]["text"]
    await sandbox.slack.close_modal(ONE)
    assert "Second" == (await modal_for(sandbox, ONE)).content["title"]["text"]
    await sandbox.slack.submit(ONE, {"why": "x"})
    await sandbox.slack.close_modal(ONE, clear=True)
    assert sandbox.slack.modal(ONE) is None
    assert [False, True] == closed


async def test_at_most_three_views_lie_on_top_of_each_other(sandbox: Sandbox, client: AsyncWebClient) -> None:
    world = sandbox.slack.world
    assert "not_found" == await error_of(client.views_push(trigger_id=world.new_trigger(ONE), view=form()))
    await a_modal(sandbox, client, form())
    for _ in range(2):
        await client.views_push(trigger_id=world.new_trigger(ONE), view=form())
    assert "push_limit_reached" == await error_of(client.views_push(trigger_id=world.new_trigger(ONE), view=form()))


async def test_errors_that_name_no_input_are_told_as_trouble(
    bolt: AsyncApp, sandbox: Sandbox, client: AsyncWebClient
) -> None:
    async def submitted(ack: Any) -> None:
        await ack(response_action="errors", errors={"elsewhere": "No"})

    bolt.view("form")(submitted)
    await a_modal(sandbox, client, form())
    await sandbox.slack.submit(ONE, {"why": "x"})
    assert ["dispatch_failed"] == [notice.kind for notice in sandbox.notices(ONE)]


# App Home and events


async def test_everybody_has_a_home_of_their_own(bolt: AsyncApp, sandbox: Sandbox, client: AsyncWebClient) -> None:
    events: list[dict[str, Any]] = []

    async def opened(event: dict[str, Any]) -> None:
        events.append(event)
        home = {"type": "home", "blocks": [button("Approve", value=event["user"])]}
        await client.views_publish(user_id=event["user"], view=home)

    bolt.event("app_home_opened")(opened)
    await sandbox.slack.open_home(ONE)
    mine = await home_for(sandbox, ONE, ONE)
    assert sandbox.slack.home(TWO) is None
    await sandbox.slack.open_home(ONE)
    await sandbox.until(lambda: len(events) == 2)
    assert ("home", None, mine.id) == (events[0]["tab"], events[0].get("view"), events[1]["view"]["id"])
    conflict = client.views_publish(user_id=ONE, hash="1.old", view={"type": "home", "blocks": []})
    assert "hash_conflict" == await error_of(conflict)
    sandbox.slack.app.home_tab = False
    assert "not_enabled" == await error_of(client.views_publish(user_id=ONE, view={"type": "home", "blocks": []}))


async def test_home_and_commands_travel_through_socket_mode(sandbox: Sandbox, client: AsyncWebClient) -> None:
    app = AsyncApp(client=client)
    heard: list[str] = []

    async def opened(event: dict[str, Any]) -> None:
        heard.append(event["user"])

    async def inbox(ack: Any, command: dict[str, Any]) -> None:
        await ack(f"You said {command['text']}")

    app.event("app_home_opened")(opened)
    app.command("/assent")(inbox)
    handler = AsyncSocketModeHandler(app, sandbox.slack.app.app_token)
    await handler.connect_async()  # type: ignore[no-untyped-call]  # bolt leaves it untyped
    try:
        await sandbox.slack.open_home(ONE)
        await sandbox.slack.command(CHANNEL, "/assent", "whoami", user=ONE)
        await sandbox.until(lambda: heard)
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]  # bolt leaves it untyped
    assert ([ONE], ["You said whoami"]) == (heard, [notice.text for notice in sandbox.notices(ONE)])


async def test_the_address_for_events_is_verified_by_a_challenge(bolt: AsyncApp, sandbox: Sandbox) -> None:
    assert await sandbox.slack.verify_events_url()
    sandbox.slack.app.events_url = f"{sandbox.address.url}/nothing/here"
    assert not await sandbox.slack.verify_events_url()


async def test_an_event_that_comes_again_says_so(sandbox: Sandbox) -> None:
    async with receiving() as receiver:
        sandbox.slack.app.request_url = f"{receiver.url}/wrong"
        event = await sandbox.slack.open_home(ONE)
        sandbox.slack.app.request_url = receiver.url
        await sandbox.slack.deliver(event)
    assert event.attempts[0].status == 404
    [again] = receiver.received
    assert ("1", "http_error") == (again.headers["x-slack-retry-num"], again.headers["x-slack-retry-reason"])
    assert json.loads(again.body)["event_id"] == event.payload["event_id"]


async def test_reminders_stand_in_their_cards_thread(sandbox: Sandbox, client: AsyncWebClient) -> None:
    card = await client.chat_postMessage(channel=CHANNEL, text="Card")
    message = sandbox.slack.world.message(CHANNEL, card["ts"])
    assert message is not None
    waiting = asyncio.create_task(replies_to(sandbox, message))
    await client.chat_postMessage(channel=CHANNEL, text=f"<@{ONE}> Reminder", thread_ts=card["ts"])
    assert ["<@U0REVIEW1> Reminder"] == [reply.text for reply in await waiting]
