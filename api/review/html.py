"""How pages are made from templates: the same head, styles and headers for all of them."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from api.review.assets import Assets
from api.review.browsers import page_headers
from api.review.strings import Texts
from api.services import Services
from api.visitors import FORM as SIGNED
from api.visitors import Visitor, Visitors
from core.wording import visible

FOLDER = Path(__file__).parent
CASE_ID = re.compile(r"[\w-]{1,80}", re.ASCII)
FORM = "application/x-www-form-urlencoded"


class TooLarge(Exception):
    """The body is longer than any answer."""


class Html:
    """`prefix` is the path under which the whole server is mounted, without a trailing slash. `more`: folders of other
    pages' templates.
    """

    def __init__(self, services: Services, *more: Path) -> None:
        self._mini_app = services.telegram_mini_app
        self._signs_in = services.mini_app is not None
        self._open_id = services.open_id is not None
        self.prefix = urlsplit(services.public_url).path
        self.visitors = Visitors(services.sessions, services.public_url)
        self.assets = Assets(FOLDER / "static", self.prefix)
        self._templates = Environment(
            loader=FileSystemLoader([FOLDER / "templates", *more]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def page(
        self,
        template: str,
        status: int,
        texts: Texts,
        image_hosts: Sequence[str] = (),
        *,
        visitor: Visitor | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """`visitor`: who is signed in, if anybody is; the page says so."""
        nonce = secrets.token_urlsafe(16)
        found = self._templates.get_template(template)
        inbox = f"{self.prefix}/{texts['lang']}/inbox"
        around = {
            "inbox": inbox,
            "visitor": None if visitor is None else _shown(visitor),
            "signed": SIGNED,
            "open_id": self._open_id,
            "sign_in": f"{inbox}/telegram" if self._signs_in and visitor is None else None,
        }
        html = await asyncio.to_thread(found.render, t=texts, nonce=nonce, asset=self.assets.url, **(around | values))
        return HTMLResponse(html, status, page_headers(nonce, image_hosts, mini_app=self._mini_app))

    async def problem(self, what: str, status: int, texts: Texts, *, back: str = "") -> HTMLResponse:
        """A page that shows no case: `what` names its title and hint in the texts. `back`: what its way to the inbox is
        called; none without.
        """
        values = {"what": what, "title": texts[what], "hint": texts[f"{what}_hint"], "back": back}
        return await self.page("problem.html", status, texts, **values)


def _shown(visitor: Visitor) -> dict[str, str]:
    who = visitor.identity
    return {"name": visible(who.display_name or who.user_id), "platform": who.platform, "form": visitor.form}


async def body_of(request: Request, limit: int) -> bytes:
    """Raises TooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge
    return bytes(body)


def is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == FORM
