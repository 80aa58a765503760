"""Reads for the doors: they change nothing and bypass the verbs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import InvalidToken, NotFound
from core.ledger import REVISION, Database, Row, Tx, checkup_queries
from core.ledger import card_queries as cq
from core.ledger import case_queries as q
from core.ledger import tenant_queries as kq
from core.ledger.receipt_queries import RECEIPT
from core.model import CardRef, Case, Principal
from core.receipts import Receipt, receipt_of
from core.rows import card_of, case_of
from core.sealing import KeyRing
from core.signing import shown_result
from core.states import TERMINAL
from core.tokens import token_hash


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One thing that happened to a case. `counter` orders them; only some kinds are streamed to agents."""

    counter: int
    kind: str
    data: dict[str, object]
    created_at: int


@dataclass(frozen=True, slots=True)
class Review:
    """A case as its review link shows it, at `now` on the database's clock. `receipt` proves how it was closed;
    `previous` is the round before it.
    """

    case: Case
    now: int
    receipt: Receipt | None = None
    previous: Case | None = None


class Views:
    """`public_url`: where others find the keys that results are signed with."""

    def __init__(self, database: Database, keys: KeyRing, public_url: str = "") -> None:
        self._database = database
        self._keys = keys
        self._public_url = public_url

    async def case(self, tenant_id: str, case_id: str) -> Case:
        """The case, its result in clear; raises NotFound for unknown and foreign ones alike."""

        async def body(tx: Tx) -> Case:
            row = await tx.one(q.CASE, case_id=case_id, tenant_id=tenant_id)
            if row is None:
                raise NotFound("there is no such case")
            return case_of(row)

        return self._opened(await self._database.read(body))

    async def check_reach(self, principal: Principal, case_id: str) -> None:
        """Raise NotFound for a case of a source that the key is not bound to, as for one that is not there."""
        if principal.sources is None:
            return

        async def body(tx: Tx) -> bool:
            row = await tx.one(q.SOURCE_OF_CASE, case_id=case_id, tenant_id=principal.tenant_id)
            return row is not None and principal.reaches(row["source_id"])

        if not await self._database.read(body):
            raise NotFound("there is no such case")

    async def polled_case(self, tenant_id: str, case_id: str) -> tuple[Case, int, int]:
        """The case; how often it was polled in this minute, this time included, across replicas; and how many
        milliseconds are left of the minute. Raises NotFound.
        """
        found = await self._database.poll(tenant_id, case_id)
        if found is None:
            raise NotFound("there is no such case")
        return self._opened(case_of(found.row)), found.polls, found.left_ms

    def _opened(self, case: Case) -> Case:
        """For the agent, whose question it was: the result in clear, and signed where the case asks for that."""
        if case.result is None:
            return case
        return replace(case, result=shown_result(case, self._keys, self._public_url))

    async def reviewed_case(self, case_id: str, review_token: str) -> Case:
        """The case that this review link opens. Raises InvalidToken, whatever is wrong with the link."""

        async def body(tx: Tx) -> Case:
            row = await tx.one(q.REVIEWED_CASE, case_id=case_id, token_hash=token_hash(review_token))
            if row is None:
                raise InvalidToken
            return case_of(row)

        return await self._database.read(body)

    async def review(self, case_id: str, review_token: str) -> Review:
        """What this review link shows. Raises InvalidToken, whatever is wrong with the link."""

        async def body(tx: Tx) -> Review:
            row = await tx.one(q.REVIEW, case_id=case_id, token_hash=token_hash(review_token))
            if row is None:
                raise InvalidToken
            return await self._shown(tx, row)

        return await self._database.read(body)

    async def shown(self, tenant_id: str, case_id: str) -> Review:
        """The same, for whoever may see the case by other means than its review link. Raises NotFound."""

        async def body(tx: Tx) -> Review:
            row = await tx.one(q.SHOWN_CASE, case_id=case_id, tenant_id=tenant_id)
            if row is None:
                raise NotFound("there is no such case")
            return await self._shown(tx, row)

        return await self._database.read(body)

    async def _shown(self, tx: Tx, row: Row) -> Review:
        case, receipt, previous = case_of(row), None, None
        if case.status in TERMINAL and row["interaction_id"] is not None:
            proof = await tx.one(RECEIPT, interaction_id=row["interaction_id"])
            receipt = None if proof is None else receipt_of(case, proof, self._keys)
        if case.previous_case_id is not None:
            before = await tx.one(q.CASE, case_id=case.previous_case_id, tenant_id=case.tenant_id)
            previous = None if before is None else case_of(before)
        return Review(case, tx.clock(row["now"]), receipt, previous)

    async def review_token(self, case_id: str) -> str | None:
        """The review link's token, unsealed, for whoever may be shown the link."""

        async def body(tx: Tx) -> str | None:
            row = await tx.one(q.SEALED_TOKEN, case_id=case_id, kind="review", holder="link")
            return None if row is None else str(row["sealed"])

        sealed = await self._database.read(body)
        return None if sealed is None else self._keys.unseal(sealed, about=f"{case_id}:review")

    async def case_news(self, seen: Mapping[str, int]) -> dict[str, tuple[Case, list[CaseEvent]]]:
        """What happened to each of these cases since the event that was `seen`, with the case as it is now, in one
        question; nothing of cases to which nothing did. Whose cases they are is for the caller to know.
        """

        async def body(tx: Tx) -> dict[str, tuple[Case, list[CaseEvent]]]:
            found: dict[str, tuple[Case, list[CaseEvent]]] = {}
            for row in await tx.all(q.CASE_NEWS, watched=json.dumps(dict(seen))):
                if row["case_id"] not in found:
                    found[row["case_id"]] = case_of(row), []
                event = CaseEvent(row["counter"], row["kind"], json.loads(row["data"]), row["happened_at"])
                found[row["case_id"]][1].append(event)
            return found

        news = await self._database.read(body)
        return {case_id: (self._opened(case), events) for case_id, (case, events) in news.items()}

    async def last_events(self, case_ids: Sequence[str]) -> dict[str, int]:
        """The newest event counter of each of these cases, in one question."""

        async def body(tx: Tx) -> dict[str, int]:
            rows = await tx.all(q.CHANGED_CASES, case_ids=json.dumps(list(case_ids)))
            return {row["case_id"]: row["last_event"] for row in rows}

        return await self._database.read(body)

    async def recent(self, tenant_id: str, limit: int) -> list[Case]:
        async def body(tx: Tx) -> list[Case]:
            return [case_of(row) for row in await tx.all(q.RECENT_CASES, tenant_id=tenant_id, limit=limit)]

        return await self._database.read(body)

    async def tenants(self) -> list[str]:
        async def body(tx: Tx) -> list[str]:
            return [row["tenant_id"] for row in await tx.all(kq.TENANTS)]

        return await self._database.read(body)

    async def cards(self, case_id: str) -> list[CardRef]:
        async def body(tx: Tx) -> list[CardRef]:
            return [card_of(row) for row in await tx.all(cq.CARDS_OF_CASE, case_id=case_id)]

        return await self._database.read(body)

    async def schema_is_current(self) -> bool:
        """Whether the database answers and has the schema of this code. Raises Unavailable when it does not answer."""

        async def body(tx: Tx) -> bool:
            return [row["version_num"] for row in await tx.all(checkup_queries.REVISION)] == [REVISION]

        return await self._database.read(body)
