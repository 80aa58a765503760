"""Named statements become each driver's SQL, and writes travel together."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import core.ledger
from core.ledger.chat_tables import metadata
from core.ledger.engine import Conflicting, check_touched
from core.ledger.statements import (
    POSTGRES_NOW,
    SQLITE_NOW,
    Statement,
    Write,
    batch_args,
    batch_for_postgres,
    for_postgres,
    for_sqlite,
)

ALL = {
    id(statement): statement
    for module in pkgutil.iter_modules(core.ledger.__path__)
    for statement in vars(importlib.import_module(f"core.ledger.{module.name}")).values()
    if isinstance(statement, Statement)
}
SELECT = Statement("select", "SELECT a FROM t WHERE b = :b AND c = :c AND (d = :b OR :c IS NULL)")


def test_a_parameter_may_stand_in_several_places() -> None:
    params = {"b": 1, "c": 2}
    sqlite, postgres = for_sqlite(SELECT), for_postgres(SELECT)
    assert "SELECT a FROM t WHERE b = ? AND c = ? AND (d = ? OR ? IS NULL)" == sqlite.sql
    assert [1, 2, 1, 2] == sqlite.args(params)
    assert "SELECT a FROM t WHERE b = $1 AND c = $2 AND (d = $1 OR $2 IS NULL)" == postgres.sql
    assert [1, 2] == postgres.args(params)


def test_casts_and_times_in_texts_are_no_parameters() -> None:
    statement = Statement("cast", "SELECT '10:30'::text, x::bigint FROM t WHERE y = :y")
    assert "SELECT '10:30'::text, x::bigint FROM t WHERE y = $1" == for_postgres(statement).sql


def test_a_missing_parameter_is_an_error() -> None:
    with pytest.raises(KeyError):
        for_sqlite(SELECT).args({"b": 1})


def test_the_clock_and_the_locks_are_each_databases_own() -> None:
    statement = Statement("lock", "SELECT {now} FROM t {for_update} {skip_locked}")
    assert f"SELECT {SQLITE_NOW} FROM t  " == statement.text("sqlite")
    assert f"SELECT {POSTGRES_NOW} FROM t FOR NO KEY UPDATE FOR NO KEY UPDATE SKIP LOCKED" == statement.text(
        "postgresql"
    )


def test_postgresql_may_have_a_text_of_its_own() -> None:
    statement = Statement("own", "SELECT 1", "SELECT 2")
    assert ("SELECT 1", "SELECT 2") == (statement.text("sqlite"), statement.text("postgresql"))


def test_writes_travel_as_one_statement_with_their_own_parameters() -> None:
    update = Statement("update", "UPDATE t SET a = :a WHERE b = :b")
    delete = Statement("delete", "DELETE FROM u WHERE a = :a")
    rendered = batch_for_postgres((update, delete, update))
    assert rendered.sql == (
        "WITH w0 AS (UPDATE t SET a = $1 WHERE b = $2 RETURNING 1), w1 AS (DELETE FROM u WHERE a = $3 RETURNING 1), "
        "w2 AS (UPDATE t SET a = $4 WHERE b = $5 RETURNING 1) "
        "SELECT (SELECT count(*) FROM w0) AS n0, (SELECT count(*) FROM w1) AS n1, (SELECT count(*) FROM w2) AS n2"
    )
    writes = [Write(update, {"a": 1, "b": 2}), Write(delete, {"a": 3}), Write(update, {"a": 4, "b": 5})]
    assert [1, 2, 3, 4, 5] == batch_args(rendered, writes)


def test_a_guarded_write_that_touched_other_rows_is_a_conflict() -> None:
    guarded, any_number = Write(SELECT), Write(SELECT, rows=None)
    check_touched([guarded, any_number], [1, 7])
    for touched in (0, 2):
        with pytest.raises(Conflicting):
            check_touched([guarded], [touched])


@pytest.mark.parametrize(
    "statement", [one for one in ALL.values() if one.table], ids=lambda statement: str(statement.name)
)
def test_an_insert_names_every_column_of_its_table_but_those_that_may_begin_as_null(statement: Statement) -> None:
    table = metadata.tables[str(statement.table)]
    named = [name for name in table.columns.keys() if name in statement.columns]  # noqa: SIM118 - not a dict
    assert tuple(named) == statement.columns
    assert all(column.nullable for column in table.columns if column.name not in statement.columns)


def test_a_serving_process_does_not_load_what_declares_the_schema() -> None:
    # It would cost 11 MB and a fifth of a second at every start.
    code = "import sys, bot.cli, bot.serve; print('sqlalchemy' in sys.modules)"
    assert b"False" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip()


def test_every_statement_has_a_name_of_its_own() -> None:
    names = [statement.name for statement in ALL.values()]
    assert len(ALL) > 200
    assert [] == sorted({name for name in names if names.count(name) > 1})
