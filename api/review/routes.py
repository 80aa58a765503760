"""The review page's routes. GET and HEAD read and change nothing; only a post from our own page answers a case."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from api.review import answer, blocks
from api.review.browsers import cross_site, data_headers
from api.review.ending import state_of
from api.review.html import CASE_ID, Html, TooLarge, body_of, is_form
from api.review.page import Problem, may_revise, page_of
from api.review.posted import Posted, parse
from api.review.saving import Saving
from api.review.strings import LANGUAGES, Texts, texts_for, wrong_words
from api.review.tasks import task_routes
from api.schemas.verification import evidence_in
from api.services import Services
from api.visitors import FORM as SIGNED
from api.visitors import Visitor
from core import errors, strictjson
from core.forms import MAX_TEXT
from core.model import Case, Identity
from core.replies import Reply, page_reply
from core.reviewing import Reviewer, Standing
from core.states import Verdict, verdict
from core.views import Review

MAX_BODY = 1024 * 1024
MAX_STATE_BODY = 4 * 1024
PATH = "/{lang}/hitl/review/{case_id}"

# The first that fits; what is not listed is no answer to a reviewer but a fault of ours.
STATUS: tuple[tuple[type[errors.AssentError], int], ...] = (
    (errors.InvalidInput, 400),
    (errors.Refused, 403),
    (errors.Conflict, 409),
    (errors.CaseExpired, 410),
    (errors.RateLimited, 429),
    (errors.Unavailable, 503),
)


def routes(services: Services) -> list[BaseRoute]:
    html = Html(services)
    saving = Saving(services, html.visitors)
    pages = CasePages(services, saving, html)
    return [
        Route(PATH, pages.page, methods=["GET", "POST"], name="review"),
        Route(PATH + "/state", pages.state, methods=["POST"], name="review_state"),
        Route(PATH + "/save", saving.save, methods=["POST"], name="review_save"),
        Route(PATH + "/prefill", saving.prefill, methods=["POST"], name="review_prefill"),
        *task_routes(services, html),
        html.assets.route(),
    ]


class CasePages:
    """The page of a case."""

    def __init__(self, services: Services, saving: Saving, html: Html) -> None:
        self._services = services
        self._saving = saving
        self._html = html

    async def page(self, request: Request) -> Response:
        texts = texts_for(request.path_params["lang"])
        posted = request.method == "POST"
        try:
            return await (self._answer(request, texts) if posted else self._show(request, texts))
        except (errors.InvalidToken, errors.NotFound):
            # Unknown, foreign, revoked, incomplete: one page for all, so that nothing can be told apart.
            return await self._html.problem("wrong_link", 403, texts)
        except (errors.Unavailable, errors.RateLimited) as error:
            response = await self._html.problem("unavailable" if posted else "busy", _status(error), texts)
            response.headers["Retry-After"] = str(error.retry_after)
            return response

    async def _show(self, request: Request, texts: Texts) -> Response:
        token = request.query_params.get("token", "")
        visitor = await self._html.visitors.of(request)
        return await self._with_case(await self._review(request, token), token, texts, visitor)

    async def _answer(self, request: Request, texts: Texts) -> Response:
        if cross_site(request.headers, self._services.public_url):
            return await self._html.problem("cross_site", 403, texts)
        if not is_form(request):
            return await self._html.problem("unreadable", 415, texts)
        try:
            posted = parse(await body_of(request, MAX_BODY))
        except TooLarge:
            return await self._html.problem("too_large", 413, texts)
        except errors.InvalidInput:
            return await self._html.problem("unreadable", 400, texts)
        token, visitor = posted.one("token"), await self._html.visitors.of(request)
        review = await self._review(request, token)
        if posted.one("look"):
            return await self._look(review, token, texts, visitor, posted)
        signed = posted.one(SIGNED)
        if signed and (visitor is None or not visitor.sent(signed)):
            # The page said in whose name it would answer, and that is nobody's now, or somebody else's.
            problem = Problem(texts["refused"], texts["session"]["over"])
            return await self._with_case(review, token, texts, visitor, status=403, posted=posted, problem=problem)
        who = visitor.identity if visitor is not None and signed else None
        reviewer = await self._services.reviewing.reviewer(review.case.case_id, who)
        revising = _revision(posted) > 0
        try:
            if posted.one("keep"):
                return await self._keep(review, token, texts, visitor, reviewer, posted)
            if posted.one("close"):
                reason, digest = posted.one("reason").strip()[:MAX_TEXT] or None, posted.one("content_digest")
                case = await self._services.gate.close_unanswered(
                    review.case.case_id, token, reason, digest or None, reviewer
                )
            else:
                whole = await self._saving.completed(review.case, posted)
                reply = _reply(review, token, whole, texts, reviewer.identity)
                case = (await self._services.gate.respond(reply)).case
        except _ChangesUnseen as unseen:
            await self._saving.try_to_keep(review.case, token, posted, reviewer)
            problem = Problem(texts["check_changes"], fields=unseen.fields, calm=True)
            more: dict[str, Any] = {"posted": posted, "problem": problem, "revising": revising}
            return await self._with_case(review, token, texts, visitor, status=400, **more)
        except (errors.InvalidToken, errors.NotFound, errors.Unavailable, errors.RateLimited):
            raise
        except errors.AssentError as error:
            await self._saving.try_to_keep(review.case, token, posted, reviewer)
            now = await self._review(request, token)
            problem = _problem(error, texts, revising=revising)
            more = {"posted": posted, "problem": problem, "revising": revising and _status(error) == 400}
            return await self._with_case(now, token, texts, visitor, status=_status(error), **more)
        return await self._with_case(await self._recorded(case, token), token, texts, visitor, thanks=True)

    async def _keep(
        self, review: Review, token: str, texts: Texts, visitor: Visitor | None, reviewer: Reviewer, posted: Posted
    ) -> HTMLResponse:
        """For whoever has no script, which keeps what is typed by itself."""
        await self._saving.keep(review.case.case_id, token, posted, reviewer)
        if posted.one("keep") == "fetched":
            await self._saving.fetch(review.case, token, reviewer)
        return await self._with_case(review, token, texts, visitor, problem=Problem(texts["kept_now"], calm=True))

    async def _look(
        self, review: Review, token: str, texts: Texts, visitor: Visitor | None, posted: Posted
    ) -> HTMLResponse:
        """A post that only looks, so that no address has to hold the token: another language, the changes so far, the
        form for another answer (`revise`), or back from it (`keep`).
        """
        look = posted.one("look")
        if look in ("revise", "keep"):
            return await self._with_case(review, token, texts, visitor, revising=look == "revise")
        who = visitor.identity if visitor else None
        reviewer = await self._services.reviewing.reviewer(review.case.case_id, who)
        await self._saving.try_to_keep(review.case, token, posted, reviewer)
        return await self._with_case(
            review, token, texts, visitor, posted=posted, revising=_revision(posted) > 0, compared=look == "changes"
        )

    async def state(self, request: Request) -> Response:
        """Whether the case can still be answered, for the script of an open page: `{"status", "version"}`."""
        try:
            if cross_site(request.headers, self._services.public_url):
                raise errors.Refused("this came from another website")
            token = strictjson.load_object(await body_of(request, MAX_STATE_BODY)).get("token")
            review = await self._review(request, token if isinstance(token, str) else "")
        except TooLarge:
            return _json({"error": "invalid_body", "message": "the body is too large"}, 413)
        except (errors.Unavailable, errors.RateLimited) as error:
            return _json({"error": error.code, "message": error.message}, _status(error), error.retry_after)
        except (errors.InvalidInput, errors.Refused) as error:
            return _json({"error": error.code, "message": error.message}, _status(error))
        return _json({"status": state_of(review.case, review.now), "version": review.case.version})

    async def _review(self, request: Request, token: str) -> Review:
        case_id = request.path_params["case_id"]
        if not CASE_ID.fullmatch(case_id):
            raise errors.InvalidToken
        return await self._services.views.review(case_id, token)

    async def _recorded(self, case: Case, token: str) -> Review:
        """The case with its receipt. Whatever happens to this read, the answer is recorded and the page says so."""
        try:
            return await self._services.views.review(case.case_id, token)
        except (errors.InvalidToken, errors.Unavailable):
            return Review(case, case.closed_at or case.created_at)

    async def _with_case(
        self, review: Review, token: str, texts: Texts, visitor: Visitor | None, *, status: int = 200, **more: Any
    ) -> HTMLResponse:
        shown = await self.shown(review, token, texts, visitor, **more)
        hosts = shown["page"].content.image_hosts
        return await self._html.page("case.html", status, texts, hosts, visitor=visitor, **shown)

    async def shown(
        self, review: Review, token: str, texts: Texts, visitor: Visitor | None, **more: Any
    ) -> dict[str, Any]:
        """What the template of a case prints out, for whoever is signed in."""
        standing: Standing | None = more.pop("standing", None)
        if visitor is not None and standing is None:
            reviewer = await self._services.reviewing.reviewer(review.case.case_id, visitor.identity)
            standing = await self._services.reviewing.standing(review.case, reviewer)
        saved, names = await self._saving.saved(review.case), await self._services.reviewing.names(review.case)
        # Some content takes long to lay out; other reviewers need not wait for that.
        page = await asyncio.to_thread(page_of, review, texts, saved=saved, standing=standing, names=names, **more)
        own = f"{self._html.prefix}/{texts['lang']}/hitl/review/{page.case_id}"
        links = {
            "answer": own,
            "state": f"{own}/state",
            "save": f"{own}/save",
            "prefill": f"{own}/prefill",
            "reports": f"{self._html.prefix}/api/hitl/cases/{page.case_id}",
        }
        languages = [
            (other, f"{self._html.prefix}/{other['lang']}/hitl/review/{page.case_id}")
            for other in LANGUAGES.values()
            if other is not texts
        ]
        return {"page": page, "token": token, "links": links, "languages": languages, "pane": False}


class _ChangesUnseen(Exception):
    """Blocks were edited, and the page has not yet shown how: nobody agrees to what they have not seen."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__()
        self.fields = fields


def _reply(review: Review, token: str, posted: Posted, texts: Texts, identity: Identity) -> Reply:
    case, action = review.case, answer.action_of(review.case, posted)
    if not action:
        raise errors.MissingAction
    data = answer.data_of(case, action, posted)
    return page_reply(
        case.case_id,
        token,
        action,
        data,
        posted.one("content_digest") or None,
        identity=identity,
        revision=_revision(posted) if posted.one("revision") else None,
        blocks=_edited(review, action, posted, texts),
        evidence=evidence_in(posted.one("verification_evidence")),
    )


def _edited(review: Review, action: str, posted: Posted, texts: Texts) -> Mapping[str, Any]:
    """The edited blocks that go along with this answer. Raises InvalidData and _ChangesUnseen."""
    case = review.case
    if verdict(action) is Verdict.DENY:
        return {}
    edits = blocks.edits_of(case, posted, texts)
    if edits.problems:
        raise errors.InvalidData(fields=dict(edits.problems))
    waiting = state_of(case, review.now) == "open" or may_revise(case, review.now)
    if waiting and edits.mark not in ("", posted.one(blocks.SEEN)):
        raise _ChangesUnseen(
            {
                blocks.PROBLEM + block["id"]: texts["changed_block"].format(blocks.label_of(block))
                for _, block in blocks.editable(case)
                if block["id"] in edits.changed
            }
        )
    return edits.changed


def _revision(posted: Posted) -> int:
    """Which answer the page showed when this one was given; 0 when there was none."""
    found = posted.one("revision")
    return int(found) if re.fullmatch(r"\d{1,6}", found, re.ASCII) else 0


def _problem(error: errors.AssentError, texts: Texts, *, revising: bool) -> Problem:
    match error:
        case errors.AlreadyDecided() if revising:
            return Problem(texts["not_changed"], texts["not_changed_hint"])
        case errors.MissingAction():
            return Problem(texts["problem"], texts["missing_action"])
        case errors.InvalidInput():
            fields = error.details.get("fields")
            if isinstance(error, errors.InvalidData) and error.problems:
                fields = {name: wrong_words(problem, texts) for name, problem in error.problems.items()}
            return Problem(texts["problem"], error.message, fields)
        case errors.ContentChanged():
            return Problem(texts["refused"], texts["content_changed"])
        case errors.AlreadyDecided() | errors.CaseCancelled() | errors.CaseExpired():
            return Problem(texts["conflict"])
        case errors.NotAReviewer() | errors.SelfApproval():
            return Problem(texts["refused"])  # the page itself says why
        case _:
            return Problem(texts["refused"], error.message)


def _status(error: errors.AssentError) -> int:
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    raise error


def _json(value: dict[str, Any], status: int = 200, retry_after: int | None = None) -> JSONResponse:
    headers = data_headers() | ({"Retry-After": str(retry_after)} if retry_after is not None else {})
    return JSONResponse(value, status, headers)
