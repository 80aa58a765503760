"""How somebody connects their workspace: `/slack/install` sends their browser to Slack, and Slack sends it back.

Bolt's flow does it, over our ledger. (Bolt's own stores in SQL would keep tokens in clear, through connections of their
own.) Only workspaces that the settings allow are kept. Pages are plain text.

Source: https://docs.slack.dev/authentication/installing-with-oauth
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

import aiohttp
import structlog
from slack_bolt.adapter.starlette.async_handler import to_async_bolt_request, to_starlette_response
from slack_bolt.error import BoltError
from slack_bolt.oauth.async_callback_options import AsyncCallbackOptions, AsyncFailureArgs, AsyncSuccessArgs
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackClientError
from slack_sdk.oauth.installation_store import Installation as Granted
from slack_sdk.oauth.installation_store.async_installation_store import AsyncInstallationStore
from slack_sdk.oauth.state_store.async_state_store import AsyncOAuthStateStore
from slack_sdk.web.async_client import AsyncWebClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.slack.calls import CALL_SECONDS, quiet
from adapters.slack.settings import InstallSettings
from core.errors import Unavailable
from core.installations import STATE_MS, Installation, Installations

log = structlog.get_logger()

INSTALL, BACK = "/slack/install", "/slack/oauth_redirect"
COOKIE = "assent-slack-install"
_TEAM = re.compile(r"T[A-Z0-9]{1,30}", re.ASCII)
_STATE = re.compile(r"[A-Za-z0-9_-]{20,100}", re.ASCII)
_AGAIN = "Begin again at {}."
# What went wrong, by bolt's names and Slack's.
_WORDS = {
    "access_denied": "Assent was not installed: you did not agree. Nothing has changed.",
    "invalid_browser": "This installation was begun in another browser, or this one takes no cookies. ",
    "invalid_state": "This installation was begun more than ten minutes ago, or has come back already. ",
    "invalid_code": "Slack did not accept the answer that it gave a moment ago. ",
    "missing_code": "Slack's answer is incomplete. ",
}
_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Refused(BoltError):
    """This workspace is not connected; the message says why."""


class States(AsyncOAuthStateStore):
    """Each is good once, for ten minutes; bolt ties it to the browser by a cookie."""

    def __init__(self, installs: Installations) -> None:
        self._installs = installs

    async def async_issue(self, *args: Any, **kwargs: Any) -> str:
        return await self._installs.begin()

    async def async_consume(self, state: str) -> bool:
        return _STATE.fullmatch(state) is not None and await self._installs.came_back(state)


class Store(AsyncInstallationStore):
    """What Slack grants goes into the ledger, sealed. Who serves the workspaces reads it there."""

    def __init__(self, installs: Installations) -> None:
        self._installs = installs

    async def async_save(self, installation: Granted) -> None:
        found = installation.to_dict()
        granted = {name: found[name] for name in ("app_id", "bot_id", "bot_token")}
        lasts_ms = None
        if installation.bot_refresh_token and installation.bot_token_expires_at:
            granted["refresh_token"] = installation.bot_refresh_token
            lasts_ms = max(0, int((installation.bot_token_expires_at - time.time()) * 1000))
        await self._installs.keep(
            Installation(
                team_id=str(installation.team_id),
                team_name=str(installation.team_name or installation.team_id),
                bot_user=str(installation.bot_user_id),
                scopes=",".join(installation.bot_scopes or ()),
                enterprise_id=installation.enterprise_id,
                installed_by=installation.user_id,
                granted=json.dumps(granted),
                lasts_ms=lasts_ms,
            )
        )


class _Flow(AsyncOAuthFlow):
    def __init__(self, chosen: InstallSettings, **bolt: Any) -> None:
        super().__init__(**bolt)
        self._chosen = chosen

    async def build_authorize_url(self, state: str, request: AsyncBoltRequest) -> str:
        asked = {
            "client_id": self.client_id,
            "scope": ",".join(self._chosen.scopes),
            "redirect_uri": self.redirect_uri,
            "state": state,
        }
        team = request.query.get("team", [""])[0]
        if _TEAM.fullmatch(team):
            asked["team"] = team
        return f"{self.settings.authorization_url}?{urlencode(asked)}"

    async def store_installation(self, request: AsyncBoltRequest, installation: Granted) -> None:
        team = installation.team_id
        if installation.is_enterprise_install or team is None:
            raise Refused("Assent is installed to one workspace at a time, and not to a whole organisation.")
        if not installation.bot_token or not installation.bot_user_id:
            raise Refused("Slack granted no bot; look at the app's scopes.")
        if bool(installation.bot_refresh_token) != bool(installation.bot_token_expires_at):
            raise Refused("Slack did not say how long its token lasts, or how it is renewed. Try again in a moment.")
        if self._chosen.who != "anyone" and team not in self._chosen.who:
            log.warning("slack.installation_refused", team=team)
            raise Refused(
                f"The workspace {team} is none of those that may connect to this Assent; ask whoever runs it to add it "
                "to SLACK_INSTALL. Nothing was kept; you can remove the app from the workspace again."
            )
        await super().store_installation(request, installation)


class InstallDoor:
    """The two routes. `connected`: called when a workspace was."""

    def __init__(
        self,
        settings: InstallSettings,
        base_url: str,
        installs: Installations,
        connected: Callable[[], Awaitable[None]],
    ) -> None:
        self._again = _AGAIN.format(settings.address)
        self._connected = connected
        logger = quiet("oauth", 60)  # the SDK writes codes down; what matters is logged here
        client = AsyncWebClient(base_url=base_url, timeout=CALL_SECONDS, logger=logger, retry_handlers=[])
        client.proxy = None
        self._flow = _Flow(
            settings,
            client=client,
            logger=logger,
            settings=AsyncOAuthSettings(
                client_id=settings.client_id,
                client_secret=settings.client_secret,
                scopes=settings.scopes,
                user_scopes=[],
                redirect_uri=f"{settings.public_url}{BACK}",
                install_path=INSTALL,
                install_page_rendering_enabled=False,
                redirect_uri_path=BACK,
                callback_options=AsyncCallbackOptions(success=self._done, failure=self._failed),
                authorization_url=f"{base_url.rstrip('/').removesuffix('/api')}/oauth/v2/authorize",
                installation_store=Store(installs),
                state_store=States(installs),
                state_cookie_name=COOKIE,
                state_expiration_seconds=STATE_MS // 1000,
                logger=logger,
            ),
        )
        self.routes = [
            Route(INSTALL, self._through(self._flow.handle_installation), methods=["GET"]),
            Route(BACK, self._through(self._flow.handle_callback), methods=["GET"]),
        ]

    def _through(
        self, handle: Callable[[AsyncBoltRequest], Awaitable[BoltResponse]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                return to_starlette_response(await handle(to_async_bolt_request(request, b"")))
            except Unavailable as error:
                log.warning("slack.installation_not_kept", reason=error.message)
                text, status = "The database cannot be reached; try again in a moment.", 503
            except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError, LookupError) as error:
                log.warning("slack.installation_not_asked", reason=type(error).__name__)
                text, status = f"Slack did not answer. {self._again}", 502
            return PlainTextResponse(text, status, headers=_HEADERS)

        return endpoint

    async def _done(self, args: AsyncSuccessArgs) -> BoltResponse:
        await self._connected()
        team, name = args.installation.team_id, args.installation.team_name
        return self._page(
            200,
            f"Assent is connected to the workspace {name or team}. Its channels are written slack:{team}/C…, and its "
            f"people slack:{team}/U…. Invite the bot to a channel before you send cards there.",
        )

    async def _failed(self, args: AsyncFailureArgs) -> BoltResponse:
        log.warning("slack.not_installed", reason=args.reason if args.reason in _WORDS else "other")
        if args.error is not None:
            return self._page(403, str(args.error))
        words = _WORDS.get(args.reason, "Slack did not install Assent. ")
        return self._page(400, words if args.reason == "access_denied" else words + self._again)

    def _page(self, status: int, text: str) -> BoltResponse:
        done = self._flow.settings.state_utils.build_set_cookie_for_deletion()
        return BoltResponse(status=status, body=text, headers={**_HEADERS, "Set-Cookie": [done]})
