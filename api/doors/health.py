"""Whether the process lives, and what it counts. Served by every process, whatever its roles."""

from __future__ import annotations

from api import health
from api.doors.entry import NO_KEY, About, Door, Entry, Gives, Param
from api.errors import HITL
from api.http import Unauthorized
from api.metrics import CONTENT_TYPE, Scraped, metrics
from api.openapi.security import METRICS

_LATER = Param("Retry-After", "Seconds after which to ask again.", int, required=True)


def health_door(beating: health.Beating, scraped: Scraped | None = None) -> Door:
    return Door(
        "health",
        ("/healthz", "/readyz", "/metrics"),
        HITL,
        (
            Entry(
                "GET",
                "/healthz",
                NO_KEY,
                health.healthz,
                About("Whether the process answers", {200: Gives("It does.", health.Alive)}),
            ),
            Entry(
                "GET",
                "/readyz",
                NO_KEY,
                health.readyz(beating),
                About(
                    "Whether the process should be sent work",
                    {
                        200: Gives("The database answers with this code's schema, and all workers beat.", health.Ready),
                        503: Gives("Something does not; `checks` says what.", health.Ready, headers=(_LATER,)),
                    },
                ),
            ),
            Entry(
                "GET",
                "/metrics",
                NO_KEY,
                metrics(scraped),
                About(
                    "What the process counts, for Prometheus",
                    {200: Gives("Every metric, in Prometheus' text format.", str, media=CONTENT_TYPE)},
                    detail="Served where METRICS_TOKEN is set, to whoever brings that token.",
                    errors=(Unauthorized,),
                    credentials=(METRICS,),
                ),
            ),
        ),
        about="For load balancers, orchestrators and whoever watches. Needs no key.",
    )
