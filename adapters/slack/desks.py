"""Who serves which workspace. Each has a desk of its own: the port with its token, and the listeners for what its
people do.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from logging import ERROR, WARNING

import structlog

from adapters.slack.branches import REFRESH_SECONDS, Branch, Branches
from adapters.slack.commands import Commands
from adapters.slack.errands import Errands
from adapters.slack.lists import Lists
from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import parted
from adapters.slack.reasons import Reasons
from adapters.slack.recording import Recorder
from adapters.slack.renewing import Renewing
from adapters.slack.settings import SlackSettings
from adapters.slack.taps import Taps
from core.cards import Cards
from core.chat import ChatServices
from core.errors import Unavailable
from core.hub import Hub
from core.installations import Installation, Installations
from core.model import Address
from core.ports import ChannelMoved, SendFailed
from core.tap_desk import TapDesk

log = structlog.get_logger()

LOOK_SECONDS = 0.3  # of the second in which a tap is acknowledged
LATER_SECONDS = 1.0  # until a database that did not answer is asked again
STRANGER_SECONDS = 5.0  # how long a workspace that has not installed the app is not looked up again
MOST_STRANGERS = 1_000


@dataclass(frozen=True, slots=True)
class Gate:
    """What every desk hands on to."""

    cards: Cards
    taps: TapDesk
    hub: Hub
    services: ChatServices
    errands: Errands


class Desk(Branch):
    """All that serves one workspace."""

    def __init__(self, settings: SlackSettings, gate: Gate, installation: Installation | None = None) -> None:
        self.messenger = messenger = SlackMessenger(settings)
        super().__init__(settings, messenger, installation)
        lists = Lists(messenger, self.directory, gate.services)
        recorder = Recorder(messenger, gate.taps, gate.cards, gate.hub)
        # The same in all processes, also while the token is renewed; and another one in each workspace.
        secret = settings.prefix + (settings.signing_secret or settings.bot_token)
        self.reasons = Reasons(messenger, recorder, lists, gate.cards, gate.errands, secret)
        self.taps = Taps(messenger, recorder, self.reasons, lists, gate.cards, gate.errands)
        self.commands = Commands(messenger, self.directory, lists, gate.services, gate.errands)


class Desks(Branches[Desk]):
    """`installs`: where more workspaces are found; None where there is but the default one."""

    def __init__(self, settings: SlackSettings, gate: Gate, installs: Installations | None) -> None:
        super().__init__(settings, installs, gate.errands, lambda own, found: Desk(own, gate, found))
        own = self._settings
        self._renewing = Renewing(own, own.install, installs) if own.install and installs else None
        self._strangers: dict[str, float] = {}  # workspaces without the app, and until when that is believed

    async def start(self) -> None:
        """Learn who we are before the first tap needs it. Raises SendFailed when Slack refuses a token of the settings
        for good; a Slack that cannot be reached now is asked again at the first tap.
        """
        if self.home is not None:
            await self.home.messenger.start()
            try:
                await self.home.messenger.workspace()
                await self.home.messenger.try_socket_mode()
            except SendFailed as failed:
                if failed.permanent:
                    await self.home.messenger.close()
                    raise
                log.warning("slack.not_reached", reason=failed.message)
        await self._try_refresh()
        await self.renew()

    async def run(self) -> None:
        """Follow what is installed and removed elsewhere, and renew tokens, until cancelled."""
        while self._installs is not None:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._try_refresh()
            await self.renew()
        await asyncio.Event().wait()

    async def renew(self) -> None:
        """Renew the tokens whose time it is."""
        due = [desk for desk in self._installed.values() if desk.installation and desk.installation.is_due]
        if any(await asyncio.gather(*(self._renewed(desk) for desk in due if desk.calls.renews))):
            await self._try_refresh()

    async def _renewed(self, desk: Desk) -> bool:
        team = desk.prefix.rstrip("/")
        try:
            return self._renewing is not None and await self._renewing.renew(team)
        except Unavailable as error:
            log.warning("slack.token_not_renewed", team=team, reason=error.message)
        except SendFailed as failed:
            if failed.permanent:
                desk.calls.renews = False  # until somebody has renewed it after all
            log.log(ERROR if failed.permanent else WARNING, "slack.token_not_renewed", team=team, reason=failed.message)
        return False

    async def look_up(self, team: str) -> Desk | None:
        """As `of_team`, and the database is asked, for a moment at the most."""
        found = self.of_team(team)
        if found is not None or self._installs is None or self._strangers.get(team, 0.0) > time.monotonic():
            return found
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self.refresh()
        except (TimeoutError, Unavailable) as error:
            log.warning("slack.installations_not_read", reason=str(error))
            self._believe(team, LATER_SECONDS)
            return None
        found = self.of_team(team)
        if found is None:
            self._believe(team, STRANGER_SECONDS)
        return found

    def _believe(self, team: str, seconds: float) -> None:
        """It is not asked again for so long whether this workspace has the app."""
        if len(self._strangers) > MOST_STRANGERS:
            self._strangers.clear()
        self._strangers[team] = time.monotonic() + seconds

    def of_bot(self, user: str) -> Desk | None:
        """Whose bot this is."""
        found = (desk for desk in self.all if desk.messenger.known and desk.messenger.known.bot_user == user)
        return next(found, None)

    async def at(self, address: Address, *, new: bool = False) -> tuple[Desk, Address]:
        """Who writes there, and the place as that workspace itself calls it. `new`: nothing stands there yet, so the
        address can still be made whole: ChannelMoved. Raises SendFailed where nobody can write.
        """
        team, own = parted(address.channel)
        try:
            desk = await self._of_place(team, address)
        except Unavailable as error:
            raise SendFailed(error.message) from None
        if new and desk.prefix + own != address.channel:
            raise ChannelMoved(desk.prefix + own)
        return desk, Address("slack", own)

    async def _of_place(self, team: str, address: Address) -> Desk:
        if not team and self.home is not None:
            return self.home
        if self.home is not None:
            await self.home.messenger.workspace()  # or it is not known whether this is the default workspace
        if team:
            if (found := self.of_team(team)) is None:
                await self.refresh()  # nothing is given up for good by what may have changed
                found = self.of_team(team)
            if found is None:
                raise SendFailed(await self._why_not(team), permanent=True)
            return found
        if len(self._installed) != 1:
            await self.refresh()
        if len(self._installed) == 1:
            return next(iter(self._installed.values()))
        if not self._installed:
            raise SendFailed(f"the app is installed in no workspace; install it at {self._address}", permanent=True)
        raise SendFailed(
            f"the app is installed in several workspaces, and {address} does not say which; write slack:T…/"
            f"{address.channel} with one of {', '.join(sorted(self._installed))}",
            permanent=True,
        )

    async def _why_not(self, team: str) -> str:
        known = await self._installs.of(team) if self._installs is not None else None
        if known is not None and known.revoked_at is not None:
            return self._removed(known)
        if known is not None:
            return "the token of this workspace was sealed under a key that ASSENT_SECRET_KEY no longer holds"
        if self._installs is None:
            return f"the bot is not in the workspace {team}; write the address without it, or connect that workspace"
        return f"the app is not installed in the workspace {team}; install it at {self._address}"
