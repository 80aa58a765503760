"""What Slack refuses, in words that say what to do, and what may have happened all the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from core.ports import SendFailed

SOCKET_MODE = "Socket Mode"
RENEWAL = "the renewal of a token"
DEFAULT_RETRY_AFTER = 30  # seconds, when a 429 does not say

# What trying again cannot help, and what does help.
REFUSALS: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("channel_not_found", "not_in_channel", "no_permission"),
        "the bot cannot see {where}; check the channel id, and invite the bot there: /invite @{bot}",
    ),
    (("is_archived",), "{where} is archived; unarchive it, or send the cards to another channel"),
    (
        ("message_not_found", "thread_not_found"),
        "the message of this card was deleted in Slack, so it cannot follow its case any more",
    ),
    (("cant_update_message", "edit_window_closed"), "Slack does not let this message be changed any more"),
    (
        ("user_not_found", "users_not_found", "user_not_visible", "user_disabled", "cannot_dm_bot"),
        "Slack knows nobody there to write to; check the user id in {where}",
    ),
    (
        ("invalid_auth", "not_authed", "token_revoked", "not_allowed_token_type"),
        "Slack does not accept {token} ({code}); copy it anew from the pages of your Slack app",
    ),
    (
        ("token_expired",),
        "{token} has run out (token_expired), because the app rotates its tokens; leave it out and install the app at "
        "/slack/install",
    ),
    (("account_inactive",), "the app was removed from the workspace; install it again and set {token} anew"),
    (
        ("missing_scope",),
        "the app lacks the permission {needed}; add it under OAuth & Permissions and install the app again",
    ),
    (
        (
            "restricted_action", "restricted_action_read_only_channel", "channel_is_limited_access", "access_denied",
            "posting_to_general_channel_denied", "team_access_not_granted", "org_login_required", "ekm_access_denied",
            "messages_tab_disabled",
        ),
        "the workspace's rules keep the bot from writing to {where} ({code}); ask a workspace admin",
    ),
    (
        (
            "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text",
            "invalid_arguments", "invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large",
        ),
        "Slack did not take this card ({code}); please report it as a bug of Assent",
    ),
)  # fmt: skip
EXPIRED = "token_expired"
TOKEN_GONE = frozenset({"invalid_auth", "token_revoked", EXPIRED, "account_inactive"})
# A token cannot be renewed: what it is renewed with was used, or is worth nothing since the app was removed.
RENEWAL_GONE = TOKEN_GONE | {"invalid_refresh_token", "invalid_grant"}
# Slack's words for "this went wrong half way": part of it may have happened.
UNCERTAIN = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable"})
_WORDS = {code: words for codes, words in REFUSALS for code in codes}
# A window can be opened for three seconds after a press, and once; the names for "too late" vary.
_TOO_LATE = frozenset(
    {
        "trigger_expired", "trigger_exchanged", "expired_trigger_id", "exchanged_trigger_id", "invalid_trigger",
        "invalid_trigger_id",
    }
)  # fmt: skip


class NotThere(SendFailed):
    """Somebody is not in the channel where they were to be told something."""


class TooLate(SendFailed):
    """A window could not be opened, because the press that wanted it was too long ago, or has opened one already."""


class Unknown(SendFailed):
    """Slack knows no such user group, or nobody under that id."""


def refusal(error: SlackApiError, where: str, bot: str, removed: str = "", expired: str = "") -> SendFailed:
    """`where`: what the question was about. `bot`: the bot's name. `removed`: what to say of a token that no setting
    holds and Slack takes no more. `expired`: and of one that has run out; empty while it is renewed.
    """
    status, headers, body = _parts(error.response)
    code = str(body.get("error") or f"HTTP {status}")
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return SendFailed(f"Slack asks for a pause in {where}", retry_after_ms=1000 * _retry_after(headers))
    if code == "user_not_in_channel":
        return NotThere(f"this person is not in {where}", permanent=True)
    if code in _TOO_LATE:
        return TooLate(f"it was too late to open a window ({code})", permanent=True)
    if code in ("no_such_subteam", "subteam_not_found", "user_not_found") and where.startswith("who "):
        return Unknown(f"Slack does not know {where.removeprefix('who ')}", permanent=True)
    if where == RENEWAL:
        return SendFailed(f"Slack does not renew the token ({code})", permanent=code in RENEWAL_GONE)
    if removed and code == EXPIRED:
        return SendFailed(expired or "the token of this workspace is being renewed", permanent=bool(expired))
    if removed and code in TOKEN_GONE:
        return SendFailed(f"{removed} ({code})", permanent=True)
    if words := _WORDS.get(code):
        token = "SLACK_APP_TOKEN" if where == SOCKET_MODE else "SLACK_BOT_TOKEN"
        needed = body.get("needed") or "that this needs"
        return SendFailed(words.format(code=code, where=where, bot=bot, token=token, needed=needed), permanent=True)
    unclear = status >= 500 or (status < 400 and not body) or code in UNCERTAIN
    return SendFailed(f"Slack did not do it ({code})", uncertain=unclear)


def _parts(response: Any) -> tuple[int, Mapping[str, str], Mapping[str, Any]]:
    """Status, headers and body; the SDK attaches its own response or, for what is no JSON, aiohttp's."""
    if isinstance(response, AsyncSlackResponse):
        return response.status_code, response.headers, response.data if isinstance(response.data, dict) else {}
    return int(getattr(response, "status", 0)), getattr(response, "headers", {}), {}


def _retry_after(headers: Mapping[str, str]) -> int:
    """Seconds. Header names come in any case."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return max(1, int(value)) if value.isascii() and value.isdigit() else DEFAULT_RETRY_AFTER
