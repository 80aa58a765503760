"""Waiting for what people see in the sandbox: modals, App Home, threads, the bot's messages.

Doing is the sandbox's own: `sandbox.slack.command`, `submit`, `tap_view`, `open_home`; `sandbox.telegram.say`, `reply`,
`tap`, `mini_app`.
"""

from __future__ import annotations

import html
import re
from typing import Any

from bot.sandbox import Sandbox
from bot.sandbox.slack import Message
from bot.sandbox.slack.modals import View
from bot.sandbox.telegram import Message as TelegramMessage


async def modal_for(sandbox: Sandbox, user: str, saying: str = "") -> View:
    """The modal in front of this person, once one that says this is open."""
    return await sandbox.until(lambda: _saying(sandbox.slack.modal(user), saying))


async def home_for(sandbox: Sandbox, user: str, saying: str = "") -> View:
    """The person's App Home, once it says this."""
    return await sandbox.until(lambda: _saying(sandbox.slack.home(user), saying))


async def replies_to(sandbox: Sandbox, message: Message, number: int = 1) -> list[Message]:
    """What stands in the thread of a Slack message, once that is `number` messages."""

    def look() -> list[Message] | None:
        shown = sandbox.slack.world.visible(message.channel)
        found = [one for one in shown if one.thread_ts == message.ts and one is not message]
        return found if len(found) >= number else None

    return await sandbox.until(look)


async def whispered(sandbox: Sandbox, channel: str, user: str, saying: str = "") -> Message:
    """The newest Slack message that this person alone sees, with its blocks, once it says this."""

    def look() -> Message | None:
        shown = sandbox.slack.messages(channel, user)
        found = [one for one in shown if one.ephemeral_for and saying in one.text + str(one.blocks)]
        return found[-1] if found else None

    return await sandbox.until(look)


async def bot_said(sandbox: Sandbox, chat: int, saying: str = "", number: int = 1) -> TelegramMessage:
    """The bot's newest message in a Telegram chat that says this, once there are `number` of them."""

    def look() -> TelegramMessage | None:
        bot = sandbox.telegram.world.bot
        found = [one for one in sandbox.telegram.messages(chat) if one.sender == bot and saying in one.text]
        return found[-1] if len(found) >= number else None

    return await sandbox.until(look)


# A time in what Slack parses: its moment and format, and the words that stand for it.
DATE = re.compile(r"<!date\^(\d+)\^([^|<>]*)\|([^<>]*)>")


def texts(blocks: Any) -> list[str]:
    """Every text that Slack blocks show, in order, as people read it who see a time in the words that stand for it."""
    if isinstance(blocks, dict):
        if blocks.get("type") == "mrkdwn":
            return [html.unescape(DATE.sub(r"\3", blocks["text"]))]
        own = [str(blocks["text"])] if isinstance(blocks.get("text"), str) else []
        return own + [text for value in blocks.values() for text in texts(value)]
    if not isinstance(blocks, list):
        return []
    if any(isinstance(one, dict) and one.get("type") == "date" for one in blocks):
        return ["".join(str(one.get("text") or one.get("fallback") or "") for one in blocks)]
    return [text for item in blocks for text in texts(item)]


def parsed(blocks: Any) -> list[str]:
    """The texts in Slack blocks that Slack parses, without the times in them: nothing of anybody else is in them."""
    if isinstance(blocks, dict):
        own = [DATE.sub("", blocks["text"]).strip()] if blocks.get("type") == "mrkdwn" else []
        return own + [text for value in blocks.values() for text in parsed(value)]
    return [text for item in blocks for text in parsed(item)] if isinstance(blocks, list) else []


def moments(blocks: Any) -> list[int]:
    """Every time that Slack blocks show by the clocks of whoever reads, in order, in seconds since 1970."""
    if isinstance(blocks, dict):
        own = [int(blocks["timestamp"])] if blocks.get("type") == "date" else []
        own += [int(one[1]) for one in DATE.finditer(blocks["text"])] if blocks.get("type") == "mrkdwn" else []
        return own + [at for value in blocks.values() for at in moments(value)]
    return [at for item in blocks for at in moments(item)] if isinstance(blocks, list) else []


def buttons(carrier: View | Message | TelegramMessage) -> list[str]:
    """The words on a view's or message's buttons, and a menu's options, in order."""
    if isinstance(carrier, TelegramMessage):
        rows = (carrier.markup or {}).get("inline_keyboard", [])
        return [str(button["text"]) for row in rows for button in row]
    blocks = carrier.content["blocks"] if isinstance(carrier, View) else carrier.blocks
    return [words for block in blocks for element in _elements(block) for words in _words(element)]


def _elements(block: dict[str, Any]) -> list[dict[str, Any]]:
    found = list(block.get("elements", [])) if block["type"] == "actions" else []
    found += [block[name] for name in ("accessory", "element") if isinstance(block.get(name), dict)]
    return found


def _words(element: dict[str, Any]) -> list[str]:
    if "options" in element:
        return [str(option["text"]["text"]) for option in element["options"]]
    return [str(element["text"]["text"])] if element["type"] == "button" else []


def _saying(view: View | None, words: str) -> View | None:
    return view if view is not None and words in str(view.content) else None
