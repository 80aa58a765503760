"""How a case behaves in chats beyond being asked: whom it climbs to, what a denial needs, how long it may be put off.
Fixed when it opens. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidInput
from core.model import Address, Case, JsonObject
from core.schedule import HOUR, SECOND

MAX_LEVELS = 10
MAX_REASONS, MAX_REASON = 10, 75
EXTENSIONS = 3
MAX_REASON_TEXT = 2_000
# What of a source's settings its cases take over as they stand.
TAKEN_OVER = ("ask_reason", "deny_reasons", "extend_ms", "max_extensions", "snooze_ms")


@dataclass(frozen=True, slots=True)
class Level:
    """One level of an escalation chain: `after_ms` of waiting, cards go to `notify` as well, `reviewers` may decide as
    well, and `mention` are called.
    """

    after_ms: int
    notify: tuple[Address, ...] = ()
    reviewers: tuple[str, ...] = ()
    mention: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "after_ms": self.after_ms,
            "notify": [str(address) for address in self.notify],
            "reviewers": list(self.reviewers),
            "mention": list(self.mention),
        }


def level_of(value: Mapping[str, Any]) -> Level:
    chats = [text.partition(":") for text in value["notify"]]
    return Level(
        value["after_ms"],
        tuple(Address(platform, channel) for platform, _, channel in chats),
        tuple(value["reviewers"]),
        tuple(value["mention"]),
    )


def chain_of(terms: JsonObject) -> tuple[Level, ...]:
    return tuple(level_of(one) for one in terms.get("escalation_chain") or ())


def check_chain(chain: Sequence[Level], *, field: str = "escalation_chain") -> None:
    """Raise InvalidInput unless each level comes later than the one before, and does something."""
    if len(chain) > MAX_LEVELS:
        raise InvalidInput(f"{field} may have {MAX_LEVELS} levels", field=field)
    for n, level in enumerate(chain):
        if level.after_ms < 10 * SECOND:
            raise InvalidInput(f"{field}[{n}].after must be at least 10s", field=f"{field}[{n}].after")
        if n and level.after_ms <= chain[n - 1].after_ms:
            raise InvalidInput(
                f"{field}[{n}].after must be later than the level before it", field=f"{field}[{n}].after"
            )
        if not (level.notify or level.reviewers or level.mention):
            raise InvalidInput(f"{field}[{n}] does nothing: name notify, reviewers or mention", field=f"{field}[{n}]")


def within(chain: Sequence[Level], timeout_ms: int) -> None:
    """Raise InvalidInput when a level would come after the deadline."""
    for n, level in enumerate(chain):
        if level.after_ms >= timeout_ms:
            field = f"escalation_chain[{n}].after"
            raise InvalidInput(f"{field} must be shorter than the timeout", field=field)


def next_level(chain: Sequence[Level], created_at: int, climbed: int) -> int | None:
    """When the next level comes (ms UTC); None after the last."""
    return created_at + chain[climbed].after_ms if climbed < len(chain) else None


def asks_reason(case: Case) -> bool:
    """Whether a denial needs a reason."""
    return bool(case.terms.get("ask_reason"))


def deny_reasons(case: Case) -> tuple[str, ...]:
    """The reasons that are offered: a review task's own, else the source's."""
    own = ((case.task or {}).get("interaction_schema") or {}).get("deny_reasons")
    return tuple(str(one) for one in own or case.terms.get("deny_reasons") or ())


def extension_ms(case: Case) -> int:
    """By how much the deadline may still be moved; 0 for not at all."""
    by = int(case.terms.get("extend_ms") or 0)
    return by if case.extended < int(case.terms.get("max_extensions") or EXTENSIONS) else 0


def snooze_ms(case: Case) -> int:
    """How long reminders may be put off; 0 for not at all."""
    return int(case.terms.get("snooze_ms") or 0)


def reminder_lead(extend_ms: int) -> int:
    """How long before the new deadline people are reminded again."""
    return min(12 * HOUR, extend_ms // 2)
