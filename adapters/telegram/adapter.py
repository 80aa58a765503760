"""Composition: one bot, its port, its door, its life."""

from __future__ import annotations

import asyncio
import ssl
from functools import cache
from typing import Any

import httpx
from starlette.routing import BaseRoute, Route
from telegram.error import TelegramError
from telegram.ext import Application, CallbackQueryHandler, CommandHandler, ExtBot, MessageHandler, filters
from telegram.request import HTTPXRequest

from adapters.telegram.commands import COMMANDS, Commands
from adapters.telegram.connect import (
    ALLOWED_UPDATES,
    HOLD_SECONDS,
    MAX_CONNECTIONS,
    Intake,
    Poller,
    PollRequest,
    WebhookDoor,
)
from adapters.telegram.directory import TelegramDirectory
from adapters.telegram.inbox import InboxMessages
from adapters.telegram.linking import Linking
from adapters.telegram.messenger import TelegramMessenger, connection_words, sentence
from adapters.telegram.reasons import Reasons
from adapters.telegram.settings import TelegramSettings
from adapters.telegram.taps import Taps
from adapters.telegram.telling import Telling
from core.cards import Cards
from core.chat import ChatServices
from core.errors import AssentError
from core.hub import Hub
from core.leases import Lease
from core.tap_desk import TapDesk

WEBHOOK_PATH = "/telegram/webhook"
ANSWER_SECONDS = 10.0


class NotConnected(AssentError):
    """The bot could not connect to Telegram."""

    code = "not_connected"


@cache
def _trust() -> ssl.SSLContext:
    """Read once: a bot has two clients, and the public authorities take 15 ms."""
    return httpx.create_ssl_context(trust_env=False)


class TelegramAdapter:
    """`start`, then `run` until it is cancelled, then `stop`. `lease` decides which process polls.

    `hold_seconds`: how long a webhook waits for its tap to be stored before Telegram is asked to deliver it again.
    """

    def __init__(
        self,
        settings: TelegramSettings,
        cards: Cards,
        desk: TapDesk,
        hub: Hub,
        lease: Lease,
        chat: ChatServices,
        *,
        hold_seconds: float = HOLD_SECONDS,
    ) -> None:
        self._settings = settings
        self._desk = desk
        base_url = settings.base_url.rstrip("/")
        # No proxy from the environment: only the settings say where requests go.
        self._requests = [
            kind(
                read_timeout=ANSWER_SECONDS,
                connection_pool_size=size,
                httpx_kwargs={"trust_env": False, "verify": _trust()},
            )
            for kind, size in ((PollRequest, 1), (HTTPXRequest, 256))
        ]
        self._bot: ExtBot[None] = ExtBot(
            settings.bot_token,
            base_url=f"{base_url}/bot",
            get_updates_request=self._requests[0],
            request=self._requests[1],
        )
        self._application: Application[Any, Any, Any, Any, Any, Any] = (
            Application.builder().bot(self._bot).updater(None).job_queue(None).build()
        )
        self._messenger = TelegramMessenger(self._bot, settings)
        self._telling = Telling(self._messenger)
        self._taps = Taps(desk, cards, self._telling)
        self._commands = Commands(chat, self._telling)
        self.directory = TelegramDirectory(self._bot, base_url)
        chat.directories.add(self.directory)
        reasons = Reasons(self._taps, cards, chat.questions, self._telling)
        inbox = InboxMessages(chat, self._telling)
        self._taps.then += [reasons.needed, inbox.refresh]
        new = filters.UpdateType.MESSAGE  # nothing that somebody has changed since
        for handler in (
            CallbackQueryHandler(reasons.chosen, r"^q:"),
            CallbackQueryHandler(inbox.more, r"^m:"),
            CallbackQueryHandler(inbox.turned, r"^h:"),
            CallbackQueryHandler(Linking(chat, self._telling).pressed, r"^l:"),
            CallbackQueryHandler(self._taps.tapped),
            CommandHandler(COMMANDS, self._commands.handle, new),
            MessageHandler(filters.REPLY & new, reasons.replied),
            MessageHandler(filters.ChatType.PRIVATE & filters.TEXT & new, self._commands.unknown),
        ):
            self._application.add_handler(handler)
        self._application.add_error_handler(self._taps.failed)
        self._intake = Intake(self._application, self._taps)
        self._poller = Poller(self._bot, self._intake, lease, hub, base_url)
        self._hold_seconds = hold_seconds
        self._receiving: asyncio.Task[Any] | None = None

    @property
    def messenger(self) -> TelegramMessenger:
        return self._messenger

    @property
    def routes(self) -> list[BaseRoute]:
        if self._settings.webhook_secret is None:
            return []
        door = WebhookDoor(self._settings.webhook_secret, self._intake, self._hold_seconds)
        return [Route(WEBHOOK_PATH, door.endpoint, methods=["POST"])]

    async def start(self) -> None:
        """Check the token and, for a webhook, tell Telegram its address. May be tried again. Raises NotConnected."""
        self._messenger.open()
        try:
            await self._application.initialize()
            self._intake.is_open = True
            if self._settings.webhook_secret is not None and self._settings.webhook_url is not None:
                await self._bot.set_webhook(
                    self._settings.webhook_url,
                    secret_token=self._settings.webhook_secret,
                    allowed_updates=ALLOWED_UPDATES,
                    max_connections=MAX_CONNECTIONS,
                )
        except TelegramError as error:
            # Without its cause, whose text may hold the token.
            raise NotConnected(sentence(connection_words(error, self._settings.base_url))) from None
        self._telling.beside(self._commands.offer())

    async def run(self) -> None:
        """Receive taps, until cancelled or stopped."""
        polls = self._settings.webhook_secret is None
        task = self._receiving = asyncio.create_task(self._poller.run() if polls else _for_ever())
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled():
            task.result()

    async def stop(self, seconds: float) -> None:
        """Take no more taps, and give those under way `seconds` to reach the ledger and to be answered."""
        end = asyncio.get_running_loop().time() + seconds

        def left() -> float:
            return max(0.0, end - asyncio.get_running_loop().time())

        self._intake.is_open = False
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.gather(self._receiving, return_exceptions=True)
        await self._intake.drain(left())
        await self._desk.drain(left())
        await self._telling.drain(left())
        if self._settings.webhook_secret is None:
            await self._poller.release()
        await self._messenger.close(left())
        await self._application.shutdown()
        for request in self._requests:
            await request.shutdown()


async def _for_ever() -> None:
    await asyncio.Event().wait()
