"""What can be measured, each with its table."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from core.ledger import migrate
from tests.bench import pgbench
from tests.bench.client import drive
from tests.bench.deliveries import deliver
from tests.bench.figures import (
    Sample,
    as_json,
    cases_table,
    errors_list,
    medians,
    rates,
    ratio,
    sample,
    spread,
    table,
)
from tests.bench.filling import fill
from tests.bench.gates import BY_ENGINE, Place, come_back, external_runs, milliseconds, open_gates, open_runs, wake
from tests.bench.servers import POSTGRES, Databases, Measured, assent, null_server
from tests.bench.streams import Sessions, watch
from tests.bench.watching import METRICS, costs, row
from tests.support.process import make_key, serving

WARM_UP = 200  # cases: pools are filled, statements prepared, code is loaded
PGBENCH_CLIENTS = 64  # at the most: a server takes so many connections for granted
STARTS = 3
WARM_RUNS = 200
AFTER_START = 500  # cases that the memory after work is read behind


@dataclass
class Report:
    """What is printed and kept: text for people, figures for the next run."""

    parts: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add(self, title: str, text: str, **figures: Any) -> None:
        self.parts.append(f"### {title}\n\n{text}")
        self.figures |= figures
        print(f"\n{self.parts[-1]}", flush=True)


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


async def loop(server: Measured, cases: int, concurrency: int) -> Sample:
    """One measured closed loop. The processor time counts until the server has done what the loop left to it."""
    idle, cpu = server.memory(), server.cpu()
    tally = await drive(server.target, cases, concurrency)
    await server.settled()
    found = sample(server.name, concurrency, tally, server.cpu() - cpu, idle, server.memory())
    say(
        f"{server.name} at {concurrency}: {found.rate:.0f} cases/s, {found.cpu:.2f} ms CPU, "
        f"{found.errors.total()} errors"
    )
    return found


async def measure_cases(given: argparse.Namespace, dbs: Databases, report: Report) -> None:
    """All servers in turn at each concurrency, and all of that several times, each time on new databases."""
    samples: list[Sample] = []
    ceilings: dict[int, list[float]] = {}  # pgbench's cases per second at each concurrency
    for repetition in range(given.repetitions):
        say(f"repetition {repetition + 1} of {given.repetitions}")
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(null_server())]
            for kind in given.databases:
                url = await stack.enter_async_context(dbs.new(kind))
                servers.append(await stack.enter_async_context(assent(url)))
            for server in servers:
                await drive(server.target, min(WARM_UP, given.cases), max(given.concurrency))
                await server.settled()
            for concurrency in given.concurrency:
                samples += [await loop(server, given.cases, concurrency) for server in servers]
                if "postgresql" in given.databases:
                    ceilings.setdefault(concurrency, []).append(await _pgbench(given, dbs, concurrency))
    errors = errors_list(samples) or "No errors."
    report.add("Cases per second", f"{cases_table(samples)}\n\n{errors}", cases=as_json(samples))
    if ceilings:
        rows = []
        for concurrency, found in ceilings.items():
            own = rates(samples, POSTGRES, concurrency)
            both = [f"{statistics.median(one) * 2:.0f}" for one in (own, found)]
            rows.append([str(concurrency), *both, f"{ratio(own, found):.2f}"])
        head = ["c", "assent, transactions/s", "pgbench, transactions/s", "ratio (≥ 0.35)"]
        report.add("Against pgbench with the same transactions", table(head, rows), pgbench=ceilings)


async def _pgbench(given: argparse.Namespace, dbs: Databases, concurrency: int) -> float:
    async with dbs.new("postgresql") as url:
        found = await pgbench.rate(url, given.cases, min(concurrency, PGBENCH_CLIENTS))
    say(f"pgbench at {concurrency}: {found:.0f} cases/s")
    return found


async def measure_waiting(given: argparse.Namespace, dbs: Databases, report: Report) -> None:
    """Start time and memory, without and with many waiting cases."""
    rows = []
    for kind in given.databases:
        async with dbs.new(kind, migrated=False) as url:
            async with serving(url, afresh=True) as server:
                first = server.ready_after
            await asyncio.to_thread(migrate, url)
            empty = await _starts(url)
            await fill(url, given.waiting, 0, say)
            full = await _starts(url)
        rows.append([kind, "0", f"{first:.2f}", f"{empty.ready:.2f}", f"{empty.idle:.0f}", f"{empty.worked:.0f}"])
        more = [
            f"{full.idle:.0f} ({full.idle - empty.idle:+.1f})",
            f"{full.worked:.0f} ({full.worked - empty.worked:+.1f})",
        ]
        rows.append([kind, f"{given.waiting:,}", "", f"{full.ready:.2f}", *more])
    head = ["database", "waiting cases", "first start, s", "start, s", "idle MB", f"MB after {AFTER_START} cases"]
    report.add("Start and memory with waiting cases", table(head, rows), waiting=rows)


@dataclass(frozen=True, slots=True)
class Starts:
    ready: float
    idle: float
    worked: float


async def _starts(url: str) -> Starts:
    """Medians of several starts on this database: seconds until ready, MB when idle, MB after some work."""
    found = []
    for _ in range(STARTS):
        async with assent(url) as server:
            await server.settled()
            idle = server.memory()
            await drive(server.target, AFTER_START, 12)
            await server.settled()
            found.append(Starts(server.ready_after, idle, server.memory()))
        say(f"{server.name}: ready after {found[-1].ready:.2f} s, {found[-1].idle:.0f} MB")
    names = ("ready", "idle", "worked")
    return Starts(*(statistics.median(getattr(one, name) for one in found) for name in names))


async def measure_growth(given: argparse.Namespace, dbs: Databases, report: Report) -> None:
    """The same loop on an empty database and on a large one, in turn."""
    rows = []
    for kind in given.databases:
        async with dbs.new(kind) as small, dbs.new(kind) as large:
            await fill(large, given.waiting, given.decided, say)
            async with assent(small) as one, assent(large) as other:
                for server in (one, other):
                    await drive(server.target, min(WARM_UP, given.cases), max(given.concurrency))
                    await server.settled()
                for concurrency in given.concurrency:
                    pairs = [
                        [await loop(server, given.cases, concurrency) for server in (one, other)]
                        for _ in range(given.repetitions)
                    ]
                    rows.append([kind, str(concurrency), *_compared(*zip(*pairs, strict=True))])
    head = [
        "database",
        "c",
        "cases/s, empty",
        "cases/s, large",
        "ratio (≥ 0.8)",
        "CPU ms, empty",
        "CPU ms, large",
        "errors",
    ]
    title = f"Growth: {given.decided:,} decided and {given.waiting:,} waiting cases"
    report.add(title, table(head, rows), growth=rows)


def _compared(small: tuple[Sample, ...], large: tuple[Sample, ...]) -> list[str]:
    before, after = medians(small), medians(large)
    grown = ratio([one.rate for one in large], [one.rate for one in small])
    return [
        f"{before.rate:.0f}",
        f"{after.rate:.0f}",
        f"{grown:.2f}",
        f"{before.cpu:.2f}",
        f"{after.cpu:.2f}",
        str((before.errors + after.errors).total()),
    ]


async def measure_delivery(given: argparse.Namespace, dbs: Databases, report: Report) -> None:
    """Decisions one by one, alone and beside other work."""
    rows = []
    for kind in given.databases:
        async with dbs.new(kind) as url:
            admin_key = await make_key(url, "admin")
            async with assent(url) as server:
                for load in (0, 4):
                    found = await deliver(server.target, admin_key, given.decisions, load)
                    beside = f"{load} connections" if load else "nothing"
                    times = [spread(one) for one in (found.answered, found.pulled, found.streamed)]
                    rows.append([kind, beside, *(f"{p50:.1f} / {p99:.1f}" for p50, p99 in times)])
                    say(f"{server.name} beside {beside}: {rows[-1][2:]}")
    head = ["database", "beside", "→ 200, p50 / p99 ms", "→ pull returns (< 20 / 100)", "→ SSE event (< 20 / 100)"]
    report.add("From the sending of an answer", table(head, rows), delivery=rows)


async def measure_streams(given: argparse.Namespace, dbs: Databases, report: Report) -> None:
    """Idle event streams: what they cost, and how soon each tells the end of its case when all cases end at once."""
    rows = []
    for kind in given.databases:
        async with dbs.new(kind) as url, assent(url) as server:
            await drive(server.target, min(WARM_UP, given.cases), max(given.concurrency))
            found = await watch(server, given.streams, url)
        p50, p99 = spread(found.times)
        sessions = [_sessions(one) for one in (found.sessions_before, found.sessions)]
        times = f"{p50:.0f} / {p99:.0f} / {max(found.times) * 1000:.0f}"
        rows.append([kind, f"{found.streams:,}", f"{found.added:.1f}", *sessions, f"{found.ended:.1f}", times])
        say(f"{server.name}, {found.streams} streams: {rows[-1][2:]}")
    head = [
        "database",
        "streams",
        "added MB (< 60)",
        "sessions before: open, at work, held",
        "with idle streams",
        "all ended within, s",
        "→ terminal event, p50 / p99 / max ms (< 1000)",
    ]
    report.add("Idle event streams", table(head, rows), streams=rows)


def _sessions(found: Sessions | None) -> str:
    return "" if found is None else f"{found.open}, {found.at_work}, {found.held}"


async def measure_gates(given: argparse.Namespace, dbs: Databases, report: Report) -> None:
    """Runs that wait behind a gate, with each face that carries them on: what they cost, how soon they go on, how soon
    a killed server's successor has them.
    """
    tables = _GateTables()
    for face in given.faces:
        for kind in given.databases if face == "rows" else ["postgresql"]:
            async with dbs.new(kind) as url:
                await _gates(given, url, face, tables)
    for title, head, rows in tables.titled():
        report.add(title, table(head, rows))
    report.figures["gates"] = {title: rows for title, _, rows in tables.titled()}


@dataclass
class _GateTables:
    cost: list[list[str]] = field(default_factory=list)
    wakes: list[list[str]] = field(default_factory=list)
    back: list[list[str]] = field(default_factory=list)

    def titled(self) -> list[tuple[str, list[str], list[list[str]]]]:
        place = ["carried on by", "database"]
        cost = [*place, "waiting runs", "held by the engine", "CPU ms, gate alone (< 4)", "CPU ms, whole run"]
        wakes = [*place, "beside", "answer → 200, p50 / p99 ms", "200 → resumed (p50 < 5)", "200 → ended"]
        back = [*place, "waiting runs", "held by the engine", "ready, s (< 5)", "an answer acted on, s"]
        return [
            ("What a waiting run costs", [*cost, "added KB per waiting run (< 10)"], self.cost),
            ("How soon an answered run goes on", [*wakes, "on the database's clock"], self.wakes),
            ("After kill -9, from the start of the next server, the longest", back, self.back),
        ]


async def _gates(given: argparse.Namespace, url: str, face: str, tables: _GateTables) -> None:
    numbers = sorted(number for number in given.waiting_runs if face == "rows" or number <= given.engine_waiters)
    place = await Place.of(url, {"RUN_ENGINE": face, "RUN_ENGINE_WAITERS": str(given.engine_waiters)})
    where = [face, "sqlite" if url.startswith("sqlite") else "postgresql"]
    for number in numbers:
        async with place.server() as (process, server):
            await open_runs(place, server.target, WARM_RUNS)
            await wake(place, server.target, (await place.waiting())[:WARM_RUNS])
            alone = f"{await _gate_alone(place, server) * 1000:.2f}" if face == "rows" else ""
            idle, more = server.memory(), number - await place.waits()
            cpu = server.cpu()
            await open_runs(place, server.target, more)
            await server.settled()
            cpu, added = server.cpu() - cpu, server.memory() - idle
            held = f"{await place.waits(BY_ENGINE):,}"
            each = [f"{cpu / more * 1000:.2f}", f"{added / more * 1000:.1f}"]
            tables.cost.append([*where, f"{number:,}", held, alone, *each])
            say(" ".join(tables.cost[-1]))
            if number == numbers[0]:
                for load in (0, 4):
                    found = await wake(place, server.target, (await place.waiting())[: given.wakes], load)
                    times = map(milliseconds, (found.answered, found.resumed, found.ended, found.heard))
                    tables.wakes.append([*where, f"{load} connections" if load else "nothing", *times])
                    say(" ".join(tables.wakes[-1]))
                await open_runs(place, server.target, number - await place.waits())
            process.kill()
        came = [await come_back(place) for _ in range(given.repetitions)]
        at_most = [f"{max(one.ready for one in came):.2f}", f"{max(one.acted for one in came):.2f}"]
        tables.back.append([*where, f"{number:,}", held, *at_most])
        say(" ".join(tables.back[-1]))


async def _gate_alone(place: Place, server: Measured) -> float:
    """Processor seconds to open one gate on a run that its agent carries out."""
    runs = await external_runs(server.target, WARM_RUNS)
    await server.settled()
    cpu = server.cpu()
    await open_gates(server.target, runs)
    await server.settled()
    return (server.cpu() - cpu) / len(runs)


async def measure_watching(given: argparse.Namespace, dbs: Databases, report: Report) -> None:
    """What metrics and traces cost, each against a server without them."""
    rows, scrapes = [], []
    for kind in given.databases:
        for concurrency in given.concurrency:
            found = await costs(kind, dbs, given.cases, concurrency)
            added = [row(kind, concurrency, name, found) for name in found.cpu]
            rows += added
            scrapes.append(f"{kind} {found.scrape:.2f} ms")
            say(f"{kind} at {concurrency}: {'; '.join(f'{one[2]} {one[3]} ms {one[4]}' for one in added)}")
    head = ["database", "c", "on", "CPU ms/case, median", "more than with neither, % (19 of 20)"]
    told = f"{table(head, rows)}\n\nA scrape of the {METRICS}: {', '.join(scrapes)} of processor time."
    report.add("What metrics and traces cost", told, watching=rows)


MEASURES = {
    "cases": measure_cases,
    "waiting": measure_waiting,
    "growth": measure_growth,
    "delivery": measure_delivery,
    "streams": measure_streams,
    "gates": measure_gates,
    "watching": measure_watching,
}
