"""The oracles that are one question to the database each, and the same as a script for psql or sqlite3."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from core.ledger import Statement
from core.ledger import guard_queries as g
from core.ledger import oracle_queries as oq
from core.ledger import run_queries as rq
from core.ledger import seal_queries as slq
from core.ledger import source_queries as sq

CHAIN = "ledger hash chain"
UNDECIDED = "decisions without an accepted interaction"
UNANNOUNCED = "decided cases with a source and no event"
CHANGED = "terminal rows that changed"
UNSENT = "signals unsent"
PHANTOMS = "phantom prompts"

REOPENED = "this case was closed and is waiting again"
CLOSED_BY_NOBODY = "this case is closed, and the ledger has no row that closed it"
ENDED_OTHERWISE = "the case did not end as the ledger says"
ERASED_OTHERWISE = "the ledger says something else of whether, and when, this was erased"
NEVER_TOLD = "executors were never told"
ROW_MISSING = "this row is missing"
SEAL_MISSING = "this seal is missing"


@dataclass(frozen=True, slots=True)
class Counted:
    """`statement` gives the key of every offending row, and none when all is well; `detail` says what is wrong."""

    oracle: str
    statement: Statement
    detail: str


COUNTED = (
    Counted("duplicate interactions", oq.DUPLICATE_INTERACTIONS, "this reply is in the ledger more than once"),
    Counted("duplicate decisions", oq.DUPLICATE_DECISIONS, "this gate was decided more than once"),
    Counted(PHANTOMS, oq.PHANTOM_PROMPTS, "two cases stand behind this gate"),
    Counted(PHANTOMS, oq.PROMPTS_WITHOUT_CASE, "this was asked, and no case stands behind it"),
    Counted(PHANTOMS, oq.GATES_WITHOUT_PROMPT, "this gate is open, and its workflow was never told what is asked"),
    Counted("events without a decision", oq.EVENTS_WITHOUT_DECISION, "nothing was decided that this could announce"),
    Counted(UNANNOUNCED, oq.DECIDED_WITHOUT_EVENT, NEVER_TOLD),
    Counted("decisions without a case", oq.DECISIONS_WITHOUT_CASE, "the case of this decision is gone"),
    Counted(UNDECIDED, oq.DECISIONS_WITHOUT_INTERACTION, "the ledger has no reply that this decision rests on"),
    Counted(UNDECIDED, oq.CLOSED_BY_NOBODY, CLOSED_BY_NOBODY),
    Counted("ledger rows without a case", oq.INTERACTIONS_WITHOUT_CASE, "the case of this ledger row is gone"),
    Counted("events that nothing pushes", sq.NEVER_PUSHED, "its source has a webhook, and no delivery was made for it"),
    Counted("approved tasks that nobody dispatched", g.NEVER_DISPATCHED, "it was approved, and executors never told"),
    Counted("duplicate run steps", rq.DUPLICATE_STEPS, "this attempt at a step was recorded more than once"),
    Counted("duplicate artifacts", rq.DUPLICATE_ARTIFACTS, "this artifact was recorded more than once"),
    Counted("duplicate gate events", rq.DUPLICATE_GATE_EVENTS, "this event of a workflow was written more than once"),
    Counted("duplicate escalations", rq.DUPLICATE_ESCALATIONS, "this escalation started more than once"),
    Counted("escalations without a timeout", rq.ESCALATIONS_WITHOUT_TIMEOUT, "nobody was late at what it escalates"),
    Counted("results without an interaction", rq.RESULTS_WITHOUT_INTERACTION, "the ledger has no such reply"),
    Counted("branches that nobody decided", rq.BRANCHES_UNLIKE_DECISIONS, "the decisions know nothing of this branch"),
    Counted("results of withdrawn gates", rq.RESULTS_OF_WITHDRAWN_GATES, "nobody answered this, and it has a result"),
    Counted("gates that ended unheard", rq.ENDED_GATES_UNTOLD, "this gate has ended, and no signal says so"),
    Counted(UNSENT, rq.UNSENT_SIGNALS, "its workflow should have heard of this gate's end 10 s ago"),
    Counted(UNSENT, oq.HELD_TOO_LONG, "its answer could no longer be revised 10 s ago, and does not count yet"),
    Counted("runs that wait for nobody", rq.WAITS_FOR_NOBODY, "it waits, and nobody is asked"),
    Counted(CHANGED, oq.REOPENED, REOPENED),
    Counted(CHANGED, oq.ENDED_OTHERWISE, ENDED_OTHERWISE),
    Counted(CHANGED, oq.ERASED_UNSAID, ERASED_OTHERWISE),
    Counted(CHANGED, rq.RUNS_CHANGED_AFTER_THE_END, "this run has ended, and something moved since"),
    Counted(CHANGED, oq.MOVED_UNTOLD, "this run does not stand where it last told its readers"),
    Counted(CHAIN, slq.ROWS_OUTSIDE_CHAIN, "this row claims a position that no seal covers"),
    Counted(CHAIN, oq.MISSING_POSITIONS, ROW_MISSING),
    Counted(CHAIN, oq.DOUBLED_POSITIONS, "two rows stand at this position"),
    Counted(CHAIN, oq.MISSING_SEALS, SEAL_MISSING),
    Counted(CHAIN, oq.HEADS_UNLIKE_SEALS, "the end of the chain is not where its last seal was set"),
)

_BEGIN = {"sqlite": "BEGIN;", "postgresql": "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"}
_RUN = {
    "sqlite": "sqlite3 -readonly assent.db < sqlite.sql",
    "postgresql": 'psql -qAtX "$DATABASE_URL" -f postgresql.sql',
}


def script(dialect: str) -> str:
    """The oracles as SQL for one database: every row that it prints is a finding (oracle, key, what is wrong)."""
    head = f"""\
        -- What `assent verify` asks the database, each of which must find nothing:
        --   {_RUN[dialect]}
        -- Hashes and signatures are not checked here; `assent verify` does that.
        -- Written by `assent verify --sql {dialect}`.
        {_BEGIN[dialect]}
        """
    return "\n".join([textwrap.dedent(head), *(_question(one, dialect) for one in COUNTED), "COMMIT;\n"])


def _question(one: Counted, dialect: str) -> str:
    sql = textwrap.indent(textwrap.dedent(one.statement.text(dialect)).strip(), "    ")
    oracle, detail = (text.replace("'", "''") for text in (one.oracle, one.detail))
    return f"SELECT '{oracle}' AS oracle, key, '{detail}' AS detail FROM (\n{sql}\n) AS found;\n"  # noqa: S608
