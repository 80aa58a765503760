"""The local Telegram's commands, replies, topics, members and Mini Apps, driven by python-telegram-bot."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from telegram import (
    Bot,
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    MenuButtonWebApp,
    Message,
    MessageEntity,
    WebAppInfo,
)
from telegram.error import BadRequest, ChatMigrated, Forbidden, TelegramError

from bot.sandbox import ManualClock, Sandbox
from bot.sandbox.telegram.mini_app import signing_key
from tests.support.chats import bot_said, buttons

GROUP, SUPERGROUP, FORUM, PRIVATE = -4001, -1001000000001, -1001000000002, 1002
APP = "https://assent.example.com/en/app"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox.running(clock=ManualClock()) as running:
        yield running


@pytest.fixture
async def bot(sandbox: Sandbox) -> AsyncIterator[Bot]:
    made = Bot(sandbox.telegram.token, base_url=f"{sandbox.telegram.base_url}/bot")
    async with made:
        yield made


async def refused(call: Any) -> str:
    """What a 400 says, in lower case because the SDK changes the case of some of it."""
    with pytest.raises(BadRequest) as caught:
        await call
    return caught.value.message.lower()


async def heard(bot: Bot) -> list[Message]:
    """The messages that the bot gets now; they do not come again."""
    updates = await bot.get_updates()
    if updates:
        await bot.get_updates(offset=updates[-1].update_id + 1, timeout=0)
    return [update.message for update in updates if update.message]


def entities(message: Message) -> dict[str, str]:
    return {entity.type: text for entity, text in message.parse_entities().items()}


# Commands and mentions


async def test_a_command_comes_with_its_entity_in_private_and_in_groups(bot: Bot, sandbox: Sandbox) -> None:
    sandbox.telegram.say(PRIVATE, "/away until monday to @reviewer_two")
    sandbox.telegram.say(GROUP, "/inbox@assent_sandbox_bot")
    private, group = await heard(bot)
    assert {"bot_command": "/away", "mention": "@reviewer_two"} == entities(private)
    assert {"bot_command": "/inbox@assent_sandbox_bot"} == entities(group)
    assert ("private", "group") == (private.chat.type, group.chat.type)


async def test_somebody_without_a_username_is_mentioned_by_name(bot: Bot, sandbox: Sandbox) -> None:
    sandbox.telegram.say(SUPERGROUP, "/away 🙂 until monday to @Nameless or so")
    [message] = await heard(bot)
    assert "/away 🙂 until monday to Nameless or so" == message.text
    [entity] = [one for one in message.entities if one.type == MessageEntity.TEXT_MENTION]
    assert entity.user is not None
    assert (1007, None, "Nameless") == (entity.user.id, entity.user.username, message.parse_entity(entity))


async def test_in_groups_the_bot_hears_what_is_meant_for_it_and_nothing_else(bot: Bot, sandbox: Sandbox) -> None:
    asked = await bot.send_message(GROUP, "Why?", reply_markup=ForceReply(selective=True))
    for text in ("hello @assent_sandbox_bot", "/inbox@another_bot", "no /inbox", "/inbox"):
        sandbox.telegram.say(GROUP, text)
    sandbox.telegram.reply(await bot_said(sandbox, GROUP, "Why?"), "Too risky", "Requester")
    command, reply = await heard(bot)
    assert ("/inbox", "Too risky") == (command.text, reply.text)
    assert reply.reply_to_message is not None
    assert asked.message_id == reply.reply_to_message.message_id
    sandbox.telegram.world.group.members[sandbox.telegram.world.bot.id] = "administrator"
    sandbox.telegram.say(GROUP, "just talking")
    assert ["just talking"] == [message.text for message in await heard(bot)]


async def test_an_anonymous_administrator_writes_as_the_group(bot: Bot, sandbox: Sandbox) -> None:
    sandbox.telegram.say(SUPERGROUP, "/inbox", "GroupAnonymousBot")
    [message] = await heard(bot)
    assert message.from_user is not None
    assert message.sender_chat is not None
    assert ("GroupAnonymousBot", SUPERGROUP) == (message.from_user.username, message.sender_chat.id)


async def test_commands_are_offered_by_scope_and_language(bot: Bot, sandbox: Sandbox) -> None:
    world = sandbox.telegram.world
    await bot.set_my_commands([BotCommand("inbox", "What waits")])
    await bot.set_my_commands([BotCommand("inbox", "Was wartet")], language_code="de")
    await bot.set_my_commands([BotCommand("away", "Away")], scope=BotCommandScopeAllPrivateChats())
    await bot.set_my_commands([BotCommand("here", "Here")], scope=BotCommandScopeChat(GROUP))
    assert ["Was wartet"] == [one.description for one in await bot.get_my_commands(language_code="de")]
    offered = [world.commands_of(chat, world.requester)[0]["command"] for chat in (
        world.private, world.group, world.forum
    )]  # fmt: skip
    assert ["away", "here", "inbox"] == offered
    await bot.delete_my_commands(scope=BotCommandScopeChat(GROUP))
    assert "inbox" == world.commands_of(world.group, world.requester)[0]["command"]
    assert "bot_command_invalid" == await refused(bot.set_my_commands([BotCommand("In-Box", "What waits")]))
    many = [BotCommand(f"c{number}", "x") for number in range(101)]
    with pytest.raises(TelegramError):
        await bot.set_my_commands(many)


async def test_a_deep_link_starts_the_bot_with_its_payload(bot: Bot, sandbox: Sandbox) -> None:
    with pytest.raises(Forbidden, match="can't initiate conversation"):
        await bot.send_message(1006, "x")
    sandbox.telegram.follow("https://t.me/assent_sandbox_bot?start=link-ABCD2345", "Newcomer")
    assert ["/start link-ABCD2345"] == [message.text for message in await heard(bot)]
    await bot.send_message(1006, "Welcome")
    with pytest.raises(ValueError, match="1 to 64"):
        sandbox.telegram.start("Newcomer", "a b")


# Topics, threads, chats


async def test_what_is_written_in_a_topic_replies_to_its_beginning(bot: Bot, sandbox: Sandbox) -> None:
    sent = await bot.send_message(FORUM, "Card", message_thread_id=7)
    sandbox.telegram.say(FORUM, "/inbox", thread_id=7)
    sandbox.telegram.reply(await bot_said(sandbox, FORUM), "Too risky")
    command, reply = await heard(bot)
    for message in (sent, command):
        assert message.reply_to_message is not None
        assert message.reply_to_message.forum_topic_created is not None
    assert reply.reply_to_message is not None
    assert (sent.message_id, 7, True) == (
        reply.reply_to_message.message_id, reply.message_thread_id, reply.is_topic_message,
    )  # fmt: skip


async def test_a_closed_topic_and_a_deleted_one_take_no_messages(bot: Bot, sandbox: Sandbox) -> None:
    card = await bot.send_message(FORUM, "Card", message_thread_id=7)
    sandbox.telegram.close_topic(FORUM, 7)
    assert "topic_closed" == await refused(bot.send_message(FORUM, "x", message_thread_id=7))
    assert "topic_closed" == await refused(bot.send_message(FORUM, "x", reply_to_message_id=card.message_id))
    sandbox.telegram.reopen_topic(FORUM, 7)
    await bot.send_message(FORUM, "x", message_thread_id=7)
    closed, reopened = await heard(bot)
    assert closed.forum_topic_closed
    assert reopened.forum_topic_reopened
    sandbox.telegram.delete_topic(FORUM, 7)
    assert "message thread not found" == await refused(bot.send_message(FORUM, "x", message_thread_id=7))
    edit = bot.edit_message_text("y", FORUM, card.message_id)
    assert "message to edit not found" == await refused(edit)


async def test_the_thread_of_replies_in_a_supergroup_is_no_topic(bot: Bot, sandbox: Sandbox) -> None:
    card = await bot.send_message(SUPERGROUP, "Card")
    sandbox.telegram.reply(await bot_said(sandbox, SUPERGROUP), "Why?")
    [reply] = await heard(bot)
    assert (card.message_id, None) == (reply.message_thread_id, reply.is_topic_message)
    sending = bot.send_message(SUPERGROUP, "x", message_thread_id=card.message_id)
    assert "message thread not found" == await refused(sending)


async def test_people_come_and_go_and_a_kicked_bot_learns_nothing(bot: Bot, sandbox: Sandbox) -> None:
    sandbox.telegram.leave(GROUP, "Requester")
    sandbox.telegram.join(GROUP, "Outsider")
    assert ["left", "member"] == [(await bot.get_chat_member(GROUP, user)).status for user in (1001, 1005)]
    left, joined = await heard(bot)
    assert left.left_chat_member is not None
    assert (1001, [1005]) == (left.left_chat_member.id, [user.id for user in joined.new_chat_members])
    sandbox.telegram.kick(GROUP)
    for call in (bot.get_chat(GROUP), bot.get_chat_member(GROUP, 1002), bot.get_chat_administrators(GROUP)):
        with pytest.raises(Forbidden, match="bot was kicked from the group chat"):
            await call


async def test_a_group_that_moved_says_so_whatever_is_asked(bot: Bot, sandbox: Sandbox) -> None:
    card = await bot.send_message(GROUP, "Card")
    new = sandbox.telegram.migrate(GROUP)
    for call in (
        bot.get_chat(GROUP),
        bot.get_chat_member(GROUP, 1002),
        bot.edit_message_text("x", GROUP, card.message_id),
    ):
        with pytest.raises(ChatMigrated) as moved:
            await call
        assert new.id == moved.value.new_chat_id
    with pytest.raises(LookupError, match="no group"):
        sandbox.telegram.migrate(new)


# Mini Apps


def opened(url: str) -> tuple[str, dict[str, str]]:
    """A Mini App's address without its fragment, and the checked fields of its initData."""
    parts = urlsplit(url)
    fields = dict(parse_qsl(dict(parse_qsl(parts.fragment))["tgWebAppData"], strict_parsing=True))
    return parts._replace(fragment="").geturl(), fields


def app_button(url: str = APP) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup([[InlineKeyboardButton("Open", web_app=WebAppInfo(url))]])


async def test_a_mini_apps_button_is_for_private_chats_and_opens_with_signed_data(bot: Bot, sandbox: Sandbox) -> None:
    assert "button_type_invalid" == await refused(bot.send_message(GROUP, "x", reply_markup=app_button()))
    assert "only https links" in await refused(
        bot.send_message(PRIVATE, "x", reply_markup=app_button("http://example.com"))
    )
    sent = await bot.send_message(PRIVATE, "Card", reply_markup=app_button())
    assert ["Open"] == buttons(await bot_said(sandbox, PRIVATE))
    tap = await sandbox.telegram.tap(PRIVATE, sent.message_id, "Open")
    address, fields = opened(tap.url)
    assert (APP, 1002, {}) == (address, json.loads(fields["user"])["id"], tap.update)
    assert "query_id" in fields


async def test_a_direct_link_opens_the_mini_app_with_its_start_param(bot: Bot, sandbox: Sandbox) -> None:
    sandbox.telegram.world.mini_app_url = APP
    link = "https://t.me/assent_sandbox_bot?startapp=review_1"
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Review", url=link)]])
    sent = await bot.send_message(GROUP, "Card", reply_markup=keyboard)
    address, fields = opened((await sandbox.telegram.tap(GROUP, sent.message_id, "Review", "Requester")).url)
    assert f"{APP}?tgWebAppStartParam=review_1" == address
    assert ("review_1", "group", 1001) == (
        fields["start_param"], fields["chat_type"], json.loads(fields["user"])["id"],
    )  # fmt: skip
    assert "query_id" not in fields


async def test_the_menu_button_opens_the_mini_app(bot: Bot, sandbox: Sandbox) -> None:
    with pytest.raises(LookupError, match="no Mini App"):
        sandbox.telegram.open_menu("Reviewer One")
    await bot.set_chat_menu_button(menu_button=MenuButtonWebApp("Inbox", WebAppInfo(APP)))
    assert "web_app" == (await bot.get_chat_menu_button(PRIVATE)).type
    assert APP == opened(sandbox.telegram.open_menu("Reviewer One"))[0]
    wrong = MenuButtonWebApp("Inbox", WebAppInfo("http://example.com"))
    assert "only https links" in await refused(bot.set_chat_menu_button(menu_button=wrong))


def test_init_data_is_signed_for_the_bot_and_for_third_parties() -> None:
    sandbox = Sandbox(clock=ManualClock())
    fields = dict(parse_qsl(sandbox.telegram.init_data("Nameless", start_param="review_1")))
    sent, signature = fields.pop("hash"), fields["signature"]
    key = hmac.digest(b"WebAppData", sandbox.telegram.token.encode(), "sha256")
    assert hmac.new(key, lines(fields).encode(), hashlib.sha256).hexdigest() == sent
    del fields["signature"]
    checked = f"{sandbox.telegram.token.partition(':')[0]}:WebAppData\n{lines(fields)}"
    signing_key().public_key().verify(urlsafe_b64decode(signature + "=="), checked.encode())
    assert "username" not in json.loads(fields["user"])


def lines(fields: dict[str, str]) -> str:
    return "\n".join(f"{name}={value}" for name, value in sorted(fields.items()))
