"""Named places at which a crash would be most awkward. In production each is a no-op; the chaos suite kills the
process there.
"""

from __future__ import annotations

from collections.abc import Callable


def _nothing(name: str) -> None:
    return None


reached: Callable[[str], None] = _nothing

NAMES = (
    "open.before_commit",
    "open.after_commit",
    "respond.after_begin",
    "respond.after_insert",
    "respond.after_commit",
    "card.before_send",
    "card.after_send",
    "card.after_save",
    "ack.before_commit",
    "ack.after_commit",
)


def checkpoint(name: str) -> None:
    reached(name)
