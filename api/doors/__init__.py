"""All doors of the API and all their routes, once, as data: what serves them, and what documents and tests walk.

One module per door, data only. A new route says in its `About` what it takes and gives: no route is undocumented.
"""

from __future__ import annotations

from collections.abc import Collection

from api import health
from api.doors.admin import ADMIN_DOOR
from api.doors.entry import NO_KEY, About, Door, Entry, Gives, Link, Page, Param, Scope
from api.doors.executors import EXECUTORS_DOOR
from api.doors.health import health_door
from api.doors.hitl import HITL_DOOR
from api.doors.inbox import INBOX_DOOR
from api.doors.pages import PAGES_DOOR, messengers_door
from api.doors.reference import reference_door
from api.doors.runs import RUNS_DOOR
from api.doors.tasks import TASKS_DOOR
from api.errors import HITL, Vocabulary
from api.metrics import Scraped

__all__ = [
    "DOORS", "NO_KEY", "About", "Door", "Entry", "Gives", "Link", "Page", "Param", "Scope", "all_doors",
    "health_door", "vocabulary_at",
]  # fmt: skip

DOORS = (HITL_DOOR, EXECUTORS_DOOR, TASKS_DOOR, RUNS_DOOR, ADMIN_DOOR)


def all_doors(
    beating: health.Beating, url: str, mounted: Collection[str] = (), scraped: Scraped | None = None
) -> tuple[Door, ...]:
    """Everything that a process with the api role serves at `url`; `mounted`: the paths of its messengers' webhooks."""
    found: tuple[Door, ...] = (
        *DOORS,
        PAGES_DOOR,
        INBOX_DOOR,
        messengers_door(mounted),
        health_door(beating, scraped),
        reference_door(lambda: found, url),
    )
    return found


def vocabulary_at(path: str) -> Vocabulary:
    """How errors at this address are worded: by the longest prefix (/api/hitl/inbox is no case), and as the HITL door
    does where no door is.
    """
    found = [
        (len(prefix), door.vocabulary)
        for door in DOORS
        for prefix in door.prefixes
        if path == prefix or path.startswith(prefix + "/")
    ]
    return max(found, key=lambda one: one[0])[1] if found else HITL
