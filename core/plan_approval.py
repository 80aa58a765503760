"""The example's own little world: an inventory of services, what a goal would change in it, and the change. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import InvalidInput
from core.model import JsonObject

INVENTORY: Mapping[str, Mapping[str, Any]] = {
    "checkout": {"version": "2.13.4", "replicas": 4},
    "mail": {"version": "1.8.0", "replicas": 2},
    "search": {"version": "5.0.2", "replicas": 3},
}
MAX_REPLICAS = 100
_WORD = re.compile(r"[a-z]+")


def check_input(given: JsonObject) -> None:
    """Raise InvalidInput unless this can be planned with: `service` (one of the inventory), `replicas`."""
    if unknown := sorted(set(given) - {"service", "replicas"}):
        raise InvalidInput(f"input.{unknown[0]} is not a known field", field=f"input.{unknown[0]}")
    if "service" in given and given["service"] not in INVENTORY:
        raise InvalidInput(f"input.service must be one of {', '.join(INVENTORY)}", field="input.service")
    replicas = given.get("replicas", 1)
    if not isinstance(replicas, int) or isinstance(replicas, bool) or not 0 <= replicas <= MAX_REPLICAS:
        raise InvalidInput(f"input.replicas must be a whole number from 0 to {MAX_REPLICAS}", field="input.replicas")


def plan_of(goal: str, given: JsonObject) -> list[dict[str, Any]]:
    """What would be done: one replica more for every service that the goal names (all, when it names none), or what
    `given` says.
    """
    named = [service for service in INVENTORY if service in _WORD.findall(goal.lower())]
    services = [given["service"]] if "service" in given else named or list(INVENTORY)
    return [
        {"service": service, "field": "replicas", "was": was, "becomes": given.get("replicas", was + 1)}
        for service in services
        for was in [INVENTORY[service]["replicas"]]
    ]


def words_of(plan: Sequence[JsonObject]) -> str:
    return "\n".join(f"{one['service']}: {one['field']} {one['was']} → {one['becomes']}" for one in plan)


def differences(plan: Sequence[JsonObject]) -> list[dict[str, Any]]:
    """What is different once the plan is carried out, as operations on the inventory."""
    changed = [one for one in plan if one["was"] != one["becomes"]]
    return [{"op": "replace", "path": f"/{one['service']}/{one['field']}", "value": one["becomes"]} for one in changed]


def carried_out(plan: Sequence[JsonObject]) -> dict[str, dict[str, Any]]:
    """The inventory after the plan."""
    found = {service: dict(facts) for service, facts in INVENTORY.items()}
    for one in plan:
        found[one["service"]][one["field"]] = one["becomes"]
    return found
