"""Busy chats: the pace that all processes keep together, the cards that wait for a chat, and the digest of them."""

from __future__ import annotations

from core.ledger.statements import Statement

# --- pace -----------------------------------------------------------------------------------------------------------

# The rows of some chats, made where they are missing, and locked: in one order, so that two claims do not meet.
HOLD_CHATS = Statement(
    "hold_chats",
    """
    INSERT INTO chats (platform, chat, moments) SELECT :platform, value, '[]' FROM json_each(:chats) WHERE true
    ON CONFLICT (platform, chat) DO UPDATE SET moments = chats.moments
    RETURNING *
    """,
    """
    INSERT INTO chats (platform, chat, moments)
    SELECT CAST(:platform AS TEXT), value, '[]'
    FROM jsonb_array_elements_text(CAST(:chats AS jsonb)) AS value ORDER BY value
    ON CONFLICT (platform, chat) DO UPDATE SET moments = chats.moments
    RETURNING *
    """,
)
# Chats for which cards wait whose turn has come.
DUE_CHATS = Statement(
    "due_chats",
    """
    SELECT * FROM chats WHERE platform = :platform AND next_at <= :now ORDER BY next_at LIMIT :limit {skip_locked}
    """,
)
SAVE_CHAT = Statement(
    "save_chat",
    """
    UPDATE chats SET moments = :moments, next_at = :next_at, used_at = :now
    WHERE platform = :platform AND chat = :chat
    """,
)
# The platform wants a pause: no process posts there before it is over.
HUSH_CHAT = Statement(
    "hush_chat",
    """
    UPDATE chats SET quiet_until = :until, next_at = CASE WHEN next_at < :until THEN :until ELSE next_at END
    WHERE platform = :platform AND chat = :chat AND COALESCE(quiet_until, 0) < :until
    """,
)
FORGET_CHATS = Statement("forget_chats", "DELETE FROM chats WHERE used_at < :before AND next_at IS NULL")

# --- cards that wait ------------------------------------------------------------------------------------------------

# Cards that were claimed and may not be posted yet are given back, to wait for their chat.
QUEUE_CLAIMED = Statement(
    "queue_claimed",
    """
    UPDATE cards SET queue = CAST(:chat AS TEXT), due_at = :now, attempts = attempts - 1, started = started - 1,
        show_by = COALESCE(show_by, :now)
    WHERE card_id IN (SELECT value FROM json_each(:card_ids))
    """,
    """
    UPDATE cards SET queue = CAST(:chat AS TEXT), due_at = :now, attempts = attempts - 1, started = started - 1,
        show_by = COALESCE(show_by, :now)
    WHERE card_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:card_ids AS jsonb))))
    """,
)
# So are those that nobody has claimed yet.
QUEUE_DUE = Statement(
    "queue_due",
    """
    UPDATE cards SET queue = CAST(:chat AS TEXT), due_at = :now, show_by = COALESCE(show_by, :now)
    WHERE card_id {any_of}
        SELECT card_id FROM cards
        WHERE platform = :platform AND state = 'live' AND wanted_version > shown_version AND queue IS NULL
            AND due_at <= :now AND message IS NULL
            AND (channel = CAST(:chat AS TEXT)
                OR substr(channel, 1, length(CAST(:chat AS TEXT)) + 1) = CAST(:chat AS TEXT) || '/')
        ORDER BY due_at LIMIT :limit {skip_locked}{end}
    """,
)
# Claim those whose turn it is: what still waits for an answer comes first, the most urgent of it foremost. With `late`,
# also cards of cases that were closed meanwhile.
NEXT_QUEUED = Statement(
    "next_queued",
    """
    UPDATE cards SET queue = NULL, due_at = :lease_until, lease = lease + 1, attempts = attempts + 1,
        started = started + 1
    WHERE card_id {any_of}
        SELECT wt.card_id FROM cards wt
        WHERE wt.platform = :platform AND wt.queue = :chat AND (CAST(:late AS INTEGER) = 1 OR EXISTS (
            SELECT 1 FROM cases c
            WHERE c.case_id = wt.case_id AND NOT (c.status IN ('cancelled', 'completed', 'expired'))))
        ORDER BY wt.show_by LIMIT :limit {skip_locked}{end}
    RETURNING *
    """,
)
COUNT_QUEUED = Statement(
    "count_queued",
    """
    SELECT count(*) AS waiting FROM (
        SELECT 1 AS one FROM cards WHERE platform = :platform AND queue = :chat LIMIT :limit) AS few
    """,
)
# The chat has another id: what waits for it waits there, unless another card of the case stands there already.
MOVE_QUEUE = Statement(
    "move_queue",
    """
    UPDATE cards SET channel = :channel, queue = NULL, due_at = 0
    WHERE card_id {any_of}
        SELECT wt.card_id FROM cards wt
        WHERE wt.platform = :platform AND wt.queue = :chat AND wt.channel = :was AND NOT EXISTS (
            SELECT 1 FROM cards oc
            WHERE oc.case_id = wt.case_id AND oc.platform = wt.platform AND oc.channel = CAST(:channel AS TEXT))
        LIMIT :limit {skip_locked}{end}
    """,
)

# --- digests --------------------------------------------------------------------------------------------------------

WANT_DIGEST = Statement(
    "want_digest",
    """
    INSERT INTO digests (platform, chat, began_at, attempts, due_at, lease, started)
    VALUES (:platform, :chat, :now, 0, :now, 0, 0) ON CONFLICT (platform, chat) DO NOTHING
    """,
)
# Nothing waits any more; a posted digest shall say so now.
END_DIGEST = Statement(
    "end_digest",
    "UPDATE digests SET due_at = :now WHERE platform = :platform AND chat = :chat AND message IS NOT NULL",
)
CLAIM_DIGESTS = Statement(
    "claim_digests",
    """
    UPDATE digests SET due_at = :lease_until, lease = lease + 1, attempts = attempts + 1,
        started = CASE WHEN message IS NULL THEN started + 1 ELSE 0 END
    WHERE platform = :platform AND chat {any_of}
        SELECT chat FROM digests WHERE platform = :platform AND due_at <= :now
        ORDER BY due_at LIMIT :limit {skip_locked}{end}
    RETURNING *
    """,
)
QUEUED_OF_CHAT = Statement(
    "queued_of_chat",
    """
    SELECT count(*) AS waiting,
        COALESCE(sum(CASE WHEN c.status IN ('cancelled', 'completed', 'expired') THEN 1 ELSE 0 END), 0) AS settled
    FROM cards wt CROSS JOIN cases c
    WHERE wt.platform = :platform AND wt.queue = :chat AND c.case_id = wt.case_id
    """,
)
# The most urgent cases that wait for a chat, each with its sealed review link.
URGENT_OF_CHAT = Statement(
    "urgent_of_chat",
    """
    SELECT c.*, k.sealed AS sealed_token FROM cards wt CROSS JOIN cases c
    LEFT JOIN case_tokens k
        ON k.case_id = c.case_id AND k.kind = 'review' AND k.holder = 'link' AND k.revoked_at IS NULL
    WHERE wt.platform = :platform AND wt.queue = :chat AND c.case_id = wt.case_id
        AND NOT (c.status IN ('cancelled', 'completed', 'expired'))
    ORDER BY wt.show_by LIMIT :limit
    """,
)
DIGEST_SHOWN = Statement(
    "digest_shown",
    """
    UPDATE digests SET message = :message, attempts = 0, started = 0, due_at = :due_at
    WHERE platform = :platform AND chat = :chat AND lease = :lease
    """,
)
DIGEST_POSTPONED = Statement(
    "digest_postponed",
    """
    UPDATE digests SET due_at = :due_at, attempts = attempts - :unused, started = started - :unused_start
    WHERE platform = :platform AND chat = :chat AND lease = :lease
    """,
)
# The flood is over, unless another one has begun in the meantime.
DROP_DIGEST = Statement(
    "drop_digest",
    """
    DELETE FROM digests WHERE platform = :platform AND chat = :chat AND lease = :lease
        AND NOT EXISTS (SELECT 1 FROM cards wt WHERE wt.platform = digests.platform AND wt.queue = digests.chat)
    """,
)
NEXT_DIGEST_DUE = Statement("next_digest_due", "SELECT min(due_at) AS due_at FROM digests WHERE platform = :platform")
