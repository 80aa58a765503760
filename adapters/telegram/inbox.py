"""Somebody's inbox and history in their private chat: their other pages, and how a list looks after a tap in it."""

from __future__ import annotations

import structlog
from telegram import CallbackQuery, Update
from telegram.ext import ContextTypes

from adapters.telegram.listing import MORE, NEWER, OLDER, SHOWN, past_list, waiting_list
from adapters.telegram.messenger import Place
from adapters.telegram.phrases import phrases
from adapters.telegram.speakers import identity_of, language_of
from adapters.telegram.telling import Telling
from core.chat import ChatServices
from core.errors import AssentError
from core.taps import Tap, TapAnswer

log = structlog.get_logger()


class InboxMessages:
    def __init__(self, services: ChatServices, telling: Telling) -> None:
        self._services = services
        self._telling = telling

    async def more(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """The page behind the one that is shown, of whoever pressed: the button says only where it begins."""
        query = update.callback_query
        if query is None or query.message is None or query.message.chat.id != query.from_user.id:
            return
        self._telling.beside(self._telling.toast(query, None))
        await self._telling.first(self._show(query, (query.data or "").removeprefix(MORE)))

    async def turned(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Another page of the history of whoever pressed, and of nobody else: in the message that shows one."""
        query = update.callback_query
        if query is None or query.message is None or query.message.chat.id != query.from_user.id:
            return
        self._telling.beside(self._telling.toast(query, None))
        await self._telling.first(self._turn(query))

    async def _turn(self, query: CallbackQuery) -> None:
        assert query.message is not None  # noqa: S101  # whoever calls has looked
        data, user = query.data or "", query.from_user
        identity, newer = identity_of(user), data.startswith(NEWER)
        cursor = data.removeprefix(NEWER if newer else OLDER)
        try:
            page = await self._services.inbox.turned(identity, cursor, newer=newer, limit=SHOWN)
            drawn = past_list(page, phrases(language_of(user)), await self._services.zone_of(identity))
        except AssentError as error:
            log.info("telegram.history_not_read", reason=error.message)
            return
        await self._telling.rewrite(Place(query.message.chat.id), query.message.message_id, drawn)

    async def refresh(self, query: CallbackQuery, tap: Tap, answer: TapAnswer) -> None:
        """What was answered in the list waits no more."""
        if tap.listed and not answer.asks and query.message is not None and query.message.chat.id > 0:
            self._telling.beside(self._show(query, None))

    async def _show(self, query: CallbackQuery, after: str | None) -> None:
        assert query.message is not None  # noqa: S101  # whoever calls has looked
        place, user = Place(query.message.chat.id), query.from_user
        identity = identity_of(user)
        try:
            page = await self._services.inbox.waiting(identity, limit=SHOWN, after=after)
            zone = await self._services.zone_of(identity)
        except AssentError as error:
            log.info("telegram.inbox_not_read", reason=error.message)
            return
        drawn = waiting_list(page, phrases(language_of(user)), self._telling.messenger.way(place), zone)
        await self._telling.rewrite(place, query.message.message_id, drawn)
