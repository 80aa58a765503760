"""The statements of deliveries and their endpoints, one line each on what it is for."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

# An endpoint is there before its first delivery; whoever comes second finds it, and nobody waits for a lock.
INSERT_ENDPOINT = insert(
    "endpoints",
    "endpoint_id tenant_id state reason failures open_until changed_at",
    conflict="ON CONFLICT (endpoint_id) DO NOTHING",
)
# The key that opened the case signs: cases keep it, and the case row is the caller's own.
INSERT_CALLBACK = Statement(
    "insert_callback",
    """
    INSERT INTO deliveries (delivery_id, tenant_id, endpoint_id, kind, case_id, event_id, key_id, url, body, message_id,
        state, attempts, due_at, lease, created_at, finished_at, last_status, last_error)
    VALUES (:delivery_id, :tenant_id, :endpoint_id, 'callback', :case_id, NULL,
        (SELECT key_id FROM cases WHERE case_id = :case_id), :url, :body, :message_id,
        'waiting', 0, :now, 0, :now, NULL, NULL, NULL)
    """,
)
# Numbered by its claim: a save that is repeated because its commit was not acknowledged notes the attempt once.
INSERT_ATTEMPT = insert(
    "delivery_attempts",
    "delivery_id number started_at took_ms status response error",
    conflict="ON CONFLICT (delivery_id, number) DO NOTHING",
)

# --- claiming -----------------------------------------------------------------------------------------------------

# The lanes (endpoints with something waiting) after a given one, so many of them: from each to the next by the index,
# past all that waits in between. `due`: the ids of the first few that are due there, as JSON.
LANES = Statement(
    "lanes",
    """
    WITH RECURSIVE lanes (n, endpoint_id) AS (
        SELECT 1, min(endpoint_id) FROM deliveries WHERE state = 'waiting' AND endpoint_id > :after
        UNION ALL
        SELECT l.n + 1,
            (SELECT min(d.endpoint_id) FROM deliveries d WHERE d.state = 'waiting' AND d.endpoint_id > l.endpoint_id)
        FROM lanes l WHERE l.endpoint_id IS NOT NULL AND l.n < :window)
    SELECT e.endpoint_id, e.tenant_id, e.state, e.failures, e.open_until,
        (SELECT min(d.due_at) FROM deliveries d WHERE d.state = 'waiting' AND d.endpoint_id = e.endpoint_id) AS due_at,
        (SELECT json_group_array(w.delivery_id) FROM (
            SELECT d.delivery_id FROM deliveries d
            WHERE d.state = 'waiting' AND d.endpoint_id = e.endpoint_id AND d.due_at <= :now
            ORDER BY d.due_at LIMIT :few) w) AS due
    FROM lanes l JOIN endpoints e ON e.endpoint_id = l.endpoint_id ORDER BY l.n
    """,
    """
    WITH RECURSIVE lanes (n, endpoint_id) AS (
        SELECT 1, min(endpoint_id) FROM deliveries WHERE state = 'waiting' AND endpoint_id > :after
        UNION ALL
        SELECT l.n + 1,
            (SELECT min(d.endpoint_id) FROM deliveries d WHERE d.state = 'waiting' AND d.endpoint_id > l.endpoint_id)
        FROM lanes l WHERE l.endpoint_id IS NOT NULL AND l.n < CAST(:window AS INTEGER))
    SELECT e.endpoint_id, e.tenant_id, e.state, e.failures, e.open_until,
        (SELECT min(d.due_at) FROM deliveries d WHERE d.state = 'waiting' AND d.endpoint_id = e.endpoint_id) AS due_at,
        CAST((SELECT json_agg(w.delivery_id) FROM (
            SELECT d.delivery_id FROM deliveries d
            WHERE d.state = 'waiting' AND d.endpoint_id = e.endpoint_id AND d.due_at <= :now
            ORDER BY d.due_at LIMIT :few) w) AS TEXT) AS due
    FROM lanes l JOIN endpoints e ON e.endpoint_id = l.endpoint_id ORDER BY l.n
    """,
)
# Only one courier tries an endpoint whose circuit half-opens: whoever closes it again for as long as the try takes.
TAKE_PROBE = Statement(
    "take_probe",
    "UPDATE endpoints SET open_until = :until WHERE endpoint_id = :endpoint_id AND open_until <= :now",
)
# Claim what was looked at and is still due; the claim's number fences off whoever held it before.
CLAIM_DELIVERIES = Statement(
    "claim_deliveries",
    """
    UPDATE deliveries SET due_at = :lease_until, lease = lease + 1, attempts = attempts + 1
    WHERE delivery_id IN (SELECT value FROM json_each(:delivery_ids)) AND state = 'waiting' AND due_at <= :now
    RETURNING *
    """,
    """
    UPDATE deliveries SET due_at = :lease_until, lease = lease + 1, attempts = attempts + 1
    WHERE delivery_id IN (
        SELECT delivery_id FROM deliveries
        WHERE delivery_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:delivery_ids AS jsonb))))
            AND state = 'waiting' AND due_at <= :now
        {skip_locked})
    RETURNING *
    """,
)
# What callbacks are signed with, the key that opened the case; and the terms, for whether the result is signed as well.
CALLBACK_FACTS = Statement(
    "callback_facts",
    """
    SELECT d.delivery_id, k.key_id, k.sealed, k.revoked_at, k.callback_signature, c.terms, c.erased_at
    FROM deliveries d JOIN cases c ON c.case_id = d.case_id LEFT JOIN api_keys k ON k.key_id = d.key_id
    WHERE d.delivery_id IN (SELECT value FROM json_each(:delivery_ids))
    """,
    """
    SELECT d.delivery_id, k.key_id, k.sealed, k.revoked_at, k.callback_signature, c.terms, c.erased_at
    FROM deliveries d JOIN cases c ON c.case_id = d.case_id LEFT JOIN api_keys k ON k.key_id = d.key_id
    WHERE d.delivery_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:delivery_ids AS jsonb))))
    """,
)

# --- outcomes -----------------------------------------------------------------------------------------------------

SAVE_DELIVERY = Statement(
    "save_delivery",
    """
    UPDATE deliveries SET state = :state, due_at = :due_at, finished_at = :finished_at, last_status = :status,
        last_error = :error
    WHERE delivery_id = :delivery_id AND lease = :lease AND state = 'waiting'
    """,
)
LOCK_ENDPOINT = Statement("lock_endpoint", "SELECT * FROM endpoints WHERE endpoint_id = :endpoint_id {for_update}")
ENDPOINT_WORKS = Statement(
    "endpoint_works",
    """
    UPDATE endpoints SET failures = 0, open_until = 0, changed_at = :now
    WHERE endpoint_id = :endpoint_id AND (failures > 0 OR open_until > 0)
    """,
)
MOVE_ENDPOINT = Statement(
    "move_endpoint",
    """
    UPDATE endpoints SET state = :state, reason = :reason, failures = :failures, open_until = :open_until,
        changed_at = :now
    WHERE endpoint_id = :endpoint_id
    """,
)

# --- for operators ------------------------------------------------------------------------------------------------

LIST_DELIVERIES = Statement(
    "list_deliveries",
    """
    SELECT d.*, e.state AS endpoint_state, e.reason AS endpoint_reason, e.open_until
    FROM deliveries d JOIN endpoints e ON e.endpoint_id = d.endpoint_id
    WHERE (CAST(:state AS TEXT) IS NULL OR d.state = :state)
        AND (CAST(:endpoint_id AS TEXT) IS NULL OR d.endpoint_id = :endpoint_id)
        AND (CAST(:tenant_id AS TEXT) IS NULL OR d.tenant_id = :tenant_id)
    ORDER BY d.created_at DESC, d.delivery_id LIMIT :limit
    """,
)
ATTEMPTS = Statement("attempts", "SELECT * FROM delivery_attempts WHERE delivery_id = :delivery_id ORDER BY number")
# A replayed delivery begins its schedule anew; its attempts are numbered on.
REPLAY_DELIVERIES = Statement(
    "replay_deliveries",
    """
    UPDATE deliveries SET state = 'waiting', attempts = 0, due_at = :now, finished_at = NULL
    WHERE state = 'failed' AND delivery_id IN (SELECT value FROM json_each(:delivery_ids))
    """,
    """
    UPDATE deliveries SET state = 'waiting', attempts = 0, due_at = :now, finished_at = NULL
    WHERE state = 'failed'
        AND delivery_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:delivery_ids AS jsonb))))
    """,
)
REPLAY_RANGE = Statement(
    "replay_range",
    """
    UPDATE deliveries SET state = 'waiting', attempts = 0, due_at = :now, finished_at = NULL
    WHERE state = 'failed' AND created_at >= :since AND created_at < :until
        AND (CAST(:endpoint_id AS TEXT) IS NULL OR endpoint_id = :endpoint_id)
    """,
)
