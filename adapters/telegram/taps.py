"""Taps and commands: an update from Telegram becomes a Tap, and whoever tapped is told what became of it.

Who tapped is what Telegram says, never what the button says: its data can be forged, and the core checks what it means.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from typing import Any

import structlog
from telegram import CallbackQuery, Message, Update
from telegram.error import BadRequest, TelegramError
from telegram.ext import ContextTypes

from adapters.telegram.limits import MAX_ANSWER, cut
from adapters.telegram.messenger import TelegramMessenger
from core.cards import Cards, Tap, TapAnswer
from core.errors import AssentError, Unavailable
from core.model import Address, Identity
from core.taps import TapDesk

log = structlog.get_logger()

_DATA = re.compile(r"a:([A-Za-z0-9_-]{22}):([a-z_]{1,39})(?::([1-9][0-9]{0,8}))?", re.ASCII)


def tap_of(update: Update, since: int = 0) -> Tap | None:
    """The tap in a callback query; None when its data is no card's. The message may be too old to be sent along.

    `since`: the update is no older than that, milliseconds since 1970. Telegram does not say when a button was
    pressed; it was not before the card was there either.
    """
    query = update.callback_query
    found = None if query is None or query.data is None else _DATA.fullmatch(query.data)
    if query is None or found is None:
        return None
    who = query.from_user
    posted = int(query.message.date.timestamp()) * 1000 if isinstance(query.message, Message) else 0
    return Tap(
        platform="telegram",
        card_id=found[1],
        action=found[2],
        edition=int(found[3] or 0),
        identity=Identity("telegram", str(who.id), display_name=who.full_name, verified=True),
        channel="" if query.message is None else str(query.message.chat.id),
        via="telegram_inline_button",
        delivery_id=str(update.update_id),
        tapped_at=max(since, posted),
    )


def shows_its_card(query: CallbackQuery) -> bool:
    """Whether the tapped message has this very button, and so is the card: only the bot puts buttons on messages."""
    message = query.message
    if not isinstance(message, Message) or message.reply_markup is None:
        return False
    return any(button.callback_data == query.data for row in message.reply_markup.inline_keyboard for button in row)


class Taps:
    """The handlers of updates. `lost`: ids of updates that could not be stored and shall be delivered again. `since`:
    updates under way by id, and the moment before which they were not sent.
    """

    def __init__(self, desk: TapDesk, cards: Cards, messenger: TelegramMessenger) -> None:
        self._desk = desk
        self._cards = cards
        self._messenger = messenger
        self._errands: set[asyncio.Task[None]] = set()
        self.lost: set[int] = set()
        self.since: dict[int, int] = {}

    async def tapped(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Returns once the tap is stored or refused. What people are told goes out beside it and holds nothing up."""
        query, tap = update.callback_query, tap_of(update, self.since.get(update.update_id, 0))
        if query is None:
            return
        if tap is None:
            self._run(self._tell(query, TapAnswer(self._cards.words("")["unknown_button"])))
            return
        taken = await self._desk.take(tap)
        if taken.answer is not None and not taken.answer.lost:
            self._run(self._tell(query, taken.answer))
        else:
            self._run(self._answer(query, self._cards.words(tap.card_id)["late"]))
            answer = await asyncio.shield(taken.finished)
            if answer.lost:
                # Nobody is told so: Telegram keeps the tap and delivers it again.
                self.lost.add(update.update_id)
                return
            # A callback query is answered once, so this is a message.
            self._run(self._whisper(query, answer.text))
        if shows_its_card(query):
            self._run(self._adopt(tap, query))

    async def started(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """`/start` says who the bot is and under which address cards come to this chat."""
        message = update.message
        if message is None:
            return
        topic = message.message_thread_id if message.is_topic_message else None
        address = f"telegram:{message.chat.id}" + (f"/{topic}" if topic else "")
        text = (
            "This is Assent. Agents ask questions here, and people answer them by tapping a button.\n\n"
            f"To have them asked in this chat, send them to this address:\n{address}"
        )
        if message.chat.id > 0:
            text += "\n\nYour name in a list of reviewers is the same."
        self._run(self._reply(message.chat.id, topic, text))

    async def failed(self, update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Something unforeseen: the person learns that nothing was recorded, the log learns the rest."""
        log.error("telegram.update_failed", exc_info=context.error)
        if isinstance(update, Update) and update.callback_query is not None:
            tap = tap_of(update)
            words = self._cards.words(tap.card_id if tap else "")
            self._run(self._tell(update.callback_query, TapAnswer(words["not_recorded"])))

    async def drain(self, seconds: float) -> None:
        """Let what people are to be told go out."""
        if self._errands:
            await asyncio.wait(self._errands, timeout=seconds)

    async def _tell(self, query: CallbackQuery, answer: TapAnswer) -> None:
        """A toast; an alert, which has to be closed, for what was not recorded; or else a private message."""
        if not await self._answer(query, answer.text, alert=not answer.recorded):
            await self._whisper(query, answer.text)

    async def _answer(self, query: CallbackQuery, text: str | None, *, alert: bool = False) -> bool:
        try:
            await query.answer(None if text is None else cut(text, MAX_ANSWER), show_alert=alert and text is not None)
        except BadRequest:  # "query is too old": it was delivered late, or answered before
            return False
        except TelegramError as error:
            log.warning("telegram.answer_not_shown", reason=type(error).__name__)
            return False
        return True

    async def _whisper(self, query: CallbackQuery, text: str | None) -> None:
        """Tell it in the private chat. Who never opened one is told by the redrawn card alone; groups hear nothing."""
        if text is None:
            return
        whom = str(query.from_user.id)
        try:
            await self._messenger.notify(Address("telegram", whom), whom, text)
        except AssentError as error:
            log.info("telegram.not_told", user=whom, reason=error.message)

    async def _adopt(self, tap: Tap, query: CallbackQuery) -> None:
        """The card may have been posted without our learning its message's id (a crash between send and save)."""
        if query.message is None:
            return
        try:
            await self._cards.adopt(tap.card_id, str(query.message.message_id))
        except Unavailable as error:
            log.warning("telegram.not_adopted", card_id=tap.card_id, reason=error.message)

    async def _reply(self, chat: int, topic: int | None, text: str) -> None:
        try:
            await self._messenger.reply(chat, topic, text)
        except AssentError as error:
            log.info("telegram.not_told", chat=chat, reason=error.message)

    def _run(self, errand: Coroutine[Any, Any, bool | None]) -> None:
        task = asyncio.create_task(_logged(errand))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)


async def _logged(errand: Coroutine[Any, Any, Any]) -> None:
    try:
        await errand
    except Exception:
        log.exception("telegram.errand_failed")
