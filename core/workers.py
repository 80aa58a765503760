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

BATCH = 20
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

    async def run(self) -> None:
        """Until cancelled. Wakes up when a case changes, when a card is due, and once a second in any case."""
        with self._hub.subscribe("cards") as woken:
            while True:
                wait = await self.round()
                if wait > 0:
                    await woken.wait(wait)

    async def round(self) -> float:
        """Draw what is due; how many seconds until there may be more (0: come again at once)."""
        due = await self._cards.next_due(self._messenger.platform)
        if due is not None and due <= 0 and await self.work():
            return 0.0
        return RESCAN_SECONDS if due is None else min(RESCAN_SECONDS, max(due, BREATH_MS) / 1000)

    async def work(self) -> int:
        """One round: claim what is due and draw it; how many were claimed."""
        began = self._clock()
        claimed = await self._cards.claim(self._messenger.platform, BATCH)
        # Chats do not wait for each other; within a batch a chat has one card at a time, in order.
        by_chat: dict[str, list[Claimed]] = {}
        for one in claimed:
            by_chat.setdefault(one.ref.address.channel, []).append(one)
        async with asyncio.TaskGroup() as group:
            for chat in by_chat.values():
                group.create_task(self._draw_in_order(chat, began))
        return len(claimed)

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
            await self._cards.postpone(ref, 0, channel=moved.new_channel, error="the chat has a new id")
        except SendFailed as failed:
            await self._give_back(claimed, bucket, failed)
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
