"""`/inbox` on Telegram: what waits for somebody, with buttons that are taps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.sandbox import Fault
from bot.sandbox.telegram import Message
from core.model import Policy
from tests.integration.telegram_support import GROUP, PRIVATE, SUPERGROUP, Scene, a_scene, card_in, closed_card
from tests.support.chats import bot_said, buttons
from tests.support.databases import rows

OTHER, OUTSIDER = 1003, 1005
ONE = Policy(("telegram:1002",))


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    async with a_scene(sqlite_url) as found:
        yield found


async def inbox(scene: Scene, user: str = "Reviewer One", chat: int = PRIVATE) -> Message:
    return await scene.command("/inbox", chat, user)


async def test_inbox_lists_my_waiting_cases_with_buttons(scene: Scene) -> None:
    await scene.core.ask(GROUP, prompt="Pay <b>4,000</b> euros & go?", policy=ONE, requested_by="billing")
    await scene.core.ask(GROUP, prompt="Not for me?", policy=Policy(("telegram:1003",)))
    await card_in(scene.sandbox, GROUP, number=2)
    told = await inbox(scene)
    assert told.text.startswith("Waiting for you: 1\n\n1. Approval needed\nPay <b>4,000</b> euros & go?\nAnswer by ")
    assert "Asked by billing" in told.text
    assert ["1 · Approve", "1 · Reject", "1 · Review"] == buttons(told)


async def test_a_press_in_the_list_decides_the_card_follows_and_the_list_is_shorter(scene: Scene) -> None:
    await scene.core.ask(GROUP, prompt="First?", policy=ONE)
    await scene.core.ask(GROUP, prompt="Second?", policy=ONE)
    card = await card_in(scene.sandbox, GROUP, "First?")
    told = await inbox(scene)
    answer = await scene.press(told, "1 · Approve")
    assert ("Recorded: Approved.", False) == (answer.text, answer.show_alert)
    await closed_card(scene.sandbox, card)
    await scene.sandbox.until(lambda: told.text.startswith("Waiting for you: 1\n"))
    assert "First?" not in told.text
    await scene.press(told, "1 · Reject")
    await scene.sandbox.until(lambda: told.text == "Nothing waits for you.")
    assert [] == buttons(told)
    assert 2 == len(await scene.core.ledger())


async def test_who_counts_by_being_in_the_chat_counts_in_the_list_while_they_are_in_it(scene: Scene) -> None:
    await scene.core.ask(SUPERGROUP)
    card = await card_in(scene.sandbox, SUPERGROUP)
    told = await inbox(scene)
    assert ["1 · Approve", "1 · Reject", "1 · Review"] == buttons(told)
    assert "Nothing waits for you." == (await inbox(scene, "Outsider", OUTSIDER)).text
    # Anybody can forge what a button says.
    foreign = await bot_said(scene.sandbox, OUTSIDER)
    data = (told.markup or {})["inline_keyboard"][0][0]["callback_data"]
    answer = await scene.press(foreign, "", "Outsider", data)
    assert answer.show_alert
    assert "You are not one of the reviewers of this case" in answer.text
    assert [] == await scene.core.ledger()
    assert "Recorded: Approved." == (await scene.press(told, "1 · Approve")).text
    await closed_card(scene.sandbox, card)


async def test_who_has_left_the_chat_answers_no_more_in_the_list(scene: Scene) -> None:
    await scene.core.ask(SUPERGROUP)
    await card_in(scene.sandbox, SUPERGROUP)
    told = await inbox(scene)
    scene.sandbox.telegram.leave(SUPERGROUP, "Reviewer One")
    scene.core.chat.directories._remembered.clear()  # a minute later
    assert "You are not one of the reviewers" in (await scene.press(told, "1 · Approve")).text
    assert [] == await scene.core.ledger()


async def test_while_telegram_cannot_be_asked_nothing_is_shown_and_nothing_counts(scene: Scene) -> None:
    await scene.core.ask(SUPERGROUP)
    await card_in(scene.sandbox, SUPERGROUP)
    scene.sandbox.faults.next("getChatMember", Fault.server_error(502), times=20)
    assert "Please try again in a moment." in (await inbox(scene)).text


async def test_a_reason_is_asked_for_from_the_list_as_well(scene: Scene) -> None:
    terms: dict[str, Any] = {"ask_reason": True, "deny_reasons": ["Too risky"]}
    await scene.core.ask(GROUP, policy=ONE, chat=terms)
    card = await card_in(scene.sandbox, GROUP)
    told = await inbox(scene)
    await scene.press(told, "1 · Reject")
    question = await bot_said(scene.sandbox, PRIVATE, "why")
    assert "Deploy checkout 2.14.0?" in question.text
    assert [card] == scene.said(GROUP)
    await scene.press(question, "Too risky")
    assert "Reason: Too risky" in (await closed_card(scene.sandbox, card)).text


async def test_what_must_be_seen_whole_is_not_approved_from_a_list(scene: Scene) -> None:
    await scene.core.ask(GROUP, policy=ONE, chat={"require_full_review": True})
    await card_in(scene.sandbox, GROUP)
    assert ["1 · Reject", "1 · Review"] == buttons(await inbox(scene))


async def test_a_list_that_is_out_of_date_says_how_things_stand(scene: Scene) -> None:
    await scene.core.ask(GROUP, policy=Policy(("telegram:1002", "telegram:1003")))
    card = await card_in(scene.sandbox, GROUP)
    told = await inbox(scene)
    await scene.press(card, "Approve", "Reviewer Two")
    answer = await scene.press(told, "1 · Reject")
    assert answer.show_alert
    assert "This was already decided. Approved by Reviewer Two" in answer.text
    await scene.sandbox.until(lambda: told.text == "Nothing waits for you.")


async def test_a_list_is_not_taken_for_the_card(sqlite_url: str) -> None:
    async with a_scene(sqlite_url, worker=False) as scene:
        await scene.core.ask(GROUP, policy=ONE)  # its card is not posted yet
        told = await inbox(scene)
        await scene.press(told, "1 · Approve")
        await scene.sandbox.until(lambda: told.text == "Nothing waits for you.")
        assert [{"message": None}] == await rows(sqlite_url, "SELECT message FROM cards")


async def test_more_than_a_message_holds_comes_page_by_page(scene: Scene) -> None:
    for number in range(12):
        await scene.core.ask(GROUP, prompt=f"Question {number:02}? " + "🙂& " * 200, policy=ONE, notify=())
    told = await inbox(scene)
    assert "Waiting for you: 12" in told.text
    shown = [number for number in range(12) if f"Question {number:02}?" in told.text]
    assert 10 == len(shown)
    await scene.press(told, "More")
    await scene.sandbox.until(lambda: any(f"Question {n:02}?" in told.text for n in range(12) if n not in shown))
    assert not any(f"Question {number:02}?" in told.text for number in shown)
    # Who presses sees their own, whatever the button says.
    data = "m:0.review_"
    await scene.press(told, "", data=data)
    await scene.sandbox.until(lambda: "Waiting for you: 12" in told.text)


async def test_the_list_says_for_whom_somebody_answers(scene: Scene) -> None:
    await scene.command("/start", OTHER, "Reviewer Two")
    await scene.command("/away until 3d to @reviewer_two")
    await scene.core.ask(GROUP, policy=ONE)
    await card_in(scene.sandbox, GROUP)
    told = await scene.command("/inbox", OTHER, "Reviewer Two", says="Waiting for you: 1")
    assert "You answer for Reviewer One, who is away." in told.text
    await scene.press(told, "1 · Approve", "Reviewer Two")
    [row] = await scene.core.ledger()
    assert '"on_behalf_of"' in row["replier"]
