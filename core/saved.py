"""What somebody has typed on the review page and not sent yet, kept sealed until the case is answered.

One per case, because a case has one review link: whoever saves last wins, on whatever device.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from core.errors import CaseExpired, InvalidToken, Refused
from core.ledger import Database, Tx, Write
from core.ledger import case_queries as q
from core.ledger import saved_queries as sq
from core.model import Case, JsonObject
from core.moves import check_waiting, locked
from core.reviewing import LINK_HOLDER, Reviewer, admitted_reviewer
from core.rows import to_json
from core.sealed import opened
from core.sealing import KeyRing, Unsealable
from core.tokens import token_hash

Change = Callable[[Case, JsonObject], JsonObject]


class SavedAnswers:
    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database = database
        self._keys = keys

    async def load(self, case_id: str) -> dict[str, Any]:
        """What was saved last; {} for nothing. Whoever asks has shown the case's review token."""

        async def body(tx: Tx) -> dict[str, Any]:
            return await self._load(tx, case_id)

        return await self._database.read(body)

    async def save(
        self, case_id: str, review_token: str, change: Change, reviewer: Reviewer = LINK_HOLDER
    ) -> dict[str, Any]:
        """Keep what `change` makes of the case and of what was saved before ({} for nothing); it may be called more
        than once. Only while the reviewer can answer the case through this link. Raises InvalidToken,
        AlreadyDecided, CaseCancelled, CaseExpired, NotAReviewer, SelfApproval, and what `change` raises.
        """

        async def body(tx: Tx) -> dict[str, Any]:
            if await tx.one(q.REVIEWED_CASE, case_id=case_id, token_hash=token_hash(review_token)) is None:
                raise InvalidToken
            case = await locked(tx, case_id)  # an answer that is being given now forgets this, or is not given yet
            check_waiting(case)
            now = await tx.now()
            if now >= case.expires_at:
                raise CaseExpired
            if isinstance(refused := await admitted_reviewer(tx, case, reviewer, now), Refused):
                raise refused
            answers = dict(change(case, await self._load(tx, case_id)))
            sealed = self._keys.seal(to_json(answers), about=_about(case_id))
            await tx.write(Write(sq.SAVE_ANSWERS, {"case_id": case_id, "sealed": sealed, "saved_at": now}))
            return answers

        return await self._database.transact(body)

    def given(self, case: Case) -> dict[str, Any]:
        """The data of the answer that the case has, its sensitive values in clear; {} when it has none."""
        return opened(self._keys, case.case_id, (case.result or {}).get("data") or {})

    async def _load(self, tx: Tx, case_id: str) -> dict[str, Any]:
        row = await tx.one(sq.SAVED_ANSWERS, case_id=case_id)
        if row is None:
            return {}
        try:
            found: dict[str, Any] = json.loads(self._keys.unseal(row["sealed"], about=_about(case_id)))
        except Unsealable:  # under a key that is gone: it has to be typed again
            return {}
        return found


def _about(case_id: str) -> str:
    return f"{case_id}:saved"
