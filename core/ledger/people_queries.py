"""People: their identities, groups, delegations, codes and sessions."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

# --- identities ---------------------------------------------------------------------------------------------------

INSERT_REVIEWER = insert("reviewers", "reviewer_id created_at", conflict="ON CONFLICT (reviewer_id) DO NOTHING")
INSERT_IDENTITY = insert(
    "identities",
    "identity reviewer_id platform user_id team display_name username zone seen_at linked_at failed_tries failed_at",
    conflict="ON CONFLICT (identity) DO NOTHING",
)
IDENTITY = Statement("identity", "SELECT * FROM identities WHERE identity = :identity")
LOCK_IDENTITY = Statement("lock_identity", "SELECT * FROM identities WHERE identity = :identity {for_update}")
IDENTITY_SEEN = Statement(
    "identity_seen",
    """
    UPDATE identities SET display_name = :display_name, username = :username, zone = :zone, seen_at = :now
    WHERE identity = :identity
    """,
)
# Where somebody is, by whichever of their messengers knows it.
ZONE_OF = Statement(
    "zone_of",
    """
    SELECT other.zone FROM identities own JOIN identities other ON other.reviewer_id = own.reviewer_id
    WHERE own.identity = :identity AND other.zone IS NOT NULL
    ORDER BY other.seen_at DESC LIMIT 1
    """,
)
# What people are called, of whom somebody has ever said so; the freshest of each comes last.
NAMES_AT = Statement(
    "names_at",
    """
    SELECT user_id, display_name FROM identities
    WHERE platform = :platform AND user_id IN (SELECT value FROM json_each(:user_ids)) AND display_name IS NOT NULL
    ORDER BY seen_at
    """,
    """
    SELECT user_id, display_name FROM identities
    WHERE platform = :platform AND user_id = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:user_ids AS jsonb))))
      AND display_name IS NOT NULL
    ORDER BY seen_at
    """,
)
# Whoever is in a group, address by address.
GROUPED = Statement(
    "grouped",
    """
    SELECT DISTINCT address FROM group_members WHERE address >= :first AND address < :last
    ORDER BY address LIMIT :limit
    """,
)
# Some chats where cards stand of what waits for this person, by name or in a group.
CHATS_NAMING = Statement(
    "chats_naming",
    """
    SELECT DISTINCT card.channel FROM cards card
    WHERE card.platform = :platform AND card.case_id IN (
        SELECT e.case_id FROM inbox_entries e
        WHERE e.closed_at IS NULL AND e.entry IN (SELECT value FROM json_each(:entries))
        LIMIT 50)
    """,
    """
    SELECT DISTINCT card.channel FROM cards card
    WHERE card.platform = :platform AND card.case_id = ANY (ARRAY(
        SELECT e.case_id FROM inbox_entries e
        WHERE e.closed_at IS NULL
          AND e.entry = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:entries AS jsonb))))
        LIMIT 50))
    """,
)
# Telegram gives a name that somebody let go to somebody else.
USERNAME_GONE = Statement(
    "username_gone",
    """
    UPDATE identities SET username = NULL
    WHERE platform = :platform AND username = :username AND identity <> :identity
    """,
)
EVERYBODY = Statement("everybody", "SELECT * FROM identities ORDER BY reviewer_id, identity")
# On Slack one id may be known under several spellings of its workspace.
IDENTITIES_AT = Statement(
    "identities_at", "SELECT * FROM identities WHERE platform = :platform AND user_id = :user_id ORDER BY seen_at DESC"
)
BY_USERNAME = Statement(
    "by_username", "SELECT * FROM identities WHERE platform = :platform AND username = :username ORDER BY seen_at DESC"
)
LINKED = Statement("linked", "SELECT * FROM identities WHERE reviewer_id = :reviewer_id ORDER BY identity")
# Everybody who is the same person as one of these.
SAME_PEOPLE = Statement(
    "same_people",
    """
    SELECT identity, reviewer_id FROM identities WHERE identity IN (SELECT value FROM json_each(:identities))
    """,
    """
    SELECT identity, reviewer_id FROM identities
    WHERE identity = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:identities AS jsonb))))
    """,
)
MERGE_REVIEWERS = Statement(
    "merge_reviewers",
    "UPDATE identities SET reviewer_id = :into, linked_at = :now WHERE reviewer_id = :reviewer_id",
)
MARK_LINKED = Statement(
    "mark_linked", "UPDATE identities SET linked_at = COALESCE(linked_at, :now) WHERE reviewer_id = :reviewer_id"
)
DROP_REVIEWER = Statement("drop_reviewer", "DELETE FROM reviewers WHERE reviewer_id = :reviewer_id")
UNLINK = Statement(
    "unlink", "UPDATE identities SET reviewer_id = :reviewer_id, linked_at = NULL WHERE identity = :identity"
)
TRIES = Statement(
    "tries", "UPDATE identities SET failed_tries = :tries, failed_at = :failed_at WHERE identity = :identity"
)

# --- who has left ---------------------------------------------------------------------------------------------------

# Whoever has left has left under every spelling of their workspace; rows are kept without it.
DEPARTED = Statement("departed", "SELECT 1 AS one FROM departed WHERE address IN (:address, :bare) LIMIT 1")
INSERT_DEPARTED = insert("departed", "address departed_at", conflict="ON CONFLICT (address) DO NOTHING")
DROP_DEPARTED = Statement("drop_departed", "DELETE FROM departed WHERE address IN (:address, :bare)")
ALL_DEPARTED = Statement("all_departed", "SELECT * FROM departed ORDER BY address")
END_SESSIONS = Statement(
    "end_sessions", "UPDATE sessions SET revoked_at = :now WHERE identity = :identity AND revoked_at IS NULL"
)
END_TAKEN = Statement(
    "end_taken",
    "UPDATE delegations SET revoked_at = :now WHERE taker = :address AND revoked_at IS NULL AND until > :now",
)

# --- groups -------------------------------------------------------------------------------------------------------

GROUP_MEMBERS = Statement(
    "group_members",
    """
    SELECT g.name, m.address FROM groups g
    LEFT JOIN group_members m ON m.tenant_id = g.tenant_id AND m.name = g.name
    WHERE g.tenant_id = :tenant_id AND g.name IN (SELECT value FROM json_each(:names))
    ORDER BY g.name, m.address
    """,
    """
    SELECT g.name, m.address FROM groups g
    LEFT JOIN group_members m ON m.tenant_id = g.tenant_id AND m.name = g.name
    WHERE g.tenant_id = :tenant_id
      AND g.name = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:names AS jsonb))))
    ORDER BY g.name, m.address
    """,
)
PUT_GROUP = insert(
    "groups",
    "tenant_id name created_at updated_at",
    conflict="ON CONFLICT (tenant_id, name) DO UPDATE SET updated_at = excluded.updated_at",
)
INSERT_GROUP_MEMBER = insert("group_members", "tenant_id name address")
EMPTY_GROUP = Statement("empty_group", "DELETE FROM group_members WHERE tenant_id = :tenant_id AND name = :name")
DROP_GROUP = Statement("drop_group", "DELETE FROM groups WHERE tenant_id = :tenant_id AND name = :name")
GROUPS = Statement(
    "groups",
    """
    SELECT g.*, m.address FROM groups g
    LEFT JOIN group_members m ON m.tenant_id = g.tenant_id AND m.name = g.name
    WHERE g.tenant_id = :tenant_id ORDER BY g.name, m.address
    """,
)
GROUPS_OF = Statement(
    "groups_of",
    """
    SELECT DISTINCT name, tenant_id FROM group_members WHERE address IN (SELECT value FROM json_each(:addresses))
    """,
    """
    SELECT DISTINCT name, tenant_id FROM group_members
    WHERE address = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:addresses AS jsonb))))
    """,
)

# --- delegations --------------------------------------------------------------------------------------------------

INSERT_DELEGATION = insert("delegations", "delegation_id giver taker taker_name created_at until revoked_at")
# Who has asked one of these to answer for them, and is away at this moment.
GIVERS = Statement(
    "givers",
    """
    SELECT d.taker, d.until, i.* FROM delegations d JOIN identities i ON i.identity = d.giver
    WHERE d.taker IN (SELECT value FROM json_each(:addresses)) AND d.revoked_at IS NULL AND d.until > :now
    ORDER BY d.created_at
    """,
    """
    SELECT d.taker, d.until, i.* FROM delegations d JOIN identities i ON i.identity = d.giver
    WHERE d.taker = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST(:addresses AS jsonb))))
      AND d.revoked_at IS NULL AND d.until > :now
    ORDER BY d.created_at
    """,
)
GIVEN = Statement(
    "given",
    """
    SELECT d.* FROM delegations d JOIN identities i ON i.identity = d.giver
    WHERE i.reviewer_id = :reviewer_id AND d.revoked_at IS NULL AND d.until > :now
    ORDER BY d.created_at
    """,
)
REVOKE_DELEGATIONS = Statement(
    "revoke_delegations",
    """
    UPDATE delegations SET revoked_at = :now
    WHERE revoked_at IS NULL AND until > :now
      AND giver IN (SELECT identity FROM identities WHERE reviewer_id = :reviewer_id)
    """,
)

# --- codes and sessions -------------------------------------------------------------------------------------------

INSERT_CODE = insert("codes", "code_hash kind data created_at expires_at used_at")
CODE = Statement("code", "SELECT * FROM codes WHERE code_hash = :code_hash AND kind = :kind {for_update}")
USE_CODE = Statement("use_code", "UPDATE codes SET used_at = :now WHERE code_hash = :code_hash AND used_at IS NULL")
FORGET_CODES = Statement("forget_codes", "DELETE FROM codes WHERE expires_at < :before")
INSERT_SESSION = insert("sessions", "session_hash identity person how created_at expires_at revoked_at")
SESSION = Statement(
    "session", "SELECT *, {now} AS now FROM sessions WHERE session_hash = :session_hash AND revoked_at IS NULL"
)
REVOKE_SESSION = Statement(
    "revoke_session", "UPDATE sessions SET revoked_at = :now WHERE session_hash = :session_hash AND revoked_at IS NULL"
)
FORGET_SESSIONS = Statement("forget_sessions", "DELETE FROM sessions WHERE expires_at < :before")

# --- who answered before ------------------------------------------------------------------------------------------

# Two steps whose duties are kept apart are answered one after the other: until the transaction ends, nobody else
# answers such a step of this workflow. SQLite has one writer.
HOLD_DUTIES = Statement(
    "hold_duties",
    "SELECT :tenant_id AS tenant_id, :workflow_id AS workflow_id",
    """
    SELECT pg_advisory_xact_lock(
        hashtextextended('duties ' || CAST(:tenant_id AS TEXT) || ' ' || CAST(:workflow_id AS TEXT), 0))
    """,
)
ANSWERED_CASE = Statement(
    "answered_case",
    "SELECT topic, via, replier FROM human_interactions WHERE case_id = :case_id AND tenant_id = :tenant_id",
)
ANSWERED_GATE = Statement(
    "answered_gate",
    """
    SELECT topic, via, replier FROM human_interactions
    WHERE workflow_id = :workflow_id AND gate_key = :gate_key AND tenant_id = :tenant_id
    """,
)
ANSWERED_WORKFLOW = Statement(
    "answered_workflow",
    """
    SELECT topic, via, replier FROM human_interactions
    WHERE workflow_id = :workflow_id AND gate_key <> :gate_key AND tenant_id = :tenant_id
    """,
)
# Of whatever tenant: whoever holds one of its tokens answers it.
CASE_ANSWERED_BY = Statement("case_answered_by", "SELECT * FROM cases WHERE case_id = :case_id")
