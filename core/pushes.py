"""What was pushed to a source's webhook, and what to do about it: look, try it out, pause, resume, replay."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.deliveries import Attempt, Deliveries, Listed, kept
from core.errors import InvalidToken, NotFound, Unavailable
from core.hub import Hub
from core.kept import transact_once, work_once
from core.ledger import Database, Row, Tx, Write
from core.ledger import source_queries as q
from core.ledger.delivery_queries import REPLAY_RANGE
from core.model import Idempotency, Repeated, Source
from core.rows import source_of
from core.schedule import MINUTE
from core.sealing import KeyRing, Unsealable
from core.sending import Meaning, Sender, meaning
from core.webhooks import trial

FEW_ATTEMPTS = 5
PAUSED = "paused by an admin"
PASS_MINUTES = 15
_ABOUT = "operators page"
_END = 9_007_199_254_740_991
_FIRST_PAGE = (_END, "")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a webhook's endpoint stands. `failures` in a row; nothing is tried before `open_until`."""

    state: str
    reason: str | None
    failures: int
    open_until: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """How many deliveries of a webhook wait and have failed, the newest attempt, and when the next one is."""

    waiting: int
    failed: int
    last: Attempt | None
    next_at: int | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A source with the standing of its webhook; `traffic` where it was asked for."""

    source: Source
    standing: Standing | None
    traffic: Traffic | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """A delivery with its last few attempts, the newest first."""

    delivery: Listed
    attempts: Sequence[Attempt]


@dataclass(frozen=True, slots=True)
class Failed:
    """Which failed deliveries: those of `ids` (their own, or their events'), else those made from `since` to before
    `until`.
    """

    ids: Sequence[str] | None = None
    since: int = 0
    until: int = _END


@dataclass(frozen=True, slots=True)
class Trial:
    """What an endpoint answered to a test: `response` truncated and redacted, `error` in plain words."""

    message_id: str
    accepted: bool
    status: int | None
    response: str | None
    error: str | None
    took_ms: int


class Pushes:
    """`sender`: for tests; a process without one cannot make any."""

    def __init__(self, database: Database, keys: KeyRing, hub: Hub, sender: Sender | None = None) -> None:
        self._database = database
        self._keys = keys
        self._hub = hub
        self._sender = sender
        self._deliveries = Deliveries(database, {})

    async def show(self, tenant_id: str, source_id: str) -> Shown:
        """Raises NotFound."""

        async def body(tx: Tx) -> Shown:
            return await shown(tx, tenant_id, source_id)

        return await self._database.read(body)

    async def all(self, tenant_id: str) -> list[Shown]:
        """Every source of a tenant, the oldest first."""

        async def body(tx: Tx) -> list[Shown]:
            return [
                Shown(source_of(row), _standing(row))
                for row in await tx.all(q.SOURCES_WITH_ENDPOINT, tenant_id=tenant_id)
            ]

        return await self._database.read(body)

    async def listing(
        self,
        tenant_id: str,
        source_id: str,
        *,
        state: str | None = None,
        after: tuple[int, str] | None = None,
        limit: int = 50,
    ) -> list[Pushed]:
        """Deliveries, the newest first; `after`: when the last one of the page before was made, and its id. Raises
        NotFound.
        """
        made, delivery_id = after or _FIRST_PAGE

        async def body(tx: Tx) -> list[Pushed]:
            await _found(tx, tenant_id, source_id)
            place = {"made": made, "delivery_id": delivery_id}
            rows = await tx.all(q.DELIVERIES_OF, endpoint_id=source_id, state=state, limit=limit, **place)
            ids = json.dumps([row["delivery_id"] for row in rows])
            attempts = defaultdict[str, list[Attempt]](list)
            for row in await tx.all(q.RECENT_ATTEMPTS, delivery_ids=ids, few=FEW_ATTEMPTS):
                attempts[row["delivery_id"]].append(_attempt(row))
            return [Pushed(_listed(row), attempts[row["delivery_id"]]) for row in rows]

        return await self._database.read(body)

    async def trial_once(
        self, tenant_id: str, source_id: str, once: Idempotency | None, render: Callable[[Trial], str]
    ) -> str:
        """As `trial`, with the answer to the first such request. Raises IdempotencyMismatch, IdempotencyInFlight."""

        async def work() -> str:
            return render(await self.trial(tenant_id, source_id))

        return await work_once(self._database, self._keys, tenant_id, once, work)

    async def trial(self, tenant_id: str, source_id: str) -> Trial:
        """Send a test at once, wherever events stand, and say what came back. Raises NotFound, InvalidInput,
        Unavailable.
        """
        if self._sender is None:
            raise Unavailable("this process sends nothing")

        async def body(tx: Tx) -> tuple[Source, int]:
            return source_of(await _found(tx, tenant_id, source_id)), await tx.now()

        source, now = await self._database.read(body)
        outgoing = trial(source, now, self._keys)
        receipt = await self._sender.send(outgoing)
        accepted = meaning(receipt) is Meaning.DELIVERED
        return Trial(
            message_id=outgoing.headers["webhook-id"],
            accepted=accepted,
            status=receipt.status,
            response=kept(receipt.response),
            error=None if accepted else receipt.error or f"the receiver answered {receipt.status}",
            took_ms=receipt.took_ms,
        )

    async def new_pass(self, source_id: str) -> str:
        """What lets whoever holds it see and switch this source's webhook, for a while. Raises NotFound."""

        async def body(tx: Tx) -> tuple[str, int]:
            row = await tx.one(q.OWNER, source_id=source_id)
            if row is None:
                raise NotFound("there is no such source")
            return row["tenant_id"], await tx.now()

        tenant_id, now = await self._database.read(body)
        until = now + PASS_MINUTES * MINUTE
        return self._keys.seal(json.dumps([tenant_id, source_id, until]), about=_ABOUT)

    async def admitted(self, given: str) -> tuple[str, str]:
        """The tenant and the source that a pass is for. Raises InvalidToken for one that is too old or none at all."""
        try:
            tenant_id, source_id, until = json.loads(self._keys.unseal(given, about=_ABOUT))
        except Unsealable:
            raise InvalidToken from None

        async def body(tx: Tx) -> int:
            return await tx.now()

        if await self._database.read(body) >= until:
            raise InvalidToken
        return tenant_id, source_id

    async def pause(self, tenant_id: str, source_id: str) -> None:
        """Raises NotFound, also when there is no webhook."""
        await self._check(tenant_id, source_id)
        await self._deliveries.pause(source_id, PAUSED)

    async def resume(self, tenant_id: str, source_id: str) -> None:
        """Push again, why ever it was not done. Raises NotFound, also when there is no webhook."""
        await self._check(tenant_id, source_id)
        await self._deliveries.resume(source_id)
        self._hub.wake("deliveries")

    async def replay(self, tenant_id: str, source_id: str, which: Failed) -> int:
        """Try failed deliveries again; how many had failed. Raises NotFound."""
        return int(await self.replay_once(tenant_id, source_id, which, None, str))

    async def replay_once(
        self, tenant_id: str, source_id: str, which: Failed, once: Idempotency | None, render: Callable[[int], str]
    ) -> str:
        """As `replay`, with the answer to the first such request. Raises IdempotencyMismatch, IdempotencyInFlight."""

        async def body(tx: Tx) -> int:
            standing = _standing(await _found(tx, tenant_id, source_id))
            params = {"endpoint_id": source_id, "now": await tx.now()}
            if which.ids is not None:
                write = Write(q.REPLAY_OF, {**params, "ids": json.dumps(list(which.ids))}, rows=None)
            elif standing is None:
                raise NotFound("this source has no webhook")
            else:
                write = Write(REPLAY_RANGE, {**params, "since": which.since, "until": which.until}, rows=None)
            (count,) = await tx.write(write)
            return count

        answer = await transact_once(self._database, self._keys, tenant_id, once, body, render)
        self._hub.wake("deliveries")
        return answer.answer if isinstance(answer, Repeated) else render(answer)

    async def _check(self, tenant_id: str, source_id: str) -> None:
        async def body(tx: Tx) -> None:
            if _standing(await _found(tx, tenant_id, source_id)) is None:
                raise NotFound("this source has no webhook")

        await self._database.read(body)


async def shown(tx: Tx, tenant_id: str, source_id: str) -> Shown:
    """A source as it stands. Raises NotFound."""
    row = await _found(tx, tenant_id, source_id)
    standing = _standing(row)
    if standing is None:
        return Shown(source_of(row), None)
    counts = await tx.one(q.STANDING, endpoint_id=source_id)
    last = await tx.one(q.LAST_ATTEMPT, endpoint_id=source_id)
    assert counts is not None
    next_at = None
    if counts["due_at"] is not None and standing.state == "active":
        next_at = max(int(counts["due_at"]), standing.open_until)
    traffic = Traffic(counts["waiting"], counts["failed"], None if last is None else _attempt(last), next_at)
    return Shown(source_of(row), standing, traffic)


async def _found(tx: Tx, tenant_id: str, source_id: str) -> Row:
    row = await tx.one(q.SOURCE_WITH_ENDPOINT, source_id=source_id, tenant_id=tenant_id)
    if row is None:
        raise NotFound("there is no such source")
    return row


def _standing(row: Row) -> Standing | None:
    if row["endpoint_state"] is None:
        return None
    return Standing(row["endpoint_state"], row["endpoint_reason"], row["failures"], row["open_until"])


def _attempt(row: Row) -> Attempt:
    return Attempt(**{name: row[name] for name in Attempt.__slots__})


def _listed(row: Row) -> Listed:
    return Listed(**{name: row[name] for name in Listed.__slots__})
