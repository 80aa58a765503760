"""What the HITL door says of a case: the `hitl` object, the poll answer, the payloads of the event stream."""

from __future__ import annotations

from typing import Any

from core.model import Case, Opened
from core.policy import tally
from core.schedule import iso
from core.states import TERMINAL, Status
from core.urls import case_url, review_url
from core.views import CaseEvent

STREAMED = frozenset({"opened", "in_progress", "reminder", "completed", "expired", "cancelled"})
_CLOSED_AT = {Status.COMPLETED: "completed_at", Status.EXPIRED: "expired_at", Status.CANCELLED: "cancelled_at"}
_NAMELESS = frozenset({"link", "key", "system"})  # not people: whoever holds a link, an API key, the clock


def opened_answer(opened: Opened, public_url: str) -> dict[str, Any]:
    """The body of the 202."""
    case = opened.case
    return {
        "status": "human_input_required",
        "message": case.content["message"] or case.prompt,
        "hitl": hitl_object(opened, public_url),
    }


def hitl_object(opened: Opened, public_url: str) -> dict[str, Any]:
    case, terms = opened.case, opened.case.terms
    found = {
        "spec_version": terms["spec_version"],
        "case_id": case.case_id,
        "review_url": review_url(public_url, case, opened.review_token),
        "poll_url": case_url(public_url, case.case_id, "status"),
        "events_url": case_url(public_url, case.case_id, "events"),
        "callback_url": terms.get("callback_url"),
        "type": case.type,
        "prompt": case.prompt,
        "timeout": terms["timeout"],
        "default_action": case.default_action,
        "created_at": iso(case.created_at),
        "expires_at": iso(case.expires_at),
        "reminder_at": [iso(moment) for moment in terms["reminder_at"]],
        "context": case.content["context"],
    }
    if case.previous_case_id is not None:
        found["previous_case_id"] = case.previous_case_id
    if terms.get("verification_policy") is not None:
        found["verification_policy"] = terms["verification_policy"]
    if opened.submit_token is not None:
        found["submit_url"] = case_url(public_url, case.case_id, "respond")
        found["submit_token"] = opened.submit_token
        found["inline_actions"] = list(case.inline_actions)
    return found


def poll_answer(case: Case) -> dict[str, Any]:
    """The case as an agent sees it (poll-response schema)."""
    found: dict[str, Any] = {
        "status": str(case.status),
        "case_id": case.case_id,
        "created_at": iso(case.created_at),
        "expires_at": iso(case.expires_at),
    }
    if case.opened_at is not None:
        found["opened_at"] = iso(case.opened_at)
    if case.progress and case.status not in TERMINAL:
        found["progress"] = case.progress
    if case.reminder_sent_at is not None and case.status not in TERMINAL:
        found["reminder_sent_at"] = iso(case.reminder_sent_at)
    if case.next_case_id is not None:
        found["next_case_id"] = case.next_case_id
    if case.closed_at is not None:
        found[_CLOSED_AT[case.status]] = iso(case.closed_at)
        found |= _ending(case)
    return found


def _ending(case: Case) -> dict[str, Any]:
    answered = case.answered or {}
    match case.status:
        case Status.COMPLETED:
            return {"result": _result(case), **_responded(case)}
        case Status.EXPIRED:
            return {"default_action": case.default_action}
        case _:
            return {"reason": answered["reason"]} if "reason" in answered else {}


def _result(case: Case) -> dict[str, Any]:
    """The answer; in a flow, version 0.6 has the reviewer's note beside its data as well."""
    found = dict(case.result or {})
    if case.terms.get("flow") and case.terms["spec_version"] == "0.6" and (note := found["data"].get("note")):
        found["note"] = note
    return found


def _responded(case: Case) -> dict[str, Any]:
    """Who answered and by which way, as far as it is known."""
    answered = case.answered or {}
    by = answered.get("by") or {}
    found: dict[str, Any] = {}
    if answered.get("mode") is not None:
        context = {"mode": answered["mode"], "submitted_via": answered["via"]}
        if answered["mode"] == "inline_submit":
            context["submitted_by"] = by
        if "verification" in answered:
            context["verification_result"] = answered["verification"]
        found["submission_context"] = context
    if by.get("display_name") and by.get("platform") not in _NAMELESS:
        found["responded_by"] = {"name": by["display_name"]}
    return found


def settled_answer(case: Case) -> dict[str, Any]:
    """What an accepted answer or withdrawal is told; the same for its repetition."""
    found: dict[str, Any] = {"success": True, "case_id": case.case_id, "status": str(case.status)}
    if case.votes and case.status not in TERMINAL:
        found["tally"] = tally(case)
    return found | ({_CLOSED_AT[case.status]: iso(case.closed_at)} if case.closed_at is not None else {})


def event_payload(event: CaseEvent, case: Case) -> dict[str, Any]:
    """The data of one streamed event. `case` is the case as it is now; what an event says of the past is its own."""
    about: dict[str, Any] = {"case_id": case.case_id}
    match event.kind:
        case "opened":
            return about | {"status": "opened", "opened_at": iso(event.created_at)}
        case "in_progress":
            return about | {"status": "in_progress", "opened_at": iso(case.opened_at or event.created_at), **event.data}
        case "completed":
            return poll_answer(case)
        case "expired":
            return about | {"default_action": case.default_action, "expired_at": iso(event.created_at)}
        case "cancelled":
            return about | {"reason": (case.answered or {}).get("reason")}
        case _:
            return about | event.data
