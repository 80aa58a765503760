"""What a check-up learns from the database: its condition, and what in it needs somebody's look. Changes nothing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.cards import TWIN
from core.ledger import Database, Tx
from core.ledger import checkup_queries as q
from core.ledger.source_queries import SOURCES_WITH_ENDPOINT
from core.ledger.tenant_queries import TENANTS
from core.model import Address, Source
from core.overdue import Overdue, overdue
from core.rows import source_of
from core.sealing import KeyRing


@dataclass(frozen=True, slots=True)
class OnSqlite:
    """How SQLite keeps what it is given. `synchronous`: 2 for FULL, 3 for EXTRA."""

    journal_mode: str
    synchronous: int


@dataclass(frozen=True, slots=True)
class OnPostgres:
    """How PostgreSQL keeps what it is given; its settings in its own words. `connections`: how many it gives out,
    `used` of them now; `machines`: from how many addresses Assent is connected.
    """

    version: str
    fsync: str
    full_page_writes: str
    synchronous_commit: str
    connections: int
    used: int
    machines: int


@dataclass(frozen=True, slots=True)
class DeadCards:
    """So many cards of open cases that a chat does not show, for one reason."""

    address: Address
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """A source with the state of its webhook's endpoint (None without one), why it is so, how many attempts in a row
    have failed, and how many of its decisions could not be delivered.
    """

    source: Source
    endpoint: str | None = None
    reason: str | None = None
    failures: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """What the ledger holds that a check-up judges. `groups`: members' addresses by tenant and name. `sealed`: how many
    rows hang on a secret key; `unopened`: those of them that no key of the ring opens, by what they are. `overdue`:
    what should have been erased.
    """

    sources: Sequence[SourceSeen]
    groups: Mapping[tuple[str, str], Sequence[str]]
    dead: Sequence[DeadCards]
    sealed: int
    unopened: Mapping[str, int]
    overdue: Sequence[Overdue] = ()


async def condition(database: Database) -> OnSqlite | OnPostgres:
    """How the database keeps what it is given, asked where writes go. Raises Unavailable."""
    kind = OnSqlite if database.dialect == "sqlite" else OnPostgres

    async def body(tx: Tx) -> OnSqlite | OnPostgres:
        row = await tx.one(q.CONDITION)
        assert row is not None
        return kind(**{name: row[name] for name in kind.__slots__})

    return await database.transact(body)


async def now(database: Database) -> int:
    """The database's clock, ms since 1970. Raises Unavailable."""

    async def body(tx: Tx) -> int:
        return await tx.now()

    return await database.read(body)


async def look(database: Database, ring: KeyRing | None, retention_days: int | None = None) -> Found:
    """What needs somebody's look. Without a ring nothing counts as unopened, without days nothing as overdue. Raises
    Unavailable.
    """

    async def body(tx: Tx) -> Found:
        sources = await _sources(tx)
        groups = defaultdict[tuple[str, str], list[str]](list)
        for row in await tx.all(q.GROUPS):
            groups[row["tenant_id"], row["name"]] += [row["address"]] if row["address"] else []
        dead = [
            DeadCards(Address(row["platform"], row["channel"]), str(row["last_error"]), row["total"])
            for row in await tx.all(q.DEAD_CARDS, twin=TWIN)
        ]
        sealed = [(row["what"], row["key_id"], row["total"]) for row in await tx.all(q.SEALED_UNDER)]
        webhooks = [seen.source.webhook for seen in sources if seen.source.webhook is not None]
        sealed += [("secrets of webhooks", webhook.secret.partition(".")[0], 1) for webhook in webhooks]
        unopened = Counter[str]()
        for what, key_id, total in sealed:
            if ring is not None and not ring.knows(key_id):
                unopened[what] += total
        late = await overdue(tx, retention_days)
        return Found(sources, groups, dead, sum(total for _, _, total in sealed), unopened, late)

    return await database.read(body)


async def _sources(tx: Tx) -> list[SourceSeen]:
    failed = {row["endpoint_id"]: row["total"] for row in await tx.all(q.FAILED_DELIVERIES)}
    found = []
    for tenant in await tx.all(TENANTS):
        for row in await tx.all(SOURCES_WITH_ENDPOINT, tenant_id=tenant["tenant_id"]):
            count = failed.get(row["source_id"], 0)
            endpoint = row["endpoint_state"], row["endpoint_reason"], row["failures"] or 0
            found.append(SourceSeen(source_of(row), *endpoint, count))
    return found
