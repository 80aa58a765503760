"""Door 2: executors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api import executors, review_tasks
from api.doors.entry import ADMIN, AGENT, EVERYBODY, EXECUTOR, ONCE, REVIEWER, About, Door, Entry, Gives, Link, Param
from api.errors import EXECUTORS
from api.schemas.base import NoFields
from api.schemas.events import Acked, ClaimAnswer, EventsPage
from api.schemas.review_task_answers import OpenedTask, ReviewTask, ReviewTasksPage
from api.schemas.review_tasks import BlockEdits, NewReviewTask, ReviewDecision, RiskLevel
from api.schemas.source_answers import PushedPage, Replayed, RotatedAnswer, SourceAnswer, SourcesAnswer, TrialAnswer
from api.schemas.sources import Acks, ChangedSource, NewSecret, NewSource, Replays, WantedClaim
from core.errors import (
    AlreadyDecided,
    CaseCancelled,
    CaseExpired,
    Conflict,
    ContentChanged,
    IllegalTransition,
    InvalidInput,
    Refused,
    Settled,
)
from core.events import MAX_PAGE
from core.tasks import TaskStatus

_SOURCE = "/sources/{source_id}"
_TASK = "/review-tasks/{case_id}"

_LIMIT = Param("limit", "How many at the most; 100 unless said.", Annotated[int, Field(ge=1, le=MAX_PAGE)])
_AFTER = Param("after", "`next_cursor` of the page before.")
_IF_MATCH = Param("If-Match", "The `ETag` of the blocks that were read: refused when they have changed since.")
_ETAG = Param("ETag", "Which edition of its blocks the task has.", required=True)
_SEEN = Gives("The source.", SourceAnswer)
_CHANGED = Gives("The source as it is now.", SourceAnswer)
_SEEN_TASK = Gives("The task.", ReviewTask, headers=(_ETAG,))
_CHANGED_TASK = Gives("The task as it is now.", ReviewTask, headers=(_ETAG,))
_LOST = (AlreadyDecided, CaseCancelled, CaseExpired, ContentChanged)
_SOURCE_LINKS = tuple(
    Link(f"executors_{name}", {"source_id": "/id"})
    for name in ("get_source", "change_source", "pull", "list_deliveries", "rotate_secret", "pause_webhook")
)
_TASK_LINKS = tuple(Link(f"executors_{name}", {"case_id": "/id"}) for name in ("get_task", "edit_blocks", "decide"))

_PULL = About(
    "Read the decision events that are not acked",
    {200: Gives("Oldest first; the cursor never skips one.", EventsPage)},
    query=(
        _AFTER,
        _LIMIT,
        Param("wait", "How many seconds to wait for one, when there is none.", Annotated[float, Field(ge=0, le=30)]),
    ),
    errors=(Conflict,),
)
_ACK = About(
    "Say which events are done with",
    {200: Gives("They are not delivered again.", Acked)},
    takes=Acks,
    errors=(Conflict,),
    example={"event_ids": ["evt_4Zr0"]},
)
_CLAIM = About(
    "Claim an event before acting on it",
    {200: Gives("The claim; the same claimer gets the same again.", ClaimAnswer)},
    detail="Once only: another claimer gets a conflict. A denial, or a digest that is not the event's, is refused.",
    takes=WantedClaim,
    errors=(Conflict, Refused),
    example={"final_digest": "sha256:0a1b…", "claimer_id": "deployer-1"},
)
_ROTATE = About(
    "Replace the webhook's secret",
    {200: Gives("From now on the new secret signs, and for a while the old one too.", RotatedAnswer)},
    takes=NewSecret,
    optional=True,
    headers=(ONCE,),
    example={"grace_seconds": 3600},
)
_TRY = About(
    "Send a test to the webhook",
    {200: Gives("What it answered.", TrialAnswer)},
    takes=NoFields,
    optional=True,
    headers=(ONCE,),
)
_PAUSE = About("Pause the webhook's deliveries", {200: _CHANGED}, takes=NoFields, optional=True)
_RESUME = About("Resume the webhook's deliveries", {200: _CHANGED}, takes=NoFields, optional=True)
_DELIVERIES = About(
    "List the webhook's deliveries",
    {200: Gives("One page, newest first.", PushedPage)},
    query=(
        Param("state", "Only these.", Literal["waiting", "delivered", "failed"]),
        _AFTER,
        _LIMIT,
    ),
)
_REPLAY = About(
    "Try failed deliveries again",
    {200: Gives("They are due now.", Replayed)},
    takes=Replays,
    headers=(ONCE,),
    example={"from": "2026-02-21T10:00:00Z", "to": "2026-02-21T12:00:00Z"},
)
_GET_SOURCE = About("Read a source", {200: _SEEN})
_CHANGE_SOURCE = About("Change a source", {200: _CHANGED}, takes=ChangedSource, example={"grace_period": "5m"})
_LIST_SOURCES = About("List the sources that the key reaches", {200: Gives("All of them.", SourcesAnswer)})
_CREATE_SOURCE = About(
    "Make a source",
    {
        201: Gives(
            "The source. A secret that was made up for its webhook is in this answer, and in no other.",
            SourceAnswer,
            headers=(Param("Location", "The source's address.", required=True),),
            links=_SOURCE_LINKS,
        )
    },
    takes=NewSource,
    headers=(ONCE,),
    example={"name": "Deployments", "delivery": {"mode": "PULL_ONLY"}, "notify": ["slack:C024BE91L"]},
)
_OPEN_TASK = About(
    "Open a review task",
    {
        201: Gives(
            "The task, and the addresses and tokens of its case.", OpenedTask, headers=(_ETAG,), links=_TASK_LINKS
        )
    },
    detail="A review task is a case with artifacts: it has a review page, cards, a poll address and an event stream.",
    takes=NewReviewTask,
    headers=(ONCE,),
    example={
        "source_id": "src_example",
        "title": "Restart the billing workers",
        "service": {"id": "billing", "name": "Billing"},
        "action": {"type": "restart", "verb": "Restart"},
        "risk_level": "medium",
        "blocks": [{"id": "plan", "type": "markdown", "content": "Restart two at a time.", "editable": True}],
    },
)
_LIST_TASKS = About(
    "List review tasks",
    {200: Gives("One page, newest first.", ReviewTasksPage)},
    query=(
        Param("source_id", "Only those of this source."),
        Param("status", "Only these.", Literal[tuple(str(one) for one in TaskStatus)]),
        Param("risk_level", "Only these.", RiskLevel),
        Param("service_id", "Only those about this service."),
        Param("action_type", "Only those that ask for this."),
        Param("limit", "How many at the most; 50 unless said.", Annotated[int, Field(ge=1, le=review_tasks.MAX_PAGE)]),
        Param("cursor", "`next_cursor` of the page before."),
    ),
)
_GET_TASK = About("Read a review task", {200: _SEEN_TASK})
_EDIT = About(
    "Change what a task's blocks hold",
    {200: _CHANGED_TASK},
    takes=BlockEdits,
    headers=(_IF_MATCH,),
    errors=(*_LOST, Settled, Refused, IllegalTransition),
    example={"blocks_working": [{"id": "plan", "content": "Restart one at a time."}]},
)
_DECIDE = About(
    "Approve or deny a review task",
    {200: _CHANGED_TASK},
    detail="Approving means the blocks as they stand; `If-Match` or `content_digest` says which those were.",
    takes=ReviewDecision,
    headers=(_IF_MATCH,),
    errors=(*_LOST, Refused, IllegalTransition, InvalidInput),
    example={"decision": "APPROVE"},
)

EXECUTORS_DOOR = Door(
    "executors",
    ("/sources", "/review-tasks"),
    EXECUTORS,
    (
        Entry("GET", f"{_SOURCE}/decision-events", EXECUTOR, executors.pull, _PULL),
        Entry("POST", f"{_SOURCE}/decision-events/ack", EXECUTOR, executors.ack, _ACK),
        Entry("POST", f"{_SOURCE}/decision-events/{{event_id}}/claim", EXECUTOR, executors.claim, _CLAIM),
        Entry("POST", f"{_SOURCE}/webhook/rotate-secret", ADMIN, executors.rotate_secret, _ROTATE),
        Entry("POST", f"{_SOURCE}/webhook/test", ADMIN, executors.try_webhook, _TRY),
        Entry("POST", f"{_SOURCE}/webhook/pause", ADMIN, executors.pause_webhook, _PAUSE),
        Entry("POST", f"{_SOURCE}/webhook/resume", ADMIN, executors.resume_webhook, _RESUME),
        Entry("GET", f"{_SOURCE}/deliveries", EXECUTOR, executors.list_deliveries, _DELIVERIES),
        Entry("POST", f"{_SOURCE}/deliveries/replay", ADMIN, executors.replay_deliveries, _REPLAY),
        Entry("GET", _SOURCE, EXECUTOR, executors.get_source, _GET_SOURCE),
        Entry("PATCH", _SOURCE, ADMIN, executors.change_source, _CHANGE_SOURCE),
        Entry("GET", "/sources", EXECUTOR, executors.list_sources, _LIST_SOURCES),
        Entry("POST", "/sources", ADMIN, executors.create_source, _CREATE_SOURCE),
        Entry("POST", "/review-tasks", AGENT, review_tasks.open_task, _OPEN_TASK),
        Entry("GET", "/review-tasks", EVERYBODY, review_tasks.list_tasks, _LIST_TASKS),
        Entry("GET", _TASK, EVERYBODY, review_tasks.get_task, _GET_TASK),
        Entry("PATCH", f"{_TASK}/blocks", REVIEWER, review_tasks.edit_blocks, _EDIT),
        Entry("POST", f"{_TASK}/decision", REVIEWER, review_tasks.decide, _DECIDE),
    ),
    api_key_header=True,
    about="For executors: sources and their webhooks, review tasks, decision events to pull, ack and claim.",
)
