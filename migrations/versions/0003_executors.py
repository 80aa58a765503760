"""executors: claims, review tasks

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "claims",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("claim_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("claimer_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("final_digest", sa.Text(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("length(claimer_id) BETWEEN 1 AND 200", name=op.f("ck_claims_claimer_id")),
        sa.ForeignKeyConstraint(["event_id"], ["decision_events.event_id"], name=op.f("fk_claims_event_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_claims")),
        sa.UniqueConstraint("claim_id", name=op.f("uq_claims_claim_id")),
    )
    op.create_table(
        "review_tasks",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("service_id", sa.Text(), nullable=False),
        sa.Column("action_type", sa.Text(), nullable=False),
        sa.Column("risk_level", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "risk_level IN ('critical', 'high', 'low', 'medium')", name=op.f("ck_review_tasks_risk_level")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_review_tasks_case_id")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_review_tasks")),
    )
    op.create_index(
        "ix_review_tasks_tenant_id_created_at", "review_tasks", ["tenant_id", "created_at", "case_id"], unique=False
    )
    op.create_index(
        "ix_deliveries_failed",
        "deliveries",
        ["endpoint_id", "created_at"],
        unique=False,
        sqlite_where=sa.text("state = 'failed'"),
        postgresql_where=sa.text("state = 'failed'"),
    )
    op.add_column("cases", sa.Column("working", sa.Text(), nullable=True))
    op.add_column("api_keys", sa.Column("sources", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("api_keys", "sources")
    op.drop_column("cases", "working")
    op.drop_index("ix_deliveries_failed", table_name="deliveries")
    op.drop_index("ix_review_tasks_tenant_id_created_at", table_name="review_tasks")
    op.drop_table("review_tasks")
    op.drop_table("claims")
