"""Slack and Telegram together: every card follows its case, and one person is one reviewer wherever they tap."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.slack import Message
from core.model import Address, Opened, Policy
from core.states import Event
from tests.integration import slack_support, telegram_support
from tests.integration.slack_support import APPROVALS, REVIEWER, shown, told
from tests.integration.telegram_support import GROUP, PRIVATE
from tests.support.chats import bot_said, buttons, whispered
from tests.support.cores import Core, a_core
from tests.support.databases import eventually, rows

EVERYWHERE = (Address("slack", APPROVALS), Address("telegram", str(GROUP)))


@pytest.fixture(autouse=True)
def _durations_as_the_sdk_will_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@dataclass
class Both:
    """One process that is connected to both messengers."""

    core: Core
    sandbox: Sandbox

    async def ask(self, **more: Any) -> Opened:
        return await self.core.ask(**{"notify": EVERYWHERE, **more})

    async def cards(self) -> tuple[Message, Any]:
        """The newest cards in both chats, once it is known where they stand."""
        found = await slack_support.card_in(self.sandbox), await telegram_support.card_in(self.sandbox, GROUP)
        await eventually(self._known)
        return found

    async def _known(self) -> bool:
        return all(row["message"] for row in await rows(self.core.url, "SELECT message FROM cards"))

    async def link(self) -> None:
        """Reviewer One becomes one person, by a code that they are given on Slack and enter on Telegram."""
        await self.sandbox.slack.command(APPROVALS, "/assent", "link")
        words = shown(await whispered(self.sandbox, APPROVALS, REVIEWER, "Your code is"))
        code = words.partition("Your code is ")[2][:8]
        self.sandbox.telegram.say(PRIVATE, f"/link {code}", "Reviewer One")
        asked = await bot_said(self.sandbox, PRIVATE, "Is that you?")
        await self.sandbox.telegram.tap(PRIVATE, asked.message_id, buttons(asked)[0], "Reviewer One")
        await bot_said(self.sandbox, PRIVATE, "you are one person now")


@pytest.fixture
async def both(database_url: str) -> AsyncIterator[Both]:
    async with (
        Sandbox.running() as sandbox,
        a_core(database_url) as core,
        slack_support.connected(core, sandbox),
        telegram_support.connected(core, sandbox),
    ):
        yield Both(core, sandbox)


async def test_a_decision_on_one_messenger_closes_the_cards_on_both_and_says_by_whom_and_from_where(
    both: Both,
) -> None:
    await both.ask()
    card, there = await both.cards()
    await both.sandbox.telegram.tap(GROUP, there.message_id, "Approve", "Requester")
    await slack_support.closed_card(both.sandbox, card)
    await telegram_support.closed_card(both.sandbox, there)

    for text in (shown(card), there.text):
        assert "Approved by Requester" in text
        assert "on Telegram" in text


async def test_every_card_says_when_somebody_is_looking_at_its_case(both: Both) -> None:
    opened = await both.ask()
    card, there = await both.cards()
    await both.core.gate.report(opened.case.case_id, opened.review_token, Event.OPEN)

    await both.sandbox.until(lambda: "somebody is looking at it" in shown(card))
    await both.sandbox.until(lambda: "somebody is looking at it" in there.text)
    assert ["Approve", "Reject", "Review"] == buttons(card)


async def test_cards_show_a_live_tally_while_a_quorum_is_open(both: Both) -> None:
    await both.ask(policy=Policy(("channel",), quorum=2))
    card, there = await both.cards()
    assert all("Approve 0 of 2" in text for text in (shown(card), there.text))
    await both.sandbox.slack.tap(APPROVALS, card.ts, "Approve")

    tally = "Approve 1 of 2 (reviewer.one)"
    await both.sandbox.until(lambda: tally in shown(card) and tally in there.text)
    assert "Your vote is recorded" in (await told(both.sandbox, REVIEWER))[0]
    await both.sandbox.telegram.tap(GROUP, there.message_id, "Approve", "Requester")
    await slack_support.closed_card(both.sandbox, card)


async def test_one_person_on_slack_and_telegram_has_one_voice_once_they_are_linked(both: Both) -> None:
    await both.link()
    await both.ask(policy=Policy(("channel",), quorum=2))
    card, there = await both.cards()
    await both.sandbox.slack.tap(APPROVALS, card.ts, "Approve")
    await told(both.sandbox, REVIEWER, 2)  # the code, and that the vote is recorded
    tap = await both.sandbox.telegram.tap(GROUP, there.message_id, "Approve", "Reviewer One")

    assert "everybody has one voice" in (await tap.answer()).text
    assert ["Approve", "Reject", "Review"] == buttons(card), "it still waits for somebody else"
    await both.sandbox.telegram.tap(GROUP, there.message_id, "Approve", "Requester")
    await slack_support.closed_card(both.sandbox, card)


async def test_nobody_agrees_to_their_own_request_on_the_other_messenger(both: Both) -> None:
    await both.link()
    await both.ask(policy=Policy(exclude_requester=True), requested_by="telegram:1002")
    card, _ = await both.cards()
    await both.sandbox.slack.tap(APPROVALS, card.ts, "Approve")

    said = await told(both.sandbox, REVIEWER, 2)
    assert "Whoever asked for this cannot be the one who agrees to it." == said[-1]
    assert [] == await both.core.ledger()


async def test_what_waits_on_the_other_messenger_is_in_the_list_of_whoever_is_linked(both: Both) -> None:
    await both.link()
    await both.ask(notify=EVERYWHERE[1:], policy=Policy(("channel",)))
    await telegram_support.card_in(both.sandbox, GROUP)
    both.core.chat.directories._remembered.clear()
    await both.sandbox.slack.command(APPROVALS, "/assent")
    listed = await whispered(both.sandbox, APPROVALS, REVIEWER, "Waiting for you: 1")

    assert ["Review"] == buttons(listed), "its buttons are on Telegram"
