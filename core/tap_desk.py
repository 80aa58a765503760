"""Taps in time: the platform wants its acknowledgement in a second or so, the database may need longer, and no tap is
lost.

`take` waits for the commit as long as the budget allows. Then the adapter acknowledges without claiming anything, the
work goes on, and its answer is told when it is there. A database that cannot be reached is tried again until
`GIVE_UP` has passed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from core.errors import Unavailable
from core.meters import NOBODY, Watch
from core.taps import Tap, TapAnswer, Taps

log = structlog.get_logger()

BUDGET_SECONDS = 0.5  # of the one second that a person may wait for the acknowledgement
GIVE_UP_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Taken:
    """A tap under way. `answer` is None when the budget ran out before the commit; `finished` always brings it in the
    end.
    """

    answer: TapAnswer | None
    finished: asyncio.Task[TapAnswer]


class TapDesk:
    def __init__(self, taps: Taps, *, budget_seconds: float = BUDGET_SECONDS, watch: Watch = NOBODY) -> None:
        self._taps = taps
        self._meters = watch.meters
        self._budget = budget_seconds
        self._under_way: set[asyncio.Task[TapAnswer]] = set()

    async def take(self, tap: Tap) -> Taken:
        began = asyncio.get_running_loop().time()
        task = asyncio.create_task(self._record(tap))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        done, _ = await asyncio.wait({task}, timeout=self._budget)
        answer = task.result() if done else None
        outcome = "late" if answer is None else "recorded" if answer.recorded else "not_recorded"
        self._meters.tapped(tap.platform, outcome, asyncio.get_running_loop().time() - began)
        return Taken(answer, task)

    async def drain(self, seconds: float) -> None:
        """Let the taps under way finish before the process ends."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=seconds)

    async def _record(self, tap: Tap) -> TapAnswer:
        give_up = asyncio.get_running_loop().time() + GIVE_UP_SECONDS
        pause = 0.1
        while True:
            try:
                return await self._taps.tap(tap)
            except Unavailable:
                if asyncio.get_running_loop().time() + pause > give_up:
                    log.error("tap.lost", card_id=tap.card_id, platform=tap.platform)
                    return self._taps.lost(tap)
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 2)
