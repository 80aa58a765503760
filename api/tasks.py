"""Door 3, guarded operations: tasks, approvals, and the grants that let the same through for a while."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic_core import to_json

from api.auth import listed_source
from api.call import Call, while_known
from api.http import Answers, Header, json_answer, raw_json_answer
from api.once import once_of
from api.paging import page, page_size, place
from api.schemas.base import NoFields, parse
from api.schemas.tasks import (
    Approval,
    GrantsAnswer,
    NewGrant,
    NewTask,
    TasksAnswer,
    accepted_answer,
    approval_missing,
    grant_answer,
    not_dispatched,
    task_answer,
    task_item,
)
from core.errors import InvalidInput, Refused, TookTooLong
from core.grants import NEWEST
from core.guarded_views import TaskState, TaskView
from core.model import Principal
from core.strictjson import load_object

T = TypeVar("T")

DEFAULT_PAGE, MAX_PAGE = 50, 100
MAX_WAIT_SECONDS, RESCAN_SECONDS = 10.0, 1.0


async def post_task(call: Call) -> Answers:
    """`POST /tasks`: with `?wait=1` the answer waits for dispatch, or is what keeps the task from it."""
    wait = _flag(call.query("wait"), "wait")
    body = await call.body()
    wanted = parse(NewTask, load_object(body)).wanted()
    text = await call.services.guarded.open(
        call.caller, wanted, once_of(call, "tasks", body), _rendered(accepted_answer)
    )
    task_id = json.loads(text)["task_id"]
    if not wait:
        return raw_json_answer(202, text.encode(), _location("tasks", task_id))
    task = await while_known(call, _dispatched(call, task_id))
    return json_answer(202, accepted_answer(task), _location("tasks", task_id))


async def _dispatched(call: Call, task_id: str) -> TaskView:
    """Raises HitlRequired while a person must agree, Refused for what will not be dispatched, TookTooLong."""
    until = time.monotonic() + MAX_WAIT_SECONDS
    while True:
        task = await call.services.guarded.dispatched(call.caller.tenant_id, task_id, RESCAN_SECONDS)
        match task.status:
            case TaskState.DISPATCHED:
                return task
            case TaskState.HITL_REQUIRED:
                raise approval_missing(task)
            case TaskState.REJECTED | TaskState.EXPIRED | TaskState.FAILED:
                raise not_dispatched(task)
        if task.status is TaskState.QUEUED or time.monotonic() >= until:
            raise TookTooLong(task_id=task_id, status=str(task.status))


async def list_tasks(call: Call) -> Answers:
    """`GET /tasks`: newest first."""
    query = call.query("source_id", "after", "limit")
    limit, before = page_size(query.get("limit"), DEFAULT_PAGE, MAX_PAGE), place(query.get("after"), NEWEST)
    source_id = listed_source(call.caller, query.get("source_id"))
    found = await call.services.guarded.list(call.caller.tenant_id, before, limit, source_id)
    tasks, cursor = page(found, limit, lambda task: (task.created_at, task.task_id))
    return json_answer(200, TasksAnswer(items=list(map(task_item, tasks)), next_cursor=cursor))


async def get_task(call: Call) -> Answers:
    """`GET /tasks/{task_id}`"""
    return json_answer(200, task_answer(await call.services.guarded.get(call.caller.tenant_id, call.params["task_id"])))


async def approve(call: Call) -> Answers:
    """`POST /approvals/{task_id}`"""
    body = await call.body()
    said = parse(Approval, load_object(body))
    task_id = call.params["task_id"]
    text = await call.services.guarded.approve(
        call.caller,
        task_id,
        said.decision,
        reason=said.reason,
        approver=said.approver,
        approval_token=said.approval_token,
        idempotency=once_of(call, f"approvals:{task_id}", body),
        render=_rendered(accepted_answer),
    )
    return raw_json_answer(200, text.encode())


async def create_grant(call: Call) -> Answers:
    """`POST /grants`"""
    body = await call.body()
    wanted = parse(NewGrant, load_object(body))
    text = await call.services.grants.give(
        _unbound(call),
        wanted.operation,
        wanted.payload,
        wanted.ms(),
        wanted.reason,
        once_of(call, "grants", body),
        _rendered(grant_answer),
    )
    return raw_json_answer(201, text.encode(), _location("grants", json.loads(text)["grant_id"]))


async def list_grants(call: Call) -> Answers:
    """`GET /grants`: newest first; with `?live=1` only those that still let something through."""
    query = call.query("live", "after", "limit")
    limit, before = page_size(query.get("limit"), DEFAULT_PAGE, MAX_PAGE), place(query.get("after"), NEWEST)
    found = await call.services.grants.list(_unbound(call).tenant_id, before, limit, live=_flag(query, "live"))
    grants, cursor = page(found, limit, lambda grant: (grant.created_at, grant.grant_id))
    return json_answer(200, GrantsAnswer(items=list(map(grant_answer, grants)), next_cursor=cursor))


async def get_grant(call: Call) -> Answers:
    """`GET /grants/{grant_id}`"""
    return json_answer(
        200, grant_answer(await call.services.grants.get(_unbound(call).tenant_id, call.params["grant_id"]))
    )


async def revoke_grant(call: Call) -> Answers:
    """`POST /grants/{grant_id}/revoke`: revoking it again answers the same."""
    body = await call.body()
    parse(NoFields, load_object(body) if body else {})
    grant = await call.services.grants.revoke(_unbound(call), call.params["grant_id"])
    return json_answer(200, grant_answer(grant))


def _unbound(call: Call) -> Principal:
    """Raises Refused for a key that is bound to sources: what a grant lets through, it lets through to all of them."""
    if call.caller.sources is not None:
        raise Refused("this key is bound to sources, and a grant is for all of them; use a key of the whole tenant")
    return call.caller


def _rendered(answer: Callable[[T], Mapping[str, Any]]) -> Callable[[T], str]:
    return lambda found: to_json(answer(found)).decode()


def _location(collection: str, name: str) -> Header:
    return b"location", f"/{collection}/{name}".encode()


def _flag(query: Mapping[str, str], name: str) -> bool:
    if (given := query.get(name, "0")) not in ("0", "1"):
        raise InvalidInput(f"{name} must be 1 or 0", field=name)
    return given == "1"
