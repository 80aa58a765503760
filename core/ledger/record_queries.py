"""What is on record of cases: their timelines, the ledger's rows for an export, and the figures of a period."""

from __future__ import annotations

from core.ledger.statements import Statement

CASE_TIMELINE = Statement(
    "case_timeline",
    """
    SELECT e.counter, e.kind, e.data, e.created_at FROM case_events e JOIN cases c ON c.case_id = e.case_id
    WHERE e.case_id = :case_id AND c.tenant_id = :tenant_id
    ORDER BY e.counter LIMIT :limit
    """,
)
INTERACTIONS_OF_CASE = Statement(
    "interactions_of_case",
    """
    SELECT * FROM human_interactions WHERE case_id = :case_id AND tenant_id = :tenant_id
    ORDER BY created_at LIMIT :limit
    """,
)
CARDS_ON_RECORD = Statement(
    "cards_on_record",
    """
    SELECT platform, channel, message, state, shown_version, last_error FROM cards
    WHERE case_id = :case_id AND tenant_id = :tenant_id
    ORDER BY platform, channel LIMIT :limit
    """,
)
# What was said beside the cards: reminders, escalations.
NOTICES_ON_RECORD = Statement(
    "notices_on_record",
    """
    SELECT n.kind, n.platform, n.state, k.channel FROM cards k JOIN notices n ON n.card_id = k.card_id
    WHERE k.case_id = :case_id AND n.tenant_id = :tenant_id
    ORDER BY n.kind, n.key LIMIT :limit
    """,
)
DELIVERIES_ON_RECORD = Statement(
    "deliveries_on_record",
    """
    SELECT delivery_id, kind, state, attempts, created_at, finished_at, last_status FROM deliveries
    WHERE case_id = :case_id AND tenant_id = :tenant_id
    ORDER BY created_at LIMIT :limit
    """,
)
ATTEMPTS_ON_RECORD = Statement(
    "attempts_on_record",
    """
    SELECT d.kind, a.number, a.started_at, a.took_ms, a.status
    FROM deliveries d JOIN delivery_attempts a ON a.delivery_id = d.delivery_id
    WHERE d.case_id = :case_id AND d.tenant_id = :tenant_id
    ORDER BY a.started_at LIMIT :limit
    """,
)
# The ledger's rows of some cases, whose reader was found to be allowed to see each of them.
INTERACTIONS_OF_CASES = Statement(
    "interactions_of_cases",
    """
    SELECT * FROM human_interactions WHERE case_id IN (SELECT value FROM json_each(:case_ids))
    ORDER BY created_at, interaction_id
    """,
    """
    SELECT * FROM human_interactions
    WHERE case_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:case_ids AS jsonb))))
    ORDER BY created_at, interaction_id
    """,
)
# How the cases ended that waited under these entries, the newest first.
ENDED_CASES = Statement(
    "ended_cases",
    """
    SELECT c.tenant_id, c.source_id, c.status, c.created_at, c.closed_at, c.answered,
           CASE WHEN c.working IS NULL THEN 0 ELSE 1 END AS edited
    FROM cases c WHERE c.case_id IN (
        SELECT e.case_id FROM inbox_entries e
        WHERE e.entry IN (SELECT value FROM json_each(:entries)) AND e.closed_at >= :since
        ORDER BY e.closed_at DESC LIMIT :limit)
    """,
    """
    SELECT c.tenant_id, c.source_id, c.status, c.created_at, c.closed_at, c.answered,
           CASE WHEN c.working IS NULL THEN 0 ELSE 1 END AS edited
    FROM cases c WHERE c.case_id IN (
        SELECT e.case_id FROM inbox_entries e
        WHERE e.entry = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:entries AS jsonb)))) AND e.closed_at >= :since
        ORDER BY e.closed_at DESC LIMIT :limit)
    """,
)
# Whether anything has changed of what waits under these entries: how much of it, and how often it has changed.
WAITING_MARK = Statement(
    "waiting_mark",
    """
    SELECT count(*) AS cases, sum(w.version) AS versions, min(w.case_id) AS first, max(w.case_id) AS last
    FROM (
        SELECT c.case_id, c.version FROM cases c
        WHERE c.case_id IN (
            SELECT e.case_id FROM inbox_entries e
            WHERE e.entry IN (SELECT value FROM json_each(:entries)) AND e.closed_at IS NULL AND e.expires_at > :now)
          AND c.expires_at > :now
        ORDER BY c.expires_at, c.case_id LIMIT :limit) AS w
    """,
    """
    SELECT count(*) AS cases, sum(w.version) AS versions, min(w.case_id) AS first, max(w.case_id) AS last
    FROM (
        SELECT c.case_id, c.version FROM cases c
        WHERE c.case_id IN (
            SELECT e.case_id FROM inbox_entries e
            WHERE e.entry = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:entries AS jsonb))))
              AND e.closed_at IS NULL AND e.expires_at > :now)
          AND c.expires_at > :now
        ORDER BY c.expires_at, c.case_id LIMIT :limit) AS w
    """,
)
SOURCE_NAMES = Statement(
    "source_names",
    "SELECT source_id, name FROM sources WHERE source_id IN (SELECT value FROM json_each(:source_ids))",
    """
    SELECT source_id, name FROM sources
    WHERE source_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:source_ids AS jsonb))))
    """,
)
