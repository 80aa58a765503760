"""Creating requests that are safe to send twice: their first answer is kept (sealed) under their Idempotency-Key, and a
repetition gets it back.

The answer is written by the transaction that creates, so there is never one without the other. Until that commits the
key is its own: on PostgreSQL by an advisory lock, taken by the statement that looks the answer up, which goes with the
transaction or its connection, so that whoever died lets go by itself; on SQLite because transactions take turns. The
lock spares waiting, no more: should two come through (a snapshot may be older than the lock), the unique key decides,
and whoever finds it taken looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from hashlib import sha256
from typing import Any, TypeVar

from core.checkpoints import checkpoint
from core.errors import IdempotencyInFlight, IdempotencyMismatch
from core.ledger import Body, Database, DuplicateKey, Row, Tx, Write
from core.ledger import kept_queries as k
from core.ledger import lease_queries as lq
from core.model import Idempotency, Repeated
from core.schedule import DAY, SECOND
from core.sealing import KeyRing
from core.tokens import new_id

T = TypeVar("T")

ANSWERS_KEPT = DAY  # contract: an Idempotency-Key holds for 24 h


async def transact_once(
    database: Database,
    keys: KeyRing,
    tenant_id: str,
    once: Idempotency | None,
    body: Body[T],
    render: Callable[[T], str],
) -> T | Repeated:
    """Run `body` in a transaction that also keeps the answer (`render` of what it made); Repeated with the first answer
    when the request came before. Errors change nothing and are not kept. Raises IdempotencyMismatch,
    IdempotencyInFlight, and DuplicateKey where `body` itself writes a key that is taken.
    """

    async def whole(tx: Tx) -> T | Repeated:
        if (first := await kept_answer(tx, keys, tenant_id, once)) is not None:
            return Repeated(first)
        made = await body(tx)
        if once is not None:
            await tx.write(keep_answer(keys, tenant_id, once, render(made), await tx.now()))
        checkpoint("once.before_commit")
        return made

    try:
        return await database.transact(whole)
    except DuplicateKey:
        if once is None:
            raise
        return await database.transact(whole)


async def work_once(
    database: Database,
    keys: KeyRing,
    tenant_id: str,
    once: Idempotency | None,
    work: Callable[[], Coroutine[Any, Any, str]],
    lease_ms: int = 30 * SECOND,
) -> str:
    """The answer that `work` gives, or gave the first time. For what is done outside of any transaction: its key is
    taken by a lease, and whoever dies over it keeps it for `lease_ms`, the longest that `work` may take. Raises
    IdempotencyMismatch, IdempotencyInFlight.
    """
    if once is None:
        return await work()
    lease = {"name": f"once:{_lock_of(tenant_id, once)}", "holder": new_id()}

    async def begin(tx: Tx) -> str | None:
        if (first := await kept_answer(tx, keys, tenant_id, once)) is not None:
            return first
        now = await tx.now()
        if await tx.write(Write(lq.TAKE_LEASE, {**lease, "until": now + lease_ms, "now": now}, rows=None)) != [1]:
            raise IdempotencyInFlight
        return None

    async def end(tx: Tx) -> None:
        await tx.write(Write(k.END_LEASE, lease, rows=None))

    first = await database.transact(begin)
    if first is not None:
        return first
    try:
        answer = await work()
        kept = await transact_once(database, keys, tenant_id, once, _nothing, lambda _: answer)
    finally:
        await database.transact(end)
    return kept.answer if isinstance(kept, Repeated) else answer


async def _nothing(_tx: Tx) -> None:
    return None


async def kept_answer(tx: Tx, keys: KeyRing, tenant_id: str, once: Idempotency | None) -> str | None:
    """The first answer to this request, if it came before; else None, and the key is this transaction's. Raises
    IdempotencyMismatch when another body came, IdempotencyInFlight while another transaction has the key.
    """
    if once is None:
        return None
    found = await tx.one(k.TAKE_KEY, tenant_id=tenant_id, **key_params(tenant_id, once))
    assert found is not None
    return await answer_in(found, tx, keys, tenant_id, once)


async def known_answer(tx: Tx, keys: KeyRing, tenant_id: str, once: Idempotency | None) -> str | None:
    """As `kept_answer`, for whoever only reads: the key is neither taken nor asked for."""
    if once is None:
        return None
    params = key_params(tenant_id, once)
    found = await tx.one(k.KEPT_ANSWER, tenant_id=tenant_id, door=params["door"], key=params["key"])
    return None if found is None else _answer(found, tx, keys, tenant_id, once)


def key_params(tenant_id: str, once: Idempotency | None) -> dict[str, Any]:
    """What a statement with `{try_lock}` is to look up and to take; without a key neither."""
    if once is None:
        return {"door": "", "key": "", "lock": None}
    return {"door": once.door, "key": once.key, "lock": _lock_of(tenant_id, once)}


async def answer_in(found: Row, tx: Tx, keys: KeyRing, tenant_id: str, once: Idempotency) -> str | None:
    """As `kept_answer`, from the row that a statement with `{try_lock}` has given."""
    answer = _answer(found, tx, keys, tenant_id, once)
    if answer is not None:  # whoever has the key at this moment is only looking, too
        return answer
    if found["mine"] is False:
        raise IdempotencyInFlight
    if found["answer"] is not None:
        stale = {"tenant_id": tenant_id, "door": once.door, "key": once.key, "kept_at": found["kept_at"]}
        await tx.write(Write(k.DROP_ANSWER, stale, rows=None))
    return None


def _answer(found: Row, tx: Tx, keys: KeyRing, tenant_id: str, once: Idempotency) -> str | None:
    if found["answer"] is None or tx.clock(found["now"]) >= found["kept_at"] + ANSWERS_KEPT:
        return None
    if found["body_hash"] != once.body_hash:
        raise IdempotencyMismatch
    return keys.unseal(found["answer"], about=_kept_under(tenant_id, once))


def keep_answer(keys: KeyRing, tenant_id: str, once: Idempotency, answer: str, now: int) -> Write:
    """The write that keeps an answer, for a transaction that has the key by `kept_answer`."""
    row = {
        "tenant_id": tenant_id,
        "door": once.door,
        "key": once.key,
        "body_hash": once.body_hash,
        "answer": keys.seal(answer, about=_kept_under(tenant_id, once)),
        "created_at": now,
    }
    return Write(k.INSERT_IDEMPOTENCY, row)


def _kept_under(tenant_id: str, once: Idempotency) -> str:
    """What the sealed answer is bound to."""
    return f"{tenant_id}:{once.door}:{once.key}"


def _lock_of(tenant_id: str, once: Idempotency) -> int:
    """The key as a number of 64 bits. Should two ever share one, they are not under way at the same time; no more."""
    hashed = sha256("\n".join((tenant_id, once.door, once.key)).encode()).digest()
    return int.from_bytes(hashed[:8], "big", signed=True)
