"""Sign in with Slack (OpenID Connect): https://docs.slack.dev/authentication/sign-in-with-slack

No PKCE: Slack takes it only from apps that are marked as public clients, for good, and ours keeps a secret. The state,
bound to the browser, and the nonce do its work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp
import structlog
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.calls import CALL_SECONDS, SlackCalls, Workspace, quiet
from adapters.slack.id_tokens import NotProved, verified
from adapters.slack.payloads import text_at
from adapters.slack.settings import SlackSettings
from core.errors import InvalidToken, Unavailable
from core.installations import Installations, not_connected
from core.model import Identity
from core.ports import Consent, SendFailed

log = structlog.get_logger()

SCOPES = "openid profile"
KEYS_SECONDS = 3_600.0
_USER, _TEAM = "https://slack.com/user_id", "https://slack.com/team_id"
_TEAM_NAME = "https://slack.com/team_name"


class SlackOpenId:
    """For the people of the connected workspaces: that of the bot's token, and those where the app is installed
    (`installs`; None where there can be none). `clock`: seconds since 1970.
    """

    def __init__(
        self,
        settings: SlackSettings,
        client_id: str,
        client_secret: str,
        installs: Installations | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._installs = installs
        self._calls = SlackCalls(settings)
        self._client_id = client_id
        self._client_secret = client_secret
        # Without the bot's token: it is the client's secret that counts here.
        self._client = AsyncWebClient(
            base_url=settings.base_url, timeout=CALL_SECONDS, logger=quiet("openid"), retry_handlers=[]
        )
        self._client.proxy = None
        self._site = settings.base_url.rstrip("/").removesuffix("/api")
        self._clock = clock
        self._keys: Sequence[Mapping[str, Any]] = ()
        self._keys_at = 0.0

    def address(self, consent: Consent) -> str:
        asked = {
            "response_type": "code",
            "scope": SCOPES,
            "client_id": self._client_id,
            "state": consent.state,
            "nonce": consent.nonce,
            "redirect_uri": consent.redirect_uri,
        }
        return f"{self._site}/openid/connect/authorize?{urlencode(asked)}"

    async def identity(self, code: str, consent: Consent) -> Identity:
        home = await self._home()
        claims = await self._claims(code, consent)
        user, team, name = text_at(claims, _USER), text_at(claims, _TEAM), text_at(claims, "name")
        if not user or not team:
            raise InvalidToken
        if home is not None and team == home.team:
            enterprise, prefix = home.enterprise, ""
        else:
            enterprise, prefix = await self._installed(team, text_at(claims, _TEAM_NAME)), f"{team}/"
        scope = "/".join(part for part in (enterprise, team) if part)
        return Identity("slack", prefix + user, name or None, team=scope, verified=True)

    async def _home(self) -> Workspace | None:
        """The default workspace. Raises Unavailable."""
        if not self._settings.bot_token:
            return None
        try:
            return await self._calls.workspace()
        except SendFailed as error:
            raise Unavailable(error.message) from None

    async def _installed(self, team: str, name: str) -> str:
        """The organisation of a workspace where the app is installed; empty for none. Raises Refused."""
        found = await self._installs.of(team) if self._installs is not None else None
        if found is not None and found.revoked_at is None:
            return found.enterprise_id or ""
        where = f"{found.team_name if found else name or team} ({team})"
        install = self._settings.install
        at = install.address if install is not None and install.who else None
        raise not_connected(where, removed=found is not None, install_at=at)

    async def _claims(self, code: str, consent: Consent) -> Mapping[str, Any]:
        """What Slack says of whoever agreed. A code is exchanged once: Slack knows it no more afterwards."""
        exchanged = {
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "code": code,
            "redirect_uri": consent.redirect_uri,
            "grant_type": "authorization_code",
        }
        question = self._client.api_call("openid.connect.token", data=exchanged)
        try:
            answer = await self._calls.ask(question, where="the sign-in")
        except SendFailed as error:
            if error.permanent or (error.retry_after_ms is None and not error.uncertain):
                raise InvalidToken from None
            raise Unavailable("Slack did not answer; try again in a moment") from None
        token = str(answer.get("id_token") or "")
        for fresh in (False, True):  # Slack may have new keys since they were asked for
            try:
                return verified(
                    token,
                    await self._signing_keys(fresh=fresh),
                    issuer=self._site,
                    audience=self._client_id,
                    nonce=consent.nonce,
                    now=self._clock(),
                )
            except NotProved as error:
                log.warning("slack.not_signed_in", reason=str(error))
        raise InvalidToken

    async def _signing_keys(self, *, fresh: bool) -> Sequence[Mapping[str, Any]]:
        now = self._clock()
        if self._keys and not fresh and now - self._keys_at < KEYS_SECONDS:
            return self._keys
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, trust_env=False) as session,
                session.get(f"{self._site}/openid/connect/keys", allow_redirects=False) as answer,
            ):
                answer.raise_for_status()
                found = (await answer.json(content_type=None)).get("keys")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, AttributeError):
            raise Unavailable("Slack did not say with which keys it signs; try again in a moment") from None
        self._keys = [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []
        self._keys_at = now
        return self._keys
