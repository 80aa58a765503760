"""The declared schema of what leaves the process: webhooks and callbacks (deliveries), messages beside cards (notices).

As in `tables`: times are BIGINT milliseconds since 1970 (UTC), JSON is TEXT.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from core.ledger.tables import metadata

__all__ = ["deliveries", "delivery_attempts", "endpoints", "metadata", "notices"]

# Where deliveries go: a source's webhook (`src_…`), or one callback URL of one tenant.
endpoints = Table(
    "endpoints",
    metadata,
    Column("endpoint_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),  # why it is not active
    Column("failures", Integer, nullable=False),  # in a row; the circuit opens on them
    Column("open_until", BigInteger, nullable=False),  # while the circuit is open nothing is tried
    Column("changed_at", BigInteger, nullable=False),
    CheckConstraint("state IN ('active', 'disabled', 'paused')", name="state"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("kind", Text, nullable=False),  # decision, callback, test
    Column("case_id", Text, ForeignKey("cases.case_id")),
    Column("event_id", Text),  # the decision event whose body is sent, for kind decision
    Column("key_id", Text),  # whose access_id signs, for kind callback
    Column("url", Text),  # for kind callback; a source's own URL may change until it is sent
    Column("body", Text),  # for kinds callback and test; sensitive values are sealed within
    Column("message_id", Text, nullable=False),  # webhook-id: the same on every attempt
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # not before; also the end of a courier's lease
    Column("lease", Integer, nullable=False),  # fencing number, grows with every claim
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("last_status", Integer),
    Column("last_error", Text),
    UniqueConstraint("endpoint_id", "message_id"),  # one message is delivered to one endpoint by one row
    CheckConstraint("kind IN ('callback', 'decision', 'test')", name="kind"),
    CheckConstraint("state IN ('delivered', 'failed', 'waiting')", name="state"),
    Index(
        "ix_deliveries_due", "endpoint_id", "due_at",
        postgresql_where=text("state = 'waiting'"),
        sqlite_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_deliveries_failed", "endpoint_id", "created_at",
        postgresql_where=text("state = 'failed'"),
        sqlite_where=text("state = 'failed'"),
    ),
    Index("ix_deliveries_endpoint_id_created_at", "endpoint_id", "created_at"),
    Index("ix_deliveries_case_id", "case_id"),
)  # fmt: skip

delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Text, ForeignKey("deliveries.delivery_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("status", Integer),  # the HTTP status; NULL when none came
    Column("response", Text),  # truncated and redacted
    Column("error", Text),
    PrimaryKeyConstraint("delivery_id", "number"),
)

# Messages beside a card, in its thread: reminders, later escalations. Claimed and sent like cards.
notices = Table(
    "notices",
    metadata,
    Column("notice_id", Text, primary_key=True),
    Column("card_id", Text, ForeignKey("cards.card_id"), nullable=False),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),  # which reminder: the moment it was for
    Column("data", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("lease", Integer, nullable=False),
    Column("message", Text),
    Column("last_error", Text),
    UniqueConstraint("card_id", "kind", "key"),  # one reminder is given once per card
    CheckConstraint("state IN ('dead', 'sent', 'waiting')", name="state"),
    Index(
        "ix_notices_due", "platform", "due_at",
        postgresql_where=text("state = 'waiting'"),
        sqlite_where=text("state = 'waiting'"),
    ),
)  # fmt: skip
