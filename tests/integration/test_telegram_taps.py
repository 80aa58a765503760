"""Taps on Telegram, through the real SDK, by webhook and by long polling, into a real ledger."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from adapters.telegram import TelegramAdapter
from bot.sandbox import ManualClock, Sandbox
from bot.sandbox.telegram import Tap
from core.model import Policy
from core.words import EN
from tests.integration.telegram_support import FORUM, GROUP, PRIVATE, SUPERGROUP, card_in, closed_card, connected
from tests.support.cores import Core, a_core
from tests.support.crowd import crowd
from tests.support.databases import eventually, rows

LATE = EN["late"]

OTHER = 1003


@dataclass
class Scene:
    core: Core
    sandbox: Sandbox
    adapter: TelegramAdapter


@pytest.fixture(params=["webhook", "polling"])
def by_webhook(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "webhook")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def scene(database_url: str, by_webhook: bool, clock: ManualClock) -> AsyncIterator[Scene]:
    async with (
        Sandbox.running(clock=clock) as sandbox,
        a_core(database_url) as core,
        connected(core, sandbox, webhook=by_webhook) as adapter,
    ):
        sandbox.telegram.updates.retry_delays = (0.05,)
        yield Scene(core, sandbox, adapter)


async def tap(scene: Scene, action: str = "Approve", user: str = "Reviewer One", chat: int = GROUP) -> Tap:
    message = await card_in(scene.sandbox, chat)
    return await scene.sandbox.telegram.tap(chat, message.message_id, action, user)


async def test_one_tap_decides_and_the_card_says_who_and_loses_its_buttons(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    answer = await (await tap(scene)).answer()
    assert ("Recorded: Approved.", False) == (answer.text, answer.show_alert)
    card = await closed_card(scene.sandbox, await card_in(scene.sandbox, GROUP))
    assert card.text.startswith("Approved by Reviewer One, ")
    assert "on Telegram\n" in card.text
    assert 1 == len(await scene.core.ledger())


@pytest.mark.parametrize("chat", [SUPERGROUP, f"{FORUM}/7", PRIVATE])
async def test_a_card_can_stand_in_any_kind_of_chat(scene: Scene, chat: int | str) -> None:
    await scene.core.ask(chat)
    number = int(str(chat).split("/")[0])
    message = await card_in(scene.sandbox, number)
    assert (7 if number == FORUM else 0) == message.thread_id
    await (await tap(scene, chat=number)).answer()
    await closed_card(scene.sandbox, message)
    assert 1 == len(await scene.core.ledger())


async def test_a_second_tap_is_told_who_decided(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    late = scene.sandbox.telegram.prepare(GROUP, message.message_id, "Reject", "Reviewer Two")
    await (await tap(scene)).answer()
    answer = await (await scene.sandbox.telegram.deliver(late)).answer()
    assert answer.show_alert
    assert answer.text.startswith("This was already decided. Approved by Reviewer One")
    assert 1 == len(await scene.core.ledger())


async def test_an_update_that_is_delivered_again_is_one_tap(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    first = await tap(scene)
    await first.answer()
    told = len(scene.sandbox.notices())
    calls = len(scene.sandbox.calls("answerCallbackQuery"))
    await scene.sandbox.telegram.deliver(first)
    await scene.sandbox.until(lambda: len(scene.sandbox.calls("answerCallbackQuery")) > calls)
    assert told == len(scene.sandbox.notices())  # nothing is said a second time
    assert 1 == len(await scene.core.ledger())
    events = await rows(scene.core.url, "SELECT kind FROM case_events WHERE kind = 'replayed'")
    assert [] == events


async def test_button_data_forged_in_a_foreign_chat_is_refused(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    await scene.core.ask(SUPERGROUP, prompt="Something else?")
    card, foreign = await card_in(scene.sandbox, GROUP), await card_in(scene.sandbox, SUPERGROUP)
    assert card.markup is not None
    data = card.markup["inline_keyboard"][0][0]["callback_data"]
    answer = None
    while answer is None or "not recorded yet" in answer.text:  # as a busy machine says first
        forged = await scene.sandbox.telegram.tap(SUPERGROUP, foreign.message_id, "", "Requester", data=data)
        answer = await forged.answer()
    assert answer.show_alert
    assert "You are not one of the reviewers of this case" in answer.text
    assert [] == await scene.core.ledger()
    assert card.markup is not None


async def test_a_forged_tap_does_not_move_a_card_to_a_message_that_does_not_show_it(scene: Scene) -> None:
    await scene.core.ask(SUPERGROUP, prompt="Something else?")
    foreign = await card_in(scene.sandbox, SUPERGROUP)
    opened = await scene.core.ask("-99999")  # a chat that does not exist: its card is never posted
    [card] = await rows(scene.core.url, f"SELECT card_id FROM cards WHERE case_id = '{opened.case.case_id}'")
    data = f"a:{card['card_id']}:approve"
    await (await scene.sandbox.telegram.tap(SUPERGROUP, foreign.message_id, "", data=data)).answer()
    await scene.adapter.stop(5)
    assert [{"message": None}] == await rows(
        scene.core.url, f"SELECT message FROM cards WHERE case_id = '{opened.case.case_id}'"
    )


async def test_an_anonymous_admin_cannot_decide(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    answer = await (await tap(scene, user="GroupAnonymousBot")).answer()
    assert answer.show_alert
    assert "Anonymous admins cannot be reviewers" in answer.text
    assert [] == await scene.core.ledger()


async def test_who_may_not_decide_is_told_who_may_in_at_most_200_characters(scene: Scene) -> None:
    reviewers = tuple(f"telegram:{number}" for number in range(5_000_000, 5_000_020))
    await scene.core.ask(GROUP, policy=Policy(reviewers))
    answer = await (await tap(scene)).answer()
    assert answer.show_alert
    assert "it can be decided by telegram:5000000 or telegram:5000001" in answer.text
    assert len(answer.text) <= 200
    assert answer.text.endswith("…")
    assert [] == await scene.core.ledger()


async def test_a_button_that_is_no_cards_is_answered(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    for data in ("a:short:approve", "old", "a:" + "x" * 22 + ":approve:more"):
        answer = await (await scene.sandbox.telegram.tap(GROUP, message.message_id, "", data=data)).answer()
        assert "This button is not known here any more." == answer.text
    unknown = "a:" + "x" * 22 + ":approve"
    answer = await (await scene.sandbox.telegram.tap(GROUP, message.message_id, "", data=unknown)).answer()
    assert "This card is not known here any more." == answer.text


async def test_a_tap_on_a_message_that_is_too_old_to_be_sent_along_counts(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    prepared = scene.sandbox.telegram.prepare(GROUP, message.message_id, "Approve")
    prepared.content["message"] = {"chat": message.chat.wire(), "message_id": message.message_id, "date": 0}
    assert "Recorded: Approved." == (await (await scene.sandbox.telegram.deliver(prepared)).answer()).text


async def test_a_tap_that_comes_too_late_to_be_answered_is_stored_and_told_in_private(
    scene: Scene, clock: ManualClock
) -> None:
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    prepared = scene.sandbox.telegram.prepare(GROUP, message.message_id, "Approve")
    clock.advance(151)
    await scene.sandbox.telegram.deliver(prepared)
    await closed_card(scene.sandbox, message)
    assert "Recorded: Approved." == (await card_in(scene.sandbox, PRIVATE)).text
    assert 1 == len(await scene.core.ledger())


async def test_a_tap_is_acknowledged_within_a_second_while_the_database_stalls(scene: Scene) -> None:
    await scene.core.ask(GROUP)
    message = await card_in(scene.sandbox, GROUP)
    await eventually(lambda: _shown(scene.core))
    took = []
    async with scene.core.stalled() as end:
        for user in (PRIVATE, OTHER):  # the second one while the first waits
            pressed = time.monotonic()
            late = await scene.sandbox.telegram.tap(GROUP, message.message_id, "Approve", user)
            answer = await late.answer()
            took.append(time.monotonic() - pressed)
            assert (LATE, False) == (answer.text, answer.show_alert)
        assert min(took) < 1 * crowd()  # a busy moment of the machine is not ours to judge
        assert message.markup is not None  # nothing says that anything is recorded
        assert [] == [*scene.sandbox.telegram.messages(PRIVATE), *scene.sandbox.telegram.messages(OTHER)]
        await end()
    await closed_card(scene.sandbox, message)
    [row] = await scene.core.ledger()
    first, second = (PRIVATE, OTHER) if f'"{PRIVATE}"' in row["replier"] else (OTHER, PRIVATE)
    # What came late is told in private, never in the group.
    assert "Recorded: Approved." == (await card_in(scene.sandbox, first)).text
    assert (await card_in(scene.sandbox, second)).text.startswith("This was already decided. Approved by Reviewer ")
    assert [message] == scene.sandbox.telegram.messages(GROUP)


async def test_a_late_refusal_is_not_posted_in_the_group(scene: Scene) -> None:
    await scene.core.ask(GROUP, policy=Policy(("telegram:1003",)))
    message = await card_in(scene.sandbox, GROUP)
    scene.sandbox.telegram.block("Reviewer One")
    await eventually(lambda: _shown(scene.core))
    async with scene.core.stalled() as end:
        late = await scene.sandbox.telegram.tap(GROUP, message.message_id, "Approve")
        assert LATE == (await late.answer()).text
        await end()
    await scene.sandbox.until(
        lambda: [call for call in scene.sandbox.calls("sendMessage") if call.outcome.startswith("Forbidden")]
    )
    assert [message] == scene.sandbox.telegram.messages(GROUP)
    assert [] == await scene.core.ledger()


async def test_a_tap_shows_where_a_card_is_whose_posting_was_not_saved(
    database_url: str, by_webhook: bool, clock: ManualClock
) -> None:
    async with (
        Sandbox.running(clock=clock) as sandbox,
        a_core(database_url) as core,
        connected(core, sandbox, webhook=by_webhook, worker=False) as adapter,
    ):
        await core.ask(GROUP)
        [claimed] = await core.cards.claim("telegram", 1)
        message = await adapter.messenger.post(claimed.ref.address, claimed.card)  # and the process is gone
        await (await sandbox.telegram.tap(GROUP, int(message), "Approve")).answer()

        async def adopted() -> list[dict[str, Any]]:
            return await rows(database_url, "SELECT message FROM cards WHERE message IS NOT NULL")

        assert [{"message": message}] == await eventually(adopted)
        core.clock[0] += 31_000  # the dead worker's lease ends
        async with connected(core, sandbox, webhook=by_webhook):
            await closed_card(sandbox, await card_in(sandbox, GROUP))
        assert 1 == len(sandbox.telegram.messages(GROUP))


async def _shown(core: Core) -> list[dict[str, Any]]:
    return await rows(core.url, "SELECT card_id FROM cards WHERE shown_version = wanted_version")
