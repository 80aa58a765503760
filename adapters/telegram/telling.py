"""What people are told goes out beside what is recorded, and holds nothing up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog
from telegram import CallbackQuery
from telegram.error import BadRequest, TelegramError

from adapters.telegram.limits import MAX_ANSWER, cut
from adapters.telegram.messenger import Place, TelegramMessenger
from adapters.telegram.render import Drawn
from core.errors import AssentError
from core.model import Address
from core.ports import ChannelMoved, SendFailed
from core.taps import TapAnswer
from core.told import Told

log = structlog.get_logger()

TRIES = 4  # of what nobody else tries again
LONGEST_PAUSE_MS = 60_000  # whoever asked does not wait for longer
WAIT_SECONDS = 2.0  # for what shall have been said before its update is confirmed


class Telling:
    def __init__(self, messenger: TelegramMessenger) -> None:
        self.messenger = messenger
        self._errands: set[asyncio.Task[Any]] = set()

    def beside(self, errand: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(_logged(errand))
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
        return task

    async def first(self, errand: Coroutine[Any, Any, Any]) -> None:
        """Let it be said before the update counts as done: one that was not confirmed is delivered again, so that after
        a crash nobody waits in vain. A slow platform is not waited for.
        """
        await asyncio.wait({self.beside(errand)}, timeout=WAIT_SECONDS)

    async def drain(self, seconds: float) -> None:
        """Let what people are to be told go out."""
        if self._errands:
            await asyncio.wait(self._errands, timeout=seconds)

    # --- to whoever pressed a button ---

    async def tell(self, query: CallbackQuery, answer: TapAnswer) -> None:
        """A toast; an alert, which has to be closed, for what was not recorded; or else a private message."""
        if not await self.toast(query, answer.text, alert=not answer.recorded):
            await self.whisper(query.from_user.id, answer.told)

    async def toast(self, query: CallbackQuery, text: str | None, *, alert: bool = False) -> bool:
        try:
            await query.answer(None if text is None else cut(text, MAX_ANSWER), show_alert=alert and text is not None)
        except BadRequest:  # "query is too old": it was delivered late, or answered before
            return False
        except TelegramError as error:
            log.warning("telegram.answer_not_shown", reason=type(error).__name__)
            return False
        return True

    async def whisper(self, user_id: int, what: str | Told | None) -> bool:
        """Tell it in the private chat. Who never opened one is told by the redrawn card alone; groups hear nothing."""
        if what is None:
            return True
        whom = str(user_id)
        try:
            await self.messenger.notify(Address("telegram", whom), whom, what)
        except AssentError as error:
            log.info("telegram.not_told", user=whom, reason=error.message)
            return False
        return True

    # --- in a chat ---

    async def say(self, place: Place, drawn: Drawn, *, below: int | None = None) -> tuple[Place, int] | None:
        """Say it, where the chat is now and as soon as it has room; where that was, and the message's id. None when it
        cannot be said there.
        """
        for _ in range(TRIES):
            try:
                return place, await self.messenger.say(place, drawn, below=below)
            except ChannelMoved as moved:
                place, below = Place.of(Address("telegram", moved.new_channel)), None
            except SendFailed as failed:
                log.info("telegram.not_told", chat=place.chat, reason=failed.message)
                if failed.retry_after_ms is None or failed.retry_after_ms > LONGEST_PAUSE_MS:
                    return None
                await asyncio.sleep(failed.retry_after_ms / 1000)
        return None

    async def rewrite(self, place: Place, message: int, drawn: Drawn) -> bool:
        """Change what was said; False when that message does not stand there any more."""
        try:
            await self.messenger.rewrite(place, message, drawn)
        except (ChannelMoved, SendFailed) as error:
            log.info("telegram.not_rewritten", chat=place.chat, reason=error.message)
            return False
        return True

    async def remove(self, place: Place, message: int) -> bool:
        """Take back what was said; False when that message still stands there, or nobody knows."""
        try:
            await self.messenger.remove(place, message)
        except (ChannelMoved, SendFailed) as error:
            log.info("telegram.not_removed", chat=place.chat, reason=error.message)
            return False
        return True


async def _logged(errand: Coroutine[Any, Any, Any]) -> None:
    try:
        await errand
    except Exception:
        log.exception("telegram.errand_failed")
