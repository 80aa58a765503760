"""What a check-up asks of the database: how it keeps what it is given, and what in it needs somebody's look."""

from __future__ import annotations

from core.ledger.statements import Statement

REVISION = Statement("revision", "SELECT version_num FROM alembic_version")
# How durable a commit is, and on PostgreSQL how many connections there are and whose. `machines`: from how many
# addresses Assent is connected.
CONDITION = Statement(
    "condition",
    """
    SELECT (SELECT journal_mode FROM pragma_journal_mode) AS journal_mode,
        (SELECT synchronous FROM pragma_synchronous) AS synchronous
    """,
    """
    SELECT current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit, current_setting('server_version') AS version,
        CAST(current_setting('max_connections') AS INTEGER)
            - CAST(current_setting('superuser_reserved_connections') AS INTEGER) AS connections,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
        (SELECT count(DISTINCT coalesce(CAST(client_addr AS TEXT), '')) FROM pg_stat_activity
            WHERE application_name = 'assent') AS machines
    """,
)
# Rows that hang on a secret key, by the key's id: API keys that count, and links of what is open.
SEALED_UNDER = Statement(
    "sealed_under",
    """
    SELECT 'API keys' AS what, substr(sealed, 1, 16) AS key_id, count(*) AS total FROM api_keys
    WHERE revoked_at IS NULL GROUP BY substr(sealed, 1, 16)
    UNION ALL
    SELECT 'links of open cases', substr(t.sealed, 1, 16), count(*)
    FROM cases c JOIN case_tokens t ON t.case_id = c.case_id
    WHERE NOT (c.status IN ('cancelled', 'completed', 'expired')) AND t.sealed IS NOT NULL AND t.revoked_at IS NULL
    GROUP BY substr(t.sealed, 1, 16)
    """,
)
# Cards of open cases that a messenger refused for good, by chat and reason. Not those whose chat shows the same case
# by another card.
DEAD_CARDS = Statement(
    "dead_cards",
    """
    SELECT d.platform, d.channel, d.last_error, count(*) AS total FROM cases c JOIN cards d ON d.case_id = c.case_id
    WHERE NOT (c.status IN ('cancelled', 'completed', 'expired')) AND d.state = 'dead'
        AND d.wanted_version > d.shown_version AND d.last_error <> :twin
    GROUP BY d.platform, d.channel, d.last_error ORDER BY count(*) DESC, d.platform, d.channel LIMIT 20
    """,
)
FAILED_DELIVERIES = Statement(
    "failed_deliveries",
    """
    SELECT endpoint_id, count(*) AS total FROM deliveries WHERE state = 'failed' AND kind = 'decision'
    GROUP BY endpoint_id
    """,
)
GROUPS = Statement(
    "all_group_members",
    """
    SELECT g.tenant_id, g.name, m.address FROM groups g
    LEFT JOIN group_members m ON m.tenant_id = g.tenant_id AND m.name = g.name
    """,
)
