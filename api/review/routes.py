"""The review page's routes. GET and HEAD read and change nothing; only a post from our own page answers a case."""

from __future__ import annotations

import asyncio
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from api.review import answer
from api.review.assets import Assets
from api.review.browsers import cross_site, data_headers, page_headers
from api.review.page import Problem, page_of, state_of
from api.review.strings import Texts, texts_for
from api.services import Services
from core import errors, strictjson
from core.model import Answered, Reply, page_reply
from core.views import Review

FOLDER = Path(__file__).parent
MAX_BODY = 1024 * 1024
MAX_STATE_BODY = 4 * 1024
PATH = "/{lang}/hitl/review/{case_id}"
_CASE_ID = re.compile(r"[\w-]{1,80}", re.ASCII)
_FORM = "application/x-www-form-urlencoded"

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
    pages = _Pages(services)
    return [
        Route(PATH, pages.page, methods=["GET", "POST"], name="review"),
        Route(PATH + "/state", pages.state, methods=["POST"], name="review_state"),
        pages.assets.route(),
    ]


class _TooLarge(Exception):
    """The body is longer than any answer."""


class _Pages:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._prefix = urlsplit(services.public_url).path
        self.assets = Assets(FOLDER / "static", self._prefix)
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def page(self, request: Request) -> Response:
        texts = texts_for(request.path_params["lang"])
        posted = request.method == "POST"
        try:
            return await (self._answer(request, texts) if posted else self._show(request, texts))
        except (errors.InvalidToken, errors.NotFound):
            # Unknown, foreign, revoked, incomplete: one page for all, so that nothing can be told apart.
            return await self._without_case("wrong_link", 403, texts)
        except (errors.Unavailable, errors.RateLimited) as error:
            response = await self._without_case("unavailable" if posted else "busy", _status(error), texts)
            response.headers["Retry-After"] = str(error.retry_after)
            return response

    async def _show(self, request: Request, texts: Texts) -> Response:
        token = request.query_params.get("token", "")
        return await self._with_case(await self._review(request, token), token, texts)

    async def _answer(self, request: Request, texts: Texts) -> Response:
        if cross_site(request.headers, self._services.public_url):
            return await self._without_case("cross_site", 403, texts)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return await self._without_case("unreadable", 415, texts)
        try:
            posted = answer.parse(await _body(request, MAX_BODY))
        except _TooLarge:
            return await self._without_case("too_large", 413, texts)
        except errors.InvalidInput:
            return await self._without_case("unreadable", 400, texts)
        token = posted.one("token")
        review = await self._review(request, token)
        try:
            answered = await self._services.gate.respond(_reply(review, token, posted))
        except (errors.InvalidToken, errors.NotFound, errors.Unavailable, errors.RateLimited):
            raise
        except errors.AssentError as error:
            now = await self._review(request, token)
            problem = _problem(error, texts)
            return await self._with_case(now, token, texts, status=_status(error), posted=posted, problem=problem)
        return await self._with_case(await self._recorded(answered, token), token, texts, thanks=True)

    async def state(self, request: Request) -> Response:
        """Whether the case can still be answered, for the script of an open page: `{"status", "version"}`."""
        try:
            if cross_site(request.headers, self._services.public_url):
                raise errors.Refused("this came from another website")
            token = strictjson.load_object(await _body(request, MAX_STATE_BODY)).get("token")
            review = await self._review(request, token if isinstance(token, str) else "")
        except _TooLarge:
            return _json({"error": "invalid_body", "message": "the body is too large"}, 413)
        except (errors.Unavailable, errors.RateLimited) as error:
            return _json({"error": error.code, "message": error.message}, _status(error), error.retry_after)
        except (errors.InvalidInput, errors.Refused) as error:
            return _json({"error": error.code, "message": error.message}, _status(error))
        return _json({"status": state_of(review.case, review.now), "version": review.case.version})

    async def _review(self, request: Request, token: str) -> Review:
        case_id = request.path_params["case_id"]
        if not _CASE_ID.fullmatch(case_id):
            raise errors.InvalidToken
        return await self._services.views.review(case_id, token)

    async def _recorded(self, answered: Answered, token: str) -> Review:
        """The case with its ledger row. Whatever happens to this read, the answer is recorded and the page says so."""
        case = answered.case
        try:
            return await self._services.views.review(case.case_id, token)
        except (errors.InvalidToken, errors.Unavailable):
            return Review(case, case.closed_at or case.created_at, None)

    async def _with_case(
        self, review: Review, token: str, texts: Texts, *, status: int = 200, **more: Any
    ) -> HTMLResponse:
        page = page_of(review.case, review.now, texts, ledger_row=review.ledger_row, **more)
        own = f"{self._prefix}/{texts['lang']}/hitl/review/{page.case_id}"
        links = {
            "answer": own,
            "state": f"{own}/state",
            "reports": f"{self._prefix}/api/hitl/cases/{page.case_id}",
        }
        return await self._html("case.html", status, texts, page=page, token=token, links=links)

    async def _without_case(self, what: str, status: int, texts: Texts) -> HTMLResponse:
        return await self._html("problem.html", status, texts, what=what, title=texts[what], hint=texts[f"{what}_hint"])

    async def _html(self, template: str, status: int, texts: Texts, **values: Any) -> HTMLResponse:
        nonce = secrets.token_urlsafe(16)
        found = self._templates.get_template(template)
        # Some content takes long to lay out; other reviewers need not wait for that.
        html = await asyncio.to_thread(found.render, t=texts, nonce=nonce, asset=self.assets.url, **values)
        return HTMLResponse(html, status, page_headers(nonce))


def _reply(review: Review, token: str, posted: answer.Posted) -> Reply:
    action = posted.one("action")
    if not action:
        raise errors.MissingAction
    data = answer.data_of(review.case, action, posted)
    return page_reply(review.case.case_id, token, action, data, posted.one("content_digest") or None)


def _problem(error: errors.AssentError, texts: Texts) -> Problem:
    match error:
        case errors.MissingAction():
            return Problem(texts["problem"], texts["missing_action"])
        case errors.InvalidInput():
            fields = error.details.get("fields")
            return Problem(texts["problem"], error.message, fields)
        case errors.ContentChanged():
            return Problem(texts["refused"], texts["content_changed"])
        case errors.AlreadyDecided() | errors.CaseCancelled() | errors.CaseExpired():
            return Problem(texts["conflict"])
        case _:
            return Problem(texts["refused"], error.message)


def _status(error: errors.AssentError) -> int:
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    raise error


async def _body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _TooLarge
    return bytes(body)


def _json(value: dict[str, Any], status: int = 200, retry_after: int | None = None) -> JSONResponse:
    headers = data_headers() | ({"Retry-After": str(retry_after)} if retry_after is not None else {})
    return JSONResponse(value, status, headers)
