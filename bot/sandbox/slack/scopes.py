"""Which scope each Web API method wants of a token, as each method's reference page says."""

from __future__ import annotations

from bot.sandbox.slack.world import Workspace
from bot.sandbox.wire import Json

FIXED = {
    "chat.postMessage": "chat:write",
    "chat.update": "chat:write",
    "chat.delete": "chat:write",
    "chat.postEphemeral": "chat:write",
    "conversations.open": "im:write",
    "users.info": "users:read",
    "users.list": "users:read",
    "usergroups.list": "usergroups:read",
    "usergroups.users.list": "usergroups:read",
    "team.info": "team:read",
    "openid.connect.userInfo": "openid",
}
BY_CHANNEL = {
    "conversations.info": "read",
    "conversations.members": "read",
    "conversations.history": "history",
    "conversations.replies": "history",
}
KINDS = {"public_channel": "channels", "private_channel": "groups", "im": "im", "mpim": "mpim"}


def needed(method: str, params: Json, world: Workspace) -> list[str]:
    """The scopes that this call wants, all of them; none for methods that take any token."""
    if method in FIXED:
        return [FIXED[method]]
    if method in BY_CHANNEL:
        channel = world.channels.get(str(params.get("channel", "")))
        return [f"{KINDS[channel.type]}:{BY_CHANNEL[method]}"] if channel else []
    if method == "users.conversations":
        types = str(params.get("types") or "public_channel").split(",")
        return [f"{KINDS[kind.strip()]}:read" for kind in types if kind.strip() in KINDS]
    return []
