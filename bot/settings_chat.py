"""Settings of the messengers, and of what people are shown there."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from core.floods import DEFAULT_CAP
from core.moments import zone_called

Provider = Literal["slack", "telegram"]
PROVIDERS: tuple[Provider, ...] = ("slack", "telegram")


class ChatSettings(BaseModel):
    slack_bot_token: SecretStr | None = Field(default=None, description="Slack: the bot token, `xoxb-…`.")
    slack_signing_secret: SecretStr | None = Field(
        default=None, description="Slack over HTTP: the signing secret that taps are checked with."
    )
    slack_app_token: SecretStr | None = Field(
        default=None, description="Slack over Socket Mode (no public URL needed): the app-level token, `xapp-…`."
    )
    slack_client_id: str | None = Field(
        default=None,
        description="Slack: the app's client id. With `SLACK_CLIENT_SECRET` people can sign in with Slack.",
    )
    slack_client_secret: SecretStr | None = Field(default=None, description="Slack: the app's client secret.")
    slack_install: str = Field(
        default="off",
        pattern=r"^(off|anyone|T[A-Z0-9]{1,30}( *, *T[A-Z0-9]{1,30})*)$",
        description="Slack: which workspaces may be connected at `/slack/install`, beside that of `SLACK_BOT_TOKEN` or "
        "without one: their ids, `T…`, separated by commas; `anyone`; or `off`: those that are connected stay so. "
        "Needs `SLACK_CLIENT_ID` and `SLACK_SIGNING_SECRET`.",
    )
    slack_base_url: str = Field(default="https://slack.com/api/", description="Slack's Web API, or a stand-in.")
    telegram_bot_token: SecretStr | None = Field(default=None, description="Telegram: the bot's token.")
    telegram_webhook_secret: SecretStr | None = Field(
        default=None,
        description="Telegram by webhook: 1 to 256 letters, digits, `_` and `-`. Without it Assent polls.",
    )
    telegram_base_url: str = Field(default="https://api.telegram.org", description="Telegram's Bot API, or a stand-in.")
    telegram_mini_app: bool = Field(
        default=False,
        description="Whether Review opens as a Mini App on cards in private chats, with the person's verified "
        "identity, and Telegram's website may show the page in a frame.",
    )
    telegram_mini_app_name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_]{3,30}$",
        description="The Mini App that cards in groups open, as @BotFather shows it behind `t.me/<bot>/`; its address "
        "there is `PUBLIC_URL/en/inbox`. Without it groups get a plain link.",
    )
    review_language: Literal["en", "de"] = Field(
        default="en",
        description="The language of cards and review links, where neither the case nor its source has one.",
    )
    time_zone: str = Field(
        default="UTC",
        description="The time zone of whoever's own is not known, like `Europe/Berlin`: by its clocks the bot reads "
        "and tells the times of commands (`/away until 18:00`). Slack says people's own; who has linked both "
        "messengers has it on Telegram too.",
    )
    card_pushes_per_minute: int = Field(
        default=DEFAULT_CAP,
        ge=1,
        le=60,
        description="How many new cards a chat gets within a minute, at the most. What comes faster waits, the most "
        "urgent first, and a digest in the chat says how much that is.",
    )
    verification_providers: Annotated[tuple[Provider, ...], NoDecode] = Field(
        default=PROVIDERS,
        description="Whose evidence can satisfy a `verification_policy`, separated by commas: `slack` (taps in Slack), "
        "`telegram` (taps in Telegram, Mini Apps of the bot), or `none`. Evidence by anybody else proves nothing.",
    )

    @field_validator("time_zone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        if zone_called(value) is None:
            raise ValueError("is not a time zone of this machine; write one like Europe/Berlin or UTC")
        return value

    @field_validator("verification_providers", mode="before")
    @classmethod
    def _known_providers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        named = tuple(part.strip() for part in value.split(",") if part.strip())
        if named == ("none",):
            return ()
        if not set(named) <= set(PROVIDERS):
            raise ValueError(f"choose from {', '.join(PROVIDERS)}, or none")
        return named

    @field_validator("slack_base_url", "telegram_base_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname:
            raise ValueError("must be an http or https address")
        return value

    @field_validator("telegram_webhook_secret")
    @classmethod
    def _telegram_alphabet(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", value.get_secret_value()):
            raise ValueError("may hold 1 to 256 letters, digits, _ and -")
        return value

    @model_validator(mode="after")
    def _slack_is_whole(self) -> Self:
        incoming = self.slack_signing_secret or self.slack_app_token
        if self.slack_bot_token and not incoming:
            raise ValueError("SLACK_BOT_TOKEN needs SLACK_SIGNING_SECRET (HTTP) or SLACK_APP_TOKEN (Socket Mode)")
        if incoming and not self.slack_bot_token and not self.slack_workspaces:
            raise ValueError(
                "SLACK_SIGNING_SECRET and SLACK_APP_TOKEN need SLACK_BOT_TOKEN; or SLACK_CLIENT_ID and "
                "SLACK_CLIENT_SECRET beside SLACK_SIGNING_SECRET, to connect workspaces at /slack/install"
            )
        if self.slack_install != "off" and not self.slack_workspaces:
            raise ValueError(
                "SLACK_INSTALL needs SLACK_CLIENT_ID, SLACK_CLIENT_SECRET and SLACK_SIGNING_SECRET, and no "
                "SLACK_APP_TOKEN"
            )
        if self.telegram_webhook_secret and not self.telegram_bot_token:
            raise ValueError("TELEGRAM_WEBHOOK_SECRET needs TELEGRAM_BOT_TOKEN")
        return self

    @model_validator(mode="after")
    def _slack_client_is_whole(self) -> Self:
        if (self.slack_client_id is None) != (self.slack_client_secret is None):
            raise ValueError("SLACK_CLIENT_ID and SLACK_CLIENT_SECRET belong together")
        return self

    @property
    def slack_workspaces(self) -> bool:
        """Whether more Slack workspaces can be connected than the bot token's: over HTTP, with the app's client."""
        client = self.slack_client_id and self.slack_client_secret
        return bool(client and self.slack_signing_secret and not self.slack_app_token)
