"""What metrics and traces cost: servers without (two of them, which tells how far the figures can be believed), with
metrics, and with traces are given a few cases each in turn, in another order each time and very often, so that what
slows the machine for a second slows all of them. A server's account runs from one of its turns to the next, with all
that it did after the first.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.client import drive
from tests.bench.servers import Databases, Measured, measured
from tests.support.process import make_key, serving
from tests.support.receiver import Receiver, receiver

TOKEN = "for-the-bench-alone"
PLAIN, AGAIN, METRICS = "neither", "neither, once more", "metrics"
TRACES, SOME_TRACES = "traces", "traces, one of a hundred kept"
WATCHED = (PLAIN, AGAIN, METRICS, SOME_TRACES, TRACES)
WARM_UP = 300
TURN = 50  # cases
SCRAPES = 40


@dataclass
class Costs:
    """`cpu`: milliseconds of processor time for a case, turn by turn, by what was on; and for a scrape."""

    cpu: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in WATCHED})
    scrape: float = 0.0

    def more(self, name: str) -> tuple[float, float, float]:
        """How many percent more than the server without, turn by turn: the median, and between which two the median of
        another such run would be found 19 times of 20.
        """
        ratios = sorted(one / plain for one, plain in zip(self.cpu[name], self.cpu[PLAIN], strict=True))
        middle, reach = len(ratios) / 2, 0.98 * math.sqrt(len(ratios))
        low, high = ratios[max(0, math.floor(middle - reach))], ratios[min(len(ratios) - 1, math.ceil(middle + reach))]
        percents = [(one - 1) * 100 for one in (statistics.median(ratios), low, high)]
        return percents[0], percents[1], percents[2]


async def costs(kind: str, dbs: Databases, cases: int, concurrency: int) -> Costs:
    """Of so many cases on each server."""
    found = Costs()
    async with AsyncExitStack() as stack:
        collector = await stack.enter_async_context(receiver())
        servers: dict[str, Measured] = {}
        for name, environment in _settings(collector).items():
            url = await stack.enter_async_context(dbs.new(kind))
            servers[name] = await stack.enter_async_context(_server(url, environment))
            await drive(servers[name].target, WARM_UP, concurrency)
        before: dict[str, float] = {}
        for number in range(max(1, cases // TURN) + 1):
            names = [*servers]
            first = number % len(names)
            for name in names[first:] + names[:first]:
                now = _cpu(servers[name])
                if name in before:
                    found.cpu[name].append((now - before[name]) / TURN * 1000)
                before[name] = now
                tally = await drive(servers[name].target, TURN, concurrency)
                assert not tally.errors, tally.errors
        found.scrape = await _cpu_of_a_scrape(servers[METRICS])
    return found


def _cpu(server: Measured) -> float:
    """Seconds, to the nanosecond where the kernel tells; a turn is too short for hundredths."""
    tasks = list(Path(f"/proc/{server.pid}/task").glob("*/schedstat"))
    return sum(int(one.read_text().split()[0]) for one in tasks) / 1e9 if tasks else server.cpu()


def _settings(collector: Receiver) -> dict[str, Mapping[str, str]]:
    traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url("")}
    some = traced | {"OTEL_TRACES_SAMPLER_ARG": "0.01"}
    return {PLAIN: {}, AGAIN: {}, METRICS: {"METRICS_TOKEN": TOKEN}, TRACES: traced, SOME_TRACES: some}


@asynccontextmanager
async def _server(url: str, environment: Mapping[str, str]) -> AsyncIterator[Measured]:
    key = await make_key(url, "agent")
    async with serving(url, environment=environment, afresh=True) as server:
        yield measured(server, url, key)


async def _cpu_of_a_scrape(server: Measured) -> float:
    await server.settled()
    cpu = _cpu(server)
    async with server.target.connection() as connection:
        for _ in range(SCRAPES):
            answer = await connection.ask(server.target.request("GET", "/metrics", key=TOKEN))
            assert answer.status == 200
    return (_cpu(server) - cpu) / SCRAPES * 1000


def row(kind: str, concurrency: int, name: str, found: Costs) -> list[str]:
    """One line of the table."""
    more = "" if name == PLAIN else "{:+.1f} ({:+.1f} to {:+.1f})".format(*found.more(name))
    return [kind, str(concurrency), name, f"{statistics.median(found.cpu[name]):.3f}", more]
