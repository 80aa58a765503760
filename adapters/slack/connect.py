"""The two ways in: an HTTP door that lets only Slack through, and Socket Mode. Behind both stands the same bolt app."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Mapping

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message

from adapters.slack.answering import LINK_NO, LINK_YES
from adapters.slack.calls import quiet
from adapters.slack.commands import COMMAND
from adapters.slack.errands import Errands
from adapters.slack.hearing import Hearing
from adapters.slack.inbox_view import NEWER, OLDER
from adapters.slack.limits import BODY_BYTES, SIGNATURE_SECONDS
from adapters.slack.modals import CALLBACK
from adapters.slack.settings import SlackSettings

log = structlog.get_logger()

PING_SECONDS = 3.0  # how soon a lost socket is noticed and replaced
PATIENCE_SECONDS = 20.0  # how long the SDK may try to reconnect before it is replaced as a whole
RESTART_SECONDS = 3.0
NONSENSE = "This is not a payload that Slack sends."
ACK_ON_ITS_WAY_SECONDS = 0.05  # bolt looks for an acknowledgement to send every 0.01 s


def bolt_app(settings: SlackSettings, hearing: Hearing) -> AsyncApp:
    """Bolt, with everything off that this adapter does itself, and with nothing left to ask Slack during a tap."""

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        """Bolt's own calls, of which it makes none, would go out with this token."""
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id, bot_token=await hearing.token(team_id))

    logger = quiet("bolt", logging.ERROR)  # its warnings are about what we do on purpose
    app = AsyncApp(
        logger=logger,
        name="assent",
        signing_secret=settings.signing_secret or "",
        client=AsyncWebClient(base_url=settings.base_url, logger=logger, retry_handlers=[]),
        authorize=authorize,
        request_verification_enabled=settings.signing_secret is not None,
        ignoring_self_events_enabled=False,
        ssl_check_enabled=False,
        attaching_function_token_enabled=False,
    )
    app.client.proxy = None
    app.command(COMMAND)(hearing.typed)
    app.event("app_home_opened")(hearing.opened_home)
    for event in ("app_uninstalled", "tokens_revoked"):
        app.event(event)(hearing.removed)
    app.view(CALLBACK)(hearing.submitted)
    for action in (LINK_YES, LINK_NO):
        app.action(action)(hearing.confirmed)
    for action in (OLDER, NEWER):
        app.action(action)(hearing.turned)
    app.action(re.compile(""))(hearing.tapped)
    app.error(_not_handled)
    return app


async def _not_handled(error: Exception, response: BoltResponse | None) -> None:
    """Bolt reads the fields of a payload without a look at what they are, and fails on those that Slack never sends."""
    log.error("slack.not_handled", exc_info=error)
    if response is not None:
        response.status, response.body = 400, NONSENSE


def is_from_slack(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether Slack signed this body within the last five minutes. Any input is answered, none raises.

    Source: https://docs.slack.dev/authentication/verifying-requests-from-slack
    """
    stamp, signature = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not is_recent(stamp, now):
        return False
    expected = "v0=" + hmac.new(secret.encode(), b"v0:%s:%s" % (stamp.encode(), body), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass"))


def is_recent(stamp: str, now: float) -> bool:
    """Plain digits only: `int` would take `1_700`, `+1700` and digits of other scripts as well."""
    digits = stamp.isascii() and stamp.isdigit() and len(stamp) <= 12
    return digits and abs(now - int(stamp)) <= SIGNATURE_SECONDS


class HttpDoor:
    """The endpoint that Slack posts interactions to."""

    def __init__(self, app: AsyncApp, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._bolt = AsyncSlackRequestHandler(app)
        self._secret = secret
        self._clock = clock

    async def endpoint(self, request: Request) -> Response:
        if _announced(request) > BODY_BYTES:
            return PlainTextResponse("The body is too large.", 413)
        if not is_recent(request.headers.get("x-slack-request-timestamp", ""), self._clock()):
            return _unsigned()
        try:
            body = await _body(request)
        except ClientDisconnect:
            return PlainTextResponse("The request is incomplete.", 400)
        if body is None:
            return PlainTextResponse("The body is too large.", 413)
        if not is_from_slack(self._secret, request.headers, body, self._clock()):
            return _unsigned()
        return await self._dispatched(request, body)

    async def _dispatched(self, request: Request, body: bytes) -> Response:
        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            return await self._bolt.handle(Request(request.scope, replay))
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            # Raised while bolt takes the body apart, before its own error handler is there.
            log.error("slack.not_handled", exc_info=error)
            return PlainTextResponse(NONSENSE, 400)


def _unsigned() -> Response:
    return PlainTextResponse("This request is not signed by Slack.", 401)


def _announced(request: Request) -> int:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


async def _body(request: Request) -> bytes | None:
    """The raw body; None when it is larger than BODY_BYTES, of which no more than that was kept."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES:
            return None
    return bytes(body)


class SocketMode:
    """Keeps one socket to Slack open until cancelled."""

    def __init__(self, app: AsyncApp, errands: Errands, settings: SlackSettings, client: AsyncWebClient) -> None:
        self._app = app
        self._errands = errands
        self._settings = settings
        self._client = client

    async def run(self) -> None:
        while True:
            await self._serve()
            log.warning("slack.socket_replaced")
            await asyncio.sleep(RESTART_SECONDS)

    async def _serve(self) -> None:
        """One SDK client, which reconnects by itself; returns when it has not managed to for PATIENCE_SECONDS."""
        handler = AsyncSocketModeHandler(
            self._app,
            self._settings.app_token,
            logger=quiet("bolt"),
            web_client=self._client,
            ping_interval=PING_SECONDS,
        )
        handler.client.proxy = None
        connecting = asyncio.create_task(handler.connect_async())  # type: ignore[no-untyped-call]  # it has no types
        try:
            await self._watch(handler)
        finally:
            await self._errands.acknowledged()
            await asyncio.sleep(ACK_ON_ITS_WAY_SECONDS)
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await handler.close_async()  # type: ignore[no-untyped-call]  # likewise

    async def _watch(self, handler: AsyncSocketModeHandler) -> None:
        clock = asyncio.get_running_loop().time
        last_seen = clock()
        while clock() - last_seen <= PATIENCE_SECONDS:
            if await handler.client.is_connected():
                last_seen = clock()
            await asyncio.sleep(1)
