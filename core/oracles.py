"""`assent verify`: questions whose answer must be empty at any time, on either database.

The ledger is the truth: decisions, cases and events are held against it, and it is held against its own hashes, its
chain and its seals. A finding names the first bad row and says what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from core.digest import sha256_hex
from core.errors import InvalidInput
from core.ledger import Database, Row, Statement, Tx
from core.ledger import queries as q
from core.rows import row_hash
from core.sealing import KeyRing
from core.seals import chain, seal_message
from core.states import TERMINAL, Status, verdict

PAGE = 500
UNSEALED_GRACE_MS = 10_000


@dataclass(frozen=True, slots=True)
class Finding:
    """`oracle` was not empty: `key` is the offending row, `detail` what is wrong with it."""

    oracle: str
    key: str
    detail: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a verification is: rows looked at of one oracle."""

    oracle: str
    rows: int


COUNTED: tuple[tuple[str, Statement, str], ...] = (
    ("duplicate interactions", q.DUPLICATE_INTERACTIONS, "this reply is in the ledger more than once"),
    ("duplicate decisions", q.DUPLICATE_DECISIONS, "this gate was decided more than once"),
    ("phantom prompts", q.PHANTOM_PROMPTS, "two cases stand behind this gate"),
    ("events without a decision", q.EVENTS_WITHOUT_DECISION, "nothing was decided that this event could announce"),
    ("decisions without a case", q.DECISIONS_WITHOUT_CASE, "the case of this decision is gone"),
)


class Oracles:
    """Runs every oracle. Reads only; safe beside a serving process."""

    def __init__(self, database: Database, keys: KeyRing, watch: Callable[[Progress], None] = lambda _: None) -> None:
        self._database = database
        self._keys = keys
        self._watch = watch

    async def findings(self) -> list[Finding]:
        """Everything that is wrong, worst first; [] when the ledger holds."""
        found = [finding async for finding in self._chains()]
        for oracle, statement, detail in COUNTED:
            rows = await self._all(statement)
            found += [Finding(oracle, row["key"], detail) for row in rows]
            self._watch(Progress(oracle, len(rows)))
        return found + [finding async for finding in self._cases()]

    async def _all(self, statement: Statement, **params: object) -> list[Row]:
        async def body(tx: Tx) -> list[Row]:
            return list(await tx.all(statement, **params))

        return await self._database.read(body)

    async def _chains(self) -> AsyncIterator[Finding]:
        for row in await self._all(q.UNSEALED_INTERACTIONS):
            if finding := _interaction_altered(row):
                yield finding
        for row in await self._all(q.UNSEALED_EVENTS):
            if finding := _event_altered(row):
                yield finding
        for head in await self._all(q.CHAINS):
            async for finding in self._chain(head):
                yield finding

    async def _chain(self, head: Row) -> AsyncIterator[Finding]:
        tenant_id = head["tenant_id"]
        position, previous, number = 0, "", 0
        # The head was read first: what a serving process seals meanwhile is left for the next verification.
        seals = [row for row in await self._all(q.SEALS, tenant_id=tenant_id) if row["seal_no"] <= head["seal_no"]]
        for seal in seals:
            key = f"{tenant_id} seal {seal['seal_no']}"
            number += 1
            if seal["seal_no"] != number:
                yield Finding("ledger hash chain", key, f"seal {number} is missing")
                return
            rows, bad = await self._rows_of(tenant_id, position, seal["last_position"])
            if bad is not None:
                yield bad
                return
            previous = chain(previous, [row["row_hash"] for row in rows])
            position = seal["last_position"]
            if previous != seal["chain_hash"]:
                yield Finding("ledger hash chain", key, "the rows under this seal are not those that were sealed")
                return
            message = seal_message(tenant_id, number, position, previous, seal["sealed_at"])
            if self._keys.signed(message, seal["key_id"], seal["signature"]) is False:
                yield Finding("ledger hash chain", key, "the signature of this seal is wrong")
                return
            self._watch(Progress("ledger hash chain", position))
        if (position, previous, number) != (head["position"], head["chain_hash"], head["seal_no"]):
            yield Finding(
                "ledger hash chain", f"{tenant_id} position {position + 1}", "the end of the chain is cut off"
            )

    async def _rows_of(self, tenant_id: str, after: int, upto: int) -> tuple[list[Row], Finding | None]:
        """The rows of one seal in order, or the first thing that is wrong with them."""
        window = {"tenant_id": tenant_id, "after": after, "upto": upto}
        interactions = await self._all(q.INTERACTIONS_BETWEEN, **window)
        events = await self._all(q.EVENTS_BETWEEN, **window)
        rows = sorted([*interactions, *events], key=lambda row: int(row["position"]))
        for expected, row in enumerate(rows, after + 1):
            if row["position"] != expected:
                break
        else:
            expected = after + len(rows) + 1
        altered = [f for row in interactions if (f := _interaction_altered(row))]
        altered += [f for row in events if (f := _event_altered(row))]
        if altered:
            return rows, altered[0]
        if len(rows) != upto - after:
            return rows, Finding("ledger hash chain", f"{tenant_id} position {expected}", "this row is missing")
        return rows, None

    async def _cases(self) -> AsyncIterator[Finding]:
        after, seen = "", 0
        while rows := await self._all(q.CASES_WITH_OUTCOME, after=after, limit=PAGE):
            for row in rows:
                for oracle, detail in _disagreements(row):
                    yield Finding(oracle, row["case_id"], detail)
            after, seen = rows[-1]["case_id"], seen + len(rows)
            self._watch(Progress("cases", seen))


def _interaction_altered(row: Row) -> Finding | None:
    try:
        same = row_hash(row) == row["row_hash"] and sha256_hex(row["payload"].encode()) == row["payload_hash"]
    except InvalidInput:
        same = False
    if same:
        return None
    return Finding("ledger hash chain", row["interaction_id"], "this ledger row was altered")


def _event_altered(row: Row) -> Finding | None:
    if sha256_hex(row["body"].encode()) == row["row_hash"]:
        return None
    return Finding("ledger hash chain", row["event_id"], "this decision event was altered")


def _disagreements(row: Row) -> list[tuple[str, str]]:
    """How a case, its decision, its ledger row and its event contradict each other."""
    found = []
    if f"sha256:{sha256_hex(row['content'].encode())}" != row["content_digest"]:
        found.append(("terminal rows that changed", "the content is not what its digest says"))
    closed = row["status"] in set(TERMINAL)
    if row["decided_by"] is None:
        edit = row["result"] is not None and json.loads(row["result"])["action"] == "edit"
        if closed and not edit:
            found.append(("decisions without an accepted interaction", "this case is closed and nothing decided it"))
        return found
    if not closed:
        found.append(("terminal rows that changed", "this case was decided and is waiting again"))
    if row["interaction_id"] is None or row["interaction_case_id"] != row["case_id"]:
        found.append(("decisions without an accepted interaction", "the ledger has no row for this decision"))
        return found
    found += _against_ledger(row)
    if row["source_id"] is not None and row["event_id"] is None:
        found.append(("decided cases with a source and no event", "executors were never told"))
    return found


def _against_ledger(row: Row) -> list[tuple[str, str]]:
    found = []
    payload = json.loads(row["payload"])
    if row["agreed_digest"] != row["content_digest"]:
        found.append(("terminal rows that changed", "the content is not the one that was agreed to"))
    if payload["action"] != row["decided_action"]:
        found.append(("terminal rows that changed", "the decision is not the one in the ledger"))
    if verdict(payload["action"], timed_out=row["status"] == Status.EXPIRED) != row["verdict"]:
        found.append(("terminal rows that changed", "the verdict does not follow from the reply"))
    if row["status"] == Status.COMPLETED and json.loads(row["result"] or "null") != payload:
        found.append(("terminal rows that changed", "the result is not the one in the ledger"))
    if row["event_body"] is not None:
        event = json.loads(row["event_body"])
        if (event["decision"]["type"], event["result"]) != (row["verdict"], payload):
            found.append(("terminal rows that changed", "the event does not say what was decided"))
    return found
