"""Door 3: guarded operations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api import policies, tasks
from api.doors.entry import AGENT, EVERYBODY, REVIEWER, About, Door, Entry, Gives, Link, Param
from api.errors import TASKS
from api.schemas.base import NoFields
from api.schemas.policies import PoliciesAnswer
from api.schemas.tasks import Accepted, Approval, GrantAnswer, GrantsAnswer, NewGrant, NewTask, TaskAnswer, TasksAnswer
from core.errors import Conflict, HitlRequired, IdempotencyInFlight, IdempotencyMismatch, InvalidInput, TookTooLong

_TASK = "/tasks/{task_id}"
_GRANT = "/grants/{grant_id}"
_PAGE = (
    Param("after", "`next_cursor` of the page before.", Annotated[str, Field(max_length=120)]),
    Param("limit", "How many at the most; 50 unless said.", Annotated[int, Field(ge=1, le=tasks.MAX_PAGE)]),
)
_FLAG = Literal["0", "1"]
_LOCATION = (Param("Location", "Where it is read.", required=True),)
_CREATING = (IdempotencyMismatch, IdempotencyInFlight)
_TO_TASK = (Link("tasks_get_task", {"task_id": "/task_id"}), Link("tasks_approve", {"task_id": "/task_id"}))
_TO_GRANT = (Link("tasks_get_grant", {"grant_id": "/grant_id"}), Link("tasks_revoke_grant", {"grant_id": "/grant_id"}))
_PAYLOAD = {"branch": "main", "commit": "9f2c1e7"}

TASKS_DOOR = Door(
    "tasks",
    ("/tasks", "/approvals", "/grants", "/policies"),
    TASKS,
    (
        Entry(
            "POST",
            "/tasks",
            AGENT,
            tasks.post_task,
            About(
                "Ask for an operation to be carried out",
                {202: Gives("The task, and where it stands.", Accepted, headers=_LOCATION, links=_TO_TASK)},
                detail="Policy allows it, denies it, or requires a person. With `wait=1` the answer comes once the "
                "task is dispatched, within 10 seconds, or is the error that keeps it from that: HITL_REQUIRED where a "
                "person must agree.",
                takes=NewTask,
                query=(Param("wait", "1 to wait for dispatch.", _FLAG),),
                errors=(*_CREATING, HitlRequired, TookTooLong),
                example={"operation": "repo.commit", "payload": _PAYLOAD, "requested_by": "release-bot"},
            ),
        ),
        Entry(
            "GET",
            "/tasks",
            EVERYBODY,
            tasks.list_tasks,
            About(
                "List tasks, newest first",
                {200: Gives("One page; without arguments and events.", TasksAnswer)},
                query=(
                    Param("source_id", "Only those that go to this source."),
                    *_PAGE,
                ),
            ),
        ),
        Entry(
            "GET",
            _TASK,
            EVERYBODY,
            tasks.get_task,
            About(
                "Read a task",
                {200: Gives("The task with all that happened to it.", TaskAnswer)},
                detail="While a person must agree it has an `error` with the `approval_link` to send them.",
            ),
        ),
        Entry(
            "POST",
            "/approvals/{task_id}",
            EVERYBODY,
            tasks.approve,
            About(
                "Record what a reviewer says to a task",
                {200: Gives("The task as it stands now.", Accepted)},
                detail="Either `approval_token` proves that a reviewer agrees (the token of the review link on a card, "
                "or a reviewer's own key), or the request's key is a reviewer's. The key that posted a task cannot "
                "approve it. Saying the same again is answered the same.",
                takes=Approval,
                errors=(*_CREATING, Conflict),
                example={"decision": "approve", "reason": "Checked with the team.", "approver": "ana@example.com"},
            ),
        ),
        Entry(
            "POST",
            "/grants",
            REVIEWER,
            tasks.create_grant,
            About(
                "Let an operation with just these arguments through, for a while",
                {201: Gives("The grant.", GrantAnswer, headers=_LOCATION, links=_TO_GRANT)},
                detail="It is a ledger row, lasts for 8 hours at most, and every task that it lets through names it. "
                "What policy denies stays denied.",
                takes=NewGrant,
                errors=_CREATING,
                example={"operation": "repo.commit", "payload": _PAYLOAD, "valid_for": "1h", "reason": "Release day."},
            ),
        ),
        Entry(
            "GET",
            "/grants",
            REVIEWER,
            tasks.list_grants,
            About(
                "List grants, newest first",
                {200: Gives("One page.", GrantsAnswer)},
                query=(Param("live", "1 for those that still let something through.", _FLAG), *_PAGE),
            ),
        ),
        Entry("GET", _GRANT, REVIEWER, tasks.get_grant, About("Read a grant", {200: Gives("The grant.", GrantAnswer)})),
        Entry(
            "POST",
            f"{_GRANT}/revoke",
            REVIEWER,
            tasks.revoke_grant,
            About(
                "Revoke a grant",
                {200: Gives("The grant as it is now.", GrantAnswer)},
                detail="From now on it lets nothing through. Revoking it again answers the same.",
                takes=NoFields,
                optional=True,
                errors=(InvalidInput,),
            ),
        ),
        Entry(
            "GET",
            "/policies",
            REVIEWER,
            policies.list_policies,
            About(
                "Read the policies in force",
                {200: Gives("The rules that can concern the key's tenant.", PoliciesAnswer)},
                detail="As far as the replica that answers knows: each takes changed files within seconds. While "
                "`problem` is not null the files are wrong, and what was in force before stays so.",
            ),
        ),
    ),
    strict_headers=True,
    about="Ask before a risky operation: policy, people, and a decision event for whoever carries it out.",
)
