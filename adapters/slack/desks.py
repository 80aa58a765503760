"""Who serves which workspace. Each has a desk of its own: the port with its token, and the listeners for what its
people do. The default workspace's token is in the settings; those of the others were granted when the app was
installed there.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace

import structlog

from adapters.slack.calls import Workspace
from adapters.slack.commands import Commands
from adapters.slack.directory import SlackDirectory
from adapters.slack.errands import Errands
from adapters.slack.lists import Lists
from adapters.slack.messenger import SlackMessenger
from adapters.slack.payloads import parted
from adapters.slack.reasons import Reasons
from adapters.slack.recording import Recorder
from adapters.slack.settings import SlackSettings
from adapters.slack.taps import Taps
from core.cards import Cards
from core.chat import ChatServices
from core.errors import Unavailable
from core.hub import Hub
from core.installations import Installation, Installations
from core.model import Address
from core.ports import ChannelMoved, SendFailed
from core.taps import TapDesk

log = structlog.get_logger()

REFRESH_SECONDS = 10.0  # how late a process learns of what another one was told
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


class Desk:
    """All that serves one workspace. `granted`: what its token came with; empty for that of the settings."""

    def __init__(self, settings: SlackSettings, gate: Gate, granted: str = "") -> None:
        self.prefix = settings.prefix
        self.granted = granted
        self.messenger = messenger = SlackMessenger(settings)
        self.directory = SlackDirectory(messenger)
        lists = Lists(messenger, self.directory, gate.services)
        recorder = Recorder(messenger, gate.taps, gate.cards, gate.hub)
        self.reasons = Reasons(messenger, recorder, lists, gate.cards, gate.errands, settings.bot_token)
        self.taps = Taps(messenger, recorder, self.reasons, lists, gate.cards, gate.errands)
        self.commands = Commands(messenger, self.directory, lists, gate.services, gate.errands)


class Desks:
    """`installs`: where more workspaces are found; None where there is but the default one."""

    def __init__(self, settings: SlackSettings, gate: Gate, installs: Installations | None) -> None:
        self._prefixes: dict[str, str] = {}
        self._settings = replace(settings, prefixes=self._prefixes)
        self._gate = gate
        self._installs = installs
        self._installed: dict[str, Desk] = {}
        self._strangers: dict[str, float] = {}  # workspaces without the app, and until when that is believed
        self._refreshing = asyncio.Lock()
        self._refreshed_at = float("-inf")
        self.home = Desk(self._settings, gate) if settings.bot_token else None

    @property
    def all(self) -> tuple[Desk, ...]:
        return (*((self.home,) if self.home else ()), *self._installed.values())

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

    async def run(self) -> None:
        """Follow what is installed and removed elsewhere, until cancelled."""
        while self._installs is not None:
            await asyncio.sleep(REFRESH_SECONDS)
            await self._try_refresh()
        await asyncio.Event().wait()

    async def close(self, seconds: float) -> None:
        await asyncio.gather(*(desk.messenger.close(seconds) for desk in self.all))

    async def refresh(self) -> None:
        """Have a desk for every workspace where the app is installed. Raises Unavailable."""
        if self._installs is None:
            return
        async with self._refreshing:
            rows = {one.team_id: one for one in await self._installs.all() if one.granted}
            if (home := self._home_team()) is not None:
                self._prefixes[home] = ""
                rows.pop(home, None)
            for team in [team for team in self._installed if team not in rows]:
                self._leave(team)
            for team, installation in rows.items():
                here = self._installed.get(team)
                if here is None or here.granted != installation.granted:
                    await self._open(installation)
            self._refreshed_at = time.monotonic()

    async def of_id(self, team: str) -> Desk | None:
        """Whose ids are written with this workspace (empty: with none). Raises Unavailable."""
        if not team:
            return self.home
        if team not in self._installed or time.monotonic() - self._refreshed_at > 2 * REFRESH_SECONDS:
            await self.refresh()
        return self._installed.get(team)

    def of_team(self, team: str) -> Desk | None:
        """Whose workspace this is; None where the app is not installed, by what is known here."""
        if team == self._home_team():
            return self.home
        return self._installed.get(team)

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

    def _removed(self, installation: Installation) -> str:
        where = f"{installation.team_name} ({installation.team_id})"
        return f"the app was removed from the workspace {where}; install it again at {self._address}"

    @property
    def _address(self) -> str:
        return self._settings.install.address if self._settings.install else ""

    def _home_team(self) -> str | None:
        known = self.home.messenger.known if self.home is not None else None
        return known.team if known is not None else None

    async def _open(self, installation: Installation) -> None:
        team, prefix = installation.team_id, f"{installation.team_id}/"
        token = str(json.loads(installation.granted)["bot_token"])
        settings = replace(
            self._settings, bot_token=token, app_token=None, prefix=prefix, removed=self._removed(installation)
        )
        desk = Desk(settings, self._gate, installation.granted)
        desk.messenger.known = Workspace(
            team=team,
            team_name=installation.team_name,
            enterprise=installation.enterprise_id or "",
            bot_user=installation.bot_user,
            bot_name="assent",
            prefix=prefix,
            prefixes=self._prefixes,
        )
        await desk.messenger.start()
        self._leave(team)
        self._installed[team] = desk
        self._prefixes[team] = prefix
        self._strangers.pop(team, None)
        log.info("slack.workspace_connected", team=team, name=installation.team_name)

    def _leave(self, team: str) -> None:
        self._prefixes.pop(team, None)
        if (desk := self._installed.pop(team, None)) is not None:
            self._gate.errands.run(desk.messenger.close())

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except Unavailable as error:
            log.warning("slack.installations_not_read", reason=error.message)
