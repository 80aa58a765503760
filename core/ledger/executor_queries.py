"""The statements of executors: the events that they pull and ack, and the claims of those that act."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

PULL = Statement(
    "pull",
    """
    SELECT event_id, body, position FROM decision_events
    WHERE source_id = :source_id AND position > :after AND acked_at IS NULL
    ORDER BY position LIMIT :limit
    """,
)
ACK = Statement(
    "ack",
    """
    UPDATE decision_events SET acked_at = COALESCE(acked_at, :now)
    WHERE event_id = :event_id AND source_id = :source_id AND tenant_id = :tenant_id
    """,
)

# --- claims ----------------------------------------------------------------------------------------------------------

# All that a claim is judged by. The verdict is the decision's own; the event's body is what executors were handed.
CLAIM_FACTS = Statement(
    "claim_facts",
    """
    SELECT e.body, d.verdict, c.settles_at FROM decision_events e
    JOIN decisions d ON d.case_id = e.case_id
    JOIN cases c ON c.case_id = e.case_id
    WHERE e.event_id = :event_id AND e.source_id = :source_id AND e.tenant_id = :tenant_id
    """,
)
# Whoever comes second waits for the first one's commit and then writes nothing.
INSERT_CLAIM = insert(
    "claims",
    "event_id claim_id tenant_id claimer_id key_id final_digest claimed_at",
    conflict="ON CONFLICT (event_id) DO NOTHING",
)
CLAIM = Statement("claim", "SELECT * FROM claims WHERE event_id = :event_id")
