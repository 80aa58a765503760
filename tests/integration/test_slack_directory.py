"""Who is in which user group and channel, by Slack's word at the click."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.slack.directory import SlackDirectory
from adapters.slack.messenger import SlackMessenger
from bot.sandbox import Fault, Sandbox
from core.model import Policy
from core.ports import SendFailed
from tests.integration.slack_support import (
    APPROVALS,
    ON_CALL,
    ON_SQLITE,
    OUTSIDER,
    REVIEWER,
    SHARED,
    UNJOINED,
    acknowledged,
    ask,
    card_in,
    closed_card,
    settings_for,
    shown,
    told,
)
from tests.support.cores import Core

GROUP = Policy(("slack:S0STANDBY",))


@pytest.fixture
async def directory(sandbox: Sandbox) -> AsyncIterator[SlackDirectory]:
    messenger = SlackMessenger(settings_for(sandbox))
    await messenger.start()
    yield SlackDirectory(messenger)
    await messenger.close()


@pytest.mark.usefixtures("over_http")
async def test_a_slack_user_group_may_be_named_as_reviewers(core: Core, sandbox: Sandbox) -> None:
    await ask(core, policy=GROUP)
    card = await card_in(sandbox)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    assert "the Slack user group S0STANDBY" in (await told(sandbox, REVIEWER))[0]
    assert [] == await core.ledger()
    tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve", "On Call")

    assert acknowledged(tap)
    await closed_card(sandbox, card)
    assert "Approved by on.call" in shown(card)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_whoever_left_the_user_group_decides_nothing(core: Core, sandbox: Sandbox) -> None:
    await ask(core, policy=GROUP)
    card = await card_in(sandbox)
    sandbox.slack.world.standby.users.remove(ON_CALL)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve", "On Call")

    assert "You are not one of the reviewers" in (await told(sandbox, ON_CALL))[0]
    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_an_identity_that_cannot_be_resolved_decides_nothing_until_it_can(core: Core, sandbox: Sandbox) -> None:
    await ask(core, policy=GROUP)
    card = await card_in(sandbox)
    sandbox.faults.next("usergroups.users.list", Fault.rate_limited(2))
    with core.hurried():
        tap = await sandbox.slack.tap(APPROVALS, card.ts, "Approve", "On Call")
    assert acknowledged(tap)
    assert [] == await core.ledger()
    first, *_ = await told(sandbox, ON_CALL)
    assert "not recorded yet" in first
    await closed_card(sandbox, card)

    calls = sandbox.calls("usergroups.users.list")
    assert 2 == len(calls), "Slack is not asked again before its pause is over"
    assert calls[1].at - calls[0].at >= 2


async def test_user_groups_are_asked_by_their_ids_and_switched_off_ones_hold_nobody(
    directory: SlackDirectory, sandbox: Sandbox
) -> None:
    sandbox.slack.world.user_groups["S0OLD"] = group = type(sandbox.slack.world.standby)(
        "S0OLD", "old", "Old", [ON_CALL], disabled=True
    )

    assert {"S0STANDBY"} == await directory.groups_of(ON_CALL, ["S0STANDBY", "S0REVIEWS"])
    assert frozenset() == await directory.groups_of(ON_CALL, ["S0NOWHERE", group.id])
    assert [] == sandbox.calls("usergroups.list")


async def test_many_user_groups_are_asked_for_at_once(directory: SlackDirectory, sandbox: Sandbox) -> None:
    """As an inbox does, which asks for every group that something waits for."""
    sandbox.slack.world.reviewers.disabled = True
    among = ["S0STANDBY", "S0REVIEWS", *(f"S0NOWHER{n}" for n in range(20))]

    assert {"S0STANDBY"} == await directory.groups_of(ON_CALL, among)
    assert frozenset() == await directory.groups_of(REVIEWER, among)
    assert 1 == len(sandbox.calls("usergroups.list"))
    assert [] == sandbox.calls("usergroups.users.list")


async def test_many_who_ask_for_a_group_at_once_ask_slack_once(directory: SlackDirectory, sandbox: Sandbox) -> None:
    answers = await asyncio.gather(*(directory.groups_of(f"U{n}", ["S0STANDBY"]) for n in range(20)))

    assert {frozenset[str]()} == set(answers)
    assert 1 == len(sandbox.calls("usergroups.users.list"))


async def test_the_channels_of_a_person_are_those_where_the_bot_sees_them(
    directory: SlackDirectory, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.slack.channels.PAGE", 1)
    among = [APPROVALS, SHARED, UNJOINED, "C0NOWHERE"]

    assert {APPROVALS, SHARED} == await directory.chats_of(REVIEWER, among)
    assert frozenset() == await directory.chats_of(OUTSIDER, among)
    assert frozenset() == await directory.chats_of("U0NOBODY1", among)


@pytest.mark.parametrize("missing", ["usergroups:read", "groups:read"])
async def test_what_slack_does_not_let_us_see_holds_nobody(
    directory: SlackDirectory, sandbox: Sandbox, missing: str
) -> None:
    sandbox.slack.app.scopes = ",".join(one for one in sandbox.slack.app.scopes.split(",") if one != missing)
    groups, chats = await directory.groups_of(ON_CALL, ["S0STANDBY"]), await directory.chats_of(ON_CALL, [APPROVALS])

    assert frozenset() == (groups if missing == "usergroups:read" else chats)


async def test_a_pause_that_slack_asks_for_is_kept(directory: SlackDirectory, sandbox: Sandbox) -> None:
    sandbox.faults.next("users.conversations", Fault.rate_limited(30))
    with pytest.raises(SendFailed, match="pause"):
        await directory.chats_of(REVIEWER, [APPROVALS])
    with pytest.raises(SendFailed, match="pause") as raised:
        await directory.chats_of(REVIEWER, [APPROVALS])

    assert 1 == len(sandbox.calls("users.conversations"))
    assert raised.value.retry_after_ms is not None
    assert 25_000 < raised.value.retry_after_ms <= 30_000


async def test_a_profile_says_whose_workspace_somebody_is_of(directory: SlackDirectory) -> None:
    member, stranger, bot = [await directory.profile(who) for who in (REVIEWER, "U0STRANGE", "U0BOT0001")]

    assert member is not None
    assert stranger is not None
    assert bot is not None
    assert ("reviewer.one", "T0SANDBOX", True) == (member.who.name, member.who.team, member.is_person)
    assert "T0PARTNER" == stranger.who.team
    assert not bot.is_person
    assert await directory.profile("U0NOBODY1") is None
