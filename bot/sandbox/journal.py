"""What happened, in order: every API call that the app made, every private word that a person was shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock

SECRET_PARAMETERS = frozenset({"token", "secret_token", "client_secret"})


@dataclass
class Call:
    """One API call as it was received. `outcome` is `ok`, the platform's error, or what a fault did to it."""

    number: int
    at: float
    platform: str
    method: str
    params: dict[str, Any]
    outcome: str = "pending"
    status: int = 0

    def wire(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass(frozen=True)
class Notice:
    """Something that one person alone was shown.

    kind: `ephemeral` (Slack), `operation_timeout` (the app did not acknowledge a tap within 3 s),
    `dispatch_failed` (it refused or could not be reached), `toast` and `alert` (Telegram callback answers).
    """

    number: int
    at: float
    platform: str
    user: str
    kind: str
    text: str
    channel: str = ""

    def wire(self) -> dict[str, Any]:
        return dict(self.__dict__)


class Journal:
    def __init__(self, clock: Clock, changes: Changes) -> None:
        self.calls: list[Call] = []
        self.notices: list[Notice] = []
        self._clock = clock
        self._changes = changes
        self._numbers = count(1)

    def received(self, platform: str, method: str, params: Mapping[str, Any]) -> Call:
        shown = {name: "…" if name in SECRET_PARAMETERS else value for name, value in params.items()}
        call = Call(next(self._numbers), self._clock.wall(), platform, method, shown)
        self.calls.append(call)
        self._changes.touch()
        return call

    def answered(self, call: Call, outcome: str, status: int) -> None:
        call.outcome, call.status = outcome, status
        self._changes.touch()

    def told(self, platform: str, user: str, kind: str, text: str, channel: str = "") -> Notice:
        notice = Notice(next(self._numbers), self._clock.wall(), platform, user, kind, text, channel)
        self.notices.append(notice)
        self._changes.touch()
        return notice

    def of(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    def clear(self) -> None:
        self.calls.clear()
        self.notices.clear()
        self._changes.touch()
