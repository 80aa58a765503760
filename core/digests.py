"""Digests of what waits for busy chats: what a messenger's worker claims, draws and saves.

Claims are leases with a fencing number, as those of cards are. A digest is posted once in a flood, redrawn while it
lasts, and says in the end that all is shown. Where the platform lets nobody look a message up, a worker that dies
between the posting and the save posts it twice; it is never lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.cards import LEASE_MS
from core.digest_words import LINES, Digest, digest
from core.floods import Others, Pace
from core.ledger import Database, Tx, Write
from core.ledger import flood_queries as fq
from core.ledger.engine import Row
from core.model import Address, Case
from core.pacing import a_minute
from core.rows import case_of
from core.sealing import KeyRing
from core.urls import inbox_url, review_url

REDRAW_MS = 15_000
GIVEN_UP_MS = 3_600_000  # the platform refuses it: it is tried again when the flood still lasts then


@dataclass(frozen=True, slots=True)
class DigestRef:
    """One digest, as it was claimed."""

    card_id: str
    address: Address
    message: str | None
    attempts: int
    lease: int
    doubtful: bool


@dataclass(frozen=True, slots=True)
class ClaimedDigest:
    ref: DigestRef
    digest: Digest


class Digests:
    def __init__(self, database: Database, keys: KeyRing, public_url: str, language: str = "en") -> None:
        self._database = database
        self._keys = keys
        self._public_url = public_url
        self._language = language

    async def claim(self, platform: str, limit: int, pace: Pace) -> list[ClaimedDigest]:
        """Up to `limit` digests that are due and may be sent; they are this caller's for LEASE_MS. Those that have
        nothing to say and never said anything are dropped on the way.
        """

        async def body(tx: Tx) -> list[tuple[DigestRef, int, int, list[tuple[Case, str | None]]]]:
            now = await tx.now()
            params = {"platform": platform, "now": now, "lease_until": now + LEASE_MS}
            claimed = await tx.all(fq.CLAIM_DIGESTS, **params, limit=limit)
            chats = Others(tx, platform, now, pace)
            await chats.hold(row["chat"] for row in claimed if row["message"] is None)
            found = []
            for row in claimed:
                ref, here = _ref(row), {"platform": platform, "chat": row["chat"]}
                counts = await tx.one(fq.QUEUED_OF_CHAT, **here)
                assert counts is not None
                waiting, settled = int(counts["waiting"]), int(counts["settled"])
                if ref.message is None and not waiting and not ref.doubtful:
                    await tx.write(Write(fq.DROP_DIGEST, {**here, "lease": ref.lease}, rows=None))
                elif ref.message is None and waiting and (at := chats.when(row["chat"])) > now:
                    await tx.write(_postponed(ref, at, unused=True, sure=True))
                else:
                    urgent = await tx.all(fq.URGENT_OF_CHAT, **here, limit=LINES)
                    found.append((ref, waiting, settled, [(case_of(one), one["sealed_token"]) for one in urgent]))
            await chats.save()
            return found

        drawn = []
        for ref, waiting, settled, cases in await self._database.transact(body):
            made = digest(
                ref.card_id,
                [(case, self._link(case, sealed)) for case, sealed in cases],
                waiting=waiting,
                settled=settled,
                a_minute=a_minute(pace.of_cards(ref.address)),
                language=self._language,
                inbox_url=inbox_url(self._public_url, self._language),
            )
            drawn.append(ClaimedDigest(ref, made))
        return drawn

    def _link(self, case: Case, sealed: str | None) -> str | None:
        if sealed is None:
            return None
        return review_url(self._public_url, case, self._keys.unseal(sealed, about=f"{case.case_id}:review"))

    async def shown(self, claimed: ClaimedDigest, message: str) -> None:
        """It stands there so (nowhere, when `message` is empty). Without effect when the lease was lost meanwhile. One
        that said that all is shown is done with, unless more came in the meantime.
        """
        here = _here(claimed.ref)

        async def body(tx: Tx) -> None:
            if claimed.digest.over and await tx.write(Write(fq.DROP_DIGEST, here, rows=None)) == [1]:
                return
            params = {**here, "message": message or None, "due_at": await tx.now() + REDRAW_MS}
            await tx.write(Write(fq.DIGEST_SHOWN, params, rows=None))

        await self._database.transact(body)

    async def postpone(
        self, ref: DigestRef, delay_ms: int, *, dead: bool = False, sent: bool = True, uncertain: bool = False
    ) -> None:
        """Not shown: try again in `delay_ms`, or a good while later when `dead`. `sent` False: nothing was tried.
        `uncertain`: it may have arrived, so the next attempt looks for it first.
        """

        async def body(tx: Tx) -> None:
            due_at = await tx.now() + (GIVEN_UP_MS if dead else delay_ms)
            await tx.write(_postponed(ref, due_at, unused=not sent, sure=not uncertain))

        await self._database.transact(body)

    async def next_due(self, platform: str) -> int | None:
        """Milliseconds until a digest of this platform is due; None when there is none."""

        async def body(tx: Tx) -> int | None:
            row = await tx.one(fq.NEXT_DIGEST_DUE, platform=platform)
            if row is None or row["due_at"] is None:
                return None
            return max(0, int(row["due_at"]) - await tx.now())

        return await self._database.read(body)


def _ref(row: Row) -> DigestRef:
    return DigestRef(
        card_id=f"digest:{row['chat']}:{row['began_at']}",
        address=Address(row["platform"], row["chat"]),
        message=row["message"],
        attempts=row["attempts"],
        lease=row["lease"],
        doubtful=row["started"] > 1,
    )


def _here(ref: DigestRef) -> dict[str, str | int]:
    return {"platform": ref.address.platform, "chat": ref.address.channel, "lease": ref.lease}


def _postponed(ref: DigestRef, due_at: int, *, unused: bool, sure: bool) -> Write:
    params = {
        **_here(ref),
        "due_at": due_at,
        "unused": int(unused),
        "unused_start": int(sure and ref.message is None),
    }
    return Write(fq.DIGEST_POSTPONED, params, rows=None)
