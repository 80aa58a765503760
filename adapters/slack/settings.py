"""What the Slack adapter has to be told. No environment here: `bot.settings` reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

SLACK_URL = "https://slack.com/api/"


@dataclass(frozen=True, slots=True)
class SlackSettings:
    """The app's secrets and where Slack is.

    With `app_token` taps arrive through Socket Mode (no public URL, one node); without it over HTTP, where
    `signing_secret` proves that Slack sent them. `base_url` is the Web API's: tests, proxies and local servers stand
    in for it.
    """

    bot_token: str = field(repr=False)
    signing_secret: str | None = field(default=None, repr=False)
    app_token: str | None = field(default=None, repr=False)
    base_url: str = SLACK_URL

    def __post_init__(self) -> None:
        if not self.bot_token:
            raise ValueError("SLACK_BOT_TOKEN is empty; copy the Bot User OAuth Token (xoxb-…) of your Slack app")
        if not self.app_token and not self.signing_secret:
            raise ValueError(
                "SLACK_BOT_TOKEN is set alone; set SLACK_APP_TOKEN as well (Socket Mode, no public URL), or "
                "SLACK_SIGNING_SECRET (HTTP)"
            )

    @property
    def socket_mode(self) -> bool:
        return bool(self.app_token)
