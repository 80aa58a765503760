"""The port to Telegram: seven methods and a rate card. What Telegram refuses is said in words that tell what to do.

Nothing is sent twice here: the SDK's rate limiter and the transport's retries are off, and whether a message may have
arrived is told to the worker, which decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

import httpx
import structlog
from telegram import Bot, InlineKeyboardMarkup, LinkPreviewOptions, ReplyParameters
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError

from adapters.telegram.digests import draw_digest
from adapters.telegram.limits import OVERALL_MESSAGES, OVERALL_SECONDS, rate_of
from adapters.telegram.markup import untimed
from adapters.telegram.render import PLAIN, Drawn, Way, as_text, draw, remind
from adapters.telegram.settings import TelegramSettings
from core.digest_words import Digest
from core.messages import Card
from core.model import Address
from core.notice_words import Notice
from core.pacing import Rate
from core.ports import ChannelMoved, Check, SendFailed
from core.told import Told

log = structlog.get_logger()
T = TypeVar("T")

GENERAL_TOPIC = 1  # its messages carry no thread id, and sending with one is refused
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
REMOVE = "remove it with deleteWebhook, or set TELEGRAM_WEBHOOK_SECRET to use it"
NOT_MODIFIED = "message is not modified"
TIMES_UNKNOWN = 'unsupported start tag "tg-time"'
TIMES_REFUSED = "entity_date_invalid"  # three years ahead, by https://github.com/tdlib/telegram-bot-api/issues/852
# Telegram has no codes for these: its words are all there is. `True`: nothing that an admin does in Telegram helps.
REFUSALS: tuple[tuple[str, bool, str], ...] = (
    ("chat not found", True, "there is no such chat, or the bot is not in it; /start in a chat shows its id"),
    ("message to edit not found", True, "the card was deleted in Telegram, so it cannot follow its case any more"),
    ("message can't be edited", True, "Telegram does not let this message be changed any more"),
    ("message_id_invalid", True, "the card is not in this chat any more, so it cannot follow its case"),
    ("message thread not found", True, "there is no such topic in this group; /start in the topic shows its number"),
    ("topic_deleted", True, "the topic was deleted; /start in another topic shows its number"),
    ("topic_closed", False, "the topic is closed; open it again"),
    ("not enough rights", False, "the bot may not write in this chat; allow it to send messages"),
    ("have no rights", False, "the bot may not write in this chat; allow it to send messages"),
    ("chat_write_forbidden", False, "the bot may not write in this chat; allow it to send messages"),
)
_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


@dataclass(frozen=True, slots=True)
class Place:
    """A chat, and in a forum the topic."""

    chat: int
    topic: int | None = None

    @classmethod
    def of(cls, address: Address) -> Place:
        """Raises SendFailed for what is not `<chat id>` or `<chat id>/<topic id>`."""
        chat, slash, topic = address.channel.partition("/")
        digits = chat.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or (slash and not (topic.isascii() and topic.isdigit())):
            raise SendFailed(f"{address}: a chat is a number, as /start in the chat shows it", permanent=True)
        thread = int(topic) if slash and int(topic) != GENERAL_TOPIC else None
        return cls(int(chat), thread)

    def moved_to(self, chat: int) -> str:
        return f"{chat}/{self.topic}" if self.topic else str(chat)


class TelegramMessenger:
    """The messenger for one bot. After `close` it sends nothing more."""

    platform = "telegram"

    def __init__(self, bot: Bot, settings: TelegramSettings) -> None:
        self._bot = bot
        self._settings = settings
        self._turns = asyncio.Semaphore(OVERALL_MESSAGES)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._takes_times = True

    def rate(self, address: Address, kind: Literal["post", "update"]) -> tuple[str, Rate]:
        return rate_of(address.channel.partition("/")[0], kind)

    async def post(self, address: Address, card: Card) -> str:
        place = Place.of(address)
        settled = card.outcome is not None  # before it could be shown
        return str(await self.say(place, draw(card, self.way(place)), silent=settled))

    def shows_whole(self, card: Card) -> bool:
        return draw(card).whole

    async def update(self, address: Address, message: str, card: Card) -> None:
        place = Place.of(address)
        await self.rewrite(place, _number(message), draw(card, self.way(place)))

    async def remind(self, address: Address, message: str, notice: Notice) -> str:
        """A reply to the card; a message of its own where the card was deleted."""
        place = Place.of(address)
        return str(await self.say(place, remind(notice, self.way(place)), below=_number(message)))

    async def notify(self, address: Address, whom: str, what: str | Told) -> None:
        """A private message; the platform allows it to people who have pressed Start."""
        await self.say(Place.of(Address("telegram", whom)), as_text(what))

    async def digest(self, address: Address, digest: Digest, message: str | None = None) -> str:
        place, drawn = Place.of(address), Drawn(draw_digest(digest))
        if message is None:
            return str(await self.say(place, drawn))
        await self.rewrite(place, _number(message), drawn)
        return message

    async def find(self, address: Address, card: Card | Digest) -> str | None:
        """Bots cannot list messages. A tap on a card of unknown whereabouts tells where it is, see `taps`."""
        return None

    async def check(self) -> Check:
        try:
            me = await self._bot.get_me()
            webhook = await self._bot.get_webhook_info()
        except TelegramError as error:
            return Check(False, sentence(connection_words(error, self._settings.base_url)))
        name = f"The bot is @{me.username}"
        if self._settings.webhook_secret is None:
            if webhook.url:
                return Check(False, f"{name}, but a webhook is set for it, so that nothing can be fetched; {REMOVE}.")
            return Check(True, f"{name}; taps are fetched by long polling.")
        if not webhook.url:
            return Check(False, f"{name}, but no webhook is set for it, so that taps do not arrive.")
        if self._settings.webhook_url not in (None, webhook.url):
            return Check(False, f"{name}, but taps go to {webhook.url} instead of {self._settings.webhook_url}.")
        if webhook.last_error_message:
            reason = f"Telegram last failed to reach {webhook.url}: {webhook.last_error_message}"
            return Check(not webhook.pending_update_count, f"{name}; {reason}.")
        return Check(True, f"{name}; taps come to {webhook.url}.")

    @property
    def bot(self) -> Bot:
        return self._bot

    @property
    def name(self) -> str:
        """The bot's username; empty until it has connected."""
        try:
            return self._bot.username
        except RuntimeError:
            return ""

    def way(self, place: Place) -> Way:
        """How Review opens in this chat: as a Mini App where that is wanted and Telegram allows it."""
        if not self._settings.mini_app:
            return PLAIN
        if place.chat > 0:
            return Way(inside=True)
        app = self._settings.mini_app_name
        return Way(app=f"https://t.me/{self.name}/{app}") if app and self.name else PLAIN

    async def say(self, place: Place, drawn: Drawn, *, below: int | None = None, silent: bool = False) -> int:
        """Say something in a chat, as a reply to the message `below` where that still stands. Returns its id."""
        reply_to = None if below is None else ReplyParameters(below, allow_sending_without_reply=True)
        sent = await self._sent(
            place,
            drawn.text,
            lambda text: self._bot.send_message(
                place.chat,
                text,
                message_thread_id=place.topic,
                parse_mode=ParseMode.HTML,
                reply_markup=drawn.keyboard,
                reply_parameters=reply_to,
                link_preview_options=NO_PREVIEW,
                disable_notification=silent,
            ),
        )
        return sent.message_id

    async def rewrite(self, place: Place, message: int, drawn: Drawn) -> None:
        """Change what was said. That it already reads so is success."""
        keyboard = drawn.keyboard if isinstance(drawn.keyboard, InlineKeyboardMarkup) else None
        try:
            await self._sent(
                place,
                drawn.text,
                lambda text: self._bot.edit_message_text(
                    text,
                    place.chat,
                    message,
                    parse_mode=ParseMode.HTML,
                    reply_markup=keyboard,
                    link_preview_options=NO_PREVIEW,
                ),
            )
        except _NotModified:
            return

    async def remove(self, place: Place, message: int) -> None:
        """Take back what was said. Telegram lets bots do so for two days."""
        await self._send(place, lambda: self._bot.delete_message(place.chat, message))

    async def username_of(self, user_id: int) -> str | None:
        """What somebody is called now, whose private chat the bot knows."""
        chat = await self._send(Place(user_id), lambda: self._bot.get_chat(user_id))
        return chat.username

    async def close(self, seconds: float) -> None:
        """Wait for what is being sent, and refuse the rest: cut off in the middle, a message may be sent twice."""
        self._closed = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    def open(self) -> None:
        self._closed = False

    async def _sent(self, place: Place, markup: str, call: Callable[[str], Awaitable[T]]) -> T:
        """A text in HTML: with times, until a server of one's own has said that it is too old to know them. No message
        fails for a time in it.
        """
        if self._takes_times:
            try:
                return await self._send(place, lambda: call(markup))
            except _TimesRefused as refused:
                self._takes_times = not isinstance(refused, _TimesUnknown)
                log.info("telegram.times_refused", server=self._settings.base_url, reason=refused.message)
        return await self._send(place, lambda: call(untimed(markup)))

    async def _send(self, place: Place, call: Callable[[], Awaitable[T]]) -> T:
        if self._closed:
            raise SendFailed("Assent is stopping")
        task = asyncio.create_task(self._paced(call))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await task
        except TelegramError as error:
            raise _failure(error, place, self._settings.base_url) from error

    async def _paced(self, call: Callable[[], Awaitable[T]]) -> T:
        """The limit over all chats. The worker paces each chat.

        A message counts from when it leaves until a second after its answer: however long each was on its way, Telegram
        saw no more of them in any second.
        """
        await self._turns.acquire()
        try:
            return await call()
        finally:
            asyncio.get_running_loop().call_later(OVERALL_SECONDS, self._turns.release)


def _number(message: str) -> int:
    """A message's id. Raises SendFailed."""
    if not message.isdecimal():
        raise SendFailed(f"{message}: Telegram's message ids are numbers", permanent=True)
    return int(message)


class _NotModified(SendFailed):
    """The message looks so already."""


class _TimesRefused(SendFailed):
    """Telegram takes none of the times in a text, and has done nothing."""


class _TimesUnknown(_TimesRefused):
    """The Bot API server is older than 9.5: it does not know the tag of a time."""


def connection_words(error: TelegramError, base_url: str) -> str:
    """What is wrong with the connection. Telegram's own text may hold the token, so it is not repeated."""
    if isinstance(error, InvalidToken):
        return "Telegram does not accept the bot token; check TELEGRAM_BOT_TOKEN"
    if isinstance(error, NetworkError) and not isinstance(error, BadRequest):
        return f"Telegram cannot be reached at {base_url}"
    return f"Telegram refuses: {error.message}"


def sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _failure(error: TelegramError, place: Place, base_url: str) -> SendFailed | ChannelMoved:
    match error:
        case ChatMigrated():
            return ChannelMoved(place.moved_to(error.new_chat_id))
        case RetryAfter():
            return SendFailed("Telegram asks for a pause in this chat", retry_after_ms=milliseconds(error.retry_after))
        case Forbidden():
            return SendFailed(_forbidden(place), permanent=True)
        case BadRequest():
            return _refusal(error.message)
        case InvalidToken():
            return SendFailed(connection_words(error, base_url))
        case NetworkError():
            uncertain = not isinstance(error.__cause__, _NEVER_LEFT)
            words = "Telegram did not answer" if uncertain else connection_words(error, base_url)
            return SendFailed(words, uncertain=uncertain)
        case _:
            return SendFailed(connection_words(error, base_url), uncertain=True)


def milliseconds(pause: int | timedelta) -> int:
    """The SDK gives pauses in seconds, or as timedelta when it was told so."""
    seconds = pause.total_seconds() if isinstance(pause, timedelta) else pause
    return int(seconds * 1000)


def _forbidden(place: Place) -> str:
    if place.chat > 0:
        return "the bot may not write to this person; they have to open the chat with the bot and press Start"
    return "the bot is not in this group any more; add it again"


def _refusal(words: str) -> SendFailed:
    told = words.lower()
    if NOT_MODIFIED in told:
        return _NotModified()
    if TIMES_UNKNOWN in told:
        return _TimesUnknown(f"Telegram refuses the message: {words}", permanent=True)
    if TIMES_REFUSED in told:
        return _TimesRefused(f"Telegram refuses the message: {words}", permanent=True)
    for part, permanent, advice in REFUSALS:
        if part in told:
            return SendFailed(advice, permanent=permanent)
    return SendFailed(f"Telegram refuses the message: {words}", permanent=True)
