"""What people do in Slack reaches the desk of the workspace where they do it. Nobody else hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from slack_bolt.context.ack.async_ack import AsyncAck

from adapters.slack.desks import Desk, Desks
from adapters.slack.errands import Errands
from adapters.slack.payloads import text_at
from core.errors import Unavailable
from core.installations import Installations
from core.ports import SendFailed

log = structlog.get_logger()

ASK_SECONDS = 5.0  # whether a token is really gone
AGAIN_SECONDS = (1.0, 5.0, 30.0)
Body = dict[str, Any]


class Hearing:
    """Bolt's listeners. `installs`: None where there is but the default workspace."""

    def __init__(self, desks: Desks, installs: Installations | None, errands: Errands) -> None:
        self._desks = desks
        self._installs = installs
        self._errands = errands

    async def token(self, team: str | None) -> str | None:
        """The bot's in that workspace, by the installation. Nothing is asked of Slack."""
        desk = await self._desks.look_up(team or "") or self._desks.home
        return None if desk is None else desk.messenger.client.token

    async def tapped(self, ack: AsyncAck, body: Body) -> None:
        await self._heard(ack, body, lambda desk: desk.taps.tapped)

    async def submitted(self, ack: AsyncAck, body: Body) -> None:
        await self._heard(ack, body, lambda desk: desk.reasons.submitted)

    async def typed(self, ack: AsyncAck, body: Body) -> None:
        await self._heard(ack, body, lambda desk: desk.commands.typed)

    async def confirmed(self, ack: AsyncAck, body: Body) -> None:
        await self._heard(ack, body, lambda desk: desk.commands.confirmed)

    async def turned(self, ack: AsyncAck, body: Body) -> None:
        await self._heard(ack, body, lambda desk: desk.commands.turned)

    async def opened_home(self, ack: AsyncAck, body: Body) -> None:
        await self._heard(ack, body, lambda desk: desk.commands.opened_home)

    async def removed(self, ack: AsyncAck, body: Body) -> None:
        """The app was removed from a workspace, or its token was revoked."""
        await ack()
        self._errands.run(self._remove(team_of(body)))

    async def _remove(self, team: str) -> None:
        """Slack says so once; where the database or Slack itself cannot be reached, it is tried again."""
        for seconds in (*AGAIN_SECONDS, None):
            try:
                await self._forget(team, at_last=seconds is None)
                return
            except Unavailable as error:
                log.warning("slack.removal_not_kept", team=team, reason=error.message)
                if seconds is not None:
                    await asyncio.sleep(seconds)

    async def _forget(self, team: str, *, at_last: bool) -> None:
        """Such an event may be late, and the app be installed anew meanwhile: Slack is asked whether it still takes the
        token that is kept. `at_last`: where it cannot be asked either, the event counts. Raises Unavailable.
        """
        if self._installs is None:
            return
        await self._desks.refresh()
        await self._desks.renew()  # a token that has run out says nothing of the app
        desk = self._desks.of_team(team)
        if desk is None or desk is self._desks.home or await _still_works(desk, at_last=at_last):
            log.warning("slack.removal_ignored", team=team)
        elif await self._installs.revoke(team):
            log.info("slack.workspace_removed", team=team)
            await self._desks.refresh()

    async def _heard(
        self, ack: AsyncAck, body: Body, of: Callable[[Desk], Callable[[AsyncAck, Body], Awaitable[None]]]
    ) -> None:
        desk = await self._desk_of(body)
        if desk is None:
            log.warning("slack.not_installed_there", team=team_of(body))
            await ack()
        else:
            await of(desk)(ack, body)

    async def _desk_of(self, body: Body) -> Desk | None:
        """That of the workspace. Whoever is of a workspace without the app has met us in a shared channel: then it is
        that of the bot whose message they used, or the default one, and there they are strangers.
        """
        found = await self._desks.look_up(team_of(body))
        return found or self._desks.of_bot(text_at(body, "message", "user")) or self._desks.home


def team_of(body: Body) -> str:
    """In which workspace something happened: where the app is installed, as far as Slack says so."""
    authorizations = body.get("authorizations")
    first = authorizations[0] if isinstance(authorizations, list) and authorizations else None
    return (
        text_at(body, "view", "app_installed_team_id")
        or text_at(body, "team", "id")
        or text_at(first, "team_id")
        or text_at(body, "team_id")
        or text_at(body, "user", "team_id")
    )


async def _still_works(desk: Desk, *, at_last: bool) -> bool:
    try:
        async with asyncio.timeout(ASK_SECONDS):
            return bool(await desk.messenger.ask(desk.messenger.client.auth_test(), where="Slack"))
    except (SendFailed, TimeoutError) as error:
        if at_last or (isinstance(error, SendFailed) and error.permanent):
            return False
        why = str(error) or "there was no answer in time"
        raise Unavailable(f"Slack cannot say whether it takes the token: {why}") from None
