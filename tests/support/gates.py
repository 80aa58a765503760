"""A gate on a database, with what a test needs around it: drafts with defaults, replies, and the rows as they stand."""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any, Literal

import asyncpg

from core.access import Keys
from core.cards import Cards
from core.errors import IdempotencyInFlight
from core.events import Events
from core.gate import Gate
from core.hub import Hub
from core.ledger import Database, Tx, Write, open_database
from core.ledger.statements import Statement
from core.model import INLINE_ACTIONS, Address, Draft, Idempotency, Identity, Opened, Origin, Principal, actions_of
from core.notices import Notices
from core.oracles import Finding, Oracles
from core.reminders import Reminders
from core.replies import Answered, Reply
from core.sealing import KeyRing
from core.seals import Sealer
from core.sources import Sources
from core.taps import Tap, TapAnswer, Taps
from core.views import Views

SECRET = "a secret that only tests use"
PUBLIC_URL = "https://assent.test"
LINK = Identity(platform="link", user_id="holder")
SECOND = 1_000
MINUTE = 60 * SECOND

# The tables whose rows a refused reply must not touch. Case events are left out: a refusal is audited there.
TRUTH = ("human_interactions", "decisions", "decision_events", "cards", "inbound", "idempotency")


def reviewer(n: int = 1, platform: str = "slack") -> Identity:
    """A person whom the platform vouched for."""
    return Identity(platform=platform, user_id=f"U{n}", display_name=f"Reviewer {n}", verified=True)


def draft(case_type: str = "approval", **changes: Any) -> Draft:
    """A draft that is valid as it stands: an approval with its buttons, due in an hour."""
    defaults: dict[str, Any] = {
        "type": case_type,
        "prompt": "May this go out?",
        "actions": actions_of(case_type),
        "inline_actions": INLINE_ACTIONS.get(case_type, ()),
        "timeout": "1h",
        "timeout_ms": 60 * MINUTE,
        "notify": (),
    }
    return Draft(**defaults | changes)


@dataclass
class Clock:
    """How far the test has moved the database's clock, in milliseconds."""

    offset: int = 0

    def forward(self, ms: int) -> None:
        self.offset += ms


@dataclass
class World:
    """One process on a database. Two worlds on one URL are two processes."""

    url: str
    database: Database
    hub: Hub
    ring: KeyRing
    clock: Clock
    agent: Principal = field(init=False)
    source_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.gate = Gate(self.database, self.hub, self.ring)
        self.cards = Cards(self.database, self.ring, PUBLIC_URL)
        self.taps = Taps(self.database, self.gate, self.ring, self.cards)
        self.reminders = Reminders(self.database, self.hub)
        self.notices = Notices(self.database, self.ring, PUBLIC_URL)
        self.events = Events(self.database, self.hub, self.ring)
        self.sealer = Sealer(self.database, self.hub, self.ring)
        self.views = Views(self.database, self.ring)
        self.keys = Keys(self.database, self.ring, self.hub)
        self.sources = Sources(self.database, self.ring, self.hub)

    async def settle_in(self, other: World | None = None) -> None:
        """Make an agent's key and a source, or share those of a world on the same database."""
        if other is not None:
            self.agent, self.source_id = other.agent, other.source_id
            return
        _, self.agent = await self.keys.create("agent", None)
        self.source_id = await self.new_source(self.agent)

    async def new_source(self, principal: Principal) -> str:
        source = await self.sources.create(
            principal, name="tests", description=None, mode="PULL_ONLY", notify=(), policy=None
        )
        return source.source_id

    async def open(self, case_type: str = "approval", *, sourced: bool = True, **changes: Any) -> Opened:
        if sourced:
            changes.setdefault("source_id", self.source_id)
        opened = await self.gate.open(self.agent, draft(case_type, **changes))
        assert isinstance(opened, Opened)
        return opened

    async def open_once(self, key: str, body_hash: str, *, door: str = "cases", **changes: Any) -> str:
        """The answer of a creating request with an Idempotency-Key, as the door would write it; asked for again while
        the first is under way, as every client is asked to.
        """

        def render(opened: Opened) -> str:
            return f"{opened.case.case_id} {opened.review_token} {opened.submit_token}"

        while True:
            try:
                answer = await self.gate.open(self.agent, draft(**changes), Idempotency(door, key, body_hash), render)
            except IdempotencyInFlight:
                await asyncio.sleep(0.01)
            else:
                return render(answer) if isinstance(answer, Opened) else answer.answer

    async def answer(
        self,
        opened: Opened,
        action: str = "approve",
        data: dict[str, Any] | None = None,
        *,
        by: Identity | None = None,
        door: Literal["inline", "page"] = "inline",
        **changes: Any,
    ) -> Answered:
        """A tap in the card's channel by Reviewer 1 (or on the page by whoever holds the link), with changes."""
        return await self.gate.respond(reply(opened, action, data, by=by, door=door, **changes))

    async def tap(
        self, card_id: str, action: str, by: Identity, *, channel: str = "C1", delivery_id: str | None = None
    ) -> TapAnswer:
        via = "slack_block_action" if by.platform == "slack" else "telegram_inline_button"
        return await self.taps.tap(Tap(by.platform, card_id, action, by, channel, via, delivery_id))

    async def seal(self) -> None:
        while await self.sealer.seal():
            pass

    async def findings(self) -> list[Finding]:
        return await Oracles(self.database, self.ring).findings()

    async def rows(self, table: str, where: str = "1 = 1", **params: Any) -> list[dict[str, Any]]:
        """Rows of a table as dictionaries; `where` may use `:name` parameters."""
        statement = Statement("test_rows", f"SELECT * FROM {table} WHERE {where}")

        async def body(tx: Tx) -> list[dict[str, Any]]:
            return [{key: row[key] for key in row.keys()} for row in await tx.all(statement, **params)]  # type: ignore[attr-defined]  # noqa: SIM118 - rows of both drivers have keys()

        return await self.database.read(body)

    async def row(self, table: str, where: str = "1 = 1", **params: Any) -> dict[str, Any]:
        (found,) = await self.rows(table, where, **params)
        return found

    async def case_row(self, opened: Opened) -> dict[str, Any]:
        return await self.row("cases", "case_id = :case_id", case_id=opened.case.case_id)

    async def kinds(self, opened: Opened) -> list[str]:
        """The kinds of the case's events, in their order."""
        rows = await self.rows("case_events", "case_id = :case_id", case_id=opened.case.case_id)
        return [row["kind"] for row in sorted(rows, key=lambda row: int(row["counter"]))]

    async def execute(self, sql: str, **params: Any) -> None:
        async def body(tx: Tx) -> None:
            await tx.write(Write(Statement("test_execute", sql), params, rows=None))

        await self.database.transact(body)

    async def truth(self) -> dict[str, list[dict[str, Any]]]:
        """Everything that a refusal must leave as it was (the case's counter of events aside)."""
        found = {table: await self.rows(table) for table in TRUTH}
        cases = await self.rows("cases")
        found["cases"] = [{key: value for key, value in row.items() if key != "last_event"} for row in cases]
        return {table: sorted(rows, key=repr) for table, rows in found.items()}


def reply(
    opened: Opened,
    action: str = "approve",
    data: dict[str, Any] | None = None,
    *,
    by: Identity | None = None,
    door: Literal["inline", "page"] = "inline",
    **changes: Any,
) -> Reply:
    page = door == "page"
    defaults: dict[str, Any] = {
        "case_id": opened.case.case_id,
        "door": door,
        "token": opened.review_token if page else opened.submit_token or "none",
        "action": action,
        "data": data or {},
        "identity": by or (LINK if page else reviewer()),
        "via": "review_page" if page else "slack_block_action",
        "origin": Origin.MANUAL if page else Origin.WEBHOOK,
        "in_channel": not page,
    }
    return Reply(**defaults | changes)


async def until(true: Callable[[], Any], within: float = 30.0) -> float:
    """Wait for something that happens elsewhere (`true` may be a coroutine function); how many seconds it took."""
    began = time.monotonic()
    async with asyncio.timeout(within):
        while True:
            answer = true()
            if await answer if inspect.isawaitable(answer) else answer:
                return time.monotonic() - began
            await asyncio.sleep(0.005)


def slack(channel: str = "C1") -> Address:
    return Address("slack", channel)


def telegram(channel: str = "-1001") -> Address:
    return Address("telegram", channel)


@asynccontextmanager
async def world(
    url: str, *, beside: World | None = None, pool_size: int = 10, secrets: tuple[str, ...] = (SECRET,)
) -> AsyncIterator[World]:
    """A world on a migrated database; `beside` shares the key, the source and the clock of another one."""
    clock = beside.clock if beside else Clock()
    database = open_database(url, clock_offset=lambda: clock.offset, pool_size=pool_size)
    hub = Hub()
    await database.start(hub)
    try:
        found = World(url, database, hub, KeyRing(secrets), clock)
        await found.settle_in(beside)
        yield found
    finally:
        await database.close()


async def as_superuser(url: str, *statements: str) -> None:
    """Change rows behind Assent's back, with constraints and foreign keys out of the way."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
            connection.execute("PRAGMA ignore_check_constraints=ON")
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute("COMMIT")
        return
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SET session_replication_role = replica")  # foreign keys are triggers
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)
    finally:
        await connection.close()
