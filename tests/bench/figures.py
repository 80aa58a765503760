"""Samples to figures, figures to tables."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.client import KINDS, Tally


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that at least this share of the samples does not exceed (nearest rank); 0 for none."""
    if not samples:
        return 0.0
    rank = math.ceil(share * len(samples) - 1e-9)
    return sorted(samples)[max(0, rank - 1)]


@dataclass(frozen=True, slots=True)
class Sample:
    """One loop against one server. CPU is milliseconds per case, memory is MB, times are milliseconds."""

    server: str
    concurrency: int
    rate: float  # cases per second
    cpu: float
    client_cpu: float
    idle_memory: float
    memory: float
    waits: int
    errors: Counter[str]
    times: dict[str, tuple[float, float]]  # kind of request: p50, p99


def sample(server: str, concurrency: int, tally: Tally, cpu: float, idle_memory: float, memory: float) -> Sample:
    done = max(1, tally.cases)
    return Sample(
        server=server,
        concurrency=concurrency,
        rate=tally.cases / tally.seconds,
        cpu=cpu / done * 1000,
        client_cpu=tally.client_cpu / done * 1000,
        idle_memory=idle_memory,
        memory=memory,
        waits=tally.waits,
        errors=tally.errors,
        times={kind: spread(tally.times[kind]) for kind in KINDS},
    )


def spread(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    return percentile(seconds, 0.5) * 1000, percentile(seconds, 0.99) * 1000


def medians(samples: Sequence[Sample]) -> Sample:
    """One sample out of the repetitions of one loop: medians of the figures, sums of waits and errors."""
    first = samples[0]

    def middle(name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in samples))

    return Sample(
        server=first.server,
        concurrency=first.concurrency,
        rate=middle("rate"),
        cpu=middle("cpu"),
        client_cpu=middle("client_cpu"),
        idle_memory=middle("idle_memory"),
        memory=middle("memory"),
        waits=sum(one.waits for one in samples),
        errors=sum((one.errors for one in samples), Counter()),
        times={
            kind: (
                statistics.median(one.times[kind][0] for one in samples),
                statistics.median(one.times[kind][1] for one in samples),
            )
            for kind in KINDS
        },
    )


def of_each_loop(samples: Sequence[Sample]) -> list[Sample]:
    """The medians per server and concurrency, in the order in which they first came."""
    groups: dict[tuple[int, str], list[Sample]] = {}
    for one in samples:
        groups.setdefault((one.concurrency, one.server), []).append(one)
    return [medians(group) for group in groups.values()]


def ratio(samples: Sequence[float], others: Sequence[float]) -> float:
    """The median of the ratios within each repetition: what slows the whole machine for a while slows both sides."""
    return statistics.median(one / other for one, other in zip(samples, others, strict=True))


def rates(samples: Sequence[Sample], server: str, concurrency: int) -> list[float]:
    """Cases per second of one loop in each repetition."""
    return [one.rate for one in samples if (one.server, one.concurrency) == (server, concurrency)]


def cases_table(samples: Sequence[Sample]) -> str:
    """Medians of the repetitions, and each server's ratio to the null server at the same concurrency."""
    rows = []
    for one in of_each_loop(samples):
        own, null = (rates(samples, server, one.concurrency) for server in (one.server, "null"))
        of_null = f"{ratio(own, null):.2f}" if null and one.server != "null" else ""
        times = [f"{p50:.1f} / {p99:.1f}" for p50, p99 in (one.times[kind] for kind in KINDS)]
        figures = [f"{one.rate:.0f}", of_null, f"{one.cpu:.2f}", f"{one.client_cpu:.2f}", *times]
        ended = [f"{one.idle_memory:.0f} → {one.memory:.0f}", str(one.waits), str(one.errors.total())]
        rows.append([one.server, str(one.concurrency), *figures, *ended])
    head = ["server", "c", "cases/s", "of null", "CPU ms/case", "client ms", "open p50 / p99 ms", "respond", "status"]
    return table([*head, "MB", "waits", "errors"], rows)


def errors_list(samples: Sequence[Sample]) -> str:
    """Each kind of error with its number; empty when there was none."""
    found: Counter[str] = Counter()
    for one in samples:
        for kind, number in one.errors.items():
            found[f"{one.server} at {one.concurrency}: {kind}"] += number
    return "\n".join(f"- {number} × {kind}" for kind, number in found.most_common())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with its columns aligned, so that it reads on a terminal, too."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    lines = [_line(head, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    return "\n".join([*lines, *(_line(row, widths) for row in rows)])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def as_json(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    return [
        {name: getattr(one, name) for name in Sample.__dataclass_fields__} | {"errors": dict(one.errors)}
        for one in samples
    ]
