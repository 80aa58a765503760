"""Somebody's history: closed cases in an order that stands still, whichever way its pages are turned. Read inside a
transaction; who may look back on what is for `core.inbox` to say.

A case stands where this person first answered it, else where it was closed, and so it is met once.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from core.ledger import Tx
from core.ledger import inbox_queries as q
from core.model import Case
from core.rows import case_of, to_json

LOOKED_AT = 200  # cases of each kind of which one page is made, where a search leaves many out
_CURSOR = re.compile(r"([0-9]{1,18})\.([A-Za-z0-9_-]{1,64})", re.ASCII)


class Spot(NamedTuple):
    """Where a case stands: the newest first, and those of one moment by their ids. `minus`: milliseconds, negative."""

    minus: int
    case_id: str

    @property
    def at(self) -> int:
        return -self.minus

    @property
    def cursor(self) -> str:
        """As pages name it; no secret, and no proof: 64 bytes of Telegram's have room for it."""
        return f"{self.at}.{self.case_id}"


BEGINNING = Spot(-(1 << 62), "")


def spot_of(cursor: str | None) -> Spot | None:
    """What a cursor says; None for what is none."""
    found = _CURSOR.fullmatch(cursor or "")
    return None if found is None else Spot(-int(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Stretch:
    """What stands beyond a spot, the newest first. `known_to`: as far as it was read; None where that is all of it."""

    cases: list[tuple[Spot, Case]]
    known_to: Spot | None


async def stretch(tx: Tx, start: Spot, *, newer: bool, repliers: Collection[str], entries: Collection[str]) -> Stretch:
    """Beyond `start`, to what is older, or `newer`: what was answered under the `repliers` (dedupe keys), and what was
    closed under the `entries` of inboxes.
    """
    mine, begin = to_json(sorted(repliers)), {"at": start.at, "case_id": start.case_id, "limit": LOOKED_AT}
    answered = await tx.all(q.ANSWERED_SINCE if newer else q.ANSWERED_BY, repliers=mine, **begin)
    closed = await tx.all(q.CLOSED_SINCE if newer else q.CLOSED_CASES, entries=to_json(sorted(entries)), **begin)
    ends = [
        Spot(-int(rows[-1][moment]), str(rows[-1]["case_id"]))
        for rows, moment in ((answered, "answered_at"), (closed, "closed_at"))
        if len(rows) == LOOKED_AT
    ]
    known_to = (max(ends) if newer else min(ends)) if ends else None
    rows = {row["case_id"]: row for row in (*answered, *closed)}
    firsts = await tx.all(q.FIRST_ANSWERS, case_ids=to_json(list(rows)), repliers=mine)
    first = {row["case_id"]: int(row["answered_at"]) for row in firsts}
    found = []
    for case_id, row in rows.items():
        spot = Spot(-first.get(case_id, int(row["closed_at"] or 0)), case_id)
        if _lies_between(spot, start, known_to, newer=newer):
            found.append((spot, case_of(row)))
    return Stretch(sorted(found, key=lambda one: one[0]), known_to)


def _lies_between(spot: Spot, start: Spot, known_to: Spot | None, *, newer: bool) -> bool:
    """Beyond the start, and no further than everything is known."""
    if newer:
        return (known_to or BEGINNING) <= spot < start
    return start < spot and (known_to is None or spot <= known_to)
