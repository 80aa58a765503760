"""What is common to all that leaves for a messenger: it is claimed, sent at the pace of each chat, and what
became of it is saved.

Everything a worker does is a claim, one message, a save; it can be killed between any two of them.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from math import ceil
from typing import ClassVar, Generic, Literal, Protocol, TypeVar

import structlog

from core.checkpoints import checkpoint
from core.floods import Pace
from core.hub import Hub
from core.meters import NOBODY, Watch
from core.model import Address
from core.pacing import Pacer
from core.ports import ChannelMoved, Messenger, SendFailed
from core.schedule import retry_delay

log = structlog.get_logger()

AT_ONCE = 40  # messages that one worker holds at a time
PATIENCE_MS = 50.0  # a wait so short is waited out instead of giving the claim back
POST_PATIENCE_MS = 2_000.0  # for what was admitted to its chat already, and comes in a bunch after a busy moment
START_WITHIN_MS = 5_000.0  # after the claim; the lease covers this and the longest send
BREATH_MS = 20  # before looking again at what was due and already claimed by somebody
RESCAN_SECONDS = 1.0
MAX_ATTEMPTS = 50


def monotonic_ms() -> float:
    return time.monotonic() * 1000


class Ref(Protocol):
    """What every claimed thing tells of itself."""

    @property
    def card_id(self) -> str: ...

    @property
    def address(self) -> Address: ...

    @property
    def attempts(self) -> int: ...


class Job(Protocol):
    """One message that is to be sent."""

    @property
    def ref(self) -> Ref: ...


J = TypeVar("J", bound=Job)


class OutboxWorker(ABC, Generic[J]):
    """What is common to all that leaves for a messenger. Workers of one messenger share its `pacer`: what a chat can
    take, it can take from all of them together. `cap`: how many new cards a chat gets within a minute, at the most.
    """

    kind: ClassVar[str]  # names it in logs and checkpoints; its plural is the key that wakes it
    rescan: ClassVar[float | None] = None  # seconds, where it need not look as often as the others

    def __init__(
        self,
        messenger: Messenger,
        hub: Hub,
        *,
        pacer: Pacer | None = None,
        cap: int | None = None,
        clock: Callable[[], float] = monotonic_ms,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        watch: Watch = NOBODY,
    ) -> None:
        self._messenger = messenger
        self._hub = hub
        self._watch = watch
        self._clock = clock
        self._sleep = sleep
        self._pacer = pacer or Pacer()
        self._pace = Pace(messenger.rate, cap)
        self._sending: dict[asyncio.Task[None], int] = {}  # what is under way, and how many messages each task holds

    async def round(self) -> float:
        """Start to send what is due; how many seconds until there may be more (0: come again at once)."""
        due = await self._next_due()
        if due is None or due > 0:
            rescan = self.rescan or RESCAN_SECONDS
            return rescan if due is None else min(rescan, max(due, BREATH_MS) / 1000)
        room = AT_ONCE - sum(self._sending.values())
        if room <= 0:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
            return 0.0
        return 0.0 if await self._start(room) else BREATH_MS / 1000

    async def work(self) -> int:
        """One round to its end: claim what is due and send it; how many were claimed."""
        claimed = await self._start(AT_ONCE)
        await self.drain(None)
        return claimed

    async def drain(self, seconds: float | None) -> None:
        """Let the messages under way arrive and be noted down."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=seconds)

    async def _start(self, limit: int) -> int:
        began = self._clock()
        claimed = await self._claim(limit)
        # Chats do not wait for each other; of one claim a chat has one message at a time, in order.
        by_chat: dict[str, list[J]] = {}
        for job in claimed:
            by_chat.setdefault(job.ref.address.channel, []).append(job)
        for chat in by_chat.values():
            task = asyncio.create_task(self._send_in_order(chat, began))
            self._sending[task] = len(chat)
            task.add_done_callback(self._ended)
        return len(claimed)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._sending[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            # The claims run out by themselves and the messages are tried again; the log says so each time.
            log.error(f"{self.kind}.failed", platform=self._messenger.platform, exc_info=error)
        self._hub.wake(f"{self.kind}s")

    async def _send_in_order(self, chat: list[J], began: float) -> None:
        for job in chat:
            if self._clock() - began > START_WITHIN_MS:
                return  # a slow platform: the rest may be claimed anew before we were done with it
            await self._handle(job)

    async def _handle(self, job: J) -> None:
        ref = job.ref
        way = self._way(job)
        bucket, rate = self._messenger.rate(ref.address, way)
        patience = POST_PATIENCE_MS if way == "post" else PATIENCE_MS
        wait = self._pacer.reserve(bucket, rate, self._clock(), patience)
        if wait > patience:
            await self._postpone(job, ceil(wait))
            return
        await self._sleep(wait / 1000)
        try:
            message = await self._send_watched(job)
        except ChannelMoved as moved:
            await self._moved(job, moved.new_channel)
        except SendFailed as failed:
            await self._give_back(job, bucket, failed)
        except Exception as error:
            # A defect that one message brings out must not hold up the others of its batch and chat.
            log.exception(f"{self.kind}.defect", **self._about(job))
            await self._give_back(job, bucket, SendFailed(f"a defect: {error!r}", uncertain=True))
        else:
            checkpoint(f"{self.kind}.after_send")
            await self._save(job, message)
            checkpoint(f"{self.kind}.after_save")

    async def _send_watched(self, job: J) -> str:
        """Send it, and tell whoever counts and traces."""
        began, way, outcome = self._clock(), self._way(job), "failed"
        platform, about = self._messenger.platform, self._about(job)
        ids = {name: about.get(name) for name in ("tenant_id", "case_id")}
        with self._watch.spans.span(f"{self.kind}.{way}", platform=platform, **ids) as span:
            try:
                message = await self._send(job)
                outcome = "sent"
                return message
            except ChannelMoved:
                outcome = "moved"
                raise
            except SendFailed as failed:
                limited = failed.retry_after_ms is not None
                outcome = "dead" if _dead(job, failed) else "limited" if limited else "failed"
                raise
            finally:
                span.about(outcome=outcome, attempt=job.ref.attempts)
                seconds = (self._clock() - began) / 1000
                self._watch.meters.sent(platform, self.kind, way, about.get("tenant_id", ""), outcome, seconds)

    async def _give_back(self, job: J, bucket: str, failed: SendFailed) -> None:
        ref = job.ref
        delay = failed.retry_after_ms
        if delay is not None:
            self._pacer.pause(bucket, delay, self._clock())
            if self._way(job) == "post":
                await self._hush(ref.address, delay)
        dead = _dead(job, failed)
        log.log(
            40 if dead else 30,
            f"{self.kind}.not_shown",
            **self._about(job),
            chat=str(ref.address),
            reason=failed.message,
            dead=dead,
        )
        await self._postpone(job, delay if delay is not None else retry_delay(ref.attempts), failed, dead=dead)

    @abstractmethod
    async def _next_due(self) -> int | None: ...

    @abstractmethod
    async def _claim(self, limit: int) -> Sequence[J]: ...

    @abstractmethod
    def _way(self, job: J) -> Literal["post", "update"]: ...

    @abstractmethod
    def _about(self, job: J) -> dict[str, str]:
        """Its ids, for logs and traces."""

    @abstractmethod
    async def _hush(self, address: Address, ms: int) -> None:
        """The platform wants so long a pause in this chat: no process posts there before it is over."""

    @abstractmethod
    async def _send(self, job: J) -> str:
        """Send it; the platform's id of the message."""

    @abstractmethod
    async def _save(self, job: J, message: str) -> None: ...

    @abstractmethod
    async def _moved(self, job: J, channel: str) -> None: ...

    @abstractmethod
    async def _postpone(self, job: J, delay_ms: int, failed: SendFailed | None = None, *, dead: bool = False) -> None:
        """Give it back; without `failed`, nothing was tried."""


def _dead(job: Job, failed: SendFailed) -> bool:
    """Whether this was the last try."""
    return failed.permanent or job.ref.attempts >= MAX_ATTEMPTS
