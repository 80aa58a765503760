"""What Slack says that somebody did: presses, submitted windows, commands, opened homes. Pure; any input is read, none
raises.

Source: https://docs.slack.dev/reference/interaction-payloads
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from adapters.slack.calls import Workspace
from adapters.slack.render import PREFIX
from core.model import Identity

Surface = Literal["message", "list", "home"]  # a message of its own, a list that one person sees, App Home

_ACTION_TS = re.compile(r"([0-9]{1,11})\.([0-9]{6})", re.ASCII)
_VALUE = re.compile(r"a:([A-Za-z0-9_-]{22}):([a-z_]{1,64})(?::([1-9][0-9]{0,8}))?(\?(?P<language>[a-z]{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody, as Slack names them. `team` and `enterprise` are their own; empty where Slack does not say."""

    user: str
    name: str | None
    team: str
    enterprise: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody did something, and can be told what became of it. `channel` is empty in App Home."""

    user: str
    channel: str
    response_url: str = ""
    surface: Surface = "message"


@dataclass(frozen=True, slots=True)
class Tapped:
    """A pressed button of a card or beside one, as Slack described it.

    `asks`: the language in which whoever pressed it is asked for a reason first; None where nothing is asked. `trigger`
    opens a window for that, within three seconds. `is_card`: the message can be the card itself.
    """

    card_id: str
    action: str
    edition: int
    who: Who
    place: Place
    message: str
    delivery_id: str
    tapped_at: int | None
    asks: str | None = None
    trigger: str = ""
    is_card: bool = True


def read_tap(payload: Mapping[str, Any]) -> Tapped | None:
    """The tap in an interaction payload; None for all else (a link button, another app's leftovers, nonsense)."""
    action = first_action(payload)
    if not text_at(action, "action_id").startswith(PREFIX):
        return None
    button = _VALUE.fullmatch(text_at(action, "value"))
    who, place = read_who(payload), read_place(payload)
    if button is None or who is None or place is None:
        return None
    message = text_at(payload, "container", "message_ts") or text_at(payload, "message", "ts")
    thread = text_at(payload, "container", "thread_ts") or text_at(payload, "message", "thread_ts")
    trigger = text_at(payload, "trigger_id")
    own_delivery = ":".join((text_at(action, "action_ts"), who.user, place.channel, message))
    return Tapped(
        card_id=button[1],
        action=button[2],
        edition=int(button[3] or 0),
        who=who,
        place=place,
        message=message,
        delivery_id=trigger or own_delivery,
        tapped_at=_moment(text_at(action, "action_ts")),
        asks=button["language"],
        trigger=trigger,
        is_card=place.surface == "message" and thread in ("", message),
    )


def first_action(payload: Mapping[str, Any]) -> Any:
    actions = payload.get("actions")
    return actions[0] if isinstance(actions, list) and actions else None


def read_who(payload: Mapping[str, Any]) -> Who | None:
    """Whoever did what an interaction payload says; None when it names nobody."""
    user = text_at(payload, "user", "id")
    team = text_at(payload, "user", "team_id") or text_at(payload, "team", "id")
    name = text_at(payload, "user", "name") or text_at(payload, "user", "username")
    return Who(user, name or None, team, _enterprise_of(payload, team)) if user else None


def read_place(payload: Mapping[str, Any]) -> Place | None:
    """Where an interaction happened; None for nowhere that is known here."""
    user = text_at(payload, "user", "id")
    if text_at(payload, "container", "type") == "view":
        return Place(user, "", surface="home") if text_at(payload, "view", "type") == "home" else None
    channel = text_at(payload, "channel", "id") or text_at(payload, "container", "channel_id")
    container = payload.get("container")
    private = isinstance(container, Mapping) and container.get("is_ephemeral") is True
    surface: Surface = "list" if private else "message"
    return Place(user, channel, text_at(payload, "response_url"), surface) if channel else None


def identity_of(who: Who, home: Workspace) -> Identity:
    """Who it is to us. Foreign: of another workspace, and of no organisation of ours by anything that Slack said."""
    enterprise = who.enterprise or (home.enterprise if who.team == home.team else "")
    related = bool(home.enterprise) and enterprise == home.enterprise
    team = "/".join(part for part in (enterprise, who.team) if part)
    return Identity(
        platform="slack",
        user_id=f"{home.prefix_of(who.team)}{who.user}",
        display_name=who.name,
        team=team or None,
        verified=True,
        foreign=who.team != home.team and not related,
    )


def parted(name: str) -> tuple[str, str]:
    """What is of another workspace than the default one is written with it, `T…/U…`: the workspace (empty for the
    default one), and Slack's own id or name.
    """
    team, _, own = name.rpartition("/")
    return team, own


def _enterprise_of(payload: Mapping[str, Any], team: str) -> str:
    """The person's Enterprise organisation. The payload's own is that of the workspace in which the tap happened, so
    it is the person's only when that workspace is the person's, too.
    """
    if team.startswith("E"):  # what Slack sends for some people of an organisation
        return team
    if text_at(payload, "team", "id") != team:
        return ""
    return text_at(payload, "enterprise", "id") or text_at(payload, "team", "enterprise_id")


def _moment(action_ts: str) -> int | None:
    """When the button was pressed, by Slack's clock: seconds and microseconds, `1548261231.365612`."""
    found = _ACTION_TS.fullmatch(action_ts)
    return int(found[1]) * 1000 + int(found[2][:3]) if found else None


def text_at(value: Any, *path: str) -> str:
    """The text at a path; empty when something on the way is missing or is something else."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
