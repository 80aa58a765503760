"""People on messengers: their directories, their identities, and services around them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from core.codes import CodeDesk
from core.directory import Directories
from core.escalations import Escalations
from core.gate import Gate
from core.groups import Groups
from core.inbox import Inbox
from core.model import Identity
from core.people import People
from core.ports import SendFailed
from core.sessions import Sessions
from core.taps import Taps
from tests.support.gates import PUBLIC_URL, World


def ada(platform: str = "slack") -> Identity:
    return _somebody(platform, "UADA", "71", "Ada")


def ben(platform: str = "slack") -> Identity:
    return _somebody(platform, "UBEN", "72", "Ben")


def cleo(platform: str = "slack") -> Identity:
    return _somebody(platform, "UCLEO", "73", "Cleo")


def _somebody(platform: str, slack_id: str, telegram_id: str, name: str) -> Identity:
    if platform == "slack":
        return Identity("slack", slack_id, name, team="T0HOME", verified=True)
    return Identity("telegram", telegram_id, name, verified=True)


@dataclass
class Register:
    """A messenger's directory, written down: who is in which user group and chat. `away`: it cannot be asked."""

    platform: str
    groups: dict[str, set[str]] = field(default_factory=dict)
    chats: dict[str, set[str]] = field(default_factory=dict)
    away: bool = False
    asked: int = 0

    async def groups_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        return self._found(self.groups, user_id, among)

    async def chats_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        return self._found(self.chats, user_id, among)

    def _found(self, known: dict[str, set[str]], user_id: str, among: Collection[str]) -> frozenset[str]:
        self.asked += 1
        if self.away:
            raise SendFailed("the messenger cannot be reached")
        return frozenset(one for one in among if user_id in known.get(one, set()))


class Team:
    """A world's people: services on its database, with directories for both messengers."""

    def __init__(self, world: World) -> None:
        self.slack, self.telegram = Register("slack"), Register("telegram")
        self.time = 0.0
        self.directories = Directories(world.database, clock=lambda: self.time)
        self.directories.add(self.slack)
        self.directories.add(self.telegram)
        codes = CodeDesk(world.database)
        self.people = People(world.database, codes)
        self.sessions = Sessions(world.database, codes, self.people)
        self.groups = Groups(world.database)
        self.inbox = Inbox(world.database, self.directories, world.ring, PUBLIC_URL)
        self.escalations = Escalations(world.database, world.hub, world.ring)
        world.gate = Gate(world.database, world.hub, world.ring, directories=self.directories)
        world.taps = Taps(
            world.database, world.gate, world.ring, world.cards, directories=self.directories, hub=world.hub
        )

    async def link(self, one: Identity, other: Identity) -> None:
        """From now on they are one person."""
        await self.people.link(other, await self.people.link_code(one))

    def minutes_later(self, minutes: float) -> None:
        self.time += minutes * 60
