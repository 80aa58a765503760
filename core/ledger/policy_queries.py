"""Statements about past tasks, for asking what a policy would have said."""

from __future__ import annotations

from core.ledger.statements import Statement

MOMENT = Statement("policy_moment", "SELECT {now} AS now")
COUNT_PAST_TASKS = Statement(
    "count_past_tasks",
    "SELECT count(*) AS total FROM tasks WHERE tenant_id = :tenant_id AND created_at >= :since",
)
# The oldest first, from a place on.
PAST_TASKS = Statement(
    "past_tasks",
    """
    SELECT case_id, tenant_id, source_id, operation, payload, requested_by, verdict, created_at FROM tasks
    WHERE tenant_id = :tenant_id AND (created_at, case_id) > (:after, :after_id)
    ORDER BY created_at, case_id LIMIT :limit
    """,
)
