"""Statements about the Slack workspaces that the app was installed to."""

from __future__ import annotations

from core.ledger.statements import Statement, insert

# Installed once more, it has another token, and counts again.
KEEP_INSTALLATION = insert(
    "slack_installations",
    "team_id enterprise_id team_name bot_user scopes installed_by sealed installed_at revoked_at",
    conflict="""
    ON CONFLICT (team_id) DO UPDATE SET
        enterprise_id = excluded.enterprise_id, team_name = excluded.team_name, bot_user = excluded.bot_user,
        scopes = excluded.scopes, installed_by = excluded.installed_by, sealed = excluded.sealed,
        installed_at = excluded.installed_at, revoked_at = NULL
    """,
)
INSTALLATION = Statement("installation", "SELECT * FROM slack_installations WHERE team_id = :team_id")
INSTALLATIONS = Statement("installations", "SELECT * FROM slack_installations ORDER BY team_id")
# Its token has run out, and another one took its place.
RENEW_INSTALLATION = Statement(
    "renew_installation",
    """
    UPDATE slack_installations SET sealed = :sealed
    WHERE team_id = :team_id AND installed_at = :installed_at AND revoked_at IS NULL
    """,
)
# The token is worth nothing any more, and is forgotten.
REVOKE_INSTALLATION = Statement(
    "revoke_installation",
    """
    UPDATE slack_installations SET revoked_at = :now, sealed = NULL
    WHERE team_id = :team_id AND revoked_at IS NULL
    """,
)
