"""The statements of review tasks: their rows, the lists of them, and what reviewers make of their blocks."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

INSERT_TASK = insert("review_tasks", "case_id tenant_id source_id service_id action_type risk_level created_at")

# Guarded as every transition is: reviewers changed exactly what they had read.
EDIT_CASE = Statement(
    "edit_case",
    """
    UPDATE cases SET working = :working, version = version + 1, last_event = :last_event
    WHERE case_id = :case_id AND version = :was_version
    """,
)

# Where a task stands, from what executors left behind: the decision's verdict, and when the first of them had it
# (acked, claimed, or taken by the source's webhook). Asked task by task, never by joining whole tables.
_VERDICT = "(SELECT d.verdict FROM decisions d WHERE d.case_id = rt.case_id)"
_DISPATCHED_AT = """
    (SELECT min(m.moment) FROM (
        SELECT e.acked_at AS moment FROM decision_events e WHERE e.case_id = rt.case_id
        UNION ALL
        SELECT cl.claimed_at FROM decision_events e JOIN claims cl ON cl.event_id = e.event_id
        WHERE e.case_id = rt.case_id
        UNION ALL
        SELECT dv.finished_at FROM deliveries dv
        WHERE dv.case_id = rt.case_id AND dv.kind = 'decision' AND dv.state = 'delivered') m)
"""
_STANDING = f"SELECT rt.*, {_VERDICT} AS verdict, {_DISPATCHED_AT} AS dispatched_at FROM review_tasks rt"  # noqa: S608
# `archived_before`: what executors have had since before then is archived. As `core.tasks.status_of` says it.
_STATUS = """
    CASE WHEN verdict IS NULL THEN 'PENDING'
        WHEN dispatched_at IS NULL THEN CASE verdict WHEN 'APPROVE' THEN 'APPROVED' ELSE 'DENIED' END
        WHEN dispatched_at > :archived_before THEN 'DISPATCHED' ELSE 'ARCHIVED' END
"""
_FILTERED = """
    rt.tenant_id = :tenant_id
    AND (CAST(:source_id AS TEXT) IS NULL OR rt.source_id = :source_id)
    AND (CAST(:risk_level AS TEXT) IS NULL OR rt.risk_level = :risk_level)
    AND (CAST(:service_id AS TEXT) IS NULL OR rt.service_id = :service_id)
    AND (CAST(:action_type AS TEXT) IS NULL OR rt.action_type = :action_type)
"""


def _whole(found: str, event: str) -> str:
    """The tasks that `found` selects, each with its case and what was decided. `event`: the decision event's text."""
    return f"""
    SELECT found.verdict, found.dispatched_at, s.name AS source_name, d.body AS decision_body, {event} AS event_body,
        c.*
    FROM ({found}) AS found
    JOIN cases c ON c.case_id = found.case_id
    JOIN sources s ON s.source_id = found.source_id
    LEFT JOIN decisions d ON d.case_id = found.case_id
    """  # noqa: S608 - our own text


TASK = Statement(
    "task",
    _whole(
        f"{_STANDING} WHERE rt.case_id = :case_id AND rt.tenant_id = :tenant_id",
        "(SELECT e.body FROM decision_events e WHERE e.case_id = found.case_id)",
    ),
)
_PAGE = f"""
    SELECT * FROM ({_STANDING} WHERE {_FILTERED} AND (rt.created_at, rt.case_id) < (:before, :before_id)) AS standing
    WHERE CAST(:status AS TEXT) IS NULL OR {_STATUS} = :status
    ORDER BY created_at DESC, case_id DESC LIMIT :limit
"""  # noqa: S608 - our own text
TASKS = Statement("tasks", f"{_whole(_PAGE, 'NULL')} ORDER BY found.created_at DESC, found.case_id DESC")
COUNT_TASKS = Statement(
    "count_tasks",
    f"SELECT count(*) AS total FROM review_tasks rt WHERE {_FILTERED}",  # noqa: S608 - our own text
)
COUNT_TASKS_BY_STATUS = Statement(
    "count_tasks_by_status",
    f"""
    SELECT count(*) AS total FROM ({_STANDING} WHERE {_FILTERED}) AS standing WHERE {_STATUS} = :status
    """,  # noqa: S608 - our own text
)
