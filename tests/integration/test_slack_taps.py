"""A tap on a Slack card, from the press of the button to the ledger and back, over HTTP and through Socket Mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from adapters.slack import SlackAdapter
from bot.sandbox import Fault, Sandbox
from core.ledger import Statement, Tx, Write
from core.model import Policy
from core.ports import SendFailed
from core.words import EN
from tests.integration.slack_support import (
    APPROVALS,
    REQUESTER,
    REVIEWER,
    SHARED,
    STRANGER,
    TWO,
    acknowledged,
    ask,
    card_in,
    closed_card,
    connected,
    settings_for,
    shown,
    told,
)
from tests.support.chats import whispered
from tests.support.cores import Core, a_core
from tests.support.databases import eventually, rows

LATE, UNCHECKED, FAILED = EN["late"], EN["unchecked"], EN["failed"]

PEOPLE = (REVIEWER, TWO, REQUESTER, "U0ONCALL1")
RECORDED = "Recorded: Approved."


def _words(sandbox: Sandbox) -> list[str]:
    return [notice.text for notice in sandbox.notices()]


async def _finished(*adapters: SlackAdapter) -> None:
    """Once these adapters have told all that they had to tell."""
    for adapter in adapters:
        await adapter.stop(5)


async def nobody_is_told(sandbox: Sandbox, *adapters: SlackAdapter) -> None:
    """The redrawn card is the answer: when all errands are done, no private message has been shown."""
    await _finished(*adapters)
    assert [] == _words(sandbox)


async def test_one_tap_decides_and_the_card_says_so(core: Core, sandbox: Sandbox, slack: SlackAdapter) -> None:
    opened = await ask(core)
    card = await card_in(sandbox)
    tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")

    assert acknowledged(tap)
    await closed_card(sandbox, card)
    assert "Approved by reviewer.one" in shown(card)
    assert "on Slack" in shown(card)
    await nobody_is_told(sandbox, slack)
    (row,) = await core.ledger()
    assert opened.case.case_id == row["case_id"]
    assert "slack_block_action" == row["via"]
    assert '"team":"T0SANDBOX"' in row["replier"]
    assert '"verified":true' in row["replier"]


async def test_a_redelivered_tap_makes_one_row_and_nobody_is_told_of_it(
    core: Core, sandbox: Sandbox, slack: SlackAdapter
) -> None:
    await ask(core)
    card = await card_in(sandbox)
    tap = sandbox.slack.prepare(APPROVALS, card.ts, "Approve")
    await sandbox.slack.deliver(tap, copies=4)
    await sandbox.slack.deliver(tap)

    assert all(attempt.acknowledged for attempt in tap.attempts)
    await closed_card(sandbox, card)
    await nobody_is_told(sandbox, slack)
    assert 1 == len(await core.ledger())


async def test_a_redelivered_refusal_is_told_once(core: Core, sandbox: Sandbox, slack: SlackAdapter) -> None:
    await ask(core, policy=Policy((f"slack:{TWO}",)))
    card = await card_in(sandbox)
    tap = sandbox.slack.prepare(APPROVALS, card.ts, "Approve")
    await sandbox.slack.deliver(tap, copies=3)

    await _finished(slack)
    (words,) = _words(sandbox)
    assert "You are not one of the reviewers" in words


@dataclass
class Replicas:
    """Two processes on one database, each with a socket of its own; Slack hands every tap to both."""

    one: Core
    adapters: tuple[SlackAdapter, SlackAdapter]


@pytest.fixture
async def replicas(database_url: str, sandbox: Sandbox) -> AsyncIterator[Replicas]:
    async with (
        a_core(database_url) as one,
        a_core(database_url) as other,
        connected(one, sandbox, socket_mode=True) as first,
        connected(other, sandbox, socket_mode=True, worker=False) as second,
    ):
        sandbox.slack.sockets.to_all = True
        yield Replicas(one, (first, second))


async def test_two_sockets_with_the_same_tap_make_one_row_and_nobody_is_told_of_it(
    replicas: Replicas, sandbox: Sandbox
) -> None:
    await ask(replicas.one)
    card = await card_in(sandbox)
    tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)

    assert acknowledged(tap)
    assert 1 == len(await replicas.one.ledger())
    await nobody_is_told(sandbox, *replicas.adapters)


async def test_two_sockets_with_the_same_refused_tap_tell_it_once(replicas: Replicas, sandbox: Sandbox) -> None:
    await ask(replicas.one, policy=Policy((f"slack:{TWO}",)))
    card = await card_in(sandbox)
    tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await told(sandbox, REVIEWER)

    assert acknowledged(tap)
    await _finished(*replicas.adapters)
    (words,) = _words(sandbox)
    assert "You are not one of the reviewers" in words
    events = await rows(replicas.one.url, "SELECT kind FROM case_events")
    assert 1 == [event["kind"] for event in events].count("refused")


async def test_a_tap_survives_the_loss_of_the_socket(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox, socket_mode=True):
        await ask(core)
        card = await card_in(sandbox)
        await sandbox.slack.sockets.drop()
        await sandbox.until(lambda: not sandbox.slack.sockets.sockets)
        await sandbox.until(lambda: sandbox.slack.sockets.sockets, within=10)
        tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")

        assert acknowledged(tap)
        await closed_card(sandbox, card)


async def test_the_socket_is_replaced_when_slack_asks_for_it(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox, socket_mode=True):
        (first,) = sandbox.slack.sockets.sockets
        await sandbox.slack.sockets.ask_to_reconnect()
        await sandbox.until(lambda: sandbox.slack.sockets.sockets and first not in sandbox.slack.sockets.sockets)
        await ask(core)
        card = await card_in(sandbox)

        assert acknowledged(await sandbox.slack.tap(APPROVALS, card.ts, "Approve"))


async def test_a_socket_that_does_not_come_back_is_replaced_as_a_whole(
    core: Core, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.slack.connect.PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("adapters.slack.connect.RESTART_SECONDS", 0.1)
    sandbox.faults.next("apps.connections.open", Fault.server_error(503), times=3)
    async with connected(core, sandbox, socket_mode=True):
        await ask(core)
        card = await card_in(sandbox)

        assert 4 == len(sandbox.calls("apps.connections.open"))
        assert acknowledged(await sandbox.slack.tap(APPROVALS, card.ts, "Approve"))


@pytest.mark.usefixtures("slack")
async def test_the_second_tap_is_told_who_decided(core: Core, sandbox: Sandbox) -> None:
    await ask(core)
    card = await card_in(sandbox)
    late = sandbox.slack.prepare(APPROVALS, card.ts, "Reject", TWO)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)
    await sandbox.slack.deliver(late)

    (words,) = await told(sandbox, TWO)
    assert "already decided" in words
    assert "Approved by reviewer.one" in words
    assert [words] == _words(sandbox), "the first tap's answer is the card"
    assert 1 == len(await core.ledger())


async def test_whoever_taps_again_is_told_that_it_is_decided(
    core: Core, sandbox: Sandbox, over_http: SlackAdapter
) -> None:
    await ask(core)
    card = await card_in(sandbox)
    again = sandbox.slack.prepare(APPROVALS, card.ts, "Approve")
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)
    await sandbox.slack.deliver(again)

    await _finished(over_http)
    *_, words = _words(sandbox)  # the first tap may have been told that it was late
    assert words.startswith("This was already decided. Approved by reviewer.one")
    assert 1 == len(await core.ledger())


@pytest.mark.usefixtures("over_http")
async def test_a_stale_button_makes_the_card_be_drawn_again(core: Core, sandbox: Sandbox) -> None:
    await ask(core)
    card = await card_in(sandbox)
    buttons = list(card.blocks)
    stale = sandbox.slack.prepare(APPROVALS, card.ts, "Approve", TWO)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)
    await eventually(lambda: _all_drawn(core))
    card.blocks = buttons  # an old picture, as a client that was offline shows it
    await sandbox.slack.deliver(stale)

    await closed_card(sandbox, card)
    assert "Approved by reviewer.one" in shown(card)


async def test_many_people_at_once_make_one_decision(core: Core, sandbox: Sandbox, over_http: SlackAdapter) -> None:
    await ask(core)
    card = await card_in(sandbox)
    taps = [
        sandbox.slack.prepare(APPROVALS, card.ts, action, who) for who in PEOPLE for action in ("Approve", "Reject")
    ]
    await asyncio.gather(*(sandbox.slack.deliver(tap) for tap in taps))

    assert all(acknowledged(tap) for tap in taps)
    await _finished(over_http)
    assert 1 == len(await core.ledger())
    # On a busy machine some are told first that their tap is not recorded yet, and then the first that it is.
    answers = [words for words in _words(sandbox) if words not in (LATE, RECORDED)]
    assert len(taps) - 1 == len(answers), "all but the first are told"
    assert all(words.startswith("This was already decided.") for words in answers)


@pytest.mark.usefixtures("over_http")
async def test_who_is_no_reviewer_is_told_in_private_who_is(core: Core, sandbox: Sandbox) -> None:
    opened = await ask(core, policy=Policy((f"slack:{TWO}", "slack:S0STANDBY")))
    card = await card_in(sandbox)
    await eventually(lambda: _all_drawn(core))
    before = list(card.blocks)
    tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")

    assert acknowledged(tap)
    (words,) = await told(sandbox, REVIEWER)
    assert "You are not one of the reviewers" in words
    assert f"slack:{TWO}" in words
    said = str((await whispered(sandbox, APPROVALS, REVIEWER)).blocks)
    assert f"{{'type': 'user', 'user_id': '{TWO}'}}" in said, "Slack shows their name"
    assert "{'type': 'usergroup', 'usergroup_id': 'S0STANDBY'}" in said
    assert [] == await core.ledger()
    assert before == card.blocks
    assert 1 == len(sandbox.slack.messages(APPROVALS)), "the refusal is not for everybody"
    events = await rows(core.url, "SELECT kind FROM case_events")
    assert "refused" in {event["kind"] for event in events}, opened.case.case_id


@pytest.mark.usefixtures("over_http")
async def test_whoever_asked_cannot_agree(core: Core, sandbox: Sandbox) -> None:
    await ask(core, policy=Policy(exclude_requester=True), requested_by=f"slack:{REQUESTER}")
    card = await card_in(sandbox)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve", REQUESTER)

    assert ["Whoever asked for this cannot be the one who agrees to it."] == await told(sandbox, REQUESTER)
    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
async def test_a_stranger_in_a_shared_channel_decides_nothing(core: Core, sandbox: Sandbox) -> None:
    await ask(core, SHARED, policy=Policy(("channel", f"slack:{STRANGER}")))
    card = await card_in(sandbox, SHARED)
    await sandbox.slack.tap(SHARED, card.ts, "Approve", STRANGER)

    (words,) = await told(sandbox, STRANGER)
    assert "You are not one of the reviewers" in words
    assert [] == await core.ledger()


@pytest.mark.usefixtures("slack")
async def test_a_card_for_a_person_stands_in_the_direct_message_and_can_be_answered_there(
    core: Core, sandbox: Sandbox
) -> None:
    await ask(core, REVIEWER, policy=Policy(("channel",)))
    direct = (await sandbox.until(lambda: [c for c in sandbox.slack.world.channels.values() if c.im_with]))[0]
    card = await card_in(sandbox, direct.id)
    tap = await sandbox.slack.tap(direct, card.ts, "Approve")

    assert acknowledged(tap)
    await closed_card(sandbox, card)
    assert 1 == len(await core.ledger())


async def test_a_card_in_a_direct_message_can_be_answered_after_a_restart(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox):
        await ask(core, REVIEWER, policy=Policy(("channel",)))
        direct = sandbox.slack.world.direct_message(sandbox.slack.world.reviewer_one)
        card = await card_in(sandbox, direct.id)
        await eventually(lambda: _all_drawn(core))
    async with connected(core, sandbox):  # knows of no direct message yet
        tap = await sandbox.slack.tap(direct, card.ts, "Approve")

        assert acknowledged(tap)
        await closed_card(sandbox, card)


@pytest.mark.usefixtures("over_http")
async def test_a_direct_message_is_only_that_persons(core: Core, sandbox: Sandbox) -> None:
    """A payload that names somebody else in that channel is not believed, signed as it is."""
    await ask(core, REVIEWER, policy=Policy(("channel",)))
    direct = sandbox.slack.world.direct_message(sandbox.slack.world.reviewer_one)
    card = await card_in(sandbox, direct.id)
    tap = sandbox.slack.prepare(direct, card.ts, "Approve", TWO)
    await sandbox.slack.deliver(tap)

    assert "You are not one of the reviewers" in (await told(sandbox, TWO))[0]
    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
async def test_the_review_link_is_acknowledged_and_nothing_else_happens(core: Core, sandbox: Sandbox) -> None:
    await ask(core)
    card = await card_in(sandbox)
    tap = await sandbox.slack.tap(APPROVALS, card.ts, "Review")

    assert acknowledged(tap)
    assert [] == sandbox.notices()
    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
async def test_a_button_of_an_unknown_card_is_answered_in_private(core: Core, sandbox: Sandbox) -> None:
    await ask(core)
    card = await card_in(sandbox)
    tap = sandbox.slack.prepare(APPROVALS, card.ts, "Approve")
    tap.payload["actions"][0]["value"] = "a:nonononononononononono:approve"
    await sandbox.slack.deliver(tap)

    assert acknowledged(tap)
    assert ["This card is not known here any more."] == await told(sandbox, REVIEWER)


@pytest.mark.usefixtures("over_http")
async def test_a_card_tapped_from_another_channel_decides_nothing(core: Core, sandbox: Sandbox) -> None:
    await ask(core, policy=Policy(("channel",)))
    card = await card_in(sandbox)
    tap = sandbox.slack.prepare(APPROVALS, card.ts, "Approve")
    tap.payload["channel"]["id"] = tap.payload["container"]["channel_id"] = SHARED
    await sandbox.slack.deliver(tap)

    assert "You are not one of the reviewers" in (await told(sandbox, REVIEWER))[0]
    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
async def test_a_response_url_that_is_used_up_is_made_up_for(core: Core, sandbox: Sandbox) -> None:
    await ask(core, policy=Policy((f"slack:{TWO}",)))
    card = await card_in(sandbox)
    sandbox.faults.next("response_url", Fault.platform_error("used_url", 404))
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")

    (words,) = await told(sandbox, REVIEWER)
    assert "You are not one of the reviewers" in words
    assert "ok" == sandbox.calls("chat.postEphemeral")[-1].outcome


@pytest.mark.usefixtures("over_http")
async def test_a_tap_does_not_wait_for_a_private_answer(core: Core, sandbox: Sandbox) -> None:
    await ask(core, policy=Policy((f"slack:{TWO}",)))
    card = await card_in(sandbox)
    held = sandbox.faults.next("response_url", Fault.held())
    refused = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve", TWO)

    assert acknowledged(refused)
    assert acknowledged(tap)
    await closed_card(sandbox, card)
    held.release()


@pytest.mark.usefixtures("over_http")
async def test_the_first_tap_asks_slack_nothing(core: Core, sandbox: Sandbox) -> None:
    await ask(core)
    card = await card_in(sandbox)
    asked = len(sandbox.calls("auth.test"))
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)

    assert 1 == asked
    assert asked == len(sandbox.calls("auth.test"))


async def test_a_slack_that_was_away_at_the_start_is_asked_at_the_first_tap(core: Core, sandbox: Sandbox) -> None:
    sandbox.faults.next("auth.test", Fault.server_error(503))
    async with connected(core, sandbox) as adapter:
        await ask(core)
        card = await card_in(sandbox)
        sandbox.faults.next("auth.test", Fault.server_error(503))
        tap = sandbox.slack.prepare(APPROVALS, card.ts, "Approve")
        await sandbox.slack.deliver(tap)
        assert acknowledged(tap)
        assert [UNCHECKED] == await told(sandbox, REVIEWER)
        assert [] == await core.ledger()

        await sandbox.slack.deliver(tap)
        await closed_card(sandbox, card)
        await _finished(adapter)
        assert [UNCHECKED] == _words(sandbox)
        assert 1 == len(await core.ledger())


@pytest.mark.parametrize("socket_mode", [False, True])
async def test_the_environment_changes_nothing(
    core: Core, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, socket_mode: bool
) -> None:
    """The SDK looks for these by itself; ours come from the settings alone."""
    for name in ("BOT_TOKEN", "SIGNING_SECRET", "APP_TOKEN", "CLIENT_ID", "CLIENT_SECRET", "VERIFICATION_TOKEN"):
        monkeypatch.setenv(f"SLACK_{name}", "from-elsewhere")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with connected(core, sandbox, socket_mode=socket_mode):
        await ask(core)
        card = await card_in(sandbox)
        late = sandbox.slack.prepare(APPROVALS, card.ts, "Reject", TWO)
        tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")

        assert acknowledged(tap)
        await closed_card(sandbox, card)
        await sandbox.slack.deliver(late)
        assert "already decided" in (await told(sandbox, TWO))[0]


@pytest.mark.parametrize(("field", "named"), [("bot_token", "SLACK_BOT_TOKEN"), ("app_token", "SLACK_APP_TOKEN")])
async def test_a_token_that_slack_refuses_stops_the_start(core: Core, sandbox: Sandbox, field: str, named: str) -> None:
    settings = settings_for(sandbox, socket_mode=True, **{field: "xoxb-wrong"})
    adapter = SlackAdapter(settings, core.cards, core.desk, core.hub, core.chat)
    with pytest.raises(SendFailed, match=named):
        await adapter.start()
    await adapter.stop(1)


# The database is slow


@pytest.mark.usefixtures("slack")
async def test_taps_are_acknowledged_within_a_second_while_the_database_stalls(core: Core, sandbox: Sandbox) -> None:
    world = sandbox.slack.world
    places = {
        APPROVALS: APPROVALS,
        SHARED: SHARED,
        **{who: world.direct_message(world.person(who)).id for who in PEOPLE},
    }
    for number in range(2):
        for address in places:
            await ask(core, address, prompt=f"Question {number}?")
    for channel in places.values():
        await card_in(sandbox, channel, 2)
    await eventually(lambda: _all_drawn(core))
    cards = [(address, card) for address, channel in places.items() for card in sandbox.slack.messages(channel)]
    taps = [
        sandbox.slack.prepare(places[address], card.ts, "Approve", address if address in PEOPLE else REVIEWER)
        for address, card in cards
    ]

    async with core.stalled() as end:
        bursts = taps[::2], taps[1::2]  # the second one while the first waits
        for burst in bursts:
            await asyncio.gather(*(sandbox.slack.deliver(tap) for tap in burst))
        assert not any(tap.failed for tap in taps)
        # A busy moment of the machine is not ours to judge.
        assert any(all(map(acknowledged, burst)) for burst in bursts), sorted(tap.seconds for tap in taps)
        await sandbox.until(lambda: [LATE] * len(taps) == _words(sandbox))
        assert [] == await core.ledger()
        await end()

    await sandbox.until(lambda: _words(sandbox).count(RECORDED) == len(taps), within=30)
    assert len(taps) == len(await core.ledger())
    for _, card in cards:
        await closed_card(sandbox, card)


async def _all_drawn(core: Core) -> bool:
    return all(row["message"] and row["wanted_version"] == row["shown_version"] for row in await _cards(core))


async def _cards(core: Core) -> list[dict[str, object]]:
    return await rows(core.url, "SELECT * FROM cards")


@pytest.mark.usefixtures("over_http")
async def test_nothing_says_recorded_before_the_commit(core: Core, sandbox: Sandbox) -> None:
    await ask(core)
    card = await card_in(sandbox)
    await eventually(lambda: _all_drawn(core))
    async with core.stalled() as end:
        tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
        assert acknowledged(tap)
        assert [LATE] == await told(sandbox, REVIEWER)
        assert "Recorded" not in str([call.params for call in sandbox.calls()])
        assert "Approved by" not in shown(card)
        await end()
    await told(sandbox, REVIEWER, 2)

    assert [LATE, RECORDED] == _words(sandbox)
    assert 1 == len(await core.ledger())


async def test_taps_under_way_are_recorded_before_the_process_ends(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox):
        await ask(core)
        card = await card_in(sandbox)
        await eventually(lambda: _all_drawn(core))
        async with core.stalled(1.5):
            tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
            assert acknowledged(tap)
    assert 1 == len(await core.ledger())
    assert [LATE, RECORDED] == _words(sandbox)


async def test_something_unforeseen_is_admitted(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox):
        await ask(core)
        card = await card_in(sandbox)
        await _break_the_seal(core)
        tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve")

        assert acknowledged(tap)
        assert [FAILED] == await told(sandbox, REVIEWER)


async def _break_the_seal(core: Core) -> None:
    """As when ASSENT_SECRET_KEY was lost: the tokens in the database cannot be read any more."""
    broken = Statement("break", "UPDATE case_tokens SET sealed = 'gone.AAAA' WHERE kind = :kind")

    async def body(tx: Tx) -> None:
        await tx.write(Write(broken, {"kind": "submit"}, rows=None))

    await core.database.transact(body)
