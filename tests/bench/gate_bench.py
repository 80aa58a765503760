"""The benchmark. One unit of work is one case through the public HTTP API of a server in a process of its own.

    scripts/bench                                        cases per second, on both databases
    scripts/bench --concurrency 256 --repetitions 1      is anybody refused or forgotten?
    scripts/bench --measure waiting,delivery,growth      start and memory, who waits for decisions, large databases

Prints Markdown tables on standard output and progress on standard error; docs/benchmarks.md says how to read them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shlex
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from tests.bench.measures import MEASURES, Report, say
from tests.bench.servers import Databases, databases
from tests.support.launcher import ROOT

KINDS = ("sqlite", "postgresql")
FACES = ("rows", "dbos")


async def conditions(given: argparse.Namespace, dbs: Databases) -> dict[str, str]:
    """Under which circumstances the figures came about."""
    found = {
        "command": f"scripts/bench {shlex.join(sys.argv[1:])}".rstrip(),
        "commit": _git("rev-parse", "--short", "HEAD") + (" with changes" if _git("status", "--porcelain") else ""),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} before the run",
        "Python": platform.python_version(),
        "fdatasync": f"{_sync_time(given.folder):.2f} ms for 4 KiB, median",
    }
    if "sqlite" in given.databases:
        found["SQLite"] = f"{sqlite3.sqlite_version}, synchronous=FULL"
    if "postgresql" in given.databases:
        found["PostgreSQL"] = await dbs.postgres_settings()
    return found


def _git(*arguments: str) -> str:
    found = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _sync_time(folder: Path | None) -> float:
    """Milliseconds that the disk takes to keep a page: the floor under every durable commit."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(50):
            file.write(bytes(4096))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def arguments() -> argparse.Namespace:
    def some_of(known: tuple[str, ...]) -> Any:
        def parse(text: str) -> list[str]:
            names = [name for name in text.split(",") if name]
            if not names or not set(names) <= set(known):
                raise argparse.ArgumentTypeError(f"choose from {', '.join(known)}")
            return names

        return parse

    def numbers(text: str) -> list[int]:
        found = [int(number) for number in text.split(",")]
        if min(found) < 1:
            raise argparse.ArgumentTypeError("numbers from 1")
        return found

    parser = argparse.ArgumentParser(
        prog="scripts/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--measure", type=some_of(tuple(MEASURES)), default=["cases"], help=f"some of {','.join(MEASURES)}"
    )
    parser.add_argument("--databases", type=some_of(KINDS), default=list(KINDS), help=f"some of {','.join(KINDS)}")
    parser.add_argument("--cases", type=int, default=2000, help="cases per loop (2000)")
    parser.add_argument("--repetitions", type=int, default=3, help="of every loop; medians are shown (3)")
    parser.add_argument("--concurrency", type=numbers, default=[1, 12, 64], help="connections of the loops (1,12,64)")
    parser.add_argument("--waiting", type=int, default=100_000, help="waiting cases in a large database (100000)")
    parser.add_argument("--decided", type=int, default=1_000_000, help="decided cases in a large database (1000000)")
    parser.add_argument("--decisions", type=int, default=300, help="whose delivery is timed (300)")
    parser.add_argument("--streams", type=int, default=1000, help="idle event streams at once (1000)")
    parser.add_argument("--faces", type=some_of(FACES), default=["rows"], help="what carries runs on: rows,dbos (rows)")
    parser.add_argument("--waiting-runs", type=numbers, default=[1000, 5000], help="that wait at once (1000,5000)")
    parser.add_argument(
        "--engine-waiters", type=int, default=1000, help="of them at the most with a workflow engine (1000)"
    )
    parser.add_argument("--wakes", type=int, default=200, help="answers after which a run's going on is timed (200)")
    parser.add_argument("--postgres-url", help="a server that may make databases; default: a private one, with fsync")
    parser.add_argument("--folder", type=Path, help="where the SQLite files are; default: the temporary folder")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--limit", type=float, default=7200, help="seconds after which the run is given up (7200)")
    return parser.parse_args()


async def work(given: argparse.Namespace, dbs: Databases) -> Report:
    report = Report()
    about = await conditions(given, dbs)
    report.add("Run", "\n".join(f"- {name}: {value}" for name, value in about.items()), conditions=about)
    async with asyncio.timeout(given.limit):
        for name in given.measure:
            await MEASURES[name](given, dbs, report)
    return report


def main() -> None:
    given = arguments()
    with databases(given.folder, given.postgres_url) as dbs:
        report = uvloop.run(work(given, dbs))
    if given.json:
        given.json.write_text(json.dumps(report.figures, indent=1) + "\n")
        say(f"written: {given.json}")


if __name__ == "__main__":
    main()
