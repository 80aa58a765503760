"""Reminders, and the notices (messages beside a card) that carry them to a messenger."""

from __future__ import annotations

from core.ledger.statements import Statement

# --- reminders ----------------------------------------------------------------------------------------------------

# `remind_at` is set only while a case waits; between its deadline and the clock's next round nobody is reminded.
DUE_REMINDERS = Statement(
    "due_reminders",
    """
    SELECT * FROM cases WHERE remind_at <= :now AND expires_at > :now
    ORDER BY remind_at LIMIT :limit {skip_locked}
    """,
)
NEXT_REMINDER = Statement(
    "next_reminder",
    """
    SELECT remind_at FROM cases WHERE remind_at IS NOT NULL AND expires_at > :now
    ORDER BY remind_at LIMIT 1
    """,
)
REMINDED = Statement(
    "reminded",
    """
    UPDATE cases SET remind_at = :remind_at, reminder_sent_at = :now, version = version + 1, last_event = :last_event
    WHERE case_id = :case_id AND version = :was_version
    """,
)

# --- notices ------------------------------------------------------------------------------------------------------

# A newer notice of the same kind says all that this one would have said.
SUPERSEDE_NOTICES = Statement(
    "supersede_notices",
    """
    UPDATE notices SET state = 'dead', last_error = 'a later one took its place'
    WHERE card_id IN (SELECT card_id FROM cards WHERE case_id = :case_id) AND kind = :kind AND state = 'waiting'
    """,
)
# One for every posted card of the case. The id is made of what is unique, so that nothing needs to be drawn.
INSERT_NOTICES = Statement(
    "insert_notices",
    """
    INSERT INTO notices (notice_id, card_id, case_id, tenant_id, platform, kind, key, data, state, attempts, due_at,
        lease)
    SELECT card_id || ':' || CAST(:kind AS TEXT) || ':' || CAST(:key AS TEXT), card_id, case_id, tenant_id, platform,
        CAST(:kind AS TEXT), CAST(:key AS TEXT), CAST(:data AS TEXT), 'waiting', 0, CAST(:now AS BIGINT), 0
    FROM cards WHERE case_id = :case_id AND state = 'live' AND message IS NOT NULL
    ON CONFLICT (card_id, kind, key) DO NOTHING
    """,
)
CLAIM_NOTICES = Statement(
    "claim_notices",
    """
    UPDATE notices SET due_at = :lease_until, lease = lease + 1, attempts = attempts + 1
    WHERE notice_id {any_of}
        SELECT notice_id FROM notices WHERE platform = :platform AND state = 'waiting' AND due_at <= :now
        ORDER BY due_at LIMIT :limit {skip_locked}{end}
    RETURNING *
    """,
)
# The card that a notice stands beside, and the sealed review link.
NOTICED_CARD = Statement(
    "noticed_card",
    """
    SELECT c.*, k.sealed AS sealed_token FROM cards c
    LEFT JOIN case_tokens k
        ON k.case_id = c.case_id AND k.kind = 'review' AND k.holder = 'link' AND k.revoked_at IS NULL
    WHERE c.card_id = :card_id
    """,
)
NOTICE_SENT = Statement(
    "notice_sent",
    """
    UPDATE notices SET state = 'sent', message = :message, last_error = NULL
    WHERE notice_id = :notice_id AND lease = :lease
    """,
)
NOTICE_POSTPONED = Statement(
    "notice_postponed",
    """
    UPDATE notices SET due_at = :due_at, attempts = attempts - :unused, state = :state, last_error = :error
    WHERE notice_id = :notice_id AND lease = :lease AND state = 'waiting'
    """,
)
NEXT_NOTICE_DUE = Statement(
    "next_notice_due", "SELECT min(due_at) AS due_at FROM notices WHERE platform = :platform AND state = 'waiting'"
)
