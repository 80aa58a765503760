"""Prometheus metrics: what this process counts while it works, and what is read when somebody asks.

Counting is a dictionary's entry and costs less than a microsecond; the exposition's library (1 MB) is imported when
metrics are first asked for. Labels are tenants, sources and words of closed lists. Where a metric has `MAX_SERIES` of
them, what else comes is counted under the tenant and source `other`, so that nobody can make a process grow.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from bot import metric_families as m
from bot.metric_families import Family
from core.errors import AssentError
from core.figures import Figures, Waiting, read_figures
from core.ledger import REVISION, Database
from core.meters import Meters, Way
from core.model import ACTIONS, Case
from core.outcome import decided
from core.states import TERMINAL, Status

if TYPE_CHECKING:
    from prometheus_client.core import Metric

MAX_SERIES = 2_000
OTHER = "other"
FIGURES_SECONDS = 10.0  # the database is asked no more often, however often metrics are
DATABASE_SECONDS = 3.0

Labels = tuple[str, ...]


class _Counts:
    """The entries of one counter or histogram: per series, a count for each bucket and one beyond, and the sum."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._empty = [0.0] * (len(family.buckets) + 2)
        self.series: dict[Labels, list[float]] = {} if family.labels else {(): self._empty.copy()}
        self._foreign = {n for n, label in enumerate(family.labels) if label in ("tenant", "source")}

    def add(self, labels: Labels, value: float = 1.0) -> None:
        row = self.series.get(labels)
        if row is None:
            row = self._new(labels)
        row[bisect_left(self.family.buckets, value)] += 1
        row[-1] += value

    def _new(self, labels: Labels) -> list[float]:
        if len(self.series) >= MAX_SERIES:
            labels = tuple(OTHER if n in self._foreign else label for n, label in enumerate(labels))
        return self.series.setdefault(labels, self._empty.copy())


class Metrics(Meters):
    """What one process counts."""

    def __init__(self) -> None:
        self._counts = {family: _Counts(family) for family in m.COUNTED}
        add = {family: counts.add for family, counts in self._counts.items()}
        self._opened, self._closed, self._decisions = add[m.OPENED], add[m.CLOSED], add[m.DECISIONS]
        self._overridden, self._deciding, self._taps = add[m.OVERRIDDEN], add[m.DECIDING], add[m.TAPS]
        self._messages, self._sending, self._attempts = add[m.MESSAGES], add[m.SENDING], add[m.ATTEMPTS]
        self._attempting, self._arriving, self._requests = add[m.ATTEMPTING], add[m.ARRIVING], add[m.REQUESTS]
        self._transactions, self._retries = add[m.TRANSACTIONS], add[m.RETRIES]

    # --- counting ---

    def moved(self, case: Case) -> None:
        whose = case.tenant_id, case.source_id or ""
        if case.status not in TERMINAL:
            self._opened((*whose, case.type if case.type in ACTIONS else "custom"))
            return
        self._closed((*whose, str(case.status)))
        decision = decided(case, "")
        if decision is None:  # an edit: the question is asked anew
            return
        self._decisions((*whose, str(decision.type), decision.via))
        if case.edition or (case.answered or {}).get("blocks"):
            self._overridden((*whose, "edited"))
        if case.revision > 1:
            self._overridden((*whose, "revised"))
        if case.status is Status.COMPLETED and decision.via not in ("grant", "policy"):
            self._deciding(whose, (decision.decided_at - case.created_at) / 1000)

    def transacted(self, kind: Literal["read", "write"], outcome: str, seconds: float, runs: int) -> None:
        self._transactions((kind, outcome), seconds)
        for _ in range(runs - 1):
            self._retries(())

    def requested(self, door: str, route: str, method: str, status: int, seconds: float) -> None:
        self._requests((door, route, method, str(status)), seconds)

    def tapped(self, platform: str, outcome: str, seconds: float) -> None:
        self._taps((platform, outcome), seconds)

    def sent(self, platform: str, kind: str, way: Way, tenant_id: str, outcome: str, seconds: float) -> None:
        self._messages((tenant_id, platform, kind, way, outcome))
        self._sending((platform, kind, way), seconds)

    def delivered(self, kind: str, tenant_id: str, outcome: str, seconds: float, since_made: float) -> None:
        self._attempts((tenant_id, kind, outcome))
        if outcome != "unsendable":
            self._attempting((kind,), seconds)
        if outcome == "delivered":
            self._arriving((kind,), since_made)

    # --- exposition ---

    def counted(self) -> Iterator[Metric]:
        for counts in self._counts.values():
            yield _exposed(counts)


class Exposition:
    """What `GET /metrics` answers: the process's own counts, and the figures of the database, read at most every
    `FIGURES_SECONDS`. `beating` and `policies_broken` tell of the process's workers and files. What has waited once is
    told for as long as the process runs, as 0 when nothing waits there any more.
    """

    def __init__(
        self,
        meters: Meters,
        database: Database,
        beating: Callable[[], Mapping[str, bool]],
        policies_broken: Callable[[], bool],
        retention_days: int | None = None,
    ) -> None:
        self._meters = meters
        self._database = database
        self._beating = beating
        self._policies_broken = policies_broken
        self._retention_days = retention_days
        self._told: dict[Family, list[Labels]] = {}  # the series of the last page
        self._figures: Figures | None = None
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def page(self) -> bytes:
        """In Prometheus' text format."""
        from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
        from prometheus_client.exposition import generate_latest

        figures = await self._current()
        counted = self._meters.counted() if isinstance(self._meters, Metrics) else ()
        registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(_Collected([*counted, *self._now(figures)]))
        return generate_latest(registry)

    async def _current(self) -> Figures | None:
        async with self._reading:  # whoever comes meanwhile gets the same
            if time.monotonic() - self._read_at >= FIGURES_SECONDS:
                try:
                    async with asyncio.timeout(DATABASE_SECONDS):
                        self._figures = await read_figures(self._database, self._retention_days)
                    self._read_at = time.monotonic()
                except (AssentError, TimeoutError):
                    self._figures = None
            return self._figures

    def _now(self, figures: Figures | None) -> Iterator[Metric]:
        yield _gauged(m.INFO, [((REVISION, self._database.dialect), 1)])
        yield _gauged(m.WORKERS, [((name,), int(ok)) for name, ok in self._beating().items()])
        yield _gauged(m.POLICIES, [((), int(self._policies_broken()))])
        yield _gauged(m.DATABASE, [((), int(figures is not None))])
        found = {} if figures is None else _figured(figures)
        for family in m.OF_DATABASE:
            yield _gauged(family, self._with_zeros(family, found[family]) if found else ())

    def _with_zeros(self, family: Family, found: Sequence[tuple[Labels, float]]) -> Sequence[tuple[Labels, float]]:
        """With the series that were told before and hold nothing now, as far as there is room for them."""
        now = {labels for labels, _ in found}
        over = [labels for labels in self._told.get(family, ()) if labels not in now]
        told = [*found, *((labels, 0.0) for labels in over[: max(0, MAX_SERIES - len(found))])]
        self._told[family] = [labels for labels, _ in told]
        return told


class _Collected:
    """Metrics that are there already, as a registry wants them."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _figured(found: Figures) -> dict[Family, list[tuple[Labels, float]]]:
    cases, events = _few(found.cases), _few(found.events)
    runs, deliveries = _few(found.runs), _few(found.deliveries)
    return {
        m.CASES: [((one.tenant_id, one.source_id), one.count) for one in cases],
        m.OLDEST: [((one.tenant_id, one.source_id), one.seconds) for one in cases],
        m.CARDS: [((one.platform,), one.count) for one in found.cards],
        m.CARDS_QUEUED: [((one.platform,), one.count) for one in found.queued],
        m.CARDS_LATE: [((one.platform,), one.seconds) for one in found.cards],
        m.NOTICES: [((one.platform,), one.count) for one in found.notices],
        m.NOTICES_LATE: [((one.platform,), one.seconds) for one in found.notices],
        m.DELIVERIES: [((one.tenant_id, one.state), one.count) for one in deliveries],
        m.DELIVERIES_LATE: [((one.tenant_id, one.state), one.seconds) for one in deliveries],
        m.ENDPOINTS: [((one.tenant_id, one.state), one.endpoints) for one in deliveries],
        m.EVENTS: [((one.tenant_id, one.source_id), one.count) for one in events],
        m.EVENTS_OLDEST: [((one.tenant_id, one.source_id), one.seconds) for one in events],
        m.RUNS: [((one.tenant_id,), one.count) for one in runs],
        m.UNSEALED: [((), found.unsealed.count)],
        m.SEAL_LAG: [((), found.unsealed.seconds)],
        m.OVERDUE: [((), found.overdue)],
    }


def _few(found: Sequence[Waiting]) -> list[Waiting]:
    """So many as a metric may have series; the smallest of more are taken together."""
    if len(found) <= MAX_SERIES:
        return list(found)
    ordered = sorted(found, key=lambda one: one.count, reverse=True)
    rest = defaultdict[str, list[Waiting]](list)
    for one in ordered[MAX_SERIES:]:
        rest[one.state].append(one)
    return ordered[:MAX_SERIES] + [
        Waiting(
            sum(one.count for one in ones),
            max(one.seconds for one in ones),
            OTHER,
            OTHER,
            state=state,
            endpoints=sum(one.endpoints for one in ones),
        )
        for state, ones in rest.items()
    ]


def _gauged(family: Family, values: Sequence[tuple[Labels, float]]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    metric = GaugeMetricFamily(family.name, family.about, labels=family.labels)
    for labels, value in values:
        metric.add_metric(labels, value)
    return metric


def _exposed(counts: _Counts) -> Metric:
    from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily

    family = counts.family
    if family.kind == "counter":
        counter = CounterMetricFamily(family.name, family.about, labels=family.labels)
        for labels, row in counts.series.items():
            counter.add_metric(labels, row[-1])
        return counter
    histogram = HistogramMetricFamily(family.name, family.about, labels=family.labels)
    bounds = [*(str(bound) for bound in family.buckets), "+Inf"]
    for labels, (*buckets, total) in counts.series.items():
        histogram.add_metric(labels, list(zip(bounds, accumulate(buckets), strict=True)), total)
    return histogram
