"""guarded operations

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


SCOPES = ("admin", "agent", "executor", "operator", "reviewer")


def upgrade() -> None:
    op.create_table(
        "rate_windows",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_rate_windows")),
    )
    op.create_index("ix_rate_windows_expires_at", "rate_windows", ["expires_at"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("ruling", sa.Text(), nullable=False),
        sa.Column("grant_id", sa.Text(), nullable=True),
        sa.Column("link_hash", sa.Text(), nullable=True),
        sa.Column("link_sealed", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("approved_at", sa.BigInteger(), nullable=True),
        sa.Column("approved_until", sa.BigInteger(), nullable=True),
        sa.Column("dispatched_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.CheckConstraint("verdict IN ('allow', 'deny', 'require')", name=op.f("ck_tasks_verdict")),
        sa.CheckConstraint("dispatched_at IS NULL OR approved_at IS NOT NULL", name=op.f("ck_tasks_approved")),
        sa.CheckConstraint("dispatched_at IS NULL OR failed_at IS NULL", name=op.f("ck_tasks_one_end")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_tasks_case_id")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("link_hash", name=op.f("uq_tasks_link_hash")),
    )
    op.create_index(
        "ix_tasks_awaiting",
        "tasks",
        ["approved_at"],
        unique=False,
        postgresql_where=sa.text("approved_at IS NOT NULL AND dispatched_at IS NULL AND failed_at IS NULL"),
        sqlite_where=sa.text("approved_at IS NOT NULL AND dispatched_at IS NULL AND failed_at IS NULL"),
    )
    op.create_index("ix_tasks_tenant_id_created_at", "tasks", ["tenant_id", "created_at", "case_id"], unique=False)
    op.create_table(
        "grants",
        sa.Column("grant_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("payload_digest", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("interaction_id", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "expires_at > created_at AND expires_at <= created_at + 28800000", name=op.f("ck_grants_at_most_8_hours")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_grants_case_id")),
        sa.ForeignKeyConstraint(
            ["interaction_id"], ["human_interactions.interaction_id"], name=op.f("fk_grants_interaction_id")
        ),
        sa.PrimaryKeyConstraint("grant_id", name=op.f("pk_grants")),
        sa.UniqueConstraint("interaction_id", name=op.f("uq_grants_interaction_id")),
    )
    op.create_index(
        "ix_grants_tenant_id_operation", "grants", ["tenant_id", "operation", "payload_digest"], unique=False
    )
    op.create_index("ix_grants_tenant_id_created_at", "grants", ["tenant_id", "created_at", "grant_id"], unique=False)
    op.add_column("api_keys", sa.Column("last_used_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant_id", "created_at"], unique=False)
    op.add_column("tenants", sa.Column("name", sa.Text(), nullable=True))
    op.add_column("tenants", sa.Column("suspended_at", sa.BigInteger(), nullable=True))
    op.add_column("tenants", sa.Column("default_source_id", sa.Text(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE rate_windows SET UNLOGGED")  # counts of a minute: losing them in a crash is fine
    _check_scope(SCOPES)


def downgrade() -> None:
    op.execute("DELETE FROM api_keys WHERE scope = 'operator'")
    _check_scope(tuple(scope for scope in SCOPES if scope != "operator"))
    op.drop_column("tenants", "default_source_id")
    op.drop_column("tenants", "suspended_at")
    op.drop_column("tenants", "name")
    op.drop_index("ix_api_keys_tenant_id", table_name="api_keys")
    op.drop_column("api_keys", "last_used_at")
    op.drop_index("ix_grants_tenant_id_operation", table_name="grants")
    op.drop_index("ix_grants_tenant_id_created_at", table_name="grants")
    op.drop_table("grants")
    op.drop_index("ix_tasks_tenant_id_created_at", table_name="tasks")
    op.drop_index(
        "ix_tasks_awaiting",
        table_name="tasks",
        postgresql_where=sa.text("approved_at IS NOT NULL AND dispatched_at IS NULL AND failed_at IS NULL"),
        sqlite_where=sa.text("approved_at IS NOT NULL AND dispatched_at IS NULL AND failed_at IS NULL"),
    )
    op.drop_table("tasks")
    op.drop_index("ix_rate_windows_expires_at", table_name="rate_windows")
    op.drop_table("rate_windows")


def _check_scope(scopes: tuple[str, ...]) -> None:
    condition = f"scope IN ({', '.join(repr(scope) for scope in scopes)})"
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("ck_api_keys_scope", "api_keys")
        op.create_check_constraint(op.f("ck_api_keys_scope"), "api_keys", condition)
        return
    # SQLite makes the table anew.
    with op.batch_alter_table("api_keys", recreate="always") as batch:
        batch.drop_constraint(op.f("ck_api_keys_scope"), type_="check")
        batch.create_check_constraint(op.f("ck_api_keys_scope"), sa.text(condition))
