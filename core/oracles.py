"""`assent verify`: questions whose answer must be empty at any time, on either database.

The ledger is the truth: decisions, cases and events are held against it, and it is held against its own hashes, its
chain and its seals. A finding names the first bad row and says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from core.digest import sha256_hex
from core.dispatch_check import objection
from core.erasure import Emptied, erasure_in
from core.errors import InvalidInput
from core.exported_seals import Seal, seal_of
from core.ledger import Database, Row, Statement, Tx
from core.ledger import guard_queries as g
from core.ledger import oracle_queries as oq
from core.ledger import seal_queries as slq
from core.oracle_checks import disagreements, unlike_its_case, unlike_its_end, unlike_its_erasure
from core.oracle_list import CHAIN, CHANGED, COUNTED, ROW_MISSING, SEAL_MISSING
from core.rows import is_as_written, is_event_as_written, row_hash, to_json
from core.sealing import KeyRing
from core.seals import chain, seal_message, sealing_order

PAGE = 500
EXPORTED = "exported seals"
_WRONG_SIGNATURE = "the signature of this seal is wrong"
_UNKNOWN_KEY = "this seal was signed with a key that is not known here"


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


class Oracles:
    """Runs every oracle. Reads only; safe beside a serving process."""

    def __init__(self, database: Database, keys: KeyRing, watch: Callable[[Progress], None] = lambda _: None) -> None:
        self._database = database
        self._keys = keys
        self._watch = watch
        self.erased = 0  # rows of the ledger and decision events that are as their erasure says

    async def findings(self, exported: Sequence[Seal] = ()) -> list[Finding]:
        """Everything that is wrong, worst first; [] when the ledger holds, also against seals that were exported."""
        found = [finding async for finding in self._chains()]
        found += [finding async for finding in self._exported(exported)]
        for one in COUNTED:
            rows = await self._all(one.statement)
            found += [Finding(one.oracle, row["key"], one.detail) for row in rows]
            self._watch(Progress(one.oracle, len(rows)))
        for walk in (self._cases, self._tasks, self._gates, self._runs):
            found += [finding async for finding in walk()]
        return list(dict.fromkeys(found))  # what two oracles say in the same words is said once

    async def _all(self, statement: Statement, **params: object) -> list[Row]:
        async def body(tx: Tx) -> list[Row]:
            return list(await tx.all(statement, **params))

        return await self._database.read(body)

    async def _chains(self) -> AsyncIterator[Finding]:
        unsealed = [*await self._all(slq.UNSEALED_INTERACTIONS), *await self._all(slq.UNSEALED_EVENTS)]
        for finding in (await self._altered(unsealed)).values():
            yield finding
        for head in await self._all(slq.CHAINS):
            async for finding in self._chain(head):
                yield finding

    async def _chain(self, head: Row) -> AsyncIterator[Finding]:
        tenant_id = head["tenant_id"]
        position, previous, number = 0, "", 0
        # The head was read first: what a serving process seals meanwhile is left for the next verification.
        seals = [row for row in await self._all(slq.SEALS, tenant_id=tenant_id) if row["seal_no"] <= head["seal_no"]]
        for seal in seals:
            key = f"{tenant_id} seal {seal['seal_no']}"
            number += 1
            if seal["seal_no"] != number:
                yield Finding(CHAIN, f"{tenant_id} seal {number}", SEAL_MISSING)
                return
            rows, bad = await self._rows_of(tenant_id, position, seal["last_position"])
            if bad is not None:
                yield bad
                return
            if (head_hash := _chained(previous, rows)) != seal["chain_hash"]:
                yield _not_as_sealed(key, previous, rows, seal["chain_hash"])
                return
            previous, position = head_hash, seal["last_position"]
            message = seal_message(tenant_id, number, position, previous, seal["sealed_at"])
            if (good := self._keys.signed(message, seal["key_id"], seal["signature"])) is not True:
                yield Finding(CHAIN, key, _WRONG_SIGNATURE if good is False else _UNKNOWN_KEY)
                return
            self._watch(Progress(CHAIN, position))
        if (position, previous, number) != (head["position"], head["chain_hash"], head["seal_no"]):
            yield Finding(CHAIN, f"{tenant_id} position {position + 1}", "the end of the chain is cut off")

    async def _rows_of(self, tenant_id: str, after: int, upto: int) -> tuple[list[Row], Finding | None]:
        """The rows of one seal in order, or the first thing that is wrong with them."""
        window = {"tenant_id": tenant_id, "after": after, "upto": upto}
        rows = await self._all(slq.INTERACTIONS_BETWEEN, **window) + await self._all(slq.EVENTS_BETWEEN, **window)
        rows.sort(key=lambda row: (int(row["position"]), int(row["kind"])))
        altered = await self._altered(rows)
        for expected, row in enumerate(rows, after + 1):
            if row["position"] > expected:
                return rows, _missing(tenant_id, expected)
            if row["position"] < expected:
                return rows, Finding(CHAIN, row["id"], "another row stands at the same position")
            if (bad := altered.get(row["id"])) is not None:
                return rows, bad
        return rows, None if len(rows) == upto - after else _missing(tenant_id, after + len(rows) + 1)

    async def _altered(self, rows: Sequence[Row]) -> dict[str, Finding]:
        """What is wrong with those that are not as they were written, by id. What was erased is as its erasure says."""
        changed = [row for row in rows if not (is_event_as_written(row) if row["kind"] else is_as_written(row))]
        erasures: dict[str, dict[str, Emptied]] = {}
        for start in range(0, len(changed), PAGE):
            case_ids = sorted({str(row["case_id"]) for row in changed[start : start + PAGE]})
            for row in await self._all(oq.ERASURES, case_ids=to_json(case_ids)):
                erasures.setdefault(row["case_id"], {}).update(erasure_in(row, self._keys) or {})
        found = {}
        for row in changed:
            emptied = erasures.get(row["case_id"], {}).get(row["id"])
            if emptied == Emptied(row["id"], row["row_hash"], _hash_of(row)):
                self.erased += 1
            else:
                what = "decision event" if row["kind"] else "ledger row"
                found[row["id"]] = Finding(CHAIN, row["id"], f"this {what} was altered")
        return found

    async def _exported(self, seals: Sequence[Seal]) -> AsyncIterator[Finding]:
        for seal in seals:
            if (good := self._keys.signed(seal.message, seal.key_id, seal.signature)) is not True:
                yield Finding(EXPORTED, seal.name, _WRONG_SIGNATURE if good is False else _UNKNOWN_KEY)
                continue
            rows = await self._all(oq.SEAL, tenant_id=seal.tenant_id, seal_no=seal.seal_no)
            if not rows:
                yield Finding(EXPORTED, seal.name, "the ledger has no such seal any more: its end was cut off")
            elif seal_of(rows[0]) != seal:
                yield Finding(EXPORTED, seal.name, "the ledger has another seal in its place")
        if seals:
            self._watch(Progress(EXPORTED, len(seals)))

    async def _cases(self) -> AsyncIterator[Finding]:
        after, seen = "", 0
        while rows := await self._all(oq.CASES_WITH_OUTCOME, after=after, limit=PAGE):
            for row in rows:
                for oracle, detail in disagreements(row):
                    yield Finding(oracle, row["case_id"], detail)
                if (problem := unlike_its_erasure(row, self._keys)) is not None:
                    yield Finding(CHANGED, row["case_id"], problem)
            after, seen = rows[-1]["case_id"], seen + len(rows)
            self._watch(Progress("cases", seen))

    async def _gates(self) -> AsyncIterator[Finding]:
        """What a workflow was told of its gates, beside their cases."""
        after, key, seen = "", "", 0
        while rows := await self._all(oq.GATE_EVENTS, after=after, after_key=key, limit=PAGE):
            for row in rows:
                if (problem := unlike_its_case(row)) is not None:
                    yield Finding(CHANGED, f"{row['of_workflow']} {row['event_key']}", problem)
            after, key, seen = rows[-1]["of_workflow"], rows[-1]["event_key"], seen + len(rows)
            self._watch(Progress("gates", seen))

    async def _runs(self) -> AsyncIterator[Finding]:
        """How runs ended, beside what their readers were told."""
        after, seen = "", 0
        while rows := await self._all(oq.ENDED_RUNS, after=after, limit=PAGE):
            for row in rows:
                if (problem := unlike_its_end(row)) is not None:
                    yield Finding(CHANGED, row["workflow_id"], problem)
            after, seen = rows[-1]["workflow_id"], seen + len(rows)
            self._watch(Progress("runs", seen))

    async def _tasks(self) -> AsyncIterator[Finding]:
        """Approved tasks that no longer are what was approved."""
        after, seen = "", 0
        while rows := await self._all(g.EVIDENCE_OF_TASKS, after=after, limit=PAGE):
            for row in rows:
                approved = row["approved_at"] is not None
                if approved and (problem := objection(row)) is not None:
                    yield Finding("altered tasks", row["case_id"], problem)
            after, seen = rows[-1]["case_id"], seen + len(rows)
            self._watch(Progress("tasks", seen))


def _missing(tenant_id: str, position: int) -> Finding:
    return Finding(CHAIN, f"{tenant_id} position {position}", ROW_MISSING)


def _chained(previous: str, rows: Sequence[Row]) -> str:
    return chain(previous, [str(row["row_hash"]) for row in rows])


def _not_as_sealed(key: str, previous: str, rows: Sequence[Row], chain_hash: str) -> Finding:
    ordered = sorted(rows, key=sealing_order)
    if _chained(previous, ordered) != chain_hash:
        return Finding(CHAIN, key, "the rows under this seal are not those that were sealed")
    first = next(row for row, right in zip(rows, ordered, strict=True) if row["id"] != right["id"])
    return Finding(CHAIN, first["id"], "the rows under this seal have changed places, this one first")


def _hash_of(row: Row) -> str:
    """The hash of a ledger row or decision event as it stands; nothing for what has none."""
    try:
        return sha256_hex(str(row["body"]).encode()) if row["kind"] else row_hash(row)
    except InvalidInput:
        return ""
