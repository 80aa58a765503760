"""Cards follow their cases: what a messenger's worker claims, draws and saves, and what a tap on a card means.

A card wants a version (the case changed) and shows one. Claims are leases with a fencing number, so a worker that is
killed, or stopped past its lease and resumed, changes nothing that another has done since.
"""

from __future__ import annotations

from dataclasses import dataclass

from core import messages
from core.errors import AssentError, CaseExpired, Conflict, Unavailable
from core.gate import Gate
from core.ledger import Database, DuplicateKey, Tx, Write
from core.ledger import queries as q
from core.model import Answered, CardRef, Case, Identity, Origin, Reply
from core.rows import card_of, case_of
from core.sealing import KeyRing
from core.states import TERMINAL
from core.testcard import TAPPED, is_test
from core.urls import review_url
from core.verification import Presented, tap_evidence

TWIN = "another card of the case stands there"
LEASE_MS = 15_000  # a message is given up after 10 s at the most, so its sender still holds the card


@dataclass(frozen=True, slots=True)
class Claimed:
    """A card to draw: where it stands, and what it shall show."""

    ref: CardRef
    case: Case
    card: messages.Card


@dataclass(frozen=True, slots=True)
class Tap:
    """A button that somebody pressed on a card, as the platform vouched for it.

    `channel`: where the platform says the card stands. `via`: the contract's submitted_via. `delivery_id`: the
    platform's id of this tap, the same for a redelivery. `tapped_at`: the earliest moment at which it can have been
    pressed, milliseconds since 1970; None when nothing says so. `edition`: of the blocks on the card, as its button
    says: what somebody looks at may be older than what was sent to the chat.
    """

    platform: str
    card_id: str
    action: str
    identity: Identity
    channel: str
    via: str
    delivery_id: str | None = None
    tapped_at: int | None = None
    edition: int = 0


@dataclass(frozen=True, slots=True)
class TapAnswer:
    """What to tell the person who tapped, privately; None for a redelivery, which was told before.

    `recorded` is True only after the commit that holds the answer. `shown`: the redrawn card says the same, so that a
    messenger where every answer is a message of its own may leave it out.
    """

    text: str | None
    recorded: bool = False
    shown: bool = False


class Cards:
    def __init__(self, database: Database, gate: Gate, keys: KeyRing, public_url: str) -> None:
        self._database = database
        self._gate = gate
        self._keys = keys
        self._public_url = public_url

    async def claim(self, platform: str, limit: int) -> list[Claimed]:
        """Up to `limit` cards that are behind and due; they are this caller's for LEASE_MS."""

        async def body(tx: Tx) -> list[tuple[CardRef, Case, str]]:
            now = await tx.now()
            rows = await tx.all(q.CLAIM_CARDS, platform=platform, now=now, lease_until=now + LEASE_MS, limit=limit)
            found = []
            for ref in map(card_of, rows):
                # Read, not locked: a reply locks the case before its cards, and must not meet us the other way round.
                row = await tx.one(q.CASE, case_id=ref.case_id, tenant_id=ref.tenant_id)
                token = await tx.one(q.SEALED_TOKEN, case_id=ref.case_id, kind="review", holder="link")
                assert row is not None and token is not None
                case = case_of(row)
                if ref.shown_digest is None:
                    # From the moment of sending somebody may tap: what they saw must be known before the save.
                    await tx.write(Write(q.CARD_DIGEST, {"card_id": ref.card_id, "digest": case.content_digest}))
                found.append((ref, case, token["sealed"]))
            return found

        return [self._drawn(ref, case, sealed) for ref, case, sealed in await self._database.transact(body)]

    def _drawn(self, ref: CardRef, case: Case, sealed: str) -> Claimed:
        link = None
        if case.status not in TERMINAL:
            token = self._keys.unseal(sealed, about=f"{case.case_id}:review")
            link = review_url(self._public_url, case, token)
        return Claimed(ref, case, messages.card(case, card_id=ref.card_id, version=ref.wanted_version, review_url=link))

    async def shown(self, claimed: Claimed, message: str) -> bool:
        """The card now shows what was claimed; False when the lease was lost meanwhile, and nothing was saved."""
        params = {
            "card_id": claimed.ref.card_id,
            "lease": claimed.ref.lease,
            "message": message,
            "version": claimed.card.version,
            "digest": claimed.case.content_digest,
        }

        async def body(tx: Tx) -> bool:
            return (await tx.write(Write(q.CARD_SHOWN, params, rows=None))) == [1]

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
            await tx.write(Write(q.CARD_POSTPONED, params, rows=None))

        await self._database.transact(body)

    async def moved(self, ref: CardRef, channel: str) -> None:
        """The card's chat has another id: post it there. Where another card of the case stands there, this one is
        dropped."""
        params = {"card_id": ref.card_id, "lease": ref.lease, "channel": channel}

        async def body(tx: Tx) -> None:
            await tx.write(Write(q.CARD_MOVED, params, rows=None))

        try:
            await self._database.transact(body)
        except DuplicateKey:
            await self.postpone(ref, 0, error=TWIN, dead=True)

    async def try_again(self, platform: str) -> None:
        """Give cards that this platform refused for good another try, where somebody still waits for the answer: the
        process was started anew, perhaps because the token or the channel was mended."""

        async def body(tx: Tx) -> None:
            params = {"platform": platform, "now": await tx.now()}
            await tx.write(Write(q.TRY_DEAD_CARDS_AGAIN, params, rows=None))

        await self._database.transact(body)

    async def next_due(self, platform: str) -> int | None:
        """Milliseconds until a card of this platform is due; None when none is behind."""

        async def body(tx: Tx) -> int | None:
            row = await tx.one(q.NEXT_CARD_DUE, platform=platform)
            if row is None or row["due_at"] is None:
                return None
            return max(0, int(row["due_at"]) - await tx.now())

        return await self._database.read(body)

    async def tap(self, tap: Tap) -> TapAnswer:
        """Answer the case through one of its cards. Every outcome has words; raises Unavailable when nothing could be
        recorded.
        """
        found = await self._tapped(tap)
        if found is None:
            return TapAnswer(TAPPED if is_test(tap.card_id) else "This card is not known here any more.")
        ref, sealed = found
        if sealed is None:
            return TapAnswer("This cannot be answered with a button; please use the review link on the card.")
        reply = Reply(
            case_id=ref.case_id,
            door="inline",
            token=self._keys.unseal(sealed, about=f"{ref.case_id}:submit:{tap.platform}"),
            action=tap.action,
            data={},
            identity=tap.identity,
            via=tap.via,
            origin=Origin.WEBHOOK,
            in_channel=tap.channel == ref.address.channel.split("/")[0],
            content_digest=ref.shown_digest,
            edition=tap.edition,
            delivery_id=tap.delivery_id,
            presented=_vouched(tap),
        )
        try:
            answered = await self._gate.respond(reply)
        except Unavailable:
            raise
        except (Conflict, CaseExpired) as error:
            return TapAnswer(await self._stale(ref, error))
        except AssentError as error:
            return TapAnswer(None if error.details.get("redelivered") else _sentence(error))
        return _thanks(answered)

    async def _tapped(self, tap: Tap) -> tuple[CardRef, str | None] | None:
        async def body(tx: Tx) -> tuple[CardRef, str | None] | None:
            row = await tx.one(q.CARD, card_id=tap.card_id)
            if row is None or row["platform"] != tap.platform:
                return None
            return card_of(row), row["sealed_token"]

        return await self._database.read(body)

    async def _stale(self, ref: CardRef, error: AssentError) -> str:
        """The card showed a button that no longer counts: say how the case stands, and draw the card again."""

        async def body(tx: Tx) -> Case:
            await tx.write(Write(q.REDRAW_CARD, {"card_id": ref.card_id}, rows=None))
            row = await tx.one(q.CASE, case_id=ref.case_id, tenant_id=ref.tenant_id)
            assert row is not None
            return case_of(row)

        case = await self._database.transact(body)
        self._gate.wake_cards()
        if case.status not in TERMINAL and isinstance(error, CaseExpired):  # and the clock is about to say so
            return "The deadline of this has passed; nothing was recorded."
        return messages.already(case)

    async def adopt(self, card_id: str, message: str) -> None:
        """A tap showed where a card stands whose posting had an unknown outcome."""

        async def body(tx: Tx) -> None:
            await tx.write(Write(q.ADOPT_CARD, {"card_id": card_id, "message": message}, rows=None))

        await self._database.transact(body)


def _vouched(tap: Tap) -> tuple[Presented, ...]:
    """A tap is evidence of its own: the platform says who pressed which button, and when."""
    if tap.delivery_id is None or tap.tapped_at is None or not tap.identity.verified:
        return ()
    return (tap_evidence(tap.platform, tap.identity.user_id, tap.delivery_id, tap.tapped_at),)


def _thanks(answered: Answered) -> TapAnswer:
    if answered.redelivered:
        return TapAnswer(None, recorded=True)
    if answered.replay and answered.case.status in TERMINAL:
        return TapAnswer(messages.already(answered.case), recorded=True)
    if answered.case.status not in TERMINAL:
        voted = messages.words_of(answered.case)["voted"].format(messages.tally_words(answered.case))
        return TapAnswer(voted, recorded=True)
    words = messages.words_of(answered.case)
    return TapAnswer(words["recorded"].format(messages.done(answered.case, words)), recorded=True, shown=True)


def _sentence(error: AssentError) -> str:
    text = error.message[:1].upper() + error.message[1:]
    return text if text.endswith((".", "!", "?")) else text + "."
