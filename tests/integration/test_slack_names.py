"""Cards to a channel's name: it is looked up before anything is sent, and from then on the card stands at an id."""

from __future__ import annotations

import asyncio

import pytest

from adapters.slack.messenger import SlackMessenger
from bot.sandbox import Fault, Sandbox
from bot.sandbox.slack import Channel
from core.model import Address, Identity, Policy
from core.notices import Notices
from core.ports import ChannelMoved, SendFailed
from core.reminders import Reminders
from core.schedule import HOUR
from core.taps import Tap
from core.workers import CardWorker, NoticeWorker
from tests.conformance.messenger import a_notice
from tests.integration.slack_support import (
    APPROVALS,
    REVIEWER,
    ask,
    card_in,
    closed_card,
    connected,
    shown,
)
from tests.support.cores import RING, Core, a_card
from tests.support.databases import eventually, rows
from tests.support.workers import drawing

ONCALL, NAME = "C0ONCALL0", "#oncall"
IN_CHANNEL = Policy(any_of=("channel",))


async def whereabouts(core: Core) -> list[tuple[str, str]]:
    """Where the cards are said to stand, and whether they live, once none is behind."""

    async def look() -> list[tuple[str, str]] | None:
        cards = await rows(core.url, "SELECT * FROM cards ORDER BY channel")
        behind = [card for card in cards if card["state"] == "live" and card["shown_version"] < card["wanted_version"]]
        return None if behind else [(card["channel"], card["state"]) for card in cards]

    return await eventually(look)


@pytest.mark.usefixtures("over_http")
async def test_a_card_posted_to_a_name_is_decided_there_and_redrawn(core: Core, sandbox: Sandbox) -> None:
    await ask(core, NAME, policy=IN_CHANNEL)
    card = await card_in(sandbox, ONCALL)
    tap = await sandbox.slack.tap(ONCALL, card.ts, "Approve")
    await closed_card(sandbox, card)

    assert 200 == tap.status
    assert "Approved by reviewer.one" in shown(card)
    assert 1 == len(await core.ledger())
    assert [(ONCALL, "live")] == await whereabouts(core)
    assert [ONCALL, ONCALL] == [
        call.params["channel"] for call in sandbox.calls("chat.postMessage") + sandbox.calls("chat.update")
    ]


async def test_in_the_channel_is_only_who_taps_where_the_card_stands(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox):
        await ask(core, NAME, policy=IN_CHANNEL)
        await card_in(sandbox, ONCALL)
        await whereabouts(core)
        (card,) = await rows(core.url, "SELECT card_id FROM cards")
        who = Identity("slack", REVIEWER, verified=True)
        for place in (NAME, "oncall", APPROVALS):
            answer = await core.taps.tap(Tap("slack", card["card_id"], "approve", who, place, "slack_block_action"))
            assert not answer.recorded
        assert [] == await core.ledger()
        here = Tap("slack", card["card_id"], "approve", who, ONCALL, "slack_block_action")
        assert (await core.taps.tap(here)).recorded


async def test_a_reminder_comes_into_the_thread_of_a_card_posted_to_a_name(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox) as adapter:
        await ask(core, NAME, timeout="24h", timeout_ms=24 * HOUR)
        card = await card_in(sandbox, ONCALL)
        await whereabouts(core)
        core.clock[0] = 12 * HOUR
        assert 1 == await Reminders(core.database, core.hub).remind_due()
        notices = Notices(core.database, RING, "https://assent.example.com")
        async with drawing(NoticeWorker(notices, core.cards, adapter.messenger, core.hub), core.hub):
            reminder = await card_in(sandbox, ONCALL, 2)

        assert card.ts == reminder.thread_ts


async def test_a_worker_killed_after_posting_to_a_name_does_not_post_again(core: Core, sandbox: Sandbox) -> None:
    """The first one stops between Slack's answer and the save; when its lease has run out, another takes over."""
    async with connected(core, sandbox, worker=False) as adapter:
        await ask(core, NAME)
        (named,) = await core.cards.claim("slack", 20)
        with pytest.raises(ChannelMoved) as moved:
            await adapter.messenger.post(named.ref.address, named.card)
        await core.cards.moved(named.ref, moved.value.new_channel)
        (claimed,) = await core.cards.claim("slack", 20)
        posted = await adapter.messenger.post(claimed.ref.address, claimed.card)
        core.clock[0] += 60_000
        await CardWorker(core.cards, adapter.messenger, core.hub).work()

        (card,) = sandbox.slack.messages(ONCALL)
        assert posted == card.ts
        assert [(ONCALL, "live")] == await whereabouts(core)


async def test_a_worker_killed_after_the_look_up_has_sent_nothing(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox, worker=False) as adapter:
        await ask(core, NAME)
        (named,) = await core.cards.claim("slack", 20)
        with pytest.raises(ChannelMoved):
            await adapter.messenger.post(named.ref.address, named.card)
        core.clock[0] += 60_000
        async with drawing(CardWorker(core.cards, adapter.messenger, core.hub), core.hub):
            assert [(ONCALL, "live")] == await whereabouts(core)

        assert 1 == len(sandbox.slack.messages(ONCALL))


@pytest.mark.usefixtures("over_http")
async def test_a_posting_to_a_name_whose_answer_was_lost_is_not_doubled(core: Core, sandbox: Sandbox) -> None:
    sandbox.faults.next("chat.postMessage", Fault.lost_answer())
    await ask(core, NAME)
    await card_in(sandbox, ONCALL)

    assert [(ONCALL, "live")] == await whereabouts(core)
    assert 1 == len(sandbox.slack.messages(ONCALL))


@pytest.mark.usefixtures("over_http")
async def test_a_channel_named_twice_has_one_card(core: Core, sandbox: Sandbox) -> None:
    await ask(core, NAME, ONCALL)
    await card_in(sandbox, ONCALL)

    assert [(NAME, "dead"), (ONCALL, "live")] == await whereabouts(core)
    assert 1 == len(sandbox.slack.messages(ONCALL))


@pytest.mark.usefixtures("over_http")
@pytest.mark.parametrize("name", ["#nowhere", "#unjoined"])
async def test_a_name_that_means_nothing_is_given_up_with_words(core: Core, sandbox: Sandbox, name: str) -> None:
    await ask(core, name)
    assert [(name, "dead")] == await whereabouts(core)
    (card,) = await rows(core.url, "SELECT last_error FROM cards")

    assert f"the bot is in no channel named slack:{name}" in card["last_error"]
    assert "/invite @assent" in card["last_error"]
    assert [] == sandbox.calls("chat.postMessage")


@pytest.mark.usefixtures("over_http")
async def test_a_look_up_that_slack_puts_off_is_made_later(core: Core, sandbox: Sandbox) -> None:
    sandbox.faults.next("users.conversations", Fault.rate_limited(1))
    await ask(core, NAME)
    await card_in(sandbox, ONCALL)

    assert [(ONCALL, "live")] == await whereabouts(core)


@pytest.mark.usefixtures("over_http")
async def test_a_card_stays_where_it_was_posted_when_its_channel_is_renamed(core: Core, sandbox: Sandbox) -> None:
    await ask(core, NAME)
    card = await card_in(sandbox, ONCALL)
    sandbox.slack.world.oncall.name = "oncall-archive"
    await sandbox.slack.tap(ONCALL, card.ts, "Reject")
    await closed_card(sandbox, card)

    assert "Rejected by reviewer.one" in shown(card)


# The messenger by itself


async def place_of(messenger: SlackMessenger, name: str) -> str:
    with pytest.raises(ChannelMoved) as moved:
        await messenger.post(Address("slack", name), a_card())
    return moved.value.new_channel


async def test_many_names_are_looked_up_at_once_and_a_new_one_anew(messenger: SlackMessenger, sandbox: Sandbox) -> None:
    places = await asyncio.gather(*(place_of(messenger, name) for name in ("#oncall", "#shared", "#oncall") * 5))
    assert {ONCALL, "C0SHARED1"} == set(places)
    assert 1 == len(sandbox.calls("users.conversations"))
    world = sandbox.slack.world
    world.channels["G0SECRET1"] = Channel("G0SECRET1", "secret", [world.bot.id], is_private=True)

    assert "G0SECRET1" == await place_of(messenger, "#secret")
    assert 2 == len(sandbox.calls("users.conversations"))


async def test_a_name_that_wandered_means_its_new_channel_a_minute_later(
    messenger: SlackMessenger, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ONCALL == await place_of(messenger, NAME)
    world = sandbox.slack.world
    world.oncall.name, world.approvals.name = "oncall-archive", "oncall"
    assert ONCALL == await place_of(messenger, NAME)
    monkeypatch.setattr("adapters.slack.channels.KEPT_SECONDS", 0.0)

    assert APPROVALS == await place_of(messenger, NAME)


async def test_a_name_is_found_behind_many_channels(
    messenger: SlackMessenger, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.slack.channels.PAGE", 1)

    assert ONCALL == await place_of(messenger, NAME)
    assert 3 == len(sandbox.calls("users.conversations"))


async def test_without_the_permission_to_look_up_names_the_words_say_so(
    messenger: SlackMessenger, sandbox: Sandbox
) -> None:
    sandbox.slack.app.scopes = "chat:write,im:write,channels:history,groups:history,im:history,channels:read"
    with pytest.raises(SendFailed, match="OAuth & Permissions") as raised:
        await messenger.post(Address("slack", NAME), a_card())
    check = await messenger.check()

    assert raised.value.permanent
    assert check.ok
    assert "Without groups:read channels can be written to by their ids only." in check.detail


@pytest.mark.parametrize("verb", ["update", "remind", "notify", "find"])
async def test_nothing_is_done_at_a_name_whatever_is_asked(messenger: SlackMessenger, verb: str) -> None:
    given = {"update": ("1.1", a_card()), "remind": ("1.1", a_notice()), "notify": (REVIEWER, "x"), "find": (a_card(),)}
    with pytest.raises(ChannelMoved):
        await getattr(messenger, verb)(Address("slack", NAME), *given[verb])
