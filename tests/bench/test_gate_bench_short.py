"""The benchmark in short: every answer must be right, whatever the speed; and the harness must notice a wrong one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from tests.bench import pgbench
from tests.bench.client import Tally, Target, drive
from tests.bench.deliveries import WrongDelivery, deliver
from tests.bench.figures import cases_table, errors_list, percentile, ratio, sample
from tests.bench.filling import fill
from tests.bench.gates import BY_ENGINE, Place, come_back, external_runs, open_gates, open_runs, wake
from tests.bench.servers import assent, null_server
from tests.support.process import make_key, run_assent

LOOPS = {1: 24, 12: 96, 64: 128, 256: 320}
"""Concurrency → cases."""


async def test_every_case_comes_through_with_its_own_answer_at_any_concurrency(database_url: str) -> None:
    async with assent(database_url) as server:
        for concurrency, cases in LOOPS.items():
            before = server.cpu()
            tally = await drive(server.target, cases, concurrency)
            assert (cases, Counter()) == (tally.cases, tally.errors), concurrency
            assert [cases] * 3 == [len(times) for times in tally.times.values()]
            assert server.cpu() > before
    assert (0, "") == (await run_assent("verify", "--database", database_url, "--json"))[:2]


async def test_a_result_of_another_case_is_counted_as_an_error() -> None:
    async with null_server("--wrong") as server:
        tally = await drive(server.target, 50, 12)
    assert Counter({"status: another result than was answered": 50}) == tally.errors
    assert 0 == tally.cases
    found = sample("null", 12, tally, 0.1, 1, 1)
    assert "50" in cases_table([found])
    assert "- 50 × null at 12: status: another result than was answered" == errors_list([found])


async def test_a_key_that_is_refused_is_counted_as_an_error(sqlite_url: str) -> None:
    async with assent(sqlite_url) as server:
        tally = await drive(Target(server.target.url, "ak_of_nobody"), 20, 4)
    assert Counter({"open: 401 unauthorized": 20}) == tally.errors


async def test_a_server_that_goes_away_is_counted_as_an_error() -> None:
    tally = await _drive_against(_hang_up)
    assert Counter({"open: connection lost": 10}) == tally.errors


async def test_an_answer_that_is_not_http_is_counted_as_an_error() -> None:
    tally = await _drive_against(_babble)
    assert Counter({"open: not HTTP": 10}) == tally.errors


async def test_who_is_told_to_wait_waits_and_is_no_error() -> None:
    tally = await _drive_against(_Busy(refusals=3).serve)
    assert 3 == tally.waits
    assert Counter({"open: 404": 10}) == tally.errors


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _drive_against(serve: Serve) -> Tally:
    """Ten cases against a server that serves each connection so."""
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(_serve_and_close(serve, reader, writer)))

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tally = await drive(Target(f"http://127.0.0.1:{port}", "key"), 10, 2)
        await asyncio.wait(connections)
        return tally


async def _serve_and_close(serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await serve(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def _babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"good day\r\n\r\n")
    await reader.read()


class _Busy:
    """Refuses a few times for the moment, then for good."""

    def __init__(self, refusals: int) -> None:
        self._left = refusals

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            busy, self._left = self._left > 0, self._left - 1
            status = "503 Busy\r\nretry-after: 0" if busy else "404 Not Found"
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())


async def test_pgbench_repeats_what_the_gate_does(postgres_url: str) -> None:
    assert await pgbench.rate(postgres_url, 40, 4) > 0
    connection = await asyncpg.connect(postgres_url)
    try:
        for table, rows in {"human_interactions": 41, "decisions": 41, "case_events": 41, "case_tokens": 82}.items():
            assert rows == await connection.fetchval(f"SELECT count(*) FROM {table}"), table
        assert 41 == await connection.fetchval("SELECT count(*) FROM cases WHERE status = 'completed'")
    finally:
        await connection.close()


async def test_a_database_with_a_past_goes_on_working(database_url: str) -> None:
    said: list[str] = []
    await fill(database_url, 30, 20, said.append)
    assert "filled 50 of 50 cases" == said[-1]
    async with assent(database_url) as server:
        tally = await drive(server.target, 20, 4)
        assert (20, Counter()) == (tally.cases, tally.errors)
        await deliver(server.target, await make_key(database_url, "admin"), 2)


async def test_every_decision_is_pulled_and_streamed(database_url: str) -> None:
    admin_key = await make_key(database_url, "admin")
    async with assent(database_url) as server:
        found = await deliver(server.target, admin_key, 5, load=2)
        with pytest.raises(WrongDelivery, match="401"):
            await deliver(server.target, "ak_of_nobody", 1)
    assert [5, 5, 5] == [len(times) for times in (found.answered, found.pulled, found.streamed)]


async def test_runs_wait_are_woken_and_outlive_a_kill(database_url: str) -> None:
    place = await Place.of(database_url, {})
    async with place.server() as (process, server):
        await open_runs(place, server.target, 20)
        found = await wake(place, server.target, (await place.waiting())[:3])
        await open_gates(server.target, await external_runs(server.target, 5))
        process.kill()
    assert (17, 0) == (await place.waits(), await place.waits(BY_ENGINE))
    assert [3] * 4 == [len(times) for times in (found.answered, found.resumed, found.ended, found.heard)]
    back = await come_back(place)
    assert back.acted > back.ready > 0
    assert 16 == await place.waits()


@pytest.mark.parametrize(("share", "expected"), [(0.5, 2), (0.99, 4), (0.25, 1), (1.0, 4)])
def test_a_percentile_is_a_sample(share: float, expected: float) -> None:
    assert expected == percentile([4, 2, 1, 3], share)
    assert 0 == percentile([], share)


def test_ratios_are_taken_within_each_repetition() -> None:
    assert 0.5 == ratio([100, 10, 50], [200, 20, 100])
