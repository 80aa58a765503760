"""What the process counts, for whoever holds the token of its settings. Without one nothing is counted nor told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from api.auth import bearer
from api.call import Call, Handler
from api.http import Answer, Answers, Unauthorized
from core.tokens import same

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Scraped:
    """`page` makes what is told, in Prometheus' text format, for whoever brings `token`."""

    token: str = field(repr=False)
    page: Callable[[], Awaitable[bytes]] = field(repr=False)


def metrics(scraped: Scraped | None) -> Handler:
    async def metrics(call: Call) -> Answers:
        """`GET /metrics`"""
        if scraped is None:
            raise Unauthorized("this process serves no metrics: METRICS_TOKEN is not set")
        given = bearer(call.scope)
        if given is None or not same(given, scraped.token):
            raise Unauthorized("send the token that METRICS_TOKEN names, as Authorization: Bearer")
        body = await scraped.page()
        headers = [
            (b"content-type", CONTENT_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
        ]
        return Answer(200, body, headers)

    return metrics
