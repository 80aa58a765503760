"""Statements about past tasks, for asking what a policy would have said."""

from __future__ import annotations

from core.ledger.statements import Statement

MOMENT = Statement("policy_moment", "SELECT {now} AS now")
COUNT_PAST_TASKS = Statement(
    "count_past_tasks",
    """
    SELECT count(*) AS total FROM tasks t JOIN cases c ON c.case_id = t.case_id
    WHERE t.tenant_id = :tenant_id AND t.created_at >= :since AND c.erased_at IS NULL
    """,
)
# The oldest first, from a place on. Of what was erased nobody can say what a policy would make of it.
PAST_TASKS = Statement(
    "past_tasks",
    """
    SELECT t.case_id, t.tenant_id, t.source_id, t.operation, t.payload, t.requested_by, t.verdict, t.created_at
    FROM tasks t JOIN cases c ON c.case_id = t.case_id
    WHERE t.tenant_id = :tenant_id AND (t.created_at, t.case_id) > (:after, :after_id) AND c.erased_at IS NULL
    ORDER BY t.created_at, t.case_id LIMIT :limit
    """,
)
