"""The statements of tenants and API keys: who they are, what they may, and until when."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

# Whom operators' keys belong to: no tenant, and in no list of them.
OPERATORS = "00000000-0000-0000-0000-000000000000"

# --- tenants ------------------------------------------------------------------------------------------------------

INSERT_TENANT = insert("tenants", "tenant_id created_at name")
ENSURE_TENANT = insert("tenants", "tenant_id created_at", conflict="ON CONFLICT (tenant_id) DO NOTHING")
TENANT = Statement("tenant", "SELECT * FROM tenants WHERE tenant_id = :tenant_id")
FIRST_TENANT = Statement(
    "first_tenant",
    f"SELECT tenant_id FROM tenants WHERE tenant_id <> '{OPERATORS}' ORDER BY created_at, tenant_id LIMIT 1",  # noqa: S608 - our own text
)
# Oldest first, from after the one that the last page ended with.
TENANT_PAGE = Statement(
    "tenant_page",
    f"""
    SELECT * FROM tenants
    WHERE tenant_id <> '{OPERATORS}' AND (created_at, tenant_id) > (:made, :after_id)
    ORDER BY created_at, tenant_id LIMIT :limit
    """,  # noqa: S608 - our own text
)
TENANTS = Statement("tenants", "SELECT tenant_id FROM tenants ORDER BY created_at, tenant_id")
CHANGE_TENANT = Statement(
    "change_tenant",
    """
    UPDATE tenants SET name = :name, suspended_at = :suspended_at, default_source_id = :default_source_id
    WHERE tenant_id = :tenant_id
    """,
)

# --- keys ---------------------------------------------------------------------------------------------------------

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
NEWEST_KEY = Statement("newest_key", "SELECT key_id, sealed FROM api_keys ORDER BY created_at DESC LIMIT 1")
_SHOWN = """
    key_id, tenant_id, name, scope, sources, callback_signature, created_at, last_used_at, revoked_at, {now} AS now
"""
KEY_BY_ID = Statement(
    "key_by_id",
    f"SELECT {_SHOWN} FROM api_keys WHERE key_id = :key_id AND tenant_id = :tenant_id",  # noqa: S608 - our own text
)
# Newest first, from after the one that the last page ended with.
KEY_PAGE = Statement(
    "key_page",
    f"""
    SELECT {_SHOWN} FROM api_keys
    WHERE tenant_id = :tenant_id AND created_at <= :made AND (created_at < :made OR key_id < :after_id)
    ORDER BY created_at DESC, key_id DESC LIMIT :limit
    """,  # noqa: S608 - our own text
)
# From then on it is not known; what was to end later ends then, and what has ended stays as it is.
END_KEY = Statement(
    "end_key",
    """
    UPDATE api_keys SET revoked_at = :revoked_at
    WHERE key_id = :key_id AND tenant_id = :tenant_id AND (revoked_at IS NULL OR revoked_at > :revoked_at)
    """,
)
OTHER_ADMIN_KEYS = Statement(
    "other_admin_keys",
    """
    SELECT count(*) AS others FROM api_keys
    WHERE tenant_id = :tenant_id AND scope = 'admin' AND revoked_at IS NULL AND key_id <> :key_id
    """,
)
TENANT_OF_KEY = Statement("tenant_of_key", "SELECT tenant_id FROM api_keys WHERE key_id = :key_id")
# Which of these keys are still known, as `key` says it.
KNOWN_KEYS = Statement(
    "known_keys",
    """
    SELECT k.key_id, k.revoked_at, {now} AS now
    FROM api_keys k JOIN tenants t ON t.tenant_id = k.tenant_id
    WHERE k.key_id IN (SELECT value FROM json_each(:key_ids)) AND t.suspended_at IS NULL
    """,
    """
    SELECT k.key_id, k.revoked_at, {now} AS now
    FROM api_keys k JOIN tenants t ON t.tenant_id = k.tenant_id
    WHERE k.key_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:key_ids AS jsonb)))) AND t.suspended_at IS NULL
    """,
)
# When keys were used last, of many at once. A row that another process is at is left to it: it writes the same minute,
# or the next round writes it here.
KEYS_USED = Statement(
    "keys_used",
    """
    UPDATE api_keys SET last_used_at = (SELECT u.value FROM json_each(:used) AS u WHERE u.key = api_keys.key_id)
    WHERE key_id IN (
        SELECT k.key_id FROM json_each(:used) AS u JOIN api_keys k ON k.key_id = u.key
        WHERE k.last_used_at IS NULL OR k.last_used_at < u.value)
    """,
    """
    UPDATE api_keys SET last_used_at = CAST(CAST(:used AS jsonb) ->> key_id AS BIGINT)
    WHERE key_id IN (
        SELECT key_id FROM api_keys
        WHERE key_id = ANY (ARRAY(SELECT jsonb_object_keys(CAST(:used AS jsonb))))
            AND (last_used_at IS NULL OR last_used_at < CAST(CAST(:used AS jsonb) ->> key_id AS BIGINT))
        {skip_locked})
    """,
)
