"""Waiting for what people see in the sandbox: modals, App Home, threads, the bot's messages.

Doing is the sandbox's own: `sandbox.slack.command`, `submit`, `tap_view`, `open_home`; `sandbox.telegram.say`, `reply`,
`tap`, `mini_app`.
"""

from __future__ import annotations

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
