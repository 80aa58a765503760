"""What waits for whom, and what they have answered."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

INSERT_INBOX_ENTRY = insert(
    "inbox_entries", "entry case_id tenant_id expires_at closed_at", conflict="ON CONFLICT (entry, case_id) DO NOTHING"
)
CLOSE_INBOX = Statement("close_inbox", "UPDATE inbox_entries SET closed_at = :now WHERE case_id = :case_id")
EXTEND_INBOX = Statement("extend_inbox", "UPDATE inbox_entries SET expires_at = :expires_at WHERE case_id = :case_id")
# A chat has another id now (a group that moved, a name that was looked up).
MOVE_INBOX = Statement(
    "move_inbox",
    """
    UPDATE inbox_entries SET entry = :entry
    WHERE case_id = :case_id AND entry = :was AND NOT EXISTS (
        SELECT 1 FROM inbox_entries other WHERE other.case_id = :case_id AND other.entry = :entry)
    """,
)
# Every chat in which something waits, from entry to entry: nothing walks through all that waits there.
WAITING_PLACES = Statement(
    "waiting_places",
    """
    WITH RECURSIVE places(entry) AS (
        SELECT min(entry) FROM inbox_entries WHERE closed_at IS NULL AND entry >= :first AND entry < :last
        UNION ALL
        SELECT (SELECT min(e.entry) FROM inbox_entries e
                WHERE e.closed_at IS NULL AND e.entry > place.entry AND e.entry < :last)
        FROM places place WHERE place.entry IS NOT NULL)
    SELECT entry FROM places WHERE entry IS NOT NULL LIMIT :limit
    """,
)
# As above, of all that ever waited there.
PLACES = Statement(
    "places",
    """
    WITH RECURSIVE places(entry) AS (
        SELECT min(entry) FROM inbox_entries WHERE entry >= :first AND entry < :last
        UNION ALL
        SELECT (SELECT min(e.entry) FROM inbox_entries e WHERE e.entry > place.entry AND e.entry < :last)
        FROM places place WHERE place.entry IS NOT NULL)
    SELECT entry FROM places WHERE entry IS NOT NULL LIMIT :limit
    """,
)
# What waits under these entries, the most urgent first. `after`, `after_id`: where the last page ended.
WAITING_CASES = Statement(
    "waiting_cases",
    """
    SELECT c.* FROM cases c
    WHERE c.case_id IN (
        SELECT e.case_id FROM inbox_entries e
        WHERE e.entry IN (SELECT value FROM json_each(:entries)) AND e.closed_at IS NULL AND e.expires_at > :now)
      AND NOT (c.status IN ('cancelled', 'completed', 'expired')) AND c.expires_at > :now
      AND (c.expires_at > :after OR (c.expires_at = :after AND c.case_id > :after_id))
    ORDER BY c.expires_at, c.case_id LIMIT :limit
    """,
    """
    SELECT c.* FROM cases c
    WHERE c.case_id IN (
        SELECT e.case_id FROM inbox_entries e
        WHERE e.entry = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:entries AS jsonb))))
          AND e.closed_at IS NULL AND e.expires_at > :now)
      AND NOT (c.status IN ('cancelled', 'completed', 'expired')) AND c.expires_at > :now
      AND (c.expires_at > :after OR (c.expires_at = :after AND c.case_id > :after_id))
    ORDER BY c.expires_at, c.case_id LIMIT :limit
    """,
)


def _beyond(at: str, case_id: str, *, newer: bool) -> tuple[str, str]:
    """The condition for what is older, or newer, than the case `:case_id` at `:at`, and the order that begins there."""
    sign, back = (">", "") if newer else ("<", " DESC")
    other, on = ("<", " DESC") if newer else (">", "")
    return f"{at} {sign}= :at AND ({at} {sign} :at OR {case_id} {other} :case_id)", f"{at}{back}, {case_id}{on}"


def _closed(name: str, *, newer: bool) -> Statement:
    beyond, order = _beyond("e.closed_at", "e.case_id", newer=newer)

    def text(entries: str) -> str:
        return f"""
        SELECT c.* FROM cases c
        WHERE c.case_id {{any_of}}
            SELECT e.case_id FROM inbox_entries e
            WHERE e.entry {entries} AND {beyond}
            GROUP BY e.case_id, e.closed_at ORDER BY {order} LIMIT :limit{{end}}
        ORDER BY {order.replace("e.", "c.")}
        """  # noqa: S608 - our own text

    return Statement(
        name,
        text("IN (SELECT value FROM json_each(:entries))"),
        text("= ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:entries AS jsonb))))"),
    )


# What waited under these entries and was closed, from the last that was older than where somebody has come to on.
CLOSED_CASES = _closed("closed_cases", newer=False)
CLOSED_SINCE = _closed("closed_since", newer=True)  # the other way round
ENTRIES_OF_CASE = Statement("entries_of_case", "SELECT entry FROM inbox_entries WHERE case_id = :case_id")


def _answered(name: str, *, newer: bool) -> Statement:
    beyond, order = _beyond("i.created_at", "i.case_id", newer=newer)

    def text(repliers: str) -> str:
        return f"""
        SELECT c.*, i.created_at AS answered_at FROM human_interactions i JOIN cases c ON c.case_id = i.case_id
        WHERE i.dedupe_key {repliers} AND i.origin IN ('manual', 'webhook') AND {beyond}
        ORDER BY {order} LIMIT :limit
        """  # noqa: S608 - our own text

    return Statement(
        name,
        text("IN (SELECT value FROM json_each(:repliers))"),
        text("= ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:repliers AS jsonb))))"),
    )


# What somebody has answered under these identities, as `CLOSED_CASES` and `CLOSED_SINCE`.
ANSWERED_BY = _answered("answered_by", newer=False)
ANSWERED_SINCE = _answered("answered_since", newer=True)
# When somebody has first answered these cases under one of these identities.
FIRST_ANSWERS = Statement(
    "first_answers",
    """
    SELECT case_id, min(created_at) AS answered_at FROM human_interactions
    WHERE case_id IN (SELECT value FROM json_each(:case_ids))
      AND dedupe_key IN (SELECT value FROM json_each(:repliers)) AND origin IN ('manual', 'webhook')
    GROUP BY case_id
    """,
    """
    SELECT case_id, min(created_at) AS answered_at FROM human_interactions
    WHERE case_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:case_ids AS jsonb))))
      AND dedupe_key = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:repliers AS jsonb))))
      AND origin IN ('manual', 'webhook')
    GROUP BY case_id
    """,
)
DID_ANSWER = Statement(
    "did_answer",
    """
    SELECT 1 AS one FROM human_interactions
    WHERE case_id = :case_id AND dedupe_key IN (SELECT value FROM json_each(:repliers)) LIMIT 1
    """,
    """
    SELECT 1 AS one FROM human_interactions
    WHERE case_id = :case_id AND dedupe_key = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:repliers AS jsonb))))
    LIMIT 1
    """,
)
INSERT_QUESTION = insert(
    "questions",
    "platform channel message card_id identity action edition asked_at answered_at",
    conflict="ON CONFLICT (platform, channel, message) DO NOTHING",
)
QUESTION = Statement(
    "question",
    "SELECT * FROM questions WHERE platform = :platform AND channel = :channel AND message = :message",
)
OPEN_QUESTIONS = Statement(
    "open_questions",
    """
    SELECT channel, message FROM questions
    WHERE card_id = :card_id AND identity = :identity AND answered_at IS NULL
    """,
)
ANSWER_QUESTION = Statement(
    "answer_question",
    """
    UPDATE questions SET answered_at = :now
    WHERE platform = :platform AND channel = :channel AND message = :message AND answered_at IS NULL
    """,
)
FORGET_QUESTIONS = Statement("forget_questions", "DELETE FROM questions WHERE asked_at < :before")
