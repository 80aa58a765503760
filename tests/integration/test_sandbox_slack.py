"""The local Slack, driven by the real slack_sdk and slack-bolt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import httpx
import pytest
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import Clock as SignatureClock
from slack_sdk.signature import SignatureVerifier
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.sandbox import Fault, Forgery, ManualClock, Sandbox
from bot.sandbox.slack import NoSuchButton
from tests.integration.sandbox_receiver import Received, receiving, serving

CHANNEL = "C0APPROVE"
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


def plain(text: str) -> Block:
    return {"type": "plain_text", "text": text}


def button(text: str, action_id: str, **more: Any) -> Block:
    return {"type": "button", "text": plain(text), "action_id": action_id} | more


def section(text: str) -> Block:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def actions(*buttons: Block) -> Block:
    return {"type": "actions", "block_id": "decide", "elements": list(buttons)}


def date(within: str = "rich_text_section", **more: Any) -> Block:
    found = {"type": "date", "timestamp": 1795255200, "format": "{date_short_pretty}, {time}", "fallback": "10:00 UTC"}
    return {"type": "rich_text", "elements": [{"type": within, "elements": [found | more]}]}


CARD = [section("Deploy *web* 1.4?"), actions(button("Approve", "approve", value="v1"), button("Reject", "reject"))]


async def post_card(client: AsyncWebClient, blocks: list[Block] | None = None, **more: Any) -> str:
    posted = await client.chat_postMessage(channel=CHANNEL, text="Deploy web 1.4?", blocks=blocks or CARD, **more)
    return str(posted["ts"])


async def refusal(call: Any) -> SlackApiError:
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value


async def error_of(call: Any) -> str:
    return str((await refusal(call)).response["error"])


# Web API


async def test_a_token_is_needed_and_it_must_be_the_right_one(sandbox: Sandbox) -> None:
    base = sandbox.slack.base_url
    async with httpx.AsyncClient(trust_env=False) as http:
        nobody = (await http.post(f"{base}auth.test")).json()
        by_form = (await http.post(f"{base}auth.test", data={"token": sandbox.slack.app.bot_token})).json()
    assert "not_authed" == nobody["error"]
    assert by_form["ok"]
    assert "invalid_auth" == await error_of(AsyncWebClient(token="xoxb-wrong", base_url=base).auth_test())
    wrong_kind = AsyncWebClient(token=sandbox.slack.app.app_token, base_url=base)
    assert "not_allowed_token_type" == await error_of(wrong_kind.auth_test())


async def test_auth_test_says_who_the_bot_is(client: AsyncWebClient, sandbox: Sandbox) -> None:
    me = await client.auth_test()
    assert (sandbox.slack.world.bot.id, "T0SANDBOX") == (me["user_id"], me["team_id"])
    assert "chat:write" in me.headers["x-oauth-scopes"]


async def test_a_message_is_posted_changed_found_and_deleted(client: AsyncWebClient) -> None:
    ts = await post_card(client, metadata={"event_type": "card", "event_payload": {"id": "c1"}})
    await client.chat_update(channel=CHANNEL, ts=ts, text="Approved", blocks=[section("Approved")])
    found = (await client.conversations_history(channel=CHANNEL, include_all_metadata=True))["messages"]
    assert ["Approved"] == [message["text"] for message in found]
    assert "c1" == found[0]["metadata"]["event_payload"]["id"]
    assert "metadata" not in (await client.conversations_history(channel=CHANNEL))["messages"][0]
    await client.chat_delete(channel=CHANNEL, ts=ts)
    assert [] == (await client.conversations_history(channel=CHANNEL))["messages"]


async def test_text_without_blocks_takes_the_blocks_away(client: AsyncWebClient, sandbox: Sandbox) -> None:
    ts = await post_card(client)
    await client.chat_update(channel=CHANNEL, ts=ts, text="Decided")
    assert [] == sandbox.slack.messages(CHANNEL)[0].blocks


async def test_replies_stand_in_their_thread_and_not_in_the_channel(client: AsyncWebClient) -> None:
    ts = await post_card(client)
    await client.chat_postMessage(channel=CHANNEL, text="Reminder", thread_ts=ts)
    thread = (await client.conversations_replies(channel=CHANNEL, ts=ts))["messages"]
    assert ["Deploy web 1.4?", "Reminder"] == [message["text"] for message in thread]
    assert 1 == len((await client.conversations_history(channel=CHANNEL))["messages"])


async def test_a_form_with_blocks_as_text_is_read_like_json(sandbox: Sandbox) -> None:
    form = {"channel": CHANNEL, "text": "hi", "blocks": json.dumps(CARD)}
    headers = {"Authorization": f"Bearer {sandbox.slack.app.bot_token}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        posted = (await http.post(f"{sandbox.slack.base_url}chat.postMessage", data=form)).json()
        broken = (await http.post(f"{sandbox.slack.base_url}chat.postMessage", data=form | {"blocks": "[{"})).json()
    assert posted["ok"]
    assert "invalid_blocks_format" == broken["error"]


@pytest.mark.parametrize(
    ("blocks", "complaint"),
    [
        ([section("x" * 3001)], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([{"type": "header", "text": plain("x" * 151)}], "must be less than 151 characters"),
        ([actions(button("x" * 76, "a"))], "must be less than 76 characters"),
        ([actions(button("ok", "a", value="x" * 2001))], "must be less than 2001 characters"),
        ([actions(button("ok", "a", url="https://" + "x" * 3000))], "must be less than 3001 characters"),
        ([actions(button("ok", "x" * 256))], "must be less than 256 characters"),
        ([actions(button("ok", "a"), button("no", "a"))], "`action_id` must be unique within the block"),
        ([section("a") | {"block_id": "b"}] * 2, "`block_id` must be unique"),
        ([{"type": "divider"}] * 51, "no more than 50 items allowed"),
        ([actions(*(button("ok", str(n)) for n in range(26)))], "no more than 25 items allowed"),
        ([section("")], "must be more than 0 characters"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "must be one of plain_text"),
        ([actions(button("ok", "a", style="green"))], "must be one of primary, danger"),
        ([{"type": "carousel"}], "unsupported type: carousel"),
        ([section("a") | {"txt": "b"}], "invalid additional property: txt"),
        ([date(timestamp="1795255200")], "must provide an integer [json-pointer:/blocks/0/elements/0/elements/0/time"),
        ([date(timestamp=1.5)], "must provide an integer"),
        ([date(format="{time} {noon}")], "must be made of known tokens"),
        ([date(format="")], "must be more than 0 characters"),
        ([date(fallback="")], "must be more than 0 characters"),
        ([date(text="now")], "invalid additional property: text"),
        ([date("rich_text_preformatted")], "unsupported type: date"),
        ([{"type": "rich_text", "elements": [{"type": "date"}]}], "unsupported type: date"),
    ],
)
async def test_blocks_past_a_limit_are_refused_by_place(
    client: AsyncWebClient, blocks: list[Block], complaint: str
) -> None:
    answer = (await refusal(post_card(client, blocks))).response
    assert ("invalid_blocks", 200) == (answer["error"], answer.status_code)
    assert complaint in answer["response_metadata"]["messages"][0]


async def test_a_date_is_taken_and_its_words_count_as_text(client: AsyncWebClient) -> None:
    await post_card(client, [date(url="https://a.b", style={"bold": True}), date("rich_text_quote")])
    assert "msg_blocks_too_long" == await error_of(post_card(client, [date(fallback="x" * 2900) for _ in range(5)]))


async def test_all_text_together_has_a_limit_too(client: AsyncWebClient) -> None:
    await post_card(client, [section("x" * 3000) for _ in range(4)])
    assert "msg_blocks_too_long" == await error_of(post_card(client, [section("x" * 3000) for _ in range(5)]))
    ts = await post_card(client)
    assert "msg_too_long" == await error_of(client.chat_update(channel=CHANNEL, ts=ts, text="x" * 4001))


async def test_what_is_unknown_or_foreign_is_refused_by_name(client: AsyncWebClient, sandbox: Sandbox) -> None:
    foreign = sandbox.slack.write(CHANNEL, "Hello")
    missing = "1.000001"
    expected = {
        "channel_not_found": client.chat_postMessage(channel="C0NOWHERE", text="x"),
        "not_in_channel": client.chat_postMessage(channel="C0UNJOINE", text="x"),
        "message_not_found": client.chat_update(channel=CHANNEL, ts=missing, text="x"),
        "cant_update_message": client.chat_update(channel=CHANNEL, ts=foreign.ts, text="x"),
        "no_text": client.api_call("chat.postMessage", json={"channel": CHANNEL}),
        "thread_not_found": client.chat_postMessage(channel=CHANNEL, text="x", thread_ts=missing),
        "user_not_in_channel": client.chat_postEphemeral(channel=CHANNEL, user="U0OUTSIDE", text="x"),
        "user_not_found": client.users_info(user="U0NOBODY1"),
        "no_such_subteam": client.usergroups_users_list(usergroup="S0NOTHING"),
        "unknown_method": client.api_call("chat.shout"),
    }
    assert list(expected) == [await error_of(call) for call in expected.values()]


async def test_an_ephemeral_message_is_seen_by_one_person(client: AsyncWebClient, sandbox: Sandbox) -> None:
    await client.chat_postEphemeral(channel=CHANNEL, user="U0REVIEW1", text="You may not decide this.")
    assert [] == sandbox.slack.messages(CHANNEL, user="Reviewer Two")
    assert 1 == len(sandbox.slack.messages(CHANNEL, user="Reviewer One"))
    assert ["You may not decide this."] == [notice.text for notice in sandbox.notices("U0REVIEW1")]
    assert [] == (await client.conversations_history(channel=CHANNEL))["messages"]


async def test_a_persons_id_is_the_direct_message_with_that_person(client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel="U0REQUEST", text="Your case")
    opened = await client.conversations_open(users="U0REQUEST")
    assert opened["channel"]["id"] == posted["channel"]


async def test_people_groups_and_channels_can_be_looked_up(client: AsyncWebClient) -> None:
    stranger = (await client.users_info(user="U0STRANGE"))["user"]
    assert ("T0PARTNER", True) == (stranger["team_id"], stranger["is_stranger"])
    assert ["U0REVIEW1", "U0REVIEW2"] == (await client.usergroups_users_list(usergroup="S0REVIEWS"))["users"]
    assert (await client.conversations_info(channel="C0SHARED1"))["channel"]["is_ext_shared"]
    first = await client.conversations_members(channel=CHANNEL, limit=2)
    rest = await client.conversations_members(channel=CHANNEL, cursor=first["response_metadata"]["next_cursor"])
    assert 5 == len({*first["members"], *rest["members"]})


async def test_a_channels_name_is_good_for_posting_alone(client: AsyncWebClient, sandbox: Sandbox) -> None:
    posted = await client.chat_postMessage(channel="#oncall", text="x")
    assert "C0ONCALL0" == posted["channel"]
    for call in (
        client.chat_update(channel="#oncall", ts=posted["ts"], text="y"),
        client.conversations_history(channel="#oncall"),
        client.conversations_info(channel="oncall"),
    ):
        assert "channel_not_found" == await error_of(call)
    assert "channel_not_found" == await error_of(client.chat_postMessage(channel="#nowhere", text="x"))
    assert "not_in_channel" == await error_of(client.chat_postMessage(channel="#unjoined", text="x"))


async def test_the_channels_that_the_bot_is_in_are_listed(client: AsyncWebClient, sandbox: Sandbox) -> None:
    world = sandbox.slack.world
    world.shared.is_private, world.approvals.is_archived = True, True
    world.direct_message(world.requester)
    public = await client.users_conversations(exclude_archived=True)
    assert ["oncall"] == [channel["name"] for channel in public["channels"]]
    first = await client.users_conversations(types="public_channel,private_channel", limit=2)
    rest = await client.users_conversations(
        types="public_channel,private_channel", cursor=first["response_metadata"]["next_cursor"]
    )
    assert ["approvals", "shared", "oncall"] == [one["name"] for one in [*first["channels"], *rest["channels"]]]
    assert "" == rest["response_metadata"]["next_cursor"]


async def test_posting_is_limited_per_channel_and_recovers(
    client: AsyncWebClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    for _ in range(4):
        await post_card(client)
    answer = (await refusal(post_card(client))).response
    assert ("ratelimited", 429, "4") == (answer["error"], answer.status_code, answer.headers["Retry-After"])
    await client.chat_postMessage(channel="C0SHARED1", text="another channel")
    clock.advance(4)
    await post_card(client)
    sandbox.rates.enabled = False
    for _ in range(10):
        await post_card(client)


async def test_updates_are_limited_to_fifty_a_minute(client: AsyncWebClient, clock: ManualClock) -> None:
    ts = await post_card(client)
    for number in range(50):
        await client.chat_update(channel=CHANNEL, ts=ts, text=str(number))
    assert "ratelimited" == await error_of(client.chat_update(channel=CHANNEL, ts=ts, text="one more"))
    clock.advance(60)
    await client.chat_update(channel=CHANNEL, ts=ts, text="one more")


# Faults


async def test_faults_strike_the_next_call_and_then_stop(client: AsyncWebClient, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.rate_limited(retry_after=7))
    assert "7" == (await refusal(post_card(client))).response.headers["Retry-After"]
    sandbox.faults.next("chat.postMessage", Fault.platform_error("is_archived"))
    assert "is_archived" == await error_of(post_card(client))
    sandbox.faults.next("chat.postMessage", Fault.server_error(503))
    assert 503 == (await refusal(post_card(client))).response.status_code
    assert [] == sandbox.slack.messages(CHANNEL)
    await post_card(client)
    outcomes = [call.outcome for call in sandbox.calls("chat.postMessage")]
    assert ["fault: rate_limited", "fault: error", "fault: server_error", "ok"] == outcomes


async def test_a_fault_can_wait_for_one_channel(client: AsyncWebClient, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.rate_limited(), chat="C0SHARED1")
    await post_card(client)
    assert "ratelimited" == await error_of(client.chat_postMessage(channel="C0SHARED1", text="x"))
    await client.chat_postMessage(channel="C0SHARED1", text="x")


async def test_a_lost_answer_leaves_the_message_and_a_dropped_call_does_not(sandbox: Sandbox) -> None:
    base, token = sandbox.slack.base_url, sandbox.slack.app.bot_token
    once = AsyncWebClient(token=token, base_url=base, retry_handlers=[])
    sandbox.faults.next("chat.postMessage", Fault.dropped())
    with pytest.raises(aiohttp.ClientError):
        await post_card(once)
    assert [] == sandbox.slack.messages(CHANNEL)
    sandbox.faults.next("chat.postMessage", Fault.lost_answer())
    with pytest.raises(aiohttp.ClientError):
        await post_card(once)
    assert 1 == len(sandbox.slack.messages(CHANNEL))


async def test_the_sdk_doubles_a_post_whose_answer_was_lost(client: AsyncWebClient, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.lost_answer())
    await post_card(client)
    assert 2 == len(sandbox.slack.messages(CHANNEL))


async def test_a_held_answer_comes_when_it_is_released(client: AsyncWebClient, sandbox: Sandbox) -> None:
    held = sandbox.faults.next("chat.postMessage", Fault.held())
    posting = asyncio.create_task(post_card(client))
    await sandbox.until(lambda: sandbox.slack.messages(CHANNEL))
    assert not posting.done()
    held.release()
    assert sandbox.slack.messages(CHANNEL)[0].ts == await posting


# Taps over HTTP


async def test_a_tap_arrives_signed_and_whole(client: AsyncWebClient, sandbox: Sandbox) -> None:
    ts = await post_card(client)
    async with receiving() as receiver:
        sandbox.slack.app.request_url = receiver.url
        tap = await sandbox.slack.tap("#approvals", ts, "Approve", user="Reviewer Two")
    assert (200, False) == (tap.status, tap.failed)
    [received] = receiver.received
    assert verifier(sandbox).is_valid_request(received.body, received.headers)
    payload = payload_of(received)
    assert "block_actions" == payload["type"]
    assert ("U0REVIEW2", "T0SANDBOX") == (payload["user"]["id"], payload["user"]["team_id"])
    assert (ts, CHANNEL, "message") == tuple(
        payload["container"][name] for name in ("message_ts", "channel_id", "type")
    )
    [action] = payload["actions"]
    assert ("approve", "v1", "decide", "button") == tuple(
        action[name] for name in ("action_id", "value", "block_id", "type")
    )
    assert ts == payload["message"]["ts"]
    assert payload["response_url"].startswith(sandbox.address.url)


async def test_a_late_acknowledgement_is_a_failed_tap(client: AsyncWebClient, sandbox: Sandbox) -> None:
    ts = await post_card(client)
    never = asyncio.Event()

    async def too_slow(_received: Received) -> Response:
        await never.wait()
        return Response()

    sandbox.slack.courier.ack_seconds = 0.05
    async with receiving() as receiver:
        receiver.answer = too_slow
        sandbox.slack.app.request_url = receiver.url
        tap = await sandbox.slack.tap(CHANNEL, ts, "reject")
        never.set()
    assert (True, "operation_timeout") == (tap.failed, tap.last.problem)
    assert ["operation_timeout"] == [notice.kind for notice in sandbox.notices("U0REVIEW1")]


async def test_an_app_that_refuses_or_is_gone_is_a_failed_tap_too(client: AsyncWebClient, sandbox: Sandbox) -> None:
    ts = await post_card(client)
    async with receiving() as receiver:
        sandbox.slack.app.request_url = f"{receiver.url}/elsewhere"
        assert 404 == (await sandbox.slack.tap(CHANNEL, ts, "approve")).status
    assert (await sandbox.slack.tap(CHANNEL, ts, "approve")).failed
    words = [notice.text for notice in sandbox.notices("U0REVIEW1")]
    assert "The app did not take this: it answered 404." == words[0]
    assert words[1].startswith("The app did not take this: it could not be reached")


@pytest.mark.parametrize("forgery", list(Forgery))
async def test_no_forgery_passes_bolts_own_check(
    client: AsyncWebClient, sandbox: Sandbox, clock: ManualClock, forgery: Forgery
) -> None:
    ts = await post_card(client)
    async with receiving() as receiver:
        sandbox.slack.app.request_url = receiver.url
        await sandbox.slack.tap(CHANNEL, ts, "approve", forgery=forgery)
    [received] = receiver.received
    clock.advance(30)  # a busy server looks late: a time far ahead must still be far ahead then
    try:
        valid = verifier(sandbox).is_valid_request(received.body, received.headers)
    except (ValueError, TypeError):
        valid = False  # what a door must turn into a refusal
    assert forgery is Forgery.UNDERSCORED_TIMESTAMP or not valid


async def test_a_tap_can_be_stale_doubled_and_delivered_again(client: AsyncWebClient, sandbox: Sandbox) -> None:
    ts = await post_card(client)
    stale = sandbox.slack.prepare(CHANNEL, ts, "approve")
    await client.chat_update(channel=CHANNEL, ts=ts, text="Decided", blocks=[section("Decided")])
    with pytest.raises(NoSuchButton, match="offered: none"):
        await sandbox.slack.tap(CHANNEL, ts, "approve")
    async with receiving() as receiver:
        sandbox.slack.app.request_url = receiver.url
        await sandbox.slack.deliver(stale, copies=2)
        await sandbox.slack.deliver(stale)
    assert 3 == len(receiver.received)
    assert 1 == len({received.body for received in receiver.received})


async def test_a_response_url_answers_five_times_and_for_half_an_hour(
    client: AsyncWebClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    ts = await post_card(client)
    first, second = (sandbox.slack.prepare(CHANNEL, ts, "approve").payload["response_url"] for _ in range(2))
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(5):
            assert 200 == (await http.post(first, json={"text": "noted", "response_type": "ephemeral"})).status_code
        used = await http.post(first, json={"text": "noted"})
        assert (404, "used_url") == (used.status_code, used.json()["error"])
        await http.post(second, json={"text": "Decided", "replace_original": True})
        clock.advance(1801)
        assert "expired_url" == (await http.post(second, json={"text": "late"})).json()["error"]
    assert "Decided" == sandbox.slack.messages(CHANNEL)[0].text
    assert 5 == len(sandbox.notices("U0REVIEW1"))


# Modals, commands and App Home, through slack-bolt over HTTP


def reason_modal() -> Block:
    reasons = [{"text": plain("Too risky"), "value": "risk"}, {"text": plain("Not now"), "value": "later"}]
    menu = {"type": "static_select", "action_id": "why", "options": reasons}
    words = {"type": "plain_text_input", "action_id": "words", "multiline": True}
    return {
        "type": "modal",
        "callback_id": "deny",
        "title": plain("Reject"),
        "submit": plain("Reject"),
        "blocks": [
            {"type": "input", "block_id": "why", "label": plain("Why"), "element": menu},
            {"type": "input", "block_id": "words", "label": plain("In words"), "element": words, "optional": True},
        ],
    }


@pytest.fixture
async def bolt(sandbox: Sandbox, client: AsyncWebClient, clock: ManualClock) -> AsyncIterator[AsyncApp]:
    app = AsyncApp(client=client, signing_secret=sandbox.slack.app.signing_secret, request_verification_enabled=False)
    handler = AsyncSlackRequestHandler(app)

    async def events(request: Request) -> Response:
        answer: Response = await handler.handle(request)
        return answer

    async with serving(Starlette(routes=[Route("/slack/events", events, methods=["POST"])])) as url:
        sandbox.slack.app.request_url = f"{url}/slack/events"
        yield app


async def test_a_modal_opens_once_within_three_seconds(
    client: AsyncWebClient, sandbox: Sandbox, clock: ManualClock
) -> None:
    ts = await post_card(client)
    trigger, late = (sandbox.slack.prepare(CHANNEL, ts, "reject").payload["trigger_id"] for _ in range(2))
    await client.views_open(trigger_id=trigger, view=reason_modal())
    again = await error_of(client.views_open(trigger_id=trigger, view=reason_modal()))
    clock.advance(3.1)
    expired = await error_of(client.views_open(trigger_id=late, view=reason_modal()))
    unknown = await error_of(client.views_open(trigger_id="1.2.3", view=reason_modal()))
    assert ("exchanged_trigger_id", "expired_trigger_id", "invalid_trigger_id") == (again, expired, unknown)
    too_long = reason_modal() | {"title": plain("x" * 25)}
    assert "invalid_arguments" == await error_of(client.views_open(trigger_id="1.2.3", view=too_long))


async def test_a_modal_is_submitted_and_its_errors_are_shown(
    bolt: AsyncApp, client: AsyncWebClient, sandbox: Sandbox
) -> None:
    submitted: list[dict[str, Any]] = []

    async def open_modal(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=reason_modal())

    async def judge(ack: Any, view: dict[str, Any]) -> None:
        submitted.append(view["state"]["values"])
        chosen = view["state"]["values"]["why"]["why"]["selected_option"]["value"]
        await (ack() if chosen == "risk" else ack(response_action="errors", errors={"why": "Say more"}))

    bolt.action("reject")(open_modal)
    bolt.view("deny")(judge)
    ts = await post_card(client)
    await sandbox.slack.tap(CHANNEL, ts, "Reject")
    view = await sandbox.until(lambda: sandbox.slack.modal("Reviewer One"))
    with pytest.raises(ValueError, match="why"):
        await sandbox.slack.submit("Reviewer One", {"words": "no"})
    await sandbox.slack.submit("Reviewer One", {"Why": "later"})
    assert {"why": "Say more"} == view.errors
    await sandbox.slack.submit("Reviewer One", {"why": "risk", "words": "Friday"})
    assert sandbox.slack.modal("Reviewer One") is None
    assert {"type": "plain_text_input", "value": "Friday"} == submitted[-1]["words"]["words"]


async def test_a_command_is_answered_in_private(bolt: AsyncApp, sandbox: Sandbox) -> None:
    async def inbox(ack: Any, command: dict[str, Any]) -> None:
        await ack(f"You asked for {command['text']}")

    bolt.command("/assent")(inbox)
    tap = await sandbox.slack.command(CHANNEL, "/assent", "history", user="Requester")
    assert not tap.failed
    assert ["You asked for history"] == [notice.text for notice in sandbox.notices("U0REQUEST")]


async def test_app_home_is_published_when_it_is_opened(
    bolt: AsyncApp, client: AsyncWebClient, sandbox: Sandbox
) -> None:
    tapped: list[str] = []

    async def opened(event: dict[str, Any]) -> None:
        home = {"type": "home", "blocks": [section("Waiting"), actions(button("Approve", "approve"))]}
        await client.views_publish(user_id=event["user"], view=home)

    async def approve(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        tapped.append(body["container"]["type"])

    bolt.event("app_home_opened")(opened)
    bolt.action("approve")(approve)
    await sandbox.slack.open_home("Reviewer One")
    await sandbox.until(lambda: sandbox.slack.home("Reviewer One"))
    await sandbox.slack.tap_view("Approve", "Reviewer One")
    assert ["view"] == tapped


# Socket Mode


async def test_a_tap_travels_through_socket_mode(client: AsyncWebClient, sandbox: Sandbox) -> None:
    app = AsyncApp(client=client)
    seen: list[str] = []

    async def approve(ack: Any, body: dict[str, Any]) -> None:
        seen.append(body["user"]["id"])
        await ack()

    app.action("approve")(approve)
    async with socket_mode(app, sandbox):
        ts = await post_card(client)
        tap = await sandbox.slack.tap(CHANNEL, ts, "Approve")
    assert (["U0REVIEW1"], False) == (seen, tap.failed)


async def test_one_socket_gets_a_payload_and_all_do_on_request(sandbox: Sandbox, client: AsyncWebClient) -> None:
    ts = await post_card(client)
    async with raw_socket(sandbox) as one, raw_socket(sandbox) as two:
        envelopes: list[str] = []

        async def acknowledge(socket: aiohttp.ClientWebSocketResponse) -> None:
            async for message in socket:
                envelope = json.loads(message.data)
                envelopes.append(envelope["type"])
                await socket.send_json({"envelope_id": envelope["envelope_id"]})

        readers = [asyncio.create_task(acknowledge(socket)) for socket in (one, two)]
        assert not (await sandbox.slack.tap(CHANNEL, ts, "approve")).failed
        assert 1 == len(envelopes)
        sandbox.slack.sockets.to_all = True
        assert not (await sandbox.slack.tap(CHANNEL, ts, "approve")).failed
        assert 3 == len(envelopes)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def test_what_a_lost_socket_did_not_acknowledge_is_delivered_again(
    sandbox: Sandbox, client: AsyncWebClient
) -> None:
    ts = await post_card(client)
    async with raw_socket(sandbox) as first:
        tapping = asyncio.create_task(sandbox.slack.tap(CHANNEL, ts, "approve"))
        lost = json.loads((await first.receive()).data)
        await sandbox.slack.sockets.drop()
        async with raw_socket(sandbox) as second:
            again = json.loads((await second.receive()).data)
            await second.send_json({"envelope_id": again["envelope_id"]})
            tap = await tapping
    assert lost["payload"] == again["payload"]
    assert not tap.failed


async def test_a_socket_url_can_be_connected_once(sandbox: Sandbox) -> None:
    url = sandbox.slack.sockets.open()
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        assert "hello" == (await socket.receive_json())["type"]
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)


# Control interface


async def test_another_process_can_look_tap_and_break_things(sandbox: Sandbox, client: AsyncWebClient) -> None:
    await post_card(client)
    async with receiving() as receiver, httpx.AsyncClient(trust_env=False, base_url=sandbox.address.url) as http:
        receiver.answer = accept_with_word
        sandbox.slack.app.request_url = receiver.url
        [message] = (await http.get("/control/slack/messages", params={"channel": "#approvals"})).json()
        tap = {"channel": CHANNEL, "ts": message["ts"], "action": "Approve", "user": "Reviewer One"}
        done = (await http.post("/control/slack/tap", json=tap)).json()
        assert (True, 200, '{"word":"thanks"}') == (done["ok"], done["status"], done["body"])
        wrong = await http.post("/control/slack/tap", json=tap | {"action": "Launch"})
        assert (400, True) == (wrong.status_code, "offered: 'Approve', 'Reject'" in wrong.json()["error"])
        await http.post("/control/faults", json={"method": "chat.update", "kind": "rate_limited", "retry_after": 3})
        assert "ratelimited" == await error_of(client.chat_update(channel=CHANNEL, ts=message["ts"], text="x"))
        log = (await http.get("/control/log")).json()
        assert ["chat.postMessage", "chat.update"] == [call["method"] for call in log]
        await http.post("/control/reset", json={})
        assert [] == (await http.get("/control/slack/messages", params={"channel": CHANNEL})).json()


async def test_another_web_site_cannot_use_the_control_interface(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=sandbox.address.url) as http:
        foreign = await http.post("/control/reset", json={}, headers={"Origin": "https://elsewhere.example"})
        rebound = await http.get("/control/log", headers={"Host": "elsewhere.example"})
    assert (403, 403) == (foreign.status_code, rebound.status_code)


# Helpers


async def accept_with_word(_received: Received) -> Response:
    return JSONResponse({"word": "thanks"})


def payload_of(received: Received) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(parse_qs(received.body.decode())["payload"][0])
    return payload


def verifier(sandbox: Sandbox) -> SignatureVerifier:
    """Bolt's own check, on the sandbox's clock."""

    class SandboxTime(SignatureClock):
        def now(self) -> float:
            return sandbox.clock.wall()

    return SignatureVerifier(sandbox.slack.app.signing_secret, SandboxTime())


class socket_mode:
    """A bolt app connected through Socket Mode while the block runs."""

    def __init__(self, app: AsyncApp, sandbox: Sandbox) -> None:
        self._handler = AsyncSocketModeHandler(app, sandbox.slack.app.app_token)

    async def __aenter__(self) -> None:
        await self._handler.connect_async()  # type: ignore[no-untyped-call]  # bolt leaves it untyped

    async def __aexit__(self, *_: object) -> None:
        await self._handler.close_async()  # type: ignore[no-untyped-call]  # bolt leaves it untyped


class raw_socket:
    """A bare Socket Mode connection that has heard hello."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._url = sandbox.slack.sockets.open()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> aiohttp.ClientWebSocketResponse:
        self._session = aiohttp.ClientSession()
        socket = await self._session.ws_connect(self._url)
        await socket.receive()
        return socket

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()
