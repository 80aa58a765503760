"""What a reviewer meets on Telegram: cards, who may decide, and where else a case is decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.sandbox.telegram import Message
from core.groups import Groups
from core.model import Address, Identity, Opened, Policy
from core.replies import page_reply
from core.schedule import HOUR
from core.states import Event
from core.taps import Tap
from tests.integration.telegram_support import GROUP, PRIVATE, SUPERGROUP, Scene, a_scene, card_in, closed_card
from tests.support.chats import buttons
from tests.support.databases import rows

ADA = Identity("slack", "UADA", "Ada", team="T0HOME", verified=True)
ONE = Identity("telegram", "1002", "Reviewer One", verified=True)


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    async with a_scene(sqlite_url) as found:
        yield found


# --- the card ---


@pytest.mark.parametrize(
    ("kind", "actions", "words"),
    [
        ("confirmation", ("confirm", "cancel"), ["Confirm", "Cancel", "Review"]),
        ("approval", ("approve", "reject"), ["Approve", "Reject", "Review"]),
        ("escalation", ("retry", "skip", "abort"), ["Retry", "Skip", "Abort", "Review"]),
    ],
)
async def test_a_card_has_buttons_in_the_words_of_the_action_and_always_a_review_link(
    scene: Scene, kind: str, actions: tuple[str, ...], words: list[str]
) -> None:
    await scene.core.ask(GROUP, type=kind, actions=actions, inline_actions=actions)
    assert words == buttons(await card_in(scene.sandbox, GROUP))


@pytest.mark.parametrize(
    ("kind", "actions", "context"),
    [
        ("selection", ("select",), {"items": [{"id": "a", "label": "A"}]}),
        ("input", ("submit",), {"form": {"fields": [{"key": "why", "label": "Why", "type": "text"}]}}),
        ("x-survey", ("submit",), {}),
        ("approval", ("edit",), {}),
    ],
)
async def test_selection_input_custom_types_and_edit_show_the_link_only(
    scene: Scene, kind: str, actions: tuple[str, ...], context: dict[str, Any]
) -> None:
    await scene.core.ask(GROUP, type=kind, actions=actions, inline_actions=(), context=context)
    assert ["Review"] == buttons(await card_in(scene.sandbox, GROUP))


async def test_a_card_says_who_asks_for_what_the_risk_the_content_and_the_deadline(scene: Scene) -> None:
    await scene.core.ask(GROUP, requested_by="Deploy agent", message="All tests pass.", context={"risk": "high"})
    card = await card_in(scene.sandbox, GROUP)
    for text in ("Approval needed", "Deploy checkout 2.14.0?", "Asked by: Deploy agent", "Risk: high"):
        assert text in card.text
    assert "All tests pass." in card.text
    assert "Answer by " in card.text
    assert {"is_disabled": True} == card.link_preview


# --- one answer, seen everywhere ---


async def on_both(scene: Scene, **more: Any) -> tuple[Opened, Message, Message]:
    """A case with cards in a group, a supergroup and on Slack."""
    places = (*(Address("telegram", str(chat)) for chat in (GROUP, SUPERGROUP)), Address("slack", "C0APPROVE"))
    opened = await scene.core.ask(notify=places, **more)
    return opened, await card_in(scene.sandbox, GROUP), await card_in(scene.sandbox, SUPERGROUP)


async def test_every_copy_says_what_was_decided_by_whom_when_and_from_where(scene: Scene) -> None:
    _, one, other = await on_both(scene)
    await scene.press(one, "Approve")
    for card in (one, other):
        text = (await closed_card(scene.sandbox, card)).text
        assert text.startswith("Approved by Reviewer One, ")
        assert " on Telegram\n" in text


async def test_a_card_says_so_when_the_case_was_decided_on_the_other_messenger(scene: Scene) -> None:
    _, one, other = await on_both(scene)
    [slack] = await rows(scene.core.url, "SELECT card_id FROM cards WHERE platform = 'slack'")
    tap = Tap("slack", slack["card_id"], "reject", ADA, "C0APPROVE", "slack_block_action", "d1")
    assert (await scene.core.taps.tap(tap)).recorded
    for card in (one, other):
        text = (await closed_card(scene.sandbox, card)).text
        assert text.startswith("Rejected by Ada, ")
        assert " on Slack\n" in text


async def test_a_card_says_so_when_the_case_was_decided_on_the_page(scene: Scene) -> None:
    opened, one, other = await on_both(scene)
    case = opened.case
    await scene.core.gate.respond(page_reply(case.case_id, opened.review_token, "approve", {}, case.content_digest))
    for card in (one, other):
        text = (await closed_card(scene.sandbox, card)).text
        assert text.startswith("Approved by a holder of the review link, ")
        assert " on the review page\n" in text


async def test_every_copy_follows_the_case_when_it_is_opened_expires_and_is_withdrawn(scene: Scene) -> None:
    opened, one, other = await on_both(scene)
    await scene.core.gate.report(opened.case.case_id, opened.review_token, Event.OPEN)
    for card in (one, other):
        await card_in(scene.sandbox, card.chat.id, "somebody is looking at it")
    scene.core.clock[0] += 25 * HOUR
    await scene.core.gate.expire_due()
    for card in (one, other):
        assert (await closed_card(scene.sandbox, card)).text.startswith("Expired without an answer, ")
    opened = await scene.core.ask(GROUP, prompt="Another?")
    card = await card_in(scene.sandbox, GROUP, "Another?")
    await scene.core.gate.cancel(scene.core.principal, opened.case.case_id, "not needed any more")
    assert (await closed_card(scene.sandbox, card)).text.startswith("Withdrawn, ")


# --- who may decide, at every tap ---


async def test_nobody_agrees_to_what_they_asked_for_themselves(scene: Scene) -> None:
    await scene.core.ask(GROUP, policy=Policy(("channel",), exclude_requester=True), requested_by="telegram:1001")
    card = await card_in(scene.sandbox, GROUP)
    answer = await scene.press(card, "Approve", "Requester")
    assert answer.show_alert
    assert "yourself" in answer.text or "asked for" in answer.text
    assert [] == await scene.core.ledger()
    assert "Recorded: Approved." == (await scene.press(card, "Approve")).text


async def test_the_card_shows_a_live_tally_while_a_quorum_is_open(scene: Scene) -> None:
    await scene.core.ask(GROUP, policy=Policy(("channel",), quorum=2))
    card = await card_in(scene.sandbox, GROUP)
    assert "Your vote is recorded: Approve 1 of 2 (Reviewer One)." == (await scene.press(card, "Approve")).text
    await scene.sandbox.until(lambda: "Votes: Approve 1 of 2 (Reviewer One)" in card.text)
    assert "already" in (await scene.press(card, "Reject")).text
    assert "Recorded: Approved." == (await scene.press(card, "Approve", "Reviewer Two")).text
    assert (await closed_card(scene.sandbox, card)).text.startswith("Approved by Reviewer Two")


async def test_a_quorum_counts_persons_a_linked_identity_is_no_second_voice(scene: Scene) -> None:
    people = scene.core.chat.people
    await people.link(ONE, await people.link_code(ADA))
    _, card, _ = await on_both(scene, policy=Policy(("channel",), quorum=2))
    [slack] = await rows(scene.core.url, "SELECT card_id FROM cards WHERE platform = 'slack'")
    tap = Tap("slack", slack["card_id"], "approve", ADA, "C0APPROVE", "slack_block_action", "d1")
    assert (await scene.core.taps.tap(tap)).recorded
    answer = await scene.press(card, "Approve")
    assert answer.show_alert
    assert "everybody has one voice" in answer.text
    assert 1 == len(await scene.core.ledger())


async def test_a_member_of_a_named_group_decides_and_nobody_else(scene: Scene) -> None:
    groups = Groups(scene.core.database)
    tenant = scene.core.principal.tenant_id
    await groups.put(tenant, "finance", ["telegram:1003"])
    await scene.core.ask(GROUP, policy=Policy(("group:finance",)))
    card = await card_in(scene.sandbox, GROUP)
    assert "it can be decided by the group finance" in (await scene.press(card, "Approve")).text
    await groups.put(tenant, "finance", ["telegram:1002"])  # who comes in later, and who was taken out
    assert "You are not one" in (await scene.press(card, "Approve")).text
    assert "You are not one" in (await scene.press(card, "Approve", "Reviewer Two")).text
    await groups.put(tenant, "finance", ["telegram:1003"])
    assert "Recorded: Approved." == (await scene.press(card, "Approve", "Reviewer Two")).text


async def test_whoever_answered_an_earlier_step_may_not_decide_the_next(scene: Scene) -> None:
    first = await scene.core.ask(GROUP, prompt="First?")
    card = await card_in(scene.sandbox, GROUP, "First?")
    await scene.press(card, "Approve")
    duty = (f"case:{first.case.case_id}",)
    await scene.core.ask(GROUP, prompt="Second?", policy=Policy(("channel",), separate_duties=duty))
    card = await card_in(scene.sandbox, GROUP, "Second?")
    assert "You have answered an earlier step of this" in (await scene.press(card, "Approve")).text
    assert "Recorded: Approved." == (await scene.press(card, "Approve", "Reviewer Two")).text


async def test_every_refusal_is_private_changes_nothing_and_is_audited(scene: Scene) -> None:
    await scene.core.ask(GROUP, policy=Policy(("telegram:1002",)))
    card = await card_in(scene.sandbox, GROUP)
    before = card.text
    answer = await scene.press(card, "Approve", "Reviewer Two")
    assert answer.show_alert
    assert (before, [card]) == (card.text, scene.said(GROUP))
    [audited] = await rows(scene.core.url, "SELECT kind FROM case_events WHERE kind = 'refused'")
    assert [] == await scene.core.ledger()
    assert {"kind": "refused"} == audited


async def test_what_was_decided_is_told_to_a_stale_button_and_the_card_is_redrawn(scene: Scene) -> None:
    await scene.core.ask(PRIVATE)
    card = await card_in(scene.sandbox, PRIVATE)
    stale = scene.sandbox.telegram.prepare(PRIVATE, card.message_id, "Reject")
    await scene.press(card, "Approve")
    await closed_card(scene.sandbox, card)
    card.text = "somebody has drawn over it"
    answer = await (await scene.sandbox.telegram.deliver(stale)).answer()
    assert "This was already decided." in answer.text
    await scene.sandbox.until(lambda: card.text.startswith("Approved by Reviewer One"))
