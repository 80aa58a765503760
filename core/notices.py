"""Notices stand beside cards, in their thread: what a messenger's worker claims, sends and saves.

Claims are leases with a fencing number, as those of cards are. Nobody looks for a notice whose sending had an unknown
outcome: a worker that dies between the sending and the save sends it twice. It may double, and is never lost.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from core import notice_words
from core.cards import LEASE_MS
from core.floods import Others, Pace
from core.ledger import Database, Row, Tx, Write, case_queries
from core.ledger import reminder_queries as q
from core.model import Address, CardRef, Case
from core.names import names_of
from core.rows import card_of, case_of
from core.sealing import KeyRing
from core.states import TERMINAL
from core.urls import review_url

ESCALATION = "escalation"  # of a notice; the other kind is a reminder


@dataclass(frozen=True, slots=True)
class NoticeRef:
    """One notice, as it was claimed, and the card that it stands beside."""

    notice_id: str
    card: CardRef
    attempts: int
    lease: int

    @property
    def card_id(self) -> str:
        return self.card.card_id

    @property
    def address(self) -> Address:
        return self.card.address


@dataclass(frozen=True, slots=True)
class ClaimedNotice:
    """A notice to send: below which message, and what it says at this moment."""

    ref: NoticeRef
    case: Case
    message: str
    notice: notice_words.Notice


class Notices:
    def __init__(self, database: Database, keys: KeyRing, public_url: str) -> None:
        self._database = database
        self._keys = keys
        self._public_url = public_url

    async def claim(self, platform: str, limit: int, pace: Pace | None = None) -> list[ClaimedNotice]:
        """Up to `limit` notices that are due and still worth sending; they are this caller's for LEASE_MS. Those whose
        case was closed meanwhile, or whose card is gone, are given up on the way; with a `pace`, those are put off
        whose chat cannot take them yet.
        """

        async def body(tx: Tx) -> list[tuple[NoticeRef, Case, str | None, int, Row]]:
            now = await tx.now()
            rows = await tx.all(q.CLAIM_NOTICES, platform=platform, now=now, lease_until=now + LEASE_MS, limit=limit)
            found = []
            for row in rows:
                card_row = await tx.one(q.NOTICED_CARD, card_id=row["card_id"])
                case_row = await tx.one(case_queries.CASE, case_id=row["case_id"], tenant_id=row["tenant_id"])
                assert card_row is not None and case_row is not None
                case = case_of(case_row)
                ref = NoticeRef(row["notice_id"], card_of(card_row), row["attempts"], row["lease"])
                if reason := _pointless(case, ref.card, now):
                    await tx.write(_postponed(ref, now, error=reason, dead=True))
                else:
                    found.append((ref, case, card_row["sealed_token"], now, row))
            if pace is None:
                return found
            chats, admitted = Others(tx, platform, now, pace), []
            await chats.hold(ref.address.channel for ref, *_ in found)
            for one in found:
                if (at := chats.when(one[0].address.channel)) > now:
                    await tx.write(_postponed(one[0], at, error=None, dead=False, sent=False))
                else:
                    admitted.append(one)
            await chats.save()
            return admitted

        return await self._named([self._written(*one) for one in await self._database.transact(body)])

    async def _named(self, claimed: list[ClaimedNotice]) -> list[ClaimedNotice]:
        """With what those are called who are mentioned, as far as that is known."""
        mentions = {f"{one.ref.address.platform}:{whom}" for one in claimed for whom in one.notice.mentions}
        if not mentions:
            return claimed

        async def body(tx: Tx) -> dict[str, str]:
            return await names_of(tx, mentions)

        names = {address.partition(":")[2]: name for address, name in (await self._database.read(body)).items()}
        return [replace(one, notice=replace(one.notice, names=names)) for one in claimed]

    def _written(self, ref: NoticeRef, case: Case, sealed: str | None, now: int, row: Row) -> ClaimedNotice:
        link = None
        if sealed is not None:
            link = review_url(self._public_url, case, self._keys.unseal(sealed, about=f"{case.case_id}:review"))
        assert ref.card.message is not None
        more: dict[str, Any] = {"platform": ref.address.platform, "review_url": link, "card_id": ref.card_id}
        if row["kind"] == ESCALATION:
            notice = notice_words.escalation(case, now, json.loads(row["data"])["mention"], **more)
        else:
            notice = notice_words.reminder(case, now, **more)
        return ClaimedNotice(ref, case, ref.card.message, notice)

    async def sent(self, ref: NoticeRef, message: str) -> None:
        """The notice stands in its chat; without effect when the lease was lost meanwhile."""

        async def body(tx: Tx) -> None:
            params = {"notice_id": ref.notice_id, "lease": ref.lease, "message": message}
            await tx.write(Write(q.NOTICE_SENT, params, rows=None))

        await self._database.transact(body)

    async def postpone(
        self, ref: NoticeRef, delay_ms: int, *, error: str | None = None, dead: bool = False, sent: bool = True
    ) -> None:
        """Not sent: try again in `delay_ms`, or never when `dead`. `sent` False: nothing was tried, so it does not
        count as an attempt.
        """

        async def body(tx: Tx) -> None:
            await tx.write(_postponed(ref, await tx.now() + delay_ms, error=error, dead=dead, sent=sent))

        await self._database.transact(body)

    async def next_due(self, platform: str) -> int | None:
        """Milliseconds until a notice of this platform is due; None when none waits."""

        async def body(tx: Tx) -> int | None:
            row = await tx.one(q.NEXT_NOTICE_DUE, platform=platform)
            if row is None or row["due_at"] is None:
                return None
            return max(0, int(row["due_at"]) - await tx.now())

        return await self._database.read(body)


def _pointless(case: Case, card: CardRef, now: int) -> str | None:
    """Why a notice need not be sent any more."""
    if case.status in TERMINAL or now >= case.expires_at:
        return "the case was closed before"
    if card.message is None or card.state != "live":
        return "the card does not stand there any more"
    return None


def _postponed(ref: NoticeRef, due_at: int, *, error: str | None, dead: bool, sent: bool = True) -> Write:
    params = {
        "notice_id": ref.notice_id,
        "lease": ref.lease,
        "due_at": due_at,
        "unused": 0 if sent else 1,
        "state": "dead" if dead else "waiting",
        "error": error,
    }
    return Write(q.NOTICE_POSTPONED, params, rows=None)
