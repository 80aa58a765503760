"""The window that asks for a reason: how it looks, what it remembers, what was entered. Pure.

What it remembers is sealed for the person to whom it was opened: nothing in it counts for anybody else, and nobody can
write it but us.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from adapters.slack import limits
from adapters.slack.payloads import Place, Tapped, Who, text_at
from adapters.slack.shapes import plain, section
from adapters.slack.windows import View
from core.chat_terms import MAX_REASON_TEXT
from core.words import Words

CALLBACK = "assent.reason"
OFFERED, OWN, REASON = "offered", "own", "reason"  # the blocks, and the inputs in them
TITLE = 24


def reason_form(words: Words, remembered: str, *, why: str = "", offered: tuple[str, ...] = ()) -> View:
    """`offered` first, then one's own words. Redrawn with more of it, what was typed stays."""
    blocks = [section(limits.cut(why, limits.SECTION))] if why else []
    if offered:
        options = [{"text": plain(limits.cut(one, limits.BUTTON)), "value": one[:150]} for one in offered]
        radio = {"type": "radio_buttons", "action_id": REASON, "options": options}
        blocks.append(_input(OFFERED, words["reason_offered"], radio, optional=True))
    own = {"type": "plain_text_input", "action_id": REASON, "multiline": True, "max_length": MAX_REASON_TEXT}
    asked = _input(OWN, words["reason_own" if offered else "reason_title"], own, optional=bool(offered))
    hints = [words["reason_either"]] if offered else []
    blocks.append(asked | {"hint": plain(" ".join([*hints, words["reason_hint"]]))})
    return _modal(words, blocks) | {
        "callback_id": CALLBACK,
        "private_metadata": remembered,
        "submit": plain(limits.cut(words["reason_send"], TITLE)),
    }


def told(words: Words, text: str) -> View:
    """The same window, saying how it ended."""
    return _modal(words, [section(limits.cut(text, limits.SECTION))])


def _modal(words: Words, blocks: list[dict[str, Any]]) -> View:
    title, close = limits.cut(words["reason_title"], TITLE), limits.cut(words["close"], TITLE)
    return {"type": "modal", "title": plain(title), "close": plain(close), "blocks": blocks}


def _input(block_id: str, label: str, element: dict[str, Any], *, optional: bool) -> dict[str, Any]:
    return {"type": "input", "block_id": block_id, "label": plain(label), "element": element, "optional": optional}


def entered(view: Any, words: Words) -> tuple[str, str | None]:
    """The reason that was given, and what is wrong with it (None: nothing)."""
    values = view.get("state", {}) if isinstance(view, Mapping) else {}
    chosen = text_at(values, "values", OFFERED, REASON, "selected_option", "value")
    own = text_at(values, "values", OWN, REASON, "value").strip()
    reason = ": ".join(part for part in (chosen, own) if part)
    if not reason:
        return "", str(words["reason_missing"])
    if len(reason) > MAX_REASON_TEXT:
        return "", str(words["reason_too_long"]).format(MAX_REASON_TEXT)
    return reason, None


def remember(tapped: Tapped, secret: str) -> str:
    """The press that opened the window, sealed for whoever pressed."""
    known = json.dumps(asdict(replace(tapped, trigger="", delivery_id="")), separators=(",", ":"))
    return f"{_mark(known, tapped.who.user, secret)}.{known}"


def recall(remembered: str, user: str, secret: str) -> Tapped | None:
    """What this person's window remembers; None for what was not sealed for them by us."""
    mark, _, known = remembered.partition(".")
    if not hmac.compare_digest(mark.encode("utf-8", "replace"), _mark(known, user, secret).encode()):
        return None
    found = json.loads(known)
    return Tapped(**found | {"who": Who(**found["who"]), "place": Place(**found["place"])})


def _mark(known: str, user: str, secret: str) -> str:
    text = f"assent.window\n{user}\n{known}".encode("utf-8", "replace")
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
