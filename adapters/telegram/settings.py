"""What the Telegram adapter has to be told. The environment is read elsewhere."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(r"[A-Za-z0-9:_-]+")
_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")  # what setWebhook accepts as secret_token
_APP = re.compile(r"[A-Za-z0-9_]{3,30}", re.ASCII)


@dataclass(frozen=True, slots=True)
class TelegramSettings:
    """With `webhook_secret` taps come to POST /telegram/webhook, without it they are fetched by long polling.

    `webhook_url`: the public address of that route, told to Telegram at the start. None: somebody else has done that.
    `base_url`: the Bot API or a stand-in, without `/bot`. `mini_app`: Review opens as a Mini App. `mini_app_name`: as
    @BotFather knows the app that groups open; None: groups get a plain link.
    """

    bot_token: str = field(repr=False)
    webhook_secret: str | None = field(default=None, repr=False)
    webhook_url: str | None = None
    base_url: str = "https://api.telegram.org"
    mini_app: bool = False
    mini_app_name: str | None = None

    def __post_init__(self) -> None:
        if not _TOKEN.fullmatch(self.bot_token):
            raise ValueError("bot_token: write it as @BotFather gave it, like 123456789:AA…")
        if self.webhook_secret is not None and not _SECRET.fullmatch(self.webhook_secret):
            raise ValueError("webhook_secret may hold 1 to 256 letters, digits, _ and -")
        if self.mini_app_name is not None and not _APP.fullmatch(self.mini_app_name):
            raise ValueError("mini_app_name: write it as @BotFather shows it behind t.me/<bot>/")
