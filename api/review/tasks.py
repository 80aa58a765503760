"""The page behind an approval link: it shows a guarded task to whoever has the link, and decides nothing. Reviewers
sign in there, with their key or the task's approval token, and go on to the review page.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from api.review.browsers import cross_site, data_headers
from api.review.html import CASE_ID, Html, TooLarge, body_of, is_form
from api.review.posted import parse
from api.review.strings import LANGUAGES, Texts, texts_for
from api.review.task_page import task_page_of
from api.services import Services
from core import errors

PATH = "/{lang}/tasks/{task_id}"
MAX_BODY = 4 * 1024


def task_routes(services: Services, html: Html) -> list[BaseRoute]:
    return [Route(PATH, _TaskPages(services, html).serve, methods=["GET", "POST"], name="task")]


class _TaskPages:
    def __init__(self, services: Services, html: Html) -> None:
        self._services = services
        self._html = html

    async def serve(self, request: Request) -> Response:
        texts = texts_for(request.path_params["lang"])
        try:
            if request.method == "POST":
                return await self._posted(request, texts)
            return await self._show(request, request.query_params.get("token", ""), texts)
        except (errors.InvalidToken, errors.NotFound):
            # Unknown, foreign, incomplete: one page for all, so that nothing can be told apart.
            return await self._html.problem("wrong_link", 403, texts)
        except (errors.Unavailable, errors.RateLimited) as error:
            response = await self._html.problem("busy", 503, texts)
            response.headers["Retry-After"] = str(error.retry_after)
            return response

    async def _posted(self, request: Request, texts: Texts) -> Response:
        """Another language, or somebody who signs in."""
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
        token = posted.one("token")
        if posted.one("look"):
            return await self._show(request, token, texts)
        return await self._sign_in(request, token, posted.one("credential").strip(), texts)

    async def _sign_in(self, request: Request, token: str, credential: str, texts: Texts) -> Response:
        guarded, task_id = self._services.guarded, _task_id(request)
        await guarded.by_link(task_id, token)
        try:
            review_token = await guarded.sign_in(task_id, token, credential)
        except errors.InvalidToken:
            return await self._show(request, token, texts, denied=True)
        # The review link is what a reviewer's card holds as well: whoever has it may decide.
        place = f"{self._html.prefix}/{texts['lang']}/hitl/review/{task_id}?token={review_token}"
        return Response(status_code=303, headers={**data_headers(), "Location": place})

    async def _show(self, request: Request, token: str, texts: Texts, *, denied: bool = False) -> HTMLResponse:
        task = await self._services.guarded.by_link(_task_id(request), token)
        review = await self._services.views.shown(task.tenant_id, task.task_id)
        page = await asyncio.to_thread(task_page_of, task, review, texts, denied=denied)
        addresses = {lang: f"{self._html.prefix}/{lang}/tasks/{task.task_id}" for lang in LANGUAGES}
        languages = [(other, addresses[lang]) for lang, other in LANGUAGES.items() if other is not texts]
        values: dict[str, Any] = {"page": page, "token": token, "own": addresses[texts["lang"]], "languages": languages}
        return await self._html.page("task.html", 403 if denied else 200, texts, **values)


def _task_id(request: Request) -> str:
    """Raises InvalidToken for what no task is called."""
    task_id: str = request.path_params["task_id"]
    if not CASE_ID.fullmatch(task_id):
        raise errors.InvalidToken
    return task_id
