"""The port to Telegram: what is sent, what Telegram refuses, and how fast one may write."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from adapters.telegram import TelegramAdapter, TelegramSettings
from adapters.telegram.messenger import Place
from bot.sandbox import Fault, ManualClock, Sandbox
from bot.sandbox.telegram import Chat
from core.messages import Paragraph
from core.model import Address
from core.pacing import free_at
from core.ports import ChannelMoved, SendFailed
from core.told import Moment, Told
from core.workers import CardWorker
from tests.integration.telegram_support import (
    FORUM,
    GROUP,
    PRIVATE,
    SECRET,
    SUPERGROUP,
    adapter_for,
    card_in,
    closed_card,
    connected,
)
from tests.support.cores import Core, a_card, a_core
from tests.support.databases import eventually, rows


@pytest.fixture(autouse=True)
def _durations_as_the_sdk_will_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox.running(clock=clock) as running:
        yield running


@pytest.fixture
async def core(sqlite_url: str) -> AsyncIterator[Core]:
    async with a_core(sqlite_url) as found:
        yield found


@pytest.fixture
async def adapter(core: Core, sandbox: Sandbox) -> AsyncIterator[TelegramAdapter]:
    found = adapter_for(core, sandbox)
    await found.start()
    yield found
    await found.stop(1)


def at(chat: int | str) -> Address:
    return Address("telegram", str(chat))


async def failing(call: Any) -> SendFailed:
    with pytest.raises(SendFailed) as failed:
        await call
    return failed.value


async def test_a_card_is_posted_without_a_preview_and_its_id_is_text(
    adapter: TelegramAdapter, sandbox: Sandbox
) -> None:
    message = await adapter.messenger.post(at(GROUP), a_card())
    [posted] = sandbox.telegram.messages(GROUP)
    assert message == str(posted.message_id)
    assert {"is_disabled": True} == posted.link_preview
    assert posted.markup is not None
    [actions, review] = posted.markup["inline_keyboard"]
    assert [f"a:{'c' * 22}:approve", f"a:{'c' * 22}:reject"] == [button["callback_data"] for button in actions]
    assert [("Review", a_card().review_url)] == [(button["text"], button["url"]) for button in review]


@pytest.mark.parametrize("chat", [f"{FORUM}/8", f"{FORUM}/1", str(FORUM)])
async def test_a_topic_is_part_of_the_address(adapter: TelegramAdapter, sandbox: Sandbox, chat: str) -> None:
    await adapter.messenger.post(at(chat), a_card())
    [posted] = sandbox.telegram.messages(FORUM)
    assert (8 if chat.endswith("/8") else 0) == posted.thread_id


async def test_an_update_redraws_the_card_and_takes_its_buttons(adapter: TelegramAdapter, sandbox: Sandbox) -> None:
    message = await adapter.messenger.post(at(GROUP), a_card())
    closed = a_card(version=2, buttons=(), review_url=None, outcome="Approved by Reviewer One")
    await adapter.messenger.update(at(GROUP), message, closed)
    [posted] = sandbox.telegram.messages(GROUP)
    assert posted.text.startswith("Approved by Reviewer One\n\nDeploy checkout 2.14.0?")
    assert posted.markup is None


async def test_that_a_card_already_looks_so_is_success(adapter: TelegramAdapter, sandbox: Sandbox) -> None:
    message = await adapter.messenger.post(at(GROUP), a_card())
    await adapter.messenger.update(at(GROUP), message, a_card())
    assert "message is not modified" in sandbox.calls("editMessageText")[0].outcome


@pytest.mark.parametrize("url", ["http://localhost:8080/en/x?token=t&u=1", "http://127.0.0.1/x", "http://[::1]/x"])
async def test_a_link_that_telegram_takes_no_button_for_stands_in_the_text(
    adapter: TelegramAdapter, sandbox: Sandbox, url: str
) -> None:
    await adapter.messenger.post(at(GROUP), a_card(review_url=url))
    [posted] = sandbox.telegram.messages(GROUP)
    assert posted.text.endswith(f"\nReview: {url}")
    assert posted.markup is not None
    assert 1 == len(posted.markup["inline_keyboard"])


async def test_what_agents_write_is_text_and_never_markup(adapter: TelegramAdapter, sandbox: Sandbox) -> None:
    hostile = "</b><a href='https://evil.example'>Approve</a> &lt;b&gt; <pre>"
    body = (Paragraph(hostile, hostile, code=True),)
    await adapter.messenger.post(at(GROUP), a_card(prompt=hostile, facts=((hostile, hostile),), body=body))
    [posted] = sandbox.telegram.messages(GROUP)
    assert 5 == posted.text.count(hostile)
    assert [] == [entity for entity in posted.entities if entity["type"] == "text_link"]


async def test_a_pause_that_telegram_wants_is_passed_on(adapter: TelegramAdapter, sandbox: Sandbox) -> None:
    sandbox.faults.next("sendMessage", Fault.rate_limited(retry_after=7))
    failed = await failing(adapter.messenger.post(at(GROUP), a_card()))
    assert (7000, False, False) == (failed.retry_after_ms, failed.permanent, failed.uncertain)


async def test_a_moved_group_is_told_with_its_topic(adapter: TelegramAdapter, sandbox: Sandbox) -> None:
    moved = sandbox.telegram.migrate(GROUP)
    with pytest.raises(ChannelMoved) as posting:
        await adapter.messenger.post(at(GROUP), a_card())
    assert str(moved.id) == posting.value.new_channel
    with pytest.raises(ChannelMoved) as updating:
        await adapter.messenger.update(at(f"{GROUP}/7"), "1", a_card())
    assert f"{moved.id}/7" == updating.value.new_channel


@pytest.mark.parametrize(
    ("chat", "words"),
    [
        (PRIVATE, "the bot may not write to this person; they have to open the chat with the bot and press Start"),
        (1006, "the bot may not write to this person; they have to open the chat with the bot and press Start"),
        (GROUP, "the bot is not in this group any more; add it again"),
        (-42, "there is no such chat, or the bot is not in it; /start in a chat shows its id"),
        (f"{FORUM}/99", "there is no such topic in this group; /start in the topic shows its number"),
        ("@channel", "telegram:@channel: a chat is a number, as /start in the chat shows it"),
        (f"{FORUM}/seven", f"telegram:{FORUM}/seven: a chat is a number, as /start in the chat shows it"),
        ("", "telegram:: a chat is a number, as /start in the chat shows it"),
    ],
)
async def test_what_cannot_work_is_permanent_and_says_what_to_do(
    adapter: TelegramAdapter, sandbox: Sandbox, chat: int | str, words: str
) -> None:
    sandbox.telegram.block("Reviewer One")
    sandbox.telegram.kick(GROUP)
    failed = await failing(adapter.messenger.post(at(chat), a_card()))
    assert (words, True, False) == (failed.message, failed.permanent, failed.uncertain)


@pytest.mark.parametrize(
    ("refusal", "permanent"),
    [
        ("Bad Request: not enough rights to send text messages to the chat", False),
        ("Bad Request: TOPIC_CLOSED", False),
        ("Bad Request: CHAT_WRITE_FORBIDDEN", False),
        ("Bad Request: something that nobody knows yet", True),
    ],
)
async def test_what_an_admin_can_put_right_is_tried_again(
    adapter: TelegramAdapter, sandbox: Sandbox, refusal: str, permanent: bool
) -> None:
    sandbox.faults.next("sendMessage", Fault.platform_error(refusal))
    assert permanent == (await failing(adapter.messenger.post(at(GROUP), a_card()))).permanent


@pytest.mark.parametrize("message", ["4711", "not a number"])
async def test_a_card_that_was_deleted_is_given_up(adapter: TelegramAdapter, message: str) -> None:
    assert (await failing(adapter.messenger.update(at(GROUP), message, a_card()))).permanent


@pytest.mark.parametrize(
    "fault", [Fault.lost_answer(), Fault.dropped(), Fault.server_error(500), Fault.server_error(502)]
)
async def test_an_answer_that_was_lost_leaves_it_uncertain_and_sends_nothing_again(
    adapter: TelegramAdapter, sandbox: Sandbox, fault: Fault
) -> None:
    sandbox.faults.next("sendMessage", fault)
    failed = await failing(adapter.messenger.post(at(GROUP), a_card()))
    assert (True, False) == (failed.uncertain, failed.permanent)
    assert 1 == len(sandbox.calls("sendMessage"))


async def test_what_never_left_is_certain(core: Core, sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    adapter = adapter_for(core, sandbox, base_url=f"http://127.0.0.1:{nobody}")
    failed = await failing(adapter.messenger.post(at(GROUP), a_card()))
    assert (False, False) == (failed.uncertain, failed.permanent)
    assert f"Telegram cannot be reached at http://127.0.0.1:{nobody}" == failed.message
    check = await adapter.messenger.check()
    assert (False, f"Telegram cannot be reached at http://127.0.0.1:{nobody}.") == (check.ok, check.detail)


async def test_a_notice_goes_to_the_person_alone(adapter: TelegramAdapter, sandbox: Sandbox) -> None:
    await adapter.messenger.notify(at(GROUP), str(PRIVATE), "You may not decide this: <b>" + "x" * 5_000)
    assert [] == sandbox.telegram.messages(GROUP)
    [told] = sandbox.telegram.messages(PRIVATE)
    assert told.text.startswith("You may not decide this: <b>")
    for calls in (1_300, 1_500):  # what keeps them from being calls takes room too
        await adapter.messenger.notify(at(GROUP), str(PRIVATE), "@a " * calls)
        assert "mention" not in {one["type"] for one in sandbox.telegram.messages(PRIVATE)[-1].entities}
    assert (await failing(adapter.messenger.notify(at(GROUP), "1006", "Hello"))).permanent


async def test_an_older_server_of_ones_own_gets_times_as_words_and_is_asked_once(
    adapter: TelegramAdapter, sandbox: Sandbox
) -> None:
    until = Moment(1_795_255_200_000, "21 Nov 2026, 10:00 UTC")
    card = a_card(moments=(until,))
    known = await adapter.messenger.post(at(GROUP), card)
    sandbox.telegram.sending.knows_times = False
    await adapter.messenger.update(at(GROUP), known, replace(card, prompt="Deploy checkout 2.14.1?"))
    await adapter.messenger.post(at(SUPERGROUP), card)
    await adapter.messenger.notify(at(GROUP), str(PRIVATE), Told(f"The deadline is now {until.text}.", (until,)))
    [changed], [posted], [told] = (sandbox.telegram.messages(chat) for chat in (GROUP, SUPERGROUP, PRIVATE))
    assert f"The deadline is now {until.text}." == told.text
    for message in (changed, posted, told):
        assert until.text in message.text
        assert "date_time" not in {one["type"] for one in message.entities}
    refused = [call.method for call in sandbox.calls() if 'start tag "tg-time"' in call.outcome]
    assert ["editMessageText"] == refused


async def test_a_time_that_telegram_refuses_keeps_no_message_back_and_costs_no_other_its_times(
    adapter: TelegramAdapter, sandbox: Sandbox
) -> None:
    until, far = Moment(1_795_255_200_000, "21 Nov 2026, 10:00 UTC"), Moment(4_102_444_800_000, "1 Jan 2100, 00:00 UTC")
    for when in (far, until):
        await adapter.messenger.notify(at(GROUP), str(PRIVATE), Told(f"The deadline is now {when.text}.", (when,)))
    posted = sandbox.telegram.messages(PRIVATE)
    assert [f"The deadline is now {when.text}." for when in (far, until)] == [one.text for one in posted]
    assert [[], ["date_time"]] == [[entity["type"] for entity in one.entities] for one in posted]


async def test_bots_cannot_look_for_messages(adapter: TelegramAdapter) -> None:
    assert None is await adapter.messenger.find(at(GROUP), a_card())


async def test_the_check_says_who_the_bot_is_and_how_taps_come(
    core: Core, adapter: TelegramAdapter, sandbox: Sandbox
) -> None:
    check = await adapter.messenger.check()
    assert (True, "The bot is @assent_sandbox_bot; taps are fetched by long polling.") == (check.ok, check.detail)
    hooked = adapter_for(core, sandbox, webhook_secret=SECRET, webhook_url="https://assent.example.com/hook")
    check = await hooked.messenger.check()
    assert (False, True) == (check.ok, check.detail.endswith("no webhook is set for it, so that taps do not arrive."))
    await hooked.start()
    check = await hooked.messenger.check()
    assert check.ok
    assert check.detail.endswith("taps come to https://assent.example.com/hook.")
    webhook = sandbox.telegram.updates.webhook
    assert webhook is not None
    webhook.url = "https://elsewhere.example.com/hook"
    check = await hooked.messenger.check()
    assert (False, True) == (check.ok, check.detail.endswith("instead of https://assent.example.com/hook."))
    webhook.url = "https://assent.example.com/hook"
    webhook.last_error_message, webhook.last_error_date = "Wrong response from the webhook: 502", 1_800_000_000
    assert "Telegram last failed to reach https://assent.example.com/hook" in (await hooked.messenger.check()).detail
    await hooked.stop(1)
    sandbox.telegram.token = "1:revoked"
    check = await adapter.messenger.check()
    assert (False, "Telegram does not accept the bot token; check TELEGRAM_BOT_TOKEN.") == (check.ok, check.detail)


def test_every_chat_has_a_pace_of_its_own_and_topics_share_it(core: Core, sandbox: Sandbox) -> None:
    messenger = adapter_for(core, sandbox).messenger
    assert messenger.rate(at(f"{FORUM}/7"), "post") == messenger.rate(at(f"{FORUM}/8"), "post")
    names = [messenger.rate(at(chat), kind)[0] for chat in (GROUP, PRIVATE) for kind in ("post", "update")]
    assert 4 == len(set(names))


@pytest.mark.parametrize(("chat", "most", "seconds"), [(GROUP, 20, 60), (GROUP, 3, 3), (PRIVATE, 3, 3)])
def test_the_pace_keeps_the_published_limits_in_any_window(
    core: Core, sandbox: Sandbox, chat: int, most: int, seconds: int
) -> None:
    _, rate = adapter_for(core, sandbox).messenger.rate(at(chat), "post")
    moments: list[int] = []
    for _ in range(200):
        moments.append(free_at(moments, rate.windows(), 0))
    sent = [moment / 1000 for moment in moments]
    assert all(sum(start <= moment < start + seconds for moment in sent) <= most for start in sent)


async def test_no_more_than_thirty_a_second_leave_over_all_chats(core: Core) -> None:
    async with Sandbox.running() as sandbox, connected(core, sandbox, worker=False) as adapter:
        people = range(5_000, 5_045)
        sandbox.telegram.world.chats.update({person: Chat(person, "private") for person in people})
        # A machine that is busy for a moment sends late what it had to send meanwhile: not all of it at once.
        asyncio.get_running_loop().call_later(0.02, time.sleep, 0.2)
        await asyncio.gather(*(adapter.messenger.post(at(person), a_card()) for person in people))
        assert {"ok"} == {call.outcome for call in sandbox.calls("sendMessage")}


async def test_after_the_stop_nothing_is_sent_and_nothing_is_cut_off(
    core: Core, sandbox: Sandbox, adapter: TelegramAdapter
) -> None:
    held = sandbox.faults.next("sendMessage", Fault.held())
    posting = asyncio.create_task(adapter.messenger.post(at(GROUP), a_card()))
    await sandbox.until(lambda: sandbox.telegram.messages(GROUP))
    stopping = asyncio.create_task(adapter.stop(5))
    held.release()
    assert await posting
    await stopping
    failed = await failing(adapter.messenger.post(at(GROUP), a_card()))
    assert ("Assent is stopping", False, False) == (failed.message, failed.permanent, failed.uncertain)
    assert 1 == len(sandbox.telegram.messages(GROUP))


async def test_a_pause_in_one_chat_does_not_hold_up_another(core: Core, sandbox: Sandbox) -> None:
    sandbox.faults.next("sendMessage", Fault.rate_limited(retry_after=1))
    async with connected(core, sandbox):
        await core.ask(GROUP, prompt="In the group?")

        async def paused() -> list[dict[str, Any]]:
            return await rows(core.url, "SELECT last_error FROM cards WHERE last_error IS NOT NULL")

        assert [{"last_error": "Telegram asks for a pause in this chat"}] == await eventually(paused)
        await core.ask(GROUP, SUPERGROUP, prompt="In both?")
        await card_in(sandbox, SUPERGROUP)
        assert [] == sandbox.telegram.messages(GROUP)
        await card_in(sandbox, GROUP, number=2)
    assert 1 == sum(call.status == 429 for call in sandbox.calls())


async def test_cards_move_with_a_group_that_becomes_a_supergroup(core: Core, sandbox: Sandbox) -> None:
    moved = sandbox.telegram.migrate(GROUP)
    async with connected(core, sandbox):
        await core.ask(GROUP)
        message = await card_in(sandbox, moved.id, "Approval needed")
        tap = await sandbox.telegram.tap(moved.id, message.message_id, "Approve")
        assert "Recorded: Approved." == (await tap.answer()).text
        await closed_card(sandbox, message)


async def test_a_card_that_cannot_be_posted_keeps_the_reason(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox):
        await core.ask(1006)  # never pressed Start

        async def dead() -> list[dict[str, Any]]:
            return await rows(core.url, "SELECT last_error FROM cards WHERE state = 'dead'")

        [card] = await eventually(dead)
    assert "they have to open the chat with the bot and press Start" in card["last_error"]


async def test_a_worker_that_dies_between_send_and_save_leaves_one_decision(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox, worker=False) as adapter:
        await core.ask(GROUP)
        [claimed] = await core.cards.claim("telegram", 1)
        await adapter.messenger.post(claimed.ref.address, claimed.card)  # and the worker is gone
        core.clock[0] += 31_000
        await CardWorker(core.cards, adapter.messenger, core.hub).work()
        first, twin = sandbox.telegram.messages(GROUP)  # bots cannot look for messages: there are two
        for message, words in ((first, "Recorded: Approved."), (twin, "This was already decided.")):
            tap = await sandbox.telegram.tap(GROUP, message.message_id, "Approve")
            assert (await tap.answer()).text.startswith(words)
    assert 1 == len(await core.ledger())


@pytest.mark.parametrize("token", ["", "12 3", "1/2", "1:ä"])
def test_a_token_that_cannot_be_one_is_refused_by_its_name(token: str) -> None:
    with pytest.raises(ValueError, match="bot_token: write it as"):
        TelegramSettings(token)


@pytest.mark.parametrize("secret", ["", "a b", "ä", "x" * 257])
def test_a_webhook_secret_that_telegram_would_refuse_is_refused_by_its_name(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook_secret may hold"):
        TelegramSettings("1:x", webhook_secret=secret)


def test_settings_do_not_show_their_secrets() -> None:
    shown = repr(TelegramSettings("1:token", webhook_secret=SECRET))
    assert ("token" in shown.replace("bot_token", ""), SECRET in shown) == (False, False)


def test_the_general_topic_has_no_thread_id() -> None:
    assert Place(FORUM) == Place.of(at(f"{FORUM}/1"))
