"""The statements of sources, their webhooks and what was pushed to them, one line each on what it is for."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

INSERT_SOURCE = insert("sources", "source_id tenant_id name description mode settings created_at")
SOURCE = Statement("source", "SELECT * FROM sources WHERE source_id = :source_id AND tenant_id = :tenant_id")
# A source as the doors show it, with how its endpoint stands (NULLs without a webhook).
SOURCE_WITH_ENDPOINT = Statement(
    "source_with_endpoint",
    """
    SELECT s.*, e.state AS endpoint_state, e.reason AS endpoint_reason, e.failures, e.open_until
    FROM sources s LEFT JOIN endpoints e ON e.endpoint_id = s.source_id
    WHERE s.source_id = :source_id AND s.tenant_id = :tenant_id
    """,
)
SOURCES_WITH_ENDPOINT = Statement(
    "sources_with_endpoint",
    """
    SELECT s.*, e.state AS endpoint_state, e.reason AS endpoint_reason, e.failures, e.open_until
    FROM sources s LEFT JOIN endpoints e ON e.endpoint_id = s.source_id
    WHERE s.tenant_id = :tenant_id ORDER BY s.created_at, s.source_id
    """,
)
OWNER = Statement("owner", "SELECT tenant_id FROM sources WHERE source_id = :source_id")
LOCK_SOURCE = Statement(
    "lock_source", "SELECT * FROM sources WHERE source_id = :source_id AND tenant_id = :tenant_id {for_update}"
)
CHANGE_SOURCE = Statement(
    "change_source",
    """
    UPDATE sources SET name = :name, description = :description, mode = :mode, settings = :settings
    WHERE source_id = :source_id
    """,
)

# --- pushing ------------------------------------------------------------------------------------------------------

# With the event itself: whether it is pushed is what the source says at that moment.
INSERT_DECISION_DELIVERY = Statement(
    "insert_decision_delivery",
    """
    INSERT INTO deliveries (delivery_id, tenant_id, endpoint_id, kind, case_id, event_id, key_id, url, body, message_id,
        state, attempts, due_at, lease, created_at, finished_at, last_status, last_error)
    SELECT CAST(:delivery_id AS TEXT), s.tenant_id, s.source_id, 'decision', CAST(:case_id AS TEXT),
        CAST(:event_id AS TEXT), NULL, NULL, NULL, CAST(:event_id AS TEXT), 'waiting', 0, CAST(:now AS BIGINT), 0,
        CAST(:now AS BIGINT), NULL, NULL, NULL
    FROM sources s WHERE s.source_id = :source_id AND s.mode <> 'PULL_ONLY'
    """,
)
# The event, and its source as it is now: an address or a secret that has changed meanwhile counts.
DECISION_FACTS = Statement(
    "decision_facts",
    """
    SELECT d.delivery_id, e.body AS event_body, c.erased_at, s.*
    FROM deliveries d JOIN decision_events e ON e.event_id = d.event_id JOIN sources s ON s.source_id = d.endpoint_id
    JOIN cases c ON c.case_id = e.case_id
    WHERE d.delivery_id IN (SELECT value FROM json_each(:delivery_ids))
    """,
    """
    SELECT d.delivery_id, e.body AS event_body, c.erased_at, s.*
    FROM deliveries d JOIN decision_events e ON e.event_id = d.event_id JOIN sources s ON s.source_id = d.endpoint_id
    JOIN cases c ON c.case_id = e.case_id
    WHERE d.delivery_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:delivery_ids AS jsonb))))
    """,
)

# --- what operators see -------------------------------------------------------------------------------------------

# What waits and what has failed at an endpoint; what has arrived is not counted, it may be a lot.
STANDING = Statement(
    "standing",
    """
    SELECT (SELECT count(*) FROM deliveries WHERE endpoint_id = :endpoint_id AND state = 'waiting') AS waiting,
        (SELECT count(*) FROM deliveries WHERE endpoint_id = :endpoint_id AND state = 'failed') AS failed,
        (SELECT min(due_at) FROM deliveries WHERE endpoint_id = :endpoint_id AND state = 'waiting') AS due_at
    """,
)
# The newest attempt, of the newest deliveries and of those that were tried and wait to be tried again.
LAST_ATTEMPT = Statement(
    "last_attempt",
    """
    SELECT a.* FROM delivery_attempts a WHERE a.delivery_id IN (
        SELECT delivery_id FROM (
            SELECT delivery_id FROM deliveries WHERE endpoint_id = :endpoint_id ORDER BY created_at DESC LIMIT 100) n
        UNION SELECT delivery_id FROM (
            SELECT delivery_id FROM deliveries
            WHERE endpoint_id = :endpoint_id AND state = 'waiting' AND attempts > 0
            ORDER BY due_at DESC LIMIT 100) w)
    ORDER BY a.started_at DESC, a.number DESC LIMIT 1
    """,
)
# Newest first, from after the one that the last page ended with.
DELIVERIES_OF = Statement(
    "deliveries_of",
    """
    SELECT d.*, e.state AS endpoint_state, e.reason AS endpoint_reason
    FROM deliveries d JOIN endpoints e ON e.endpoint_id = d.endpoint_id
    WHERE d.endpoint_id = :endpoint_id AND (CAST(:state AS TEXT) IS NULL OR d.state = :state)
        AND d.created_at <= :made
        AND (d.created_at < :made OR d.delivery_id < :delivery_id)
    ORDER BY d.created_at DESC, d.delivery_id DESC LIMIT :limit
    """,
)
# The last few attempts of each of these deliveries.
RECENT_ATTEMPTS = Statement(
    "recent_attempts",
    """
    SELECT a.* FROM delivery_attempts a JOIN deliveries d ON d.delivery_id = a.delivery_id
    WHERE a.delivery_id IN (SELECT value FROM json_each(:delivery_ids)) AND a.number > d.lease - :few
    ORDER BY a.delivery_id, a.number DESC
    """,
    """
    SELECT a.* FROM delivery_attempts a JOIN deliveries d ON d.delivery_id = a.delivery_id
    WHERE a.delivery_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:delivery_ids AS jsonb))))
        AND a.number > d.lease - CAST(:few AS INTEGER)
    ORDER BY a.delivery_id, a.number DESC
    """,
)
# By their own ids or those of their events. As elsewhere, a replayed delivery begins its schedule anew.
REPLAY_OF = Statement(
    "replay_of",
    """
    UPDATE deliveries SET state = 'waiting', attempts = 0, due_at = :now, finished_at = NULL
    WHERE endpoint_id = :endpoint_id AND state = 'failed' AND (
        delivery_id IN (SELECT value FROM json_each(:ids)) OR message_id IN (SELECT value FROM json_each(:ids)))
    """,
    """
    UPDATE deliveries SET state = 'waiting', attempts = 0, due_at = :now, finished_at = NULL
    WHERE endpoint_id = :endpoint_id AND state = 'failed' AND (
        delivery_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:ids AS jsonb))))
        OR message_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:ids AS jsonb)))))
    """,
)

# --- verification -------------------------------------------------------------------------------------------------

# Events since when the source has its events pushed that nothing pushes. A minute is left for what was under way when
# the mode changed: it read the source before that, and took its time from the clock after it.
NEVER_PUSHED = Statement(
    "never_pushed",
    """
    SELECT e.event_id AS key FROM sources s JOIN decision_events e ON e.source_id = s.source_id
    LEFT JOIN deliveries d ON d.endpoint_id = e.source_id AND d.message_id = e.event_id
    WHERE s.mode <> 'PULL_ONLY' AND e.created_at > json_extract(s.settings, '$.pushed_since') + 60000
        AND d.delivery_id IS NULL
    """,
    """
    SELECT e.event_id AS key FROM sources s JOIN decision_events e ON e.source_id = s.source_id
    LEFT JOIN deliveries d ON d.endpoint_id = e.source_id AND d.message_id = e.event_id
    WHERE s.mode <> 'PULL_ONLY'
        AND e.created_at > CAST(CAST(s.settings AS jsonb) ->> 'pushed_since' AS BIGINT) + 60000
        AND d.delivery_id IS NULL
    """,
)

# --- where tasks go that name no source ---

LOCK_TENANT = Statement("lock_tenant", "SELECT * FROM tenants WHERE tenant_id = :tenant_id {for_update}")
SET_DEFAULT_SOURCE = Statement(
    "set_default_source", "UPDATE tenants SET default_source_id = :source_id WHERE tenant_id = :tenant_id"
)
