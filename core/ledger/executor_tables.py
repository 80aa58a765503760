"""The declared schema of what executors leave behind: claims.

As in `tables`: times are BIGINT milliseconds since 1970 (UTC), JSON is TEXT.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Table, Text

from core.ledger.outbox_tables import metadata

__all__ = ["claims", "metadata"]

# Who may act on a decision event. Rows are never changed and never deleted: a claim that could be given back could be
# given twice.
claims = Table(
    "claims",
    metadata,
    # one claim per event: two executors can never both act on it
    Column("event_id", Text, ForeignKey("decision_events.event_id"), primary_key=True),
    Column("claim_id", Text, nullable=False, unique=True),
    Column("tenant_id", Text, nullable=False),
    Column("claimer_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),  # the API key that claimed, for the audit
    Column("final_digest", Text, nullable=False),
    Column("claimed_at", BigInteger, nullable=False),
    CheckConstraint("length(claimer_id) BETWEEN 1 AND 200", name="claimer_id"),
)
