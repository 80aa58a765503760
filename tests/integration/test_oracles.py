"""`assent verify`: a good ledger gives no findings, and whoever edits one behind Assent's back is found out."""

from __future__ import annotations

import json
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from core.digest import canonical, digest, sha256_hex
from core.oracles import Finding, Oracles
from core.rows import LEDGER_COLUMNS, row_hash
from core.sealing import KeyRing
from core.seals import chain, seal_message
from core.states import Event
from tests.support.gates import MINUTE, SECRET, World, as_superuser, slack, world
from tests.support.snapshots import Rows, lay_down, taken

TRIALS = 20
TABLES = ("human_interactions", "decisions", "decision_events", "cases", "case_events", "chains", "seals")
IDS = {"human_interactions": "interaction_id", "decision_events": "event_id"}


@dataclass
class Books:
    """A ledger with a bit of everything, which can be put back as it was after every trial."""

    here: World
    kept: Rows
    random: random.Random

    async def findings(self) -> list[Finding]:
        return await self.here.findings()

    async def first(self) -> Finding:
        found = await self.findings()
        assert found, "nothing was noticed"
        return found[0]

    async def sealed(self, table: str) -> list[dict[str, Any]]:
        return await self.here.rows(table, "position IS NOT NULL ORDER BY position")

    async def sql(self, *statements: str) -> None:
        await as_superuser(self.here.url, *statements)

    async def restore(self) -> None:
        await lay_down(self.here.url, {table: self.kept[table] for table in TABLES})


async def filled(here: World) -> None:
    """Decided, expired, withdrawn, sent back, and waiting cases, with and without a source, under several seals."""
    for turn in range(4):
        for sourced in (True, False):
            await here.answer(await here.open(sourced=sourced, notify=(slack(),)), "approve", {"note": f"{turn}"})
            await here.answer(await here.open("confirmation", sourced=sourced), "cancel", door="page")
            await here.answer(await here.open(sourced=sourced), "edit", {"note": "shorter"}, door="page")
            withdrawn = await here.open(sourced=sourced)
            await here.gate.cancel(here.agent, withdrawn.case.case_id, "no longer needed")
            await here.open(sourced=sourced, timeout_ms=10 * MINUTE, default_action="approve")
            looked_at = await here.open("escalation", sourced=sourced, timeout_ms=1_000 * MINUTE)
            await here.gate.report(looked_at.case.case_id, looked_at.review_token, Event.OPEN)
        here.clock.forward(11 * MINUTE)
        await here.gate.expire_due()
        if turn < 3:
            await here.seal()


@dataclass
class Filled:
    """Rows of a filled ledger, and the world that filled it at `moment` (milliseconds of this machine's clock)."""

    rows: Rows
    by: World
    clock: int
    moment: int

    def turn_back(self) -> None:
        """Let the database's clock show what it showed then."""
        self.by.clock.offset = self.clock - (now() - self.moment)


def now() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="session")
def shelf() -> dict[str, Filled]:
    """Ledgers that have been filled already, by the kind of their database."""
    return {}


@pytest.fixture
async def books(database_url: str, shelf: dict[str, Filled]) -> AsyncIterator[Books]:
    kind = database_url.partition(":")[0]
    if kind in shelf:
        await lay_down(database_url, shelf[kind].rows)
    else:
        async with world(database_url) as by:
            await filled(by)
            shelf[kind] = Filled(await taken(database_url), by, by.clock.offset, now())
    shelf[kind].turn_back()
    async with world(database_url, beside=shelf[kind].by) as here:
        yield Books(here, shelf[kind].rows, random.Random(4_711))


async def trials(books: Books, tamper: Callable[[], Any]) -> None:
    """Each time: something is changed, the first finding names it, everything is put back."""
    for _ in range(TRIALS):
        named = await tamper()
        finding = await books.first()
        assert any(name in finding.key for name in named), f"{finding} names none of {named}"
        await books.restore()
    assert [] == await books.findings()


def text(value: Any) -> str:
    return "NULL" if value is None else str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


# --- nothing wrong ---


async def test_a_good_ledger_gives_no_findings(books: Books) -> None:
    assert [] == await books.findings()
    await books.here.seal()
    assert [] == await books.findings()


async def test_an_empty_ledger_gives_no_findings(here: World) -> None:
    assert [] == await here.findings()


async def test_every_oracle_says_how_far_it_is(books: Books) -> None:
    seen: dict[str, int] = {}

    def watch(progress: Any) -> None:
        seen[progress.oracle] = progress.rows

    assert [] == await Oracles(books.here.database, books.here.ring, watch).findings()
    assert len(await books.here.rows("cases")) == seen["cases"]
    assert {"duplicate interactions", "duplicate decisions", "phantom prompts", "ledger hash chain"} <= set(seen)


async def test_seals_hold_after_the_key_was_rotated_as_long_as_the_old_one_is_kept(books: Books) -> None:
    rotated = Oracles(books.here.database, KeyRing(["the secret of the next year", SECRET]))
    assert [] == await rotated.findings()


async def test_a_seal_that_nobody_here_can_check_is_a_finding(books: Books) -> None:
    other = Oracles(books.here.database, KeyRing(["the secret of the next year"]))
    assert "not known" in (await other.findings())[0].detail


# --- the four ways to falsify a ledger ---


async def test_an_edited_ledger_row_is_named(books: Books) -> None:
    rows = await books.here.rows("human_interactions")

    async def edit() -> list[str]:
        row = books.random.choice(rows)
        column = books.random.choice([*LEDGER_COLUMNS, "payload_hash", "row_hash"])
        value: Any = f"{row[column]}x"
        if column == "origin":
            value = "unknown"
        elif column == "created_at":
            value = row["created_at"] - 1
        await books.sql(
            f"UPDATE human_interactions SET {column} = {text(value)} WHERE interaction_id = '{row['interaction_id']}'"
        )
        # A row that was moved to another tenant is missing where it was.
        return [row["interaction_id"], f"position {row['position']}"]

    await trials(books, edit)


async def test_an_edited_decision_event_is_named(books: Books) -> None:
    rows = await books.here.rows("decision_events")

    async def edit() -> list[str]:
        row = books.random.choice(rows)
        body = json.loads(row["body"])
        body["decision"]["type"] = "DENY" if body["decision"]["type"] == "APPROVE" else "APPROVE"
        await books.sql(
            f"UPDATE decision_events SET body = {text(json.dumps(body))} WHERE event_id = '{row['event_id']}'"
        )
        return [row["event_id"]]

    await trials(books, edit)


async def test_a_deleted_row_is_named_by_the_place_that_it_left(books: Books) -> None:
    async def delete() -> list[str]:
        table = books.random.choice(list(IDS))
        row = books.random.choice(await books.here.rows(table))
        await books.sql(f"DELETE FROM {table} WHERE {IDS[table]} = '{row[IDS[table]]}'")
        return [row["case_id"] if row["position"] is None else f"position {row['position']}"]

    await trials(books, delete)


def swap(table: str, one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The statements by which two rows change places."""
    name = IDS[table]
    moves = [(one, 1_000_000), (other, one["position"]), (one, other["position"])]
    return [f"UPDATE {table} SET position = {position} WHERE {name} = '{row[name]}'" for row, position in moves]


async def test_reordered_rows_are_named(books: Books) -> None:
    async def reorder() -> list[str]:
        table = books.random.choice(list(IDS))
        rows = await books.sealed(table)
        one, other = books.random.sample(rows, 2)
        name = IDS[table]
        await books.sql(*swap(table, one, other))
        return [one[name], other[name], *await seals_over(min(one["position"], other["position"]))]

    async def seals_over(position: int) -> list[str]:
        """Rows that changed places under two seals: the first seal that no longer fits is named."""
        seals = await books.here.rows("seals", "last_position >= :p ORDER BY last_position", p=position)
        return [f"seal {seals[0]['seal_no']}"]

    await trials(books, reorder)


async def test_rows_that_changed_places_under_one_seal_are_named_themselves(books: Books) -> None:
    (seal, *_) = await books.here.rows("seals", "1 = 1 ORDER BY seal_no")
    under = [row for row in await books.sealed("human_interactions") if row["position"] <= seal["last_position"]]

    async def reorder() -> list[str]:
        one, other = sorted(books.random.sample(under, 2), key=lambda row: int(row["position"]))
        await books.sql(
            *swap("human_interactions", one, other),
        )
        return [other["interaction_id"]]

    await trials(books, reorder)


async def test_a_truncated_ledger_is_named_by_the_first_place_that_is_gone(books: Books) -> None:
    last = (await books.here.row("chains"))["position"]

    async def truncate() -> list[str]:
        upto = books.random.randrange(last)
        found = [f"DELETE FROM {table} WHERE position > {upto} OR position IS NULL" for table in IDS]
        if books.random.random() < 0.5:
            found.append(f"DELETE FROM seals WHERE last_position > {upto}")
        await books.sql(*found)
        # What was sealed last, or the first place that is gone under a seal that is still there.
        seals = [0, *(row["last_position"] for row in await books.here.rows("seals"))]
        return [f"position {upto + 1}", f"position {max(seals) + 1}"]

    await trials(books, truncate)


async def test_a_tail_that_was_cut_together_with_its_seals_and_the_head_shows_on_its_cases(books: Books) -> None:
    seals = await books.here.rows("seals", "1 = 1 ORDER BY seal_no")
    kept, cut = seals[0], await books.here.rows("human_interactions", "position > :p", p=seals[0]["last_position"])
    await books.sql(
        *(f"DELETE FROM {table} WHERE position > {kept['last_position']} OR position IS NULL" for table in IDS),
        f"DELETE FROM seals WHERE seal_no > {kept['seal_no']}",
        f"UPDATE chains SET position = {kept['last_position']}, seal_no = {kept['seal_no']}, "
        f"chain_hash = '{kept['chain_hash']}'",
    )
    named = {finding.key for finding in await books.findings()}
    assert {row["case_id"] for row in cut} <= named


async def test_an_emptied_table_is_noticed(books: Books) -> None:
    for tables in (["human_interactions"], ["seals"], ["chains"], ["chains", "seals"], ["decisions"]):
        await books.sql(*(f"DELETE FROM {table}" for table in tables))
        assert await books.findings(), f"the rows of {tables} are gone, and nothing was noticed"
        await books.restore()


# --- by somebody who knows how the ledger works ---


async def reseal(books: Books, ring: KeyRing) -> None:
    """Compute the whole chain anew over the rows as they are now, signed with the keys of `ring`."""
    tenant = (await books.here.row("chains"))["tenant_id"]
    rows = [*await books.sealed("human_interactions"), *await books.sealed("decision_events")]
    rows.sort(key=lambda row: int(row["position"]))
    head, after = "", 0
    for seal in await books.here.rows("seals", "1 = 1 ORDER BY seal_no"):
        head = chain(head, [row["row_hash"] for row in rows if after < row["position"] <= seal["last_position"]])
        after = seal["last_position"]
        key_id, signature = ring.sign(seal_message(tenant, seal["seal_no"], after, head, seal["sealed_at"]))
        await books.sql(
            f"UPDATE seals SET chain_hash = '{head}', key_id = '{key_id}', signature = '{signature}' "
            f"WHERE seal_no = {seal['seal_no']}"
        )
    await books.sql(f"UPDATE chains SET chain_hash = '{head}'")


async def forge(books: Books, row: dict[str, Any], **changes: Any) -> None:
    """Edit a ledger row and put its own hashes right."""
    row = row | changes
    row["payload_hash"] = sha256_hex(row["payload"].encode())
    row["row_hash"] = row_hash(row)
    columns = ", ".join(f"{name} = {text(value)}" for name, value in row.items())
    await books.sql(f"UPDATE human_interactions SET {columns} WHERE interaction_id = '{row['interaction_id']}'")


async def an_approval(books: Books, *, sealed: bool = True, sourced: bool = True) -> dict[str, Any]:
    """A ledger row by which somebody approved."""
    where = f"position IS {'NOT ' if sealed else ''}NULL AND payload LIKE '%approve%' AND topic = 'human:review'"
    for row in await books.here.rows("human_interactions", where):
        case = await books.here.row("cases", "case_id = :c", c=row["case_id"])
        if sourced is (case["source_id"] is not None):
            return row
    raise AssertionError("there is no such row")


REJECT = canonical({"action": "reject", "data": {}}).decode()


async def test_a_row_whose_hashes_were_put_right_no_longer_fits_its_seal(books: Books) -> None:
    for _ in range(TRIALS):
        await forge(books, books.random.choice(await books.sealed("human_interactions")), dedupe_key="slack:U666")
        assert "seal" in (await books.first()).key
        await books.restore()


async def test_a_chain_that_was_computed_anew_does_not_carry_our_signature(books: Books) -> None:
    await forge(books, await an_approval(books), payload=REJECT)
    await reseal(books, KeyRing(["the attacker has a key, too"]))
    finding = await books.first()
    assert "seal 1" in finding.key
    assert "not known" in finding.detail


async def test_not_even_who_has_the_key_can_change_a_decision_without_its_case(books: Books) -> None:
    row = await an_approval(books)
    await forge(books, row, payload=REJECT)
    await reseal(books, KeyRing([SECRET]))
    assert row["case_id"] == (await books.first()).key


async def test_an_old_signature_does_not_cover_a_new_chain(books: Books) -> None:
    await forge(books, await an_approval(books), payload=REJECT)
    seals = await books.here.rows("seals")
    await reseal(books, KeyRing(["the attacker has a key, too"]))
    for seal in seals:
        await books.sql(
            f"UPDATE seals SET key_id = '{seal['key_id']}', signature = '{seal['signature']}' "
            f"WHERE seal_no = {seal['seal_no']}"
        )
    assert "signature" in (await books.first()).detail


@pytest.mark.parametrize("sourced", [True, False])
async def test_an_unsealed_row_whose_hashes_were_put_right_contradicts_its_case(books: Books, sourced: bool) -> None:
    row = await an_approval(books, sealed=False, sourced=sourced)
    await forge(books, row, payload=REJECT)
    assert row["case_id"] == (await books.first()).key


async def test_a_ledger_row_that_was_slipped_in_beyond_the_end_is_named(books: Books) -> None:
    row = await an_approval(books)
    await books.sql(
        f"UPDATE human_interactions SET position = position + 1000 WHERE interaction_id = '{row['interaction_id']}'"
    )
    found = await books.findings()
    assert any(row["interaction_id"] in finding.key for finding in found)
    await books.restore()
    extra = row | {"interaction_id": "int_extra", "dedupe_key": "slack:U666", "position": 1_000_000}
    extra["row_hash"] = row_hash(extra)
    columns, values = ", ".join(extra), ", ".join(map(text, extra.values()))
    await books.sql(f"INSERT INTO human_interactions ({columns}) VALUES ({values})")
    assert any("int_extra" in finding.key for finding in await books.findings())


# --- the rows around the ledger ---

CHANGES = {
    "the content": "UPDATE cases SET content = replace(content, 'May this', 'Must this') WHERE case_id = '{}'",
    "the content and its digest": (
        f"UPDATE cases SET content = '{{{{}}}}', content_digest = '{digest({})}' WHERE case_id = '{{}}'"
    ),
    "the result's action": "UPDATE cases SET result = replace(result, 'approve', 'reject') WHERE case_id = '{}'",
    "the result's data": "UPDATE cases SET result = replace(result, 'note', 'Note') WHERE case_id = '{}'",
    "who answered": "UPDATE cases SET answered = replace(answered, 'U1', 'U2') WHERE case_id = '{}'",
    "through what": "UPDATE cases SET answered = replace(answered, 'slack_block', 'telegram') WHERE case_id = '{}'",
    "the status, to another end": "UPDATE cases SET status = 'expired', result = NULL WHERE case_id = '{}'",
    "the status, back to waiting": (
        "UPDATE cases SET status = 'pending', result = NULL, closed_at = NULL WHERE case_id = '{}'"
    ),
    "the decision's action": "UPDATE decisions SET action = 'reject' WHERE case_id = '{}'",
    "the verdict": "UPDATE decisions SET verdict = 'DENY' WHERE case_id = '{}'",
    "the decision's text": "UPDATE decisions SET body = replace(body, 'U1', 'U2') WHERE case_id = '{}'",
    "no decision": "DELETE FROM decisions WHERE case_id = '{}'",
    "no case": "DELETE FROM cases WHERE case_id = '{}'",
}


@pytest.mark.parametrize("sourced", [True, False], ids=["with a source", "without a source"])
async def test_a_decided_case_that_was_edited_is_named(books: Books, sourced: bool) -> None:
    row = await an_approval(books, sourced=sourced)
    for what, statement in CHANGES.items():
        await books.sql(statement.format(row["case_id"]))
        named = {finding.key for finding in await books.findings()}
        assert {row["case_id"], row["interaction_id"]} & named, f"{what} was changed, and nothing was noticed"
        await books.restore()


@pytest.mark.parametrize("sourced", [True, False], ids=["with a source", "without a source"])
async def test_a_decision_that_was_turned_into_an_edit_is_named(books: Books, sourced: bool) -> None:
    row = await an_approval(books, sourced=sourced)
    case_id = row["case_id"]
    await books.sql(
        f"UPDATE cases SET result = replace(result, 'approve', 'edit') WHERE case_id = '{case_id}'",
        f"DELETE FROM decisions WHERE case_id = '{case_id}'",
        f"DELETE FROM decision_events WHERE case_id = '{case_id}'",
    )
    assert case_id in {finding.key for finding in await books.findings()}


@pytest.mark.parametrize("sourced", [True, False], ids=["with a source", "without a source"])
async def test_a_decision_that_was_undone_so_that_its_case_waits_is_named(books: Books, sourced: bool) -> None:
    row = await an_approval(books, sourced=sourced, sealed=False)
    case_id = row["case_id"]
    await books.sql(
        f"UPDATE cases SET status = 'pending', result = NULL, closed_at = NULL WHERE case_id = '{case_id}'",
        f"DELETE FROM decisions WHERE case_id = '{case_id}'",
        f"DELETE FROM decision_events WHERE case_id = '{case_id}'",
        f"DELETE FROM human_interactions WHERE case_id = '{case_id}'",
    )
    assert case_id in {finding.key for finding in await books.findings()}


async def test_an_event_that_says_something_else_is_named_though_its_hash_is_right(books: Books) -> None:
    row = await an_approval(books, sealed=False)
    event = await books.here.row("decision_events", "case_id = :c", c=row["case_id"])
    edits: list[Callable[[dict[str, Any]], Any]] = [
        lambda body: body["decision"].update(type="DENY"),
        lambda body: body["decision"].update(decided_by={"platform": "slack", "platform_user_id": "U666"}),
        lambda body: body["result"].update(data={"amount": 1}),
        lambda body: body["ledger"].update(interaction_id="int_other"),
        lambda body: body["ledger"].update(row_hash="0" * 64),
        lambda body: body.update(content_digest="sha256:other"),
        lambda body: body.update(case_id="review_other"),
        lambda body: body.pop("decision"),
    ]
    for edit in edits:
        body = json.loads(event["body"])
        edit(body)
        changed = json.dumps(body)
        await books.sql(
            f"UPDATE decision_events SET body = {text(changed)}, row_hash = '{sha256_hex(changed.encode())}' "
            f"WHERE event_id = '{event['event_id']}'"
        )
        assert row["case_id"] == (await books.first()).key
        await books.restore()


async def test_a_missing_event_is_named(books: Books) -> None:
    row = await an_approval(books, sealed=False)
    await books.sql(f"DELETE FROM decision_events WHERE case_id = '{row['case_id']}'")
    assert [row["case_id"]] == [finding.key for finding in await books.findings()]


GARBAGE = ["", "no JSON", "[]", "5", "null", '{"action": 5}', '{"decision": []}', '"text"', "{" * 1_000]


PLACES = [
    ("human_interactions", "payload"),
    ("human_interactions", "replier"),
    ("decision_events", "body"),
    ("decisions", "body"),
    ("cases", "result"),
    ("cases", "answered"),
    ("cases", "content"),
]


async def test_garbage_is_a_finding_and_no_crash(books: Books) -> None:
    row = await an_approval(books)
    for table, column in PLACES:
        for garbage in GARBAGE:
            await books.sql(f"UPDATE {table} SET {column} = {text(garbage)} WHERE case_id = '{row['case_id']}'")
            assert await books.findings(), f"{table}.{column} = {garbage!r} was not noticed"
        await books.restore()


# --- what constraints forbid, once they are gone ---


async def without_constraints(books: Books, table: str) -> None:
    """The same rows in a table that allows everything."""
    await books.sql(
        f"CREATE TABLE bare AS SELECT * FROM {table}",
        f"DROP TABLE {table} CASCADE" if books.here.database.dialect == "postgresql" else f"DROP TABLE {table}",
        f"ALTER TABLE bare RENAME TO {table}",
    )


async def doubled(books: Books, table: str, row: dict[str, Any], **changes: Any) -> None:
    await without_constraints(books, table)
    row = row | changes
    await books.sql(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(map(text, row.values()))})")


async def named_by(books: Books, oracle: str) -> list[str]:
    return [finding.key for finding in await books.findings() if finding.oracle == oracle]


async def test_a_doubled_ledger_row_is_named(books: Books) -> None:
    row = await an_approval(books)
    twin = row | {"interaction_id": "int_twin", "position": None}
    await doubled(books, "human_interactions", twin, row_hash=row_hash(twin))
    (key,) = await named_by(books, "duplicate interactions")
    assert f"{row['workflow_id']} review human:review slack:U1" == key


async def test_a_copied_ledger_row_is_named(books: Books) -> None:
    row = await an_approval(books)
    await doubled(books, "human_interactions", row)
    assert await named_by(books, "duplicate interactions")
    assert await named_by(books, "ledger hash chain")


async def test_a_doubled_decision_is_named(books: Books) -> None:
    row = await books.here.row("decisions", "case_id = :c", c=(await an_approval(books))["case_id"])
    await doubled(books, "decisions", row, verdict="DENY", action="reject")
    assert [f"{row['workflow_id']} decision:review"] == await named_by(books, "duplicate decisions")


async def test_a_second_case_behind_a_gate_is_named(books: Books) -> None:
    row = await books.here.row("cases", "case_id = :c", c=(await an_approval(books))["case_id"])
    await doubled(books, "cases", row, case_id="review_twin")
    assert [f"{row['workflow_id']} review"] == await named_by(books, "phantom prompts")
