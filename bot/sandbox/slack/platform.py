"""What all pretended workspaces share: the app, its Web API, its sockets, its consent pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from bot.sandbox.around import Around
from bot.sandbox.changes import Changes
from bot.sandbox.clock import Clock
from bot.sandbox.slack.app import SlackApp
from bot.sandbox.slack.delivery import Courier
from bot.sandbox.slack.oauth import OAuth
from bot.sandbox.slack.response_url import ResponseUrls
from bot.sandbox.slack.socket_mode import SocketMode
from bot.sandbox.slack.view_methods import ViewMethods
from bot.sandbox.slack.web_api import WebApi
from bot.sandbox.slack.world import Workspace


class SlackPlatform:
    def __init__(self, app: SlackApp, around: Around, clock: Clock, changes: Changes) -> None:
        self.app = app
        self.around = around
        self.sockets = SocketMode(app, changes, around.address)
        self.courier = Courier(app, self.sockets, clock)
        self.oauth = OAuth(app, clock, around.address)
        self._response_urls = ResponseUrls(app, around)
        self._web_api = WebApi(app, around, self.oauth, self.sockets.open)

    def add(self, world: Workspace) -> ViewMethods:
        """Serve this workspace too."""
        self.oauth.workspaces.append(world)
        self._response_urls.workspaces.append(world)
        return self._web_api.add(world)

    def routes(self) -> list[BaseRoute]:
        async def api(request: Request) -> Response:
            return await self._web_api.endpoint(request)

        async def actions(request: Request) -> Response:
            return await self._response_urls.endpoint(request)

        return [
            Route("/slack/api/{method}", api, methods=["GET", "POST"]),
            Route("/slack/actions/{token}", actions, methods=["POST"]),
            WebSocketRoute("/slack/socket", self.sockets.endpoint),
            *self.oauth.routes(),
        ]
