"""Taps: a pressed button becomes a Tap, and whoever tapped is told what became of it.

Who tapped is what Telegram says, never what the button says: its data can be forged, and the core checks what it means.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from telegram import CallbackQuery, Message, Update
from telegram.ext import ContextTypes

from adapters.telegram.phrases import phrases
from adapters.telegram.render import ANSWERS, LISTED, Drawn
from adapters.telegram.speakers import identity_of, language_of, place_of
from adapters.telegram.telling import Telling
from core.cards import Cards
from core.errors import Unavailable
from core.extending import PUT_OFF
from core.model import JsonObject
from core.tap_desk import Taken, TapDesk
from core.taps import Tap, TapAnswer

log = structlog.get_logger()

_DATA = re.compile(r"([ai]):([A-Za-z0-9_-]{22}):([a-z_]{1,39})(?::([1-9][0-9]{0,8}))?", re.ASCII)
VIA = "telegram_inline_button"


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a button of a card, or of an item of an inbox, says."""

    kind: str
    card_id: str
    action: str
    edition: int


def pressed(data: str | None) -> Pressed | None:
    """What a button's data says; None when it is no card's."""
    found = None if data is None else _DATA.fullmatch(data)
    return None if found is None else Pressed(found[1], found[2], found[3], int(found[4] or 0))


def tap_of(update: Update, since: int = 0) -> Tap | None:
    """The tap in a callback query; None when its data is no card's. The message may be too old to be sent along.

    `since`: the update is no older than that, milliseconds since 1970. Telegram does not say when a button was
    pressed; it was not before the card was there either.
    """
    query = update.callback_query
    button = None if query is None else pressed(query.data)
    if query is None or button is None:
        return None
    return a_tap(update, query, button.card_id, button.action, button.edition, since, listed=button.kind == LISTED)


def a_tap(
    update: Update,
    query: CallbackQuery,
    card_id: str,
    action: str,
    edition: int,
    since: int,
    *,
    listed: bool = False,
    data: JsonObject | None = None,
) -> Tap:
    """A button pressed by whoever Telegram says, in the chat that it says."""
    posted = int(query.message.date.timestamp()) * 1000 if isinstance(query.message, Message) else 0
    return Tap(
        platform="telegram",
        card_id=card_id,
        action=action,
        edition=edition,
        identity=identity_of(query.from_user),
        channel="" if query.message is None else str(query.message.chat.id),
        via=VIA,
        delivery_id=str(update.update_id),
        tapped_at=max(since, posted),
        data=data or {},
        listed=listed,
    )


def shows_its_card(query: CallbackQuery) -> bool:
    """Whether the tapped message has this very button, and so is the card: only the bot puts buttons on messages. What
    puts a case off stands below a reminder.
    """
    message, button = query.message, pressed(query.data)
    if not isinstance(message, Message) or message.reply_markup is None or button is None:
        return False
    if button.kind != ANSWERS or button.action in PUT_OFF:
        return False
    return any(button.callback_data == query.data for row in message.reply_markup.inline_keyboard for button in row)


class Taps:
    """The handlers of updates. `lost`: ids of updates that could not be stored and shall be delivered again. `since`:
    updates under way by id, and the moment before which they were not sent. `then`: what else comes of a tap.
    """

    def __init__(self, desk: TapDesk, cards: Cards, telling: Telling) -> None:
        self._desk = desk
        self._cards = cards
        self._telling = telling
        self.lost: set[int] = set()
        self.since: dict[int, int] = {}
        self.then: list[Callable[[CallbackQuery, Tap, TapAnswer], Awaitable[None]]] = []

    async def tapped(self, update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        """Returns once the tap is stored or refused. What people are told goes out beside it and holds nothing up."""
        query, tap = update.callback_query, tap_of(update, self.since.get(update.update_id, 0))
        if query is None:
            return
        if tap is None:
            self.unknown(query)
            return
        answer = await self.record(update, query, tap)
        if answer is None:
            return
        if shows_its_card(query):
            self._telling.beside(self._adopt(query, tap.card_id))
        for then in self.then:
            await then(query, tap, answer)

    async def record(self, update: Update, query: CallbackQuery, tap: Tap) -> TapAnswer | None:
        """Record a tap, and tell whoever pressed; None when it shall be delivered again."""
        taken = await self._desk.take(tap)
        if taken.answer is not None and taken.answer.asks:
            return taken.answer
        if taken.answer is not None and not taken.answer.lost:
            self._telling.beside(self._telling.tell(query, taken.answer))
            return taken.answer
        self._telling.beside(self._telling.toast(query, self._cards.words(tap.card_id)["late"]))
        answer = await self._finished(update, taken)
        if answer is not None and not answer.asks:
            # A callback query is answered once, so this is a message.
            self._telling.beside(self._telling.whisper(query.from_user.id, answer.told))
        return answer

    async def record_written(self, update: Update, tap: Tap) -> TapAnswer | None:
        """Record a tap whose last word was a message; None when it shall be delivered again."""
        return await self._finished(update, await self._desk.take(tap))

    async def _finished(self, update: Update, taken: Taken) -> TapAnswer | None:
        answer = await asyncio.shield(taken.finished)
        if answer.lost:
            # Nobody is told so: Telegram keeps the tap and delivers it again.
            self.lost.add(update.update_id)
            return None
        return answer

    def unknown(self, query: CallbackQuery) -> None:
        """A button that nothing here has made, or that is older than what is kept."""
        self._telling.beside(self._telling.tell(query, TapAnswer(self._cards.words("")["unknown_button"])))

    async def failed(self, update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
        """Something unforeseen: the person learns that it did not work, the log learns the rest."""
        log.error("telegram.update_failed", exc_info=context.error)
        if not isinstance(update, Update):
            return
        if (message := update.message) is not None and message.from_user is not None:
            words = phrases(language_of(message.from_user))
            self._telling.beside(self._telling.say(place_of(message), Drawn(words["went_wrong"])))
        if (query := update.callback_query) is not None:
            button = pressed(query.data)
            words = self._cards.words(button.card_id if button else "")
            self._telling.beside(self._telling.tell(query, TapAnswer(words["not_recorded"])))

    async def _adopt(self, query: CallbackQuery, card_id: str) -> None:
        """The card may have been posted without our learning its message's id (a crash between send and save)."""
        if query.message is None:
            return
        try:
            await self._cards.adopt(card_id, str(query.message.message_id))
        except Unavailable as error:
            log.warning("telegram.not_adopted", card_id=card_id, reason=error.message)
