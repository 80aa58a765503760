"""One PostgreSQL database after the other for the tests of a worker: emptied instead of made anew.

Cloning the template costs 0.4 s of a core, emptying what a test has written 0.01 s, over a connection that is kept: a
new one would take twice that, as it has yet to learn what is where. A database whose schema a test has changed is
thrown away.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg

from tests.support.postgres import Server, create_database, drop_database

RECYCLER = "recycler"  # as PostgreSQL lists its session

# Everybody else out; then the rows, without the checks of foreign keys, because all of them go. A few are deleted
# (6 ms for all tables), many truncated (150 ms, as each table gets new files).
_ALONE = """
    SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_EMPTY = """
DO $$
DECLARE
    one regclass;
    rows_found integer;
BEGIN
    FOR one IN
        SELECT oid::regclass FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
    LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT 1 FROM %s LIMIT 2001) AS few', one) INTO rows_found;
        IF rows_found > 2000 THEN
            EXECUTE format('TRUNCATE %s CASCADE', one);
        ELSIF rows_found > 0 THEN
            EXECUTE format('DELETE FROM %s', one);
        END IF;
    END LOOP;
END $$
"""
# Everything about the schema that a test could have changed: tables, columns, constraints, indexes, triggers,
# functions, settings, the revision.
_SCHEMA = """
    SELECT md5(string_agg(part, E'\\n' ORDER BY part)) FROM (
        SELECT concat_ws(' ', c.relname, c.relkind, c.relpersistence, c.reloptions, a.attnum, a.attname,
                         format_type(a.atttypid, a.atttypmod), a.attnotnull) AS part
        FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT concat_ws(' ', conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
        UNION ALL
        SELECT pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
        UNION ALL
        SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
        UNION ALL
        SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL
        SELECT concat_ws(' ', setdatabase, setrole, setconfig) FROM pg_db_role_setting
        UNION ALL
        SELECT version_num FROM alembic_version
    ) AS parts
"""


# A test may have ended all connections, or the server; the table is the revision's.
_LOST = (asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError, OSError)
_UNFIT = (*_LOST, asyncpg.UndefinedTableError)


class Recycler:
    """Hands out a database that nobody uses, as a new one would be."""

    def __init__(self, server: Server, template: str) -> None:
        self._admin_url = server.admin_url
        self._template = template
        self._url: str | None = None
        self._session: _Session | None = None
        self._schema: str | None = None

    def take(self) -> str:
        """The URL of an empty database with the migrated schema."""
        if self._url is None:
            self._url = create_database(self._admin_url, self._template)
            self._session = _Session(self._url)
            self._schema = self._session.schema()
        return self._url

    def give_back(self) -> None:
        """Empty it, or throw it away."""
        assert self._session is not None
        try:
            self._session.empty()
            same = self._session.schema() == self._schema
        except _UNFIT:
            same = False
        if not same:
            self.drop()

    def drop(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None
        if self._url is not None:
            drop_database(self._admin_url, self._url)
            self._url = None


class _Session:
    """A connection in a thread of its own, because a test that ends may have an event loop running."""

    def __init__(self, url: str) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._runner = asyncio.Runner()
        self._connection: Any = self._wait(
            asyncpg.connect(url, timeout=30, command_timeout=60, server_settings={"application_name": RECYCLER})
        )
        self._wait(self._connection.execute("SET session_replication_role = replica"))

    def empty(self) -> None:
        self._wait(self._connection.execute(_ALONE))
        self._wait(self._connection.execute(_EMPTY))

    def schema(self) -> str:
        return str(self._wait(self._connection.fetchval(_SCHEMA)))

    def close(self) -> None:
        self._thread.submit(self._connection.terminate).result()
        self._thread.submit(self._runner.close).result()
        self._thread.shutdown()

    def _wait(self, work: Any) -> Any:
        async def done() -> Any:
            return await work

        return self._thread.submit(self._runner.run, done()).result()
