"""`/telegram/bot{token}/{method}`: authenticates, lets faults strike, answers as the Bot API does."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox.around import Around
from bot.sandbox.faults import Refusals, carry_out
from bot.sandbox.telegram.errors import TelegramError, bad_request, too_many_requests
from bot.sandbox.wire import Json, Unreadable, decoded, flag, read_params

Method = Callable[["Args"], Awaitable[Any]]


class Args:
    """The parameters of one Bot API call."""

    def __init__(self, params: Json) -> None:
        self._params = params

    def text(self, name: str) -> str:
        value = self._params.get(name)
        return "" if value is None else str(value)

    def flag(self, name: str) -> bool:
        return flag(self._params.get(name))

    def number(self, name: str, default: int = 0) -> int:
        value = self.text(name)
        if value and not (value.removeprefix("-").isdigit() and value.isascii()):
            raise bad_request(f'invalid parameter "{name}": an integer is expected')
        return int(value) if value else default

    def structure(self, name: str) -> Any:
        """A structure sent as JSON text or as JSON; None when it is absent."""
        value = self._params.get(name)
        if value is None or value == "":
            return None
        try:
            return decoded(value)
        except ValueError as error:
            raise bad_request(f"can't parse {name}: not JSON") from error


class BotApi:
    def __init__(self, token: Callable[[], str], methods: dict[str, Method], around: Around) -> None:
        self._token = token
        self._methods = {name.lower(): method for name, method in methods.items()}
        self._journal = around.journal
        self._faults = around.faults

    async def endpoint(self, request: Request) -> Response:
        method, token = request.path_params["method"], request.path_params["token"]
        if not hmac.compare_digest(token.encode(), self._token().encode()):
            return _refused(TelegramError(401, "Unauthorized"))
        try:
            params = await read_params(request)
        except Unreadable:
            return _refused(bad_request("can't parse the request body"))
        call = self._journal.received("telegram", method, params)

        async def work() -> Response:
            try:
                run = self._methods.get(method.lower())
                if run is None:
                    raise TelegramError(404, "Not Found")
                result = await run(Args(params))
            except TelegramError as problem:
                call.outcome = problem.description
                return _refused(problem)
            call.outcome = "ok"
            return JSONResponse({"ok": True, "result": result})

        response, struck = await carry_out(
            request, self._faults.take(method, params.get("chat_id", "")), work, REFUSALS
        )
        self._journal.answered(call, struck or call.outcome, response.status_code)
        return response


def _refused(problem: TelegramError) -> Response:
    headers = {"Retry-After": str(problem.parameters["retry_after"])} if problem.code == 429 else {}
    return JSONResponse(problem.wire(), problem.code, headers=headers)


REFUSALS = Refusals(
    rate_limited=lambda seconds: _refused(too_many_requests(seconds)),
    error=lambda words, status: _refused(TelegramError(status, words)),
)
