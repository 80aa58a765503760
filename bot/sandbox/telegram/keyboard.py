"""Inline keyboards, refused as Telegram refuses them.

Source: https://core.telegram.org/bots/api#inlinekeyboardbutton, and https://limits.tginfo.me for counts (100
buttons, 8 a row).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from bot.sandbox.telegram.errors import bad_request
from bot.sandbox.wire import Json

MAX_BUTTONS = 100
MAX_A_ROW = 8
KINDS = frozenset(
    {"url", "callback_data", "web_app", "login_url", "copy_text", "pay", "switch_inline_query"}
    | {"switch_inline_query_current_chat", "switch_inline_query_chosen_chat", "callback_game"}
)
IPV4 = re.compile(r"\d+\.\d+\.\d+\.\d+")


def checked_markup(markup: Any, *, private: bool) -> Json | None:
    """The reply markup as stored: an inline keyboard or a force-reply; None when it is absent or empty."""
    if markup is None or markup == "":
        return None
    if not isinstance(markup, dict):
        raise bad_request("object expected as reply markup")
    if "inline_keyboard" not in markup:
        return _checked_force_reply(markup)
    rows = markup["inline_keyboard"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad_request('field "inline_keyboard" must be of type Array')
    if any(len(row) > MAX_A_ROW for row in rows) or sum(len(row) for row in rows) > MAX_BUTTONS:
        raise bad_request("reply markup is too long")
    kept = [[_checked_button(button, private=private) for button in row] for row in rows if row]
    return {"inline_keyboard": kept} if kept else None


def on_this_machine(url: str) -> bool:
    """Telegram wants https; the sandbox takes http to this machine too, to reach a local bot."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in ("localhost", "127.0.0.1", "::1")


def _checked_force_reply(markup: Any) -> Json:
    if markup.get("force_reply") and len(str(markup.get("input_field_placeholder") or "")) > 64:
        raise bad_request("REPLY_MARKUP_PLACEHOLDER_TOO_LONG")
    return dict(markup)


def _checked_button(button: Any, *, private: bool) -> Json:
    if not isinstance(button, dict) or not isinstance(button.get("text"), str):
        raise bad_request("can't parse inline keyboard button: Can't find field \"text\"")
    if not button["text"].strip():
        raise bad_request("inline keyboard button text must be non-empty")
    kinds = button.keys() & KINDS
    if len(kinds) != 1:
        words = "Text buttons are unallowed in the inline keyboard" if not kinds else "exactly one kind is allowed"
        raise bad_request(f"can't parse inline keyboard button: {words}")
    if "callback_data" in kinds and not 1 <= len(str(button["callback_data"]).encode()) <= 64:
        raise bad_request("BUTTON_DATA_INVALID")
    if "url" in kinds:
        _check_url(str(button["url"]))
    if "web_app" in kinds:
        check_web_app(button["web_app"], private=private)
    return button


def _check_url(url: str) -> None:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https", "tg", "tonsite"):
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Unsupported URL protocol")
    if parts.scheme == "tg":
        return
    host = parts.hostname or ""
    if "." not in host or (IPV4.fullmatch(host) and host.startswith("127.")):
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")


def check_web_app(web_app: Any, *, private: bool) -> None:
    url = str(web_app.get("url", "")) if isinstance(web_app, dict) else ""
    if urlsplit(url).scheme != "https" and not on_this_machine(url):
        raise bad_request(f"inline keyboard button Web App URL '{url}' is invalid: Only HTTPS links are allowed")
    if not private:
        raise bad_request("BUTTON_TYPE_INVALID")
