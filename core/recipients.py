"""How chats and reviewers are written down: `slack:C…`, `slack:#oncall`, `telegram:<chat id>`, `channel`. Pure.

What is of another Slack workspace than the default one is written with that workspace: `slack:T…/C…`, `slack:T…/U…`,
`slack:T…/S…`.
"""

from __future__ import annotations

import re

from core.errors import InvalidInput
from core.model import Address
from core.policy import check_entry

_TEAM = r"(?:T[A-Z0-9]{1,30}/)?"
_SLACK = re.compile(_TEAM + r"[CGDUW][A-Z0-9]{1,30}", re.ASCII)
# Of any script, as in Slack: `#büro`. What Slack has no name for does no harm; the card says that nothing is there.
_SLACK_NAME = re.compile(r"((?a:T[A-Z0-9]{1,30})/)?(#[\w.-]{1,80})")
_TELEGRAM = re.compile(r"-?[1-9][0-9]{0,18}(/[1-9][0-9]{0,18})?", re.ASCII)
_SLACK_USER = re.compile(f"slack:{_TEAM}" + r"[UW][A-Z0-9]{1,30}", re.ASCII)
_USER_GROUP = re.compile(f"slack:{_TEAM}" + r"S[A-Z0-9]{1,30}", re.ASCII)
_GROUP = re.compile(r"group:[a-z0-9][a-z0-9_-]{0,63}", re.ASCII)
_DUTY = re.compile(r"previous|workflow|gate:.{1,200}|case:[A-Za-z0-9_-]{1,64}")
_TELEGRAM_USER = re.compile(r"telegram:[1-9][0-9]{0,18}", re.ASCII)


def address(text: str, *, field: str) -> Address:
    """The chat that a card shall go to. Raises InvalidInput that names `field`."""
    platform, _, channel = text.partition(":")
    if platform == "slack" and "#" in (channel[:1], channel.partition("/")[2][:1]):
        named = _SLACK_NAME.fullmatch(channel)
        if named is None or named[2] != named[2].lower():
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
    check_entry(entry, field=field)
    if entry in ("channel", "link") or _is_people(entry):
        return entry
    known = "channel, link, slack:U…, slack:S… (a user group), telegram:<user id> or group:<name>"
    raise InvalidInput(f"{field} must be {known}", field=field)


def people(entry: str, *, field: str) -> str:
    """Somebody by name, or a group: whom an escalation asks or calls. Raises InvalidInput that names `field`."""
    if _is_people(entry):
        return entry
    known = "slack:U…, slack:S… (a user group), telegram:<user id> or group:<name>"
    raise InvalidInput(f"{field} must be {known}", field=field)


def person(entry: str, *, field: str) -> str:
    """One person, as groups list them. Raises InvalidInput that names `field`."""
    if _SLACK_USER.fullmatch(entry) or _TELEGRAM_USER.fullmatch(entry):
        return entry
    raise InvalidInput(f"{field} must be slack:U… or telegram:<user id>", field=field)


def group_name(name: str, *, field: str) -> str:
    """What a group may be called: lower case letters, digits, `-` and `_`. Raises InvalidInput that names `field`."""
    if _GROUP.fullmatch(f"group:{name}"):
        return name
    raise InvalidInput(f"{field} must be 1 to 64 lower case letters, digits, hyphens and underscores", field=field)


def duty(entry: str, *, field: str) -> str:
    """Whose answers are kept apart from this one's. Raises InvalidInput that names `field`."""
    if _DUTY.fullmatch(entry):
        return entry
    raise InvalidInput(f"{field} must be previous, workflow, gate:<gate key> or case:<case id>", field=field)


def _is_people(entry: str) -> bool:
    return any(form.fullmatch(entry) for form in (_SLACK_USER, _TELEGRAM_USER, _USER_GROUP, _GROUP))
