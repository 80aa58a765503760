"""What a tap on a card means: an answer to its case, or a wish for more time; and what whoever tapped is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from core import notice_words, wording
from core.cards import Cards
from core.directory import Directories, asks_directory
from core.errors import AlreadyDecided, AssentError, CaseExpired, Conflict, InvalidData, Unavailable
from core.extending import EXTEND, PUT_OFF, Extending, PutOff
from core.floods import chat_of
from core.gate import Gate
from core.hub import Hub
from core.ledger import Database, Tx, Write
from core.ledger import card_queries as cq
from core.ledger import case_queries as q
from core.model import CardRef, Case, Identity, JsonObject, Origin
from core.replies import Answered, Reply
from core.rows import card_of, case_of
from core.sealing import KeyRing
from core.states import TERMINAL
from core.testcard import TAPPED, is_test
from core.told import Moment, Told
from core.verification import Presented, tap_evidence

REASON = "reason"


@dataclass(frozen=True, slots=True)
class Tap:
    """A button that somebody pressed on a card, as the platform vouched for it.

    `channel`: where the platform says the card stands. `via`: the contract's submitted_via. `delivery_id`: the
    platform's id of this tap, the same for a redelivery. `tapped_at`: the earliest moment at which it can have been
    pressed, milliseconds since 1970; None when nothing says so. `edition`: of the blocks on the card, as its button
    says: what somebody looks at may be older than what was sent to the chat. `data`: what goes along with the answer,
    such as its reason. `listed`: pressed in a list of what waits for this person, not on the card: they must be in the
    card's chat all the same where that is what counts.
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
    data: JsonObject = field(default_factory=dict)
    listed: bool = False


@dataclass(frozen=True, slots=True)
class TapAnswer:
    """What to tell the person who tapped, privately; None for a redelivery, which was told before.

    `recorded` is True only after the commit that holds the answer. `shown`: the redrawn card says the same, so that a
    messenger where every answer is a message of its own may leave it out. `lost`: nothing can be recorded now; the
    platform may deliver the tap once more. `asks`: nothing is recorded, because it needs a reason; they may decide.
    `moments`: the times in the text.
    """

    text: str | None
    recorded: bool = False
    shown: bool = False
    lost: bool = False
    asks: bool = False
    moments: tuple[Moment, ...] = ()

    @property
    def told(self) -> Told | None:
        return None if self.text is None else Told(self.text, self.moments)


class Taps:
    """Answers cases for whoever taps on their cards."""

    def __init__(
        self,
        database: Database,
        gate: Gate,
        keys: KeyRing,
        cards: Cards,
        *,
        directories: Directories | None = None,
        hub: Hub | None = None,
    ) -> None:
        self._database = database
        self._directories = directories or Directories(database)
        self._extending = Extending(database, hub or Hub())
        self._gate = gate
        self._keys = keys
        self._cards = cards

    async def tap(self, tap: Tap) -> TapAnswer:
        """Answer the case through one of its cards. Every outcome has words; raises Unavailable when nothing could be
        recorded.
        """
        found = await self._tapped(tap)
        if found is None:
            return TapAnswer(TAPPED if is_test(tap.card_id) else self._cards.words(tap.card_id)["unknown_card"])
        ref, sealed = found
        in_channel = await self._is_in(tap, ref)
        if tap.action in PUT_OFF:
            return await self._put_off(tap, ref, in_channel)
        if sealed is None:
            return TapAnswer(wording.words_of(await self._cards.read_case(ref))["no_button"])
        reply = Reply(
            case_id=ref.case_id,
            door="inline",
            token=self._keys.unseal(sealed, about=f"{ref.case_id}:submit:{tap.platform}"),
            action=tap.action,
            data=tap.data,
            identity=tap.identity,
            via=tap.via,
            origin=Origin.WEBHOOK,
            in_channel=in_channel,
            content_digest=None if tap.listed else ref.shown_digest,
            edition=tap.edition,
            shown_whole=ref.whole and not tap.listed,
            delivery_id=tap.delivery_id,
            presented=_vouched(tap),
        )
        try:
            answered = await self._gate.respond(reply)
        except Unavailable:
            raise
        except (Conflict, CaseExpired) as error:
            return await self._stale(ref, error)
        except AssentError as error:
            if error.details.get("redelivered"):
                return TapAnswer(None)
            asks = isinstance(error, InvalidData) and REASON in error.details.get("fields", ())
            return TapAnswer(wording.refused(error.message, await self._cards.read_case(ref)), asks=asks)
        return _thanks(answered)

    def lost(self, tap: Tap) -> TapAnswer:
        """What whoever tapped is told once it was given up to record it."""
        return TapAnswer(self._cards.words(tap.card_id)["lost"], lost=True)

    async def _is_in(self, tap: Tap, ref: CardRef) -> bool:
        """Whether they were seen in the card's chat. Of a list elsewhere the messengers are asked, for any chat of the
        case: it stands in the list because of one of them.
        """
        if tap.listed:
            return await self._directories.is_in_a_chat_of(tap.identity, ref.case_id)
        return tap.channel == chat_of(ref.address.channel)

    async def _put_off(self, tap: Tap, ref: CardRef, in_channel: bool) -> TapAnswer:
        kind: Literal["extend", "snooze"] = "extend" if tap.action == EXTEND else "snooze"
        case = await self._cards.read_case(ref)
        who = Reply(
            ref.case_id, "inline", "", tap.action, {}, tap.identity, tap.via, Origin.WEBHOOK, in_channel=in_channel
        )
        if asks_directory(case.policy, who):
            who = await self._directories.checked(who)
        asked = PutOff(
            case_id=ref.case_id,
            kind=kind,
            times=tap.edition,
            identity=tap.identity,
            via=tap.via,
            in_channel=in_channel,
            delivery_id=tap.delivery_id,
            memberships=who.memberships or {},
        )
        try:
            moved = await self._extending.put_off(asked)
        except Unavailable:
            raise
        except (Conflict, CaseExpired) as error:
            return await self._stale(ref, error)
        except AssentError as error:
            return TapAnswer(wording.refused(error.message, case))
        return _told(notice_words.put_off(moved.case, kind, moved.until), recorded=True)

    async def _tapped(self, tap: Tap) -> tuple[CardRef, str | None] | None:
        async def body(tx: Tx) -> tuple[CardRef, str | None] | None:
            row = await tx.one(cq.CARD, card_id=tap.card_id)
            if row is None or row["platform"] != tap.platform:
                return None
            return card_of(row), row["sealed_token"]

        return await self._database.read(body)

    async def _stale(self, ref: CardRef, error: AssentError) -> TapAnswer:
        """The card showed a button that no longer counts: say how the case stands, and draw the card again."""

        async def body(tx: Tx) -> Case:
            await tx.write(Write(cq.REDRAW_CARD, {"card_id": ref.card_id}, rows=None))
            row = await tx.one(q.CASE, case_id=ref.case_id, tenant_id=ref.tenant_id)
            assert row is not None
            return case_of(row)

        case = await self._database.transact(body)
        self._gate.wake_cards()
        if case.status not in TERMINAL and isinstance(error, CaseExpired):  # and the clock is about to say so
            return TapAnswer(wording.words_of(case)["deadline_passed"])
        if case.status not in TERMINAL and isinstance(error, AlreadyDecided):  # by this person, while a quorum is open
            return TapAnswer(wording.refused(error.message, case))
        return _told(wording.already(case))


def _told(what: Told, *, recorded: bool = False) -> TapAnswer:
    return TapAnswer(what.text, recorded, moments=what.moments)


def _vouched(tap: Tap) -> tuple[Presented, ...]:
    """A tap is evidence of its own: the platform says who pressed which button, and when."""
    if tap.delivery_id is None or tap.tapped_at is None or not tap.identity.verified:
        return ()
    return (tap_evidence(tap.platform, tap.identity.user_id, tap.delivery_id, tap.tapped_at),)


def _thanks(answered: Answered) -> TapAnswer:
    if answered.redelivered:
        return TapAnswer(None, recorded=True)
    if answered.replay and answered.case.status in TERMINAL:
        return _told(wording.already(answered.case), recorded=True)
    words = wording.words_of(answered.case)
    if answered.case.status not in TERMINAL:
        return TapAnswer(words["voted"].format(wording.tally_words(answered.case)), recorded=True)
    return TapAnswer(words["recorded"].format(wording.done(answered.case, words)), recorded=True, shown=True)
