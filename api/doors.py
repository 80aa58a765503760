"""All doors of the API and all their routes, once, as data: what serves them, and what tests walk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from api import executors, flows, health, hitl, review_tasks
from api.discovery import discovery, jwks
from api.errors import EXECUTORS, HITL, Vocabulary
from api.http import Handler

Scope = Literal["agent", "executor", "reviewer", "admin"]

AGENT: tuple[Scope, ...] = ("agent", "admin")
EXECUTOR: tuple[Scope, ...] = ("executor", "admin")
REVIEWER: tuple[Scope, ...] = ("reviewer", "admin")
EVERYBODY: tuple[Scope, ...] = ("agent", "executor", "reviewer", "admin")
ADMIN: tuple[Scope, ...] = ("admin",)
NO_KEY: tuple[Scope, ...] = ()  # needs none, or knows the case's own tokens


@dataclass(frozen=True, slots=True)
class Entry:
    """One route: the scopes whose keys may take it, and what serves it."""

    method: Literal["GET", "PATCH", "POST"]
    path: str
    scopes: tuple[Scope, ...]
    handler: Handler


@dataclass(frozen=True, slots=True)
class Door:
    """`prefixes`: the addresses whose errors are worded by `vocabulary`, also where there is no route."""

    name: str
    prefixes: tuple[str, ...]
    vocabulary: Vocabulary
    entries: tuple[Entry, ...]
    api_key_header: bool = False


_CASES = "/api/hitl/cases"
_CASE = _CASES + "/{case_id}"
_SOURCE = "/sources/{source_id}"
_TASK = "/review-tasks/{case_id}"

HITL_DOOR = Door(
    "hitl",
    ("/api/hitl", "/api/agent", "/.well-known"),
    HITL,
    (
        Entry("POST", _CASES, AGENT, hitl.open_case),
        Entry("GET", f"{_CASE}/status", AGENT, hitl.status),
        Entry("POST", f"{_CASE}/respond", NO_KEY, hitl.respond),
        Entry("GET", f"{_CASE}/events", AGENT, hitl.events),
        Entry("POST", f"{_CASE}/cancel", AGENT, hitl.cancel),
        Entry("POST", "/api/agent/{flow}", NO_KEY, flows.run_flow),  # its key may stand in the body
        Entry("POST", f"{_CASE}/opened", NO_KEY, hitl.opened),
        Entry("POST", f"{_CASE}/progress", NO_KEY, hitl.progress),
        Entry("POST", f"{_CASE}/close", NO_KEY, hitl.close),
        Entry("GET", "/.well-known/hitl.json", NO_KEY, discovery),
        Entry("GET", "/.well-known/jwks.json", NO_KEY, jwks),
    ),
)
EXECUTORS_DOOR = Door(
    "executors",
    ("/sources", "/review-tasks"),
    EXECUTORS,
    (
        Entry("GET", f"{_SOURCE}/decision-events", EXECUTOR, executors.pull),
        Entry("POST", f"{_SOURCE}/decision-events/ack", EXECUTOR, executors.ack),
        Entry("POST", f"{_SOURCE}/decision-events/{{event_id}}/claim", EXECUTOR, executors.claim),
        Entry("POST", f"{_SOURCE}/webhook/rotate-secret", ADMIN, executors.rotate_secret),
        Entry("POST", f"{_SOURCE}/webhook/test", ADMIN, executors.try_webhook),
        Entry("POST", f"{_SOURCE}/webhook/pause", ADMIN, executors.pause_webhook),
        Entry("POST", f"{_SOURCE}/webhook/resume", ADMIN, executors.resume_webhook),
        Entry("GET", f"{_SOURCE}/deliveries", EXECUTOR, executors.list_deliveries),
        Entry("POST", f"{_SOURCE}/deliveries/replay", ADMIN, executors.replay_deliveries),
        Entry("GET", _SOURCE, EXECUTOR, executors.get_source),
        Entry("PATCH", _SOURCE, ADMIN, executors.change_source),
        Entry("GET", "/sources", EXECUTOR, executors.list_sources),
        Entry("POST", "/sources", ADMIN, executors.create_source),
        Entry("POST", "/review-tasks", AGENT, review_tasks.open_task),
        Entry("GET", "/review-tasks", EVERYBODY, review_tasks.list_tasks),
        Entry("GET", _TASK, EVERYBODY, review_tasks.get_task),
        Entry("PATCH", f"{_TASK}/blocks", REVIEWER, review_tasks.edit_blocks),
        Entry("POST", f"{_TASK}/decision", REVIEWER, review_tasks.decide),
    ),
    api_key_header=True,
)
DOORS = (HITL_DOOR, EXECUTORS_DOOR)


def health_door(beating: health.Beating) -> Door:
    """Served by every process, whatever its roles."""
    return Door(
        "health",
        ("/healthz", "/readyz"),
        HITL,
        (
            Entry("GET", "/healthz", NO_KEY, health.healthz),
            Entry("GET", "/readyz", NO_KEY, health.readyz(beating)),
        ),
    )


def vocabulary_at(path: str) -> Vocabulary:
    """How errors at this address are worded; as the HITL door does where no door is."""
    for door in DOORS:
        if any(path == prefix or path.startswith(prefix + "/") for prefix in door.prefixes):
            return door.vocabulary
    return HITL
