"""What is on record of cases, for a person who may see them: `Inbox` says which those are, and everything here is asked
of nothing else.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from core.inbox import Inbox
from core.ledger import Database, Row, Tx
from core.ledger import record_queries as q
from core.looking_back import BEGINNING, spot_of
from core.model import Case, Identity, JsonObject
from core.names import Names, described
from core.rows import LEDGER_COLUMNS, to_json
from core.states import Status

MOST_MOMENTS = 500  # of each kind, on one timeline
MOST_ENDED = 5_000  # cases of which figures are made
MOST_WATCHED = 500
EXPORT_PAGE = 100
MOST_EXPORTED = 20_000

Kind = Literal["asked", "event", "answer", "delivery", "attempt"]


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened to a case, at `at` (ms UTC): an event, a row of the ledger, a delivery, an attempt."""

    at: int
    kind: Kind
    name: str
    data: JsonObject


@dataclass(frozen=True, slots=True)
class Place:
    """A card of a case in a chat, and the notices that were given beside it: kind and state of each."""

    platform: str
    channel: str
    state: str
    posted: bool
    notices: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """`names`: of people in whose private chats cards stand, by address."""

    moments: tuple[Moment, ...]
    places: tuple[Place, ...]
    names: Names = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a case ended, as figures need it. `by`: whoever answered it; None when nobody did."""

    source_id: str | None
    status: Status
    created_at: int
    closed_at: int
    by: JsonObject | None
    edited: bool


@dataclass(frozen=True, slots=True)
class Exported:
    """A case with the ledger's rows about it, whole and as they were written."""

    case: Case
    rows: Sequence[Row]


class Records:
    def __init__(self, database: Database, inbox: Inbox) -> None:
        self._database = database
        self._inbox = inbox

    async def timeline(self, case: Case) -> Timeline:
        """Everything that happened to this case; whoever asks may see it."""
        of_case = {"case_id": case.case_id, "tenant_id": case.tenant_id, "limit": MOST_MOMENTS}

        async def body(tx: Tx) -> Timeline:
            moments = [Moment(case.created_at, "asked", "asked", {"by": case.terms.get("requested_by")})]
            for row in await tx.all(q.CASE_TIMELINE, **of_case):
                moments.append(Moment(row["created_at"], "event", row["kind"], json.loads(row["data"])))
            for row in await tx.all(q.INTERACTIONS_OF_CASE, **of_case):
                moments.append(Moment(row["created_at"], "answer", row["topic"], _answer(row)))
            for row in await tx.all(q.DELIVERIES_ON_RECORD, **of_case):
                told = {"state": row["state"], "attempts": row["attempts"], "finished_at": row["finished_at"]}
                moments.append(Moment(row["created_at"], "delivery", row["kind"], told))
            for row in await tx.all(q.ATTEMPTS_ON_RECORD, **of_case):
                told = {"number": row["number"], "status": row["status"], "took_ms": row["took_ms"]}
                moments.append(Moment(row["started_at"], "attempt", row["kind"], told))
            beside: dict[tuple[str, str], list[tuple[str, str]]] = {}
            for row in await tx.all(q.NOTICES_ON_RECORD, **of_case):
                beside.setdefault((row["platform"], row["channel"]), []).append((row["kind"], row["state"]))
            places = [_place(row, beside) for row in await tx.all(q.CARDS_ON_RECORD, **of_case)]
            names = await described(tx, [f"{place.platform}:{place.channel}" for place in places])
            return Timeline(tuple(sorted(moments, key=lambda one: one.at)), tuple(places), names)

        return await self._database.read(body)

    async def exported(self, identity: Identity, search: str = "", since: int = 0) -> AsyncIterator[Exported]:
        """Page by page the closed cases that this person may see and that were closed `since` then (ms UTC), the newest
        first. Raises Unavailable.
        """
        before, last, count, known = None, BEGINNING, 0, set[str]()
        while count < MOST_EXPORTED:
            page = await self._inbox.history(identity, limit=EXPORT_PAGE, before=before, search=search)
            rows = await self._interactions([case.case_id for case in page.items])
            for case in page.items:
                # Found by its answer first, it may be found once more by its end.
                if (case.closed_at or 0) >= since and case.case_id not in known:
                    known.add(case.case_id)
                    yield Exported(case, rows.get(case.case_id, ()))
            reached = spot_of(page.next)
            if reached is None or reached.at < since or reached <= last:
                return
            count, before, last = count + len(page.items), page.next, reached

    async def ended(self, identity: Identity, since: int) -> list[Ended]:
        """How the cases that this person may see have ended since then (ms UTC); the newest MOST_ENDED at most."""
        entries = to_json(sorted(await self._inbox.entries(identity, closed=True)))

        async def body(tx: Tx) -> list[Ended]:
            return [_ended(row) for row in await tx.all(q.ENDED_CASES, entries=entries, since=since, limit=MOST_ENDED)]

        return await self._database.read(body)

    async def mark(self, entries: Collection[str]) -> str:
        """Something that is another as soon as what waits under these entries is."""

        async def body(tx: Tx) -> str:
            asked = {"entries": to_json(sorted(entries)), "now": await tx.now(), "limit": MOST_WATCHED}
            row = await tx.one(q.WAITING_MARK, **asked)
            assert row is not None
            return f"{row['cases']}.{row['versions']}.{row['first']}.{row['last']}"

        return await self._database.read(body)

    async def now(self) -> int:
        async def body(tx: Tx) -> int:
            return await tx.now()

        return await self._database.read(body)

    async def source_names(self, cases: Collection[str | None]) -> Mapping[str, str]:
        """The names of sources whose cases somebody sees, by id."""
        ids = sorted({one for one in cases if one is not None})

        async def body(tx: Tx) -> dict[str, str]:
            rows = await tx.all(q.SOURCE_NAMES, source_ids=to_json(ids)) if ids else ()
            return {row["source_id"]: row["name"] for row in rows}

        return await self._database.read(body)

    async def _interactions(self, case_ids: Sequence[str]) -> dict[str, list[Row]]:
        async def body(tx: Tx) -> dict[str, list[Row]]:
            found: dict[str, list[Row]] = {}
            for row in await tx.all(q.INTERACTIONS_OF_CASES, case_ids=to_json(list(case_ids))) if case_ids else ():
                found.setdefault(row["case_id"], []).append(row)
            return found

        return await self._database.read(body)


def ledger_row(row: Row) -> dict[str, Any]:
    """A row of the ledger with all that its hash is over: what it says can be held against `row_hash`."""
    return {name: row[name] for name in (*LEDGER_COLUMNS, "row_hash", "position")}


def _answer(row: Row) -> dict[str, Any]:
    said = json.loads(row["payload"])
    data = said.get("data") or {}
    reason = next((data[key] for key in ("reason", "feedback", "note") if isinstance(data.get(key), str)), None)
    return {
        "action": said.get("action"),
        "reason": reason,
        "by": json.loads(row["replier"]),
        "via": row["via"],
        "interaction_id": row["interaction_id"],
        "row_hash": row["row_hash"],
        "position": row["position"],
    }


def _place(row: Row, beside: Mapping[tuple[str, str], Sequence[tuple[str, str]]]) -> Place:
    where = row["platform"], row["channel"]
    return Place(*where, row["state"], row["message"] is not None, tuple(beside.get(where, ())))


def _ended(row: Row) -> Ended:
    answered = json.loads(row["answered"]) if row["answered"] else {}
    status = Status(row["status"])
    return Ended(
        source_id=row["source_id"],
        status=status,
        created_at=row["created_at"],
        closed_at=row["closed_at"],
        by=answered.get("by") if status is Status.COMPLETED else None,
        edited=bool(answered.get("blocks")) or bool(row["edited"]),
    )
