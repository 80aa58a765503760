"""The case of a guarded operation: what people are shown and asked, and how it ends where nobody is asked. Pure."""

from __future__ import annotations

from core.dispatch_check import metadata_of, task_digest
from core.guard.rules import Operation, Ruling
from core.guarded_views import TaskState
from core.ledger import Row
from core.model import INLINE_ACTIONS, Address, Draft, Identity, Origin
from core.outcome import Closing
from core.schedule import HOUR
from core.states import Event

TIMEOUT_MS = 24 * HOUR


def answered_at_once(ruling: Ruling) -> TaskState:
    """Where a task stands for which nobody is asked."""
    return TaskState.REJECTED if ruling.verdict == "deny" else TaskState.APPROVED


def by_itself(ruling: Ruling, grant: Row | None) -> Closing:
    """The answer of policy, or of somebody who has agreed to this before."""
    action = "reject" if ruling.verdict == "deny" else "approve"
    if grant is not None:
        by = Identity("grant", grant["grant_id"], "a remembered approval", verified=True)
        data = {"grant_id": grant["grant_id"]}
    else:
        by = Identity("policy", f"{ruling.policy}/{ruling.rule}", f"policy {ruling.policy}", verified=True)
        data = {"reason": ruling.reason}
    topic = f"sys:{by.platform}"
    return Closing(Event.COMPLETE, action, data, by, by.platform, Origin.API_SHIM, topic, by.platform)


def draft_of(
    operation: Operation, ruling: Ruling, *, asked: bool, notify: tuple[Address, ...] | None, spec_version: str
) -> Draft:
    """The case. `asked`: whether people are."""
    assert operation.source_id is not None
    context = {
        "operation": operation.operation,
        "requested_by": operation.requested_by,
        "task_digest": task_digest(
            operation.tenant_id,
            operation.source_id,
            operation.operation,
            operation.payload,
            operation.requested_by,
        ),
        "approval_valid_ms": ruling.approval_valid_ms,
    }
    block = {
        "id": "payload",
        "label": "Arguments",
        "type": "json",
        "content": operation.payload,
        "editable": False,
        "render_hints": {},
    }
    timeout_ms = ruling.timeout_ms or TIMEOUT_MS
    return Draft(
        type="approval",
        prompt=f"May {operation.operation} be carried out?",
        message=ruling.reason,
        context=context,
        blocks=(block,),
        actions=("approve", "reject"),
        inline_actions=INLINE_ACTIONS["approval"] if asked else (),
        timeout=f"{timeout_ms // 1000}s",
        timeout_ms=timeout_ms,
        default_action="reject",
        reminder_at=None if asked else (),
        # Who is in the chat may decide: where policy or the source names chats, whoever asks chooses no others.
        notify=ruling.notify if asked else (),
        wished_notify=notify or (),
        policy=ruling.reviewers,
        requested_by=operation.requested_by,
        source_id=operation.source_id,
        metadata=metadata_of(operation.operation),
        spec_version=spec_version,
        grace_ms=0,
        guarded={"valid_ms": ruling.approval_valid_ms, "grant_ms": ruling.grants},
    )
