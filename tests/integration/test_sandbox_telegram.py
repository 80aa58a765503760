"""The local Telegram, driven by the real python-telegram-bot."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from starlette.responses import Response
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters, Update
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, NetworkError, RetryAfter

from bot.sandbox import Fault, ManualClock, Sandbox
from bot.sandbox.telegram import NoSuchButton
from tests.integration.sandbox_receiver import Received, receiving

GROUP, FORUM, PRIVATE = -4001, -1001000000002, 1002


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox.running(clock=clock) as running:
        yield running


@pytest.fixture(autouse=True)
def _durations_as_the_sdk_will_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")


@pytest.fixture
async def bot(sandbox: Sandbox) -> AsyncIterator[Bot]:
    async with Bot(sandbox.telegram.token, base_url=f"{sandbox.telegram.base_url}/bot") as running:
        yield running


KEYBOARD = InlineKeyboardMarkup(
    [
        [
            InlineKeyboardButton("Approve", callback_data="a:1:approve"),
            InlineKeyboardButton("Reject", callback_data="a:1:r"),
        ]
    ]
)


async def send_card(bot: Bot, chat: int = GROUP, **more: Any) -> int:
    sent = await bot.send_message(chat, "Deploy <b>web</b> 1.4?", parse_mode="HTML", reply_markup=KEYBOARD, **more)
    return sent.message_id


async def refused(call: Any) -> str:
    """What a 400 says, in lower case because the SDK changes the case of some of it."""
    with pytest.raises(BadRequest) as caught:
        await call
    return caught.value.message.lower()


# Bot API


async def test_a_wrong_token_is_unauthorized(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{sandbox.telegram.base_url}/bot1:wrong/getMe")
    assert (401, "Unauthorized") == (answer.status_code, answer.json()["description"])


async def test_a_message_is_sent_edited_and_deleted(bot: Bot, sandbox: Sandbox) -> None:
    options = LinkPreviewOptions(is_disabled=True)
    message_id = await send_card(bot, link_preview_options=options)
    edited = await bot.edit_message_text("Approved", GROUP, message_id, link_preview_options=options)
    assert isinstance(edited, object)
    [stored] = sandbox.telegram.messages(GROUP)
    assert ("Approved", None, {"is_disabled": True}) == (stored.text, stored.markup, stored.link_preview)
    await bot.delete_message(GROUP, message_id)
    assert [] == sandbox.telegram.messages("Approvals")


async def test_json_form_and_multipart_bodies_are_read_alike(sandbox: Sandbox) -> None:
    url = f"{sandbox.telegram.base_url}/bot{sandbox.telegram.token}/sendMessage"
    markup = KEYBOARD.to_dict()
    fields = {"chat_id": str(PRIVATE), "text": "hi", "reply_markup": json.dumps(markup)}
    async with httpx.AsyncClient(trust_env=False) as http:
        by_json = await http.post(url, json={"chat_id": PRIVATE, "text": "hi", "reply_markup": markup})
        by_form = await http.post(url, data=fields)
        by_parts = await http.post(url, files={name: (None, value) for name, value in fields.items()})
    sent = [answer.json()["result"]["reply_markup"] for answer in (by_json, by_form, by_parts)]
    assert [markup] * 3 == sent


async def test_html_becomes_text_and_entities_in_utf16_units(bot: Bot) -> None:
    text = (
        "🚀 <b>bold <i>both</i></b> &lt;tag&gt; &amp; <code>x</code> <a href='https://example.org/a?b=1&amp;c'>link</a>"
        "<pre><code class='language-sql'>select 1</code></pre>"
    )
    sent = await bot.send_message(PRIVATE, text, parse_mode="HTML")
    assert sent.text is not None
    assert sent.text.startswith("🚀 bold both <tag> & x link")
    found = {entity.type: sent.parse_entity(entity) for entity in sent.entities}
    assert {"bold": "bold both", "italic": "both", "code": "x", "text_link": "link", "pre": "select 1"} == found
    assert "https://example.org/a?b=1&c" == next(e.url for e in sent.entities if e.type == "text_link")


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ("<b>open", 'can\'t find end tag corresponding to start tag "b"'),
        ("a <script>x</script>", 'unsupported start tag "script" at byte offset 2'),
        ("<b>x</i>", 'unmatched end tag at byte offset 4, expected "</b>", found "</i>"'),
        ("x</b>", "unexpected end tag at byte offset 1"),
        ("1 < 2", 'unsupported start tag "" at byte offset 2'),
        ("<b", "unclosed start tag at byte offset 0"),
        ("<span class='big'>x</span>", 'tag "span" must have class "tg-spoiler"'),
        ("<tg-time>now</tg-time>", "invalid unix time"),
        ('<tg-time unix="1.5">now</tg-time>', "invalid unix time"),
        ('<tg-time unix="1" format="tD">now</tg-time>', "invalid date-time format"),
    ],
)
async def test_broken_html_is_refused(bot: Bot, html: str, complaint: str) -> None:
    words = await refused(bot.send_message(PRIVATE, html, parse_mode="HTML"))
    assert words.startswith("can't parse entities: ")
    assert complaint in words


async def test_a_time_is_an_entity_around_its_words_and_none_within_a_link(bot: Bot, sandbox: Sandbox) -> None:
    time = '<tg-time unix="1795255200" format="Dt">10:00 UTC</tg-time>'
    sent = await bot.send_message(PRIVATE, f"<b>🚀 by {time}</b> <a href='https://a.b'>{time}</a>", parse_mode="HTML")
    assert "🚀 by 10:00 UTC 10:00 UTC" == sent.text
    [found] = [entity for entity in sent.entities if entity.type == "date_time"]
    assert ("10:00 UTC", "Dt") == (sent.parse_entity(found), found.date_time_format)
    assert 6 == found.offset
    assert 1_795_255_200 == found.to_dict()["unix_time"]
    sandbox.telegram.sending.knows_times = False
    words = await refused(bot.send_message(PRIVATE, time, parse_mode="HTML"))
    assert 'unsupported start tag "tg-time" at byte offset 0' in words


async def test_text_is_measured_after_parsing(bot: Bot, clock: ManualClock) -> None:
    await bot.send_message(PRIVATE, f"<b>{'&lt;' * 4096}</b>", parse_mode="HTML")
    assert "message is too long" == await refused(bot.send_message(PRIVATE, "x" * 4097))
    assert "message text is empty" == await refused(bot.send_message(PRIVATE, "<b> </b>", parse_mode="HTML"))


@pytest.mark.parametrize(
    ("button", "complaint"),
    [
        (InlineKeyboardButton("x", callback_data="ä" * 33), "button_data_invalid"),
        (
            InlineKeyboardButton("x", url="http://localhost:8080/r"),
            "'http://localhost:8080/r' is invalid: wrong http url",
        ),
        (InlineKeyboardButton("x", url="http://127.0.0.1/r"), "wrong http url"),
        (InlineKeyboardButton("x", url="ftp://example.org/"), "unsupported url protocol"),
        (InlineKeyboardButton("x"), "text buttons are unallowed in the inline keyboard"),
    ],
)
async def test_buttons_that_telegram_would_refuse_are_refused(
    bot: Bot, button: InlineKeyboardButton, complaint: str
) -> None:
    markup = InlineKeyboardMarkup([[button]])
    assert complaint in await refused(bot.send_message(PRIVATE, "x", reply_markup=markup))


@pytest.mark.parametrize(("rows", "a_row", "fits"), [(12, 8, True), (1, 9, False), (13, 8, False)])
async def test_a_keyboard_has_at_most_a_hundred_buttons_and_eight_a_row(
    bot: Bot, rows: int, a_row: int, fits: bool
) -> None:
    row = [InlineKeyboardButton("x", callback_data="x") for _ in range(a_row)]
    sending = bot.send_message(PRIVATE, "x", reply_markup=InlineKeyboardMarkup([row] * rows))
    if fits:
        await sending
    else:
        assert "reply markup is too long" == await refused(sending)


async def test_editing_is_refused_when_nothing_changes_or_nothing_is_there(bot: Bot, sandbox: Sandbox) -> None:
    message_id = await send_card(bot)
    same = bot.edit_message_text("Deploy <b>web</b> 1.4?", GROUP, message_id, parse_mode="HTML", reply_markup=KEYBOARD)
    assert (await refused(same)).startswith("message is not modified")
    assert "message to edit not found" == await refused(bot.edit_message_text("x", GROUP, 999_999))
    theirs = sandbox.telegram.say(GROUP, "hello")
    assert "message can't be edited" == await refused(bot.edit_message_text("x", GROUP, theirs.message_id))
    await bot.edit_message_reply_markup(GROUP, message_id, reply_markup=None)
    assert (await refused(bot.edit_message_reply_markup(GROUP, message_id))).startswith("message is not modified")


async def test_replies_and_topics_must_exist(bot: Bot) -> None:
    card = await bot.send_message(FORUM, "Deploy?", message_thread_id=7)
    assert (7, True) == (card.message_thread_id, card.is_topic_message)
    reminder = await bot.send_message(FORUM, "Still waiting", reply_parameters=ReplyParameters(card.message_id))
    assert reminder.reply_to_message is not None
    assert (card.message_id, 7) == (reminder.reply_to_message.message_id, reminder.message_thread_id)
    assert "message thread not found" == await refused(bot.send_message(FORUM, "x", message_thread_id=99))
    nothing = ReplyParameters(424242)
    assert "message to be replied not found" == await refused(bot.send_message(FORUM, "x", reply_parameters=nothing))
    await bot.send_message(GROUP, "x", reply_parameters=ReplyParameters(4, allow_sending_without_reply=True))


async def test_chats_and_members_can_be_looked_up(bot: Bot, sandbox: Sandbox) -> None:
    assert (await bot.get_chat(FORUM)).is_forum
    assert "member" == (await bot.get_chat_member(GROUP, 1002)).status
    assert "left" == (await bot.get_chat_member(GROUP, 1005)).status
    sandbox.telegram.world.group.members[1002] = "administrator"
    leading = {member.user.id: member.status for member in await bot.get_chat_administrators(GROUP)}
    assert {1004: "creator", 1002: "administrator"} == leading
    assert "chat not found" == await refused(bot.get_chat(-99))


async def test_chats_that_shut_the_bot_out_are_forbidden(bot: Bot, sandbox: Sandbox) -> None:
    sandbox.telegram.block("Reviewer One")
    with pytest.raises(Forbidden, match="bot was blocked by the user"):
        await bot.send_message(PRIVATE, "x")
    sandbox.telegram.kick(GROUP)
    with pytest.raises(Forbidden, match="bot was kicked from the group chat"):
        await bot.send_message(GROUP, "x")
    with pytest.raises(Forbidden, match="can't initiate conversation"):
        await bot.send_message(1006, "x")
    sandbox.telegram.start("Newcomer")
    await bot.send_message(1006, "Welcome")


async def test_a_group_that_became_a_supergroup_says_where_it_went(bot: Bot, sandbox: Sandbox) -> None:
    new = sandbox.telegram.migrate(GROUP)
    with pytest.raises(ChatMigrated) as moved:
        await bot.send_message(GROUP, "x")
    assert new.id == moved.value.new_chat_id
    await bot.send_message(new.id, "x")
    assert [new.id, None] == [u.message.migrate_to_chat_id for u in await bot.get_updates() if u.message]


async def test_sending_is_limited_per_chat_per_group_and_over_all(bot: Bot, clock: ManualClock) -> None:
    for _ in range(3):
        await send_card(bot, PRIVATE)
    with pytest.raises(RetryAfter) as slow:
        await send_card(bot, PRIVATE)
    assert timedelta(seconds=3) == slow.value.retry_after
    for _ in range(20):
        await send_card(bot)
        clock.advance(1)
    with pytest.raises(RetryAfter) as slow:
        await send_card(bot)
    assert timedelta(seconds=40) == slow.value.retry_after


async def test_faults_strike_as_the_sdk_knows_them(bot: Bot, sandbox: Sandbox) -> None:
    sandbox.faults.next("sendMessage", Fault.rate_limited(9))
    with pytest.raises(RetryAfter):
        await send_card(bot)
    sandbox.faults.next("sendMessage", Fault.server_error(502))
    with pytest.raises(NetworkError):
        await send_card(bot)
    sandbox.faults.next("sendMessage", Fault.platform_error("Forbidden: bot was kicked from the group chat", 403))
    with pytest.raises(Forbidden):
        await send_card(bot)
    sandbox.faults.next("sendMessage", Fault.dropped())
    with pytest.raises(NetworkError):
        await send_card(bot)
    assert [] == sandbox.telegram.messages(GROUP)
    sandbox.faults.next("sendMessage", Fault.lost_answer())
    with pytest.raises(NetworkError):
        await send_card(bot)
    assert 1 == len(sandbox.telegram.messages(GROUP))


# Taps by getUpdates


async def test_a_tap_waits_for_get_updates_and_its_answer_is_shown(bot: Bot, sandbox: Sandbox) -> None:
    message_id = await send_card(bot)
    tap = await sandbox.telegram.tap(GROUP, message_id, "Approve", user="Reviewer Two")
    [update] = await bot.get_updates(timeout=5)
    query = update.callback_query
    assert query is not None
    assert (1003, "a:1:approve", message_id) == (query.from_user.id, query.data, query.message.message_id)  # type: ignore[union-attr]  # it has a message
    await query.answer("Approved by you", show_alert=True)
    answer = await tap.answer()
    assert ("Approved by you", True) == (answer.text, answer.show_alert)
    assert ["alert"] == [notice.kind for notice in sandbox.notices(1003)]
    assert () == await bot.get_updates(offset=update.update_id + 1)


async def test_a_long_poll_ends_as_soon_as_somebody_taps(bot: Bot, sandbox: Sandbox) -> None:
    message_id = await send_card(bot)
    polling = asyncio.create_task(bot.get_updates(timeout=30))
    await sandbox.until(lambda: sandbox.calls("getUpdates"))
    await sandbox.telegram.tap(GROUP, message_id, "a:1:r")
    assert 1 == len(await polling)


async def test_updates_come_until_they_are_confirmed_and_a_redelivery_comes_once_more(
    bot: Bot, sandbox: Sandbox
) -> None:
    message_id = await send_card(bot)
    tap = await sandbox.telegram.tap(GROUP, message_id, "Approve")
    [first] = await bot.get_updates()
    [unconfirmed] = await bot.get_updates()
    after = first.update_id + 1
    assert () == await bot.get_updates(offset=after)
    await sandbox.telegram.deliver(tap)
    [again] = await bot.get_updates(offset=after)
    assert 1 == len({first.update_id, unconfirmed.update_id, again.update_id})


async def test_a_query_that_is_too_old_cannot_be_answered(bot: Bot, sandbox: Sandbox, clock: ManualClock) -> None:
    tap = await sandbox.telegram.tap(GROUP, await send_card(bot), "Approve")
    assert "message_too_long" == await refused(bot.answer_callback_query(tap.query.id, "x" * 201))
    clock.advance(151)
    words = await refused(bot.answer_callback_query(tap.query.id, "late"))
    assert "query is too old and response timeout expired or query id is invalid" == words
    assert tap.answered is None


async def test_a_second_poller_ends_the_first_with_a_conflict(bot: Bot, sandbox: Sandbox) -> None:
    first = asyncio.create_task(bot.get_updates(timeout=30))
    await sandbox.until(lambda: sandbox.calls("getUpdates"))
    async with Bot(sandbox.telegram.token, base_url=f"{sandbox.telegram.base_url}/bot") as second:
        await second.get_updates(timeout=0)
    with pytest.raises(Conflict, match="only one bot instance"):
        await first


async def test_kinds_that_were_not_asked_for_are_not_sent(bot: Bot, sandbox: Sandbox) -> None:
    await bot.get_updates(allowed_updates=["callback_query"])
    sandbox.telegram.say(PRIVATE, "hello")
    await sandbox.telegram.tap(PRIVATE, await send_card(bot, PRIVATE), "Approve")
    assert ["callback_query"] == [kind_of(update) for update in await bot.get_updates()]


async def test_in_groups_the_bot_hears_commands_and_replies_to_itself(bot: Bot, sandbox: Sandbox) -> None:
    card = await send_card(bot)
    sandbox.telegram.say(GROUP, "just talking")
    sandbox.telegram.say(GROUP, "too risky", reply_to=card)
    sandbox.telegram.say(GROUP, "/inbox")
    texts = [update.message.text for update in await bot.get_updates() if update.message]
    assert ["too risky", "/inbox"] == texts


async def test_a_tap_can_be_stale_or_carry_forged_data(bot: Bot, sandbox: Sandbox) -> None:
    card = await send_card(bot)
    stale = sandbox.telegram.prepare(GROUP, card, "Approve")
    await bot.edit_message_text("Decided", GROUP, card)
    with pytest.raises(NoSuchButton, match="offered: none"):
        await sandbox.telegram.tap(GROUP, card, "Approve")
    await sandbox.telegram.deliver(stale)
    await sandbox.telegram.tap(GROUP, card, "", data="a:2:approve")
    data = [update.callback_query.data for update in await bot.get_updates() if update.callback_query]
    assert ["a:1:approve", "a:2:approve"] == data


# Taps by webhook


async def test_a_webhook_gets_taps_with_its_secret_and_polling_is_refused(bot: Bot, sandbox: Sandbox) -> None:
    async with receiving() as receiver:
        await bot.set_webhook(receiver.url, secret_token="sesame", allowed_updates=["callback_query"])
        tap = await sandbox.telegram.tap(GROUP, await send_card(bot), "Approve")
        delivery = await tap.delivered()
        with pytest.raises(Conflict, match="webhook is active"):
            await bot.get_updates()
    [received] = receiver.received
    assert (200, "sesame") == (delivery.status, received.headers["x-telegram-bot-api-secret-token"])
    update = Update.de_json(json.loads(received.body), bot)
    assert update.callback_query is not None
    assert tap.query.id == update.callback_query.id
    await bot.delete_webhook()
    assert () == await bot.get_updates()


async def test_a_failed_push_is_repeated_and_holds_back_only_that_persons_taps(bot: Bot, sandbox: Sandbox) -> None:
    broken = asyncio.Event()

    async def answer(received: Received) -> Response:
        person = json.loads(received.body)["callback_query"]["from"]["id"]
        return Response(status_code=500 if person == 1002 and not broken.is_set() else 200)

    sandbox.telegram.updates.retry_delays = (0.01,)
    async with receiving() as receiver:
        receiver.answer = answer
        await bot.set_webhook(receiver.url)
        card = await send_card(bot)
        stuck = await sandbox.telegram.tap(GROUP, card, "Approve", user="Reviewer One")
        behind = await sandbox.telegram.tap(GROUP, card, "Reject", user="Reviewer One")
        other = await sandbox.telegram.tap(GROUP, card, "Approve", user="Reviewer Two")
        assert (await other.delivered()).accepted
        await sandbox.until(lambda: len(stuck.deliveries) > 2)
        assert [] == behind.deliveries
        assert "500" in str((await bot.get_webhook_info()).last_error_message)
        broken.set()
        assert (await behind.delivered()).accepted
    assert stuck.deliveries[-1].accepted
    assert 0 == (await bot.get_webhook_info()).pending_update_count


async def test_an_update_can_arrive_twice_and_forged(bot: Bot, sandbox: Sandbox) -> None:
    async with receiving() as receiver:
        await bot.set_webhook(receiver.url, secret_token="sesame")
        card = await send_card(bot)
        await sandbox.telegram.send_twice(sandbox.telegram.prepare(GROUP, card, "Approve"))
        await sandbox.telegram.forge(sandbox.telegram.prepare(GROUP, card, "Approve"), "open")
        await sandbox.telegram.forge(sandbox.telegram.prepare(GROUP, card, "Approve"), None)
    secrets = [received.headers.get("x-telegram-bot-api-secret-token") for received in receiver.received]
    assert ["sesame", "sesame", "open", None] == secrets
    assert 1 == len({json.loads(received.body)["update_id"] for received in receiver.received[:2]})


async def test_setting_a_webhook_checks_what_telegram_checks(bot: Bot) -> None:
    assert "https url must be provided" in await refused(bot.set_webhook("http://example.org/hook"))
    wrong = await refused(bot.set_webhook("https://example.org/hook", secret_token="no spaces!"))
    assert "secret token contains unallowed characters" == wrong


# Mini App and control interface


def test_init_data_is_signed_with_the_bots_token() -> None:
    sandbox = Sandbox(clock=ManualClock())
    fields = dict(parse_qsl(sandbox.telegram.init_data("Reviewer One")))
    sent = fields.pop("hash")
    lines = "\n".join(f"{name}={value}" for name, value in sorted(fields.items()))
    key = hmac.new(b"WebAppData", sandbox.telegram.token.encode(), hashlib.sha256).digest()
    assert hmac.new(key, lines.encode(), hashlib.sha256).hexdigest() == sent
    assert 1002 == json.loads(fields["user"])["id"]


async def test_another_process_can_look_and_tap(bot: Bot, sandbox: Sandbox) -> None:
    card = await send_card(bot)

    async def answer_the_next_tap() -> None:
        [update] = await bot.get_updates(timeout=5)
        assert update.callback_query is not None
        await update.callback_query.answer("Done")

    answering = asyncio.create_task(answer_the_next_tap())
    async with httpx.AsyncClient(trust_env=False, base_url=sandbox.address.url) as http:
        [message] = (await http.get("/control/telegram/messages", params={"chat": GROUP})).json()
        tap = {"chat": GROUP, "message": card, "action": "Approve", "user": "Reviewer Two", "wait": 5}
        done = (await http.post("/control/telegram/tap", json=tap)).json()
        notices = (await http.get("/control/notices", params={"user": 1003})).json()
        wrong = await http.post("/control/telegram/tap", json=tap | {"user": "Nobody"})
    await answering
    assert "Deploy web 1.4?" == message["text"]
    assert {"text": "Done", "show_alert": False} == done["answer"]
    assert ["Done"] == [notice["text"] for notice in notices]
    assert (400, "nobody in the Telegram sandbox is called 'Nobody'") == (wrong.status_code, wrong.json()["error"])


def kind_of(update: Update) -> str:
    return next(name for name in update.to_dict() if name != "update_id")
