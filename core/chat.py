"""What messengers' adapters are given beside cards: who people are, and what waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, tzinfo

from core.directory import Directories
from core.inbox import Inbox
from core.model import Identity
from core.people import People
from core.questions import Questions
from core.sessions import Sessions


@dataclass(frozen=True, slots=True)
class ChatServices:
    """`public_url`: the address that links begin with, without a slash at its end. `language` and `zone`: where
    somebody's own is not known.
    """

    people: People
    sessions: Sessions
    inbox: Inbox
    questions: Questions
    directories: Directories
    public_url: str
    language: str = "en"
    zone: tzinfo = UTC

    async def zone_of(self, identity: Identity) -> tzinfo:
        """By whose clocks this person is told times, and understood. Raises Unavailable."""
        return await self.people.zone_of(identity) or self.zone
