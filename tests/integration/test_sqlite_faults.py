"""SQLite in trouble: a lock that somebody else holds, a full disk, a process that is killed in its commits."""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from core.errors import Unavailable
from core.ledger import Tx
from core.ledger import sqlite as engine
from core.ledger.statements import Statement
from core.model import Opened
from core.replies import Answered
from tests.support.gates import World, reviewer, slack, until, world

ROOT = Path(__file__).resolve().parents[2]
KILLS = 5

ANSWERS_UNTIL_KILLED = """
import asyncio, sys
from tests.support.gates import reviewer, slack, world

async def main() -> None:
    async with world(sys.argv[1]) as here:
        async def go_on(n: int) -> None:
            while True:
                opened = await here.open(notify=(slack(),))
                answered = await here.answer(opened, by=reviewer(n))
                print(opened.case.case_id, answered.interaction_id, flush=True)
        await asyncio.gather(*map(go_on, range(8)))

asyncio.run(main())
"""


def file_of(here: World) -> str:
    return here.url.removeprefix("sqlite:///")


@contextmanager
def write_lock(here: World) -> Iterator[sqlite3.Connection]:
    """Another process is writing."""
    with closing(sqlite3.connect(file_of(here), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        other.execute("ROLLBACK")


@asynccontextmanager
async def impatient(url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """A world that waits a quarter of a second for somebody else's lock."""
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.25)
    async with world(url) as here:
        yield here


# --- somebody else writes ---


async def test_a_reply_waits_while_another_process_writes(on_sqlite: World) -> None:
    here = on_sqlite
    opened = await here.open()
    with closing(sqlite3.connect(file_of(here), isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.3, other.execute, ("ROLLBACK",))
        timer.start()
        began = time.monotonic()
        answered = await here.answer(opened)
        timer.join()
    assert not answered.replay
    assert time.monotonic() - began >= 0.3


async def test_a_lock_that_is_held_for_too_long_makes_it_unavailable_and_nothing_is_lost(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with impatient(sqlite_url, monkeypatch) as here:
        opened = await here.open()
        before = await here.truth()
        with write_lock(here):
            with pytest.raises(Unavailable) as caught:
                await here.answer(opened)
            assert caught.value.retry_after >= 1
            assert before == await here.truth(), "reading goes on"
        assert not (await here.answer(opened)).replay


async def test_all_who_wait_for_the_lock_are_told(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with impatient(sqlite_url, monkeypatch) as here:
        cases = [await here.open() for _ in range(20)]
        with write_lock(here):
            answers = await asyncio.gather(*map(here.answer, cases), return_exceptions=True)
        assert {Unavailable} == {type(answer) for answer in answers}
        answers = await asyncio.gather(*map(here.answer, cases), return_exceptions=True)
        assert {Answered} == {type(answer) for answer in answers}


async def test_a_request_that_is_cancelled_leaves_a_whole_decision_or_none(on_sqlite: World) -> None:
    here = on_sqlite
    for turns in range(40):
        opened = await here.open(notify=(slack(),))
        task = asyncio.create_task(here.answer(opened))
        for _ in range(turns % 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await here.answer(opened)
        for table in ("human_interactions", "decisions", "decision_events"):
            assert 1 == len(await here.rows(table, "case_id = :c", c=opened.case.case_id))
    assert [] == await here.findings()


async def test_a_transaction_that_fails_hurts_none_of_those_that_share_its_commit(on_sqlite: World) -> None:
    here = on_sqlite

    async def defect(tx: Tx) -> None:
        await tx.one(Statement("defect", "SELECT 1 FROM nowhere"))

    async def bug(tx: Tx) -> None:
        raise ZeroDivisionError

    cases = [await here.open() for _ in range(10)]
    failing = [here.database.transact(body) for body in (defect, bug) for _ in range(5)]
    in_turns = [work for pair in zip(map(here.answer, cases), failing, strict=True) for work in pair]
    answers = await asyncio.gather(*in_turns, return_exceptions=True)
    assert [Answered] * 10 == [type(answer) for answer in answers[::2]]
    assert [Unavailable] * 5 + [ZeroDivisionError] * 5 == [type(answer) for answer in answers[1::2]]
    assert 10 == len(await here.rows("decisions"))


# --- the disk is full ---


async def pages(here: World, name: str) -> int:
    async def body(tx: Tx) -> int:
        row = await tx.one(Statement(name, f"PRAGMA {name}"))
        assert row is not None
        return int(row[name.split()[0]])

    return await here.database.transact(body)


async def test_a_full_database_refuses_and_keeps_no_partial_case(on_sqlite: World) -> None:
    here = on_sqlite
    first = await here.open()
    size = await pages(here, "page_count")
    await pages(here, f"max_page_count = {size + 20}")
    opened: list[Opened] = []

    async def until_full() -> None:
        while len(opened) < 1_000:
            opened.append(await here.open(context={"text": "x" * 3_000}, notify=(slack(),)))

    with pytest.raises(Unavailable) as caught:
        await until_full()
    assert caught.value.retry_after >= 1
    assert opened, "there was some room at first"
    assert 1 + len(opened) == len(await here.rows("cases")) == len(await here.rows("case_tokens", "kind = 'review'"))
    assert len(opened) == len(await here.rows("cards"))
    assert [] == await here.findings()
    await pages(here, f"max_page_count = {10**9}")
    assert not (await here.answer(first)).replay
    assert not (await here.answer(opened[-1], by=reviewer(2))).replay
    assert [] == await here.findings()


async def test_a_file_that_cannot_grow_makes_it_unavailable_until_there_is_room_again(on_sqlite: World) -> None:
    here = on_sqlite
    opened = await here.open()
    wal = Path(file_of(here) + "-wal").stat().st_size
    before = await here.truth()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal + 4_000, hard))  # less than one transaction writes
    try:
        with pytest.raises(Unavailable):
            await here.answer(opened)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert before == await here.truth()
    assert not (await here.answer(opened)).replay
    assert [] == await here.findings()


# --- the process is killed ---


async def test_every_reply_that_was_acknowledged_before_a_kill_is_there_after_it(sqlite_url: str) -> None:
    acknowledged: dict[str, str] = {}
    for kill in range(KILLS):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ANSWERS_UNTIL_KILLED, sqlite_url),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        enough = len(acknowledged) + 30 * (kill + 1)
        try:
            async with asyncio.timeout(60):
                while len(acknowledged) < enough and (line := await process.stdout.readline()):
                    case_id, interaction_id = line.decode().split()
                    acknowledged[case_id] = interaction_id
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        assert len(acknowledged) >= enough
        async with world(sqlite_url) as here:
            kept = {row["case_id"]: row["interaction_id"] for row in await here.rows("human_interactions")}
            assert acknowledged.items() <= kept.items()
            assert [] == await here.findings()
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as database:
        assert [("ok",)] == database.execute("PRAGMA integrity_check").fetchall()


async def test_what_was_submitted_before_the_close_is_finished(sqlite_url: str) -> None:
    async with world(sqlite_url) as here:
        cases = [await here.open() for _ in range(20)]
        answers = [asyncio.create_task(here.answer(one)) for one in cases]
        await asyncio.sleep(0)
        await here.database.close()
        assert [False] * 20 == [(await answer).replay for answer in answers]
        with pytest.raises(Unavailable):
            await here.open()


async def test_a_writer_and_a_reader_are_all_the_threads_there_are(on_sqlite: World) -> None:
    await asyncio.gather(*(on_sqlite.open() for _ in range(50)))
    await until(lambda: {"ledger-writer", "ledger-reader"} <= {thread.name for thread in threading.enumerate()})
    assert 2 == sum(thread.name.startswith("ledger-") for thread in threading.enumerate())
