"""A local Telegram: Bot API, webhook pushes, getUpdates. Start with `desk.TelegramSandbox`."""

from bot.sandbox.telegram.desk import NoSuchButton, Tap, TelegramSandbox
from bot.sandbox.telegram.updates import Delivery, Webhook
from bot.sandbox.telegram.world import CallbackAnswer, Chat, Message, Person, TelegramWorld

__all__ = [
    "CallbackAnswer",
    "Chat",
    "Delivery",
    "Message",
    "NoSuchButton",
    "Person",
    "Tap",
    "TelegramSandbox",
    "TelegramWorld",
    "Webhook",
]
