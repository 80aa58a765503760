"""What the Slack adapter has to be told. No environment here: `bot.settings` reads it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

SLACK_URL = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class InstallSettings:
    """How more workspaces are connected (OAuth). `who`: the ids of those that may be, or anyone's; of none, those that
    are connected stay so. `scopes`: what the bot is to be allowed.
    """

    client_id: str
    client_secret: str = field(repr=False)
    public_url: str
    who: Collection[str] | Literal["anyone"] = ()
    scopes: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """Where people install the app."""
        return f"{self.public_url}/slack/install"


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """The app's secrets and where Slack is.

    With `app_token` taps arrive through Socket Mode (no public URL, one node); without it over HTTP, where
    `signing_secret` proves that Slack sent them. `base_url` is the Web API's: tests, proxies and local servers stand
    in for it. `install`: more workspaces can be connected, over HTTP; then `bot_token`, which is the default
    workspace's, may be empty. `prefix`: what ids of a workspace are written with that is not the default one, `T…/`;
    `prefixes`: of all connected ones. `removed`: what to say when Slack takes its token no more;
    `expired`: when it has run out.
    """

    bot_token: str = field(repr=False)
    signing_secret: str | None = field(default=None, repr=False)
    app_token: str | None = field(default=None, repr=False)
    base_url: str = SLACK_URL
    install: InstallSettings | None = None
    prefix: str = ""
    prefixes: Mapping[str, str] = field(default_factory=dict)
    removed: str = ""
    expired: str = ""

    def __post_init__(self) -> None:
        if not self.bot_token and self.install is None:
            raise ValueError("SLACK_BOT_TOKEN is empty; copy the Bot User OAuth Token (xoxb-…) of your Slack app")
        if not self.app_token and not self.signing_secret:
            raise ValueError(
                "SLACK_BOT_TOKEN is set alone; set SLACK_APP_TOKEN as well (Socket Mode, no public URL), or "
                "SLACK_SIGNING_SECRET (HTTP)"
            )

    @property
    def socket_mode(self) -> bool:
        return bool(self.app_token)
