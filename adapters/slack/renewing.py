"""Tokens that run out (token rotation): each is renewed before that, with what came with it and is good once. One
process does so; until it has, all go on with the old one.

Source: https://docs.slack.dev/authentication/using-token-rotation
"""

from __future__ import annotations

import json

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.calls import CALL_SECONDS, SlackCalls, quiet
from adapters.slack.refusals import RENEWAL
from adapters.slack.settings import InstallSettings, SlackSettings
from core.installations import Installation, Installations
from core.ports import SendFailed

log = structlog.get_logger()


class Renewing:
    def __init__(self, settings: SlackSettings, install: InstallSettings, installs: Installations) -> None:
        self._calls = SlackCalls(settings)
        self._install = install
        self._installs = installs
        # Without a token: it is the client's secret that counts here.
        self._client = AsyncWebClient(
            base_url=settings.base_url, timeout=CALL_SECONDS, logger=quiet("renewing"), retry_handlers=[]
        )
        self._client.proxy = None
        self._unsaved: dict[str, tuple[Installation, str, int]] = {}

    async def renew(self, team: str) -> bool:
        """Whether the token of this workspace was renewed now; it was not when that is not due, or somebody else is at
        it. Raises Unavailable, and SendFailed where Slack does not renew it: permanent when it never will.
        """
        turn = self._installs.turn(team)
        if not await turn.take():
            return False
        try:
            found = await self._installs.of(team)
            return found is not None and found.is_due and await self._renewed(found)
        finally:
            await turn.drop()

    async def _renewed(self, found: Installation) -> bool:
        """What Slack has granted is granted once: where it cannot be saved, that is tried again, and no more asked."""
        team = found.team_id
        old, granted, lasts_ms = self._unsaved.get(team, (None, "", 0))
        if old is None or old.granted != found.granted:
            granted, lasts_ms = await self._asked(found)
            self._unsaved[team] = (found, granted, lasts_ms)
        saved = await self._installs.renewed(found, granted, lasts_ms)
        del self._unsaved[team]
        if saved:
            log.info("slack.token_renewed", team=team)
        return saved

    async def _asked(self, found: Installation) -> tuple[str, int]:
        """The granted anew, and for how long it lasts."""
        had = json.loads(found.granted)
        given = {
            "client_id": self._install.client_id,
            "client_secret": self._install.client_secret,
            "grant_type": "refresh_token",
            "refresh_token": had["refresh_token"],
        }
        answer = await self._calls.ask(self._client.api_call("oauth.v2.access", data=given), where=RENEWAL)
        token, following, seconds = (answer.get(name) for name in ("access_token", "refresh_token", "expires_in"))
        if not token or not following or not isinstance(seconds, int):
            raise SendFailed("Slack's answer to the renewal of a token made no sense")
        return json.dumps(had | {"bot_token": token, "refresh_token": following}), seconds * 1000
