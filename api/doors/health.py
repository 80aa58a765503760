"""Whether the process lives. Served by every process, whatever its roles."""

from __future__ import annotations

from api import health
from api.doors.entry import NO_KEY, About, Door, Entry, Gives, Param
from api.errors import HITL

_LATER = Param("Retry-After", "Seconds after which to ask again.", int, required=True)


def health_door(beating: health.Beating) -> Door:
    return Door(
        "health",
        ("/healthz", "/readyz"),
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
        ),
        about="For load balancers and orchestrators. Needs no key.",
    )
