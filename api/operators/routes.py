"""The operators' page of a source. `assent sources page` makes its link, which lets in for a quarter of an hour; GET
changes nothing, posts come from the page itself.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from api.http import read_body
from api.review.assets import Assets
from api.review.browsers import cross_site, data_headers, page_headers
from api.review.html import FOLDER as REVIEW
from api.review.posted import parse
from api.services import Services
from core.errors import AssentError, InvalidToken, NotFound, Unavailable
from core.pushes import Failed
from core.wording import moment, visible

PATH = "/operators/source"
SHOWN = 50


def routes(services: Services) -> list[BaseRoute]:
    return [Route(PATH, _Page(services).serve, methods=["GET", "POST"], name="operators_source")]


class _Page:
    def __init__(self, services: Services) -> None:
        self._services = services
        self._prefix = urlsplit(services.public_url).path
        self._assets = Assets(REVIEW / "static", self._prefix)
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {"asset": self._assets.url, "moment": moment, "visible": visible}

    async def serve(self, request: Request) -> Response:
        try:
            return await (self._act(request) if request.method == "POST" else self._show(request))
        except (InvalidToken, NotFound):
            problem = "This link does not open anything any more. Make a new one with: assent sources page"
            return await self._html(403, "problem.html", problem=problem)
        except Unavailable:
            return await self._html(503, "problem.html", problem="The database cannot be reached; try again.")
        except AssentError as error:
            return await self._html(400, "problem.html", problem=error.message)

    async def _show(self, request: Request) -> Response:
        given, pushes = request.query_params.get("pass", ""), self._services.pushes
        tenant_id, source_id = await pushes.admitted(given)
        shown = await pushes.show(tenant_id, source_id)
        found = [] if shown.standing is None else await pushes.listing(tenant_id, source_id, limit=SHOWN)
        action = self._prefix + PATH
        return await self._html(200, "source.html", shown=shown, deliveries=found, given=given, action=action)

    async def _act(self, request: Request) -> Response:
        if cross_site(request.headers, self._services.public_url):
            raise InvalidToken
        posted, pushes = parse(await read_body(request.scope, request.receive)), self._services.pushes
        given = posted.one("pass")
        about = await pushes.admitted(given)
        match posted.one("do"):
            case "pause":
                await pushes.pause(*about)
            case "resume":
                await pushes.resume(*about)
            case "replay":
                await pushes.replay(*about, Failed(ids=posted.all("id")))
        # The way back is a GET: a reload of the page does nothing a second time.
        back = f"{self._prefix}{PATH}?pass={quote(given, safe='=')}"
        return RedirectResponse(back, 303, data_headers())

    async def _html(self, status: int, template: str, **values: object) -> HTMLResponse:
        html = await asyncio.to_thread(self._templates.get_template(template).render, **values)
        return HTMLResponse(html, status, page_headers(secrets.token_urlsafe(16)))
