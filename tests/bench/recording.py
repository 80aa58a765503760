"""What one case asks of the database, taken down while the gate itself opens it, answers it and reads it back.

So the statements that pgbench repeats, and the rows that a database is filled with, are always those of the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from core.access import Keys
from core.gate import Gate
from core.hub import Hub
from core.ledger import Database, Row, Statement, Tx, Write, open_database
from core.ledger.case_queries import POLLED_CASE
from core.ledger.engine import Body, Polled
from core.model import ACTIONS, INLINE_ACTIONS, Case, Draft, Identity, Opened, Origin, Principal
from core.replies import Reply
from core.sealing import KeyRing
from core.views import Views
from tests.bench.client import QUESTION, REPLIER

T = TypeVar("T")
SECRET_KEY = "a secret key for tests"  # the one that tests.support.process starts servers with
OF_ONE_CASE = frozenset({"case_id", "workflow_id", "token_hash", "interaction_id"})
"""Parameters that no two cases share."""


@dataclass(frozen=True, slots=True)
class Question:
    statement: Statement
    params: dict[str, Any]


@dataclass(slots=True)
class Transaction:
    """Its round trips: a question, or all writes that go together."""

    steps: list[Question | tuple[Write, ...]] = field(default_factory=list)

    @property
    def writes(self) -> list[Write]:
        return [write for step in self.steps if not isinstance(step, Question) for write in step]


@dataclass(slots=True)
class Recording:
    principal: Principal
    case_id: str
    opening: Transaction
    answering: Transaction
    reading: Transaction

    @property
    def unique(self) -> list[str]:
        """The values that must differ from case to case."""
        writes = [*self.opening.writes, *self.answering.writes]
        found = (str(write.params[name]) for write in writes for name in write.params if name in OF_ONE_CASE)
        return list(dict.fromkeys(found))


async def record_case(database_url: str) -> Recording:
    """Carry one case through on this database (migrated), for a key that is made for it."""
    database = open_database(database_url, pool_size=2)
    hub, ring = Hub(), KeyRing([SECRET_KEY])
    await database.start(hub)
    try:
        _, principal = await Keys(database, ring).create("agent", None)
        recorder = _Recorder(database)
        gate, views = Gate(cast(Database, recorder), hub, ring), Views(cast(Database, recorder), ring)
        opening = recorder.begin()
        opened = await gate.open(principal, _draft())
        assert isinstance(opened, Opened)
        assert opened.submit_token is not None
        answering = recorder.begin()
        await gate.respond(_reply(opened))
        reading = recorder.begin()
        await views.polled_case(principal.tenant_id, opened.case.case_id)
        return Recording(principal, opened.case.case_id, opening, answering, reading)
    finally:
        await database.close()


def _draft() -> Draft:
    kind = str(QUESTION["type"])
    return Draft(
        type=kind,
        prompt=str(QUESTION["prompt"]),
        context=cast(dict[str, Any], QUESTION["context"]),
        actions=ACTIONS[kind],
        inline_actions=INLINE_ACTIONS[kind],
        requested_by=str(QUESTION["requested_by"]),
    )


def _reply(opened: Opened) -> Reply:
    assert opened.submit_token is not None
    return Reply(
        case_id=opened.case.case_id,
        door="inline",
        token=opened.submit_token,
        action="confirm",
        data={"note": "x" * len(opened.case.case_id)},
        identity=Identity(REPLIER["platform"], REPLIER["platform_user_id"], REPLIER["display_name"]),
        via="x-bench",
        origin=Origin.EXTERNAL,
        in_channel=True,
    )


class _Recorder:
    """A database that takes down what bodies ask of their transaction, and passes it on."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._now = Transaction()

    def begin(self) -> Transaction:
        self._now = Transaction()
        return self._now

    async def transact(self, body: Body[T], /) -> T:
        async def recorded(tx: Tx) -> T:
            self._now.steps.clear()  # of a run that was not committed
            return await body(_RecordingTx(tx, self._now))

        return await self._database.transact(recorded)

    async def read(self, body: Body[T], /) -> T:
        return await self._database.read(lambda tx: body(_RecordingTx(tx, self._now)))

    async def poll(self, tenant_id: str, case_id: str, /) -> Polled | None:
        self._now.steps.append(Question(POLLED_CASE, {"tenant_id": tenant_id, "case_id": case_id}))
        return await self._database.poll(tenant_id, case_id)


class _RecordingTx:
    def __init__(self, tx: Tx, record: Transaction) -> None:
        self._tx = tx
        self._steps = record.steps

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        self._steps.append(Question(statement, params))
        return await self._tx.one(statement, **params)

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]:
        self._steps.append(Question(statement, params))
        return await self._tx.all(statement, **params)

    async def write(self, *writes: Write) -> list[int]:
        self._steps.append(writes)
        return await self._tx.write(*writes)

    async def now(self) -> int:
        return await self._tx.now()

    def clock(self, read: int) -> int:
        return self._tx.clock(read)

    def tell(self, case: Case) -> None:
        self._tx.tell(case)
