"""What the HITL door says of a case: the `hitl` object, the poll answer, the payloads of the event stream."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, cast

from typing_extensions import TypedDict

from api.schemas.base import Anything, Moment, one_of
from core.model import Case, Opened
from core.policy import tally
from core.schedule import iso
from core.states import TERMINAL, Status
from core.urls import case_url, review_url
from core.views import CaseEvent

STREAMED = frozenset({"opened", "in_progress", "reminder", "completed", "expired", "cancelled"})
_NAMELESS = frozenset({"link", "key", "system"})  # not people: whoever holds a link, an API key, the clock

CaseStatus = Annotated[str, one_of(*Status)]
DefaultAction = Annotated[str, one_of("skip", "approve", "reject", "abort")]


class HitlObject(TypedDict):
    """A case as its agent gets it; `submit_url`, `submit_token`, `inline_actions` where it may be answered inline."""

    spec_version: Literal["0.6", "0.7", "0.8"]
    case_id: str
    review_url: str
    poll_url: str
    events_url: str
    callback_url: str | None
    type: str
    prompt: str
    timeout: str
    default_action: DefaultAction
    created_at: Moment
    expires_at: Moment
    reminder_at: list[Moment]
    context: Anything
    previous_case_id: NotRequired[str]
    verification_policy: NotRequired[Anything]
    submit_url: NotRequired[str]
    submit_token: NotRequired[str]
    inline_actions: NotRequired[list[str]]
    surface_data: NotRequired[Anything]  # of flows, in version 0.6


class OpenedAnswer(TypedDict):
    """The body of the 202: somebody has to look at this first."""

    status: Literal["human_input_required"]
    message: str
    hitl: HitlObject


class Signature(TypedDict):
    """Proof that this server gave this result (Ed25519 over RFC 8785 JSON; the key is in the JWKS)."""

    algorithm: str
    value: str
    signed_at: Moment
    signer: str


class CaseResult(TypedDict):
    """The answer. Without `data` it was erased: an agent must not take that for an answer that said nothing."""

    action: str
    data: NotRequired[Anything]
    note: NotRequired[str]  # of flows, in version 0.6
    signature: NotRequired[Signature]


class SubmissionContext(TypedDict):
    """By which way the answer came."""

    mode: str
    submitted_via: str
    submitted_by: NotRequired[Anything]
    verification_result: NotRequired[Anything]


class RespondedBy(TypedDict):
    name: str


class Closed(TypedDict):
    """When the case was closed: one of these, once it is."""

    completed_at: NotRequired[Moment]
    expired_at: NotRequired[Moment]
    cancelled_at: NotRequired[Moment]


class Ending(TypedDict):
    """How the case ended: completed by an answer, expired, or cancelled."""

    result: NotRequired[CaseResult]
    submission_context: NotRequired[SubmissionContext]
    responded_by: NotRequired[RespondedBy]
    default_action: NotRequired[DefaultAction]
    reason: NotRequired[str | None]


class PollAnswer(Closed, Ending):
    """A case as it stands (the HITL Protocol's poll response). Which fields are there follows from the status."""

    status: CaseStatus
    case_id: str
    created_at: Moment
    expires_at: Moment
    opened_at: NotRequired[Moment]
    progress: NotRequired[Anything]
    reminder_sent_at: NotRequired[Moment]
    next_case_id: NotRequired[str]


class StreamedEvent(TypedDict):
    """One event of a case's stream. `data` is JSON: the whole case first, then what happened. The first has no `id`."""

    event: Annotated[str, one_of("review.status", *sorted(f"review.{kind}" for kind in STREAMED))]
    id: NotRequired[str]
    data: str


class Tally(TypedDict):
    """How an open vote stands: votes by action, and how many are needed."""

    votes: dict[str, int]
    quorum: int
    reject_quorum: int


class ReportedAnswer(TypedDict):
    """That it was noted, and where the case stands now."""

    success: Literal[True]
    case_id: str
    status: CaseStatus


class SettledAnswer(ReportedAnswer, Closed):
    """What was accepted, and where the case stands now. `tally`: while more people have to agree."""

    tally: NotRequired[Tally]


def opened_answer(opened: Opened, public_url: str) -> OpenedAnswer:
    """The body of the 202."""
    case = opened.case
    return {
        "status": "human_input_required",
        "message": case.content["message"] or case.prompt,
        "hitl": hitl_object(opened, public_url),
    }


def hitl_object(opened: Opened, public_url: str) -> HitlObject:
    case, terms = opened.case, opened.case.terms
    found: HitlObject = {
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


def poll_answer(case: Case) -> PollAnswer:
    """The case as an agent sees it (poll-response schema)."""
    found: PollAnswer = {
        "status": str(case.status),
        "case_id": case.case_id,
        "created_at": iso(case.created_at),
        "expires_at": iso(case.expires_at),
    }
    if case.opened_at is not None:
        found["opened_at"] = iso(case.opened_at)
    if case.progress and case.status not in TERMINAL:
        found["progress"] = dict(case.progress)
    if case.reminder_sent_at is not None and case.status not in TERMINAL:
        found["reminder_sent_at"] = iso(case.reminder_sent_at)
    if case.next_case_id is not None:
        found["next_case_id"] = case.next_case_id
    return found if case.closed_at is None else {**found, **_closed(case, case.closed_at), **_ending(case)}


def _ending(case: Case) -> Ending:
    answered = case.answered or {}
    match case.status:
        case Status.COMPLETED:
            return {"result": _result(case), **_responded(case)}
        case Status.EXPIRED:
            return {"default_action": case.default_action}
        case _:
            return {"reason": answered["reason"]} if "reason" in answered else {}


def _result(case: Case) -> CaseResult:
    """The answer; in a flow, version 0.6 has the reviewer's note beside its data as well."""
    found = cast(CaseResult, dict(case.result or {}))
    if case.erased_at is not None:
        return {"action": found["action"]}
    if case.terms.get("flow") and case.terms["spec_version"] == "0.6" and (note := found["data"].get("note")):
        found["note"] = note
    return found


def _responded(case: Case) -> Ending:
    """Who answered and by which way, as far as it is known."""
    answered = case.answered or {}
    by = answered.get("by") or {}
    found: Ending = {}
    if answered.get("mode") is not None:
        context: SubmissionContext = {"mode": answered["mode"], "submitted_via": answered["via"]}
        if answered["mode"] == "inline_submit":
            context["submitted_by"] = by
        if "verification" in answered:
            context["verification_result"] = answered["verification"]
        found["submission_context"] = context
    if by.get("display_name") and by.get("platform") not in _NAMELESS:
        found["responded_by"] = {"name": by["display_name"]}
    return found


def settled_answer(case: Case) -> SettledAnswer:
    """What an accepted answer or withdrawal is told; the same for its repetition."""
    found: SettledAnswer = {"success": True, "case_id": case.case_id, "status": str(case.status)}
    if case.votes and case.status not in TERMINAL:
        found["tally"] = cast(Tally, tally(case))
    return found if case.closed_at is None else {**found, **_closed(case, case.closed_at)}


def reported_answer(case: Case) -> ReportedAnswer:
    return {"success": True, "case_id": case.case_id, "status": str(case.status)}


def _closed(case: Case, moment: int) -> Closed:
    match case.status:
        case Status.COMPLETED:
            return {"completed_at": iso(moment)}
        case Status.EXPIRED:
            return {"expired_at": iso(moment)}
        case _:
            return {"cancelled_at": iso(moment)}


def event_payload(event: CaseEvent, case: Case) -> dict[str, Any]:
    """The data of one streamed event. `case` is the case as it is now; what an event says of the past is its own."""
    about: dict[str, Any] = {"case_id": case.case_id}
    match event.kind:
        case "opened":
            return about | {"status": "opened", "opened_at": iso(event.created_at)}
        case "in_progress":
            return about | {"status": "in_progress", "opened_at": iso(case.opened_at or event.created_at), **event.data}
        case "completed":
            return dict(poll_answer(case))
        case "expired":
            return about | {"default_action": case.default_action, "expired_at": iso(event.created_at)}
        case "cancelled":
            return about | {"reason": (case.answered or {}).get("reason")}
        case _:
            return about | event.data
