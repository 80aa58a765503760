"""The Slack workspace that the sandbox pretends to be: people, channels and what was said in them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Person:
    id: str
    name: str
    real_name: str
    team_id: str
    is_bot: bool = False

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
            "tz": "Etc/UTC",
            "tz_offset": 0,
            "profile": {
                "real_name": self.real_name,
                "display_name": self.real_name,
                "real_name_normalized": self.real_name,
                "display_name_normalized": self.real_name,
                "team": self.team_id,
            },
        }


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


class SlackWorld:
    """All state of the pretended workspace. Changed only from the event loop's thread."""

    def __init__(self, clock: Clock, changes: Changes, journal: Journal) -> None:
        self.clock = clock
        self.changes = changes
        self._journal = journal
        self.team = Team("T0SANDBOX", "Sandbox", "sandbox")
        self.partner = Team("T0PARTNER", "Partner", "partner")
        home, abroad = self.team.id, self.partner.id
        self.bot = Person("U0BOT0001", "assent", "Assent", home, is_bot=True)
        self.bot_id = "B0BOT0001"
        self.requester = Person("U0REQUEST", "requester", "Requester", home)
        self.reviewer_one = Person("U0REVIEW1", "reviewer.one", "Reviewer One", home)
        self.reviewer_two = Person("U0REVIEW2", "reviewer.two", "Reviewer Two", home)
        self.on_call = Person("U0ONCALL1", "on.call", "On Call", home)
        self.outsider = Person("U0OUTSIDE", "outsider", "Outsider", home)
        """Of the workspace, but a member of no channel."""
        self.stranger = Person("U0STRANGE", "stranger", "Stranger", abroad)
        """Of another workspace; sits in the shared channel only."""
        team = [self.requester, self.reviewer_one, self.reviewer_two, self.on_call]
        members = [self.bot.id, *(person.id for person in team)]
        self.people = {person.id: person for person in [self.bot, *team, self.outsider, self.stranger]}
        self.approvals = Channel("C0APPROVE", "approvals", list(members))
        self.shared = Channel("C0SHARED1", "shared", [*members, self.stranger.id], is_ext_shared=True)
        self.oncall = Channel("C0ONCALL0", "oncall", list(members))
        self.unjoined = Channel("C0UNJOINE", "unjoined", [self.requester.id])
        """A public channel that the bot is not in."""
        self.channels = {channel.id: channel for channel in [self.approvals, self.shared, self.oncall, self.unjoined]}
        self.user_groups = {"S0REVIEWS": [self.reviewer_one.id, self.reviewer_two.id]}
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
