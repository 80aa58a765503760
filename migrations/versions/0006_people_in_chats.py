"""people in chats

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TEXT, NUMBER, MOMENT = sa.Text(), sa.Integer(), sa.BigInteger()
BEHIND = "wanted_version > shown_version AND state = 'live'"
WAITING = "NOT (status IN ('cancelled', 'completed', 'expired'))"


def upgrade() -> None:
    op.create_table(
        "reviewers",
        sa.Column("reviewer_id", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("reviewer_id", name=op.f("pk_reviewers")),
    )
    op.create_table(
        "identities",
        sa.Column("identity", TEXT, nullable=False),
        sa.Column("reviewer_id", TEXT, nullable=False),
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("user_id", TEXT, nullable=False),
        sa.Column("team", TEXT, nullable=True),
        sa.Column("display_name", TEXT, nullable=True),
        sa.Column("username", TEXT, nullable=True),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.Column("linked_at", MOMENT, nullable=True),
        sa.Column("failed_tries", NUMBER, nullable=False),
        sa.Column("failed_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_identities")),
        sa.ForeignKeyConstraint(["reviewer_id"], ["reviewers.reviewer_id"], name=op.f("fk_identities_reviewer_id")),
    )
    op.create_index("ix_identities_reviewer_id", "identities", ["reviewer_id"])
    op.create_index("ix_identities_platform_user_id", "identities", ["platform", "user_id"])
    op.create_index("ix_identities_platform_username", "identities", ["platform", "username"])
    op.create_table(
        "departed",
        sa.Column("address", TEXT, nullable=False),
        sa.Column("departed_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_departed")),
    )
    op.create_table(
        "groups",
        sa.Column("tenant_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", name=op.f("pk_groups")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.tenant_id"], name=op.f("fk_groups_tenant_id")),
    )
    op.create_table(
        "group_members",
        sa.Column("tenant_id", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("address", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "name", "address", name=op.f("pk_group_members")),
    )
    op.create_index("ix_group_members_address", "group_members", ["address"])
    op.create_table(
        "delegations",
        sa.Column("delegation_id", TEXT, nullable=False),
        sa.Column("giver", TEXT, nullable=False),
        sa.Column("taker", TEXT, nullable=False),
        sa.Column("taker_name", TEXT, nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("delegation_id", name=op.f("pk_delegations")),
        sa.ForeignKeyConstraint(["giver"], ["identities.identity"], name=op.f("fk_delegations_giver")),
    )
    op.create_index("ix_delegations_giver", "delegations", ["giver"])
    op.create_index("ix_delegations_taker", "delegations", ["taker"])
    op.create_table(
        "codes",
        sa.Column("code_hash", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("data", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("code_hash", name=op.f("pk_codes")),
        sa.CheckConstraint("kind IN ('install', 'link', 'openid', 'pair', 'sign_in')", name=op.f("ck_codes_kind")),
    )
    op.create_index("ix_codes_expires_at", "codes", ["expires_at"])
    op.create_table(
        "sessions",
        sa.Column("session_hash", TEXT, nullable=False),
        sa.Column("identity", TEXT, nullable=False),
        sa.Column("person", TEXT, nullable=False),
        sa.Column("how", TEXT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("session_hash", name=op.f("pk_sessions")),
        sa.CheckConstraint("how IN ('chat_link', 'mini_app', 'slack_openid')", name=op.f("ck_sessions_how")),
    )
    op.create_index("ix_sessions_identity", "sessions", ["identity"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "inbox_entries",
        sa.Column("entry", TEXT, nullable=False),
        sa.Column("case_id", TEXT, nullable=False),
        sa.Column("tenant_id", TEXT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("entry", "case_id", name=op.f("pk_inbox_entries")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.case_id"], name=op.f("fk_inbox_entries_case_id")),
    )
    _partial("ix_inbox_entries_waiting", "inbox_entries", ["entry", "expires_at"], "closed_at IS NULL")
    _partial("ix_inbox_entries_closed", "inbox_entries", ["entry", "closed_at"], "closed_at IS NOT NULL")
    op.create_index("ix_inbox_entries_case_id", "inbox_entries", ["case_id"])
    op.create_table(
        "questions",
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("channel", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("card_id", TEXT, nullable=False),
        sa.Column("identity", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("edition", NUMBER, nullable=False),
        sa.Column("asked_at", MOMENT, nullable=False),
        sa.Column("answered_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("platform", "channel", "message", name=op.f("pk_questions")),
        sa.ForeignKeyConstraint(["card_id"], ["cards.card_id"], name=op.f("fk_questions_card_id")),
    )
    op.create_index("ix_questions_asked_at", "questions", ["asked_at"])
    _partial("ix_questions_open", "questions", ["card_id", "identity"], "answered_at IS NULL")
    op.add_column("cases", sa.Column("escalated", NUMBER, nullable=True))
    op.add_column("cases", sa.Column("escalate_at", MOMENT, nullable=True))
    op.add_column("cases", sa.Column("extended", NUMBER, nullable=True))
    _partial("ix_cases_escalating", "cases", ["escalate_at"], "escalate_at IS NOT NULL")
    _partial(
        "ix_human_interactions_people",
        "human_interactions",
        ["dedupe_key", "created_at"],
        "origin IN ('manual', 'webhook')",
    )
    op.add_column("cards", sa.Column("whole", NUMBER, nullable=True))
    op.add_column("cards", sa.Column("show_by", MOMENT, nullable=True))
    op.add_column("cards", sa.Column("queue", TEXT, nullable=True))
    op.drop_index("ix_cards_behind", table_name="cards")
    _partial("ix_cards_behind", "cards", ["platform", "due_at"], f"{BEHIND} AND queue IS NULL")
    _partial("ix_cards_queue", "cards", ["platform", "queue", "show_by"], "queue IS NOT NULL")
    op.create_table(
        "chats",
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("chat", TEXT, nullable=False),
        sa.Column("moments", TEXT, nullable=False),
        sa.Column("quiet_until", MOMENT, nullable=True),
        sa.Column("next_at", MOMENT, nullable=True),
        sa.Column("used_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("platform", "chat", name=op.f("pk_chats")),
    )
    _partial("ix_chats_next_at", "chats", ["platform", "next_at"], "next_at IS NOT NULL")
    op.create_index("ix_chats_used_at", "chats", ["used_at"])
    op.create_table(
        "digests",
        sa.Column("platform", TEXT, nullable=False),
        sa.Column("chat", TEXT, nullable=False),
        sa.Column("began_at", MOMENT, nullable=False),
        sa.Column("message", TEXT, nullable=True),
        sa.Column("attempts", NUMBER, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("lease", NUMBER, nullable=False),
        sa.Column("started", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("platform", "chat", name=op.f("pk_digests")),
    )
    op.create_index("ix_digests_due_at", "digests", ["platform", "due_at"])
    op.create_table(
        "slack_installations",
        sa.Column("team_id", TEXT, nullable=False),
        sa.Column("enterprise_id", TEXT, nullable=True),
        sa.Column("team_name", TEXT, nullable=False),
        sa.Column("bot_user", TEXT, nullable=False),
        sa.Column("scopes", TEXT, nullable=False),
        sa.Column("installed_by", TEXT, nullable=True),
        sa.Column("sealed", TEXT, nullable=True),
        sa.Column("installed_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("team_id", name=op.f("pk_slack_installations")),
        sa.CheckConstraint("(sealed IS NULL) = (revoked_at IS NOT NULL)", name=op.f("ck_slack_installations_revoked")),
    )
    op.drop_index("ix_cases_inbox", table_name="cases")
    _partial("ix_cases_inbox", "cases", ["tenant_id", "expires_at", "source_id", "created_at", "status"], WAITING)
    _partial("ix_runs_waiting", "runs", ["tenant_id"], "status = 'waiting_input'")


def downgrade() -> None:
    op.drop_index("ix_runs_waiting", table_name="runs")
    op.drop_index("ix_cases_inbox", table_name="cases")
    _partial("ix_cases_inbox", "cases", ["tenant_id", "expires_at"], WAITING)
    op.drop_index("ix_cards_queue", table_name="cards")
    op.drop_index("ix_cards_behind", table_name="cards")
    _partial("ix_cards_behind", "cards", ["platform", "due_at"], BEHIND)
    for column in ("queue", "show_by", "whole"):
        op.drop_column("cards", column)
    op.drop_index("ix_human_interactions_people", table_name="human_interactions")
    op.drop_index("ix_cases_escalating", table_name="cases")
    for column in ("extended", "escalate_at", "escalated"):
        op.drop_column("cases", column)
    for table in (
        "slack_installations", "digests", "chats", "questions", "inbox_entries", "sessions", "codes", "delegations", "departed", "group_members", "groups", "identities",
        "reviewers",
    ):  # fmt: skip
        op.drop_table(table)


def _partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=False, postgresql_where=where, sqlite_where=where)
