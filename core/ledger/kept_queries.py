"""Statements about the first answers to creating requests, and about who is making one."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

# The first answer, and the key for this transaction where nobody else has it.
TAKE_KEY = Statement(
    "take_key",
    """
    SELECT {now} AS now, base.mine, i.body_hash, i.answer, i.created_at AS kept_at
    FROM (SELECT {try_lock} AS mine) AS base
    LEFT JOIN idempotency i ON i.tenant_id = :tenant_id AND i.door = :door AND i.key = :key
    """,
)
# The first answer, for whoever only reads.
KEPT_ANSWER = Statement(
    "kept_answer",
    """
    SELECT {now} AS now, body_hash, answer, created_at AS kept_at FROM idempotency
    WHERE tenant_id = :tenant_id AND door = :door AND key = :key
    """,
)
INSERT_IDEMPOTENCY = insert("idempotency", "tenant_id door key body_hash answer created_at")
# An answer that is too old to be given again makes room.
DROP_ANSWER = Statement(
    "drop_answer",
    "DELETE FROM idempotency WHERE tenant_id = :tenant_id AND door = :door AND key = :key AND created_at = :kept_at",
)
FORGET_IDEMPOTENCY = Statement("forget_idempotency", "DELETE FROM idempotency WHERE created_at < :before")

# --- work that is not done in a transaction: its key is taken by a lease ---

END_LEASE = Statement("end_lease", "DELETE FROM leases WHERE name = :name AND holder = :holder")
FORGET_LEASES = Statement("forget_leases", "DELETE FROM leases WHERE name LIKE 'once:%' AND until < :before")
