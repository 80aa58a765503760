"""The outbox: draws cards on one messenger, at the pace of each chat, and saves what they show.

Everything a worker does is a claim, one message, a save; it can be killed between any two of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from math import ceil

import structlog

from core.cards import Cards, Claimed
from core.checkpoints import checkpoint
from core.hub import Hub
from core.pacing import Pacer
from core.ports import ChannelMoved, Messenger, SendFailed
from core.schedule import retry_delay

log = structlog.get_logger()

AT_ONCE = 40  # cards that one worker holds at a time
PATIENCE_MS = 50.0  # a wait so short is waited out instead of giving the claim back
START_WITHIN_MS = 5_000.0  # after the claim; the lease covers this and the longest send
BREATH_MS = 20  # before looking again at what was due and already claimed by somebody
RESCAN_SECONDS = 1.0
MAX_ATTEMPTS = 50


def monotonic_ms() -> float:
    return time.monotonic() * 1000


class CardWorker:
    def __init__(
        self, cards: Cards, messenger: Messenger, hub: Hub, *, clock: Callable[[], float] = monotonic_ms
    ) -> None:
        self._cards = cards
        self._messenger = messenger
        self._hub = hub
        self._clock = clock
        self._pacer = Pacer()
        self._drawing: dict[asyncio.Task[None], int] = {}  # what is under way, and how many cards each task holds

    async def round(self) -> float:
        """Start to draw what is due; how many seconds until there may be more (0: come again at once)."""
        due = await self._cards.next_due(self._messenger.platform)
        if due is None or due > 0:
            return RESCAN_SECONDS if due is None else min(RESCAN_SECONDS, max(due, BREATH_MS) / 1000)
        room = AT_ONCE - sum(self._drawing.values())
        if room <= 0:
            await asyncio.wait(self._drawing, return_when=asyncio.FIRST_COMPLETED)
            return 0.0
        return 0.0 if await self._start(room) else BREATH_MS / 1000

    async def work(self) -> int:
        """One round to its end: claim what is due and draw it; how many were claimed."""
        claimed = await self._start(AT_ONCE)
        await self.drain(None)
        return claimed

    async def drain(self, seconds: float | None) -> None:
        """Let the messages under way arrive and be noted down."""
        if self._drawing:
            await asyncio.wait(self._drawing, timeout=seconds)

    async def _start(self, limit: int) -> int:
        began = self._clock()
        claimed = await self._cards.claim(self._messenger.platform, limit)
        # Chats do not wait for each other; of one claim a chat has one card at a time, in order.
        by_chat: dict[str, list[Claimed]] = {}
        for one in claimed:
            by_chat.setdefault(one.ref.address.channel, []).append(one)
        for chat in by_chat.values():
            task = asyncio.create_task(self._draw_in_order(chat, began))
            self._drawing[task] = len(chat)
            task.add_done_callback(self._drawn)
        return len(claimed)

    def _drawn(self, task: asyncio.Task[None]) -> None:
        del self._drawing[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            # The claims run out by themselves and the cards are tried again; the log says so each time.
            log.error("card.failed", platform=self._messenger.platform, exc_info=error)
        self._hub.wake("cards")

    async def _draw_in_order(self, chat: list[Claimed], began: float) -> None:
        for one in chat:
            if self._clock() - began > START_WITHIN_MS:
                return  # a slow platform: the rest may be claimed anew before we were done with it
            await self._draw(one)

    async def _draw(self, claimed: Claimed) -> None:
        ref = claimed.ref
        bucket, rate = self._messenger.rate(ref.address, "post" if ref.message is None else "update")
        wait = self._pacer.reserve(bucket, rate, self._clock(), PATIENCE_MS)
        if wait > PATIENCE_MS:
            await self._cards.postpone(ref, ceil(wait), sent=False)
            return
        await asyncio.sleep(wait / 1000)
        try:
            message = await self._send(claimed)
        except ChannelMoved as moved:
            await self._cards.moved(ref, moved.new_channel)
        except SendFailed as failed:
            await self._give_back(claimed, bucket, failed)
        except Exception as error:
            # A defect that one card brings out must not hold up the others of its batch and chat.
            log.exception("card.defect", card_id=ref.card_id, case_id=ref.case_id, tenant_id=ref.tenant_id)
            await self._give_back(claimed, bucket, SendFailed(f"a defect: {error!r}", uncertain=True))
        else:
            checkpoint("card.after_send")
            await self._cards.shown(claimed, message)
            checkpoint("card.after_save")

    async def _send(self, claimed: Claimed) -> str:
        ref = claimed.ref
        message = ref.message
        if message is None and ref.doubtful:
            message = await self._messenger.find(ref.address, claimed.card)
        checkpoint("card.before_send")
        if message is None:
            return await self._messenger.post(ref.address, claimed.card)
        await self._messenger.update(ref.address, message, claimed.card)
        return message

    async def _give_back(self, claimed: Claimed, bucket: str, failed: SendFailed) -> None:
        ref = claimed.ref
        delay = failed.retry_after_ms
        if delay is not None:
            self._pacer.pause(bucket, delay, self._clock())
        dead = failed.permanent or ref.attempts >= MAX_ATTEMPTS
        log.log(
            40 if dead else 30,
            "card.not_shown",
            card_id=ref.card_id,
            case_id=ref.case_id,
            tenant_id=ref.tenant_id,
            chat=str(ref.address),
            reason=failed.message,
            dead=dead,
        )
        await self._cards.postpone(
            ref,
            delay if delay is not None else retry_delay(ref.attempts),
            error=failed.message,
            dead=dead,
            uncertain=failed.uncertain,
        )
