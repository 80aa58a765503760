"""What Telegram says when `assent doctor` asks: who the bot is, how taps come back, and whether cards can stand in a
chat.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from telegram import Bot, ChatMember, ChatMemberAdministrator, ChatMemberRestricted
from telegram.constants import ChatAction, ChatType
from telegram.request import HTTPXRequest

from adapters.telegram.connect import ALLOWED_UPDATES
from adapters.telegram.messenger import Place, TelegramMessenger
from adapters.telegram.settings import TelegramSettings
from core.dates import ahead_of
from core.model import Address
from core.ports import SendFailed

ANSWER_SECONDS = 10.0
NOWHERE = Place(0)  # where no chat is asked about


@dataclass(frozen=True, slots=True)
class TelegramSeen:
    """Who the token speaks for. `ahead_ms`: of this machine's clock, None when Telegram does not say what time it
    is.
    """

    bot: str
    joins_groups: bool
    reads_everything: bool
    ahead_ms: int | None


@dataclass(frozen=True, slots=True)
class WebhookSeen:
    """Where Telegram sends taps; `url` is empty when they are fetched. `unasked`: the updates that Assent needs and
    that are not sent. `failed_at` (ms since 1970) and `error`: the last time that sending failed.
    """

    url: str
    waiting: int
    unasked: tuple[str, ...]
    failed_at: int | None
    error: str


class TelegramHealth(TelegramMessenger):
    """A messenger that can also be asked how things are. Everything raises SendFailed when Telegram refuses it
    (`reach` also ChannelMoved). Nothing is fetched, so whoever polls is not disturbed.
    """

    def __init__(self, settings: TelegramSettings, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._date: str | None = None
        self._request = HTTPXRequest(
            read_timeout=ANSWER_SECONDS,
            httpx_kwargs={"trust_env": False, "event_hooks": {"response": [self._note_date]}},
        )
        base_url = settings.base_url.rstrip("/")
        super().__init__(
            Bot(
                settings.bot_token, base_url=f"{base_url}/bot", request=self._request, get_updates_request=self._request
            ),
            settings,
        )

    async def seen(self) -> TelegramSeen:
        began = self._clock()
        me = await self._send(NOWHERE, self._bot.get_me)
        middle = (began + self._clock()) / 2
        return TelegramSeen(
            bot=str(me.username),
            joins_groups=bool(me.can_join_groups),
            reads_everything=bool(me.can_read_all_group_messages),
            ahead_ms=ahead_of(self._date, middle),
        )

    async def webhook(self) -> WebhookSeen:
        info = await self._send(NOWHERE, self._bot.get_webhook_info)
        allowed = info.allowed_updates or ALLOWED_UPDATES  # nothing said: nearly everything is sent
        return WebhookSeen(
            url=info.url,
            waiting=info.pending_update_count,
            unasked=tuple(kind for kind in ALLOWED_UPDATES if kind not in allowed),
            failed_at=None if info.last_error_date is None else int(info.last_error_date.timestamp() * 1000),
            error=info.last_error_message or "",
        )

    async def reach(self, address: Address) -> None:
        """Whether a card can stand there, without posting one. A person sees for a moment that the bot is typing: there
        is no other way to learn whether they have blocked it.
        """
        place = Place.of(address)
        chat = await self._send(place, lambda: self._bot.get_chat(place.chat))
        if chat.type == ChatType.PRIVATE:
            await self._send(place, lambda: self._bot.send_chat_action(place.chat, ChatAction.TYPING))
            return
        me = await self._send(place, self._bot.get_me)
        member = await self._send(place, lambda: self._bot.get_chat_member(place.chat, me.id))
        if member.status in (ChatMember.LEFT, ChatMember.BANNED):
            raise SendFailed("the bot is not in this group any more; add it again", permanent=True)
        if not _may_write(member, bool(chat.permissions is None or chat.permissions.can_send_messages), chat.type):
            raise SendFailed("the bot may not write in this chat; allow it to send messages", permanent=True)

    async def end(self) -> None:
        await self.close(1.0)
        await self._request.shutdown()

    async def _note_date(self, response: httpx.Response) -> None:
        self._date = response.headers.get("date")


def _may_write(member: ChatMember, everybody: bool, kind: str) -> bool:
    if isinstance(member, ChatMemberAdministrator):
        return kind != ChatType.CHANNEL or bool(member.can_post_messages)
    if isinstance(member, ChatMemberRestricted):
        return bool(member.can_send_messages)
    return everybody and kind != ChatType.CHANNEL
