"""Deliveries: what leaves for webhooks and callbacks, from rows that were written with what they tell of.

Claims are leases with a fencing number, as for cards: a courier that is killed, or stopped past its lease and resumed,
changes nothing that another has done since. What is sent at least once has the same bytes and message id every time.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.errors import AssentError, NotFound
from core.lanes import PER_ENDPOINT, Lane, circuit_after_failure
from core.ledger import Database, Row, Tx, Write
from core.ledger import delivery_queries as q
from core.schedule import RETRY_AFTER_CAP
from core.sending import Kind, Meaning, Outgoing, Receipt, Unsendable, meaning
from core.wording import visible

LEASE_MS = 60_000  # longer than the longest attempt
WINDOW = 500  # lanes that are looked at in one go
MAX_KEPT = 2_000  # characters of a receiver's answer

# Bounded everywhere: receivers write what this is held against.
_SECRETS = re.compile(
    r"""
    \bak_[\w-]{8,} | \bwhsec_[\w+/=-]+ | \bxox[a-z]-[\w-]+ | \beyJ[\w-]+(?:\.[\w-]*){1,2}
    | (?<=\bbearer\s)[^\s"',;]+ | (?<=\bbasic\s)[^\s"',;]+
    | (?<=\bvalue=)[\w-]{43}\b | (?<=\bsha256=)[0-9a-f]{64}\b
    | (?:passw(?:or)?d|secret|token|api_?key|authorization|cookie|credential|access_id)[\w-]{0,20}"?
      \s{0,3}[:=]\s{0,3}(?:"(?:[^"\\]|\\.)*"?|[^\s&,;"]+)
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that is this caller's until its lease ends. `outgoing` is what to send, or why it cannot be sent.

    `attempts` counts this one; `lease` is the fencing number. `probe`: the one try that half-opens a circuit.
    """

    delivery_id: str
    tenant_id: str
    endpoint_id: str
    kind: str
    case_id: str | None
    message_id: str
    attempts: int
    lease: int
    probe: bool
    created_at: int
    claimed_at: int
    outgoing: Outgoing | Unsendable


@dataclass(frozen=True, slots=True)
class Listed:
    """A delivery as operators see it."""

    delivery_id: str
    tenant_id: str
    endpoint_id: str
    kind: str
    case_id: str | None
    url: str | None
    message_id: str
    state: str
    attempts: int
    due_at: int
    created_at: int
    finished_at: int | None
    last_status: int | None
    last_error: str | None
    endpoint_state: str
    endpoint_reason: str | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as it was noted down. `response` is truncated and redacted."""

    number: int
    started_at: int
    took_ms: int
    status: int | None
    response: str | None
    error: str | None


class Deliveries:
    """`kinds`: how each kind is made up. `jitter` draws from [0, 1)."""

    def __init__(
        self,
        database: Database,
        kinds: Mapping[str, Kind],
        *,
        lease_ms: int = LEASE_MS,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._kinds = kinds
        self._lease_ms = lease_ms
        self._jitter = jitter

    async def look(self, after: str = "", window: int = WINDOW) -> tuple[int, list[Lane]]:
        """The time, and the lanes after endpoint `after` in the order of their ids, up to `window` of them."""

        async def body(tx: Tx) -> tuple[int, list[Lane]]:
            now = await tx.now()
            rows = await tx.all(q.LANES, after=after, window=window, now=now, few=PER_ENDPOINT)
            # Between the look at an endpoint's index entries and that at its rows the last one may have gone.
            return now, [_lane(row) for row in rows if row["due_at"] is not None]

        return await self._database.read(body)

    async def claim(self, picked: Sequence[tuple[Lane, str]]) -> list[Claimed]:
        """Claim deliveries that were picked; those that somebody else has claimed meanwhile are left out."""

        async def body(tx: Tx) -> tuple[int, list[tuple[Row, Row | None]], set[str]]:
            now = await tx.now()
            until = now + self._lease_ms
            probes, ids = set[str](), list[str]()
            for lane, delivery_id in picked:
                if lane.tripped:
                    take = {"endpoint_id": lane.endpoint_id, "now": now, "until": until}
                    if await tx.write(Write(q.TAKE_PROBE, take, rows=None)) != [1]:
                        continue
                    probes.add(lane.endpoint_id)
                ids.append(delivery_id)
            rows = await tx.all(q.CLAIM_DELIVERIES, delivery_ids=json.dumps(ids), now=now, lease_until=until)
            facts = await self._facts(tx, rows)
            return now, [(row, facts.get(row["delivery_id"])) for row in rows], probes

        if not picked:
            return []
        now, found, probes = await self._database.transact(body)
        return [self._claimed(row, facts, now, probe=row["endpoint_id"] in probes) for row, facts in found]

    async def _facts(self, tx: Tx, rows: Sequence[Row]) -> dict[str, Row]:
        by_kind: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            by_kind[row["kind"]].append(row["delivery_id"])
        found = {}
        for kind, ids in by_kind.items():
            if kind in self._kinds:
                for row in await tx.all(self._kinds[kind].facts, delivery_ids=json.dumps(ids)):
                    found[str(row["delivery_id"])] = row
        return found

    def _claimed(self, row: Row, facts: Row | None, now: int, *, probe: bool) -> Claimed:
        return Claimed(
            delivery_id=row["delivery_id"],
            tenant_id=row["tenant_id"],
            endpoint_id=row["endpoint_id"],
            kind=row["kind"],
            case_id=row["case_id"],
            message_id=row["message_id"],
            attempts=row["attempts"],
            lease=row["lease"],
            probe=probe,
            created_at=row["created_at"],
            claimed_at=now,
            outgoing=self._outgoing(row, facts, now),
        )

    def _outgoing(self, row: Row, facts: Row | None, now: int) -> Outgoing | Unsendable:
        if facts is None:
            return Unsendable(f"deliveries of kind {row['kind']} cannot be sent here")
        try:
            return self._kinds[row["kind"]].render(row, facts, now)
        except Unsendable as problem:
            return problem
        except AssentError as problem:
            return Unsendable(problem.message)

    async def save(self, claimed: Claimed, receipt: Receipt) -> Meaning | None:
        """Note down what came of an attempt, and what follows from it for the delivery and its endpoint. None when the
        lease was lost meanwhile: then nothing was changed. A retry that is no longer due counts as refused.
        """
        assert isinstance(claimed.outgoing, Outgoing)
        outgoing, meant = claimed.outgoing, meaning(receipt)
        wait = None
        if meant is Meaning.RETRY:
            wait = outgoing.retries.delay_after(claimed.attempts, self._jitter(), retry_after=receipt.retry_after_ms)
        error = None if meant is Meaning.DELIVERED else receipt.error or f"the receiver answered {receipt.status}"
        attempt = {
            "delivery_id": claimed.delivery_id,
            "number": claimed.lease,
            "started_at": claimed.claimed_at,
            "took_ms": receipt.took_ms,
            "status": receipt.status,
            "response": kept(receipt.response) if outgoing.keep_response else None,
            "error": error,
        }

        async def body(tx: Tx) -> bool:
            now = await tx.now()
            if not await _finish(tx, claimed, meant, now, wait=wait, status=receipt.status, error=error):
                return False
            await tx.write(Write(q.INSERT_ATTEMPT, attempt, rows=None), *await _endpoint(tx, claimed, receipt, now))
            return True

        if not await self._database.transact(body):
            return None
        return Meaning.REFUSED if meant is Meaning.RETRY and wait is None else meant

    async def give_up(self, claimed: Claimed, reason: str) -> bool:
        """Nothing was sent and nothing will be; False when the lease was lost meanwhile."""

        async def body(tx: Tx) -> bool:
            now = await tx.now()
            if not await _finish(tx, claimed, Meaning.REFUSED, now, wait=None, status=None, error=reason):
                return False
            row = await tx.one(q.LOCK_ENDPOINT, endpoint_id=claimed.endpoint_id)
            assert row is not None
            if claimed.probe:  # it said nothing of the endpoint: the next one may try
                await tx.write(moved(claimed.endpoint_id, row["state"], row["reason"], row["failures"], now, now))
            return True

        return await self._database.transact(body)

    # --- for operators ---

    async def listing(
        self,
        *,
        state: str | None = None,
        endpoint_id: str | None = None,
        tenant_id: str | None = None,
        limit: int = 50,
    ) -> list[Listed]:
        """The newest deliveries, and how their endpoints stand."""

        async def body(tx: Tx) -> list[Listed]:
            params = {"state": state, "endpoint_id": endpoint_id, "tenant_id": tenant_id, "limit": limit}
            rows = await tx.all(q.LIST_DELIVERIES, **params)
            return [Listed(**{name: row[name] for name in Listed.__slots__}) for row in rows]

        return await self._database.read(body)

    async def attempts(self, delivery_id: str) -> list[Attempt]:
        async def body(tx: Tx) -> list[Attempt]:
            rows = await tx.all(q.ATTEMPTS, delivery_id=delivery_id)
            return [Attempt(**{name: row[name] for name in Attempt.__slots__}) for row in rows]

        return await self._database.read(body)

    async def replay(self, delivery_ids: Sequence[str]) -> int:
        """Try these failed deliveries again, on a new schedule; how many had failed."""

        async def body(tx: Tx) -> int:
            params = {"delivery_ids": json.dumps(list(delivery_ids)), "now": await tx.now()}
            (count,) = await tx.write(Write(q.REPLAY_DELIVERIES, params, rows=None))
            return count

        return await self._database.transact(body)

    async def replay_range(self, since: int, until: int, endpoint_id: str | None = None) -> int:
        """Try again what failed of the deliveries made from `since` to before `until`; how many."""

        async def body(tx: Tx) -> int:
            params = {"since": since, "until": until, "endpoint_id": endpoint_id, "now": await tx.now()}
            (count,) = await tx.write(Write(q.REPLAY_RANGE, params, rows=None))
            return count

        return await self._database.transact(body)

    async def pause(self, endpoint_id: str, reason: str = "paused by an operator") -> None:
        """Send nothing there until `resume`. Raises NotFound."""
        await self._move(endpoint_id, "paused", reason)

    async def resume(self, endpoint_id: str) -> None:
        """Send there again, whyever it was not active; its circuit is closed. Raises NotFound."""
        await self._move(endpoint_id, "active", None)

    async def _move(self, endpoint_id: str, state: str, reason: str | None) -> None:
        async def body(tx: Tx) -> None:
            if await tx.one(q.LOCK_ENDPOINT, endpoint_id=endpoint_id) is None:
                raise NotFound("there is no such endpoint")
            await tx.write(moved(endpoint_id, state, reason, 0, 0, await tx.now()))

        await self._database.transact(body)


def _lane(row: Row) -> Lane:
    return Lane(
        endpoint_id=row["endpoint_id"],
        tenant_id=row["tenant_id"],
        active=row["state"] == "active",
        failures=row["failures"],
        open_until=row["open_until"],
        due_at=row["due_at"],
        due=tuple(json.loads(row["due"] or "[]")),
    )


async def _finish(
    tx: Tx, claimed: Claimed, meant: Meaning, now: int, *, wait: int | None, status: int | None, error: str | None
) -> bool:
    state = "delivered" if meant is Meaning.DELIVERED else "failed" if wait is None else "waiting"
    params = {
        "delivery_id": claimed.delivery_id,
        "lease": claimed.lease,
        "state": state,
        "due_at": now + (wait or 0),
        "finished_at": None if state == "waiting" else now,
        "status": status,
        "error": error,
    }
    return await tx.write(Write(q.SAVE_DELIVERY, params, rows=None)) == [1]


async def _endpoint(tx: Tx, claimed: Claimed, receipt: Receipt, now: int) -> list[Write]:
    """What an attempt says of the endpoint. A receiver that refuses one message works; one that says 410 is gone."""
    meant = meaning(receipt)
    if meant in (Meaning.DELIVERED, Meaning.REFUSED):
        return [Write(q.ENDPOINT_WORKS, {"endpoint_id": claimed.endpoint_id, "now": now}, rows=None)]
    row = await tx.one(q.LOCK_ENDPOINT, endpoint_id=claimed.endpoint_id)
    assert row is not None
    if meant is Meaning.GONE:
        reason = "the receiver answered 410: nothing is wanted there any more"
        return [moved(claimed.endpoint_id, "disabled", reason, row["failures"], row["open_until"], now)]
    failures, open_until = circuit_after_failure(row["failures"], row["open_until"], now, probe=claimed.probe)
    if receipt.retry_after_ms is not None:
        open_until = max(open_until, now + min(receipt.retry_after_ms, RETRY_AFTER_CAP))
    return [moved(claimed.endpoint_id, row["state"], row["reason"], failures, open_until, now)]


def moved(endpoint_id: str, state: str, reason: str | None, failures: int, open_until: int, now: int) -> Write:
    """An endpoint as it stands from now on."""
    return Write(
        q.MOVE_ENDPOINT,
        {
            "endpoint_id": endpoint_id,
            "state": state,
            "reason": reason,
            "failures": failures,
            "open_until": open_until,
            "now": now,
        },
    )


def kept(response: str) -> str | None:
    """What is kept of a receiver's answer: without what looks like a secret, and not all of a long one."""
    if not response:
        return None
    text = visible(_SECRETS.sub("[redacted]", response[:MAX_KEPT]))
    return text if len(response) <= MAX_KEPT else text + " …"
