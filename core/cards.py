"""Cards follow their cases: what a messenger's worker claims, draws and saves.

A card wants a version (the case changed) and shows one. Claims are leases with a fencing number, so a worker that is
killed, or stopped past its lease and resumed, changes nothing that another has done since.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from core import messages
from core.chat_terms import deny_reasons
from core.floods import QUEUE_AT_ONCE, Claim, Pace, chat_of
from core.ledger import Database, DuplicateKey, Tx, Write
from core.ledger import card_queries as cq
from core.ledger import case_queries as q
from core.ledger import flood_queries as fq
from core.ledger import inbox_queries as iq
from core.model import Address, CardRef, Case
from core.opening import place_entry
from core.rows import card_of, case_of
from core.sealing import KeyRing
from core.states import TERMINAL
from core.urls import review_url
from core.words import Words, words_for

TWIN = "another card of the case stands there"
REMEMBERED = 4_096  # cards whose language is known without asking the database
LEASE_MS = 15_000  # a message is given up after 10 s at the most, so its sender still holds the card


@dataclass(frozen=True, slots=True)
class Claimed:
    """A card to draw: where it stands, what it shall show, and whether that will be all of the content."""

    ref: CardRef
    case: Case
    card: messages.Card
    whole: bool = False


class Cards:
    """`language`: in which people are told what belongs to no case that is known here."""

    def __init__(self, database: Database, keys: KeyRing, public_url: str, *, language: str = "en") -> None:
        self._database = database
        self._keys = keys
        self._public_url = public_url
        self._language = language
        self._languages: dict[str, str] = {}  # of cards in another one, oldest first

    async def claim(
        self,
        platform: str,
        limit: int,
        pace: Pace | None = None,
        *,
        shows_whole: Callable[[messages.Card], bool] | None = None,
    ) -> list[Claimed]:
        """Up to `limit` cards that are behind and due; they are this caller's for LEASE_MS. With a `pace`, new ones
        that come too fast for their chat are queued instead. `shows_whole`: as the messenger draws it; without, no card
        is known to.
        """

        async def body(tx: Tx) -> list[tuple[CardRef, Case, str]]:
            now = await tx.now()
            until = now + LEASE_MS
            if pace is None:
                rows = await tx.all(cq.CLAIM_CARDS, platform=platform, now=now, lease_until=until, limit=limit)
            else:
                rows = await Claim(tx, platform, now, until, pace).cards(limit)
            if not rows:
                return []
            refs = [card_of(row) for row in rows]
            # Read, not locked: a reply locks the case before its cards, and must not meet us the other way round.
            found = await tx.all(cq.CLAIMED_CASES, case_ids=json.dumps([ref.case_id for ref in refs]))
            cases = {row["case_id"]: (case_of(row), str(row["sealed_token"])) for row in found}
            # From the moment of sending somebody may tap: what they saw must be known before the save.
            seen = {ref.card_id: cases[ref.case_id][0].content_digest for ref in refs if ref.shown_digest is None}
            if seen:
                await tx.write(Write(cq.CARD_DIGESTS, {"digests": json.dumps(seen)}, rows=None))
            return [(ref, *cases[ref.case_id]) for ref in refs]

        claimed = [self._drawn(ref, case, sealed) for ref, case, sealed in await self._database.transact(body)]
        if shows_whole is not None:
            claimed = [replace(one, whole=shows_whole(one.card)) for one in claimed]
        return await self._noted(claimed)

    async def _noted(self, claimed: list[Claimed]) -> list[Claimed]:
        """Those that are still the caller's. Where whoever approves must see everything, it is known before the sending
        whether they will: somebody may tap before the save.
        """
        careful = [one for one in claimed if one.card.full_review and one.card.outcome is None]
        if not careful:
            return claimed

        async def body(tx: Tx) -> set[str]:
            params = [{"card_id": one.ref.card_id, "lease": one.ref.lease, "whole": int(one.whole)} for one in careful]
            counts = await tx.write(*(Write(cq.CARD_WHOLE, param, rows=None) for param in params))
            return {one.ref.card_id for one, count in zip(careful, counts, strict=True) if count == 0}

        lost = await self._database.transact(body)
        return [one for one in claimed if one.ref.card_id not in lost]

    def _drawn(self, ref: CardRef, case: Case, sealed: str) -> Claimed:
        link = None
        if case.status not in TERMINAL:
            token = self._keys.unseal(sealed, about=f"{case.case_id}:review")
            link = review_url(self._public_url, case, token)
        self._remember(ref.card_id, case)
        return Claimed(ref, case, messages.card(case, card_id=ref.card_id, version=ref.wanted_version, review_url=link))

    async def shown(self, claimed: Claimed, message: str) -> bool:
        """The card now shows what was claimed; False when the lease was lost meanwhile, and nothing was saved."""
        params = {
            "card_id": claimed.ref.card_id,
            "lease": claimed.ref.lease,
            "message": message,
            "version": claimed.card.version,
            "digest": claimed.case.content_digest,
            "whole": int(claimed.whole),
        }

        async def body(tx: Tx) -> bool:
            return (await tx.write(Write(cq.CARD_SHOWN, params, rows=None))) == [1]

        return await self._database.transact(body)

    async def postpone(
        self,
        ref: CardRef,
        delay_ms: int,
        *,
        error: str | None = None,
        dead: bool = False,
        sent: bool = True,
        uncertain: bool = False,
    ) -> None:
        """Not shown: try again in `delay_ms`, or never when `dead`.

        `sent` False: nothing was tried, so it does not count as an attempt. `uncertain`: the message may have
        arrived, so the next attempt looks for it first.
        """

        async def body(tx: Tx) -> None:
            params = {
                "card_id": ref.card_id,
                "lease": ref.lease,
                "due_at": await tx.now() + delay_ms,
                "unused": 0 if sent else 1,
                "unused_start": 0 if uncertain or ref.message is not None else 1,
                "state": "dead" if dead else "live",
                "error": error,
            }
            await tx.write(Write(cq.CARD_POSTPONED, params, rows=None))

        await self._database.transact(body)

    async def moved(self, ref: CardRef, channel: str) -> None:
        """The card's chat has another id: post it there, and what waits for that chat too. Where another card of the
        case stands there, this one is dropped."""
        params = {"card_id": ref.card_id, "lease": ref.lease, "channel": channel}
        was = ref.address.channel
        queue = {"platform": ref.address.platform, "chat": chat_of(was), "was": was, "channel": channel}

        async def body(tx: Tx) -> None:
            if await tx.write(Write(cq.CARD_MOVED, params, rows=None)) == [1]:
                await tx.write(
                    Write(fq.MOVE_QUEUE, {**queue, "limit": QUEUE_AT_ONCE}, rows=None),
                    Write(iq.MOVE_INBOX, {"case_id": ref.case_id, **_places(ref, channel)}, rows=None),
                )

        try:
            await self._database.transact(body)
        except DuplicateKey:
            await self.postpone(ref, 0, error=TWIN, dead=True)

    async def hush(self, address: Address, ms: int) -> None:
        """The platform wants so long a pause in a chat: nobody posts there before it is over."""

        async def body(tx: Tx) -> None:
            params = {"platform": address.platform, "chat": chat_of(address.channel), "until": await tx.now() + ms}
            await tx.write(Write(fq.HUSH_CHAT, params, rows=None))

        await self._database.transact(body)

    async def try_again(self, platform: str) -> None:
        """Give cards that this platform refused for good another try, where somebody still waits for the answer: the
        process was started anew, perhaps because the token or the channel was mended."""

        async def body(tx: Tx) -> None:
            params = {"platform": platform, "now": await tx.now()}
            await tx.write(Write(cq.TRY_DEAD_CARDS_AGAIN, params, rows=None))

        await self._database.transact(body)

    async def next_due(self, platform: str) -> int | None:
        """Milliseconds until a card of this platform is due; None when none is behind."""

        async def body(tx: Tx) -> int | None:
            row = await tx.one(cq.NEXT_CARD_DUE, platform=platform)
            if row is None or row["due_at"] is None:
                return None
            return max(0, int(row["due_at"]) - await tx.now())

        return await self._database.read(body)

    async def case_of_card(self, card_id: str) -> Case | None:
        """The case that a card shows, as it stands; None for no such card."""

        async def body(tx: Tx) -> Case | None:
            row = await tx.one(cq.CARD, card_id=card_id)
            if row is None:
                return None
            case = await tx.one(q.CASE, case_id=row["case_id"], tenant_id=row["tenant_id"])
            assert case is not None
            return case_of(case)

        return await self._database.read(body)

    async def reasons(self, card_id: str) -> tuple[str, ...]:
        """What is offered to whoever is asked why they reject the case of this card; () for none, or no such card."""
        case = await self.case_of_card(card_id)
        return () if case is None else deny_reasons(case)

    async def read_case(self, ref: CardRef) -> Case:
        """The case of a card, as it stands; from now on the card's language is known here."""

        async def body(tx: Tx) -> Case:
            row = await tx.one(q.CASE, case_id=ref.case_id, tenant_id=ref.tenant_id)
            assert row is not None
            return case_of(row)

        case = await self._database.read(body)
        self._remember(ref.card_id, case)
        return case

    def words(self, card_id: str) -> Words:
        """The words of a card's language, as far as it is remembered here; what else than these needs the database."""
        return words_for(self._languages.get(card_id, self._language))

    def _remember(self, card_id: str, case: Case) -> None:
        if (language := case.terms["language"]) != self._language:
            self._languages[card_id] = language
            if len(self._languages) > REMEMBERED:
                del self._languages[next(iter(self._languages))]

    async def adopt(self, card_id: str, message: str) -> None:
        """A tap showed where a card stands whose posting had an unknown outcome."""

        async def body(tx: Tx) -> None:
            await tx.write(Write(cq.ADOPT_CARD, {"card_id": card_id, "message": message}, rows=None))

        await self._database.transact(body)


def _places(ref: CardRef, channel: str) -> dict[str, str]:
    """The inbox of a chat's members, before and after the chat got another id."""
    return {"was": place_entry(ref.address), "entry": place_entry(Address(ref.address.platform, channel))}
