"""Answers to creating requests, kept (sealed) under their Idempotency-Key, so that a repetition gets the first one."""

from __future__ import annotations

from core.errors import IdempotencyMismatch
from core.ledger import Tx, Write
from core.ledger import flow_queries as f
from core.ledger import queries as q
from core.model import Idempotency
from core.sealing import KeyRing


async def kept_answer(tx: Tx, keys: KeyRing, tenant_id: str, once: Idempotency | None) -> str | None:
    """The first answer to this request, if it came before. Raises IdempotencyMismatch when another body came."""
    if once is None:
        return None
    row = await tx.one(f.KEPT_ANSWER, tenant_id=tenant_id, door=once.door, key=once.key)
    if row is None:
        return None
    if row["body_hash"] != once.body_hash:
        raise IdempotencyMismatch
    return keys.unseal(row["answer"], about=kept_under(tenant_id, once))


def keep_answer(keys: KeyRing, tenant_id: str, once: Idempotency, answer: str, now: int) -> Write:
    row = {
        "tenant_id": tenant_id,
        "door": once.door,
        "key": once.key,
        "body_hash": once.body_hash,
        "answer": keys.seal(answer, about=kept_under(tenant_id, once)),
        "created_at": now,
    }
    return Write(q.INSERT_IDEMPOTENCY, row)


def kept_under(tenant_id: str, once: Idempotency) -> str:
    """What the sealed answer is bound to."""
    return f"{tenant_id}:{once.door}:{once.key}"
