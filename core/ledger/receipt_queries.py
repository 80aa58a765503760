"""What proves an answer: its ledger row, and the first seal that covers it."""

from __future__ import annotations

from core.ledger.statements import Statement

RECEIPT = Statement(
    "receipt",
    """
    SELECT i.*, s.seal_no, s.last_position, s.chain_hash, s.sealed_at, s.key_id, s.signature
    FROM human_interactions i
    LEFT JOIN seals s ON s.tenant_id = i.tenant_id AND s.last_position = (
        SELECT min(c.last_position) FROM seals c WHERE c.tenant_id = i.tenant_id AND c.last_position >= i.position)
    WHERE i.interaction_id = :interaction_id
    """,
)
