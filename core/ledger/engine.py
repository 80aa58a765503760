"""The one way to the database: a transaction body is written once, as a coroutine over `Tx`, and runs on either engine.

On PostgreSQL the body runs on the event loop over asyncpg. On SQLite it runs to its end in the writer thread: `Tx`
never suspends there, so stepping the coroutine once is enough. A body therefore awaits nothing but its transaction,
and may be run again from its start when the outcome of a commit is unknown: its keys (case id, dedupe key) make that
harmless.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from core.errors import InvalidInput
from core.hub import Hub
from core.ledger.statements import Statement, Write
from core.model import Case

T = TypeVar("T")


class Row(Protocol):
    """A result row: `row["column"]`."""

    def __getitem__(self, name: str, /) -> Any: ...


class Tx(Protocol):
    """One transaction. Times come from `now()`: the database's clock, read anew at every call."""

    async def one(self, statement: Statement, /, **params: Any) -> Row | None: ...

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]: ...

    async def write(self, *writes: Write) -> list[int]:
        """Apply all writes, in one round trip where the engine can; rows touched per write. Raises Conflicting when a
        write with an expected count touched another number of rows.
        """
        ...

    async def now(self) -> int: ...

    def clock(self, read: int) -> int:
        """The database's time out of a statement that read it along with something else."""
        ...

    def tell(self, case: Case, /) -> None:
        """How a case that was opened or decided stands: told to whoever counts, once this is committed."""
        ...


Body = Callable[[Tx], Awaitable[T]]


class Database(Protocol):
    @property
    def dialect(self) -> str: ...

    async def transact(self, body: Body[T], /) -> T:
        """Run the body in a transaction, shielded from the caller's cancellation: once begun it commits or fails whole.
        Raises Unavailable when the database cannot be reached or is full."""
        ...

    async def read(self, body: Body[T], /) -> T:
        """Run a body that only reads."""
        ...

    async def poll(self, tenant_id: str, case_id: str, /) -> Polled | None: ...

    async def start(self, hub: Hub, /) -> None: ...

    async def close(self) -> None: ...


class Polled(NamedTuple):
    """A case's row, and how often it was polled in the minute that its first poll began: this time included, across
    replicas. `left_ms`: what is left of that minute, on the database's clock.
    """

    row: Row
    polls: int
    left_ms: int


class Conflicting(Exception):
    """A guarded write found other rows than it expected; the transaction is rolled back."""

    def __init__(self, write: Write, touched: int) -> None:
        super().__init__(f"{write.statement.name} touched {touched} rows instead of {write.rows}")


class DuplicateKey(Exception):
    """A unique key is taken; the transaction is rolled back. `constraint` names it where the database says so."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class UnfitValue(InvalidInput):
    """A text or number in the request is one that no database can hold."""


def check_touched(writes: Sequence[Write], touched: Sequence[int]) -> None:
    for write, count in zip(writes, touched, strict=True):
        if write.rows is not None and write.rows != count:
            raise Conflicting(write, count)
