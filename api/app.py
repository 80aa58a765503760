"""The ASGI application: the doors' routes, request ids, and errors in each door's own words. No business."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from api.auth import check_reach, principal_of
from api.call import Call
from api.doors import Door, Entry, all_doors, health_door, vocabulary_at
from api.errors import error_answer, from_framework
from api.headers import check_headers, check_tenant
from api.health import Beating
from api.http import ClientGone, header, route_path
from api.inbox.routes import routes as inbox_routes
from api.limits import limit_headers
from api.metrics import Scraped
from api.operators.routes import routes as operators_routes
from api.review.routes import routes as review_routes
from api.services import Services
from api.standing import Standing
from api.streams import RunStreams, Streams
from api.watched import watched
from core.errors import AssentError
from core.meters import NOBODY, Watch

log = structlog.get_logger()

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_OTHER_IDS = {
    "workflow_id": re.compile(r"[A-Za-z0-9:._-]{1,200}", re.ASCII),
    "gate_key": re.compile(r"[^\x00]*"),  # the door says what is wrong with one
}
NO_ID = "-"  # stands for what cannot be an id (a NUL would upset PostgreSQL), and is found as little as any unknown one
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)


def build_app(
    services: Services,
    *,
    doors: bool = True,
    extra_routes: Sequence[BaseRoute] = (),
    beating: Beating = dict,
    lifespan: Lifespan[Starlette] | None = None,
    scraped: Scraped | None = None,
    watch: Watch = NOBODY,
) -> Starlette:
    """The application. `doors` False leaves only health (and `extra_routes`): a process without the api role.
    `scraped`: what `GET /metrics` answers.

    A server that stops calls `app.state.streams.close()` first, or waits for its event streams in vain.
    """
    standing = Standing(services.keys, services.hub)
    streams = Streams(services.views, services.hub, standing, RunStreams(services.run_views, services.hub))
    mounted = [route.path for route in extra_routes if isinstance(route, Route)]
    health = health_door(beating, scraped)
    served = all_doors(beating, services.public_url, mounted, scraped) if doors else (health,)
    routes: list[BaseRoute] = [route for door in served for route in _routes(door, services, streams)]
    if doors:
        routes += review_routes(services) + inbox_routes(services, streams) + operators_routes(services)
    routes += extra_routes
    places: dict[str, str] = {}
    for door in served:
        places |= dict.fromkeys([entry.path for entry in door.entries], door.name)
        places |= dict.fromkeys([page.path for page in door.pages], door.name)
    app = _Application(routes, lifespan, places, watch)
    app.router.redirect_slashes = False
    app.state.streams = streams
    return app


class _Application(Starlette):
    """Starlette with our own middleware instead of its two."""

    def __init__(
        self, routes: Sequence[BaseRoute], lifespan: Lifespan[Starlette] | None, doors: Mapping[str, str], watch: Watch
    ) -> None:
        super().__init__(routes=routes, lifespan=lifespan)
        self._doors = doors
        self._watch = watch

    def build_middleware_stack(self) -> ASGIApp:
        return watched(_Edge(self.router), self._doors, self._watch)


class _Edge:
    """Around everything: a request id, and an answer for every error that comes before an answer has begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        bind_contextvars(request_id=request_id)
        began = False

        async def stamped(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                about = (b"x-request-id", request_id.encode())
                message["headers"] = [*message["headers"], about, *limit_headers(scope)]
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        except ClientGone:
            return
        except Exception as error:
            known = _known(error)
            if known is None:
                log.exception("request.failed", method=scope["method"], path=scope["path"])
                known = AssentError()
            if began:
                raise
            await error_answer(known, vocabulary_at(route_path(scope)), request_id)(scope, receive, stamped)


def _request_id(scope: Scope) -> str:
    given = header(scope, b"x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _known(error: Exception) -> AssentError | None:
    if isinstance(error, HTTPException):
        return from_framework(error)
    return error if isinstance(error, AssentError) else None


def _routes(door: Door, services: Services, streams: Streams) -> list[Route]:
    """One route per path, so that a wrong method is told all the right ones."""
    by_path: dict[str, dict[str, Entry]] = {}
    for entry in door.entries:
        by_path.setdefault(entry.path, {})[entry.method] = entry
    return [
        Route(path, _Path(door, entries, services, streams), methods=list(entries), name=f"{door.name}:{path}")
        for path, entries in by_path.items()
    ]


class _Path:
    """All methods of one path of one door."""

    def __init__(self, door: Door, entries: dict[str, Entry], services: Services, streams: Streams) -> None:
        self._door = door
        self._entries = entries | ({"HEAD": entries["GET"]} if "GET" in entries else {})
        self._services = services
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        entry = self._entries[scope["method"]]
        params: dict[str, str] = scope["path_params"]
        for name, value in params.items():
            if not _OTHER_IDS.get(name, _ID).fullmatch(value):
                params[name] = NO_ID
        if case_id := params.get("case_id") or params.get("task_id"):
            bind_contextvars(case_id=case_id)
        principal = None
        if entry.scopes:
            if self._door.strict_headers:
                check_headers(scope)
            principal = await principal_of(
                self._services,
                scope,
                entry.scopes,
                door=self._door.name,
                api_key_header=self._door.api_key_header,
                keyless=self._door.keyless,
            )
            if self._door.strict_headers:
                check_tenant(scope, principal)
            bind_contextvars(tenant_id=principal.tenant_id)
            await check_reach(self._services, principal, params)
        answer = await entry.handler(Call(self._services, self._streams, scope, receive, principal))
        await answer(scope, receive, send)
