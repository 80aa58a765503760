"""OpenTelemetry traces, sent to a collector over HTTP. The SDK (7 MB) is loaded where a collector is configured.

A span carries ids, durations and words of closed lists: what the core tells of its work, and the ids that the log has
(request, tenant, case). An error is noted down by its class or code, because its words may quote a request.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from structlog.contextvars import get_contextvars

from bot.settings import Settings, WrongSetting
from core.errors import AssentError, Unavailable
from core.meters import Span, Spans

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan

EXPORT_SECONDS = 5.0
CLOSE_SECONDS = 5.0
FROM_THE_LOG = ("request_id", "tenant_id", "case_id")

Facts = Mapping[str, str | int | None]


def traces(settings: Settings) -> Traces:
    """What traces this process. Raises WrongSetting when the extra `otel` is not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
    except ImportError:
        raise WrongSetting("OTEL_EXPORTER_OTLP_ENDPOINT: install Assent's extra otel, or leave it unset") from None

    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(settings.otel_traces_sampler_arg),
        resource=Resource.create({"service.name": settings.otel_service_name}),
        shutdown_on_exit=False,  # closed with the process's other connections, while it still answers for itself
    )
    endpoint = f"{settings.otel_exporter_otlp_endpoint}/v1/traces"
    exporter = OTLPSpanExporter(endpoint, headers=settings.otel_headers, timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1_000))
    return Traces(provider)


class Traces(Spans):
    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("assent")
        self._propagator = TraceContextTextMapPropagator()
        self._context, self._trace = context, trace

    def span(self, name: str, /, **facts: str | int | None) -> AbstractContextManager[Span]:
        return self._current(self._started(name, facts))

    def served(self, headers: Mapping[str, str], /, **facts: str | int | None) -> AbstractContextManager[Span]:
        parent = self._propagator.extract(headers)
        return self._current(self._started("request", facts, parent, serves=True))

    def done(self, name: str, began_ns: int, /, **facts: str | int | None) -> None:
        _end(self._started(name, facts, began_ns=began_ns))

    async def close(self) -> None:
        """Waits for the collector no longer than `CLOSE_SECONDS`."""
        await asyncio.to_thread(self._provider.force_flush, int(CLOSE_SECONDS * 1000))
        await asyncio.to_thread(self._provider.shutdown)

    def _started(
        self,
        name: str,
        facts: Facts,
        parent: Context | None = None,
        *,
        serves: bool = False,
        began_ns: int | None = None,
    ) -> OtelSpan:
        kinds = self._trace.SpanKind
        return self._tracer.start_span(
            name,
            context=parent,
            kind=kinds.SERVER if serves else kinds.INTERNAL,
            attributes=_known(facts),
            start_time=began_ns or time.time_ns(),
            record_exception=False,
            set_status_on_exception=False,
        )

    @contextmanager
    def _current(self, span: OtelSpan) -> Iterator[Span]:
        token = self._context.attach(self._trace.set_span_in_context(span))
        try:
            yield _Traced(span, self._carried)
        except BaseException as error:
            _note(span, error)
            raise
        finally:
            self._context.detach(token)
            _end(span)

    def _carried(self, span: OtelSpan) -> Mapping[str, str]:
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, self._trace.set_span_in_context(span))
        return carrier


class _Traced(Span):
    def __init__(self, span: OtelSpan, carried: Callable[[OtelSpan], Mapping[str, str]]) -> None:
        self._span = span
        self._carried = carried

    @property
    def headers(self) -> Mapping[str, str]:
        return self._carried(self._span)

    def about(self, **facts: str | int | None) -> None:
        if self._span.is_recording():
            self._span.set_attributes(_known(facts))

    def named(self, name: str) -> None:
        self._span.update_name(name)


def _known(facts: Facts) -> dict[str, str | int]:
    return {name: value for name, value in facts.items() if value is not None}


def _end(span: OtelSpan) -> None:
    """With the ids that the log has: a request's own are known by its end."""
    if span.is_recording():  # most are not, where few traces are kept
        span.set_attributes(_logged())
    span.end()


def _logged() -> dict[str, str | int]:
    bound = get_contextvars()
    return {name: str(bound[name]) for name in FROM_THE_LOG if name in bound}


def _note(span: OtelSpan, error: BaseException) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("error.type", error.code if isinstance(error, AssentError) else type(error).__name__)
    # That a rule said no is an answer like any other.
    if not isinstance(error, AssentError) or isinstance(error, Unavailable):
        span.set_status(StatusCode.ERROR)
