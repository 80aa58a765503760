"""The app as the pretended Slack knows it: its tokens, its signing secret, where it wants to be reached."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class SlackApp:
    bot_token: str = field(default="xoxb-sandbox-bot", repr=False)
    app_token: str = field(default="xapp-sandbox-app", repr=False)
    """App-level token, for Socket Mode (`apps.connections.open`) only."""
    signing_secret: str = field(default="sandbox-signing-secret", repr=False)
    request_url: str = ""
    """Where taps, commands, modals and events are posted to. Empty: Socket Mode."""
    app_id: str = "A0SANDBOX"
    verification_token: str = field(default="sandbox-verification", repr=False)
    """The old token that payloads still carry and nobody should trust."""
