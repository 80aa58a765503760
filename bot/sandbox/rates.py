"""Rate limits of both platforms as sliding windows on an injected clock.

A `Limit` says "at most `calls` within any `seconds`". A short burst is part of the window: four posts in four
seconds allow four at once, and one a second after that, which is how both platforms describe theirs.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import dataclass

from bot.sandbox.clock import Clock


@dataclass(frozen=True)
class Limit:
    name: str
    calls: int
    seconds: float


# Slack: https://docs.slack.dev/apis/web-api/rate-limits (posting is special, the tiers are per method).
SLACK_POST = Limit("slack post, per channel", 4, 4.0)
SLACK_TIER_2 = Limit("slack tier 2, per method", 20, 60.0)
SLACK_TIER_3 = Limit("slack tier 3, per channel", 50, 60.0)
SLACK_TIER_4 = Limit("slack tier 4, per method", 100, 60.0)
# Telegram: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
TELEGRAM_OVERALL = Limit("telegram, all chats", 30, 1.0)
TELEGRAM_CHAT = Limit("telegram, per chat", 3, 3.0)
TELEGRAM_GROUP = Limit("telegram, per group", 20, 60.0)


class Rates:
    """Counts calls per limit and key. `scale` multiplies every limit; `enabled = False` lets all through."""

    def __init__(self, clock: Clock, *, enabled: bool = True, scale: float = 1.0) -> None:
        self.enabled = enabled
        self.scale = scale
        self._clock = clock
        self._seen: defaultdict[tuple[Limit, str], deque[float]] = defaultdict(deque)

    def wait_for(self, *wanted: tuple[Limit, str]) -> int:
        """0, and the call counts against every limit named; or whole seconds to wait, and nothing counts."""
        if not self.enabled:
            return 0
        now = self._clock.monotonic()
        waits = [self._wait(limit, key, now) for limit, key in wanted]
        if any(waits):
            return max(waits)
        for limit, key in wanted:
            self._seen[limit, key].append(now)
        return 0

    def _wait(self, limit: Limit, key: str, now: float) -> int:
        seen = self._seen[limit, key]
        while seen and seen[0] <= now - limit.seconds:
            seen.popleft()
        allowed = max(1, int(limit.calls * self.scale))
        if len(seen) < allowed:
            return 0
        return max(1, math.ceil(seen[len(seen) - allowed] + limit.seconds - now))

    def clear(self) -> None:
        self._seen.clear()
