"""Which workspaces are connected, and what asks Slack in each: the default one, whose token is in the settings, and
those where the app was installed, with what was granted there.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Generic, TypeVar

import structlog

from adapters.slack.calls import SlackCalls, Workspace
from adapters.slack.directory import SlackDirectory
from adapters.slack.errands import Errands
from adapters.slack.payloads import parted
from adapters.slack.settings import SlackSettings
from core.errors import Unavailable
from core.installations import Installation, Installations

log = structlog.get_logger()

REFRESH_SECONDS = 10.0  # how late a process learns of what another one was told


class Branch:
    """What asks Slack in one workspace. `installation`: how the app came there; None for the default workspace."""

    def __init__(self, settings: SlackSettings, calls: SlackCalls, installation: Installation | None = None) -> None:
        self.prefix = settings.prefix
        self.installation = installation
        self.calls = calls
        self.calls.renews = installation is not None and installation.lasts_ms is not None
        self.directory = SlackDirectory(calls)

    def own(self, names: Iterable[str]) -> list[str]:
        """Those that are of this workspace, as it writes them itself."""
        here = self.prefix.rstrip("/")
        return [name.removeprefix(self.prefix) for name in names if parted(name)[0] == here]

    def is_of(self, installation: Installation) -> bool:
        """Whether this is still the same installation, maybe with another token."""
        return self.installation is not None and self.installation.installed_at == installation.installed_at

    def renew(self, installation: Installation) -> None:
        """Go on with the token that may have taken the place of the last one; what is under way still goes by that."""
        if self.installation is None or self.installation.granted != installation.granted:
            self.calls.client.token = token_of(installation)
            self.calls.renews = installation.lasts_ms is not None
        self.installation = installation


B = TypeVar("B", bound=Branch)
Build = Callable[[SlackSettings, Installation | None], B]


class Branches(Generic[B]):
    """`installs`: where more workspaces are found; None where there is but the default one. `build`: makes a branch."""

    def __init__(
        self, settings: SlackSettings, installs: Installations | None, errands: Errands, build: Build[B]
    ) -> None:
        self._prefixes: dict[str, str] = {}
        self._settings = replace(settings, prefixes=self._prefixes)
        self._installs = installs
        self._errands = errands
        self._build = build
        self._installed: dict[str, B] = {}
        self._refreshing = asyncio.Lock()
        self._refreshed_at = float("-inf")
        self.home = build(self._settings, None) if settings.bot_token else None

    @property
    def all(self) -> tuple[B, ...]:
        return (*((self.home,) if self.home else ()), *self._installed.values())

    async def close(self, seconds: float) -> None:
        await asyncio.gather(*(branch.calls.close(seconds) for branch in self.all))

    async def refresh(self) -> None:
        """Have a branch for every workspace where the app is installed. Raises Unavailable."""
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
                if here is not None and here.is_of(installation):
                    here.renew(installation)
                else:
                    await self._open(installation)
            self._refreshed_at = time.monotonic()

    async def of_id(self, team: str) -> B | None:
        """Whose ids are written with this workspace (empty: with none). Raises Unavailable."""
        if not team:
            return self.home
        if team not in self._installed or time.monotonic() - self._refreshed_at > 2 * REFRESH_SECONDS:
            await self.refresh()
        return self._installed.get(team)

    def of_team(self, team: str) -> B | None:
        """Whose workspace this is; None where the app is not installed, by what is known here."""
        if team == self._home_team():
            return self.home
        return self._installed.get(team)

    def _home_team(self) -> str | None:
        known = self.home.calls.known if self.home is not None else None
        return known.team if known is not None else None

    async def _open(self, installation: Installation) -> None:
        team, prefix = installation.team_id, f"{installation.team_id}/"
        settings = replace(
            self._settings,
            bot_token=token_of(installation),
            app_token=None,
            prefix=prefix,
            removed=self._removed(installation),
            expired=f"the token of the workspace {_named(installation)} has run out and could not be renewed; install "
            f"the app there again at {self._address}",
        )
        branch = self._build(settings, installation)
        branch.calls.known = Workspace(
            team=team,
            team_name=installation.team_name,
            enterprise=installation.enterprise_id or "",
            bot_user=installation.bot_user,
            bot_name="assent",
            prefix=prefix,
            prefixes=self._prefixes,
        )
        await branch.calls.start()
        self._leave(team)
        self._installed[team] = branch
        self._prefixes[team] = prefix
        log.info("slack.workspace_connected", team=team, name=installation.team_name)

    def _leave(self, team: str) -> None:
        self._prefixes.pop(team, None)
        if (branch := self._installed.pop(team, None)) is not None:
            self._errands.run(branch.calls.close())

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except Unavailable as error:
            log.warning("slack.installations_not_read", reason=error.message)

    def _removed(self, installation: Installation) -> str:
        return f"the app was removed from the workspace {_named(installation)}; install it again at {self._address}"

    @property
    def _address(self) -> str:
        return self._settings.install.address if self._settings.install else ""


def _named(installation: Installation) -> str:
    return f"{installation.team_name} ({installation.team_id})"


def token_of(installation: Installation) -> str:
    """The bot's, in that workspace."""
    return str(json.loads(installation.granted)["bot_token"])
