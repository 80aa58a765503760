"""More time, and later reminders: what people may ask for instead of an answer, where the source lets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from core.admission import admitted_in
from core.chat_terms import extension_ms, reminder_lead, snooze_ms
from core.errors import CaseExpired, Refused
from core.hub import Hub
from core.ledger import Database, Tx, Write, card_queries, case_queries
from core.ledger import climbing_queries as q
from core.ledger import inbox_queries as iq
from core.ledger import people_queries as pq
from core.model import Case, Identity
from core.moves import check_waiting, locked, received
from core.outcome import case_event
from core.schedule import MAX_TIMEOUT, next_reminder

EXTEND, SNOOZE = "extend", "snooze"
PUT_OFF = (EXTEND, SNOOZE)


@dataclass(frozen=True, slots=True)
class PutOff:
    """Somebody asks for more time (`extend`) or a later reminder (`snooze`) on a card.

    `times`: how often the deadline had been moved when they were offered it: pressed twice, it is moved once.
    """

    case_id: str
    kind: Literal["extend", "snooze"]
    times: int
    identity: Identity
    via: str
    in_channel: bool
    delivery_id: str | None = None
    memberships: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moved:
    """`case` as it is now. `until`: the new deadline, or when people are reminded again (ms UTC). `changed`: False when
    somebody had moved it already.
    """

    case: Case
    until: int
    changed: bool


class Extending:
    def __init__(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._hub = hub

    async def put_off(self, asked: PutOff) -> Moved:
        """Raises NotFound, AlreadyDecided, CaseCancelled, CaseExpired, NotAReviewer, SelfApproval, and Refused where it
        cannot be put off any more. Who may not is noted.
        """

        async def body(tx: Tx) -> Moved | Refused:
            case, now = await locked(tx, asked.case_id), await tx.now()
            check_waiting(case)
            if now >= case.expires_at:
                raise CaseExpired
            known = await tx.one(pq.IDENTITY, identity=asked.identity.key)
            admitted = await admitted_in(
                tx,
                case,
                asked.identity,
                now=now,
                in_channel=asked.in_channel,
                requested_by=case.terms.get("requested_by"),
                memberships=asked.memberships,
                reviewer_id=None if known is None else known["reviewer_id"],
            )
            if isinstance(admitted, Refused):
                await _noted(tx, case, asked, "refused", now, code=admitted.code)
                return admitted
            return await (_extend(tx, case, asked, now) if asked.kind == EXTEND else _snooze(tx, case, asked, now))

        moved = await self._database.transact(body)
        if isinstance(moved, Refused):
            raise moved
        if moved.changed:
            self._hub.wake("cards", "deadlines", "reminders", f"case:{moved.case.case_id}")
        return moved


async def _extend(tx: Tx, case: Case, asked: PutOff, now: int) -> Moved:
    if case.extended != asked.times:
        return Moved(case, case.expires_at, changed=False)
    by = extension_ms(case)
    until = min(case.expires_at + by, case.created_at + MAX_TIMEOUT)
    if not by or until <= case.expires_at:
        raise Refused("the deadline of this cannot be moved any more")
    moved = replace(
        case, expires_at=until, extended=case.extended + 1, version=case.version + 1, last_event=case.last_event + 1
    )
    moments = [*case.terms["reminder_at"], until - reminder_lead(by)]
    await tx.write(
        Write(
            q.EXTENDED,
            {
                "case_id": case.case_id,
                "was_version": case.version,
                "expires_at": until,
                "extended": moved.extended,
                "remind_at": next_reminder(moments, now, until),
                "last_event": moved.last_event,
            },
        ),
        case_event(moved, "extended", _told(asked) | {"expires_at": until}, now),
        Write(card_queries.REDRAW_CARDS, {"case_id": case.case_id}, rows=None),
        Write(iq.EXTEND_INBOX, {"case_id": case.case_id, "expires_at": until}, rows=None),
        *received(asked.identity.platform, asked.delivery_id, now),
    )
    return Moved(moved, until, changed=True)


async def _snooze(tx: Tx, case: Case, asked: PutOff, now: int) -> Moved:
    by = snooze_ms(case)
    if not by:
        raise Refused("reminders of this cannot be put off")
    until = now + by
    if until >= case.expires_at:
        raise Refused("the deadline comes before that, so there is nothing to put off")
    moved = replace(case, version=case.version + 1, last_event=case.last_event + 1)
    await tx.write(
        Write(
            q.SNOOZED,
            {
                "case_id": case.case_id,
                "was_version": case.version,
                "remind_at": until,
                "last_event": moved.last_event,
            },
        ),
        case_event(moved, "snoozed", _told(asked) | {"remind_at": until}, now),
        *received(asked.identity.platform, asked.delivery_id, now),
    )
    return Moved(moved, until, changed=True)


def _told(asked: PutOff) -> dict[str, object]:
    return {"by": asked.identity.as_json(), "via": asked.via}


async def _noted(tx: Tx, case: Case, asked: PutOff, kind: str, now: int, **details: str) -> None:
    noted = replace(case, last_event=case.last_event + 1)
    await tx.write(
        Write(case_queries.NOTE_EVENT, {"case_id": case.case_id, "last_event": noted.last_event}),
        case_event(noted, kind, _told(asked) | {"action": asked.kind, **details}, now),
        *received(asked.identity.platform, asked.delivery_id, now),
    )
