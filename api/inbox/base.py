"""What the inbox's pages share: who is signed in, which posts are ours, and what is said when something is wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from api.inbox.strings import Words, words_for
from api.review.browsers import cross_site, data_headers
from api.review.html import Html, TooLarge, body_of, is_form
from api.review.posted import Posted, parse
from api.review.strings import LANGUAGES, Texts, texts_for
from api.services import Services
from api.visitors import FORM as SIGNED
from api.visitors import Visitor
from core import errors

TEMPLATES = Path(__file__).parent / "templates"
PATH = "/{lang}/inbox"
MAX_BODY = 256 * 1024
Serve = Callable[[Request], Awaitable[Response]]


class NotSignedIn(Exception):
    """Nobody is signed in, and the page is for somebody."""


class NotOurs(Exception):
    """A post that none of our pages sent in this session. `what` names what is said; the status goes with it."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(what)
        self.what = what
        self.status = status


class Pages:
    """The base of the inbox's handlers."""

    def __init__(self, services: Services, html: Html) -> None:
        self.services = services
        self.html = html

    def route(self, path: str, serve: Serve, methods: Sequence[str], name: str) -> Route:
        """A route whose problems are pages, too."""

        async def endpoint(request: Request) -> Response:
            texts = texts_for(request.path_params.get("lang", "en"))
            words = words_for(texts["lang"])
            try:
                return await serve(request)
            except NotSignedIn:
                return await self.page(request, "welcome.html", 403, None)
            except NotOurs as wrong:
                return await self.html.problem(wrong.what, wrong.status, {**texts, **words}, back=words["back"])
            except errors.InvalidInput:
                return await self.html.problem("unreadable", 400, texts)
            except (errors.NotFound, errors.InvalidToken):
                return await self.html.problem("unknown", 404, {**texts, **words}, back=words["back"])
            except (errors.Unavailable, errors.RateLimited) as error:
                response = await self.html.problem("busy", 503, texts)
                response.headers["Retry-After"] = str(error.retry_after)
                return response

        return Route(path, endpoint, methods=list(methods), name=name)

    def texts(self, request: Request) -> tuple[Texts, Words]:
        """What the review page says, and what the inbox says."""
        texts = texts_for(request.path_params.get("lang", "en"))
        return texts, words_for(texts["lang"])

    def address(self, texts: Texts, more: str = "") -> str:
        return f"{self.html.prefix}/{texts['lang']}/inbox{more}"

    async def visitor(self, request: Request) -> Visitor:
        """Raises NotSignedIn."""
        visitor = await self.html.visitors.of(request)
        if visitor is None:
            raise NotSignedIn
        return visitor

    async def posted(self, request: Request) -> Posted:
        """The form that one of our pages sent. Raises NotOurs and InvalidInput."""
        if cross_site(request.headers, self.services.public_url):
            raise NotOurs("cross_site", 403)
        if not is_form(request):
            raise NotOurs("unreadable", 415)
        try:
            return parse(await body_of(request, MAX_BODY))
        except TooLarge:
            raise NotOurs("too_large", 413) from None

    async def signed(self, request: Request) -> tuple[Visitor, Posted]:
        """A form that was shown in this very session, and whose that is. Raises NotOurs and InvalidInput."""
        posted, visitor = await self.posted(request), await self.html.visitors.of(request)
        if visitor is None or not visitor.sent(posted.one(SIGNED)):
            raise NotOurs("not_signed", 403)
        return visitor, posted

    async def page(
        self, request: Request, template: str, status: int, visitor: Visitor | None, **values: Any
    ) -> HTMLResponse:
        texts, words = self.texts(request)
        own = {
            "w": words,
            "here": request.url.path.rpartition("/inbox")[2],
            "query": f"?{request.url.query}" if request.url.query and "code=" not in request.url.query else "",
            "languages": [other for other in LANGUAGES.values() if other is not texts],
            "prefix": self.html.prefix,
        }
        return await self.html.page(template, status, texts, visitor=visitor, **(own | values))


def goes_to(place: str) -> Response:
    """To another page of ours; a reload there does nothing a second time."""
    return Response(status_code=303, headers={**data_headers(), "Location": place})
