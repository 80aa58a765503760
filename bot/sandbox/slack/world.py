"""A Slack workspace as the sandbox pretends it: people, channels and what was said in them. `cast` fills two."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock
from bot.sandbox.journal import Journal
from bot.sandbox.slack.modals import Trigger, View
from bot.sandbox.wire import Json


@dataclass(frozen=True)
class Team:
    id: str
    name: str
    domain: str
    enterprise_id: str = ""
    """The Enterprise Grid organisation that the workspace belongs to; empty for most."""

    def enterprise(self) -> Json | None:
        """As payloads name it."""
        return {"id": self.enterprise_id, "name": self.name} if self.enterprise_id else None


@dataclass(frozen=True)
class Person:
    id: str
    name: str
    real_name: str
    team_id: str
    is_bot: bool = False
    tz: str = "Etc/UTC"

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    def wire(self, home_team: str) -> Json:
        return {
            "id": self.id,
            "team_id": self.team_id,
            "name": self.name,
            "real_name": self.real_name,
            "deleted": False,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "is_stranger": self.team_id != home_team,
            "tz": self.tz,
            "tz_offset": int((datetime.now(ZoneInfo(self.tz)).utcoffset() or timedelta()).total_seconds()),
            "profile": {
                "real_name": self.real_name,
                "display_name": self.real_name,
                "real_name_normalized": self.real_name,
                "display_name_normalized": self.real_name,
                "team": self.team_id,
            },
        }


@dataclass
class UserGroup:
    id: str
    handle: str
    name: str
    users: list[str]
    disabled: bool = False

    def wire(self, team_id: str, *, with_users: bool, with_count: bool) -> Json:
        group: Json = {
            "id": self.id,
            "team_id": team_id,
            "is_usergroup": True,
            "is_subteam": True,
            "is_external": False,
            "name": self.name,
            "handle": self.handle,
            "description": "",
            "date_create": 1_600_000_000,
            "date_update": 1_600_000_000,
            "date_delete": 1_600_000_000 if self.disabled else 0,
            "auto_type": None,
            "prefs": {"channels": [], "groups": []},
        }
        if with_users:
            group["users"] = list(self.users)
        return group | ({"user_count": len(self.users)} if with_count else {})


@dataclass
class Channel:
    id: str
    name: str
    members: list[str]
    is_private: bool = False
    is_ext_shared: bool = False
    is_archived: bool = False
    im_with: str = ""
    """The person on the other side of a direct message; empty for channels."""

    @property
    def type(self) -> str:
        """As the `types` of listings call it."""
        if self.im_with:
            return "im"
        return "private_channel" if self.is_private else "public_channel"

    def wire(self, home_team: str) -> Json:
        common: Json = {"id": self.id, "created": 1_600_000_000, "is_archived": self.is_archived}
        if self.im_with:
            return common | {"is_im": True, "is_channel": False, "user": self.im_with, "is_org_shared": False}
        return common | {
            "name": self.name,
            "name_normalized": self.name,
            "is_channel": not self.is_private,
            "is_group": self.is_private,
            "is_im": False,
            "is_mpim": False,
            "is_private": self.is_private,
            "is_ext_shared": self.is_ext_shared,
            "is_shared": self.is_ext_shared,
            "is_org_shared": False,
            "is_member": True,
            "context_team_id": home_team,
            "num_members": len(self.members),
        }


@dataclass
class Message:
    ts: str
    channel: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    thread_ts: str = ""
    reply_broadcast: bool = False
    metadata: Json | None = None
    edited_ts: str = ""
    bot_id: str = ""
    app_id: str = ""
    ephemeral_for: str = ""
    """The only person who sees it; empty for messages that everybody sees."""

    def wire(self, team_id: str, *, with_metadata: bool = False) -> Json:
        message: Json = {
            "type": "message",
            "user": self.user,
            "ts": self.ts,
            "text": self.text,
            "team": team_id,
        }
        if self.bot_id:
            message |= {"bot_id": self.bot_id, "app_id": self.app_id}
        if self.blocks:
            message["blocks"] = self.blocks
        if self.thread_ts:
            message["thread_ts"] = self.thread_ts
        if self.edited_ts:
            message["edited"] = {"user": self.user, "ts": self.edited_ts}
        if with_metadata and self.metadata is not None:
            message["metadata"] = self.metadata
        return message

    def buttons(self) -> list[Json]:
        """Every interactive element that a person can use on the message, each with its block's id."""
        found: list[Json] = []
        for block in self.blocks:
            elements = list(block.get("elements", [])) if block.get("type") == "actions" else []
            if isinstance(block.get("accessory"), dict):
                elements.append(block["accessory"])
            found += [dict(element, block_id=block["block_id"]) for element in elements if "action_id" in element]
        return found


@dataclass
class ResponseUrl:
    """Slack lets an app answer an interaction through its response_url: 5 times within 30 minutes."""

    channel: str
    user: str
    message_ts: str
    expires_at: float
    uses: int = 0


class Workspace:
    """All state of one pretended workspace. Changed only from the event loop's thread."""

    def __init__(self, clock: Clock, changes: Changes, journal: Journal, team: Team, bot: Person, bot_id: str) -> None:
        self.clock = clock
        self.changes = changes
        self._journal = journal
        self.team = team
        self.bot = bot
        self.bot_id = bot_id
        self.people = {bot.id: bot}
        self.channels: dict[str, Channel] = {}
        self.user_groups: dict[str, UserGroup] = {}
        self.messages: list[Message] = []
        self.homes: dict[str, View] = {}
        self.modals: dict[str, list[View]] = {}
        self.triggers: dict[str, Trigger] = {}
        self.response_urls: dict[str, ResponseUrl] = {}
        self._last_ts = 0

    def person(self, who: str) -> Person:
        """By id, name or real name ("Reviewer One"); LookupError when nobody is called that."""
        for person in self.people.values():
            if who.casefold() in (person.id.casefold(), person.name, person.real_name.casefold()):
                return person
        raise LookupError(f"nobody in the Slack sandbox is called {who!r}")

    def join(self, *people: Person) -> None:
        self.people |= {person.id: person for person in people}

    def open(self, *channels: Channel) -> None:
        self.channels |= {channel.id: channel for channel in channels}

    def channel(self, which: str) -> Channel | None:
        """By id, or by name with or without `#`."""
        by_name = (channel for channel in self.channels.values() if channel.name == which.removeprefix("#"))
        return self.channels.get(which) or next(by_name, None)

    def direct_message(self, person: Person) -> Channel:
        """The direct message between the bot and this person, opened when there is none yet."""
        for channel in self.channels.values():
            if channel.im_with == person.id:
                return channel
        opened = Channel("D" + person.id[1:], "", [self.bot.id, person.id], is_private=True, im_with=person.id)
        self.channels[opened.id] = opened
        return opened

    def next_ts(self) -> str:
        """A message timestamp: unique, increasing, the wall clock's microseconds."""
        self._last_ts = max(self._last_ts + 1, int(self.clock.wall() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def say(self, message: Message) -> Message:
        self.messages.append(message)
        if message.ephemeral_for:
            self._journal.told("slack", message.ephemeral_for, "ephemeral", message.text, message.channel)
        self.changes.touch()
        return message

    def message(self, channel: str, ts: str) -> Message | None:
        return next((m for m in self.messages if m.channel == channel and m.ts == ts), None)

    def remove(self, message: Message) -> None:
        self.messages.remove(message)
        self.changes.touch()

    def visible(self, channel: str, user: str = "") -> list[Message]:
        """A channel's messages in order, with those ephemeral ones that only `user` sees."""
        return [m for m in self.messages if m.channel == channel and m.ephemeral_for in ("", user)]

    def new_trigger(self, user: str) -> str:
        """A trigger_id; a modal can be opened with it once, within 3 seconds."""
        trigger = f"{self._last_ts}.{secrets.randbelow(10**10)}.{secrets.token_hex(16)}"
        self.triggers[trigger] = Trigger(user, self.clock.monotonic() + 3.0)
        return trigger

    def new_response_url(self, channel: str, user: str, message_ts: str) -> str:
        """The last part of a response_url's path."""
        token = secrets.token_urlsafe(24)
        self.response_urls[token] = ResponseUrl(channel, user, message_ts, self.clock.monotonic() + 1800.0)
        return token

    def forget(self) -> None:
        """Nothing was ever said, opened or tapped."""
        self.messages.clear()
        self.homes.clear()
        self.modals.clear()
        self.triggers.clear()
        self.response_urls.clear()
        self.changes.touch()
