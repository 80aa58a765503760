"""App Home shows the inbox, and follows what is done there."""

from __future__ import annotations

import pytest

from adapters.slack import SlackAdapter
from bot.sandbox import Fault, Sandbox
from core.model import Identity, Policy
from tests.integration.slack_support import (
    ON_SQLITE,
    REVIEWER,
    SHARED,
    STRANGER,
    TWO,
    acknowledged,
    ask,
    card_in,
    closed_card,
    says,
    shown,
)
from tests.support.chats import buttons, home_for, modal_for
from tests.support.cores import Core


@pytest.mark.usefixtures("slack")
async def test_app_home_shows_the_inbox_and_a_tap_there_decides(core: Core, sandbox: Sandbox) -> None:
    await ask(core, prompt="Deploy checkout?")
    card = await card_in(sandbox)
    opened = await sandbox.slack.open_home(REVIEWER)
    home = await home_for(sandbox, REVIEWER, "Deploy checkout?")

    assert acknowledged(opened)
    assert ["Approve", "Reject", "Review", "Open the inbox"] == buttons(home)
    assert "https://assent.example.com/en/inbox" in str(home.content)
    tap = await sandbox.slack.tap_view("Approve", REVIEWER)
    assert acknowledged(tap)
    await closed_card(sandbox, card)

    home = await home_for(sandbox, REVIEWER, "Recorded: Approved.")
    assert "Nothing waits for you." in says(home)
    assert "Deploy checkout?" not in says(home)
    assert [] == sandbox.notices(), "the home tab itself says so"
    assert "Approved by reviewer.one" in shown(card)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_app_home_is_fresh_whenever_it_is_opened(core: Core, sandbox: Sandbox) -> None:
    await sandbox.slack.open_home(REVIEWER)
    await home_for(sandbox, REVIEWER, "Nothing waits for you.")
    await ask(core, prompt="Deploy checkout?")
    await sandbox.slack.open_home(REVIEWER)

    await home_for(sandbox, REVIEWER, "Deploy checkout?")


@pytest.mark.usefixtures("over_http")
async def test_app_home_says_who_stands_in_for_whom(core: Core, sandbox: Sandbox) -> None:
    here = Identity("slack", REVIEWER, "reviewer.one", team="T0SANDBOX", verified=True)
    now = await core.database.read(lambda tx: tx.now())
    await core.chat.people.away(here, now + 3_600_000, f"slack:{TWO}", "reviewer.two")
    await sandbox.slack.open_home(REVIEWER)
    await sandbox.slack.open_home(TWO)

    await home_for(sandbox, REVIEWER, "reviewer.two answers where you are named")
    await home_for(sandbox, TWO, "you answer where reviewer.one is named")


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_who_may_not_decide_is_told_so_in_their_home(core: Core, sandbox: Sandbox) -> None:
    """Between the drawing and the tap somebody else was made the reviewer, or a payload was forged."""
    await ask(core, policy=Policy(("channel",)))
    await sandbox.slack.open_home(REVIEWER)
    await home_for(sandbox, REVIEWER, "Approve")
    sandbox.slack.world.approvals.members.remove(REVIEWER)
    core.chat.directories._remembered.clear()
    await sandbox.slack.tap_view("Approve", REVIEWER)

    await home_for(sandbox, REVIEWER, "You are not one of the reviewers")
    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_reason_is_asked_for_from_app_home_as_well(core: Core, sandbox: Sandbox) -> None:
    await ask(core, chat={"ask_reason": True, "deny_reasons": ["Too risky"]})
    card = await card_in(sandbox)
    await sandbox.slack.open_home(REVIEWER)
    await home_for(sandbox, REVIEWER, "Reject")
    await sandbox.slack.tap_view("Reject", REVIEWER)
    await modal_for(sandbox, REVIEWER, "Too risky")
    await sandbox.slack.submit(REVIEWER, {"offered": "Too risky"})
    await closed_card(sandbox, card)

    assert "Reason: Too risky" in shown(card)
    await home_for(sandbox, REVIEWER, "Nothing waits for you.")


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_stranger_has_no_home_here(core: Core, sandbox: Sandbox, over_http: SlackAdapter) -> None:
    await ask(core, SHARED)
    opened = await sandbox.slack.open_home(STRANGER)
    await over_http.stop(5)

    assert acknowledged(opened)
    assert sandbox.slack.home(STRANGER) is None


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_another_tab_of_the_app_publishes_nothing(sandbox: Sandbox, over_http: SlackAdapter) -> None:
    opened = await sandbox.slack.open_home(REVIEWER)
    await home_for(sandbox, REVIEWER)
    opened.payload["event"]["tab"], opened.payload["event_id"] = "messages", "Ev0OTHER01"
    await sandbox.slack.deliver(opened)
    await over_http.stop(5)

    assert 1 == len(sandbox.calls("views.publish"))


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_an_event_that_is_delivered_twice_publishes_once(sandbox: Sandbox, over_http: SlackAdapter) -> None:
    opened = await sandbox.slack.open_home(REVIEWER)
    await sandbox.slack.deliver(opened)
    await over_http.stop(5)

    assert acknowledged(opened)
    assert 1 == len(sandbox.calls("views.publish"))


@pytest.mark.usefixtures("over_http")
async def test_app_home_is_acknowledged_at_once_while_the_database_stalls_and_a_late_tap_is_told_there(
    core: Core, sandbox: Sandbox
) -> None:
    await ask(core)
    card = await card_in(sandbox)
    await sandbox.slack.open_home(REVIEWER)
    await home_for(sandbox, REVIEWER, "Approve")
    async with core.stalled() as end:
        assert acknowledged(await sandbox.slack.open_home(REVIEWER))
        assert acknowledged(await sandbox.slack.tap_view("Approve", REVIEWER))
        await home_for(sandbox, REVIEWER, "not recorded yet")
        assert "Recorded" not in str([call.params for call in sandbox.calls()])
        await end()
    await home_for(sandbox, REVIEWER, "Recorded: Approved.")
    await closed_card(sandbox, card)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_home_that_slack_does_not_take_costs_nothing_else(
    core: Core, sandbox: Sandbox, over_http: SlackAdapter
) -> None:
    await ask(core)
    card = await card_in(sandbox)
    sandbox.faults.next("views.publish", Fault.platform_error("not_enabled"))
    await sandbox.slack.open_home(REVIEWER)
    await sandbox.until(lambda: sandbox.calls("views.publish"))
    await sandbox.slack.tap("C0APPROVE", card.ts, "Approve")

    await closed_card(sandbox, card)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_slack_is_told_that_its_events_arrive_here(sandbox: Sandbox) -> None:
    assert await sandbox.slack.verify_events_url()
