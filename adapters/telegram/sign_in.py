"""Signing in from a Mini App: the initData that Telegram signed a moment ago says who opened the page."""

from __future__ import annotations

import time
from collections.abc import Callable

from adapters.telegram.initdata import key_of, signed
from core.model import Identity
from core.policy import ANONYMOUS_ADMIN
from core.schedule import MINUTE

MAX_AGE_MS = 10 * MINUTE
AHEAD_MS = MINUTE  # how far Telegram's clock may be ahead of ours


class TelegramSignIn:
    """`clock`: seconds since 1970."""

    def __init__(self, bot_token: str, *, clock: Callable[[], float] = time.time) -> None:
        self._key = key_of(bot_token)
        self._clock = clock

    def identity(self, init_data: str) -> Identity | None:
        """Whoever opened the Mini App; None when Telegram did not sign that for this bot, or not lately."""
        found = signed(init_data, self._key)
        if isinstance(found, str) or found.user_id == ANONYMOUS_ADMIN:
            return None
        age = self._clock() * 1000 - found.made_at
        if not -AHEAD_MS <= age <= MAX_AGE_MS:
            return None
        return Identity("telegram", found.user_id, found.name or None, verified=True)
