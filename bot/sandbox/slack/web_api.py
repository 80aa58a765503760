"""`POST /slack/api/{method}`: authenticates, lets faults strike, calls the method, answers as Slack does."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox.around import Around
from bot.sandbox.faults import Refusals, carry_out
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.args import Args, SlackError
from bot.sandbox.slack.chat_methods import ChatMethods
from bot.sandbox.slack.directory_methods import DirectoryMethods
from bot.sandbox.slack.view_methods import ViewMethods
from bot.sandbox.slack.world import SlackWorld
from bot.sandbox.wire import Json, Unreadable, read_params

SCOPES = (
    "channels:history,channels:read,chat:write,commands,groups:history,groups:read,im:history,im:read,im:write,"
    "team:read,usergroups:read,users:read"
)


class WebApi:
    def __init__(self, world: SlackWorld, app: SlackApp, around: Around, open_socket: Callable[[], str]) -> None:
        self._app = app
        self._journal = around.journal
        self._faults = around.faults
        limits = around.rates
        self.views = ViewMethods(world, app, limits)
        self._methods: dict[str, Callable[[Args], Json]] = {
            **ChatMethods(world, app, limits).table(),
            **DirectoryMethods(world).table(),
            **self.views.table(),
            "apps.connections.open": lambda _args: {"ok": True, "url": open_socket()},
        }

    async def endpoint(self, request: Request) -> Response:
        method = request.path_params["method"]
        try:
            params = await read_params(request)
        except Unreadable:
            return _refused(SlackError("invalid_json"))
        call = self._journal.received("slack", method, params)
        fault = self._faults.take(method, params.get("channel", ""))

        async def work() -> Response:
            try:
                body = self._run(method, params, request.headers.get("authorization", ""))
            except SlackError as problem:
                call.outcome = problem.code
                return _refused(problem)
            call.outcome = "ok"
            return JSONResponse(body, headers={"x-oauth-scopes": SCOPES, "x-accepted-oauth-scopes": "chat:write"})

        response, struck = await carry_out(request, fault, work, REFUSALS)
        self._journal.answered(call, struck or call.outcome, response.status_code)
        return response

    def _run(self, method: str, params: Json, authorization: str) -> Json:
        if method == "api.test":
            refused = {"error": params["error"]} if "error" in params else {}
            return {"ok": not refused, "args": params} | refused
        run = self._methods.get(method)
        if run is None:
            raise SlackError("unknown_method")
        self._authenticate(method, params, authorization)
        return run(Args(params))

    def _authenticate(self, method: str, params: Json, authorization: str) -> None:
        kind, _, bearer = authorization.partition(" ")
        token = bearer.strip() if kind.lower() == "bearer" else str(params.get("token", ""))
        if not token:
            raise SlackError("not_authed")
        wants_app_token = method == "apps.connections.open"
        if token == (self._app.app_token if wants_app_token else self._app.bot_token):
            return
        known = token in (self._app.app_token, self._app.bot_token)
        raise SlackError("not_allowed_token_type" if known else "invalid_auth")


def _refused(problem: SlackError) -> Response:
    if problem.retry_after:
        headers = {"Retry-After": str(problem.retry_after)}
        return JSONResponse(problem.wire(), 429, headers=headers)
    return JSONResponse(problem.wire())


REFUSALS = Refusals(
    rate_limited=lambda seconds: _refused(SlackError("ratelimited", retry_after=seconds)),
    error=lambda code, _status: _refused(SlackError(code)),
)
