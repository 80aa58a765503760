"""The receipt of an answer: its ledger row, recomputed at the moment of asking. Pure.

It is held against itself (its hashes), against what the page shows (content, answer, replier), and against the seal
that covers it. That nothing around it was removed, only the whole chain can tell: `assent verify`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from core.digest import digest
from core.erasure import Emptied, erasure_in, is_left_so
from core.errors import InvalidInput
from core.ledger import Row
from core.model import Case
from core.rows import is_as_written, row_hash
from core.sealing import KeyRing
from core.seals import seal_message


@dataclass(frozen=True, slots=True)
class Seal:
    """The first seal after the row. `good` says whether its signature is; None when its key is unknown here."""

    number: int
    sealed_at: int
    good: bool | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """`intact`: the row has the hashes that it was written with, or those that its erasure gave it. `agrees`: what the
    case shows is what the row says. `position` is the row's place in the tenant's chain; it and `seal` are None until
    the sealer has come by.
    """

    interaction_id: str
    row_hash: str
    intact: bool
    agrees: bool
    position: int | None
    seal: Seal | None


def receipt_of(case: Case, row: Row, keys: KeyRing) -> Receipt:
    """The receipt of a closed case from its row of `receipt_queries.RECEIPT`."""
    seal, emptied = None, _emptied(row, keys)
    if row["seal_no"] is not None:
        message = seal_message(
            row["tenant_id"], row["seal_no"], row["last_position"], row["chain_hash"], row["sealed_at"]
        )
        good = keys.signed(message, row["key_id"], row["signature"])
        seal = Seal(row["seal_no"], row["sealed_at"], good)
    return Receipt(
        interaction_id=row["interaction_id"],
        row_hash=row["row_hash"],
        intact=_intact(row, emptied),
        agrees=_agrees(case, row, emptied),
        position=row["position"],
        seal=seal,
    )


def _emptied(row: Row, keys: KeyRing) -> Mapping[str, Emptied]:
    """What the erasure of its case has emptied; nothing when there is none that is signed here."""
    if row["erasure"] is None:
        return {}
    erasure = {"payload": row["erasure"], "created_at": row["erasure_at"]}
    return erasure_in({"tenant_id": row["tenant_id"], "case_id": row["case_id"], **erasure}, keys) or {}


def _intact(row: Row, emptied: Mapping[str, Emptied]) -> bool:
    """Of a row that was erased: whether it is as its erasure says."""
    if is_as_written(row):
        return True
    try:
        left = Emptied(row["interaction_id"], row["row_hash"], row_hash(row))
    except InvalidInput:
        return False
    return emptied.get(row["interaction_id"]) == left


def _agrees(case: Case, row: Row, emptied: Mapping[str, Emptied]) -> bool:
    answered = case.answered or {}
    try:
        replier, said = json.loads(row["replier"]), json.loads(row["payload"])
        by = {name: value for name, value in replier.items() if name not in ("verified", "team")}
        if case.erased_at is not None and not is_left_so(row, row["asked_digest"], emptied):
            return False  # whoever only has the database can say that it was erased, too
        shown = digest(case.content) if case.erased_at is None else case.content_digest
    except (ValueError, TypeError, AttributeError, InvalidInput):
        return False
    return (
        shown == case.content_digest == row["content_digest"]
        and (case.result is None or case.result == said)
        and (answered.get("by"), answered.get("via")) == (by, str(row["via"]))
    )
