"""Who is in which chat, and what people are called, as Telegram says. Telegram knows no user groups.

A bot may ask this of groups that it is in; of its private chats it knows who is there without asking.
Source: https://core.telegram.org/bots/api#getchatmember
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from telegram import Bot, ChatMember, ChatMemberRestricted, User
from telegram.error import BadRequest, ChatMigrated, Forbidden, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from adapters.telegram.messenger import connection_words, milliseconds
from adapters.telegram.settings import TelegramSettings
from adapters.telegram.speakers import identity_of
from core.introductions import Introduced
from core.policy import ANONYMOUS_ADMIN
from core.ports import SendFailed

_IN = frozenset({ChatMember.OWNER, ChatMember.ADMINISTRATOR, ChatMember.MEMBER})


class TelegramDirectory:
    platform = "telegram"

    def __init__(self, bot: Bot, base_url: str) -> None:
        self._bot = bot
        self._base_url = base_url

    async def close(self) -> None:
        """Of a bot that nobody else uses."""
        await self._bot.request.shutdown()

    async def groups_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        """None: there is no such thing."""
        return frozenset()

    async def chats_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        """Of these chats (ids as text), those that the person is in now. Raises SendFailed when one cannot be asked."""
        if not user_id.isdecimal() or user_id == ANONYMOUS_ADMIN:
            return frozenset()
        chats = sorted(among)
        found = await asyncio.gather(*(self._is_in(int(user_id), chat) for chat in chats), return_exceptions=True)
        for one in found:
            if isinstance(one, BaseException):
                raise one
        return frozenset(chat for chat, is_in in zip(chats, found, strict=True) if is_in)

    async def introduced(self, user_id: str, chats: Collection[str]) -> Introduced | None:
        """By their private chat with the bot, or as a member of one of the `chats`: bots hear names nowhere else."""
        if not user_id.isdecimal() or user_id == ANONYMOUS_ADMIN:
            return None
        for chat in [one for one in sorted(chats) if _is_group(one)]:
            try:
                user = (await self._bot.get_chat_member(int(chat), int(user_id))).user
            except (BadRequest, Forbidden, ChatMigrated):
                continue
            except TelegramError as error:
                raise self._failed(error) from None
            return None if user.is_bot else Introduced(identity_of(user))
        return await self._introduced_alone(int(user_id))

    async def _introduced_alone(self, user_id: int) -> Introduced | None:
        try:
            chat = await self._bot.get_chat(user_id)
        except (BadRequest, Forbidden):
            return None  # they have never opened it
        except TelegramError as error:
            raise self._failed(error) from None
        if not chat.first_name:
            return None
        return Introduced(identity_of(User(user_id, chat.first_name, is_bot=False, last_name=chat.last_name)))

    def _failed(self, error: TelegramError) -> SendFailed:
        pause = milliseconds(error.retry_after) if isinstance(error, RetryAfter) else None
        return SendFailed(connection_words(error, self._base_url), retry_after_ms=pause)

    async def _is_in(self, user_id: int, chat: str) -> bool:
        try:
            return await self._asked(user_id, chat)
        except ChatMigrated as moved:
            return await self._is_in(user_id, str(moved.new_chat_id))
        except (BadRequest, Forbidden):
            return False  # Telegram knows nobody of that number there, or the bot itself is not there any more
        except TelegramError as error:
            raise self._failed(error) from None

    async def _asked(self, user_id: int, chat: str) -> bool:
        if not _is_group(chat):
            return False  # a private chat is with whom it is named after
        member = await self._bot.get_chat_member(int(chat), user_id)
        return member.status in _IN or (isinstance(member, ChatMemberRestricted) and member.is_member)


def _is_group(chat: str) -> bool:
    return chat.startswith("-") and chat[1:].isdecimal()


def directory_of(settings: TelegramSettings) -> TelegramDirectory:
    """For a process that is not otherwise connected. No proxy from the environment: only the settings say where
    requests go.
    """
    base_url = settings.base_url.rstrip("/")
    request = HTTPXRequest(httpx_kwargs={"trust_env": False})
    return TelegramDirectory(Bot(settings.bot_token, base_url=f"{base_url}/bot", request=request), base_url)
