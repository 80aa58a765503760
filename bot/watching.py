"""Who watches a process: what its settings say of metrics and traces, put together. Where they say nothing, nothing is
loaded, and nothing is wrapped around anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from api.metrics import Scraped
from bot.settings import Settings
from core.gate import Gate
from core.ledger import Database
from core.ledger.watched import WatchedDatabase
from core.meters import Meters, Spans, Watch
from core.traced_gate import TracedGate


def watch_of(settings: Settings) -> Watch:
    """Raises WrongSetting."""
    return Watch(_meters(settings), _spans(settings))


def _meters(settings: Settings) -> Meters:
    if settings.metrics_token is None:
        return Meters()
    from bot.metrics import Metrics

    return Metrics()


def _spans(settings: Settings) -> Spans:
    if not settings.otel_exporter_otlp_endpoint:
        return Spans()
    from bot.tracing import traces

    return traces(settings)


def watched(database: Database, watch: Watch) -> Database:
    return WatchedDatabase(database, watch.meters) if watch.counts else database


def gate_of(watch: Watch) -> type[Gate]:
    """The gate's class: whoever makes one of TracedGate gives it its spans."""
    return TracedGate if watch.traces else Gate


def scraped(
    settings: Settings,
    watch: Watch,
    database: Database,
    beating: Callable[[], Mapping[str, bool]],
    policies_broken: Callable[[], bool],
) -> Scraped | None:
    """What `GET /metrics` answers, and to whom."""
    if settings.metrics_token is None:
        return None
    from bot.metrics import Exposition

    exposition = Exposition(watch.meters, database, beating, policies_broken, settings.retention_days)
    return Scraped(settings.metrics_token.get_secret_value(), exposition.page)
