"""The receipt of an answer: its ledger row, recomputed at the moment of asking. Pure.

It is held against itself (its hashes), against what the page shows (content, answer, replier), and against the seal
that covers it. That nothing around it was removed, only the whole chain can tell: `assent verify`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from core.digest import digest, sha256_hex
from core.errors import InvalidInput
from core.ledger import Row
from core.model import Case
from core.rows import row_hash
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
    """`intact`: the row has the hashes that it was written with. `agrees`: what the case shows is what the row says.
    `position` is the row's place in the tenant's chain; it and `seal` are None until the sealer has come by.
    """

    interaction_id: str
    row_hash: str
    intact: bool
    agrees: bool
    position: int | None
    seal: Seal | None


def receipt_of(case: Case, row: Row, keys: KeyRing) -> Receipt:
    """The receipt of a closed case from its row of `receipt_queries.RECEIPT`."""
    seal = None
    if row["seal_no"] is not None:
        message = seal_message(
            row["tenant_id"], row["seal_no"], row["last_position"], row["chain_hash"], row["sealed_at"]
        )
        good = keys.signed(message, row["key_id"], row["signature"])
        seal = Seal(row["seal_no"], row["sealed_at"], good)
    return Receipt(
        interaction_id=row["interaction_id"],
        row_hash=row["row_hash"],
        intact=_intact(row),
        agrees=_agrees(case, row),
        position=row["position"],
        seal=seal,
    )


def _intact(row: Row) -> bool:
    try:
        return (row_hash(row), sha256_hex(row["payload"].encode())) == (row["row_hash"], row["payload_hash"])
    except (InvalidInput, AttributeError):  # somebody put something in its place that never was a row of ours
        return False


def _agrees(case: Case, row: Row) -> bool:
    answered = case.answered or {}
    try:
        replier, said = json.loads(row["replier"]), json.loads(row["payload"])
        by = {name: value for name, value in replier.items() if name not in ("verified", "team")}
        shown = digest(case.content)
    except (ValueError, TypeError, AttributeError, InvalidInput):
        return False
    return (
        shown == case.content_digest == row["content_digest"]
        and (case.result is None or case.result == said)
        and (answered.get("by"), answered.get("via")) == (by, str(row["via"]))
    )
