"""`POST /slack/api/{method}`: authenticates, lets faults strike, calls the method, answers as Slack does."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox import rates
from bot.sandbox.around import Around
from bot.sandbox.faults import Refusals, carry_out
from bot.sandbox.slack.app import Grant, SlackApp
from bot.sandbox.slack.args import Args, SlackError
from bot.sandbox.slack.chat_methods import ChatMethods
from bot.sandbox.slack.directory_methods import DirectoryMethods
from bot.sandbox.slack.oauth import OAuth
from bot.sandbox.slack.scopes import needed
from bot.sandbox.slack.view_methods import ViewMethods
from bot.sandbox.slack.world import Workspace
from bot.sandbox.wire import Json, Unreadable, read_params

Method = Callable[[Args], Json]
# Looking up; those that post and those of views count for themselves.
TIERS = {
    "conversations.history": rates.SLACK_TIER_3,
    "conversations.info": rates.SLACK_TIER_3,
    "conversations.members": rates.SLACK_TIER_4,
    "conversations.open": rates.SLACK_TIER_3,
    "conversations.replies": rates.SLACK_TIER_3,
    "team.info": rates.SLACK_TIER_3,
    "usergroups.list": rates.SLACK_TIER_2,
    "usergroups.users.list": rates.SLACK_TIER_2,
    "users.conversations": rates.SLACK_TIER_3,
    "users.info": rates.SLACK_TIER_4,
    "users.list": rates.SLACK_TIER_2,
}


class WebApi:
    """One address for all workspaces: the token says in which one a method is carried out."""

    def __init__(self, app: SlackApp, around: Around, oauth: OAuth, open_socket: Callable[[], str]) -> None:
        self._app = app
        self._around = around
        self._journal = around.journal
        self._faults = around.faults
        self._oauth = oauth
        self._open_socket = open_socket
        self._workspaces: dict[str, Workspace] = {}
        self._methods: dict[str, dict[str, Method]] = {}

    def add(self, world: Workspace) -> ViewMethods:
        """Serve this workspace too."""
        app, limits = self._app, self._around.rates
        views = ViewMethods(world, app, limits)
        self._workspaces[world.team.id] = world
        self._methods[world.team.id] = (
            ChatMethods(world, app, limits).table() | DirectoryMethods(world).table() | views.table()
        )
        return views

    async def endpoint(self, request: Request) -> Response:
        method = request.path_params["method"]
        try:
            params = await read_params(request)
        except Unreadable:
            return _refused(SlackError("invalid_json"))
        call = self._journal.received("slack", method, params)
        fault = self._faults.take(method, params.get("channel", ""))
        authorization = request.headers.get("authorization", "")

        async def work() -> Response:
            headers: dict[str, str] = {}
            try:
                body = self._run(method, params, authorization, headers)
            except SlackError as problem:
                call.outcome = problem.code
                return _refused(problem, headers)
            call.outcome = "ok"
            return JSONResponse(body, headers=headers)

        response, struck = await carry_out(request, fault, work, REFUSALS)
        self._journal.answered(call, struck or call.outcome, response.status_code)
        return response

    def _run(self, method: str, params: Json, authorization: str, headers: dict[str, str]) -> Json:
        """The answer's body; what Slack says about scopes goes into `headers`."""
        if method == "api.test":
            refused = {"error": params["error"]} if "error" in params else {}
            return {"ok": not refused, "args": params} | refused
        kind, _, given = authorization.partition(" ")
        if method in self._oauth.methods:
            return self._oauth.methods[method](Args(params | _client(kind, given)))
        token = given.strip() if kind.lower() == "bearer" else str(params.get("token", ""))
        if method == "apps.connections.open":
            self._app_token(token)
            return {"ok": True, "url": self._open_socket()}
        if method == "openid.connect.userInfo":
            return self._oauth.user_info(self._granted(method, params, token, headers))
        if method == "auth.revoke":
            self._granted(method, params, token, headers)
            self._app.revoked.add(token)
            return {"ok": True, "revoked": True}
        if not any(method in table for table in self._methods.values()):
            raise SlackError("unknown_method")
        grant = self._granted(method, params, token, headers)
        if grant.user:
            raise SlackError("not_allowed_token_type")
        self._slow_down(method, grant)
        return self._methods[grant.team_id][method](Args(params))

    def _granted(self, method: str, params: Json, token: str, headers: dict[str, str]) -> Grant:
        """What the token opens, or the refusal."""
        if not token:
            raise SlackError("not_authed")
        grant = self._app.grant(token)
        if grant is None and token in self._app.revoked:
            raise SlackError("token_revoked")
        if grant is None:
            raise SlackError("not_allowed_token_type" if token == self._app.app_token else "invalid_auth")
        if self._oauth.has_expired(grant):
            raise SlackError("token_expired")
        wanted = needed(method, params, self._workspaces[grant.team_id])
        headers["x-oauth-scopes"] = grant.scopes
        if wanted:
            headers["x-accepted-oauth-scopes"] = ",".join(wanted)
        if missing := [scope for scope in wanted if not grant.has(scope)]:
            raise SlackError("missing_scope", needed=",".join(missing), provided=grant.scopes)
        return grant

    def _slow_down(self, method: str, grant: Grant) -> None:
        """Limits count per method and workspace. https://docs.slack.dev/apis/web-api/rate-limits"""
        limit = TIERS.get(method)
        seconds = self._around.rates.wait_for((limit, f"{grant.team_id} {method}")) if limit else 0
        if seconds:
            raise SlackError("ratelimited", retry_after=seconds)

    def _app_token(self, token: str) -> None:
        if not token:
            raise SlackError("not_authed")
        if token != self._app.app_token:
            raise SlackError("not_allowed_token_type" if self._app.grant(token) else "invalid_auth")


def _client(kind: str, given: str) -> Json:
    """The client's id and secret, when they come by HTTP Basic."""
    if kind.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"client_id": client_id, "client_secret": secret}


def _refused(problem: SlackError, headers: dict[str, str] | None = None) -> Response:
    if problem.retry_after:
        return JSONResponse(problem.wire(), 429, headers={"Retry-After": str(problem.retry_after)})
    return JSONResponse(problem.wire(), headers=headers)


REFUSALS = Refusals(
    rate_limited=lambda seconds: _refused(SlackError("ratelimited", retry_after=seconds)),
    error=lambda code, _status: _refused(SlackError(code)),
)
