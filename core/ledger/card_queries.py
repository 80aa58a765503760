"""The statements of cards: which are behind their cases, whose turn it is, and what they show."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

INSERT_CARD = insert(
    "cards",
    "card_id case_id tenant_id platform channel message wanted_version shown_version shown_digest state "
    "attempts due_at lease started last_error show_by",
)
# A case changed: all its cards shall follow.
REDRAW_CARDS = Statement(
    "redraw_cards",
    "UPDATE cards SET wanted_version = wanted_version + 1 WHERE case_id = :case_id",
)
# Claim what is behind, is due and stands in no busy chat; the claim's number fences off whoever held it before.
CLAIM_CARDS = Statement(
    "claim_cards",
    """
    UPDATE cards SET due_at = :lease_until, lease = lease + 1, attempts = attempts + 1,
        started = CASE WHEN message IS NULL THEN started + 1 ELSE 0 END
    WHERE card_id {any_of}
        SELECT card_id FROM cards
        WHERE platform = :platform AND state = 'live' AND wanted_version > shown_version AND queue IS NULL
            AND due_at <= :now
        ORDER BY due_at LIMIT :limit {skip_locked}{end}
    RETURNING *
    """,
)
CARD_SHOWN = Statement(
    "card_shown",
    """
    UPDATE cards SET message = :message, shown_version = :version, shown_digest = :digest, whole = :whole, attempts = 0,
        started = 0, due_at = 0, last_error = NULL
    WHERE card_id = :card_id AND lease = :lease
    """,
)
# What whoever taps is about to see, by card, where that is not known yet.
CARD_DIGESTS = Statement(
    "card_digests",
    """
    UPDATE cards SET shown_digest = v.value FROM json_each(:digests) AS v
    WHERE cards.card_id = v.key AND cards.shown_digest IS NULL
    """,
    """
    UPDATE cards SET shown_digest = CAST(:digests AS jsonb) ->> card_id
    WHERE card_id = ANY (ARRAY(SELECT jsonb_object_keys(CAST(:digests AS jsonb)))) AND shown_digest IS NULL
    """,
)
# The cases of claimed cards, with their sealed review links.
CLAIMED_CASES = Statement(
    "claimed_cases",
    """
    SELECT c.*, k.sealed AS sealed_token FROM json_each(:case_ids) AS wanted JOIN cases c ON c.case_id = wanted.value
    JOIN case_tokens k
        ON k.case_id = c.case_id AND k.kind = 'review' AND k.holder = 'link' AND k.revoked_at IS NULL
    """,
    """
    SELECT c.*, k.sealed AS sealed_token FROM cases c
    JOIN case_tokens k
        ON k.case_id = c.case_id AND k.kind = 'review' AND k.holder = 'link' AND k.revoked_at IS NULL
    WHERE c.case_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:case_ids AS jsonb))))
    """,
)
# What is about to be sent shows all of the content, or does not. Until it is there, what was sent before counts too.
CARD_WHOLE = Statement(
    "card_whole",
    """
    UPDATE cards SET whole = CASE WHEN whole = 1 OR (message IS NULL AND started <= 1) THEN CAST(:whole AS INTEGER)
        ELSE 0 END
    WHERE card_id = :card_id AND lease = :lease
    """,
)
# A tap came from a message of this card whose posting had an unknown outcome. A card that waits after that failure
# waits no longer; one whose worker is still at it is left to that worker.
ADOPT_CARD = Statement(
    "adopt_card",
    """
    UPDATE cards SET message = :message, started = 0, queue = NULL,
        due_at = CASE WHEN last_error IS NULL THEN due_at ELSE 0 END
    WHERE card_id = :card_id AND message IS NULL AND state = 'live'
    """,
)
CARD_POSTPONED = Statement(
    "card_postponed",
    """
    UPDATE cards SET due_at = :due_at, attempts = attempts - :unused, started = started - :unused_start,
        state = :state, last_error = :error
    WHERE card_id = :card_id AND lease = :lease
    """,
)
# The chat has another id (a new one, or the one that its name stands for), and nothing stands there: post it anew.
CARD_MOVED = Statement(
    "card_moved",
    """
    UPDATE cards SET channel = :channel, message = NULL, shown_version = 0, started = 0, attempts = 0, due_at = 0
    WHERE card_id = :card_id AND lease = :lease
    """,
)
CARD = Statement(
    "card",
    """
    SELECT c.*, k.sealed AS sealed_token FROM cards c
    LEFT JOIN case_tokens k
        ON k.case_id = c.case_id AND k.kind = 'submit' AND k.holder = c.platform AND k.revoked_at IS NULL
    WHERE c.card_id = :card_id
    """,
)
CARDS_OF_CASE = Statement("cards_of_case", "SELECT * FROM cards WHERE case_id = :case_id ORDER BY platform, channel")
# A button on an old picture was tapped: draw the card again, unless that is under way already.
REDRAW_CARD = Statement(
    "redraw_card",
    "UPDATE cards SET wanted_version = wanted_version + 1 WHERE card_id = :card_id AND wanted_version = shown_version",
)
TRY_DEAD_CARDS_AGAIN = Statement(
    "try_dead_cards_again",
    """
    UPDATE cards SET state = 'live', attempts = 0, due_at = :now
    WHERE platform = :platform AND state = 'dead' AND wanted_version > shown_version AND case_id IN (
        SELECT case_id FROM cases WHERE NOT (status IN ('cancelled', 'completed', 'expired')) AND expires_at > :now)
    """,
)
NEXT_CARD_DUE = Statement(
    "next_card_due",
    """
    SELECT min(due_at) AS due_at FROM (
        SELECT min(due_at) AS due_at FROM cards
        WHERE platform = :platform AND state = 'live' AND wanted_version > shown_version AND queue IS NULL
        UNION ALL
        SELECT min(next_at) FROM chats WHERE platform = :platform AND next_at IS NOT NULL) AS waiting
    """,
)
