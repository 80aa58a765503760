"""erased content

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEXES = {
    "ix_cases_retention": ("cases", ["closed_at", "case_id"], "closed_at IS NOT NULL AND erased_at IS NULL"),
    "ix_runs_retention": ("runs", ["finished_at"], "finished_at IS NOT NULL AND erased_at IS NULL"),
    "ix_flow_runs_retention": ("flow_runs", ["finished_at"], "finished_at IS NOT NULL AND erased_at IS NULL"),
}


def upgrade() -> None:
    # Columns without a default: neither database rewrites a row for them.
    for name, (table, columns, condition) in INDEXES.items():
        op.add_column(table, sa.Column("erased_at", sa.BigInteger(), nullable=True))
        where = sa.text(condition)
        op.create_index(name, table, columns, unique=False, postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for name, (table, _, _) in INDEXES.items():
        op.drop_index(name, table_name=table)
        op.drop_column(table, "erased_at")
