"""The Slack adapter put together: the port to Slack, the taps, and the way in that the settings choose."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from adapters.slack.connect import HttpDoor, SocketMode, bolt_app
from adapters.slack.desks import Desks, Gate
from adapters.slack.directories import SlackDirectories
from adapters.slack.errands import Errands
from adapters.slack.hearing import Hearing
from adapters.slack.installing import InstallDoor
from adapters.slack.settings import SlackSettings
from adapters.slack.workspaces import SlackWorkspaces
from core.cards import Cards
from core.chat import ChatServices
from core.hub import Hub
from core.installations import Installations
from core.tap_desk import TapDesk

PATHS = ("/slack/interactions", "/slack/events")


class SlackAdapter:
    """`messenger` is the port, `directory` who is in which place; `routes` are the doors of HTTP mode, none in Socket
    Mode. `installs`: where workspaces beside the default one are kept; `settings.install` says who may connect them.
    """

    def __init__(
        self,
        settings: SlackSettings,
        cards: Cards,
        desk: TapDesk,
        hub: Hub,
        services: ChatServices,
        installs: Installations | None = None,
    ) -> None:
        self._cards = cards
        self._hub = hub
        self._taps = desk
        self._errands = errands = Errands()
        self._desks = desks = Desks(settings, Gate(cards, desk, hub, services, errands), installs)
        self.messenger = SlackWorkspaces(desks)
        self.directory = SlackDirectories(desks)
        services.directories.add(self.directory)
        app = bolt_app(settings, Hearing(desks, installs, errands))
        self._socket: SocketMode | None = None
        self.routes: list[BaseRoute] = []
        if settings.socket_mode and desks.home is not None:
            self._socket = SocketMode(app, errands, settings, desks.home.messenger.client)
        elif settings.signing_secret is not None:
            door = HttpDoor(app, settings.signing_secret)
            self.routes = [Route(path, door.endpoint, methods=["POST"]) for path in PATHS]
            if installs is not None and settings.install is not None and settings.install.who:
                self.routes += InstallDoor(settings.install, settings.base_url, installs, self._connected).routes

    async def start(self) -> None:
        """Learn who we are, and which workspaces are connected. Raises SendFailed when Slack refuses a token of the
        settings for good.
        """
        await self._desks.start()

    async def run(self) -> None:
        """Until cancelled: the socket in Socket Mode; over HTTP what is installed and removed elsewhere."""
        if self._socket is not None:
            await self._socket.run()
        else:
            await self._desks.run()

    async def stop(self, seconds: float) -> None:
        """Let the taps under way finish and their answers go out, then close the connections."""
        await self._taps.drain(seconds)
        await self._errands.drain(seconds)
        await self._desks.close(seconds)

    async def _connected(self) -> None:
        """A workspace was connected: cards that could not go there are tried again."""
        await self._desks.refresh()
        await self._cards.try_again("slack")
        self._hub.wake("cards")
