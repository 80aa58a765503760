"""Faults to inject into the next calls of a method, as the platforms and the network really produce them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox.connections import hang_up


class FaultKind(StrEnum):
    RATE_LIMITED = "rate_limited"
    """429 with Retry-After; nothing is done."""
    SERVER_ERROR = "server_error"
    """HTTP `status` (default 500); nothing is done."""
    ERROR = "error"
    """The platform's own error `error`; nothing is done."""
    DROPPED = "dropped"
    """The connection closes without an answer; nothing is done."""
    LOST_ANSWER = "lost_answer"
    """The call is carried out, then the connection closes without an answer."""
    SLOW = "slow"
    """The call is carried out at once and answered `seconds` later."""
    HELD = "held"
    """The call is carried out at once and answered when the test calls `fault.release()`."""


@dataclass(frozen=True)
class Fault:
    kind: FaultKind
    retry_after: int = 1
    status: int = 500
    error: str = ""
    seconds: float = 0.0
    _released: asyncio.Event = field(default_factory=asyncio.Event, compare=False, repr=False)

    @classmethod
    def rate_limited(cls, retry_after: int = 1) -> Fault:
        return cls(FaultKind.RATE_LIMITED, retry_after=retry_after)

    @classmethod
    def server_error(cls, status: int = 500) -> Fault:
        return cls(FaultKind.SERVER_ERROR, status=status)

    @classmethod
    def platform_error(cls, error: str, status: int = 400) -> Fault:
        """Slack: `error` is the code. Telegram: `error` is the description and `status` its error code."""
        return cls(FaultKind.ERROR, error=error, status=status)

    @classmethod
    def dropped(cls) -> Fault:
        return cls(FaultKind.DROPPED)

    @classmethod
    def lost_answer(cls) -> Fault:
        return cls(FaultKind.LOST_ANSWER)

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        return cls(FaultKind.SLOW, seconds=seconds)

    @classmethod
    def held(cls) -> Fault:
        return cls(FaultKind.HELD)

    def release(self) -> None:
        self._released.set()

    async def delay(self) -> None:
        if self.kind is FaultKind.SLOW:
            await asyncio.sleep(self.seconds)
        elif self.kind is FaultKind.HELD:
            await self._released.wait()


@dataclass
class _Expected:
    fault: Fault
    chat: str


class FaultBook:
    """Faults in the order in which they will strike, per method. The method `*` strikes any call."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, list[_Expected]] = defaultdict(list)
        self._given: list[Fault] = []

    def next(self, method: str, fault: Fault, *, times: int = 1, chat: str | int = "") -> Fault:
        """Let `fault` strike the next `times` calls of `method`; with `chat`, those for this channel or chat."""
        self._waiting[method] += [_Expected(fault, str(chat)) for _ in range(times)]
        self._given.append(fault)
        return fault

    def take(self, method: str, chat: object = "") -> Fault | None:
        """The fault for a call that came in, for the channel or chat that it names."""
        for name in (method, "*"):
            for expected in self._waiting[name]:
                if expected.chat in ("", str(chat)):
                    self._waiting[name].remove(expected)
                    return expected.fault
        return None

    def waiting(self) -> dict[str, int]:
        return {method: len(faults) for method, faults in self._waiting.items() if faults}

    def clear(self) -> None:
        """No more faults; answers that are held are given now."""
        self._waiting.clear()
        for fault in self._given:
            fault.release()
        self._given.clear()


@dataclass(frozen=True)
class Refusals:
    """How one platform words the faults that are answers: too many requests, and an error of its own."""

    rate_limited: Callable[[int], Response]
    error: Callable[[str, int], Response]


async def carry_out(
    request: Request, fault: Fault | None, work: Callable[[], Awaitable[Response]], refusals: Refusals
) -> tuple[Response, str]:
    """Do `work` as the fault allows; returns the response and the fault's name ("" without a fault)."""
    if fault is None:
        return await work(), ""
    match fault.kind:
        case FaultKind.RATE_LIMITED:
            response = refusals.rate_limited(fault.retry_after)
        case FaultKind.SERVER_ERROR:
            response = JSONResponse({"message": "injected fault"}, fault.status)
        case FaultKind.ERROR:
            response = refusals.error(fault.error, fault.status)
        case FaultKind.DROPPED:
            response = await hang_up(request)
        case FaultKind.LOST_ANSWER:
            await work()
            response = await hang_up(request)
        case _:  # slow or held
            response = await work()
            await fault.delay()
    return response, f"fault: {fault.kind}"
