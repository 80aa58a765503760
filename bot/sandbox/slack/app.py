"""The app as the pretended Slack knows it: its tokens, its secrets, its scopes, where it wants to be reached."""

from __future__ import annotations

from dataclasses import dataclass, field

BOT_SCOPES = (
    "channels:history,channels:read,chat:write,commands,groups:history,groups:read,im:history,im:read,im:write,"
    "mpim:history,mpim:read,team:read,usergroups:read,users:read"
)
HOME = "T0SANDBOX"


@dataclass(frozen=True)
class Grant:
    """What a token opens: a workspace, with these scopes (separated by commas)."""

    team_id: str
    scopes: str
    user: str = ""
    """Whose token it is; empty for the bot's."""
    expires_at: float | None = None
    """When it runs out, by the sandbox's monotonic clock; None: never."""

    def has(self, scope: str) -> bool:
        return scope in self.scopes.split(",")


@dataclass
class SlackApp:
    bot_token: str = field(default="xoxb-sandbox-bot", repr=False)
    """The bot's token in the workspace T0SANDBOX; other workspaces give theirs when somebody installs the app."""
    app_token: str = field(default="xapp-sandbox-app", repr=False)
    """App-level token, for Socket Mode (`apps.connections.open`) only."""
    signing_secret: str = field(default="sandbox-signing-secret", repr=False)
    scopes: str = BOT_SCOPES
    """What the bot's token may do in T0SANDBOX."""
    request_url: str = ""
    """Where taps, commands, modals and events are posted to. Empty: Socket Mode."""
    command_url: str = ""
    """Where commands go instead, if anywhere."""
    events_url: str = ""
    """Where events go instead, if anywhere."""
    commands: tuple[str, ...] = ("/assent",)
    escapes_commands: bool = True
    """The manifest's `should_escape`: commands name people and channels by id."""
    home_tab: bool = True
    """The manifest's `home_tab_enabled`."""
    app_id: str = "A0SANDBOX"
    client_id: str = "1000000001.2000000002"
    client_secret: str = field(default="sandbox-client-secret", repr=False)
    rotates_tokens: bool = False
    """The manifest's `token_rotation_enabled`: tokens that OAuth gives out last for `token_seconds`."""
    token_seconds: int = 43_200
    redirect_urls: tuple[str, ...] = ()
    """What redirect_uri may begin with. Empty: any."""
    verification_token: str = field(default="sandbox-verification", repr=False)
    """The old token that payloads still carry and nobody should trust."""
    grants: dict[str, Grant] = field(default_factory=dict, repr=False)
    """Tokens given out by OAuth."""
    refresh_tokens: dict[str, Grant] = field(default_factory=dict, repr=False)
    """What tokens are renewed with: each is there until it is used."""
    revoked: set[str] = field(default_factory=set, repr=False)

    def grant(self, token: str) -> Grant | None:
        """What a bot's or person's token opens; None when it opens nothing."""
        if token in self.revoked:
            return None
        return Grant(HOME, self.scopes) if token == self.bot_token else self.grants.get(token)

    def installed(self, team_id: str) -> Grant | None:
        """The bot's grant in a workspace; None while the app is not there."""
        tokens = (self.bot_token, *self.grants)
        granted = (self.grant(token) for token in tokens)
        return next((one for one in granted if one and one.team_id == team_id and not one.user), None)

    def url_for(self, kind: str) -> str:
        """`kind` as Socket Mode names it."""
        own = {"slash_commands": self.command_url, "events_api": self.events_url}.get(kind, "")
        return own or self.request_url
