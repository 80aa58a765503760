"""Signing in and out: by the bot's one-time link, by Slack, or inside Telegram. A GET uses no link up, because
messengers look at every one that they carry.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from api.http import BodyTooLarge, check_same_site, read_body
from api.inbox.base import PATH, NotOurs, Pages, goes_to
from api.review.browsers import data_headers
from api.review.strings import LANGUAGES, problem_words
from core import errors
from core.codes import OPENID
from core.ports import Consent
from core.schedule import MINUTE
from core.sessions import Session
from core.strictjson import load_object
from core.tokens import new_token, token_hash
from core.wording import visible

CALLBACK = "/inbox/slack"
CONSENT_MS = 10 * MINUTE
MAX_INIT_DATA = 20 * 1024
_CASE = re.compile(r"[\w-]{1,80}", re.ASCII)
_STATE = re.compile(r"[\w-]{20,200}", re.ASCII)


class Entering(Pages):
    def routes(self) -> list[BaseRoute]:
        return [
            self.route("/", self.way_in, ["GET"], "front"),
            self.route("/inbox", self.way_in, ["GET"], "inbox_way_in"),
            self.route(PATH + "/enter", self.enter, ["GET", "POST"], "inbox_enter"),
            self.route(PATH + "/leave", self.leave, ["POST"], "inbox_leave"),
            self.route(PATH + "/slack", self.ask_slack, ["POST"], "inbox_slack"),
            self.route(CALLBACK, self.from_slack, ["GET"], "inbox_from_slack"),
            Route(PATH + "/telegram", self.in_telegram, methods=["POST"], name="inbox_telegram"),
        ]

    async def way_in(self, request: Request) -> Response:
        """For whoever types the address: on to the inbox, in the language that their browser names first of ours."""
        named = re.findall(r"(?:^|,)\s*([a-z]{2})\b", request.headers.get("accept-language", "").lower())
        lang = next((one for one in named if one in LANGUAGES), "en")
        response = goes_to(f"{self.html.prefix}/{lang}/inbox")
        response.headers["Vary"] = "Accept-Language"
        return response

    async def enter(self, request: Request) -> Response:
        """GET asks whether that is you; POST signs in, once."""
        if request.method == "POST":
            posted = await self.posted(request)
            try:
                session = await self.services.sessions.enter(posted.one("code"))
            except errors.InvalidToken:
                raise NotOurs("used", 403) from None
            return await self._in(request, session, posted.one("case"))
        code, case_id = request.query_params.get("code", ""), request.query_params.get("case", "")
        identity = await self.services.sessions.look(code)
        if identity is None:
            raise NotOurs("used", 403)
        who = {"name": visible(identity.display_name or identity.user_id), "platform": identity.platform}
        return await self.page(request, "enter.html", 200, None, who=who, code=code, case_id=case_id)

    async def leave(self, request: Request) -> Response:
        visitor, _ = await self.signed(request)
        await self.services.sessions.leave(visitor.token)
        response = goes_to(self.address(self.texts(request)[0]))
        self.html.visitors.let_go(response)
        return response

    async def ask_slack(self, request: Request) -> Response:
        """A page that goes on to Slack. (A redirect of a form's post would need another Content-Security-Policy.)"""
        posted, open_id = await self.posted(request), self.services.open_id
        if open_id is None:
            raise errors.NotFound
        browser, case_id = new_token(), posted.one("case")
        kept = {
            "nonce": new_token(),
            "browser": token_hash(browser),
            "lang": self.texts(request)[0]["lang"],
            "case": case_id if _CASE.fullmatch(case_id) else "",
        }
        state = await self.services.codes.keep(OPENID, kept, CONSENT_MS)
        consent = Consent(state, kept["nonce"], self._callback)
        response = await self.page(request, "slack.html", 200, None, address=open_id.address(consent))
        self.html.visitors.keep(response, self._consent_cookie, browser, CONSENT_MS // 1000)
        return response

    async def from_slack(self, request: Request) -> Response:
        """Slack sends the browser back here. Only the browser that asked is let in, and once."""
        given, open_id = request.query_params, self.services.open_id
        browser, state = request.cookies.get(self._consent_cookie, ""), given.get("state", "")
        if open_id is None:
            raise errors.NotFound
        kept = None
        if _STATE.fullmatch(state) and browser:
            kept = await self.services.codes.take(OPENID, state, lambda data: data["browser"] == token_hash(browser))
        if kept is None:
            raise NotOurs("not_in", 403)
        request.path_params["lang"] = kept["lang"] if kept["lang"] in LANGUAGES else "en"
        if "code" not in given:
            return await self._refused(request, self.texts(request)[1]["declined"])
        try:
            consent = Consent(state, kept["nonce"], self._callback)
            identity = await open_id.identity(given["code"], consent)
        except errors.InvalidToken:
            raise NotOurs("not_in", 403) from None
        except errors.Refused as refused:
            return await self._refused(request, problem_words(refused.message, self.texts(request)[0]))
        response = await self._in(request, await self.services.sessions.open(identity, "slack_openid"), kept["case"])
        self.html.visitors.keep(response, self._consent_cookie, "", 0)
        return response

    async def in_telegram(self, request: Request) -> Response:
        """`POST` of the pages' script with `{"init_data"}`: `{"signed_in": true}` and the cookie. Errors are worded as
        the API's are.
        """
        check_same_site(request.scope, self.services.public_url)
        body = await read_body(request.scope, request.receive)
        if len(body) > MAX_INIT_DATA:
            raise BodyTooLarge
        given, mini_app = load_object(body).get("init_data"), self.services.mini_app
        identity = mini_app.identity(given) if mini_app is not None and isinstance(given, str) else None
        if identity is None:
            error = {"error": "forbidden", "message": "Telegram did not sign this for our bot, or not lately"}
            return JSONResponse(error, 403, data_headers())
        session = await self.services.sessions.open(identity, "mini_app")
        response = JSONResponse({"signed_in": True}, headers=data_headers())
        self.html.visitors.let_in(response, session)
        return response

    async def _in(self, request: Request, session: Session, case_id: str) -> Response:
        before = await self.html.visitors.of(request)
        if before is not None:
            await self.services.sessions.leave(before.token)
        more = f"/cases/{case_id}" if _CASE.fullmatch(case_id) else ""
        response = goes_to(self.address(self.texts(request)[0], more))
        self.html.visitors.let_in(response, session)
        return response

    async def _refused(self, request: Request, hint: str) -> Response:
        texts, words = self.texts(request)
        values = {"what": "not_in", "title": words["not_in"], "hint": hint, "back": words["to_sign_in"]}
        return await self.html.page("problem.html", 403, texts, **values)

    @property
    def _callback(self) -> str:
        return self.services.public_url + CALLBACK

    @property
    def _consent_cookie(self) -> str:
        return self.html.visitors.cookie + "-consent"
