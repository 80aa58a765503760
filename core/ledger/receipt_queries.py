"""What proves an answer: its ledger row, and the first seal that covers it."""

from __future__ import annotations

from core.ledger.statements import Statement

RECEIPT = Statement(
    "receipt",
    """
    SELECT i.*, s.seal_no, s.last_position, s.chain_hash, s.sealed_at, s.key_id, s.signature,
           x.payload AS erasure, x.created_at AS erasure_at,
           c.content, c.terms, c.result, c.answered, c.working, c.content_digest AS asked_digest
    FROM human_interactions i JOIN cases c ON c.case_id = i.case_id
    LEFT JOIN seals s ON s.tenant_id = i.tenant_id AND s.last_position = (
        SELECT min(c.last_position) FROM seals c WHERE c.tenant_id = i.tenant_id AND c.last_position >= i.position)
    LEFT JOIN human_interactions x ON x.workflow_id = i.workflow_id AND x.gate_key = i.gate_key
        AND x.topic = 'sys:erase' AND x.dedupe_key = 'erase'
    WHERE i.interaction_id = :interaction_id
    """,
)
