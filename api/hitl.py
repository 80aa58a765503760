"""Door 1, the HITL Protocol: open a case, answer it, watch it, withdraw it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic_core import to_json

from api.auth import bearer
from api.call import Call
from api.case_stream import EventStream
from api.http import Answer, Answers, Header, Unauthorized, check_same_site, json_answer, raw_json_answer
from api.once import once_of
from api.schemas.answers import opened_answer, poll_answer, reported_answer, settled_answer
from api.schemas.base import parse
from api.schemas.cases import OpenCase
from api.schemas.replies import Closing, PageReport, Withdrawal, inline_reply, posted_reply
from api.schemas.verification import evidence_of
from api.services import Services
from core.errors import ActionNotInline, NotShownWhole, RateLimited, Refused, Unverified
from core.model import Case, Draft, JsonObject, Opened, Origin, Repeated
from core.replies import Answered, Reply, page_reply
from core.states import TERMINAL, Event, Status
from core.strictjson import load_object
from core.urls import review_url

DOOR = "hitl"
POLLS_A_MINUTE = 60
_FORM = "application/x-www-form-urlencoded"
ASK_AGAIN: Header = (b"retry-after", b"30")
_ASK_AGAIN_SOON: Header = (b"retry-after", b"10")  # somebody is looking at it
_REVALIDATED: Header = (b"cache-control", b"private, no-cache")


async def open_case(call: Call) -> Answers:
    """`POST /api/hitl/cases`"""
    public_url = call.services.public_url

    def render(opened: Opened) -> str:
        return to_json(opened_answer(opened, public_url)).decode()

    body = await call.body()
    draft = draft_of(call.services, load_object(body))
    opened = await call.services.gate.open(call.caller, draft, once_of(call, DOOR, body), render)
    text = opened.answer if isinstance(opened, Repeated) else render(opened)
    return raw_json_answer(202, text.encode(), ASK_AGAIN)


def draft_of(services: Services, body: JsonObject) -> Draft:
    """The case that this body asks for. Raises InvalidInput."""
    return parse(OpenCase, body).as_draft(services.spec_version, services.destinations)


async def status(call: Call) -> Answers:
    """`GET …/status`"""
    services, case_id = call.services, call.params["case_id"]
    case, polls, left_ms = await services.views.polled_case(call.caller.tenant_id, case_id)
    if polls > POLLS_A_MINUTE:
        raise RateLimited(
            f"this case may be polled {POLLS_A_MINUTE} times a minute; its events_url tells you at once",
            retry_after=max(1, -(-left_ms // 1000)),  # rounded up: whoever comes then is not too early
        )
    etag = f'"{case.status}-{case.version}"'
    headers: list[Header] = [(b"etag", etag.encode())]
    if case.status not in TERMINAL:
        headers.append(ASK_AGAIN if case.status is Status.PENDING else _ASK_AGAIN_SOON)
    if _known(call.header(b"if-none-match"), etag):
        return Answer(304, b"", [_REVALIDATED, *headers])
    return json_answer(200, poll_answer(case), *headers, cache=_REVALIDATED)


def _known(if_none_match: str | None, etag: str) -> bool:
    """RFC 9110, section 13.1.2: a list, compared weakly, or `*`."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return etag in [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]


async def respond(call: Call) -> Answers:
    """`POST …/respond`: flat with a submit token, or with the review token in the body as the page sends it."""
    case_id, token, body = call.params["case_id"], bearer(call.scope), await call.body()
    if token is not None:
        answered = await _respond_inline(call.services, case_id, token, load_object(body))
    elif _is_form(call, body):
        return _to_the_page(call, case_id)
    else:
        answered = await _respond_by_page(call, case_id, body)
    return json_answer(200, settled_answer(answered.case))


def _is_form(call: Call, body: bytes) -> bool:
    kind = (call.header(b"content-type") or "").partition(";")[0].strip().lower()
    return kind == _FORM and not body.lstrip().startswith(b"{")  # JSON that curl's -d calls a form is JSON


def _to_the_page(call: Call, case_id: str) -> Answers:
    """A plain form post is read and answered by the review page itself: 307 keeps its method and body."""
    place = f"{urlsplit(call.services.public_url).path}/en/hitl/review/{case_id}"
    return Answer(307, b"", [(b"location", place.encode()), (b"content-length", b"0")])


async def _respond_by_page(call: Call, case_id: str, body: bytes) -> Answered:
    check_same_site(call.scope, call.services.public_url)
    given = load_object(body)
    if "token" not in given:
        raise Unauthorized("send the submit token as Authorization: Bearer, or the review token in the body")
    page = posted_reply(given)
    reply = page_reply(
        case_id,
        page.token,
        page.result.action,
        page.result.data or {},
        page.content_digest,
        revision=page.revision,
        blocks=page.blocks,
        evidence=evidence_of(page.verification_evidence),
    )
    return await call.services.gate.respond(reply)


async def _respond_inline(services: Services, case_id: str, token: str, body: dict[str, Any]) -> Answered:
    given = inline_reply(body)
    reply = Reply(
        case_id=case_id,
        door="inline",
        token=token,
        action=given.action,
        data=given.data or {},
        identity=given.submitted_by.as_identity(),
        via=given.submitted_via,
        origin=Origin.EXTERNAL,
        # Whoever holds the agent's submit token vouches that its messenger showed the case in the right place.
        in_channel=True,
        content_digest=given.content_digest,
        evidence=evidence_of(given.verification_evidence),
    )
    try:
        return await services.gate.respond(reply)
    except (ActionNotInline, NotShownWhole, Unverified) as error:
        if isinstance(error, Unverified) and not error.browser_review:
            raise
        raise await _with_review_link(services, case_id, error) from None


async def _with_review_link(services: Services, case_id: str, error: Refused) -> Refused:
    token = await services.views.review_token(case_id)
    if token is None:
        return type(error)(error.message, case_id=case_id)
    case = await services.views.reviewed_case(case_id, token)
    return type(error)(error.message, case_id=case_id, review_url=review_url(services.public_url, case, token))


async def opened(call: Call) -> Answers:
    """`POST …/opened`: the page's script says that somebody is looking."""
    report = await _report(call)
    return _reported(await call.services.gate.report(call.params["case_id"], report.token, Event.OPEN))


async def progress(call: Call) -> Answers:
    """`POST …/progress`: the page's script says that somebody is answering, and how far the form is filled."""
    report = await _report(call)
    figures = report.progress.model_dump(exclude_none=True) if report.progress else {}
    return _reported(await call.services.gate.report(call.params["case_id"], report.token, Event.PROGRESS, figures))


async def _report(call: Call) -> PageReport:
    check_same_site(call.scope, call.services.public_url)
    return parse(PageReport, await call.json())


async def close(call: Call) -> Answers:
    """`POST …/close`: the page closes the case without an answer."""
    check_same_site(call.scope, call.services.public_url)
    closing = parse(Closing, await call.json())
    gate, reason = call.services.gate, closing.reason or None
    case = await gate.close_unanswered(call.params["case_id"], closing.token, reason, closing.content_digest)
    return json_answer(200, settled_answer(case))


def _reported(case: Case) -> Answers:
    return json_answer(200, reported_answer(case))


async def cancel(call: Call) -> Answers:
    """`POST …/cancel`: the agent withdraws its case. The body, with a reason, may be left out."""
    body = await call.body()
    withdrawal = parse(Withdrawal, load_object(body) if body.strip() else {})
    case = await call.services.gate.cancel(call.caller, call.params["case_id"], withdrawal.reason or None)
    return json_answer(200, settled_answer(case))


async def events(call: Call) -> Answers:
    """`GET …/events`"""
    return EventStream(call.streams, call.caller, call.params["case_id"], call.header(b"last-event-id"))
