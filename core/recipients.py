"""How chats and reviewers are written down: `slack:C…`, `slack:#oncall`, `telegram:<chat id>`, `channel`. Pure."""

from __future__ import annotations

import re

from core.errors import InvalidInput
from core.model import Address
from core.policy import check_entry

_SLACK = re.compile(r"[CGDUW][A-Z0-9]{1,30}", re.ASCII)
# Of any script, as in Slack: `#büro`. What Slack has no name for does no harm; the card says that nothing is there.
_SLACK_NAME = re.compile(r"#[\w.-]{1,80}")
_TELEGRAM = re.compile(r"-?[1-9][0-9]{0,18}(/[1-9][0-9]{0,18})?", re.ASCII)
_SLACK_USER = re.compile(r"slack:[UW][A-Z0-9]{1,30}", re.ASCII)
_TELEGRAM_USER = re.compile(r"telegram:[1-9][0-9]{0,18}", re.ASCII)


def address(text: str, *, field: str) -> Address:
    """The chat that a card shall go to. Raises InvalidInput that names `field`."""
    platform, _, channel = text.partition(":")
    if platform == "slack" and channel.startswith("#"):
        if not _SLACK_NAME.fullmatch(channel) or channel != channel.lower():
            words = "a channel's name is 1 to 80 lowercase letters, digits, hyphens, underscores and full stops"
            raise InvalidInput(f"{field}: {words}", field=field)
        return Address(platform, channel)
    form = {"slack": _SLACK, "telegram": _TELEGRAM}.get(platform)
    if form is None or not form.fullmatch(channel):
        known = "slack:C…, slack:#<channel name>, slack:U… or telegram:<chat id>[/<topic id>]"
        raise InvalidInput(f"{field} must be {known}", field=field)
    return Address(platform, channel)


def reviewer(entry: str, *, field: str) -> str:
    """Who may decide, as listed in a policy's `any_of`. Raises InvalidInput that names `field`."""
    if entry.startswith(("slack:S", "group:")):
        raise InvalidInput(f"{field}: groups of reviewers are not available yet; list the people", field=field)
    check_entry(entry, field=field)
    if entry in ("channel", "link") or _SLACK_USER.fullmatch(entry) or _TELEGRAM_USER.fullmatch(entry):
        return entry
    raise InvalidInput(f"{field} must be channel, link, slack:U… or telegram:<user id>", field=field)
