"""Who looks at proofs: the verifiers of this process. They ask before the transaction, which only reads the result."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

from core.errors import Unavailable
from core.ledger import Database, Tx
from core.ledger import verification_queries as v
from core.model import Case
from core.ports import Verifier
from core.replies import Reply
from core.rows import case_of
from core.tokens import token_hash
from core.verification import Evidence, Expected, Presented, Verified, challenge_of

VERIFY_SECONDS = 10.0


class Verifiers:
    """`taps`: the platforms whose taps count as evidence of their own when they reach our own adapter."""

    def __init__(self, *verifiers: Verifier, taps: Collection[str] = ()) -> None:
        self._verifiers = {verifier.provider: verifier for verifier in verifiers}
        self._taps = frozenset(taps)

    async def checked(self, database: Database, reply: Reply) -> Reply:
        """The reply with what its evidence proves in the evidence's place. Raises Unavailable when a provider cannot be
        asked. Nothing is looked at for whoever does not hold a token of the case: the gate will refuse that.
        """
        vouched = tuple(one for one in reply.presented if one.provider in self._taps)
        if not reply.evidence:
            return reply if vouched == reply.presented else replace(reply, presented=vouched)
        case = await _case(database, reply)
        found: tuple[Presented, ...] = ()
        if case is not None:
            expected = Expected(case.case_id, reply.action, challenge_of(case.terms.get("verification_policy")))
            found = tuple([await self._presented(one, expected) for one in reply.evidence])
        return replace(reply, evidence=(), presented=(*vouched, *found))

    async def _presented(self, evidence: Evidence, expected: Expected) -> Presented:
        return Presented(
            evidence.proof_type, evidence.provider, evidence.format, await self._verified(evidence, expected)
        )

    async def _verified(self, evidence: Evidence, expected: Expected) -> Verified | str:
        verifier = self._verifiers.get(evidence.provider)
        if verifier is None or evidence.proof_type not in verifier.proof_types:
            return f"{evidence.proof_type} by this provider cannot be verified here"
        for name, value in (
            ("case_id", expected.case_id), ("action", expected.action), ("challenge", expected.challenge),
        ):  # fmt: skip
            if evidence.binding.get(name) not in (None, value):
                return f"it says itself that it is for another {name}"
        try:
            async with asyncio.timeout(VERIFY_SECONDS):
                return await verifier.verify(evidence, expected)
        except TimeoutError:
            raise Unavailable(f"{evidence.provider} did not answer; try again in a moment", retry_after=5) from None


async def _case(database: Database, reply: Reply) -> Case | None:
    async def body(tx: Tx) -> Case | None:
        row = await tx.one(v.TOKENS_CASE, case_id=reply.case_id, token_hash=token_hash(reply.token))
        return None if row is None else case_of(row)

    return await database.read(body)
