"""Cases that climb their escalation chain, and cases whose deadline or reminder is moved."""

from __future__ import annotations

from core.ledger.statements import Statement

# `escalate_at` is set only while a case waits; between its deadline and the clock's next round nothing climbs.
DUE_ESCALATIONS = Statement(
    "due_escalations",
    """
    SELECT * FROM cases WHERE escalate_at <= :now AND expires_at > :now
    ORDER BY escalate_at LIMIT :limit {skip_locked}
    """,
)
NEXT_ESCALATION = Statement(
    "next_escalation",
    """
    SELECT escalate_at FROM cases WHERE escalate_at IS NOT NULL AND expires_at > :now
    ORDER BY escalate_at LIMIT 1
    """,
)
CLIMBED = Statement(
    "climbed",
    """
    UPDATE cases SET escalated = :escalated, escalate_at = :escalate_at, version = version + 1,
        last_event = :last_event
    WHERE case_id = :case_id AND version = :was_version
    """,
)
EXTENDED = Statement(
    "extended",
    """
    UPDATE cases SET expires_at = :expires_at, extended = :extended, remind_at = :remind_at, version = version + 1,
        last_event = :last_event
    WHERE case_id = :case_id AND version = :was_version
    """,
)
SNOOZED = Statement(
    "snoozed",
    """
    UPDATE cases SET remind_at = :remind_at, version = version + 1, last_event = :last_event
    WHERE case_id = :case_id AND version = :was_version
    """,
)
