"""The statements of cases: opening, answering, moving and reading them, one line each on what it is for."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

INSERT_CASE = insert(
    "cases",
    "case_id tenant_id workflow_id gate_key source_id key_id type status content content_digest terms "
    "created_at opened_at expires_at closed_at result answered previous_case_id next_case_id progress "
    "version last_event remind_at escalate_at",
)
INSERT_TOKEN = insert("case_tokens", "token_hash case_id kind holder sealed revoked_at")
INSERT_CASE_EVENT = insert("case_events", "case_id counter kind data created_at")
INSERT_INTERACTION = insert(
    "human_interactions",
    "interaction_id tenant_id case_id workflow_id gate_key topic dedupe_key origin via replier payload "
    "payload_hash content_digest created_at row_hash position",
)
INSERT_DECISION = insert("decisions", "case_id workflow_id key verdict action interaction_id body decided_at")
INSERT_DECISION_EVENT = insert(
    "decision_events",
    "event_id tenant_id source_id case_id body row_hash created_at position acked_at",
)
INSERT_INBOUND = insert(
    "inbound", "platform delivery_id received_at", conflict="ON CONFLICT (platform, delivery_id) DO NOTHING"
)
FORGET_INBOUND = Statement("forget_inbound", "DELETE FROM inbound WHERE received_at < :before")

# The case that a verb is about to change, locked until its transaction ends.
LOCK_CASE = Statement("lock_case", "SELECT * FROM cases WHERE case_id = :case_id {for_update}")

CASE = Statement("case", "SELECT * FROM cases WHERE case_id = :case_id AND tenant_id = :tenant_id")
# A case for whoever polls it, and how often it was polled in this minute, which begins with its first poll; `minute` is
# that moment, in milliseconds. (One process on SQLite counts in memory.)
POLLED_CASE = Statement(
    "polled_case",
    CASE.sql,
    """
    WITH hit AS (
        INSERT INTO polls (case_id, minute, count)
        SELECT case_id, {now}, 1
        FROM cases WHERE case_id = :case_id AND tenant_id = :tenant_id
        ON CONFLICT (case_id) DO UPDATE SET
            count = CASE WHEN excluded.minute < polls.minute + 60000 THEN polls.count + 1 ELSE 1 END,
            minute = CASE WHEN excluded.minute < polls.minute + 60000 THEN polls.minute ELSE excluded.minute END
        RETURNING count, minute)
    SELECT c.*, hit.count AS polls, hit.minute + 60000 - {now} AS left_ms
    FROM hit, cases c WHERE c.case_id = :case_id AND c.tenant_id = :tenant_id
    """,
)

# All that opening a case needs to know, in one round trip: the clock, an earlier answer, the source, the last round.
# And the Idempotency-Key is taken.
OPEN_FACTS = Statement(
    "open_facts",
    """
    SELECT {now} AS now, base.mine, i.body_hash, i.answer, i.created_at AS kept_at,
           s.source_id, s.settings AS source_settings,
           p.case_id AS previous_case_id, p.source_id AS previous_source_id
    FROM (SELECT {try_lock} AS mine) AS base
    LEFT JOIN idempotency i ON i.tenant_id = :tenant_id AND i.door = :door AND i.key = :key
    LEFT JOIN sources s ON s.source_id = :source_id AND s.tenant_id = :tenant_id
    LEFT JOIN cases p ON p.case_id = :previous_case_id AND p.tenant_id = :tenant_id
    """,
)

# All that answering needs to know once the case is locked: the clock, whose token, the same reply earlier, the same
# delivery, who the replier is.
REPLY_FACTS = Statement(
    "reply_facts",
    """
    SELECT {now} AS now, k.kind AS token_kind, k.holder AS token_holder, k.revoked_at AS token_revoked_at,
           i.interaction_id, i.payload_hash, i.topic AS interaction_topic, i.replier, d.delivery_id,
           p.reviewer_id,
           (SELECT min(g.departed_at) FROM departed g WHERE g.address IN (:address, :bare)) AS departed_at
    FROM (SELECT 1 AS one) AS base
    LEFT JOIN case_tokens k ON k.token_hash = :token_hash AND k.case_id = :case_id
    LEFT JOIN human_interactions i ON i.workflow_id = :workflow_id AND i.gate_key = :gate_key
        AND i.topic = :topic AND i.dedupe_key = :dedupe_key
    LEFT JOIN inbound d ON d.platform = :platform AND d.delivery_id = :delivery_id
    LEFT JOIN identities p ON p.identity = :identity
    """,
)

# A transition: guarded by the version that the verb read, so that it can only be applied to what was judged.
MOVE_CASE = Statement(
    "move_case",
    """
    UPDATE cases SET status = :status, opened_at = :opened_at, closed_at = :closed_at, result = :result,
        answered = :answered, progress = :progress, version = version + 1, last_event = :last_event,
        settles_at = :settles_at, votes = :votes,
        remind_at = CASE WHEN CAST(:closed_at AS BIGINT) IS NULL THEN remind_at END,
        escalate_at = CASE WHEN CAST(:closed_at AS BIGINT) IS NULL THEN escalate_at END
    WHERE case_id = :case_id AND status = :was_status AND version = :was_version
    """,
)
NOTE_EVENT = Statement("note_event", "UPDATE cases SET last_event = :last_event WHERE case_id = :case_id")
LINK_NEXT_CASE = Statement(
    "link_next_case",
    """
    UPDATE cases SET next_case_id = :next_case_id, version = version + 1
    WHERE case_id = :case_id AND next_case_id IS NULL
    """,
)
DUE_CASES = Statement(
    "due_cases",
    """
    SELECT * FROM cases WHERE NOT (status IN ('cancelled', 'completed', 'expired')) AND expires_at <= :now
    ORDER BY expires_at LIMIT :limit {skip_locked}
    """,
)
NEXT_DEADLINE = Statement(
    "next_deadline",
    "SELECT min(expires_at) AS moment FROM cases WHERE NOT (status IN ('cancelled', 'completed', 'expired'))",
)
# Answers that can no longer be revised, with the ledger row that holds them.
SETTLING_CASES = Statement(
    "settling_cases",
    "SELECT * FROM cases WHERE settles_at <= :now ORDER BY settles_at LIMIT :limit {skip_locked}",
)
NEXT_SETTLING = Statement("next_settling", "SELECT min(settles_at) AS moment FROM cases WHERE settles_at IS NOT NULL")
SETTLE_CASE = Statement(
    "settle_case", "UPDATE cases SET settles_at = NULL WHERE case_id = :case_id AND settles_at IS NOT NULL"
)
LATEST_INTERACTION = Statement(
    "latest_interaction",
    """
    SELECT interaction_id, row_hash FROM human_interactions WHERE case_id = :case_id
    ORDER BY created_at DESC LIMIT 1
    """,
)
REVIEWED_CASE = Statement(
    "reviewed_case",
    """
    SELECT c.* FROM cases c JOIN case_tokens k ON k.case_id = c.case_id
    WHERE c.case_id = :case_id AND k.token_hash = :token_hash AND k.kind = 'review' AND k.revoked_at IS NULL
    """,
)
# The ledger row of a case's newest answer; that a grant was revoked, or content erased, later is none.
_ANSWERED = """
    LEFT JOIN human_interactions i ON i.interaction_id = (
        SELECT h.interaction_id FROM human_interactions h
        WHERE h.case_id = c.case_id AND h.topic NOT IN ('sys:erase', 'sys:revoke')
        ORDER BY h.created_at DESC LIMIT 1)
"""
# What a review page shows: the case that this link opens, the clock, and that row.
REVIEW = Statement(
    "review",
    f"""
    SELECT c.*, {{now}} AS now, i.interaction_id, i.row_hash
    FROM cases c JOIN case_tokens k ON k.case_id = c.case_id {_ANSWERED}
    WHERE c.case_id = :case_id AND k.token_hash = :token_hash AND k.kind = 'review' AND k.revoked_at IS NULL
    """,  # noqa: S608 - our own names
)
SHOWN_CASE = Statement(
    "shown_case",
    f"""
    SELECT c.*, {{now}} AS now, i.interaction_id, i.row_hash FROM cases c {_ANSWERED}
    WHERE c.case_id = :case_id AND c.tenant_id = :tenant_id
    """,  # noqa: S608 - our own names
)
SEALED_TOKEN = Statement(
    "sealed_token",
    """
    SELECT sealed FROM case_tokens
    WHERE case_id = :case_id AND kind = :kind AND holder = :holder AND revoked_at IS NULL AND sealed IS NOT NULL
    """,
)
# What happened to some cases, each since the event that its readers have seen, and the cases as they are now.
CASE_NEWS = Statement(
    "case_news",
    """
    SELECT c.*, e.counter, e.kind, e.data, e.created_at AS happened_at
    FROM json_each(:watched) AS seen
    JOIN case_events e ON e.case_id = seen.key AND e.counter > seen.value
    JOIN cases c ON c.case_id = e.case_id
    ORDER BY e.case_id, e.counter
    """,
    """
    SELECT c.*, e.counter, e.kind, e.data, e.created_at AS happened_at
    FROM case_events e JOIN cases c ON c.case_id = e.case_id
    WHERE e.case_id = ANY (ARRAY(SELECT jsonb_object_keys(CAST(:watched AS jsonb))))
      AND e.counter > CAST(CAST(:watched AS jsonb) ->> e.case_id AS integer)
    ORDER BY e.case_id, e.counter
    """,
)
# To which source a case belongs, for keys that are bound to some.
SOURCE_OF_CASE = Statement(
    "source_of_case", "SELECT source_id FROM cases WHERE case_id = :case_id AND tenant_id = :tenant_id"
)
RECENT_CASES = Statement(
    "recent_cases", "SELECT * FROM cases WHERE tenant_id = :tenant_id ORDER BY created_at DESC LIMIT :limit"
)
# Which of the watched streams have something new: one question for all of them.
CHANGED_CASES = Statement(
    "changed_cases",
    "SELECT case_id, last_event FROM cases WHERE case_id IN (SELECT value FROM json_each(:case_ids))",
    """
    SELECT case_id, last_event FROM cases
    WHERE case_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:case_ids AS jsonb))))
    """,
)
