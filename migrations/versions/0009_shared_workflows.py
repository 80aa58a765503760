"""shared workflows

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Of runs and flows only: most cases are posted alone, and cost nothing here.
    alone = sa.text("workflow_id <> case_id")
    columns = ["workflow_id", "closed_at"]
    op.create_index("ix_cases_shared", "cases", columns, unique=False, postgresql_where=alone, sqlite_where=alone)


def downgrade() -> None:
    op.drop_index("ix_cases_shared", table_name="cases")
