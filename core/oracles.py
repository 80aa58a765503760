"""`assent verify`: questions whose answer must be empty at any time, on either database.

The ledger is the truth: decisions, cases and events are held against it, and it is held against its own hashes, its
chain and its seals. A finding names the first bad row and says what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.digest import digest, sha256_hex
from core.dispatch_check import objection
from core.errors import InvalidInput
from core.ledger import Database, Row, Statement, Tx
from core.ledger import guard_queries as g
from core.ledger import queries as q
from core.ledger import run_queries as rq
from core.ledger import source_queries as sq
from core.rows import row_hash, with_edits
from core.sealing import KeyRing
from core.seals import chain, seal_message, sealing_order
from core.states import TERMINAL, Status, Verdict, verdict

PAGE = 500
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


COUNTED: tuple[tuple[str, Statement, str], ...] = (
    ("duplicate interactions", q.DUPLICATE_INTERACTIONS, "this reply is in the ledger more than once"),
    ("duplicate decisions", q.DUPLICATE_DECISIONS, "this gate was decided more than once"),
    ("phantom prompts", q.PHANTOM_PROMPTS, "two cases stand behind this gate"),
    ("events without a decision", q.EVENTS_WITHOUT_DECISION, "nothing was decided that this event could announce"),
    ("decisions without a case", q.DECISIONS_WITHOUT_CASE, "the case of this decision is gone"),
    ("ledger rows without a case", q.INTERACTIONS_WITHOUT_CASE, "the case of this ledger row is gone"),
    ("events that nothing pushes", sq.NEVER_PUSHED, "its source has a webhook, and no delivery was made for it"),
    ("approved tasks that nobody dispatched", g.NEVER_DISPATCHED, "it was approved, and executors were never told"),
    ("duplicate run steps", rq.DUPLICATE_STEPS, "this attempt at a step was recorded more than once"),
    ("duplicate artifacts", rq.DUPLICATE_ARTIFACTS, "this artifact was recorded more than once"),
    ("duplicate gate events", rq.DUPLICATE_GATE_EVENTS, "this event of a workflow was written more than once"),
    ("duplicate escalations", rq.DUPLICATE_ESCALATIONS, "this escalation started more than once"),
    ("escalations without a timeout", rq.ESCALATIONS_WITHOUT_TIMEOUT, "nobody was late at the gate that it escalates"),
    ("results without an interaction", rq.RESULTS_WITHOUT_INTERACTION, "the ledger has no reply that gave this result"),
    ("branches that nobody decided", rq.BRANCHES_UNLIKE_DECISIONS, "the decisions know nothing of this branch"),
    ("results of withdrawn gates", rq.RESULTS_OF_WITHDRAWN_GATES, "nobody answered this gate, and it has a result"),
    ("gates that ended unheard", rq.ENDED_GATES_UNTOLD, "this gate has ended, and there is no signal that says so"),
    ("signals unsent", rq.UNSENT_SIGNALS, "its workflow should have heard of this gate's end 10 s ago"),
    ("runs that wait for nobody", rq.WAITS_FOR_NOBODY, "it waits, and nobody is asked"),
    ("terminal rows that changed", rq.RUNS_CHANGED_AFTER_THE_END, "this run has ended, and something moved since"),
    ("ledger hash chain", q.ROWS_OUTSIDE_CHAIN, "this row claims a position that no seal covers"),
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
        found += [finding async for finding in self._cases()]
        return found + [finding async for finding in self._tasks()]

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
            if (head_hash := _chained(previous, rows)) != seal["chain_hash"]:
                yield _not_as_sealed(key, previous, rows, seal["chain_hash"])
                return
            previous, position = head_hash, seal["last_position"]
            message = seal_message(tenant_id, number, position, previous, seal["sealed_at"])
            if (good := self._keys.signed(message, seal["key_id"], seal["signature"])) is not True:
                yield Finding("ledger hash chain", key, _WRONG_SIGNATURE if good is False else _UNKNOWN_KEY)
                return
            self._watch(Progress("ledger hash chain", position))
        if (position, previous, number) != (head["position"], head["chain_hash"], head["seal_no"]):
            yield Finding(
                "ledger hash chain", f"{tenant_id} position {position + 1}", "the end of the chain is cut off"
            )

    async def _rows_of(self, tenant_id: str, after: int, upto: int) -> tuple[list[Row], Finding | None]:
        """The rows of one seal in order, or the first thing that is wrong with them."""
        window = {"tenant_id": tenant_id, "after": after, "upto": upto}
        rows = await self._all(q.INTERACTIONS_BETWEEN, **window) + await self._all(q.EVENTS_BETWEEN, **window)
        rows.sort(key=lambda row: (int(row["position"]), int(row["kind"])))
        for expected, row in enumerate(rows, after + 1):
            if row["position"] > expected:
                return rows, _missing(tenant_id, expected)
            if row["position"] < expected:
                return rows, Finding("ledger hash chain", row["id"], "another row stands at the same position")
            if bad := _event_altered(row) if row["kind"] else _interaction_altered(row):
                return rows, bad
        return rows, None if len(rows) == upto - after else _missing(tenant_id, after + len(rows) + 1)

    async def _cases(self) -> AsyncIterator[Finding]:
        after, seen = "", 0
        while rows := await self._all(q.CASES_WITH_OUTCOME, after=after, limit=PAGE):
            for row in rows:
                for oracle, detail in _disagreements(row):
                    yield Finding(oracle, row["case_id"], detail)
            after, seen = rows[-1]["case_id"], seen + len(rows)
            self._watch(Progress("cases", seen))

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
    return Finding("ledger hash chain", f"{tenant_id} position {position}", "this row is missing")


def _chained(previous: str, rows: Sequence[Row]) -> str:
    return chain(previous, [str(row["row_hash"]) for row in rows])


def _not_as_sealed(key: str, previous: str, rows: Sequence[Row], chain_hash: str) -> Finding:
    ordered = sorted(rows, key=sealing_order)
    if _chained(previous, ordered) != chain_hash:
        return Finding("ledger hash chain", key, "the rows under this seal are not those that were sealed")
    first = next(row for row, right in zip(rows, ordered, strict=True) if row["id"] != right["id"])
    return Finding("ledger hash chain", first["id"], "the rows under this seal have changed places, this one first")


def _interaction_altered(row: Row) -> Finding | None:
    try:
        same = row_hash(row) == row["row_hash"] and sha256_hex(row["payload"].encode()) == row["payload_hash"]
    except (InvalidInput, AttributeError):
        same = False
    if same:
        return None
    return Finding("ledger hash chain", row["interaction_id"], "this ledger row was altered")


def _event_altered(row: Row) -> Finding | None:
    if sha256_hex(str(row["body"]).encode()) == row["row_hash"]:
        return None
    return Finding("ledger hash chain", row["event_id"], "this decision event was altered")


UNDECIDED = "decisions without an accepted interaction"
CHANGED = "terminal rows that changed"
_ENDS = {
    "sys:timeout": Status.EXPIRED,
    "sys:cancel": Status.CANCELLED,
    "sys:close": Status.CANCELLED,
}  # by topic; people's replies complete a case


def _disagreements(row: Row) -> Iterator[tuple[str, str]]:
    """How a case, its decision, its ledger row and its event contradict each other."""
    if f"sha256:{sha256_hex(str(row['content']).encode())}" != row["content_digest"]:
        yield CHANGED, "the content is not what its digest says"
    if row["status"] not in set(TERMINAL):
        if row["endings"] or row["decided_by"] is not None:
            yield CHANGED, "this case was closed and is waiting again"
    elif row["interaction_id"] is None or row["interaction_case_id"] != row["case_id"]:
        yield UNDECIDED, "this case is closed, and the ledger has no row that closed it"
    else:
        yield from _against_ledger(row)


def _against_ledger(row: Row) -> Iterator[tuple[str, str]]:
    said, replier, answered = map(_object, (row["payload"], row["replier"], row["answered"]))
    by = {name: value for name, value in replier.items() if name not in ("verified", "team")}
    if row["agreed_digest"] != _shown_digest(row):
        yield CHANGED, "the content is not the one that was agreed to"
    if row["status"] != _ENDS.get(row["topic"], Status.COMPLETED):
        yield CHANGED, "the case did not end as the ledger says"
    if row["status"] == Status.COMPLETED and _object(row["result"]) != said:
        yield CHANGED, "the result is not the one in the ledger"
    if (answered.get("by"), answered.get("via")) != (by, row["via"]):
        yield CHANGED, "who answered, or from where, is not what the ledger says"
    outcome = verdict(str(said.get("action")), timed_out=row["topic"] == "sys:timeout")
    if row["decided_by"] is not None and row["settles_at"] is not None:
        yield CHANGED, "this was decided while its answer could still be revised"
    if row["settles_at"] is None and (row["decided_by"] is None) is not (outcome is None):
        yield UNDECIDED, "this case is closed and nothing decided it" if outcome else "nothing was decided here"
    if row["decided_by"] is not None:
        yield from _against_decision(row, said, by, outcome)


def _shown_digest(row: Row) -> str | None:
    """The digest of what the case shows: what the agent sent, with what reviewers made of its blocks."""
    if row["working"] is None:
        return str(row["content_digest"])
    content, edits = _object(row["content"]), _object(row["working"]).get("edits")
    try:
        return digest({**content, "blocks": with_edits(content["blocks"], edits)}) if edits else row["content_digest"]
    except (KeyError, TypeError, InvalidInput):
        return None


def _against_decision(
    row: Row, said: dict[str, Any], by: dict[str, Any], outcome: Verdict | None
) -> Iterator[tuple[str, str]]:
    decision = _object(row["decision_body"])
    if said.get("action") != row["decided_action"]:
        yield CHANGED, "the decision is not the one in the ledger"
    if outcome != row["verdict"]:
        yield CHANGED, "the verdict does not follow from the reply"
    if [decision.get(name) for name in ("type", "action", "decided_by", "via")] != [
        row["verdict"], row["decided_action"], by, row["via"],
    ]:  # fmt: skip
        yield CHANGED, "the decision's text is not what the ledger says"
    awaiting = row["guarded"] is not None and row["verdict"] == Verdict.APPROVE and row["dispatched_at"] is None
    if row["source_id"] is not None and row["event_id"] is None and not awaiting:
        yield "decided cases with a source and no event", "executors were never told"
    if row["event_id"] is not None:
        expected = {
            "case_id": row["case_id"],
            "decision": decision,
            "result": said,
            "content_digest": row["agreed_digest"],
            "ledger": {"interaction_id": row["interaction_id"], "row_hash": row["row_hash"]},
        }
        event = _object(row["event_body"])
        if {name: event.get(name) for name in expected} != expected:
            yield CHANGED, "the event does not say what was decided"


def _object(text: str | None) -> dict[str, Any]:
    """A JSON object as it was stored; {} for whatever somebody may have put in its place."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, TypeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
