"""Guarded operations: a task is posted, and waited for until it is dispatched or will not be."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from assent.errors import HitlRequired, NotDispatched
from assent.http import FOREVER, Http
from assent.reading import told
from assent.watching import at_most
from assent.wire import Task, TaskPosted

TASKS = "/tasks"
LONGEST_PAUSE = 5.0  # between two looks, in seconds


class Guarding(TypedDict, total=False):
    """How an operation is asked for.

    `key` names this one time. `wait`: False to raise HitlRequired where a person must agree; `within`: for how many
    seconds to wait. `requested_by`, `source_id`, `notify`: who asks, where the decision goes, which chats get the card.
    """

    key: str
    wait: bool
    within: float | None
    requested_by: str
    source_id: str
    notify: Sequence[str]


async def guarded(
    http: Http, tenant: str | None, operation: str, payload: Mapping[str, Any], guarding: Guarding
) -> Task:
    """The task, dispatched. Raises HitlRequired, NotDispatched, StillWaiting, and ValueError without a tenant."""
    if tenant is None:
        raise ValueError("guarded operations need the tenant of the key: Agent(url, key, tenant=…)")
    about = {name: guarding[name] for name in ("requested_by", "source_id", "notify") if name in guarding}
    body = json.dumps(
        {"operation": operation, "payload": payload, **about},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    # Also a key that is used for this call alone makes it safe to send twice.
    headers = {
        "x-tenant-id": tenant,
        "idempotency-key": guarding.get("key") or f"once-{secrets.token_urlsafe(16)}",
    }
    response = await http.ask("POST", TASKS, body=body.encode(), headers=headers)
    looking = _Looking(http, tenant, told(TaskPosted, response.content).task_id)
    task = await looking.look()
    if task.status == "hitl_required" and not guarding.get("wait", True):
        raise HitlRequired(task)
    task = await at_most(guarding.get("within"), task, looking.until_settled(task))
    if task.status == "dispatched":
        return task
    raise NotDispatched(task, _why(task))


class _Looking:
    """One task, looked at again and again: its door has no stream."""

    def __init__(self, http: Http, tenant: str, task_id: str) -> None:
        self._http = http
        self._headers = {"x-tenant-id": tenant}
        self._path = f"{TASKS}/{task_id}"

    async def look(self) -> Task:
        return told(Task, (await self._http.ask("GET", self._path, headers=self._headers, patience=FOREVER)).content)

    async def until_settled(self, task: Task) -> Task:
        looks = 0
        while task.status in ("queued", "hitl_required", "approved"):
            looks += 1
            await self._http.clock.sleep(min(LONGEST_PAUSE, self._http.backoff.pause(looks)))
            task = await self.look()
        return task


def _why(task: Task) -> str:
    how = {"rejected": "this was rejected", "expired": "nobody agreed to this in time"}
    denied = task.policy.get("reason") if task.policy.get("verdict") == "deny" else None
    words = task.failure or denied or (task.answer or {}).get("reason")
    first = how.get(task.status, "this was refused at dispatch")
    return f"{first}: {words}" if words else first
