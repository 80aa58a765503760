"""Who watches a process: what its settings say of metrics and traces, put together. Where they say nothing, nothing is
wrapped around anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from api.metrics import Scraped
from bot.metrics import Exposition, Metrics
from bot.settings import Settings
from bot.tracing import traces
from core.gate import Gate
from core.ledger import Database
from core.ledger.watched import WatchedDatabase
from core.meters import NOBODY, Meters, Watch
from core.traced_gate import TracedGate


def watch_of(settings: Settings) -> Watch:
    """Raises WrongSetting."""
    counted, traced = settings.metrics_token is not None, bool(settings.otel_exporter_otlp_endpoint)
    if not counted and not traced:
        return NOBODY
    return Watch(Metrics() if counted else Meters(), traces(settings))


def watched(database: Database, watch: Watch) -> Database:
    return WatchedDatabase(database, watch.meters) if isinstance(watch.meters, Metrics) else database


def gate_of(settings: Settings) -> type[Gate]:
    """The gate's class: whoever makes one of TracedGate gives it its spans."""
    return TracedGate if settings.otel_exporter_otlp_endpoint else Gate


def scraped(
    settings: Settings,
    watch: Watch,
    database: Database,
    beating: Callable[[], Mapping[str, bool]],
    policies_broken: Callable[[], bool],
) -> Scraped | None:
    """What `GET /metrics` answers, and to whom."""
    if settings.metrics_token is None or not isinstance(watch.meters, Metrics):
        return None
    exposition = Exposition(watch.meters, database, beating, policies_broken)
    return Scraped(settings.metrics_token.get_secret_value(), exposition.page)
