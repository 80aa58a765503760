"""How chats and reviewers are written down: `slack:C…`, `telegram:<chat id>`, `channel`. Pure."""

from __future__ import annotations

import re

from core.errors import InvalidInput
from core.model import Address
from core.policy import check_entry

_SLACK = re.compile(r"[CGDUW][A-Z0-9]{1,30}", re.ASCII)
_TELEGRAM = re.compile(r"-?[1-9][0-9]{0,18}(/[1-9][0-9]{0,18})?", re.ASCII)
_SLACK_USER = re.compile(r"slack:[UW][A-Z0-9]{1,30}", re.ASCII)
_TELEGRAM_USER = re.compile(r"telegram:[1-9][0-9]{0,18}", re.ASCII)


def address(text: str, *, field: str) -> Address:
    """The chat that a card shall go to. Raises InvalidInput that names `field`."""
    platform, _, channel = text.partition(":")
    form = {"slack": _SLACK, "telegram": _TELEGRAM}.get(platform)
    if form is None or not form.fullmatch(channel):
        raise InvalidInput(f"{field} must be slack:C…, slack:U… or telegram:<chat id>[/<topic id>]", field=field)
    return Address(platform, channel)


def reviewer(entry: str, *, field: str) -> str:
    """Who may decide, as listed in a policy's `any_of`. Raises InvalidInput that names `field`."""
    if entry.startswith(("slack:S", "group:")):
        raise InvalidInput(f"{field}: groups of reviewers are not available yet; list the people", field=field)
    check_entry(entry, field=field)
    if entry in ("channel", "link") or _SLACK_USER.fullmatch(entry) or _TELEGRAM_USER.fullmatch(entry):
        return entry
    raise InvalidInput(f"{field} must be channel, link, slack:U… or telegram:<user id>", field=field)
