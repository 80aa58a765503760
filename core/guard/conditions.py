"""What a rule of a policy asks about an operation. Pure.

Every condition answers yes, no, or None: it cannot be told, because what it asks about is missing or of another kind.
What None means is the rule's to say (`core.guard.rules`): nobody slips past a rule by leaving something out.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

from core.guard.globs import Glob
from core.jsonpatch import BadPatch, found
from core.model import JsonObject
from core.patterns import FullMatch

Comparator = Literal["exists", "eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "matches"]
COMPARATORS: tuple[Comparator, ...] = ("exists", "eq", "ne", "lt", "le", "gt", "ge", "in", "not_in", "matches")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MIDNIGHT = time.max  # as the end of a window: `24:00`
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked: `<resource>.<verb>` with its arguments, for whom, and the source whose executors would act."""

    tenant_id: str
    operation: str
    payload: JsonObject
    requested_by: str | None = None
    source_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether a condition holds (None: cannot be told), and in plain words why."""

    holds: bool | None
    words: str


class Condition(Protocol):
    def check(self, operation: Operation, now: int) -> Answer: ...

    def as_json(self) -> tuple[str, Any]:
        """The key that it stands under in a policy's file, and its value."""
        ...


Asked = Literal["tenant", "operation", "requester", "source"]


@dataclass(frozen=True, slots=True)
class Named:
    """One of these globs fits the operation's name, or who or what it is for."""

    what: Asked
    globs: tuple[Glob, ...]

    def check(self, operation: Operation, now: int) -> Answer:
        value = self._value(operation)
        if value is None:
            return Answer(None, f"{self.what} is not given")
        holds = any(one.matches(value) for one in self.globs)
        wanted = " or ".join(one.text for one in self.globs)
        return Answer(holds, f"{self.what} {_short(value)} {'fits' if holds else 'does not fit'} {wanted}")

    def _value(self, operation: Operation) -> str | None:
        match self.what:
            case "tenant":
                return operation.tenant_id
            case "operation":
                return operation.operation
            case "requester":
                return operation.requested_by
            case "source":
                return operation.source_id

    def as_json(self) -> tuple[str, Any]:
        return self.what, sorted(one.text for one in self.globs)


@dataclass(frozen=True, slots=True)
class Compared:
    """A field of the payload, compared. Values are of one kind (text, number, yes-or-no) or cannot be compared; numbers
    compare exactly, texts character by character.
    """

    at: str  # a JSON Pointer
    path: tuple[str, ...] = field(compare=False, repr=False)
    comparator: Comparator
    value: Any
    pattern: FullMatch | None = field(default=None, compare=False, repr=False)  # of `matches`

    def check(self, operation: Operation, now: int) -> Answer:
        try:
            value = found(operation.payload, self.path)
        except BadPatch:
            here = False
            value = None
        else:
            here = True
        if self.comparator == "exists":
            return Answer(here == self.value, f"{self._where} is {'there' if here else 'missing'}")
        if not here:
            return Answer(None, f"{self._where} is missing")
        holds = self._compare(value)
        values = self.value if isinstance(self.value, list) else [self.value]
        wanted = f"{self.comparator} {', '.join(map(_short, values))}"
        if holds is None:
            return Answer(None, f"{self._where} is {_short(value)}, which cannot be compared: {wanted}")
        return Answer(holds, f"{self._where} is {_short(value)}, {'as asked' if holds else 'not'}: {wanted}")

    @property
    def _where(self) -> str:
        return self.at or "the payload"

    def _compare(self, value: Any) -> bool | None:
        match self.comparator:
            case "matches":
                assert self.pattern is not None
                return bool(self.pattern(value)) if isinstance(value, str) else None
            case "in" | "not_in":
                kind = _kind(value)
                if kind is None or kind not in map(_kind, self.value):
                    return None
                among = any(_kind(one) == kind and one == value for one in self.value)
                return among if self.comparator == "in" else not among
        kind = _kind(value)
        if kind is None or kind != _kind(self.value):
            return None
        return _ORDER[self.comparator](value, self.value)

    def as_json(self) -> tuple[str, Any]:
        return "payload", [{"at": self.at, self.comparator: self.value}]


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {  # int and float compare by their exact values
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def _kind(value: Any) -> str | None:
    """Values of one kind can be compared; what is null, a list or an object cannot."""
    if isinstance(value, bool):  # in Python, also an int
        return "yes-or-no"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Window:
    """From one time of day to (not including) another, on these days (0 is Monday), by the clocks of a time zone. One
    that ends before it begins goes on after midnight: its day is the one it begins on. Without times: all day.
    """

    days: frozenset[int]
    zone: ZoneInfo
    begins: time | None = None
    ends: time | None = None

    def covers(self, now: int) -> bool:
        local = (_EPOCH + timedelta(milliseconds=now)).astimezone(self.zone)
        clock, day = local.time(), local.weekday()
        if self.begins is None or self.ends is None:
            return day in self.days
        if self.begins < self.ends:
            return day in self.days and self.begins <= clock < self.ends
        if clock >= self.begins:
            return day in self.days
        return clock < self.ends and (day - 1) % 7 in self.days

    def as_json(self) -> dict[str, Any]:
        times: dict[str, Any] = {}
        if self.begins is not None and self.ends is not None:
            ends = "24:00" if self.ends == MIDNIGHT else f"{self.ends:%H:%M}"
            times = {"from": f"{self.begins:%H:%M}", "to": ends}
        return {"days": [DAYS[day] for day in sorted(self.days)], **times, "zone": self.zone.key}


@dataclass(frozen=True, slots=True)
class During:
    """It is now within one of these windows."""

    windows: Sequence[Window]

    def check(self, operation: Operation, now: int) -> Answer:
        holds = any(window.covers(now) for window in self.windows)
        local = (_EPOCH + timedelta(milliseconds=now)).astimezone(self.windows[0].zone)
        where = "within" if holds else "not within"
        return Answer(holds, f"it is {DAYS[local.weekday()]} {local:%H:%M} in {local.tzinfo}, {where} the rule's time")

    def as_json(self) -> tuple[str, Any]:
        return "time", [window.as_json() for window in self.windows]


def _short(value: Any) -> str:
    """A value as JSON, as far as a sentence can hold it."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str) and len(value) > _SHOWN:
        value = value[:_SHOWN] + "…"
    return json.dumps(value, ensure_ascii=False)
