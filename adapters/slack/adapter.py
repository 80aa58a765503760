"""The Slack adapter put together: the port to Slack, the taps, and the way in that the settings choose."""

from __future__ import annotations

import asyncio

import structlog
from starlette.routing import BaseRoute, Route

from adapters.slack.commands import Commands
from adapters.slack.connect import HttpDoor, Listeners, SocketMode, bolt_app
from adapters.slack.directory import SlackDirectory
from adapters.slack.errands import Errands
from adapters.slack.lists import Lists
from adapters.slack.messenger import SlackMessenger
from adapters.slack.reasons import Reasons
from adapters.slack.recording import Recorder
from adapters.slack.settings import SlackSettings
from adapters.slack.taps import Taps
from core.cards import Cards
from core.chat import ChatServices
from core.hub import Hub
from core.ports import SendFailed
from core.taps import TapDesk

log = structlog.get_logger()

PATHS = ("/slack/interactions", "/slack/events")


class SlackAdapter:
    """`messenger` is the port; `routes` are the doors of HTTP mode, none in Socket Mode."""

    def __init__(self, settings: SlackSettings, cards: Cards, desk: TapDesk, hub: Hub, services: ChatServices) -> None:
        self.messenger = messenger = SlackMessenger(settings)
        directory = SlackDirectory(messenger)
        services.directories.add(directory)
        self._errands = errands = Errands()
        self._recorder = recorder = Recorder(messenger, desk, cards, hub)
        lists = Lists(messenger, directory, services)
        reasons = Reasons(messenger, recorder, lists, cards, errands, settings.bot_token)
        taps = Taps(messenger, recorder, reasons, lists, cards, errands)
        commands = Commands(messenger, directory, lists, services, errands)
        app = bolt_app(settings, Listeners(taps, reasons, commands))
        self._socket: SocketMode | None = None
        self.routes: list[BaseRoute] = []
        if settings.socket_mode:
            self._socket = SocketMode(app, errands, settings, messenger.client)
        elif settings.signing_secret is not None:
            door = HttpDoor(app, settings.signing_secret)
            self.routes = [Route(path, door.endpoint, methods=["POST"]) for path in PATHS]

    async def start(self) -> None:
        """Learn who we are before the first tap needs it. Raises SendFailed when Slack refuses a token for good; a
        Slack that cannot be reached now is asked again at the first tap.
        """
        await self.messenger.start()
        try:
            await self.messenger.workspace()
            await self.messenger.try_socket_mode()
        except SendFailed as failed:
            if failed.permanent:
                await self.messenger.close()
                raise
            log.warning("slack.not_reached", reason=failed.message)

    async def run(self) -> None:
        """Until cancelled: the socket in Socket Mode; over HTTP there is nothing to run."""
        if self._socket is not None:
            await self._socket.run()
        else:
            await asyncio.Event().wait()

    async def stop(self, seconds: float) -> None:
        """Let the taps under way finish and their answers go out, then close the connections."""
        await self._recorder.drain(seconds)
        await self._errands.drain(seconds)
        await self.messenger.close(seconds)
