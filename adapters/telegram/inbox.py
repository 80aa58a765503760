"""Somebody's inbox in their private chat: its next page, and how it looks after a tap in it."""

from __future__ import annotations

import structlog
from telegram import CallbackQuery, Update
from telegram.ext import ContextTypes

from adapters.telegram.listing import MORE, SHOWN, waiting_list
from adapters.telegram.messenger import Place
from adapters.telegram.phrases import phrases
from adapters.telegram.speakers import identity_of, language_of
from adapters.telegram.telling import Telling
from core.cards import Tap, TapAnswer
from core.errors import AssentError
from core.inbox import Inbox

log = structlog.get_logger()


class InboxMessages:
    def __init__(self, inbox: Inbox, telling: Telling) -> None:
        self._inbox = inbox
        self._telling = telling

    async def more(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """The page behind the one that is shown, of whoever pressed: the button says only where it begins."""
        query = update.callback_query
        if query is None or query.message is None or query.message.chat.id != query.from_user.id:
            return
        self._telling.beside(self._telling.toast(query, None))
        await self._telling.first(self._show(query, (query.data or "").removeprefix(MORE)))

    async def refresh(self, query: CallbackQuery, tap: Tap, answer: TapAnswer) -> None:
        """What was answered in the list waits no more."""
        if tap.listed and not answer.asks and query.message is not None and query.message.chat.id > 0:
            self._telling.beside(self._show(query, None))

    async def _show(self, query: CallbackQuery, after: str | None) -> None:
        assert query.message is not None  # noqa: S101  # whoever calls has looked
        place, user = Place(query.message.chat.id), query.from_user
        try:
            page = await self._inbox.waiting(identity_of(user), limit=SHOWN, after=after)
        except AssentError as error:
            log.info("telegram.inbox_not_read", reason=error.message)
            return
        drawn = waiting_list(page, phrases(language_of(user)), self._telling.messenger.way(place))
        await self._telling.rewrite(place, query.message.message_id, drawn)
