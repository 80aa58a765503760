"""The declared schema of runs and their gates: what was wanted, how far it is, what was asked, and what came of it.

As in `tables`: times are BIGINT milliseconds since 1970 (UTC), JSON is TEXT. What people are asked and answer is in
`cases` and `human_interactions`: a gate of a run is a case.
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

from core.ledger.guard_tables import metadata

__all__ = ["artifacts", "intents", "metadata", "run_steps", "run_stream", "runs", "signals", "workflow_events"]

_ENDED = "status IN ('cancelled', 'completed', 'failed')"

# What somebody wants done; a run is made of it, once.
intents = Table(
    "intents",
    metadata,
    Column("intent_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("key", Text),  # the caller's own name for it, so that whoever starts anew finds it again
    Column("source_id", Text),
    Column("body", Text, nullable=False),  # JSON: goal, workflow, input, and how its gates are asked
    Column("body_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "key"),  # one name, one intent
)

runs = Table(
    "runs",
    metadata,
    Column("workflow_id", Text, primary_key=True),  # derived: from the intent, or from the gate that it escalates
    Column("run_id", Text, nullable=False, unique=True),
    Column("tenant_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),  # in whose name its gates are opened
    Column("source_id", Text),
    Column("intent_id", Text, ForeignKey("intents.intent_id"), unique=True),  # one run per intent
    Column("queue_partition_key", Text, nullable=False),
    Column("kind", Text, nullable=False),  # which workflow: plan-approval, external (the agent runs it), escalation
    Column("status", Text, nullable=False),
    Column("next_action", Text),  # what people are asked for, while it waits
    Column("outcome", Text),  # how it ended
    Column("state", Text, nullable=False),  # JSON: what its steps hand on
    Column("step", Text),  # the one that comes next
    Column("attempts", Integer, nullable=False),  # at that step
    Column("due_at", BigInteger),  # not before; also the end of a worker's lease. NULL: nothing to do
    Column("lease", Integer, nullable=False),  # fencing number, grows with every claim
    Column("last_event", Integer, nullable=False),  # the counter of its newest stream entry
    Column("last_error", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("erased_at", BigInteger),  # since then nothing here shows what was wanted and made
    CheckConstraint(
        "status IN ('cancelled', 'completed', 'failed', 'queued', 'running', 'waiting_input')", name="status"
    ),
    # what has ended says when, has nothing left to do, and was not touched since
    CheckConstraint(f"({_ENDED}) = (finished_at IS NOT NULL)", name="finished"),
    CheckConstraint("finished_at IS NULL OR (due_at IS NULL AND updated_at = finished_at)", name="at_rest"),
    # a run never waits without saying for what
    CheckConstraint("(status = 'waiting_input') = (next_action IS NOT NULL)", name="next_action"),
    Index(
        "ix_runs_due", "due_at", postgresql_where=text("due_at IS NOT NULL"), sqlite_where=text("due_at IS NOT NULL")
    ),
    Index("ix_runs_tenant_id_created_at", "tenant_id", "created_at"),
    Index(
        "ix_runs_retention", "finished_at",
        postgresql_where=text("finished_at IS NOT NULL AND erased_at IS NULL"),
        sqlite_where=text("finished_at IS NOT NULL AND erased_at IS NULL"),
    ),
    # which runs wait for people
    Index(
        "ix_runs_waiting", "tenant_id",
        postgresql_where=text("status = 'waiting_input'"),
        sqlite_where=text("status = 'waiting_input'"),
    ),
)  # fmt: skip

# A gate's prompt, result, branch and trace. Rows are never changed and never deleted.
workflow_events = Table(
    "workflow_events",
    metadata,
    Column("workflow_id", Text, nullable=False),
    Column("key", Text, nullable=False),  # see core.gate_keys
    Column("gate_key", Text, nullable=False),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("interaction_id", Text),  # of results, branches and traces: the ledger row that they come from
    Column("data", Text, nullable=False),  # JSON
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workflow_id", "key"),  # each is written once
)

# That a gate has ended, for the workflow behind it: sent again until it is received.
signals = Table(
    "signals",
    metadata,
    Column("workflow_id", Text, nullable=False),
    Column("gate_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # not before; also the end of a sender's lease
    Column("attempts", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("received_at", BigInteger),
    Column("last_error", Text),
    PrimaryKeyConstraint("workflow_id", "gate_key"),  # a gate ends once
    CheckConstraint("kind IN ('result', 'withdrawn')", name="kind"),
    Index(
        "ix_signals_unsent", "due_at",
        postgresql_where=text("received_at IS NULL"),
        sqlite_where=text("received_at IS NULL"),
    ),
)  # fmt: skip

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("step_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("output", Text, nullable=False),  # JSON
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "step_id", "attempt"),  # one attempt, one record
    CheckConstraint("status IN ('completed', 'failed', 'skipped', 'waiting_input')", name="status"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("run_id", Text, nullable=False),
    Column("step_id", Text, nullable=False),
    Column("task_key", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("idx", Integer, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("run_id", "step_id", "task_key", "attempt", "idx"),  # one place, one artifact
)

# What readers of a run are told, in its order; transport only, never truth.
run_stream = Table(
    "run_stream",
    metadata,
    Column("workflow_id", Text, nullable=False),
    Column("counter", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("workflow_id", "counter"),
)
