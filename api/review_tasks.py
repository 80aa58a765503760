"""Door 2, executors: review tasks. A task is a case; what is answered here is its executors' view."""

from __future__ import annotations

import re
from collections.abc import Collection

from pydantic_core import to_json

from api.auth import listed_source
from api.call import Call
from api.http import Answers, Header, json_answer, raw_json_answer
from api.once import once_of
from api.schemas.base import parse
from api.schemas.review_task_answers import ReviewTasksPage, etag_of, opened_task, task_answer, task_item
from api.schemas.review_tasks import BlockEdits, NewReviewTask, ReviewDecision
from core.errors import InvalidInput
from core.model import Opened
from core.review_tasks import NEWEST, Filter, Task
from core.strictjson import load_object
from core.tasks import TaskStatus

DOOR = "review-tasks"
DEFAULT_PAGE, MAX_PAGE = 50, 100
RISK_LEVELS = ("low", "medium", "high", "critical")
ANY, NONE = range(1_000_000_000), -1  # editions: all there can be, and one that never is
_LIMIT = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_CURSOR = re.compile(r"t([0-9]{1,16})\.([A-Za-z0-9_-]{1,100})", re.ASCII)
_ETAG = re.compile(r'"blocks-([0-9]{1,9})"', re.ASCII)


async def open_task(call: Call) -> Answers:
    """`POST /review-tasks`"""
    services = call.services

    def render(opened: Opened, task: Task) -> str:
        return to_json(opened_task(opened, task, services.public_url)).decode()

    body = await call.body()
    draft = parse(NewReviewTask, load_object(body)).as_draft(services.spec_version, services.destinations)
    once = once_of(call, DOOR, body)
    text = await services.tasks.open(call.caller, draft, once, render)
    return raw_json_answer(201, text.encode(), _etag(0))


async def list_tasks(call: Call) -> Answers:
    """`GET /review-tasks`"""
    query = call.query("source_id", "status", "risk_level", "service_id", "action_type", "limit", "cursor")
    status, risk = query.get("status"), query.get("risk_level")
    if status is not None and status not in list(TaskStatus):
        raise InvalidInput(f"status must be one of {', '.join(TaskStatus)}", field="status")
    if risk is not None and risk not in RISK_LEVELS:
        raise InvalidInput(f"risk_level must be one of {', '.join(RISK_LEVELS)}", field="risk_level")
    wanted = Filter(
        source_id=listed_source(call.caller, query.get("source_id")),
        status=None if status is None else TaskStatus(status),
        risk_level=risk,
        service_id=query.get("service_id"),
        action_type=query.get("action_type"),
    )
    before, limit = _before(query.get("cursor")), _limit(query.get("limit"))
    page = await call.services.tasks.list(call.caller.tenant_id, wanted, before, limit)
    cursor = None if page.next is None else f"t{page.next[0]}.{page.next[1]}"
    items = [task_item(task) for task in page.items]
    return json_answer(200, ReviewTasksPage(items=items, total_count=page.total, next_cursor=cursor))


async def get_task(call: Call) -> Answers:
    """`GET /review-tasks/{case_id}`"""
    return await _task(call)


async def edit_blocks(call: Call) -> Answers:
    """`PATCH /review-tasks/{case_id}/blocks`"""
    edits, editions = parse(BlockEdits, await call.json()), _editions(call)
    task = await call.services.tasks.get(call.caller.tenant_id, call.params["case_id"])
    await call.services.tasks.edit(call.caller, task.case.case_id, edits.contents(task), editions)
    return await _task(call)


async def decide(call: Call) -> Answers:
    """`POST /review-tasks/{case_id}/decision`"""
    decision, editions = parse(ReviewDecision, await call.json()), _editions(call)
    task = await call.services.tasks.get(call.caller.tenant_id, call.params["case_id"])
    action, data = decision.answer(task)
    edition = None  # "whatever stands" is not something that anybody has read
    if editions not in (None, ANY):
        edition = task.case.edition if task.case.edition in editions else NONE
    await call.services.tasks.decide(
        call.caller,
        task.case.case_id,
        action,
        data,
        edition=edition,
        content_digest=decision.content_digest,
    )
    return await _task(call)


async def _task(call: Call) -> Answers:
    task = await call.services.tasks.get(call.caller.tenant_id, call.params["case_id"])
    return json_answer(200, task_answer(task, call.services.public_url), _etag(task.case.edition))


def _etag(edition: int) -> Header:
    return b"etag", etag_of(edition).encode()


def _editions(call: Call) -> Collection[int] | None:
    """The editions that If-Match names (weak and foreign tags match none), all for `*`, None without it."""
    given = call.header(b"if-match")
    if given is None:
        return None
    if given.strip() == "*":
        return ANY
    found = (_ETAG.fullmatch(tag.strip()) for tag in given.split(","))
    return {int(tag[1]) for tag in found if tag}


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE
    if not _LIMIT.fullmatch(text) or int(text) > MAX_PAGE:
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_PAGE}", field="limit")
    return int(text)


def _before(text: str | None) -> tuple[int, str]:
    if not text:
        return NEWEST
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise InvalidInput("cursor must be a next_cursor that an earlier answer gave", field="cursor")
    return int(found[1]), found[2]
