"""The declared schema of the executors' door: review tasks, and what executors leave behind (claims).

As in `tables`: times are BIGINT milliseconds since 1970 (UTC), JSON is TEXT.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text

from core.ledger.outbox_tables import metadata

__all__ = ["claims", "metadata", "review_tasks"]

# Which cases are review tasks, and what their lists are filtered by; all else is the case's own.
review_tasks = Table(
    "review_tasks",
    metadata,
    Column("case_id", Text, ForeignKey("cases.case_id"), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("service_id", Text, nullable=False),
    Column("action_type", Text, nullable=False),
    Column("risk_level", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("risk_level IN ('critical', 'high', 'low', 'medium')", name="risk_level"),
    # newest first, in an order that rows which are added later do not change
    Index("ix_review_tasks_tenant_id_created_at", "tenant_id", "created_at", "case_id"),
)

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
