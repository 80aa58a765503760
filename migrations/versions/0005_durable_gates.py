"""durable gates

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TEXT, NUMBER, MOMENT = sa.Text(), sa.Integer(), sa.BigInteger()
ENDED = "status IN ('cancelled', 'completed', 'failed')"
WAITING = "NOT (status IN ('cancelled', 'completed', 'expired'))"


def upgrade() -> None:
    op.create_table(
        "intents",
        sa.Column("intent_id", TEXT, nullable=False),
        sa.Column("tenant_id", TEXT, nullable=False),
        sa.Column("key_id", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=True),
        sa.Column("source_id", TEXT, nullable=True),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("body_hash", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("intent_id", name=op.f("pk_intents")),
        sa.UniqueConstraint("tenant_id", "key", name=op.f("uq_intents_tenant_id_key")),
    )
    op.create_table(
        "runs",
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("tenant_id", TEXT, nullable=False),
        sa.Column("key_id", TEXT, nullable=False),
        sa.Column("source_id", TEXT, nullable=True),
        sa.Column("intent_id", TEXT, nullable=True),
        sa.Column("queue_partition_key", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("next_action", TEXT, nullable=True),
        sa.Column("outcome", TEXT, nullable=True),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("step", TEXT, nullable=True),
        sa.Column("attempts", NUMBER, nullable=False),
        sa.Column("due_at", MOMENT, nullable=True),
        sa.Column("lease", NUMBER, nullable=False),
        sa.Column("last_event", NUMBER, nullable=False),
        sa.Column("last_error", TEXT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.CheckConstraint(
            "status IN ('cancelled', 'completed', 'failed', 'queued', 'running', 'waiting_input')",
            name=op.f("ck_runs_status"),
        ),
        sa.CheckConstraint(f"({ENDED}) = (finished_at IS NOT NULL)", name=op.f("ck_runs_finished")),
        sa.CheckConstraint(
            "finished_at IS NULL OR (due_at IS NULL AND updated_at = finished_at)", name=op.f("ck_runs_at_rest")
        ),
        sa.CheckConstraint("(status = 'waiting_input') = (next_action IS NOT NULL)", name=op.f("ck_runs_next_action")),
        sa.ForeignKeyConstraint(["intent_id"], ["intents.intent_id"], name=op.f("fk_runs_intent_id")),
        sa.PrimaryKeyConstraint("workflow_id", name=op.f("pk_runs")),
        sa.UniqueConstraint("run_id", name=op.f("uq_runs_run_id")),
        sa.UniqueConstraint("intent_id", name=op.f("uq_runs_intent_id")),
    )
    _partial("ix_runs_due", "runs", ["due_at"], "due_at IS NOT NULL")
    op.create_index("ix_runs_tenant_id_created_at", "runs", ["tenant_id", "created_at"], unique=False)
    op.create_table(
        "workflow_events",
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("gate_key", TEXT, nullable=False),
        sa.Column("case_id", TEXT, nullable=False),
        sa.Column("interaction_id", TEXT, nullable=True),
        sa.Column("data", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_workflow_events_case_id")),
        sa.PrimaryKeyConstraint("workflow_id", "key", name=op.f("pk_workflow_events")),
    )
    op.create_table(
        "signals",
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("gate_key", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("attempts", NUMBER, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("received_at", MOMENT, nullable=True),
        sa.Column("last_error", TEXT, nullable=True),
        sa.CheckConstraint("kind IN ('result', 'withdrawn')", name=op.f("ck_signals_kind")),
        sa.PrimaryKeyConstraint("workflow_id", "gate_key", name=op.f("pk_signals")),
    )
    _partial("ix_signals_unsent", "signals", ["due_at"], "received_at IS NULL")
    op.create_table(
        "run_steps",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("step_id", TEXT, nullable=False),
        sa.Column("attempt", NUMBER, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("output", TEXT, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "status IN ('completed', 'failed', 'skipped', 'waiting_input')", name=op.f("ck_run_steps_status")
        ),
        sa.PrimaryKeyConstraint("run_id", "step_id", "attempt", name=op.f("pk_run_steps")),
    )
    op.create_table(
        "artifacts",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("step_id", TEXT, nullable=False),
        sa.Column("task_key", TEXT, nullable=False),
        sa.Column("attempt", NUMBER, nullable=False),
        sa.Column("idx", NUMBER, nullable=False),
        sa.Column("media_type", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "step_id", "task_key", "attempt", "idx", name=op.f("pk_artifacts")),
    )
    op.create_table(
        "run_stream",
        sa.Column("workflow_id", TEXT, nullable=False),
        sa.Column("counter", NUMBER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("data", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("workflow_id", "counter", name=op.f("pk_run_stream")),
    )
    _partial("ix_cases_inbox", "cases", ["tenant_id", "expires_at"], WAITING)


def downgrade() -> None:
    op.drop_index("ix_cases_inbox", table_name="cases")
    for table in ("run_stream", "artifacts", "run_steps", "signals", "workflow_events", "runs", "intents"):
        op.drop_table(table)


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=False, postgresql_where=where, sqlite_where=where)
