"""Many identical creating requests at once, under one Idempotency-Key, over all replicas: one thing is made, and
everybody gets the same answer.

`python -m tests.chaos.same_key --rounds 50 --database sqlite|postgresql` prints one line per address. SQLite has one
server process, PostgreSQL two.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from core.access import Scope
from core.ledger import migrate
from tests.bench.client import Connection, Target
from tests.support.creating import CASE, REVIEW_TASK, SOURCE, TASK, Creating, in_flight, until_answered
from tests.support.databases import rows
from tests.support.gates import world
from tests.support.postgres import Run, create_database, drop_database
from tests.support.process import SECRET, serving
from tests.support.server import let_in

COPIES = 200
STORMS = (CASE, REVIEW_TASK, SOURCE, TASK)
REPLICAS = {"sqlite": 1, "postgresql": 2}
SCOPES: tuple[Scope, ...] = ("agent", "admin")
_OFF = {"RATE_LIMITS": "off"}


@dataclass
class Storm:
    """Connections to all replicas in turn, keys by their scope, and a source of the tenant's."""

    database_url: str
    connections: list[Connection]
    keys: dict[str, str]
    tenant_id: str
    source: str

    async def round(self, what: Creating, key: str) -> int:
        """One request on every connection at once; how many were told that the first was under way, and then got its
        answer. Raises AssertionError when more than one thing was made, or anybody was told something else.
        """
        content = what.content(self.source)
        head = (
            f"POST {what.path.format(source_id=self.source)} HTTP/1.1",
            "host: replicas",
            f"authorization: Bearer {self.keys[what.scope]}",
            f"x-tenant-id: {self.tenant_id}",
            f"idempotency-key: {key}",
            "content-type: application/json",
            f"content-length: {len(content)}",
        )
        request = "\r\n".join((*head, "", "")).encode() + content

        async def asked(connection: Connection) -> tuple[bool, httpx.Response]:
            async def ask() -> httpx.Response:
                answer = await connection.ask(request)
                return httpx.Response(answer.status, headers=list(answer.headers.items()), content=answer.body)

            first = await let_in(ask)
            return (True, await until_answered(lambda: let_in(ask))) if in_flight(first) else (False, first)

        before = await self._count(what)
        answers = await asyncio.gather(*map(asked, self.connections))
        assert {what.status} == {answer.status_code for _, answer in answers}, [a.text for _, a in answers[:3]]
        assert 1 == len({answer.content for _, answer in answers}), "not everybody got the same answer"
        assert before + 1 == await self._count(what), f"not one row of {what.table} was made"
        return sum(waited for waited, _ in answers)

    async def _count(self, what: Creating) -> int:
        (row,) = await rows(self.database_url, f"SELECT count(*) AS n FROM {what.table}")
        return int(row["n"])


@asynccontextmanager
async def storms(database_url: str, copies: int = COPIES) -> AsyncIterator[Storm]:
    """Real server processes on a migrated database, and so many connections to them."""
    async with world(database_url, secrets=(SECRET,)) as here:
        keys: dict[str, str] = {scope: (await here.keys.create(scope, here.agent.tenant_id))[0] for scope in SCOPES}
        tenant_id, source_id = here.agent.tenant_id, here.source_id
    replicas = REPLICAS[database_url.partition(":")[0]]
    async with AsyncExitStack() as stack:
        starting = [serving(database_url, environment=_OFF) for _ in range(replicas)]
        servers = await asyncio.gather(*map(stack.enter_async_context, starting))
        targets = [Target(server.url, "") for server in servers]
        opening = (targets[n % replicas].connection() for n in range(copies))
        connections = [await stack.enter_async_context(connection) for connection in opening]
        yield Storm(database_url, connections, keys, tenant_id, source_id)


async def run(database_url: str, rounds: int, copies: int, whats: Sequence[Creating]) -> None:
    async with storms(database_url, copies) as storm:
        for what in whats:
            began = time.monotonic()
            told = sum([await storm.round(what, f"round-{n}") for n in range(rounds)])
            words = f"{rounds} rounds of {copies}, one made in each and {copies} same answers"
            print(f"POST {what.path}: {words}; {told} asked again; {time.monotonic() - began:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="postgresql")
    parser.add_argument("--path", choices=[what.path for what in STORMS], action="append")
    given = parser.parse_args()
    whats = [what for what in STORMS if what.path in (given.path or [what.path])]
    postgres = Run.begin()
    try:
        if given.database == "sqlite":
            with tempfile.TemporaryDirectory() as folder:
                url = f"sqlite:///{Path(folder) / 'assent.db'}"
                migrate(url)
                asyncio.run(run(url, given.rounds, given.copies, whats))
            return
        admin_url = postgres.server().admin_url
        url = create_database(admin_url)
        try:
            migrate(url)
            asyncio.run(run(url, given.rounds, given.copies, whats))
        finally:
            drop_database(admin_url, url)
    finally:
        postgres.end()


if __name__ == "__main__":
    main()
