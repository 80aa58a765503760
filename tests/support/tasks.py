"""Guarded tasks at an agent's desk: posted, and their links."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from core.guarded import WantedTask
from core.guarded_views import TaskView
from tests.support.review_page import Desk

PAYLOAD: dict[str, Any] = {
    "branch": "main",
    "commit": "9f2c1e7",
    "files": [{"path": "billing/rates.py", "lines": 12}, {"path": "billing/tests.py", "lines": 40}],
    "force": False,
}


async def post(
    found: Desk, operation: str = "repo.commit", payload: dict[str, Any] | None = None, **more: Any
) -> TaskView:
    """Post a task; `more` are fields of WantedTask."""
    wanted = WantedTask(operation, PAYLOAD if payload is None else payload, **more)
    task_id = await found.services.guarded.open(found.principal, wanted, None, lambda task: task.task_id)
    return await found.services.guarded.get(found.principal.tenant_id, task_id)


async def said(found: Desk, task: TaskView, action: str, **data: Any) -> None:
    """Answer it with a reviewer's key."""
    _, reviewer = await found.services.keys.create("reviewer", found.principal.tenant_id)
    await found.services.guarded.approve(
        reviewer,
        task.task_id,
        "approve" if action == "approve" else "reject",
        reason=data.get("reason"),
        approver=data.get("approver", "Ana"),
        approval_token=None,
        idempotency=None,
        render=lambda seen: seen.task_id,
    )


async def answered(found: Desk, task: TaskView) -> TaskView:
    """The task as it stands now."""
    return await found.services.guarded.get(task.tenant_id, task.task_id)


def link_of(task: TaskView, lang: str = "en") -> str:
    """The approval link's path and query."""
    assert task.approval_link is not None
    parts = urlsplit(task.approval_link)
    return f"{parts.path.replace('/en/', f'/{lang}/', 1)}?{parts.query}"


def path_of(task: TaskView, lang: str = "en") -> str:
    """The page's path, without the token."""
    return link_of(task, lang).partition("?")[0]


def token_of(task: TaskView) -> str:
    return link_of(task).partition("?token=")[2]
