"""What Slack says when `assent doctor` asks: who the bot is, what it may do, and whether cards can stand in a place."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.slack import channels
from adapters.slack.messenger import SCOPES, SlackMessenger
from adapters.slack.settings import SlackSettings
from core.dates import ahead_of
from core.model import Address
from core.ports import SendFailed

NEEDED = frozenset(SCOPES)  # without one of these Assent does not work; the others are for a part of it
# What each permission of the manifest is for.
FEATURES: Mapping[str, str] = {
    "chat:write": "posting and redrawing cards",
    "im:write": "writing to one person",
    "im:read": "telling direct messages apart",
    "channels:read": "channels by their names",
    "groups:read": "private channels by their names",
    "channels:history": "finding a card again in public channels",
    "groups:history": "finding a card again in private channels",
    "im:history": "finding a card again in direct messages",
    "mpim:history": "finding a card again in group messages",
    "mpim:read": "telling group messages apart",
    "commands": "the command /assent",
    "usergroups:read": "user groups as reviewers",
    "users:read": "people's names",
    "team:read": "the workspace's name",
}
READING = frozenset(channels.SCOPES)
READING_GROUPS = "usergroups:read"


@dataclass(frozen=True, slots=True)
class SlackSeen:
    """Who the token speaks for. `scopes`: None when Slack does not say. `ahead_ms`: of this machine's clock, None when
    Slack does not say what time it is.
    """

    bot: str
    team: str
    is_bot: bool
    scopes: frozenset[str] | None
    ahead_ms: int | None

    def may(self, *scopes: str) -> bool:
        return self.scopes is None or self.scopes.issuperset(scopes)


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A user group; `members` None when Slack does not say how many."""

    handle: str
    members: int | None


class SlackHealth(SlackMessenger):
    """A messenger that can also be asked how things are. Everything raises SendFailed when Slack refuses it."""

    def __init__(self, settings: SlackSettings, clock: Callable[[], float] = time.time) -> None:
        super().__init__(settings)
        self._clock = clock

    async def seen(self) -> SlackSeen:
        began = self._clock()
        answer = await self.ask(self._client.auth_test(), where="Slack")
        middle = (began + self._clock()) / 2
        headers = {name.lower(): value for name, value in answer.headers.items()}
        scopes = headers.get("x-oauth-scopes")
        await self.workspace()
        return SlackSeen(
            bot=str(answer.get("user") or "assent"),
            team=str(answer.get("team") or answer.get("team_id")),
            is_bot=bool(answer.get("bot_id")),
            scopes=None if scopes is None else frozenset(scopes.replace(" ", "").split(",")),
            ahead_ms=ahead_of(headers.get("date"), middle),
        )

    async def reach(self, address: Address) -> None:
        """Whether a card can stand there, without posting one. A person's direct message is opened, which they do not
        see.
        """
        if channels.is_name(address.channel):
            await self._named(address)
        elif address.channel[:1] in ("U", "W"):
            await self._open(address.channel)
        elif address.channel[:1] in ("C", "G"):
            answer = await self.ask(self._client.conversations_info(channel=address.channel), where=str(address))
            channel = answer["channel"]
            if channel.get("is_archived"):
                raise SendFailed(f"{address} is archived; unarchive it, or send the cards elsewhere", permanent=True)
            if not channel.get("is_member"):
                words = f"the bot is not in #{channel.get('name')}; write there: /invite @{self._bot_name}"
                raise SendFailed(words, permanent=True)

    async def user_groups(self) -> dict[str, UserGroup]:
        """The user groups of the workspace that are in use, by id."""
        answer = await self.ask(self._client.usergroups_list(include_count=True), where="Slack")
        return {
            str(group["id"]): UserGroup(str(group.get("handle")), _number(group.get("user_count")))
            for group in answer["usergroups"]
            if not group.get("date_delete")
        }


def _number(value: object) -> int | None:
    """Slack writes counts as numbers or as text."""
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() else None
