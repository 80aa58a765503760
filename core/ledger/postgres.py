"""PostgreSQL over asyncpg: short transactions, few round trips, concurrency bounded by the pool.

A commit whose acknowledgement is lost has an unknown outcome: the body is run again from its start and finds its own
keys. LISTEN/NOTIFY carries wake-ups between processes; it is sent outside transactions (a NOTIFY inside one makes
commits queue behind a global lock), pinged, re-opened when it dies, and followed by a re-scan.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

import asyncpg
import structlog

from core.errors import IdempotencyInFlight, Unavailable
from core.hub import Hub
from core.ledger.case_queries import POLLED_CASE
from core.ledger.engine import Body, DuplicateKey, Polled, Row, Tx, UnfitValue, check_touched
from core.ledger.statements import POSTGRES_NOW as NOW
from core.ledger.statements import Statement, Write, batch_args, batch_for_postgres, for_postgres
from core.model import Case

T = TypeVar("T")
log = structlog.get_logger()

ACQUIRE_SECONDS = 2.0
COMMAND_SECONDS = 10.0
IDLE_SECONDS = 30.0  # a transaction whose process was cut off or stands still keeps its locks no longer
ATTEMPTS = 4
CHANNEL = "assent"
NOTIFY_PAUSE = 0.003  # wakes that come within it travel together
NOTIFY_BYTES = 7_500  # a payload must stay under 8000 bytes
PING_SECONDS = 5.0

_CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # its protocol met the server's farewell in the middle of something
    asyncpg.AdminShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    OSError,
)
_AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, *_CONNECTION_LOST)
_FULL = (asyncpg.InsufficientResourcesError, asyncpg.QueryCanceledError)


class _PostgresTx:
    def __init__(self, connection: Any, clock_offset: Callable[[], int]) -> None:
        self._connection = connection
        self._clock_offset = clock_offset

    async def one(self, statement: Statement, /, **params: Any) -> Row | None:
        rendered = for_postgres(statement)
        return cast(Row | None, await self._connection.fetchrow(rendered.sql, *rendered.args(params)))

    async def all(self, statement: Statement, /, **params: Any) -> Sequence[Row]:
        rendered = for_postgres(statement)
        return cast(Sequence[Row], await self._connection.fetch(rendered.sql, *rendered.args(params)))

    async def write(self, *writes: Write) -> list[int]:
        rendered = batch_for_postgres(tuple(write.statement for write in writes))
        row = await self._connection.fetchrow(rendered.sql, *batch_args(rendered, writes))
        touched = [int(count) for count in row.values()]
        check_touched(writes, touched)
        return touched

    async def now(self) -> int:
        return self.clock(await self._connection.fetchval(f"SELECT {NOW}"))

    def clock(self, read: int) -> int:
        return int(read) + self._clock_offset()

    def tell(self, case: Case) -> None:
        """Nobody counts here: see `watched`."""


async def _begin_session(connection: Any) -> None:
    # A process that stands still cannot cancel what it waits for: it would be given one lock after the other, and keep
    # each of them for as long.
    await connection.execute(
        f"SET idle_in_transaction_session_timeout = {IDLE_SECONDS * 1000:.0f};"
        f"SET statement_timeout = {(COMMAND_SECONDS + 1) * 1000:.0f}"
    )


async def _keep_session(_connection: Any) -> None:
    """Nothing else changes a session, so a connection needs no reset (a round trip) when it returns to the pool."""


class PostgresDatabase:
    """The engine beyond one machine: any number of processes on one database."""

    dialect = "postgresql"

    def __init__(self, url: str, clock_offset: Callable[[], int], pool_size: int) -> None:
        self._url = url
        self._clock_offset = clock_offset
        self._pool_size = pool_size
        self._pool: asyncpg.Pool | None = None
        self._under_way: set[asyncio.Task[Any]] = set()
        self._wakes: _Wakes | None = None

    async def start(self, hub: Hub, /) -> None:
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=self._pool_size,
                timeout=5,
                command_timeout=COMMAND_SECONDS,
                statement_cache_size=512,
                init=_begin_session,
                reset=_keep_session,
                server_settings={"application_name": "assent"},
            )
        except (*_CONNECTION_LOST, asyncpg.PostgresError, TimeoutError) as error:
            raise Unavailable(f"the database cannot be reached: {error}") from error
        self._wakes = _Wakes(self._url, self._pool, hub)
        self._wakes.start()

    async def transact(self, body: Body[T], /) -> T:
        return await self._shielded(self._retrying(body, writes=True))

    async def read(self, body: Body[T], /) -> T:
        return await self._retrying(body, writes=False)

    async def poll(self, tenant_id: str, case_id: str, /) -> Polled | None:
        async def body(tx: Tx) -> Polled | None:
            row = await tx.one(POLLED_CASE, tenant_id=tenant_id, case_id=case_id)
            return None if row is None else Polled(row, int(row["polls"]), int(row["left_ms"]))

        return await self._retrying(body, writes=False)

    async def close(self) -> None:
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=COMMAND_SECONDS)
        if self._wakes is not None:
            await self._wakes.stop()
        if self._pool is not None:
            try:
                async with asyncio.timeout(5):
                    await self._pool.close()
            except TimeoutError:
                self._pool.terminate()
            self._pool = None

    async def _shielded(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _retrying(self, body: Body[T], *, writes: bool) -> T:
        for attempt in range(ATTEMPTS):
            try:
                return await self._once(body, writes=writes)
            except TimeoutError:  # also an OSError, but trying again would only lengthen the queue
                raise Unavailable(retry_after=2) from None
            except IdempotencyInFlight:
                # By whom: this very request, whose first connection is gone without the server having noticed yet?
                if attempt in (0, ATTEMPTS - 1):
                    raise
                await asyncio.sleep(0.05 * 2**attempt)
            except _AGAIN as error:
                log.warning("ledger.again", error=repr(error), attempt=attempt)
                await asyncio.sleep(0.05 * 2**attempt)
            except _FULL as error:
                log.error("ledger.unavailable", error=repr(error))
                raise Unavailable(retry_after=2) from error
            except asyncpg.UniqueViolationError as error:
                raise DuplicateKey(error.constraint_name or "") from error
            except asyncpg.DataError as error:  # NUL, lone surrogates, numbers beyond 64 bits
                raise UnfitValue from error
        raise Unavailable(retry_after=2)

    async def _once(self, body: Body[T], *, writes: bool) -> T:
        if self._pool is None:
            raise Unavailable("the database is not open")
        async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            tx = cast(Tx, _PostgresTx(connection, self._clock_offset))
            if not writes:
                return await body(tx)
            async with connection.transaction():
                return await body(tx)


class _Wakes:
    """LISTEN on a connection of its own, NOTIFY in bundles."""

    def __init__(self, url: str, pool: asyncpg.Pool, hub: Hub) -> None:
        self._url, self._pool, self._hub = url, pool, hub
        self._me = secrets.token_hex(8)
        self._outgoing: dict[str, None] = {}
        self._pending = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._hub.relay = self._relay
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._notify())]

    async def stop(self) -> None:
        self._hub.relay = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _relay(self, keys: tuple[str, ...]) -> None:
        self._outgoing.update(dict.fromkeys(keys))
        self._pending.set()

    async def _notify(self) -> None:
        while True:
            await self._pending.wait()
            await asyncio.sleep(NOTIFY_PAUSE)
            self._pending.clear()
            keys, self._outgoing = list(self._outgoing), {}
            try:
                for payload in _bundles(self._me, keys):
                    await self._pool.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
            except (*_AGAIN, asyncpg.PostgresError, TimeoutError) as error:
                log.warning("wakes.not_sent", error=repr(error))  # the others re-scan within a second

    async def _listen(self) -> None:
        while True:
            try:
                connection = await asyncpg.connect(self._url, timeout=5)
                try:
                    gone = asyncio.Event()  # of which a line that is merely dead says nothing
                    connection.add_termination_listener(lambda _, gone=gone: gone.set())
                    await connection.add_listener(CHANNEL, self._heard)
                    self._hub.wake_everybody()
                    while True:
                        with suppress(TimeoutError):
                            await asyncio.wait_for(gone.wait(), PING_SECONDS)
                        await connection.execute("SELECT 1", timeout=PING_SECONDS)
                finally:
                    connection.terminate()
            except (*_AGAIN, asyncpg.PostgresError, TimeoutError) as error:
                log.warning("wakes.lost", error=repr(error))
                await asyncio.sleep(0.5)

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        sender, _, keys = str(payload).partition("\n")
        if sender != self._me:
            self._hub.wake(*keys.split("\n"), local=False)


def _bundles(sender: str, keys: Sequence[str]) -> list[str]:
    bundles, size = [[sender]], 0
    for key in keys:
        if size + len(key) > NOTIFY_BYTES:
            bundles.append([sender])
            size = 0
        bundles[-1].append(key)
        size += len(key) + 1
    return ["\n".join(bundle) for bundle in bundles]
