"""The declared schema of guarded operations: tasks, grants, and the windows in which requests are counted.

As in `tables`: times are BIGINT milliseconds since 1970 (UTC), JSON is TEXT.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text, text

from core.ledger.executor_tables import metadata

__all__ = ["grants", "metadata", "rate_windows", "tasks"]

_AWAITING = "approved_at IS NOT NULL AND dispatched_at IS NULL AND failed_at IS NULL"

# One guarded operation. Who agreed to it is its case's to tell; here is what was asked for, and what became of it.
tasks = Table(
    "tasks",
    metadata,
    Column("case_id", Text, ForeignKey("cases.case_id"), primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),  # the API key that asked: it cannot agree with itself
    Column("operation", Text, nullable=False),
    Column("payload", Text, nullable=False),  # canonical JSON: the operation's arguments
    Column("requested_by", Text),
    Column("digest", Text, nullable=False),  # of all of the above; the case's content carries it too
    Column("verdict", Text, nullable=False),  # what policy said: allow, require, deny
    Column("ruling", Text, nullable=False),  # JSON: which rule of which policy said so, and why
    Column("grant_id", Text),  # the remembered approval that let it through
    Column("link_hash", Text, unique=True),  # of the link that shows the task and decides nothing
    Column("link_sealed", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("approved_at", BigInteger),  # since then it awaits dispatch
    Column("approved_until", BigInteger),  # an approval is not good for ever
    Column("dispatched_at", BigInteger),  # its decision event is written: the approval is consumed
    Column("failed_at", BigInteger),  # refused at dispatch; `failure` says why
    Column("failure", Text),
    CheckConstraint("verdict IN ('allow', 'deny', 'require')", name="verdict"),
    # an approval is consumed once, and never by a task that was refused
    CheckConstraint("dispatched_at IS NULL OR failed_at IS NULL", name="one_end"),
    CheckConstraint("dispatched_at IS NULL OR approved_at IS NOT NULL", name="approved"),
    Index("ix_tasks_tenant_id_created_at", "tenant_id", "created_at", "case_id"),
    Index(
        "ix_tasks_awaiting", "approved_at", postgresql_where=text(_AWAITING), sqlite_where=text(_AWAITING)
    ),
)  # fmt: skip

# Remembered approvals: this operation, with these arguments, until then. The ledger row that made one is
# `interaction_id`.
grants = Table(
    "grants",
    metadata,
    Column("grant_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("payload", Text, nullable=False),  # canonical JSON
    Column("payload_digest", Text, nullable=False),
    Column("reason", Text),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("interaction_id", Text, ForeignKey("human_interactions.interaction_id"), nullable=False, unique=True),
    Column("granted_by", Text, nullable=False),  # JSON
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("revoked_by", Text),  # JSON
    # no approval is remembered for longer than a working day
    CheckConstraint("expires_at > created_at AND expires_at <= created_at + 28800000", name="at_most_8_hours"),
    Index("ix_grants_tenant_id_operation", "tenant_id", "operation", "payload_digest"),
    Index("ix_grants_tenant_id_created_at", "tenant_id", "created_at", "grant_id"),
)

# How many requests were counted in a window, shared by replicas (UNLOGGED on PostgreSQL: losing them in a crash is
# fine; one process on SQLite counts in memory).
rate_windows = Table(
    "rate_windows",
    metadata,
    Column("key", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("ix_rate_windows_expires_at", "expires_at"),
)
