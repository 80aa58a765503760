"""Inboxes: what waits for a person, under whichever of their identities, and what they may look back on.

Fail closed: of a chat or a user group only those see what is there whom the messenger says to be in it now.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from core.admission import admitted_in, has_departed, same_person
from core.directory import Directories, givers_of, people_of
from core.errors import Refused
from core.ledger import Database, Statement, Tx, card_queries, case_queries
from core.ledger import inbox_queries as q
from core.ledger import people_queries as pq
from core.ledger import record_queries as rq
from core.looking_back import BEGINNING, Spot, Stretch, spot_of, stretch
from core.model import Address, Case, Identity
from core.opening import inbox_entry, place_entry
from core.outcome import dedupe_key
from core.persons import Person, voters, workspace_of
from core.policy import asked_for_it
from core.rows import case_of, to_json
from core.sealing import KeyRing
from core.states import TERMINAL
from core.urls import review_url

MOST_PLACES = {"slack": 2_000, "telegram": 300}  # Slack says at once in which somebody is, Telegram of each by itself
LOOKED_AT = 200  # cases of which one page is made, where a search leaves many out
RISKS = ("critical", "high", "medium", "low")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A case that waits for this person. `card_id`: one of its cards, whose buttons answer it. `on_behalf_of`: for whom
    they would answer. `source`: the name of what it comes from.
    """

    case: Case
    review_url: str
    card_id: str | None
    on_behalf_of: Identity | None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class WaitingPage:
    """`total`: of this page and those after it, counted up to LOOKED_AT. `next`: what to ask the next page with; None
    on the last.
    """

    items: tuple[Waiting, ...]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True)
class PastPage:
    """Closed cases, the newest first. `next`: what to ask the next page with; None on the last. `newer`: the same for
    the page before; None on the first.
    """

    items: tuple[Case, ...]
    next: str | None
    newer: str | None = None


@dataclass(frozen=True, slots=True)
class _Eyes:
    """Whom and what a person's inbox goes by: their identities, those of whom they stand in for, and entries."""

    people: Sequence[Identity]
    entries: frozenset[str]
    memberships: dict[str, frozenset[str]]

    @property
    def repliers(self) -> list[str]:
        """The keys under which they answer."""
        return [dedupe_key(one) for one in self.people]


class Inbox:
    def __init__(self, database: Database, directories: Directories, keys: KeyRing, public_url: str) -> None:
        self._database = database
        self._directories = directories
        self._keys = keys
        self._public_url = public_url

    async def waiting(
        self,
        identity: Identity,
        *,
        limit: int = 20,
        after: str | None = None,
        search: str = "",
        source_id: str | None = None,
        risk: str | None = None,
        case_type: str | None = None,
    ) -> WaitingPage:
        """What this person can answer now and has not, by deadline, then risk. Raises Unavailable when a messenger
        cannot be asked who is in its groups.
        """
        eyes = await self._eyes(identity)
        start, start_id = _cursor(after)

        async def body(tx: Tx) -> tuple[list[tuple[Case, str | None, str, Identity | None]], int, Case | None]:
            now, left = await tx.now(), 0
            found: list[tuple[Case, str | None, str, Identity | None]] = []
            rows = await tx.all(
                q.WAITING_CASES,
                entries=to_json(sorted(eyes.entries)),
                now=now,
                after=start,
                after_id=start_id,
                limit=LOOKED_AT,
            )
            for case in map(case_of, rows):
                if not _matches(case, search, source_id, risk, case_type):
                    continue
                if len(found) > limit:  # only counted: what else may keep them from it is looked at on its page
                    left += not _is_settled(case, eyes.people)
                    continue
                admitted = await self._admitted(tx, case, identity, eyes, now)
                if isinstance(admitted, Refused) or await _heard(tx, case, admitted):
                    continue
                sealed = await tx.one(case_queries.SEALED_TOKEN, case_id=case.case_id, kind="review", holder="link")
                assert sealed is not None
                cards = await tx.all(card_queries.CARDS_OF_CASE, case_id=case.case_id)
                own = [card["card_id"] for card in cards if card["platform"] == identity.platform]
                found.append((case, own[0] if own else None, sealed["sealed"], admitted.on_behalf_of))
            return found, left, case_of(rows[-1]) if len(rows) == LOOKED_AT else None

        found, left, looked_to = await self._database.read(body)
        names = await self._source_names([case for case, *_ in found[:limit]])
        items = [
            Waiting(case, self._link(case, sealed), card_id, behalf, names.get(case.source_id or ""))
            for case, card_id, sealed, behalf in found[:limit]
        ]
        items.sort(key=lambda one: (one.case.expires_at, _rank(one.case)))
        last = found[limit - 1][0] if len(found) > limit else looked_to  # where a search leaves much out, there is more
        cursor = None if last is None else f"{last.expires_at}.{last.case_id}"
        return WaitingPage(tuple(items), len(found) + left, cursor)

    async def history(
        self,
        identity: Identity,
        *,
        limit: int = 20,
        before: str | None = None,
        after: str | None = None,
        search: str = "",
        mine: bool = False,
    ) -> PastPage:
        """Closed cases that this person could answer or has answered; `mine`: only the latter. `before`, `after`: the
        `next` or the `newer` of another page; what is neither, or names a case that is not theirs to look back on,
        means the first page. A page of a search may have few items, or none, and still not be the last. Raises
        Unavailable.
        """
        eyes, newer = await self._eyes(identity, closed=True), after is not None
        asked = spot_of(after if newer else before)

        async def body(tx: Tx) -> tuple[Spot, Stretch]:
            theirs = asked is not None and await _looked_back(tx, asked.case_id, eyes)
            start = asked if asked is not None and theirs else BEGINNING
            entries = () if mine else eyes.entries
            turned = newer and start != BEGINNING
            return start, await stretch(tx, start, newer=turned, repliers=eyes.repliers, entries=entries)

        start, read = await self._database.read(body)
        found = [one for one in read.cases if one[1].status in TERMINAL and _matches(one[1], search)]
        if newer and start != BEGINNING:
            shown = found[-limit:]
            more = shown[0][0] if len(found) > limit else read.known_to
            older = shown[-1][0] if shown else start
            return PastPage(tuple(case for _, case in shown), older.cursor, more.cursor if more else None)
        shown = found[:limit]
        following = shown[-1][0] if len(found) > limit else read.known_to
        first = start if not shown else shown[0][0]
        return PastPage(
            tuple(case for _, case in shown),
            following.cursor if following else None,
            None if start == BEGINNING else first.cursor,
        )

    async def turned(self, identity: Identity, cursor: str, *, newer: bool, limit: int) -> PastPage:
        """The page of the history behind a `next`, or a `newer`, from wherever that came: what is no page, or not a
        whole one at the beginning, is the first page. Raises Unavailable.
        """
        before, after = (None, cursor) if newer else (cursor, None)
        page = await self.history(identity, limit=limit, before=before, after=after)
        if page.items and (page.newer is not None or not newer):
            return page
        return await self.history(identity, limit=limit)

    async def may_see(self, identity: Identity, case_id: str) -> Case | None:
        """The case, when this person could answer it, may answer it now, or has answered it; None for all others, and
        for what there is not.
        """
        eyes = await self._eyes(identity, closed=True)

        async def body(tx: Tx) -> Case | None:
            row = await tx.one(pq.CASE_ANSWERED_BY, case_id=case_id)
            if row is None:
                return None
            case, now = case_of(row), await tx.now()
            if await _looked_back(tx, case_id, eyes):
                return case
            if case.status in TERMINAL and case.settles_at is None:
                return None
            admitted = await self._admitted(tx, case, identity, eyes, now)
            return None if isinstance(admitted, Refused) else case

        return await self._database.read(body)

    async def review_link(self, case: Case) -> str | None:
        """The review link of a case that waits; None once it is closed."""
        if case.status in TERMINAL:
            return None

        async def body(tx: Tx) -> str | None:
            row = await tx.one(case_queries.SEALED_TOKEN, case_id=case.case_id, kind="review", holder="link")
            return None if row is None else str(row["sealed"])

        sealed = await self._database.read(body)
        return None if sealed is None else self._link(case, sealed)

    async def entries(self, identity: Identity, *, closed: bool = False) -> frozenset[str]:
        """Under which entries of `inbox_entries` something waits (or, `closed`, ever waited) for this person. Raises
        Unavailable.
        """
        return (await self._eyes(identity, closed=closed)).entries

    async def _source_names(self, cases: Sequence[Case]) -> dict[str, str]:
        ids = sorted({case.source_id for case in cases if case.source_id is not None})

        async def body(tx: Tx) -> dict[str, str]:
            rows = await tx.all(rq.SOURCE_NAMES, source_ids=to_json(ids))
            return {row["source_id"]: row["name"] for row in rows}

        return await self._database.read(body) if ids else {}

    def _link(self, case: Case, sealed: str) -> str:
        return review_url(self._public_url, case, self._keys.unseal(sealed, about=f"{case.case_id}:review"))

    async def _admitted(self, tx: Tx, case: Case, identity: Identity, eyes: _Eyes, now: int) -> Identity | Refused:
        row = await tx.one(pq.IDENTITY, identity=identity.key)
        cards = await tx.all(card_queries.CARDS_OF_CASE, case_id=case.case_id)
        places = {place_entry(Address(card["platform"], card["channel"])) for card in cards}
        return await admitted_in(
            tx,
            case,
            identity,
            now=now,
            in_channel=not places.isdisjoint(eyes.entries),
            requested_by=case.terms.get("requested_by"),
            memberships=eyes.memberships,
            reviewer_id=None if row is None else row["reviewer_id"],
        )

    async def _eyes(self, identity: Identity, *, closed: bool = False) -> _Eyes:
        """`closed`: for what is over as well; of that, nobody sees what waited for those whom they stand in for now."""
        statement = q.PLACES if closed else q.WAITING_PLACES

        async def body(tx: Tx) -> tuple[list[Identity], list[Identity], set[str], list[str], list[str]]:
            if await has_departed(tx, identity):
                return [], [], set(), [], []
            people = await people_of(tx, identity)
            givers = await givers_of(tx, people)
            asked = people if closed else [*people, *givers]
            addresses = [one.address for one in asked if not one.foreign]
            groups = await tx.all(pq.GROUPS_OF, addresses=to_json(addresses))
            entries = {inbox_entry(f"group:{row['name']}", row["tenant_id"]) for row in groups} | set(addresses)
            teams = {workspace_of(one) for one in (*people, *givers) if one.platform == "slack" and not one.foreign}
            user_groups = []
            for team in sorted(teams):
                prefix = f"slack:{team}/S" if team else "slack:S"
                user_groups += await _places(tx, statement, prefix, MOST_PLACES["slack"])
            chats = []
            for platform in {one.platform for one in people if not one.foreign}:
                # Telegram's groups have negative numbers; a private chat is with whom it is named after.
                prefix = "in:telegram:-" if platform == "telegram" else f"in:{platform}:"
                chats += await _places(tx, statement, prefix, MOST_PLACES[platform])
            return people, givers, entries, user_groups, chats

        people, givers, entries, user_groups, chats = await self._database.read(body)
        memberships: dict[str, frozenset[str]] = {}
        for one in (*people, *givers):
            if one.platform == "slack" and user_groups and not one.foreign:
                memberships[one.address] = await self._directories.groups_of(one, user_groups)
        for one in people:
            own = [chat.removeprefix(f"in:{one.platform}:") for chat in chats if chat.startswith(f"in:{one.platform}:")]
            entries |= {f"in:{one.platform}:{chat}" for chat in await self._directories.chats_of(one, own)}
            entries.add(f"in:{one.platform}:{one.user_id}")
        seen = {one.address for one in people} if closed else memberships.keys()
        entries = entries.union(*(found for address, found in memberships.items() if address in seen))
        return _Eyes(people, frozenset(entries), memberships)


async def _places(tx: Tx, statement: Statement, prefix: str, limit: int) -> list[str]:
    last = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    return [row["entry"] for row in await tx.all(statement, first=prefix, last=last, limit=limit)]


async def _looked_back(tx: Tx, case_id: str, eyes: _Eyes) -> bool:
    """Whether it waited for this person, or they have answered it."""
    waited = {one["entry"] for one in await tx.all(q.ENTRIES_OF_CASE, case_id=case_id)}
    if not waited.isdisjoint(eyes.entries):
        return True
    return await tx.one(q.DID_ANSWER, case_id=case_id, repliers=to_json(eyes.repliers)) is not None


def _is_settled(case: Case, people: Sequence[Identity]) -> bool:
    """Whether the case alone says that it waits for others: this person asked for it, or has voted."""
    person = Person(people[0], tuple(people[1:]))
    return asked_for_it(case.policy, person, case.terms.get("requested_by")) or not person.names.isdisjoint(
        voters(case.votes)
    )


async def _heard(tx: Tx, case: Case, identity: Identity) -> bool:
    """Whether this person, or whom they stand in for, has already voted."""
    if not case.votes:
        return False
    mine = [identity.key] + ([identity.on_behalf_of.key] if identity.on_behalf_of else [])
    people = await same_person(tx, [*voters(case.votes), *mine])
    return not {people[key] for key in mine}.isdisjoint(people[key] for key in voters(case.votes))


def _matches(
    case: Case, search: str, source_id: str | None = None, risk: str | None = None, case_type: str | None = None
) -> bool:
    wanted = search.casefold().split()
    if source_id is not None and case.source_id != source_id:
        return False
    if case_type is not None and case.type != case_type:
        return False
    if risk is not None and risk_of(case) != risk:
        return False
    if not wanted:
        return True
    text = f"{case.case_id} {json.dumps(case.content, ensure_ascii=False)} {case.terms.get('requested_by')}".casefold()
    return all(word in text for word in wanted)


def risk_of(case: Case) -> str | None:
    """critical, high, medium or low; None where nobody said."""
    found = (case.task or {}).get("risk_level") or case.terms["metadata"].get("risk_level")
    return found if found in RISKS else None


def _rank(case: Case) -> int:
    risk = risk_of(case)
    return RISKS.index(risk) if risk else len(RISKS)


def _cursor(after: str | None) -> tuple[int, str]:
    moment, _, case_id = (after or "").partition(".")
    return (int(moment), case_id) if moment.isascii() and moment.isdigit() and len(moment) < 19 else (0, "")
