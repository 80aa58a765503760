"""The declared schema of people: who they are on which messenger, whom they stand in for, and what waits for them.

As in `tables`: times are BIGINT milliseconds since 1970 (UTC), JSON is TEXT. A person is known to the whole
installation (a messenger vouches for them, whichever tenant asked), so that nobody counts twice anywhere; groups belong
to tenants.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from core.ledger.run_tables import metadata

__all__ = [
    "chats",
    "codes",
    "delegations",
    "departed",
    "digests",
    "group_members",
    "groups",
    "identities",
    "inbox_entries",
    "metadata",
    "questions",
    "reviewers",
    "sessions",
    "slack_installations",
]

reviewers = Table(
    "reviewers",
    metadata,
    Column("reviewer_id", Text, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
)

# Somebody on one messenger. Linked ones are one reviewer; nobody but an operator takes that back.
identities = Table(
    "identities",
    metadata,
    Column("identity", Text, primary_key=True),  # `Identity.key`: slack:T…:U…, telegram:…
    Column("reviewer_id", Text, ForeignKey("reviewers.reviewer_id"), nullable=False),
    Column("platform", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("team", Text),
    Column("display_name", Text),
    Column("username", Text),  # lower case; of Telegram, where commands name people so
    Column("zone", Text),  # their time zone, Europe/Berlin; of Slack, which knows it
    Column("seen_at", BigInteger, nullable=False),
    Column("linked_at", BigInteger),
    Column("failed_tries", Integer, nullable=False),  # wrong codes in a row
    Column("failed_at", BigInteger),
    Index("ix_identities_reviewer_id", "reviewer_id"),
    Index("ix_identities_platform_user_id", "platform", "user_id"),
    Index("ix_identities_platform_username", "platform", "username"),
)

# Who has left: whatever their messenger says, and under whichever identity, they decide nothing more.
departed = Table(
    "departed",
    metadata,
    Column("address", Text, primary_key=True),  # slack:U…, telegram:…
    Column("departed_at", BigInteger, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenants.tenant_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("tenant_id", "name"),
)

group_members = Table(
    "group_members",
    metadata,
    Column("tenant_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("address", Text, nullable=False),  # slack:U…, telegram:…
    PrimaryKeyConstraint("tenant_id", "name", "address"),
    Index("ix_group_members_address", "address"),
)

# Somebody is away, and somebody else answers for them.
delegations = Table(
    "delegations",
    metadata,
    Column("delegation_id", Text, primary_key=True),
    Column("giver", Text, ForeignKey("identities.identity"), nullable=False),
    Column("taker", Text, nullable=False),  # slack:U…, telegram:…
    Column("taker_name", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Index("ix_delegations_giver", "giver"),
    Index("ix_delegations_taker", "taker"),
)

# What is handed out once and comes back once: to link two identities, to sign in on the web, to install the app.
codes = Table(
    "codes",
    metadata,
    Column("code_hash", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON: whose it is
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    CheckConstraint("kind IN ('install', 'link', 'openid', 'pair', 'sign_in')", name="kind"),
    Index("ix_codes_expires_at", "expires_at"),
)

# Who is signed in on the web, and by whose word.
sessions = Table(
    "sessions",
    metadata,
    Column("session_hash", Text, primary_key=True),
    Column("identity", Text, nullable=False),
    Column("person", Text, nullable=False),  # JSON: the identity, whole
    Column("how", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    CheckConstraint("how IN ('chat_link', 'mini_app', 'slack_openid')", name="how"),
    Index("ix_sessions_identity", "identity"),
    Index("ix_sessions_expires_at", "expires_at"),
)

# For whom a case waits or waited: an entry of its policy (`group:<tenant>:<name>` for groups), or
# `in:<platform>:<chat>` for those of a chat.
inbox_entries = Table(
    "inbox_entries",
    metadata,
    Column("entry", Text, nullable=False),
    Column("case_id", Text, ForeignKey("cases.case_id"), nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("closed_at", BigInteger),
    PrimaryKeyConstraint("entry", "case_id"),
    Index(
        "ix_inbox_entries_waiting", "entry", "expires_at",
        postgresql_where=text("closed_at IS NULL"),
        sqlite_where=text("closed_at IS NULL"),
    ),
    Index(
        "ix_inbox_entries_closed", "entry", "closed_at",
        postgresql_where=text("closed_at IS NOT NULL"),
        sqlite_where=text("closed_at IS NOT NULL"),
    ),
    Index("ix_inbox_entries_case_id", "case_id"),
)  # fmt: skip

# Asked in a chat, answered by a message: for what reason somebody is about to reject.
questions = Table(
    "questions",
    metadata,
    Column("platform", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("card_id", Text, ForeignKey("cards.card_id"), nullable=False),
    Column("identity", Text, nullable=False),  # who was asked; nobody else's answer counts
    Column("action", Text, nullable=False),
    Column("edition", Integer, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("answered_at", BigInteger),
    PrimaryKeyConstraint("platform", "channel", "message"),
    Index("ix_questions_asked_at", "asked_at"),
    Index(
        "ix_questions_open", "card_id", "identity",
        postgresql_where=text("answered_at IS NULL"),
        sqlite_where=text("answered_at IS NULL"),
    ),
)  # fmt: skip

# How fast a chat was written to lately, by all processes together, and when the next card that waits for it may leave.
chats = Table(
    "chats",
    metadata,
    Column("platform", Text, nullable=False),
    Column("chat", Text, nullable=False),  # of a card's channel what comes before the topic
    Column("moments", Text, nullable=False),  # JSON: when the last messages left, ascending
    Column("quiet_until", BigInteger),  # the platform asked for a pause
    Column("next_at", BigInteger),  # NULL: no card waits
    Column("used_at", BigInteger),
    PrimaryKeyConstraint("platform", "chat"),
    Index(
        "ix_chats_next_at", "platform", "next_at",
        postgresql_where=text("next_at IS NOT NULL"),
        sqlite_where=text("next_at IS NOT NULL"),
    ),
    Index("ix_chats_used_at", "used_at"),
)  # fmt: skip

# The one message in a busy chat that says what still waits; gone once nothing does.
digests = Table(
    "digests",
    metadata,
    Column("platform", Text, nullable=False),
    Column("chat", Text, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("message", Text),  # the platform's id of the posted message
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("lease", Integer, nullable=False),
    Column("started", Integer, nullable=False),
    PrimaryKeyConstraint("platform", "chat"),
    Index("ix_digests_due_at", "platform", "due_at"),
)

# A Slack workspace that the app was installed to (OAuth). Slack's own answer, with the token, is sealed.
slack_installations = Table(
    "slack_installations",
    metadata,
    Column("team_id", Text, primary_key=True),
    Column("enterprise_id", Text),
    Column("team_name", Text, nullable=False),
    Column("bot_user", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # separated by commas, as Slack granted them
    Column("installed_by", Text),  # the person in that workspace, by Slack's word
    Column("sealed", Text),  # NULL: the app was removed there
    Column("installed_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    CheckConstraint("(sealed IS NULL) = (revoked_at IS NOT NULL)", name="revoked"),
)
