"""The statements of metrics: what waits at this moment, read by partial indexes that hold nothing but what waits.

None of them looks through a table, and what may grow without bound is counted up to a limit. On SQLite the index is
named, so that a statement without it would not even be prepared.
"""

from __future__ import annotations

from core.lanes import FAILURES
from core.ledger.statements import Statement

_CASES = "NOT (status IN ('cancelled', 'completed', 'expired'))"

WAITING_CASES = Statement(
    "waiting_cases_by_source",
    f"""
    SELECT tenant_id, source_id, count(*) AS waiting, min(created_at) AS oldest
    FROM (SELECT tenant_id, source_id, created_at FROM cases INDEXED BY ix_cases_inbox WHERE {_CASES} LIMIT :limit) w
    GROUP BY tenant_id, source_id
    """,  # noqa: S608 - our own text
    f"""
    SELECT tenant_id, source_id, count(*) AS waiting, min(created_at) AS oldest
    FROM (SELECT tenant_id, source_id, created_at FROM cases WHERE {_CASES} LIMIT :limit) w
    GROUP BY tenant_id, source_id
    """,  # noqa: S608 - our own text
)


def _by_platform(name: str, table: str, index: str, condition: str, moment: str) -> Statement:
    """What of an outbox is not sent yet, and since when it could have been (`moment`)."""

    def text(source: str) -> str:
        return f"""
        SELECT platform, count(*) AS waiting, min(moment) AS moment
        FROM (SELECT platform, {moment} AS moment FROM {source} WHERE {condition} LIMIT :limit) w GROUP BY platform
        """  # noqa: S608 - our own text

    return Statement(name, text(f"{table} INDEXED BY {index}"), text(table))


_BEHIND = "wanted_version > shown_version AND state = 'live' AND queue IS NULL"
WAITING_CARDS = _by_platform("waiting_cards", "cards", "ix_cards_behind", _BEHIND, "due_at")
QUEUED_CARDS = _by_platform("queued_cards", "cards", "ix_cards_queue", "queue IS NOT NULL", "NULL")
WAITING_NOTICES = _by_platform("waiting_notices", "notices", "ix_notices_due", "state = 'waiting'", "due_at")

# By endpoint first, which the index knows; then whose the endpoints are. A circuit is open after so many failures.
_DELIVERIES = f"""
    SELECT e.tenant_id, e.state, CASE WHEN e.state = 'active' AND e.failures >= {FAILURES} THEN 1 ELSE 0 END AS tripped,
        sum(w.waiting) AS waiting, count(*) AS endpoints, min(w.due_at) AS due_at
    FROM (SELECT endpoint_id, count(*) AS waiting, min(due_at) AS due_at FROM (
            SELECT endpoint_id, due_at FROM {{source}} WHERE state = 'waiting' LIMIT :limit) d
        GROUP BY endpoint_id) w
    JOIN endpoints e ON e.endpoint_id = w.endpoint_id
    GROUP BY e.tenant_id, e.state, CASE WHEN e.state = 'active' AND e.failures >= {FAILURES} THEN 1 ELSE 0 END
"""  # noqa: S608 - our own text
WAITING_DELIVERIES = Statement(
    "waiting_deliveries",
    _DELIVERIES.replace("{source}", "deliveries INDEXED BY ix_deliveries_due"),
    _DELIVERIES.replace("{source}", "deliveries"),
)

# From each source with something unacked to the next by the index, past all that waits in between; `few` of a source's
# events are counted, so `few` means that many or more.
_EVENTS = """
    WITH RECURSIVE heads (n, source_id) AS (
        SELECT 1, (SELECT min(source_id) FROM decision_events WHERE acked_at IS NULL)
        UNION ALL
        SELECT h.n + 1,
            (SELECT min(e.source_id) FROM decision_events e WHERE e.acked_at IS NULL AND e.source_id > h.source_id)
        FROM heads h WHERE h.source_id IS NOT NULL AND h.n < {window})
    SELECT s.tenant_id, h.source_id,
        (SELECT count(*) FROM (
            SELECT 1 FROM decision_events e WHERE e.source_id = h.source_id AND e.acked_at IS NULL LIMIT :few) f
        ) AS waiting,
        (SELECT e.created_at FROM decision_events e WHERE e.source_id = h.source_id AND e.acked_at IS NULL
            ORDER BY e.position LIMIT 1) AS oldest
    FROM heads h JOIN sources s ON s.source_id = h.source_id WHERE s.mode <> 'WEBHOOK_ONLY'
"""
UNACKED_EVENTS = Statement(
    "unacked_events",
    _EVENTS.replace("{window}", ":window"),
    _EVENTS.replace("{window}", "CAST(:window AS INTEGER)"),
)

_RUNS = """
    SELECT tenant_id, count(*) AS waiting
    FROM (SELECT tenant_id FROM {source} WHERE status = 'waiting_input' LIMIT :limit) w GROUP BY tenant_id
"""
WAITING_RUNS = Statement(
    "waiting_runs", _RUNS.replace("{source}", "runs INDEXED BY ix_runs_waiting"), _RUNS.replace("{source}", "runs")
)

_UNSEALED = """
    SELECT count(*) AS waiting, min(created_at) AS oldest
    FROM (SELECT created_at FROM {source} WHERE position IS NULL ORDER BY created_at LIMIT :limit) w
"""
UNSEALED = Statement(
    "count_unsealed",
    _UNSEALED.replace("{source}", "human_interactions INDEXED BY ix_human_interactions_unsealed"),
    _UNSEALED.replace("{source}", "human_interactions"),
)
