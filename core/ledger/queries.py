"""Every statement that Assent runs, by name, one line each on what it is for."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

# --- cases --------------------------------------------------------------------------------------------------------

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
INSERT_IDEMPOTENCY = insert("idempotency", "tenant_id door key body_hash answer created_at")
INSERT_INBOUND = insert(
    "inbound", "platform delivery_id received_at", conflict="ON CONFLICT (platform, delivery_id) DO NOTHING"
)

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
           p.reviewer_id, g.departed_at
    FROM (SELECT 1 AS one) AS base
    LEFT JOIN case_tokens k ON k.token_hash = :token_hash AND k.case_id = :case_id
    LEFT JOIN human_interactions i ON i.workflow_id = :workflow_id AND i.gate_key = :gate_key
        AND i.topic = :topic AND i.dedupe_key = :dedupe_key
    LEFT JOIN inbound d ON d.platform = :platform AND d.delivery_id = :delivery_id
    LEFT JOIN identities p ON p.identity = :identity
    LEFT JOIN departed g ON g.address = :address
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
FORGET_SAVED_ANSWERS = Statement("forget_saved_answers", "DELETE FROM saved_answers WHERE case_id = :case_id")
REVIEWED_CASE = Statement(
    "reviewed_case",
    """
    SELECT c.* FROM cases c JOIN case_tokens k ON k.case_id = c.case_id
    WHERE c.case_id = :case_id AND k.token_hash = :token_hash AND k.kind = 'review' AND k.revoked_at IS NULL
    """,
)
# The ledger row of a case's newest answer; that a grant was revoked later is none.
_ANSWERED = """
    LEFT JOIN human_interactions i ON i.interaction_id = (
        SELECT h.interaction_id FROM human_interactions h WHERE h.case_id = c.case_id AND h.topic <> 'sys:revoke'
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
    WHERE case_id = :case_id AND kind = :kind AND holder = :holder AND revoked_at IS NULL
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

# --- keys, tenants, sources ---------------------------------------------------------------------------------

INSERT_TENANT = insert("tenants", "tenant_id created_at", conflict="ON CONFLICT (tenant_id) DO NOTHING")
INSERT_KEY = insert(
    "api_keys", "key_id tenant_id key_hash sealed scope name created_at revoked_at callback_signature sources"
)
# A key of a tenant that is not suspended, and until when it is known: whoever asks holds that against the clock.
KEY = Statement(
    "key",
    """
    SELECT k.key_id, k.tenant_id, k.scope, k.sources, k.revoked_at, {now} AS now
    FROM api_keys k JOIN tenants t ON t.tenant_id = k.tenant_id
    WHERE k.key_hash = :key_hash AND t.suspended_at IS NULL
    """,
)
# To which source a case belongs, for keys that are bound to some.
SOURCE_OF_CASE = Statement(
    "source_of_case", "SELECT source_id FROM cases WHERE case_id = :case_id AND tenant_id = :tenant_id"
)
NEWEST_KEY = Statement("newest_key", "SELECT key_id, sealed FROM api_keys ORDER BY created_at DESC LIMIT 1")
TENANTS = Statement("tenants", "SELECT tenant_id FROM tenants ORDER BY created_at, tenant_id")
INSERT_SOURCE = insert("sources", "source_id tenant_id name description mode settings created_at")
SOURCE = Statement("source", "SELECT * FROM sources WHERE source_id = :source_id AND tenant_id = :tenant_id")

# --- decision events
# ---------------------------------------------------------------------------------------------------

PULL = Statement(
    "pull",
    """
    SELECT event_id, body, position FROM decision_events
    WHERE source_id = :source_id AND position > :after AND acked_at IS NULL
    ORDER BY position LIMIT :limit
    """,
)
ACK = Statement(
    "ack",
    """
    UPDATE decision_events SET acked_at = COALESCE(acked_at, :now)
    WHERE event_id = :event_id AND source_id = :source_id AND tenant_id = :tenant_id
    """,
)

# --- cards
# -------------------------------------------------------------------------------------------------------------

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
CARD_PLATFORMS = Statement("card_platforms", "SELECT DISTINCT platform FROM cards WHERE case_id = :case_id")
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

# --- leases, housekeeping, health
# ---------------------------------------------------------------------------------------

TAKE_LEASE = Statement(
    "take_lease",
    """
    INSERT INTO leases (name, holder, until, state) VALUES (:name, :holder, :until, NULL)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE leases.holder = excluded.holder OR leases.until < :now
    """,
)
LEASE = Statement("lease", "SELECT holder, until, state FROM leases WHERE name = :name")
SAVE_LEASE_STATE = Statement(
    "save_lease_state", "UPDATE leases SET state = :state WHERE name = :name AND holder = :holder"
)
DROP_LEASE = Statement("drop_lease", "UPDATE leases SET until = 0 WHERE name = :name AND holder = :holder")
FORGET_INBOUND = Statement("forget_inbound", "DELETE FROM inbound WHERE received_at < :before")
FORGET_IDEMPOTENCY = Statement("forget_idempotency", "DELETE FROM idempotency WHERE created_at < :before")
REVISION = Statement("revision", "SELECT version_num FROM alembic_version")

# --- the sealer
# ----------------------------------------------------------------------------------------------------------

# Asked tenant by tenant: over the whole table SQLite would walk the index of all that was ever sealed.
UNSEALED_TENANTS = Statement(
    "unsealed_tenants",
    """
    SELECT t.tenant_id FROM tenants t
    WHERE EXISTS (SELECT 1 FROM human_interactions i WHERE i.tenant_id = t.tenant_id AND i.position IS NULL)
        OR EXISTS (SELECT 1 FROM decision_events e WHERE e.tenant_id = t.tenant_id AND e.position IS NULL)
    """,
)
UNSEALED = Statement(
    "unsealed",
    """
    SELECT 0 AS kind, interaction_id AS id, row_hash, created_at, NULL AS source_id
    FROM human_interactions WHERE position IS NULL AND tenant_id = :tenant_id
    UNION ALL
    SELECT 1 AS kind, event_id AS id, row_hash, created_at, source_id
    FROM decision_events WHERE position IS NULL AND tenant_id = :tenant_id
    ORDER BY created_at, kind, id LIMIT :limit
    """,
)
START_CHAIN = Statement(
    "start_chain",
    """
    INSERT INTO chains (tenant_id, position, seal_no, chain_hash) VALUES (:tenant_id, 0, 0, '')
    ON CONFLICT (tenant_id) DO NOTHING
    """,
)
LOCK_CHAIN = Statement("lock_chain", "SELECT * FROM chains WHERE tenant_id = :tenant_id {for_update}")
MOVE_CHAIN = Statement(
    "move_chain",
    """
    UPDATE chains SET position = :position, seal_no = :seal_no, chain_hash = :chain_hash
    WHERE tenant_id = :tenant_id AND seal_no = :was_seal_no
    """,
)
INSERT_SEAL = insert("seals", "tenant_id seal_no last_position chain_hash sealed_at key_id signature")
PLACE_INTERACTION = Statement(
    "place_interaction",
    "UPDATE human_interactions SET position = :position WHERE interaction_id = :id AND position IS NULL",
)
PLACE_EVENT = Statement(
    "place_event", "UPDATE decision_events SET position = :position WHERE event_id = :id AND position IS NULL"
)
PLACE_MANY = Statement(
    "place_many",
    "",  # SQLite places row by row: there is no round trip to save
    """
    WITH wanted AS (
        SELECT CAST(v ->> 'kind' AS INTEGER) AS kind, v ->> 'id' AS id, CAST(v ->> 'position' AS BIGINT) AS position
        FROM jsonb_array_elements(CAST(:places AS jsonb)) AS v),
    interactions AS (
        UPDATE human_interactions i SET position = w.position FROM wanted w
        WHERE w.kind = 0 AND i.interaction_id = w.id AND i.position IS NULL RETURNING 1),
    events AS (
        UPDATE decision_events e SET position = w.position FROM wanted w
        WHERE w.kind = 1 AND e.event_id = w.id AND e.position IS NULL RETURNING e.source_id)
    SELECT (SELECT count(*) FROM interactions) + (SELECT count(*) FROM events) AS placed
    """,
)
SEALS = Statement("seals", "SELECT * FROM seals WHERE tenant_id = :tenant_id ORDER BY seal_no")

# --- verification ---------------------------------------------------------------------------------------------

INTERACTIONS_BETWEEN = Statement(
    "interactions_between",
    """
    SELECT 0 AS kind, interaction_id AS id, i.* FROM human_interactions i
    WHERE tenant_id = :tenant_id AND position > :after AND position <= :upto
    """,
)
EVENTS_BETWEEN = Statement(
    "events_between",
    """
    SELECT 1 AS kind, event_id AS id, event_id, body, row_hash, created_at, position FROM decision_events
    WHERE tenant_id = :tenant_id AND position > :after AND position <= :upto
    """,
)
CHAINS = Statement("chains", "SELECT * FROM chains ORDER BY tenant_id")
UNSEALED_INTERACTIONS = Statement("unsealed_interactions", "SELECT * FROM human_interactions WHERE position IS NULL")
UNSEALED_EVENTS = Statement(
    "unsealed_events", "SELECT event_id, body, row_hash, created_at FROM decision_events WHERE position IS NULL"
)
# Every case with what it hangs on, a page at a time, so that each can be held against the others.
CASES_WITH_OUTCOME = Statement(
    "cases_with_outcome",
    """
    SELECT c.case_id, c.status, c.source_id, c.content, c.content_digest, c.working, c.result, c.answered, c.settles_at,
           (SELECT count(*) FROM case_events v
            WHERE v.case_id = c.case_id AND v.kind IN ('cancelled', 'completed', 'expired')) AS endings,
           (SELECT count(*) FROM human_interactions h WHERE h.case_id = c.case_id AND h.topic = i.topic
            AND substr(h.payload, 1, length(d.action) + 13) = '{"action":"' || d.action || '",') AS voices,
           c.terms, d.interaction_id AS decided_by, d.action AS decided_action, d.verdict, d.body AS decision_body,
           i.interaction_id, i.case_id AS interaction_case_id, i.topic, i.via, i.replier, i.payload, i.row_hash,
           i.content_digest AS agreed_digest, e.event_id, e.body AS event_body, t.case_id AS guarded, t.dispatched_at
    FROM cases c LEFT JOIN tasks t ON t.case_id = c.case_id
    LEFT JOIN decisions d ON d.case_id = c.case_id
    LEFT JOIN human_interactions i ON i.interaction_id = COALESCE(d.interaction_id, (
        SELECT h.interaction_id FROM human_interactions h WHERE h.case_id = c.case_id
        ORDER BY h.created_at DESC LIMIT 1))
    LEFT JOIN decision_events e ON e.case_id = c.case_id
    WHERE c.case_id > :after ORDER BY c.case_id LIMIT :limit
    """,
)
# What the database's constraints forbid; asked all the same, because constraints can be dropped.
DUPLICATE_INTERACTIONS = Statement(
    "duplicate_interactions",
    """
    SELECT workflow_id || ' ' || gate_key || ' ' || topic || ' ' || dedupe_key AS key FROM human_interactions
    GROUP BY workflow_id, gate_key, topic, dedupe_key HAVING count(*) > 1
    """,
)
DUPLICATE_DECISIONS = Statement(
    "duplicate_decisions",
    "SELECT workflow_id || ' ' || key AS key FROM decisions GROUP BY workflow_id, key HAVING count(*) > 1",
)
PHANTOM_PROMPTS = Statement(
    "phantom_prompts",
    "SELECT workflow_id || ' ' || gate_key AS key FROM cases GROUP BY workflow_id, gate_key HAVING count(*) > 1",
)
EVENTS_WITHOUT_DECISION = Statement(
    "events_without_decision",
    """
    SELECT e.event_id AS key FROM decision_events e LEFT JOIN decisions d ON d.case_id = e.case_id
    WHERE d.case_id IS NULL
    """,
)
DECISIONS_WITHOUT_CASE = Statement(
    "decisions_without_case",
    "SELECT d.case_id AS key FROM decisions d LEFT JOIN cases c ON c.case_id = d.case_id WHERE c.case_id IS NULL",
)
INTERACTIONS_WITHOUT_CASE = Statement(
    "interactions_without_case",
    """
    SELECT i.interaction_id AS key FROM human_interactions i LEFT JOIN cases c ON c.case_id = i.case_id
    WHERE c.case_id IS NULL
    """,
)
# Nothing looks at rows beyond the end of their chain: nobody has sealed them there.
ROWS_OUTSIDE_CHAIN = Statement(
    "rows_outside_chain",
    """
    SELECT i.interaction_id AS key FROM human_interactions i LEFT JOIN chains c ON c.tenant_id = i.tenant_id
    WHERE i.position < 1 OR i.position > COALESCE(c.position, 0)
    UNION ALL
    SELECT e.event_id AS key FROM decision_events e LEFT JOIN chains c ON c.tenant_id = e.tenant_id
    WHERE e.position < 1 OR e.position > COALESCE(c.position, 0)
    """,
)
