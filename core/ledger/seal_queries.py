"""The statements of the chain: what the sealer gives its place, and what is read to hold it against its seals."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

# --- sealing ---------------------------------------------------------------------------------------------------------

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

# --- holding the chain against its seals -----------------------------------------------------------------------------

SEALS = Statement("seals", "SELECT * FROM seals WHERE tenant_id = :tenant_id ORDER BY seal_no")
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
    SELECT 1 AS kind, event_id AS id, case_id, body, row_hash, created_at, position FROM decision_events
    WHERE tenant_id = :tenant_id AND position > :after AND position <= :upto
    """,
)
CHAINS = Statement("chains", "SELECT * FROM chains ORDER BY tenant_id")
UNSEALED_INTERACTIONS = Statement(
    "unsealed_interactions",
    "SELECT 0 AS kind, interaction_id AS id, i.* FROM human_interactions i WHERE position IS NULL",
)
UNSEALED_EVENTS = Statement(
    "unsealed_events",
    """
    SELECT 1 AS kind, event_id AS id, case_id, body, row_hash, created_at FROM decision_events WHERE position IS NULL
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
