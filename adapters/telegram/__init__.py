"""Telegram: cards out through the Bot API, taps in by webhook or by long polling."""

from adapters.telegram.adapter import TelegramAdapter
from adapters.telegram.settings import TelegramSettings

__all__ = ["TelegramAdapter", "TelegramSettings"]
