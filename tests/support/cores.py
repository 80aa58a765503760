"""The core of one process, as messenger tests compose an adapter with it, and cards as it makes them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from core.access import Keys
from core.cards import Cards
from core.chat import ChatServices
from core.codes import CodeDesk
from core.directory import Directories
from core.gate import Gate
from core.hub import Hub
from core.inbox import Inbox
from core.ledger import Database, open_database
from core.messages import Button, Card
from core.model import Address, Draft, Opened, Policy, Principal
from core.people import People
from core.questions import Questions
from core.sealing import KeyRing
from core.sessions import Sessions
from core.tap_desk import BUDGET_SECONDS, TapDesk
from core.taps import Taps
from core.verifiers import Verifiers
from tests.support.databases import rows, stalled

RING = KeyRing(["a secret that seals in tests"])
PUBLIC_URL = "https://assent.example.com"
PATIENCE_SECONDS = 10.0  # for a tap: what people are told shall not depend on how busy the machine is


@dataclass
class Core:
    """One process's core: what an adapter is composed with."""

    url: str
    database: Database
    hub: Hub
    gate: Gate
    cards: Cards
    taps: Taps
    desk: TapDesk
    principal: Principal
    chat: ChatServices
    clock: list[int] = field(default_factory=lambda: [0])
    """What the database's clock is ahead for this process, in milliseconds."""

    async def ask(self, *chats: int | str, policy: Policy | None = None, **more: Any) -> Opened:
        """Open a case with cards in these Telegram chats; `more` are fields of the draft (`notify` for other chats)."""
        fields: dict[str, Any] = {
            "type": "approval",
            "prompt": "Deploy checkout 2.14.0?",
            "actions": ("approve", "reject"),
            "inline_actions": ("approve", "reject"),
            "notify": tuple(Address("telegram", str(chat)) for chat in chats),
            "policy": policy or Policy(("channel", "link")),
        }
        opened = await self.gate.open(self.principal, Draft(**(fields | more)))
        assert isinstance(opened, Opened)
        return opened

    async def ledger(self) -> list[dict[str, Any]]:
        """The rows of the ledger, read past the core."""
        return await rows(self.url, "SELECT * FROM human_interactions ORDER BY created_at")

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """For a tap it is waited as long as the product does."""
        self.desk._budget, before = BUDGET_SECONDS, self.desk._budget
        try:
            yield
        finally:
            self.desk._budget = before

    @asynccontextmanager
    async def stalled(self, seconds: float | None = None) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Nothing can be written, as `databases.stalled` says; for a tap it is waited as long as the product does."""
        with self.hurried():
            async with stalled(self.url, seconds) as end:
                yield end


@asynccontextmanager
async def a_core(url: str, *, verifiers: Verifiers | None = None) -> AsyncIterator[Core]:
    clock = [0]
    hub, database = Hub(), open_database(url, clock_offset=lambda: clock[0])
    await database.start(hub)
    try:
        directories, codes = Directories(database), CodeDesk(database)
        people = People(database, codes)
        gate = Gate(database, hub, RING, verifiers, directories=directories)
        cards = Cards(database, RING, PUBLIC_URL)
        taps = Taps(database, gate, RING, cards, directories=directories, hub=hub)
        chat = ChatServices(
            people=people,
            sessions=Sessions(database, codes, people),
            inbox=Inbox(database, directories, RING, PUBLIC_URL),
            questions=Questions(database),
            directories=directories,
            public_url=PUBLIC_URL,
        )
        _, principal = await Keys(database, RING).create("agent", None)
        desk = TapDesk(taps, budget_seconds=PATIENCE_SECONDS)
        yield Core(url, database, hub, gate, cards, taps, desk, principal, chat, clock)
    finally:
        await database.close()


def a_card(**fields: Any) -> Card:
    """A card as the core makes them."""
    found: dict[str, Any] = {
        "card_id": "c" * 22,
        "case_id": "review_" + "d" * 22,
        "version": 1,
        "title": "Approval needed",
        "prompt": "Deploy checkout 2.14.0?",
        "facts": (("Asked by", "Deploy agent"),),
        "body": (),
        "buttons": (Button("approve", "Approve", "primary"), Button("reject", "Reject", "danger")),
        "review_url": "https://assent.example.com/en/hitl/review/review_1?token=t",
        "deadline": "21 Nov 2026, 10:00 UTC",
        "outcome": None,
        "digest": "0123456789ab",
    }
    return Card(**(found | fields))
