"""What Telegram allows: sizes, and how fast one may write. Text is cut here, in words.

Sources: https://core.telegram.org/bots/api (sendMessage, answerCallbackQuery, InlineKeyboardButton),
https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
"""

from __future__ import annotations

import html
import re
from typing import Literal

from core.pacing import Rate

MAX_TEXT = 4096  # of a message, after its markup is parsed
MAX_ANSWER = 200  # of what answerCallbackQuery shows
MAX_DATA = 64  # bytes of callback_data
BUTTONS_A_ROW = 8
MAX_UPDATES = 100  # of one getUpdates

OVERALL_MESSAGES, OVERALL_SECONDS = 29, 1.01  # 30 a second over all chats
PERSON = Rate(burst=1, interval_ms=1_080)  # one a second in a chat, a little less often: not all take equally long
GROUP = Rate(burst=1, interval_ms=1_080, per_minute=20)
EDITS = Rate(burst=3, interval_ms=1_000)  # edits are in no published limit but the overall one; a chat's pace is fair

_TAG = re.compile(r"<[^>]*>")


def rate_of(chat: str, kind: Literal["post", "update"]) -> tuple[str, Rate]:
    """The bucket of a chat (its topics share it) and how fast it runs. Groups have negative ids."""
    if kind == "update":
        return f"telegram:{chat}:edit", EDITS
    return f"telegram:{chat}", GROUP if chat.startswith("-") else PERSON


def utf16_length(text: str) -> int:
    """How long Telegram finds a text: it counts UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def shown_length(markup: str) -> int:
    """The length of a text in Telegram's HTML, as a reader sees it."""
    return utf16_length(html.unescape(_TAG.sub("", markup)))


def cut(text: str, limit: int) -> str:
    """The text in at most `limit` UTF-16 code units: cut after a word where that loses little, and marked with `…`."""
    if utf16_length(text) <= limit:
        return text
    units = text.encode("utf-16-le", "surrogatepass")[: max(0, limit - 1) * 2]
    kept = units.decode("utf-16-le", "ignore")
    space = max(kept.rfind(" "), kept.rfind("\n"))
    return (kept[:space] if space > len(kept) // 2 else kept).rstrip() + "…"
