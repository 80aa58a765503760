"""A rejection that needs a reason: a window asks for it on Slack, and its answer goes the way of a tap."""

from __future__ import annotations

from typing import Any

import pytest

from bot.sandbox import Fault, Sandbox
from bot.sandbox.slack import Message
from bot.sandbox.slack.modals import View
from core.model import Address, Opened, Policy
from tests.integration.slack_support import (
    APPROVALS,
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
    told,
)
from tests.support.chats import buttons, modal_for, parsed, whispered
from tests.support.cores import Core

WANTED = {"ask_reason": True, "deny_reasons": ["Too risky", "Not now"]}


async def asked(core: Core, *channels: str, **more: Any) -> Opened:
    return await ask(core, *channels, **{"chat": WANTED, **more})


async def window(sandbox: Sandbox, card: Message, user: str = REVIEWER, saying: str = "Too risky") -> View:
    """The window behind the card's Reject button, once it says this."""
    tap = await sandbox.slack.tap(card.channel, card.ts, "Reject", user)
    assert acknowledged(tap)
    return await modal_for(sandbox, user, saying)


@pytest.mark.usefixtures("slack")
async def test_reject_asks_for_a_reason_with_the_offered_ones_first(core: Core, sandbox: Sandbox) -> None:
    await asked(core)
    card = await card_in(sandbox)
    view = await window(sandbox, card)

    assert ["Too risky", "Not now"] == buttons(view)
    assert ["offered", "own"] == [block["block_id"] for block in view.content["blocks"] if block["type"] == "input"]
    assert "Deploy checkout 2.14.0?" in says(view)
    assert "Why do you choose “Reject”?" in says(view)
    assert [] == await core.ledger(), "nothing is recorded before the reason is there"
    tap = await sandbox.slack.submit(REVIEWER, {"offered": "Too risky"})

    assert acknowledged(tap)
    await closed_card(sandbox, card)
    assert "Rejected by reviewer.one" in shown(card)
    assert "Reason: Too risky" in shown(card)
    (row,) = await core.ledger()
    assert '"reason":"Too risky"' in str(row)
    assert "slack_block_action" == row["via"]
    assert "Recorded: Rejected." in says(sandbox.slack.modal(REVIEWER)), "the window says how it ended"


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_reason_may_be_written_in_ones_own_words(core: Core, sandbox: Sandbox) -> None:
    await asked(core)
    card = await card_in(sandbox)
    await window(sandbox, card)
    await sandbox.slack.submit(REVIEWER, {"offered": "Not now", "own": "<!channel> after the *freeze*"})
    await closed_card(sandbox, card)

    assert "Reason: Not now: <!channel> after the *freeze*" in shown(card)
    assert {"Answer by", "Deadline was"} >= set(parsed(card.blocks))


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_approve_asks_for_nothing(core: Core, sandbox: Sandbox) -> None:
    await asked(core)
    card = await card_in(sandbox)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)

    assert sandbox.slack.modal(REVIEWER) is None
    assert "Approved by reviewer.one" in shown(card)


@pytest.mark.usefixtures("slack")
@ON_SQLITE
async def test_a_missing_reason_is_asked_for_on_its_field(core: Core, sandbox: Sandbox) -> None:
    await asked(core)
    card = await card_in(sandbox)
    await window(sandbox, card)
    await sandbox.slack.submit(REVIEWER, {"own": "   "})
    view = sandbox.slack.modal(REVIEWER)

    assert view is not None
    assert {"own": "Choose a reason, or write one."} == view.errors
    assert [] == await core.ledger()
    await sandbox.slack.submit(REVIEWER, {"own": "Because"})
    await closed_card(sandbox, card)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_the_window_speaks_the_language_of_the_case(core: Core, sandbox: Sandbox) -> None:
    await asked(core, language="de")
    card = await card_in(sandbox)
    await sandbox.slack.tap(APPROVALS, card.ts, "Ablehnen")
    view = await modal_for(sandbox, REVIEWER, "Too risky")

    assert "Warum wählen Sie „Ablehnen“?" in says(view)
    assert "Senden" == view.content["submit"]["text"]
    await sandbox.slack.submit(REVIEWER, {"own": " "})
    view = await modal_for(sandbox, REVIEWER)
    assert {"own": "Wählen Sie einen Grund, oder schreiben Sie einen."} == view.errors


@pytest.mark.usefixtures("slack")
async def test_the_window_opens_at_once_while_the_database_stalls_and_nothing_says_recorded_before_the_commit(
    core: Core, sandbox: Sandbox
) -> None:
    await asked(core)
    card = await card_in(sandbox)
    async with core.stalled() as end:
        await window(sandbox, card, saying="own words")
        tap = await sandbox.slack.submit(REVIEWER, {"own": "Too early"})
        assert acknowledged(tap)
        assert "arrived and is not recorded yet" in says(sandbox.slack.modal(REVIEWER))
        assert "Recorded" not in str([call.params for call in sandbox.calls()])
        await end()
    assert "Recorded: Rejected." in (await told(sandbox, REVIEWER))[-1]
    await closed_card(sandbox, card)
    assert 1 == len(await core.ledger())


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_what_is_typed_stays_when_the_offered_reasons_arrive(core: Core, sandbox: Sandbox) -> None:
    await asked(core)
    card = await card_in(sandbox)
    held = sandbox.faults.next("views.update", Fault.held())
    view = await window(sandbox, card, saying="own")
    view.typed["own"] = "Half a sen"
    held.release()
    view = await modal_for(sandbox, REVIEWER, "Too risky")

    assert "Half a sen" == view.typed["own"]


@pytest.mark.usefixtures("over_http")
@pytest.mark.parametrize("name", ["trigger_expired", "trigger_exchanged", "expired_trigger_id", "exchanged_trigger_id"])
@ON_SQLITE
async def test_when_the_window_comes_too_late_one_is_asked_in_private_to_press_again(
    core: Core, sandbox: Sandbox, name: str
) -> None:
    await asked(core)
    card = await card_in(sandbox)
    sandbox.faults.next("views.open", Fault.platform_error(name))
    await sandbox.slack.tap(APPROVALS, card.ts, "Reject")

    assert "Please press the button again." in (await told(sandbox, REVIEWER))[0]
    assert [] == await core.ledger()
    await window(sandbox, card)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_window_that_slack_does_not_open_is_admitted(core: Core, sandbox: Sandbox) -> None:
    await asked(core)
    card = await card_in(sandbox)
    sandbox.faults.next("views.open", Fault.server_error(503))
    await sandbox.slack.tap(APPROVALS, card.ts, "Reject")

    assert "could not be opened, and nothing was recorded" in (await told(sandbox, REVIEWER))[0]


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_window_on_what_is_decided_already_says_so(core: Core, sandbox: Sandbox) -> None:
    await asked(core)
    card = await card_in(sandbox)
    late = sandbox.slack.prepare(APPROVALS, card.ts, "Reject", TWO)
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await closed_card(sandbox, card)
    await sandbox.slack.deliver(late)

    assert "already decided. Approved by reviewer.one" in says(await modal_for(sandbox, TWO, "already decided"))


@pytest.mark.usefixtures("over_http")
async def test_a_window_that_is_submitted_late_or_twice_changes_nothing(core: Core, sandbox: Sandbox) -> None:
    await asked(core)
    card = await card_in(sandbox)
    await window(sandbox, card)
    await window(sandbox, card, TWO)
    first = await sandbox.slack.submit(REVIEWER, {"own": "Too early"})
    await closed_card(sandbox, card)
    await sandbox.slack.submit(TWO, {"own": "I agree"})
    assert "already decided. Rejected by reviewer.one" in says(sandbox.slack.modal(TWO))
    await sandbox.slack.deliver(first)

    assert acknowledged(first)
    assert 1 == len(await core.ledger())
    assert [] == sandbox.notices()


@pytest.mark.usefixtures("over_http")
async def test_who_may_not_reject_is_told_why_and_who_may_in_the_window(core: Core, sandbox: Sandbox) -> None:
    await asked(core, policy=Policy((f"slack:{TWO}",)))
    card = await card_in(sandbox)
    await window(sandbox, card)
    await sandbox.slack.submit(REVIEWER, {"own": "No"})

    said = says(sandbox.slack.modal(REVIEWER))
    assert "You are not one of the reviewers" in said
    assert f"slack:{TWO}" in said
    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_nobody_answers_for_another_by_what_a_window_remembers(core: Core, sandbox: Sandbox) -> None:
    """Payloads that name somebody else, another card or another channel are worth nothing, signed as they are."""
    await asked(core, policy=Policy((f"slack:{REVIEWER}",)))
    card = await card_in(sandbox)
    await window(sandbox, card)
    view = sandbox.slack.modal(REVIEWER)
    assert view is not None
    remembered, content = view.content["private_metadata"], dict(view.content)
    for user, forged in (
        (TWO, remembered),
        (TWO, remembered.replace(REVIEWER, TWO)),
        (REVIEWER, remembered.replace(APPROVALS, SHARED)),
        (REVIEWER, ""),
        (REVIEWER, "ü.{}"),
    ):
        shown_to = View(view.id, user, content | {"private_metadata": forged}, view.hash, view.id)
        sandbox.slack.world.modals[user] = [shown_to]
        tap = await sandbox.slack.submit(user, {"own": "Mine"})
        assert acknowledged(tap)
        assert "out of date, and nothing was recorded" in tap.body

    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_stranger_submits_nothing(core: Core, sandbox: Sandbox) -> None:
    await asked(core, SHARED, policy=Policy(("channel", f"slack:{STRANGER}")))
    card = await card_in(sandbox, SHARED)
    await window(sandbox, card, STRANGER)
    await sandbox.slack.submit(STRANGER, {"own": "No"})

    assert "You are not one of the reviewers" in says(sandbox.slack.modal(STRANGER))
    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_button_without_its_question_is_told_what_is_missing(core: Core, sandbox: Sandbox) -> None:
    """As a card shows it that was drawn before the source wanted reasons, or a forged payload."""
    await asked(core)
    card = await card_in(sandbox)
    tap = sandbox.slack.prepare(APPROVALS, card.ts, "Reject")
    tap.payload["actions"][0]["value"] = tap.payload["actions"][0]["value"].partition("?")[0]
    await sandbox.slack.deliver(tap)

    assert "reason" in (await told(sandbox, REVIEWER))[0]
    assert [] == await core.ledger()


@pytest.mark.usefixtures("over_http")
async def test_a_reason_given_from_the_list_is_recorded_and_the_list_says_so(core: Core, sandbox: Sandbox) -> None:
    await asked(core)
    card = await card_in(sandbox)
    await sandbox.slack.command("C0ONCALL0", "/assent")
    listed = await whispered(sandbox, "C0ONCALL0", REVIEWER, "Waiting for you: 1")
    await sandbox.slack.tap("C0ONCALL0", listed.ts, "Reject")
    await modal_for(sandbox, REVIEWER, "Not now")
    await sandbox.slack.submit(REVIEWER, {"offered": "Not now"})
    await closed_card(sandbox, card)

    assert "Reason: Not now" in shown(card)
    after = await whispered(sandbox, "C0ONCALL0", REVIEWER, "Recorded: Rejected.")
    assert after.ts == listed.ts


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_reason_given_in_a_direct_message_counts_there(core: Core, sandbox: Sandbox) -> None:
    await core.ask(notify=(Address("slack", REVIEWER),), policy=Policy(("channel",)), chat=WANTED)
    card = await card_in(sandbox, sandbox.slack.direct_message("Reviewer One").id)
    await window(sandbox, card)
    await sandbox.slack.submit(REVIEWER, {"own": "No"})

    await closed_card(sandbox, card)
