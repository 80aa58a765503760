"""The page behind an approval link as values: a guarded task in, everything that its template prints out. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from api.review.content import Content, content_of, guarded_facts
from api.review.ending import Moment, Outcome, moment_of, outcome_of, state_of
from api.review.page import SHORT_DIGEST
from api.review.pieces import Fact, shown
from api.review.strings import Texts, left_words
from core.guarded_views import TaskState, TaskView
from core.views import Review


@dataclass(frozen=True, slots=True)
class TaskPage:
    """`left` says how long it can still be decided, None once it cannot; `denied` that a credential did not let in."""

    task_id: str
    prompt: str
    asked_by: str | None
    deadline: Moment
    left: str | None
    facts: tuple[Fact, ...]
    content: Content
    outcome: Outcome | None
    denied: bool
    digest: str
    short_digest: str


def task_page_of(task: TaskView, review: Review, texts: Texts, *, denied: bool = False) -> TaskPage:
    """`review` is of the task's case."""
    case, now = review.case, review.now
    state = state_of(case, now)
    waiting = state == "open" and task.status is TaskState.HITL_REQUIRED
    return TaskPage(
        task_id=task.task_id,
        prompt=shown(case.prompt),
        asked_by=shown(task.requested_by) if task.requested_by else None,
        deadline=moment_of(case.expires_at, texts),
        left=left_words(max(0, case.expires_at - now), texts) if waiting else None,
        facts=tuple(_facts(task, texts)),
        content=content_of(case, texts),
        outcome=None if state == "open" else outcome_of(case, state, texts, review.receipt),
        denied=denied,
        digest=case.content_digest,
        short_digest=case.content_digest.removeprefix("sha256:")[:SHORT_DIGEST],
    )


def _facts(task: TaskView, texts: Texts) -> list[Fact]:
    """Where the task stands, and which rule asks for a person."""
    words, ruling = texts["guarded"], task.ruling
    rule = f"{ruling['policy']}/{ruling['rule']}" if ruling.get("rule") else None
    found = [
        *guarded_facts(task.case, texts)[:1],
        Fact(words["status"], words["states"][task.status]),
        Fact(words["why"], shown(str(ruling.get("reason") or texts["nothing"]))),
        Fact(words["rule"], shown(rule) if rule else words["no_rule"], code=rule is not None),
        *guarded_facts(task.case, texts)[1:],
    ]
    return [*found, Fact(words["failure"], shown(task.failure))] if task.failure else found
