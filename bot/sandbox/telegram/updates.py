"""Updates on their way to the bot: kept until getUpdates confirms them or the webhook answers 2xx.

A webhook that fails is tried again, and the next updates of the same person wait behind the failed one; other
people's updates go on. Source: https://core.telegram.org/bots/api#getting-updates
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx

from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock
from bot.sandbox.telegram.errors import TelegramError
from bot.sandbox.trust import trust
from bot.sandbox.wire import Json

NOT_SENT_UNASKED = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
ANSWER_SECONDS = 30.0
WEBHOOK_ACTIVE = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
SET_MEANWHILE = "Conflict: terminated by setWebhook request"
TWO_POLLERS = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"


@dataclass(frozen=True)
class Delivery:
    """One push to the webhook. `status` is None when the connection broke or no answer came."""

    status: int | None
    body: str
    seconds: float
    problem: str = ""

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass
class Webhook:
    url: str
    secret_token: str = field(default="", repr=False)
    max_connections: int = 40
    allowed_updates: list[str] | None = None
    last_error_date: int = 0
    last_error_message: str = ""


class Updates:
    def __init__(self, clock: Clock, changes: Changes) -> None:
        self.webhook: Webhook | None = None
        self.retry_delays: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
        """Seconds before each new try of a failed push; the last one repeats."""
        self.deliveries: dict[int, list[Delivery]] = {}
        """By update id: every push of it, in order."""
        self.conflicts = 0
        self._clock = clock
        self._changes = changes
        self._pending: dict[int, Json] = {}
        self._again: list[Json] = []
        self._next_id = 700_000_001
        self._allowed: list[str] | None = None
        self._poller: asyncio.Task[object] | None = None
        self._lanes: dict[int, asyncio.Task[None]] = {}
        self._connections = asyncio.Semaphore(40)
        self._client = httpx.AsyncClient(
            trust_env=False, verify=trust(), follow_redirects=False, timeout=ANSWER_SECONDS
        )

    async def close(self) -> None:
        await self._stop_lanes()
        await self._client.aclose()

    @property
    def pending(self) -> list[Json]:
        return list(self._pending.values())

    def add(self, kind: str, content: Json) -> Json:
        """A new update. It is dropped, as Telegram does, when the bot did not ask for its kind."""
        update = self.numbered(kind, content)
        allowed = self.webhook.allowed_updates if self.webhook else self._allowed
        if (kind in allowed) if allowed else (kind not in NOT_SENT_UNASKED):
            self._pending[update["update_id"]] = update
            self._start_lanes()
            self._changes.touch()
        return update

    def numbered(self, kind: str, content: Json) -> Json:
        """An update with the next id that is not queued."""
        update: Json = {"update_id": self._next_id, kind: content}
        self._next_id += 1
        return update

    async def send_again(self, update: Json) -> Delivery | None:
        """Deliver an update once more with the same id. Polling: it comes with the next getUpdates."""
        if self.webhook:
            return await self.push(update, self.webhook.secret_token)
        self._again.append(update)
        self._changes.touch()
        return None

    def forget(self) -> None:
        self._pending.clear()
        self._again.clear()
        self.deliveries.clear()

    # getUpdates

    async def get(self, offset: int, limit: int, timeout: float, allowed: list[str] | None) -> list[Json]:
        if self.webhook:
            raise TelegramError(409, WEBHOOK_ACTIVE)
        if allowed is not None:
            self._allowed = allowed or None
        me = asyncio.current_task()
        if self._poller is not None:
            self.conflicts += 1
            self._poller.cancel("another getUpdates")
        self._poller = me
        try:
            return await self._poll(offset, limit, timeout)
        except asyncio.CancelledError as error:
            if self._poller is me or me is None:
                raise
            me.uncancel()
            raise TelegramError(409, SET_MEANWHILE if self.webhook else TWO_POLLERS) from error
        finally:
            if self._poller is me:
                self._poller = None

    async def _poll(self, offset: int, limit: int, timeout: float) -> list[Json]:
        if offset < 0:
            offset = list(self._pending)[offset] if len(self._pending) >= -offset else 0
        for update_id in [known for known in self._pending if known < offset]:
            del self._pending[update_id]
        end = time.monotonic() + timeout
        while not self._pending and not self._again and not self._changes.closed:
            left = end - time.monotonic()
            if left <= 0:
                break
            await self._changes.after(self._changes.version, left)
        again, self._again = self._again, []
        return (again + list(self._pending.values()))[: max(1, min(limit, 100))]

    # Webhook

    async def set_webhook(self, webhook: Webhook | None, *, drop_pending: bool = False) -> None:
        await self._stop_lanes()
        if drop_pending:
            self._pending.clear()
        self.webhook = webhook
        self._connections = asyncio.Semaphore(webhook.max_connections if webhook else 40)
        if webhook and self._poller:
            self._poller.cancel("webhook was set")
            self._poller = None
        self._start_lanes()

    async def push(self, update: Json, secret_token: str | None) -> Delivery:
        """Post one update to the webhook, once, with this secret token (None: without the header)."""
        if self.webhook is None:
            raise RuntimeError("the bot has set no webhook")
        headers = {b"X-Telegram-Bot-Api-Secret-Token": secret_token.encode()} if secret_token else {}
        started = time.monotonic()
        try:
            async with self._connections:
                response = await self._client.post(self.webhook.url, json=update, headers=headers)
            delivery = Delivery(response.status_code, response.text, time.monotonic() - started)
        except httpx.HTTPError as error:
            delivery = Delivery(None, "", time.monotonic() - started, type(error).__name__)
        self.deliveries.setdefault(update["update_id"], []).append(delivery)
        self._changes.touch()
        return delivery

    def _start_lanes(self) -> None:
        if self.webhook is None:
            return
        for lane in {_person_of(update) for update in self._pending.values()} - self._lanes.keys():
            self._lanes[lane] = asyncio.create_task(self._run_lane(lane))

    async def _run_lane(self, lane: int) -> None:
        """Push one person's updates in order until none is left."""
        tries = 0
        try:
            while update := next((u for u in self._pending.values() if _person_of(u) == lane), None):
                webhook = self.webhook
                if webhook is None:
                    return
                delivery = await self.push(update, webhook.secret_token)
                if delivery.accepted:
                    self._pending.pop(update["update_id"], None)
                    tries = 0
                    continue
                webhook.last_error_date = int(self._clock.wall())
                webhook.last_error_message = (
                    delivery.problem or f"Wrong response from the webhook: {delivery.status} {delivery.body[:60]}"
                )
                await asyncio.sleep(self.retry_delays[min(tries, len(self.retry_delays) - 1)])
                tries += 1
        finally:
            self._lanes.pop(lane, None)

    async def _stop_lanes(self) -> None:
        lanes = list(self._lanes.values())
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)


def _person_of(update: Json) -> int:
    """Whose lane an update goes in: the person who caused it, or else 0."""
    contents: Iterable[Json] = (value for value in update.values() if isinstance(value, dict))
    return next((int(content["from"]["id"]) for content in contents if "from" in content), 0)
