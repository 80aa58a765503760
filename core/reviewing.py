"""Whoever is on a case's page, and whether they may answer it: said before they try, and judged again when they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.admission import admitted_in, same_person
from core.directory import Directories
from core.errors import Refused
from core.ledger import Database, Tx
from core.ledger import people_queries as q
from core.model import Case, Identity
from core.names import Names, described
from core.persons import voters
from core.policy import PERSONAL
from core.replies import HOLDER, page_reply


@dataclass(frozen=True, slots=True)
class Reviewer:
    """`by_link`: they hold the review link. `in_channel` and `memberships`: what their messenger says of them."""

    identity: Identity
    by_link: bool = True
    in_channel: bool = False
    memberships: Mapping[str, frozenset[str]] = field(default_factory=dict)


LINK_HOLDER = Reviewer(HOLDER)  # of whom nothing else is known


@dataclass(frozen=True, slots=True)
class Standing:
    """How somebody stands to a case: as whom they may answer it, or why not; `voted`: they have had their say."""

    identity: Identity
    ruling: Identity | Refused
    voted: bool

    @property
    def admitted(self) -> bool:
        return isinstance(self.ruling, Identity)


async def admitted_reviewer(tx: Tx, case: Case, reviewer: Reviewer, now: int) -> Identity | Refused:
    """As whom they may answer the case, or why not."""
    row = None
    if reviewer.identity.platform in PERSONAL:
        row = await tx.one(q.IDENTITY, identity=reviewer.identity.key)
    return await admitted_in(
        tx,
        case,
        reviewer.identity,
        now=now,
        in_channel=reviewer.in_channel,
        by_link=reviewer.by_link,
        requested_by=case.terms.get("requested_by"),
        memberships=reviewer.memberships,
        reviewer_id=None if row is None else row["reviewer_id"],
    )


class Reviewing:
    def __init__(self, database: Database, directories: Directories) -> None:
        self._database = database
        self._directories = directories

    async def reviewer(self, case_id: str, identity: Identity | None, *, by_link: bool = True) -> Reviewer:
        """Somebody on the page of this case; None for whoever is not signed in. Raises Unavailable when their messenger
        cannot be asked.
        """
        if identity is None:
            return LINK_HOLDER
        asked = await self._directories.checked(page_reply(case_id, "", "", {}, None, identity=identity))
        return Reviewer(identity, by_link, asked.in_channel, asked.memberships or {})

    async def names(self, case: Case) -> Names:
        """What the people are called who may answer, as refusals say it."""

        async def body(tx: Tx) -> Names:
            return await described(tx, case.policy.any_of)

        return await self._database.read(body) if any(map(_is_personal, case.policy.any_of)) else {}

    async def standing(self, case: Case, reviewer: Reviewer) -> Standing:
        async def body(tx: Tx) -> Standing:
            ruling = await admitted_reviewer(tx, case, reviewer, await tx.now())
            heard, voted = voters(case.votes), False
            if heard:
                people = await same_person(tx, [*heard, reviewer.identity.key])
                voted = people[reviewer.identity.key] in {people[key] for key in heard}
            return Standing(reviewer.identity, ruling, voted)

        return await self._database.read(body)


def _is_personal(entry: str) -> bool:
    return entry.partition(":")[0] in PERSONAL
