"""Why somebody rejects, asked and answered in Telegram, through the real SDK into a real ledger."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Message
from core.model import Policy
from tests.integration.telegram_support import (
    FORUM,
    GROUP,
    PRIVATE,
    SUPERGROUP,
    Scene,
    a_scene,
    card_in,
    closed_card,
    connected,
)
from tests.support.chats import bot_said, buttons
from tests.support.cores import a_core
from tests.support.databases import eventually, rows

ASKS: dict[str, Any] = {"ask_reason": True, "deny_reasons": ["Too risky", "Not now"]}
IN_WORDS: dict[str, Any] = {"ask_reason": True}
OTHER = 1003


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    async with a_scene(sqlite_url) as found:
        yield found


@pytest.fixture
async def on_both(database_url: str) -> AsyncIterator[Scene]:
    """On SQLite and on PostgreSQL."""
    async with a_scene(database_url) as found:
        yield found


async def asked(scene: Scene, chat: int | str = GROUP, terms: dict[str, Any] = ASKS, **more: Any) -> Message:
    """The question, once Reviewer One has pressed Reject."""
    await scene.core.ask(chat, chat=terms, **more)
    number = int(str(chat).partition("/")[0])
    card = await card_in(scene.sandbox, number, "Deploy")
    await scene.press(card, "Reject")
    return await bot_said(scene.sandbox, number, "why")


async def reasons(scene: Scene) -> list[Any]:
    return [json.loads(row["payload"])["data"].get("reason") for row in await scene.core.ledger()]


async def test_reject_asks_for_a_reason_with_the_offered_ones_first(scene: Scene) -> None:
    question = await asked(scene)
    card = await card_in(scene.sandbox, GROUP, "Deploy")
    assert ["Too risky", "Not now", "In your own words", "Never mind"] == buttons(question)
    assert "Reviewer One: why do you choose “Reject”?" == question.text
    assert card.message_id == question.reply_to
    assert [] == await scene.core.ledger()


async def test_an_offered_reason_is_one_press_and_stands_on_the_card_and_in_the_ledger(on_both: Scene) -> None:
    scene = on_both
    question = await asked(scene)
    answer = await scene.press(question, "Too risky")
    assert ("Recorded: Rejected.", False) == (answer.text, answer.show_alert)
    card = await closed_card(scene.sandbox, await card_in(scene.sandbox, GROUP, "Deploy"))
    assert "Reason: Too risky" in card.text
    assert ["Too risky"] == await reasons(scene)
    await scene.sandbox.until(lambda: question not in scene.sandbox.telegram.messages(GROUP))


async def test_a_reply_to_the_bots_question_is_the_reason(scene: Scene) -> None:
    question = await asked(scene)
    await scene.press(question, "In your own words")
    box = await bot_said(scene.sandbox, GROUP, "as a reply")
    assert box.markup is not None
    assert (True, True) == (box.markup["force_reply"], box.markup["selective"])
    await scene.sandbox.until(lambda: question not in scene.sandbox.telegram.messages(GROUP))
    said = scene.sandbox.telegram.reply(box, "It would break <checkout> & co.")
    told = await bot_said(scene.sandbox, GROUP, "Recorded: Rejected.")
    assert said.message_id == told.reply_to
    assert ["It would break <checkout> & co."] == await reasons(scene)
    await scene.sandbox.until(lambda: box not in scene.sandbox.telegram.messages(GROUP))


async def test_without_offered_reasons_the_bot_asks_for_a_reply_at_once(scene: Scene) -> None:
    box = await asked(scene, PRIVATE, IN_WORDS)
    assert box.markup is not None
    assert box.markup["force_reply"]
    scene.sandbox.telegram.reply(box, "Not today")
    await bot_said(scene.sandbox, PRIVATE, "Recorded: Rejected.")
    assert ["Not today"] == await reasons(scene)


async def test_an_approval_needs_no_reason(scene: Scene) -> None:
    await scene.core.ask(GROUP, chat=ASKS)
    card = await card_in(scene.sandbox, GROUP)
    assert "Recorded: Approved." == (await scene.press(card, "Approve")).text


async def test_only_the_person_who_was_asked_answers_by_button_or_by_reply(scene: Scene) -> None:
    question = await asked(scene)
    answer = await scene.press(question, "Too risky", "Reviewer Two")
    assert ("This question is for somebody else.", True) == (answer.text, answer.show_alert)
    assert (await scene.press(question, "Never mind", "Reviewer Two")).show_alert
    await scene.press(question, "In your own words")
    box = await bot_said(scene.sandbox, GROUP, "as a reply")
    scene.sandbox.telegram.reply(box, "Because I say so", "Reviewer Two")
    await bot_said(scene.sandbox, OTHER, "This question is for somebody else.")
    assert [] == await scene.core.ledger()


async def test_who_may_not_decide_is_told_so_and_is_not_asked(scene: Scene) -> None:
    await scene.core.ask(GROUP, chat=ASKS, policy=Policy(("telegram:1003",)))
    card = await card_in(scene.sandbox, GROUP)
    answer = await scene.press(card, "Reject")
    assert answer.show_alert
    assert "You are not one of the reviewers of this case" in answer.text
    assert [card] == scene.said(GROUP)
    refused = await rows(scene.core.url, "SELECT kind FROM case_events WHERE kind = 'refused'")
    assert 1 == len(refused)


async def test_the_question_survives_a_restart(database_url: str) -> None:
    async with Sandbox.running(rate_limits=False) as sandbox:
        async with a_core(database_url) as core, connected(core, sandbox) as adapter:
            question = await asked(Scene(core, sandbox, adapter), terms=IN_WORDS)
        async with a_core(database_url) as core, connected(core, sandbox) as adapter:
            sandbox.telegram.reply(question, "Said after the restart")
            await bot_said(sandbox, GROUP, "Recorded: Rejected.")
            assert ["Said after the restart"] == await reasons(Scene(core, sandbox, adapter))


async def test_a_reply_after_the_decision_gets_the_current_state(scene: Scene) -> None:
    box = await asked(scene, terms=IN_WORDS)
    card = await card_in(scene.sandbox, GROUP, "Deploy")
    await scene.press(card, "Approve", "Reviewer Two")
    scene.sandbox.telegram.reply(box, "Too late, is it?")
    told = await bot_said(scene.sandbox, PRIVATE, "This was already decided.")
    assert "Approved by Reviewer Two" in told.text
    assert 1 == len(await scene.core.ledger())


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "write the reason as text"), ("\u2060 \u3164", "write the reason as text"), ("why " * 600, "too long")],
)
async def test_what_is_no_reason_is_asked_for_again_in_plain_words(scene: Scene, text: str, says: str) -> None:
    box = await asked(scene, terms=IN_WORDS)
    scene.sandbox.telegram.reply(box, text)  # without text: a sticker, a photo
    again = await bot_said(scene.sandbox, GROUP, says)
    assert again.markup is not None
    assert again.markup["force_reply"]
    assert [] == await scene.core.ledger()
    scene.sandbox.telegram.reply(again, "Because")
    await bot_said(scene.sandbox, GROUP, "Recorded: Rejected.")
    assert ["Because"] == await reasons(scene)


async def test_a_reason_of_any_length_is_offered_whole(scene: Scene) -> None:
    long = "The <change> window of the payment provider is closed until the end of week"
    question = await asked(scene, terms={"ask_reason": True, "deny_reasons": [long, "Not now"]})
    assert f"1. {long}" in question.text
    assert "2. Not now" in question.text
    await scene.press(question, "2. Not now")
    assert ["Not now"] == await reasons(scene)


async def test_never_mind_takes_the_question_away_and_records_nothing(scene: Scene) -> None:
    question = await asked(scene)
    assert "Nothing was recorded." == (await scene.press(question, "Never mind")).text
    await scene.sandbox.until(lambda: question not in scene.sandbox.telegram.messages(GROUP))
    assert [] == await scene.core.ledger()
    card = await card_in(scene.sandbox, GROUP, "Deploy")
    assert ["Approve", "Reject", "Review"] == buttons(card)


async def test_pressed_twice_there_is_one_question(on_both: Scene) -> None:
    scene = on_both
    first = await asked(scene)
    card = await card_in(scene.sandbox, GROUP, "Deploy")
    await scene.press(card, "Reject")
    await scene.sandbox.until(lambda: first not in scene.sandbox.telegram.messages(GROUP))
    assert 2 == len(scene.said(GROUP))
    opened = await rows(scene.core.url, "SELECT message FROM questions WHERE answered_at IS NULL")
    assert 1 == len(opened)


async def test_a_press_that_is_delivered_again_leaves_one_question(scene: Scene) -> None:
    await scene.core.ask(GROUP, chat=ASKS)
    card = await card_in(scene.sandbox, GROUP)
    tap = await scene.sandbox.telegram.tap(GROUP, card.message_id, "Reject")
    await tap.answer()
    first = await bot_said(scene.sandbox, GROUP, "why")
    await scene.sandbox.telegram.deliver(tap)
    await scene.sandbox.until(lambda: first not in scene.sandbox.telegram.messages(GROUP))
    assert 2 == len(scene.said(GROUP))


async def test_a_reply_that_is_delivered_again_is_one_answer(scene: Scene) -> None:
    box = await asked(scene, terms=IN_WORDS)
    scene.sandbox.telegram.reply(box, "Once")
    update = scene.sandbox.telegram.updates.pending[-1]
    await bot_said(scene.sandbox, GROUP, "Recorded: Rejected.")
    await scene.sandbox.telegram.updates.send_again(update)
    gone = len(scene.sandbox.calls("deleteMessage"))
    await scene.sandbox.until(lambda: len(scene.sandbox.calls("deleteMessage")) > gone)
    assert ["Once"] == await reasons(scene)
    assert 1 == len([one for one in scene.said(GROUP) if one.text == "Recorded: Rejected."])


async def test_forged_data_chooses_nothing(scene: Scene) -> None:
    question = await asked(scene)
    for data in ("q:9", "q:x", "q:", "q:00000000000000000000000", "q:-1"):
        assert "This button is not known here any more." == (await scene.press(question, "", data=data)).text
    card = await card_in(scene.sandbox, GROUP, "Deploy")
    answer = await scene.press(card, "", data="q:0")
    assert "This question does not count any more. Please press the button on the card again." == answer.text
    assert [] == await scene.core.ledger()


async def test_the_question_stands_in_the_topic_of_the_card(scene: Scene) -> None:
    question = await asked(scene, f"{FORUM}/7")
    assert 7 == question.thread_id
    await scene.press(question, "In your own words")
    box = await bot_said(scene.sandbox, FORUM, "as a reply")
    assert 7 == box.thread_id
    scene.sandbox.telegram.reply(box, "In the topic")
    told = await bot_said(scene.sandbox, FORUM, "Recorded: Rejected.")
    assert 7 == told.thread_id


async def test_where_the_topic_is_closed_the_person_is_asked_in_private(scene: Scene) -> None:
    await scene.core.ask(f"{FORUM}/7", chat=ASKS)
    card = await card_in(scene.sandbox, FORUM)
    scene.sandbox.telegram.close_topic(FORUM, 7)
    await scene.press(card, "Reject")
    question = await bot_said(scene.sandbox, PRIVATE, "why")
    assert question.text.startswith("Deploy checkout 2.14.0?\n")
    await scene.press(question, "Not now")
    assert ["Not now"] == await reasons(scene)


async def test_who_can_be_asked_nowhere_is_told_to_use_the_review_link(scene: Scene) -> None:
    await scene.core.ask(f"{FORUM}/7", chat=ASKS)
    card = await card_in(scene.sandbox, FORUM)
    scene.sandbox.telegram.close_topic(FORUM, 7)
    scene.sandbox.telegram.block("Reviewer One")
    answer = await scene.press(card, "Reject")
    assert answer.show_alert
    assert "Please use the review link." in answer.text


async def test_a_question_in_a_group_that_moved_does_not_count_and_the_new_card_asks_anew(scene: Scene) -> None:
    question = await asked(scene)
    new = scene.sandbox.telegram.migrate(GROUP)
    await scene.core.ask(GROUP, prompt="Another question?")  # whatever is sent next finds the new chat
    prepared = scene.sandbox.telegram.prepare(GROUP, question.message_id, "Too risky")
    answer = await (await scene.sandbox.telegram.deliver(prepared)).answer()
    assert answer.text  # whatever became of it, the person hears
    card = await card_in(scene.sandbox, new.id)
    assert card.chat.id == new.id


async def test_an_anonymous_admin_is_not_asked_and_answers_nothing(scene: Scene) -> None:
    await scene.core.ask(SUPERGROUP, chat=ASKS)
    card = await card_in(scene.sandbox, SUPERGROUP)
    answer = await scene.press(card, "Reject", "GroupAnonymousBot")
    assert answer.show_alert
    assert "Anonymous admins cannot be reviewers" in answer.text
    await scene.press(card, "Reject")
    question = await bot_said(scene.sandbox, SUPERGROUP, "why")
    await scene.press(question, "In your own words")
    box = await bot_said(scene.sandbox, SUPERGROUP, "as a reply")
    scene.sandbox.telegram.reply(box, "From nobody", "GroupAnonymousBot")
    scene.sandbox.telegram.reply(box, "From somebody")
    await bot_said(scene.sandbox, SUPERGROUP, "Recorded: Rejected.")
    assert ["From somebody"] == await reasons(scene)


async def test_a_reply_to_anything_else_of_the_bot_is_nothing(scene: Scene) -> None:
    await scene.core.ask(GROUP, chat=ASKS)
    card = await card_in(scene.sandbox, GROUP)
    scene.sandbox.telegram.reply(card, "Looks risky to me")
    scene.sandbox.telegram.say(GROUP, "/help", "Reviewer One")
    await bot_said(scene.sandbox, GROUP, "/inbox")
    assert [] == await scene.core.ledger()


async def test_a_press_on_a_card_of_unknown_whereabouts_shows_where_it_is(sqlite_url: str) -> None:
    async with a_scene(sqlite_url, worker=False) as scene:
        await scene.core.ask(GROUP, chat=ASKS)
        [claimed] = await scene.core.cards.claim("telegram", 1)
        message = await scene.adapter.messenger.post(claimed.ref.address, claimed.card)  # and the process is gone
        await (await scene.sandbox.telegram.tap(GROUP, int(message), "Reject")).answer()

        async def adopted() -> list[dict[str, Any]]:
            return await rows(sqlite_url, "SELECT message FROM cards WHERE message IS NOT NULL")

        assert [{"message": message}] == await eventually(adopted)


async def test_a_question_that_is_too_old_to_be_taken_back_says_that_it_is_over(scene: Scene) -> None:
    question = await asked(scene)
    scene.sandbox.faults.next("deleteMessage", Fault.platform_error("message can't be deleted"))
    await scene.press(question, "Too risky")
    await scene.sandbox.until(lambda: question.text == "This question needs no answer any more.")
    assert [] == buttons(question)


async def test_a_button_on_an_inline_message_asks_nothing_and_answers_nothing(scene: Scene) -> None:
    question = await asked(scene, policy=Policy(("telegram:1002",)))
    card = await card_in(scene.sandbox, GROUP, "Deploy")
    for message, button, says in (
        (card, "Reject", "Please use the review link."),
        (question, "Too risky", "This button is not known here any more."),
    ):
        prepared = scene.sandbox.telegram.prepare(GROUP, message.message_id, button)
        del prepared.content["message"]
        prepared.content["inline_message_id"] = "AAAA"
        answer = await (await scene.sandbox.telegram.deliver(prepared)).answer()
        assert answer.show_alert
        assert says in answer.text
    assert [] == await scene.core.ledger()


async def test_who_answers_before_the_question_is_noted_down_is_heard(scene: Scene) -> None:
    await scene.core.ask(GROUP, chat=IN_WORDS)
    card = await card_in(scene.sandbox, GROUP)
    held = Fault.held()
    scene.sandbox.faults.next("sendMessage", held)
    await scene.sandbox.telegram.tap(GROUP, card.message_id, "Reject")
    box = await bot_said(scene.sandbox, GROUP, "as a reply")
    scene.sandbox.telegram.reply(box, "Quick")
    scene.sandbox.telegram.say(PRIVATE, "/whoami")
    await bot_said(scene.sandbox, PRIVATE, "You are Reviewer One")  # the reply has arrived before this
    held.release()
    await bot_said(scene.sandbox, GROUP, "Recorded: Rejected.")
    assert ["Quick"] == await reasons(scene)
