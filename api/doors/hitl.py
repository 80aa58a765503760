"""Door 1: the HITL Protocol."""

from __future__ import annotations

from api import flows, hitl
from api.discovery import Discovery, KeySet, discovery, jwks
from api.doors.entry import AGENT, NO_KEY, ONCE, RETRY_AFTER, About, Door, Entry, Gives, Link, Param
from api.errors import HITL
from api.http import Unauthorized
from api.openapi.security import KEY, SUBMIT_TOKEN
from api.schemas.answers import OpenedAnswer, PollAnswer, ReportedAnswer, SettledAnswer, StreamedEvent
from api.schemas.cases import OpenCase
from api.schemas.flows import FlowBody
from api.schemas.replies import Closing, InlineReply, PageReply, PageReport, Withdrawal
from core.errors import (
    ActionNotInline,
    AlreadyDecided,
    CaseCancelled,
    CaseExpired,
    Conflict,
    ContentChanged,
    InvalidAction,
    InvalidData,
    InvalidToken,
    MissingAction,
    NotAReviewer,
    NotReady,
    NotShownWhole,
    RateLimited,
    Refused,
    SelfApproval,
    VerificationFailed,
    VerificationRequired,
)

_CASES = "/api/hitl/cases"
_CASE = _CASES + "/{case_id}"

_ETAG = Param("ETag", "Begins with the status, and changes with everything that can be seen.", required=True)
_SOON = Param("Retry-After", "Seconds after which to ask again; 10 while somebody is looking, else 30.", int)
_SETTLED = Gives("It is recorded; the same answer again gets the same.", SettledAnswer)
_REPORTED = Gives("It is noted. The case itself can only move on, never back.", ReportedAnswer)
_LOST = (AlreadyDecided, CaseCancelled, CaseExpired)
_BY_PAGE = (InvalidToken, Refused)  # from another web site, too
_CASE_LINKS = tuple(
    Link(f"hitl_{name}", {"case_id": "/hitl/case_id"}) for name in ("status", "events", "respond", "cancel")
)

_OPEN = About(
    "Open a case: put one question to people",
    {202: Gives("Somebody has to look at this first.", OpenedAnswer, headers=(RETRY_AFTER,), links=_CASE_LINKS)},
    detail="Cards go to the chats named in `notify`, else to those of the source. With `submit_url` and `submit_token` "
    "the agent's own messenger may answer; everything else is answered at `review_url`.",
    takes=OpenCase,
    headers=(ONCE,),
    example={
        "type": "approval",
        "prompt": "Publish the release notes of 2.4?",
        "context": {"version": "2.4", "changes": 17},
        "timeout": "24h",
        "default_action": "reject",
    },
)
_STATUS = About(
    "Read where a case stands",
    {
        200: Gives("The case as it stands.", PollAnswer, headers=(_ETAG, _SOON)),
        304: Gives("Nothing has changed since the `ETag` that the caller knows.", headers=(_ETAG, _SOON)),
    },
    detail="At most 60 times a minute for one case; the event stream says it at once.",
    headers=(Param("If-None-Match", "The `ETag` of an earlier answer."),),
)
_RESPOND = About(
    "Answer a case",
    {
        200: _SETTLED,
        307: Gives(
            "A plain form is read by the review page.", headers=(Param("Location", "Its address.", required=True),)
        ),
    },
    detail="Flat, with the case's submit token, for what somebody tapped in the agent's messenger; or with the review "
    "token in the body, as the review page sends it.",
    takes=InlineReply | PageReply,
    errors=(
        *_LOST,
        *_BY_PAGE,
        Unauthorized,
        MissingAction,
        InvalidAction,
        InvalidData,
        ActionNotInline,
        NotShownWhole,
        NotAReviewer,
        SelfApproval,
        VerificationRequired,
        VerificationFailed,
        ContentChanged,
    ),
    credentials=(SUBMIT_TOKEN, ""),
    example={
        "action": "approve",
        "submitted_via": "slack_block_action",
        "submitted_by": {"platform": "slack", "platform_user_id": "U024BE7LH"},
    },
)
_EVENTS = About(
    "Watch a case",
    {200: Gives("Server-sent events, until the one that ends the case.", StreamedEvent, media="text/event-stream")},
    detail="First `review.status` with the whole case, then `review.opened`, `.in_progress`, `.reminder`, "
    "`.completed`, `.expired`, `.cancelled`, and comments that keep the connection alive.",
    headers=(Param("Last-Event-ID", "The `id` of the last event that was seen: what came after it is told first."),),
)
_CANCEL = About(
    "Withdraw a case",
    {200: _SETTLED},
    takes=Withdrawal,
    optional=True,
    errors=(AlreadyDecided, CaseExpired),
    example={"reason": "The release was postponed."},
)
_FLOW = About(
    "Ask the next step of a flow, finish what was approved, or create without asking",
    {
        201: Gives("It is finished: what the flow's file calls its result.", dict[str, str]),
        202: Gives("Somebody has to look at the next step.", OpenedAnswer, headers=(RETRY_AFTER,), links=_CASE_LINKS),
    },
    detail="Exactly one of `prefer_hitl`, `skip_hitl` and `hitl_approved_case_id` says how to go on. A key of scope "
    "agent or admin comes as `Authorization: Bearer`, or as `access_id` in the body.",
    takes=FlowBody,
    headers=(ONCE,),
    errors=(Unauthorized, Refused, RateLimited, NotReady, Conflict),
    credentials=(KEY, ""),
    example={"prefer_hitl": True, "cv_data": {"name": "Ada Lovelace", "role": "Mathematician"}},
)
_OPENED = About(
    "Say that somebody is looking",
    {200: _REPORTED},
    detail="Of the review page's own script.",
    takes=PageReport,
    errors=_BY_PAGE,
    credentials=("",),
)
_PROGRESS = About(
    "Say how far the form is filled",
    {200: _REPORTED},
    detail="Of the review page's own script.",
    takes=PageReport,
    errors=_BY_PAGE,
    credentials=("",),
)
_CLOSE = About(
    "Close a case without an answer",
    {200: _SETTLED},
    detail="Of the review page's own script.",
    takes=Closing,
    errors=(*_LOST, *_BY_PAGE, ContentChanged, NotAReviewer, SelfApproval),
    credentials=("",),
)
_DISCOVERY = About("What this server offers to agents", {200: Gives("The HITL Protocol's discovery.", Discovery)})
_JWKS = About("The keys of signed results", {200: Gives("A JSON Web Key Set (RFC 7517).", KeySet)})

HITL_DOOR = Door(
    "hitl",
    ("/api/hitl", "/api/agent", "/.well-known"),
    HITL,
    (
        Entry("POST", _CASES, AGENT, hitl.open_case, _OPEN),
        Entry("GET", f"{_CASE}/status", AGENT, hitl.status, _STATUS),
        Entry("POST", f"{_CASE}/respond", NO_KEY, hitl.respond, _RESPOND),
        Entry("GET", f"{_CASE}/events", AGENT, hitl.events, _EVENTS),
        Entry("POST", f"{_CASE}/cancel", AGENT, hitl.cancel, _CANCEL),
        Entry("POST", "/api/agent/{flow}", NO_KEY, flows.run_flow, _FLOW),  # its key may stand in the body
        Entry("POST", f"{_CASE}/opened", NO_KEY, hitl.opened, _OPENED),
        Entry("POST", f"{_CASE}/progress", NO_KEY, hitl.progress, _PROGRESS),
        Entry("POST", f"{_CASE}/close", NO_KEY, hitl.close, _CLOSE),
        Entry("GET", "/.well-known/hitl.json", NO_KEY, discovery, _DISCOVERY),
        Entry("GET", "/.well-known/jwks.json", NO_KEY, jwks, _JWKS),
    ),
    about="The HITL Protocol, for agents: open a case, answer it, watch it, withdraw it; and flows of several steps.",
)
