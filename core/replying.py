"""What becomes of a reply, judged on a locked case: a replay, a vote, an answer, a revised answer, or a refusal.

Order: know the token, look the reply up (a known one is answered as before), then the case's state and deadline on the
database's clock, the action, the content, the policy, the evidence, the data; then everything is written at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from core.admission import admitted_in, same_person
from core.approvals import guarded
from core.chat_terms import MAX_REASON_TEXT, asks_reason
from core.checkpoints import checkpoint
from core.digest import canonical, sha256_hex
from core.directory import asks_directory
from core.errors import (
    ActionNotInline,
    AlreadyDecided,
    AlreadyVoted,
    CaseExpired,
    ContentChanged,
    DedupeMismatch,
    InvalidAction,
    InvalidData,
    InvalidInput,
    InvalidToken,
    NotAReviewer,
    NotFound,
    NotShownWhole,
    Refused,
)
from core.ledger import Row, Tx, Write
from core.ledger import card_queries as cq
from core.ledger import case_queries as q
from core.ledger import people_queries as pq
from core.ledger import saved_queries as sv
from core.ledger import verification_queries as v
from core.model import Case, Identity
from core.moves import audit, check_waiting, close, locked, move, received, revise
from core.outcome import (
    Closing,
    case_event,
    checked_blocks,
    checked_data,
    dedupe_key,
    interaction_row,
    reason_in,
    topic,
)
from core.persons import bare, voices, voters
from core.policy import needed, tally
from core.replies import Answered, Reply
from core.rows import to_json
from core.sealed import sealed_data
from core.sealing import KeyRing
from core.states import TERMINAL, Event, Status, Verdict, apply, verdict
from core.tokens import token_hash
from core.verification import NOTHING_ASKED, Judgement, Way, judge

UNSEEN = "nobody knows whether all of this was shown, so approve it on the review page; open the review link"


@dataclass(frozen=True, slots=True)
class NotAsked:
    """Whether they may answer hangs on what their messenger says of them, which was not asked yet; nothing happened."""


async def respond(
    tx: Tx, reply: Reply, keys: KeyRing, interaction_id: str, *, again: bool = False
) -> Answered | Refused | NotAsked:
    """`again`: an earlier run may have been committed without our knowing; what it left is not a redelivery."""
    case = await locked(tx, reply.case_id)
    checkpoint("respond.after_begin")
    found = _payloads(case, reply, keys)
    slot = _slot(case, reply)
    key, facts = await _facts(tx, case, reply, slot)
    now = tx.clock(facts["now"])
    _check_admitted(case, reply, facts)
    if facts["interaction_id"] == interaction_id:  # accepted by an earlier run, whose commit was not acknowledged
        return Answered(case, interaction_id)
    if facts["interaction_id"] is not None and facts["payload_hash"] in map(_hash, found.payloads):
        delivered = facts["delivery_id"] is not None
        if not delivered:
            await audit(tx, case, reply, "replayed", now)
        return Answered(case, facts["interaction_id"], replay=True, redelivered=delivered and not again)
    if facts["interaction_id"] is not None and reply.dedupe_key is not None:
        raise DedupeMismatch
    revising = _may_revise(case, reply, now)
    if not revising:
        check_waiting(case)
        if now >= case.expires_at:
            raise CaseExpired
    _check_action(case, reply)
    _check_shown(case, reply)
    if case.policy.separate_duties:
        await tx.all(pq.HOLD_DUTIES, tenant_id=case.tenant_id, workflow_id=case.workflow_id)
    ruling = await admitted_in(
        tx,
        case,
        reply.identity,
        now=now,
        in_channel=reply.in_channel,
        by_link=reply.door == "page",
        requested_by=_excluded(case, reply.action),
        memberships=reply.memberships or {},
        reviewer_id=facts["reviewer_id"],
        departed=facts["departed_at"] is not None,
    )
    for_another = isinstance(ruling, Identity) and ruling.on_behalf_of is not None
    if (for_another or isinstance(ruling, NotAReviewer)) and asks_directory(case.policy, reply):
        return NotAsked()
    refused = ruling if isinstance(ruling, Refused) else _not_shown_whole(case, reply)
    verified = NOTHING_ASKED if refused else await _verified(tx, case, reply, now)
    if refused := refused or verified.refusal:
        if facts["delivery_id"] is None:
            await audit(tx, case, reply, "refused", now, code=refused.code)
        elif not again:
            return type(refused)(refused.message, redelivered=True)
        return refused
    if facts["interaction_id"] is not None and not revising:
        raise AlreadyDecided("you have already answered this, and not in this way")
    assert isinstance(ruling, Identity)
    reply = replace(reply, identity=ruling)
    people = await _voters(tx, case, ruling)
    if found.problem is not None:
        raise found.problem
    closing = _closing(case, reply, found, interaction_id, slot=case.revision + 1 if revising else slot)
    closing = replace(closing, verification=verified.result, dedupe_key=closing.dedupe_key if revising else key)
    if verified.used:
        used = [{"evidence_hash": mark, "case_id": case.case_id, "used_at": now} for mark in verified.used]
        await tx.write(*(Write(v.INSERT_USED_EVIDENCE, row) for row in used))
    answered = await _accept(tx, case, reply, closing, now, revising=revising, people=people)
    checkpoint("respond.after_insert")
    return answered


async def _voters(tx: Tx, case: Case, identity: Identity) -> Mapping[str, str]:
    """Which person is behind each voice of an open quorum. Raises AlreadyDecided when this one has been heard: a person
    has one voice, under whatever identity, and lends it to whoever stands in for them.
    """
    if not case.votes:
        return {}
    heard, mine = voters(case.votes), [identity.key]
    if identity.on_behalf_of is not None:
        mine.append(identity.on_behalf_of.key)
    people = await same_person(tx, [*heard, *mine])
    taken = {people[key] for key in heard}
    if people[identity.key] in taken:
        raise AlreadyVoted
    if any(people[key] in taken for key in mine):
        raise AlreadyVoted("whom you stand in for has already been heard, and everybody has one voice")
    return people


async def _facts(tx: Tx, case: Case, reply: Reply, slot: int) -> tuple[str, Row]:
    """The reply's dedupe key, and what is known about it. Where a machine has chosen just the key that a person's reply
    has, the person replies under another: nobody takes a voice by naming it.
    """
    key, names = reply.dedupe_key or dedupe_key(reply.identity, slot), count(2)
    while True:
        facts = await tx.one(
            q.REPLY_FACTS,
            token_hash=token_hash(reply.token),
            case_id=case.case_id,
            workflow_id=case.workflow_id,
            gate_key=case.gate_key,
            topic=topic(case),
            dedupe_key=key,
            identity=reply.identity.key,
            address=reply.identity.address,
            bare=bare(reply.identity.address),
            platform=reply.identity.platform,
            delivery_id=reply.delivery_id,
        )
        assert facts is not None
        if reply.dedupe_key is not None or facts["replier"] is None or _is_by(facts["replier"], reply.identity):
            return key, facts
        key = dedupe_key(replace(reply.identity, user_id=f"{reply.identity.user_id}~{next(names)}"), slot)


def _is_by(replier: str, identity: Identity) -> bool:
    """`replier` as the ledger has it; names that are shown may change."""
    known = json.loads(replier)
    return (known["platform"], known["platform_user_id"], known.get("team")) == (
        identity.platform,
        identity.user_id,
        identity.team or None,
    )


def _excluded(case: Case, action: str) -> str | None:
    """Whom the case names as its requester. For a guarded operation that is what an orchestrator says, and nobody has
    checked it: it keeps nobody from denying.
    """
    if guarded(case) is not None and verdict(action) is Verdict.DENY:
        return None
    requested_by: str | None = case.terms.get("requested_by")
    return requested_by


async def _verified(tx: Tx, case: Case, reply: Reply, now: int) -> Judgement:
    """What the evidence that came with the reply, already looked at, is worth for this case."""
    policy = case.terms.get("verification_policy")
    if policy is None and not reply.presented:
        return NOTHING_ASKED
    marks = [one.mark for one in reply.presented if one.mark is not None]
    used = await tx.all(v.USED_EVIDENCE, marks=to_json(marks)) if marks else ()
    return judge(
        policy,
        reply.presented,
        case_id=case.case_id,
        way=_way(reply),
        action=reply.action,
        submitter=(reply.identity.platform, reply.identity.user_id),
        now=now,
        used={row["evidence_hash"] for row in used},
    )


async def _accept(
    tx: Tx, case: Case, reply: Reply, closing: Closing, now: int, *, revising: bool, people: Mapping[str, str]
) -> Answered:
    if reply.door == "page":
        await tx.write(Write(sv.FORGET_SAVED_ANSWERS, {"case_id": case.case_id}, rows=None))
    if revising:  # a moment after the last, so that the newest row is the one that stands
        revised = await revise(tx, case, closing, max(now, (case.closed_at or 0) + 1))
        return Answered(revised, closing.interaction_id)
    quorum = needed(case.policy, closing.action)
    counted = case.policy.counts
    if counted:
        now = max(now, max((vote["at"] for vote in case.votes), default=0) + 1)
        closing = replace(closing, vote=_vote_of(closing, now))
    if voices(case.votes, closing.action, people) + 1 < quorum:
        voted = await _vote(tx, case, closing, now, delivery_id=reply.delivery_id)
        return Answered(voted, closing.interaction_id)
    grace_ms = case.terms["grace_ms"] if reply.door == "page" and not counted else 0
    closed = await close(tx, case, closing, now, grace_ms=grace_ms, delivery_id=reply.delivery_id)
    return Answered(closed, closing.interaction_id)


def _vote_of(closing: Closing, now: int) -> dict[str, Any]:
    who = closing.identity
    vote = {"action": closing.action, "by": who.as_json(), "at": now, "key": who.key}
    return vote if who.on_behalf_of is None else vote | {"for": who.on_behalf_of.key}


async def _vote(tx: Tx, case: Case, closing: Closing, now: int, *, delivery_id: str | None) -> Case:
    """One voice of several that are needed: it is in the ledger, and the case goes on waiting."""
    assert closing.vote is not None
    voted = replace(
        case,
        status=case.status if case.status is Status.IN_PROGRESS else apply(case.status, Event.PROGRESS),
        opened_at=case.opened_at or now,
        votes=(*case.votes, closing.vote),
        version=case.version + 1,
        last_event=case.last_event + 1,
    )
    await tx.write(
        Write(q.INSERT_INTERACTION, interaction_row(case, closing, now) | {"position": None}),
        move(case, voted),
        case_event(voted, "in_progress", {"tally": tally(voted)}, now),
        Write(cq.REDRAW_CARDS, {"case_id": case.case_id}, rows=None),
        *received(closing.identity.platform, delivery_id, now),
    )
    return voted


@dataclass(frozen=True, slots=True)
class _Payloads:
    """What the ledger would keep of a reply, one spelling per key of the ring where a value is sealed; the blocks that
    were edited; and what is wrong with it (judged only after replays are known).
    """

    payloads: list[dict[str, Any]]
    blocks: Mapping[str, Any]
    problem: InvalidInput | None


def _payloads(case: Case, reply: Reply, keys: KeyRing) -> _Payloads:
    data, problem = checked_data(case, reply.action, reply.data)
    blocks, wrong = checked_blocks(case, reply.action, reply.blocks, data)
    if blocks:
        data = {**data, "edits": blocks}
    spellings = sealed_data(keys, case.case_id, case.content["context"], data)
    payloads = [{"action": reply.action, "data": one} for one in spellings]
    return _Payloads(payloads, blocks, reply.problem or problem or wrong or _without_reason(case, reply.action, data))


def _without_reason(case: Case, action: str, data: Mapping[str, Any]) -> InvalidData | None:
    """Whoever denies says why, where the source wants that: through whichever door."""
    if not asks_reason(case) or verdict(action) is not Verdict.DENY:
        return None
    found = reason_in(data)
    if found is not None and len(found) > MAX_REASON_TEXT:
        words = f"a reason may have {MAX_REASON_TEXT} characters"
        return InvalidData(words, fields={"reason": words})
    if found is None or not found.strip():
        words = "Say why you reject this"
        return InvalidData(f"{words}: this needs a reason", fields={"reason": words})
    return None


def _hash(payload: Mapping[str, Any]) -> str:
    return sha256_hex(canonical(payload))


def _slot(case: Case, reply: Reply) -> int:
    """Which answer of this replier this claims to be, 1 for the first. Only the page revises; it may say which answer
    it showed, so that a revision that arrives late is not taken for a newer one.
    """
    if reply.door != "page" or case.status not in TERMINAL:
        return 1
    return max(case.revision, 1) if reply.revision is None else reply.revision + 1


def _way(reply: Reply) -> Way:
    return "browser_submit" if reply.door == "page" else "inline_submit"


def _may_revise(case: Case, reply: Reply, now: int) -> bool:
    return (
        reply.door == "page"
        and case.settles_at is not None
        and now < case.settles_at
        and case.next_case_id is None  # the agent has gone on from this answer
        and reply.revision in (None, case.revision)
    )


def _check_action(case: Case, reply: Reply) -> None:
    if reply.door == "inline" and reply.action not in case.inline_actions:
        raise ActionNotInline
    if reply.action not in case.actions:
        raise InvalidAction(f"action must be one of {', '.join(case.actions)}", field="action")


def _check_admitted(case: Case, reply: Reply, facts: Row) -> None:
    """That the replier holds the right token, or a key of the case's tenant."""
    if reply.door == "api":
        if reply.tenant_id != case.tenant_id:
            raise NotFound
        return
    kind = "review" if reply.door == "page" else "submit"
    if facts["token_kind"] != kind or facts["token_revoked_at"] is not None:
        raise InvalidToken


def _check_shown(case: Case, reply: Reply) -> None:
    """Whoever says what they were shown was shown what stands now; whoever does not, the case as it opened or as they
    left it themselves. To deny, nobody need have seen the rest.
    """
    if reply.content_digest not in (None, case.content_digest) or reply.edition not in (None, case.edition):
        raise ContentChanged
    said = reply.content_digest is not None or reply.edition is not None
    known = said or case.edition == 0 or case.edited_by == reply.identity.key
    if not known and verdict(reply.action) is not Verdict.DENY:
        raise ContentChanged


def _not_shown_whole(case: Case, reply: Reply) -> Refused | None:
    """Where that is asked for, nobody approves by a button what the message with the button does not show whole; what
    is not known to have been shown was not. The page shows everything.
    """
    blind = reply.door == "inline" and reply.shown_whole is not True and verdict(reply.action) is Verdict.APPROVE
    if not blind or not case.terms.get("require_full_review"):
        return None
    return NotShownWhole() if reply.shown_whole is False else NotShownWhole(UNSEEN)


def _closing(case: Case, reply: Reply, found: _Payloads, interaction_id: str, *, slot: int) -> Closing:
    return Closing(
        Event.COMPLETE,
        reply.action,
        found.payloads[0]["data"],
        reply.identity,
        reply.via,
        reply.origin,
        topic(case),
        dedupe_key(reply.identity, slot),
        mode=_way(reply),
        revision=slot if reply.door == "page" else None,
        blocks=found.blocks,
        interaction_id=interaction_id,
    )
