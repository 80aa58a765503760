"""What a sandbox holds: a local Slack and a local Telegram, their time, limits and faults, and the record of both."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bot.sandbox.around import Address, Around
from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock, SystemClock
from bot.sandbox.faults import FaultBook
from bot.sandbox.journal import Call, Journal, Notice
from bot.sandbox.rates import Rates
from bot.sandbox.slack import PartnerWorld, SlackApp, SlackSandbox, SlackWorld
from bot.sandbox.telegram import TelegramSandbox, TelegramWorld

T = TypeVar("T")

TELEGRAM_TOKEN = "100000001:sandbox-bot-token"  # noqa: S105  # opens nothing but this sandbox


class Platforms:
    """Both platforms, before anybody serves them."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        rate_limits: bool = True,
        rate_scale: float = 1.0,
        slack_app: SlackApp | None = None,
        telegram_token: str = TELEGRAM_TOKEN,
    ) -> None:
        self.clock = clock or SystemClock()
        self.address = Address()
        self.changes = Changes()
        self.journal = Journal(self.clock, self.changes)
        self.rates = Rates(self.clock, enabled=rate_limits, scale=rate_scale)
        self.faults = FaultBook()
        around = Around(self.journal, self.rates, self.faults, self.address)
        slack_world = SlackWorld(self.clock, self.changes, self.journal)
        partner_world = PartnerWorld(self.clock, self.changes, self.journal)
        self.slack = SlackSandbox(slack_world, partner_world, slack_app or SlackApp(), around)
        telegram_world = TelegramWorld(self.clock, self.changes, self.journal)
        self.telegram = TelegramSandbox(telegram_world, telegram_token, around)

    async def until(self, look: Callable[[], T | None], within: float = 15.0) -> T:
        """What `look()` gives once it is true, looking after each change; TimeoutError after `within` s."""
        return await self.changes.until(look, within)

    def calls(self, method: str = "") -> list[Call]:
        """Every API call received, in order; with `method`, those of one method."""
        return [call for call in self.journal.calls if method in ("", call.method)]

    def notices(self, user: str | int = "") -> list[Notice]:
        """What people were shown in private, in order; with `user`, this person (either platform's id)."""
        return [notice for notice in self.journal.notices if str(user) in ("", notice.user)]

    def reset(self) -> None:
        """Forget what was said and done, and all faults. People, chats, tokens and webhooks stay."""
        self.slack.forget()
        self.telegram.world.forget()
        self.telegram.updates.forget()
        self.faults.clear()
        self.rates.clear()
        self.journal.clear()
