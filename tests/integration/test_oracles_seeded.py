"""Every oracle of `assent verify`: something is put wrong behind Assent's back, with no constraint in the way, and is
found and named; by the command and by the SQL files that operators run alike.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.gate_keys import escalation_of
from core.hub import Hub
from core.ledger import open_database
from core.ledger.executor_tables import metadata
from core.oracle_list import CHANGED, COUNTED, script
from core.oracles import Finding, Oracles
from core.run_moves import Run
from core.runs import Intent
from core.workflows import PLAN_APPROVAL
from tests.integration.test_run_gates import HOUR, Stage, stage_on
from tests.support.gates import World, as_superuser, world
from tests.support.sql_programs import run_script

ROOT = Path(__file__).parents[2]
FILES = ROOT / "manifests/oracles"
DIALECTS = ("postgresql", "sqlite")
TABLES = (
    "cases", "human_interactions", "decisions", "decision_events", "case_events", "chains", "seals", "sources", "tasks",
    "runs", "workflow_events", "signals", "run_steps", "artifacts", "run_stream",
)  # fmt: skip
NO_JSON = "'no JSON'"


@dataclass(frozen=True)
class Seed:
    """`statements` put wrong what the oracle `oracle` finds, in these words, at the row whose key is `key`."""

    oracle: str
    detail: str
    key: str
    statements: tuple[str, ...]


@dataclass
class Book:
    """A ledger with every kind of row, in tables without constraints. Names: workflow ids and case ids."""

    here: World
    done: str = ""
    late: str = ""
    withdrawn: str = ""
    waiting: str = ""
    plain: str = ""
    bare: str = ""
    tenant: str = ""
    seal: int = 0
    position: int = 0
    cases: dict[str, str] = field(default_factory=dict)

    async def sql(self, *statements: str) -> None:
        await as_superuser(self.here.url, *statements)

    async def restore(self) -> None:
        await self.sql(
            *(f"DELETE FROM {table}" for table in TABLES),
            *(f"INSERT INTO {table} SELECT * FROM kept_{table}" for table in TABLES),
        )

    @asynccontextmanager
    async def oracles(self) -> AsyncIterator[Oracles]:
        """On a connection that knows nothing of how the tables were before."""
        database = open_database(self.here.url, clock_offset=lambda: self.here.clock.offset, pool_size=2)
        await database.start(Hub())
        try:
            yield Oracles(database, self.here.ring)
        finally:
            await database.close()

    async def by_file(self) -> set[tuple[str, ...]]:
        return set(await run_script(self.here.url, FILES / f"{self.here.database.dialect}.sql"))


def copy(table: str, where: str, **changes: str) -> str:
    """A second row like the one that is `where`, with some columns (SQL) changed."""
    columns = list(metadata.tables[table].columns.keys())
    values = ", ".join(changes.get(name, f'"{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    return f"INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE {where}"


async def _run(stage: Stage, **terms: object) -> Run:
    intent = Intent("Scale search", PLAN_APPROVAL, {}, terms, source_id=stage.here.source_id)
    run = await stage.runs.start(stage.here.agent, await stage.runs.intend(stage.here.agent, intent), "tests")
    await stage.worker.work()
    return run


async def filled(here: World) -> Book:
    """Runs that were carried out, timed out and escalated, were withdrawn and wait; cases with and without a source."""
    stage, book = await stage_on(here), Book(here)
    escalation = {"notify": ["slack:C9"], "timeout": "96h", "timeout_ms": 96 * HOUR, "policy": None}
    done, late, withdrawn = [await _run(stage, escalation=escalation) for _ in range(3)]
    await stage.reply(done)
    await here.gate.cancel(here.agent, (await stage.gate(withdrawn)).case.case_id, "no longer needed")
    plain, bare = await here.open(), await here.open(sourced=False)
    await here.answer(plain, "approve", {"note": "x"})
    await here.answer(bare, "approve")
    await here.seal()
    await stage.worker.work()
    here.clock.forward(25 * HOUR)
    await here.gate.expire_due()
    await stage.worker.work()
    waiting = await _run(stage)
    await here.seal()
    book.done, book.late, book.withdrawn = done.workflow_id, late.workflow_id, withdrawn.workflow_id
    book.waiting, book.plain, book.bare = waiting.workflow_id, plain.case.case_id, bare.case.case_id
    book.cases = {row["workflow_id"]: row["case_id"] for row in await here.rows("cases")}
    head = await here.row("chains")
    book.tenant, book.seal, book.position = head["tenant_id"], head["seal_no"], head["position"]
    cascade = " CASCADE" if here.database.dialect == "postgresql" else ""
    for table in TABLES:
        await book.sql(
            f"CREATE TABLE bare AS SELECT * FROM {table}",
            f"DROP TABLE {table}{cascade}",
            f"ALTER TABLE bare RENAME TO {table}",
            f"CREATE TABLE kept_{table} AS SELECT * FROM {table}",
        )
    return book


def seeds(book: Book) -> Iterator[Seed]:
    done, late, waiting = (f"workflow_id = '{name}'" for name in (book.done, book.late, book.waiting))
    gate = f"{book.done} {PLAN_APPROVAL}"
    escalation = escalation_of(book.late, PLAN_APPROVAL)
    plain, bare, asked = (f"case_id = '{name}'" for name in (book.plain, book.bare, book.cases[book.waiting]))
    of_done = f"case_id = '{book.cases[book.done]}'"
    run_of_done = f"run_id = (SELECT run_id FROM runs WHERE {done})"
    words = {one.statement.name: (one.oracle, one.detail) for one in COUNTED}

    def seed(name: str, key: str, *statements: str) -> Seed:
        return Seed(*words[name], key, statements)

    def changed(detail: str, key: str, *statements: str) -> Seed:
        return Seed(CHANGED, detail, key, statements)

    yield seed(
        "duplicate_interactions",
        f"{gate} human:{PLAN_APPROVAL} k1",
        copy("human_interactions", done, interaction_id="'int_2'", position="NULL"),
    )
    yield seed(
        "duplicate_decisions", f"{book.done} decision:{PLAN_APPROVAL}", copy("decisions", done, verdict="'DENY'")
    )
    yield seed("phantom_prompts", gate, copy("cases", done, case_id="'review_twin'"))
    yield seed(
        "prompts_without_case",
        f"{book.waiting} ui:{PLAN_APPROVAL}",
        f"UPDATE workflow_events SET case_id = 'review_x' WHERE {waiting}",
    )
    yield seed(
        "gates_without_prompt", f"{book.waiting} {PLAN_APPROVAL}", f"DELETE FROM workflow_events WHERE {waiting}"
    )
    event = f"(SELECT event_id FROM decision_events WHERE {plain})"
    yield seed(
        "events_without_decision",
        "dev_x",
        f"DELETE FROM decisions WHERE {plain}",
        f"UPDATE decision_events SET event_id = 'dev_x' WHERE event_id = {event}",
    )
    yield seed("erased_unsaid", book.plain, f"UPDATE cases SET erased_at = 1 WHERE {plain}")
    yield seed("decided_without_event", book.plain, f"DELETE FROM decision_events WHERE {plain}")
    yield seed("decisions_without_case", book.plain, f"DELETE FROM cases WHERE {plain}")
    yield seed(
        "decisions_without_interaction", book.bare, f"UPDATE decisions SET interaction_id = 'int_x' WHERE {bare}"
    )
    yield seed(
        "closed_by_nobody",
        book.cases[book.withdrawn],
        f"DELETE FROM human_interactions WHERE workflow_id = '{book.withdrawn}'",
    )
    yield seed(
        "interactions_without_case",
        "int_y",
        copy("human_interactions", plain, interaction_id="'int_y'", case_id="'gone'"),
    )
    yield seed(
        "never_pushed",
        "dev_y",
        "UPDATE sources SET mode = 'WEBHOOK_AND_PULL', settings = '{\"pushed_since\": 1}'",
        f"UPDATE decision_events SET event_id = 'dev_y' WHERE event_id = {event}",
    )
    yield seed(
        "never_dispatched",
        book.plain,
        f"INSERT INTO tasks (case_id, created_at) VALUES ('{book.plain}', 1)",
        f"UPDATE decisions SET decided_at = decided_at - 60000 WHERE {plain}",
    )
    yield seed("duplicate_steps", " apply 1", copy("run_steps", f"{run_of_done} AND step_id = 'apply'"))
    yield seed("duplicate_artifacts", " compile plan 1 0", copy("artifacts", f"{run_of_done} AND step_id = 'compile'"))
    yield seed(
        "duplicate_gate_events",
        f"{book.done} ui:{PLAN_APPROVAL}:result",
        copy("workflow_events", f"{done} AND key LIKE '%:result'", data="'{}'"),
    )
    yield seed("duplicate_escalations", escalation, copy("runs", f"workflow_id = '{escalation}'", run_id="'run_2'"))
    yield seed(
        "escalations_without_timeout",
        f"{escalation}x",
        copy("runs", f"workflow_id = '{escalation}'", workflow_id="workflow_id || 'x'"),
    )
    yield seed(
        "results_without_interaction",
        f"{book.done} ui:{PLAN_APPROVAL}:result",
        f"UPDATE workflow_events SET interaction_id = 'int_x' WHERE {done} AND key LIKE '%:result'",
    )
    yield seed(
        "branches_unlike_decisions",
        f"{book.done} decision:{PLAN_APPROVAL}",
        f"UPDATE workflow_events SET interaction_id = 'int_x' WHERE {done} AND key LIKE 'decision:%'",
    )
    yield seed(
        "results_of_withdrawn_gates",
        f"{book.withdrawn} ui:{PLAN_APPROVAL}:result",
        copy(
            "workflow_events",
            f"workflow_id = '{book.withdrawn}' AND key LIKE '%:audit'",
            key=f"'ui:{PLAN_APPROVAL}:result'",
        ),
    )
    yield seed("ended_gates_untold", gate, f"DELETE FROM signals WHERE {done}")
    yield seed(
        "unsent_signals",
        gate,
        # Put off into the future, as a signal is that cannot be brought: it is late all the same.
        f"UPDATE signals SET received_at = NULL, created_at = created_at - 60000, due_at = due_at + 90000 WHERE {done}",
    )
    yield seed("held_too_long", book.plain, f"UPDATE cases SET settles_at = 1 WHERE {plain}")
    yield seed("waits_for_nobody", book.waiting, f"UPDATE cases SET workflow_id = 'wf_other' WHERE {asked}")
    yield seed(
        "reopened",
        book.plain,
        f"UPDATE cases SET status = 'pending', result = NULL, closed_at = NULL WHERE {plain}",
    )
    yield seed("ended_otherwise", book.plain, f"UPDATE cases SET status = 'cancelled' WHERE {plain}")
    yield seed("runs_changed_after_the_end", book.done, f"UPDATE runs SET updated_at = updated_at + 1 WHERE {done}")
    yield seed(
        "moved_untold",
        book.done,
        f"UPDATE runs SET status = 'queued', finished_at = NULL, outcome = NULL, due_at = 1 WHERE {done}",
    )
    end = "UPDATE human_interactions SET position = "
    yield seed("rows_outside_chain", "int_", f"{end} 1000000 WHERE {plain}")
    yield seed(
        "missing_positions",
        f"{book.tenant} position {book.position}",
        f"DELETE FROM human_interactions WHERE position = {book.position}",
        f"DELETE FROM decision_events WHERE position = {book.position}",
    )
    yield seed(
        "doubled_positions",
        f"{book.tenant} position 1",
        copy("human_interactions", "position = 1", interaction_id="'int_3'", dedupe_key="'k9'"),
    )
    yield seed("missing_seals", f"{book.tenant} seal 1", "DELETE FROM seals WHERE seal_no = 1")
    yield seed(
        "heads_unlike_seals",
        f"{book.tenant} seal {book.seal}",
        f"UPDATE chains SET seal_no = seal_no - 1, position = {book.position}",
    )
    # What no question to the database sees: what JSON says.
    for name, was, now in (
        (f"ui:{PLAN_APPROVAL}", "Carry out", "Forget"),
        (f"ui:{PLAN_APPROVAL}:result", "looks right", "never mind"),
        (f"decision:{PLAN_APPROVAL}", "APPROVE", "DENY"),
        (f"ui:{PLAN_APPROVAL}:audit", '"completed"', '"expired"'),
    ):
        what = {"ui:plan-approval": "prompt", "ui:plan-approval:result": "payload"}.get(name, "")
        what = what or ("verdict" if name.startswith("decision") else "status")
        place = f"{done} AND key = '{name}'"
        yield changed(
            f"its {what} is not that of its case",
            f"{book.done} {name}",
            f"UPDATE workflow_events SET data = replace(data, '{was}', '{now}') WHERE {place}",
        )
    yield changed(
        "this says nothing that its case could have said",
        f"{book.done} ui:{PLAN_APPROVAL}",
        f"UPDATE cases SET terms = {NO_JSON} WHERE {of_done}",
    )
    yield changed(
        "its outcome is not the one with which it ended",
        book.late,
        f"UPDATE runs SET outcome = 'executed' WHERE {late}",
    )
    yield changed(
        "its status is not the one with which it ended", book.late, f"UPDATE runs SET status = 'failed' WHERE {late}"
    )


@pytest.fixture
async def book(database_url: str) -> AsyncIterator[Book]:
    async with world(database_url) as here:
        yield await filled(here)


async def test_each_oracle_finds_and_names_what_was_put_wrong_and_the_sql_files_say_the_same(book: Book) -> None:
    counted = {(one.oracle, one.detail) for one in COUNTED}
    async with book.oracles() as oracles:
        assert [] == await oracles.findings()
        assert set() == await book.by_file()
        seen = set()
        for seed in seeds(book):
            await book.sql(*seed.statements)
            found = await oracles.findings()
            named = [one for one in found if (one.oracle, one.detail) == (seed.oracle, seed.detail)]
            assert any(seed.key in one.key for one in named), f"{seed} is not among {found}"
            in_sql = {as_row(one) for one in found if (one.oracle, one.detail) in counted}
            assert in_sql == await book.by_file(), seed
            seen.add((seed.oracle, seed.detail))
            await book.restore()
        assert [] == await oracles.findings()
    assert counted <= seen, "put these wrong, too"


def as_row(finding: Finding) -> tuple[str, ...]:
    return finding.oracle, finding.key, finding.detail


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_sql_files_are_those_that_the_command_writes(dialect: str) -> None:
    words = f"run: assent verify --sql {dialect} > manifests/oracles/{dialect}.sql"
    assert script(dialect) == (FILES / f"{dialect}.sql").read_text(encoding="utf-8"), words


def test_every_oracle_is_documented() -> None:
    words = (ROOT / "docs/verify.md").read_text(encoding="utf-8")
    assert set() == {one.oracle for one in COUNTED if one.oracle not in words}
