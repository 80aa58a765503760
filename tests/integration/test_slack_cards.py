"""Cards on Slack follow their cases, whatever Slack answers, and nothing is posted twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapters.slack import SlackSettings
from adapters.slack.messenger import SlackMessenger
from bot.sandbox import Fault, Sandbox
from bot.sandbox.slack import Message
from core.model import Address, Identity, Origin
from core.ports import SendFailed
from core.replies import Reply
from core.workers import CardWorker
from tests.integration.slack_support import (
    APPROVALS,
    HERE,
    REVIEWER,
    SHARED,
    UNJOINED,
    ask,
    card_in,
    closed_card,
    connected,
    settings_for,
    shown,
)
from tests.support.chats import parsed
from tests.support.cores import Core, a_card
from tests.support.crowd import crowd
from tests.support.databases import eventually, rows


async def drawn(core: Core) -> bool:
    cards = await rows(core.url, "SELECT wanted_version, shown_version FROM cards")
    return all(card["wanted_version"] == card["shown_version"] for card in cards)


# What is sent


@pytest.mark.usefixtures("over_http")
async def test_a_card_is_posted_with_text_and_blocks_and_unfurls_nothing(core: Core, sandbox: Sandbox) -> None:
    opened = await ask(core)
    card = await card_in(sandbox)
    (call,) = sandbox.calls("chat.postMessage")

    assert "Approval needed: Deploy checkout 2.14.0?" == call.params["text"]
    assert card.blocks
    assert False is call.params["unfurl_links"] is call.params["unfurl_media"]
    assert "none" == call.params["parse"]
    assert "assent_card" == call.params["metadata"]["event_type"]
    assert opened.case.case_id == call.params["metadata"]["event_payload"]["case_id"]


@pytest.mark.usefixtures("over_http")
async def test_an_update_sends_text_and_blocks_as_well(core: Core, sandbox: Sandbox) -> None:
    await ask(core)
    card = await card_in(sandbox)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)
    (call,) = sandbox.calls("chat.update")

    assert call.params["blocks"]
    assert call.params["text"].startswith("Approved by reviewer.one")
    assert "none" == call.params["parse"]


@pytest.mark.usefixtures("over_http")
async def test_nobody_is_pinged_by_what_an_agent_writes(core: Core, sandbox: Sandbox) -> None:
    await ask(core, prompt="<!channel> <!here> <@U0REVIEW1> @everyone?", context={"<!channel>": "<!everyone>"})
    card = await card_in(sandbox)

    assert "&lt;!channel&gt; &lt;!here&gt; &lt;@U0REVIEW1&gt; @everyone?" in card.text
    assert {"Answer by", "Deadline was"} >= set(parsed(card.blocks))


# Every copy follows


@pytest.mark.usefixtures("over_http")
async def test_every_copy_of_a_card_follows_the_case(core: Core, sandbox: Sandbox) -> None:
    await ask(core, APPROVALS, SHARED, REVIEWER)
    direct = sandbox.slack.world.direct_message(sandbox.slack.world.reviewer_one)
    copies = [await card_in(sandbox, channel) for channel in (APPROVALS, SHARED, direct.id)]
    await sandbox.slack.tap(SHARED, copies[1].ts, "Reject")

    for copy in copies:
        await closed_card(sandbox, copy)
        assert "Rejected by reviewer.one" in shown(copy)


@pytest.mark.usefixtures("over_http")
async def test_a_decision_on_the_review_page_closes_the_card(core: Core, sandbox: Sandbox) -> None:
    opened = await ask(core)
    card = await card_in(sandbox)
    await core.gate.respond(
        Reply(
            case_id=opened.case.case_id,
            door="page",
            token=opened.review_token,
            action="approve",
            data={},
            identity=Identity("link", opened.case.case_id),
            via="review_page",
            origin=Origin.MANUAL,
        )
    )
    await closed_card(sandbox, card)

    assert "Approved by a holder of the review link" in shown(card)
    assert "on the review page" in shown(card)


@pytest.mark.usefixtures("over_http")
async def test_an_expired_case_loses_its_buttons(core: Core, sandbox: Sandbox) -> None:
    await ask(core, default_action="reject")
    card = await card_in(sandbox)
    late = sandbox.slack.prepare(APPROVALS, card.ts, "Approve")
    await eventually(lambda: drawn(core))
    core.clock[0] = 86_400_000
    await core.gate.expire_due()
    await closed_card(sandbox, card)
    assert "Expired without an answer" in shown(card)

    await sandbox.slack.deliver(late)
    (notice,) = await sandbox.until(lambda: sandbox.notices(REVIEWER))
    assert "has expired" in notice.text


@pytest.mark.usefixtures("over_http")
async def test_a_withdrawn_case_says_so(core: Core, sandbox: Sandbox) -> None:
    opened = await ask(core)
    card = await card_in(sandbox)
    await core.gate.cancel(core.principal, opened.case.case_id, "no longer needed")
    await closed_card(sandbox, card)

    assert "Withdrawn" in shown(card)
    assert "no longer needed" in shown(card)


# What Slack answers


@pytest.mark.usefixtures("over_http")
async def test_a_posting_whose_answer_was_lost_is_not_doubled(core: Core, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.lost_answer())
    await ask(core)
    await card_in(sandbox)
    await eventually(lambda: drawn(core))

    (card,) = sandbox.slack.messages(APPROVALS)
    assert 1 == len(sandbox.calls("chat.postMessage"))
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)


@pytest.mark.usefixtures("over_http")
async def test_a_posting_that_broke_off_is_made_up_for(core: Core, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.dropped())
    await ask(core)
    await card_in(sandbox)
    await eventually(lambda: drawn(core))

    assert 1 == len(sandbox.slack.messages(APPROVALS))


@pytest.mark.usefixtures("over_http")
async def test_a_card_tapped_before_its_whereabouts_are_known_is_redrawn_there(core: Core, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.lost_answer())
    sandbox.faults.next("conversations.history", Fault.platform_error("missing_scope"), times=20)
    await ask(core)
    card = await card_in(sandbox)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)

    assert 1 == len(sandbox.slack.messages(APPROVALS))


@pytest.mark.usefixtures("over_http")
async def test_a_lost_update_is_repeated(core: Core, sandbox: Sandbox) -> None:
    await ask(core)
    card = await card_in(sandbox)
    sandbox.faults.next("chat.update", Fault.dropped())
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)

    assert 2 == len(sandbox.calls("chat.update"))


@pytest.mark.usefixtures("over_http")
async def test_a_request_to_slow_down_is_honoured_and_delays_no_other_chat(core: Core, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.rate_limited(retry_after=2))
    await ask(core)
    await sandbox.until(lambda: sandbox.calls("chat.postMessage"))
    await ask(core, SHARED)
    await card_in(sandbox, SHARED)
    await card_in(sandbox)

    calls = sandbox.calls("chat.postMessage")
    assert [APPROVALS, SHARED, APPROVALS] == [call.params["channel"] for call in calls], "the other one did not wait"
    refused, _, later = calls
    assert 2 <= later.at - refused.at < 2 + 3 * crowd()


@pytest.mark.usefixtures("over_http")
async def test_our_own_pace_keeps_us_within_the_published_limits(core: Core, sandbox: Sandbox) -> None:
    for number in range(6):
        await ask(core, prompt=f"Question {number}?")
    await eventually(lambda: _posted(core, 6), within=15)

    assert {"ok"} == {call.outcome for call in sandbox.calls("chat.postMessage")}


async def _posted(core: Core, number: int) -> bool:
    cards = await rows(core.url, "SELECT message FROM cards")
    return [card["message"] is not None for card in cards].count(True) == number


@pytest.mark.usefixtures("over_http")
async def test_a_channel_that_the_bot_is_not_in_is_given_up_with_words(core: Core, sandbox: Sandbox) -> None:
    await ask(core, UNJOINED)
    (card,) = await eventually(lambda: _dead(core))

    assert "/invite @assent" in card["last_error"]
    assert f"slack:{UNJOINED}" in card["last_error"]


async def _dead(core: Core) -> list[dict[str, Any]]:
    return await rows(core.url, "SELECT * FROM cards WHERE state = 'dead'")


async def test_a_worker_that_was_killed_after_posting_does_not_post_again(core: Core, sandbox: Sandbox) -> None:
    """The first one stops between Slack's answer and the save; when its lease has run out, another takes over."""
    async with connected(core, sandbox, worker=False) as adapter:
        await ask(core)
        (claimed,) = await core.cards.claim("slack", 20)
        await adapter.messenger.post(claimed.ref.address, claimed.card)
        core.clock[0] += 60_000
        await CardWorker(core.cards, adapter.messenger, core.hub).work()

        assert 1 == len(sandbox.slack.messages(APPROVALS))
        assert await drawn(core)


# The messenger by itself


async def test_what_is_being_posted_at_the_stop_is_finished(messenger: SlackMessenger, sandbox: Sandbox) -> None:
    held = sandbox.faults.next("chat.postMessage", Fault.held())
    posting = asyncio.create_task(messenger.post(HERE, a_card()))
    await sandbox.until(lambda: sandbox.slack.messages(APPROVALS))
    closing = asyncio.create_task(messenger.close())
    held.release()
    await closing

    (card,) = sandbox.slack.messages(APPROVALS)
    assert card.ts == await posting


async def test_a_forged_twin_is_not_adopted(messenger: SlackMessenger, sandbox: Sandbox) -> None:
    card = a_card()
    forged = {"event_type": "assent_card", "event_payload": {"card_id": card.card_id}}
    world = sandbox.slack.world
    world.say(Message(world.next_ts(), APPROVALS, "U0REQUEST", "It is me, the card", metadata=forged))

    assert await messenger.find(HERE, card) is None


async def test_a_twin_is_found_behind_many_messages(messenger: SlackMessenger, sandbox: Sandbox) -> None:
    card = a_card()
    posted = await messenger.post(HERE, card)
    for number in range(450):
        sandbox.slack.write(APPROVALS, f"Message {number}")

    assert posted == await messenger.find(HERE, card)
    assert 3 == len(sandbox.calls("conversations.history"))


async def test_without_the_permission_to_look_nothing_is_found(messenger: SlackMessenger, sandbox: Sandbox) -> None:
    await messenger.post(HERE, a_card())
    sandbox.faults.next("conversations.history", Fault.platform_error("missing_scope"))

    assert await messenger.find(HERE, a_card()) is None


async def test_looking_goes_on_later_when_slack_is_busy(messenger: SlackMessenger, sandbox: Sandbox) -> None:
    sandbox.faults.next("conversations.history", Fault.rate_limited(3))
    with pytest.raises(SendFailed) as raised:
        await messenger.find(HERE, a_card())

    assert 3_000 == raised.value.retry_after_ms


async def test_a_direct_message_is_opened_once(messenger: SlackMessenger, sandbox: Sandbox) -> None:
    address = Address("slack", REVIEWER)
    message = await messenger.post(address, a_card())
    await messenger.update(address, message, a_card(version=2))
    await messenger.notify(address, REVIEWER, "Only you see this.")

    assert 1 == len(sandbox.calls("conversations.open"))
    assert message == await messenger.find(address, a_card())


async def test_who_is_not_in_the_channel_is_told_in_a_direct_message(
    messenger: SlackMessenger, sandbox: Sandbox
) -> None:
    await messenger.notify(HERE, "U0OUTSIDE", "You may not decide this.")

    (said,) = sandbox.slack.messages(sandbox.slack.world.direct_message(sandbox.slack.world.outsider))
    assert "You may not decide this." == said.text
    assert [] == sandbox.slack.messages(APPROVALS)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("channel_not_found", "/invite @"),
        ("not_in_channel", "/invite @"),
        ("is_archived", "unarchive"),
        ("invalid_auth", "SLACK_BOT_TOKEN"),
        ("token_revoked", "SLACK_BOT_TOKEN"),
        ("account_inactive", "install it again"),
        ("missing_scope", "OAuth & Permissions"),
        ("restricted_action", "workspace admin"),
        ("user_not_found", "user id"),
        ("invalid_blocks", "report"),
    ],
)
async def test_a_refusal_for_good_says_what_to_do(
    messenger: SlackMessenger, sandbox: Sandbox, code: str, words: str
) -> None:
    sandbox.faults.next("chat.postMessage", Fault.platform_error(code))
    with pytest.raises(SendFailed) as raised:
        await messenger.post(HERE, a_card())

    assert raised.value.permanent
    assert not raised.value.uncertain
    assert words in raised.value.message
    assert "xoxb" not in raised.value.message


@pytest.mark.parametrize("code", ["internal_error", "fatal_error", "request_timeout"])
async def test_what_went_wrong_half_way_is_uncertain(messenger: SlackMessenger, sandbox: Sandbox, code: str) -> None:
    sandbox.faults.next("chat.postMessage", Fault.platform_error(code))
    with pytest.raises(SendFailed) as raised:
        await messenger.post(HERE, a_card())

    assert raised.value.uncertain
    assert not raised.value.permanent


async def test_an_error_nobody_has_heard_of_is_tried_again(messenger: SlackMessenger, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.platform_error("brand_new_error"))
    with pytest.raises(SendFailed, match="brand_new_error") as raised:
        await messenger.post(HERE, a_card())

    assert not raised.value.permanent
    assert not raised.value.uncertain


async def test_a_slow_answer_is_uncertain(
    messenger: SlackMessenger, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.slack.calls.CALL_SECONDS", 0.2)
    await messenger.start()
    held = sandbox.faults.next("chat.postMessage", Fault.held())
    with pytest.raises(SendFailed, match="TimeoutError") as raised:
        await messenger.post(HERE, a_card())
    held.release()

    assert raised.value.uncertain


async def test_check_names_a_missing_permission(messenger: SlackMessenger, sandbox: Sandbox) -> None:
    sandbox.slack.app.scopes = "chat:write,im:write"
    check = await messenger.check()

    assert not check.ok
    assert "channels:history" in check.detail


async def test_check_tries_the_app_token_in_socket_mode(sandbox: Sandbox) -> None:
    good = await SlackMessenger(settings_for(sandbox, socket_mode=True)).check()
    bad = await SlackMessenger(settings_for(sandbox, socket_mode=True, app_token="xapp-wrong")).check()

    assert good.ok
    assert "Socket Mode" in good.detail
    assert not bad.ok
    assert "SLACK_APP_TOKEN" in bad.detail


def test_secrets_are_in_no_repr() -> None:
    settings = SlackSettings("xoxb-secret", signing_secret="signing-secret", app_token="xapp-secret")

    assert "secret" not in repr(settings).replace("signing_secret", "")


@pytest.mark.parametrize(("token", "named"), [("", "SLACK_BOT_TOKEN"), ("xoxb-1", "SLACK_SIGNING_SECRET")])
def test_settings_that_are_not_enough_say_what_is_missing(token: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        SlackSettings(token)
