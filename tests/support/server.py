"""The real application under the real server, in this process, on a real database: what integration tests talk to."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from adapters.webhook import WebhookSender
from adapters.webhook.guarded import GuardedHttp
from api.app import build_app
from api.doors import DOORS
from api.services import Services
from bot.flows import load_flows
from bot.policies import load_policies
from bot.rate_limits import rate_limits
from bot.sandbox.server import QuietServer
from bot.sandbox.trust import trust
from bot.settings import read_settings
from core.access import Keys, Scope
from core.codes import CodeDesk
from core.destinations import Destinations
from core.directory import Directories
from core.dispatch import Dispatcher
from core.events import Events
from core.flow_runs import Flows
from core.flows import Flow
from core.gate import Gate
from core.grants import Grants
from core.groups import Groups
from core.guarded import GuardedTasks
from core.hub import Hub
from core.inbox import Inbox
from core.keys import KeyDesk
from core.ledger import Database, open_database
from core.model import Principal
from core.people import People
from core.ports import MiniAppSignIn, OpenIdSignIn
from core.pushes import Pushes
from core.records import Records
from core.reminders import Reminders
from core.review_tasks import ReviewTasks
from core.reviewing import Reviewing
from core.run_views import RunViews
from core.run_worker import RunWorker
from core.runs import Runs
from core.saved import SavedAnswers
from core.sealing import KeyRing
from core.seals import Sealer
from core.sessions import Sessions
from core.signing import jwks
from core.sources import Sources
from core.tenants import Tenants
from core.verifiers import Verifiers
from core.views import Views
from tests.support import schemas

SECRET = "a secret for the tests only"
TAPPED = {
    "submitted_via": "slack_block_action",
    "submitted_by": {"platform": "slack", "platform_user_id": "U0REVIEWER"},
}


@dataclass
class Clock:
    """Moves the database's clock, in milliseconds."""

    offset: int = 0

    def forward(self, *, seconds: float = 0, hours: float = 0) -> None:
        self.offset += int(seconds * 1000 + hours * 3_600_000)


@dataclass
class Client:
    """Somebody with an API key (or none), over HTTP. Every answer is held against the public schemas.

    `page` is the browser of whoever was sent the review link: it brings no key.
    """

    http: httpx.AsyncClient
    page: httpx.AsyncClient
    key: str
    principal: Principal | None

    async def open(self, headers: dict[str, str] | None = None, /, **fields: Any) -> httpx.Response:
        """Post a confirmation, or what `fields` say."""
        body = {"type": "confirmation", "prompt": "Send the newsletter to 4,200 readers?"} | fields
        return await self.http.post("/api/hitl/cases", json=body, headers=headers or {})

    async def case(self, **fields: Any) -> dict[str, Any]:
        """The `hitl` object of a new case."""
        response = await self.open(**fields)
        assert 202 == response.status_code, response.text
        found: dict[str, Any] = response.json()["hitl"]
        return found

    async def poll(self, hitl: dict[str, Any], **headers: str) -> httpx.Response:
        return await self.http.get(hitl["poll_url"], headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def status(self, hitl: dict[str, Any]) -> str:
        found = (await self.poll(hitl)).json()["status"]
        return str(found)

    async def tap(self, hitl: dict[str, Any], action: str, /, **fields: Any) -> httpx.Response:
        """Answer inline, as the agent's messenger does."""
        body = {"action": action, **TAPPED} | fields
        return await self.http.post(
            hitl["submit_url"], json=body, headers={"Authorization": f"Bearer {hitl['submit_token']}"}
        )

    async def submit(
        self, hitl: dict[str, Any], action: str, data: dict[str, Any] | None = None, **fields: Any
    ) -> httpx.Response:
        """Answer on the review page, as its script does."""
        body = {"token": review_token(hitl), "result": {"action": action, "data": data or {}}} | fields
        return await self.page.post(leaf(hitl, "respond"), json=body)


@dataclass
class Server:
    url: str
    services: Services
    database: Database
    clock: Clock
    app: Any
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    async def client(self, scope: Scope = "agent", tenant: str | None = None) -> Client:
        """Somebody with a new key of that scope, of the first tenant unless another is named."""
        key, principal = await self.services.keys.create(scope, tenant)
        return self._client(key, principal)

    def nobody(self) -> Client:
        """Somebody without a key."""
        return self._client("", None)

    def holder(self, key: str, principal: Principal) -> Client:
        """Whoever holds a key that was made elsewhere."""
        return self._client(key, principal)

    def _client(self, key: str, principal: Principal | None) -> Client:
        authorized = {"Authorization": f"Bearer {key}"} if key else {}
        return Client(self._http(authorized), self._http({}), key, principal)

    def _http(self, headers: dict[str, str]) -> httpx.AsyncClient:
        http = httpx.AsyncClient(
            base_url=self.url,
            headers=headers,
            event_hooks={"response": [_check]},
            timeout=35,
            trust_env=False,
            verify=trust(),
        )
        self.clients.append(http)
        return http


async def _check(response: httpx.Response) -> None:
    if response.headers.get("content-type") == "application/json":
        await response.aread()
        schemas.check(response)


async def let_in(ask: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The answer of whoever comes again when told so: on a busy machine a few of many at once are sent away (503)."""
    answer = await ask()
    while answer.status_code == 503:
        await asyncio.sleep(float(answer.headers["Retry-After"]))
        answer = await ask()
    return answer


def leaf(hitl: dict[str, Any], name: str) -> str:
    """The address of one of the case's routes: status, respond, opened, progress, events, cancel."""
    return f"{hitl['poll_url'].removesuffix('/status')}/{name}"


def review_token(hitl: dict[str, Any]) -> str:
    token: str = hitl["review_url"].partition("?token=")[2]
    return token


def listening() -> socket.socket:
    """A listening socket on a free port. With its protocol named, asyncio sets TCP_NODELAY on its connections; without,
    every answer waits 40 ms for the client's delayed ACK.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    return listener


@asynccontextmanager
async def running(
    database_url: str,
    *,
    public_url: str | None = None,
    spec_version: str = "0.6",
    beating: Callable[[], dict[str, bool]] = dict,
    clock_role: bool = True,
    flows_dir: str | None = None,
    verifiers: Verifiers | None = None,
    limits: str = "off",
    prefix: str = "",
    open_id: OpenIdSignIn | None = None,
    mini_app: MiniAppSignIn | None = None,
) -> AsyncIterator[Server]:
    """A server, with the clock's work (deadlines, seals) beside it unless told otherwise. `public_url`: what links
    begin with. `verifiers`: whose evidence is believed. `limits`: as RATE_LIMITS. `prefix`: where it is mounted in
    another application.
    """
    clock, hub, ring = Clock(), Hub(), KeyRing([SECRET])
    database = open_database(database_url, clock_offset=lambda: clock.offset)
    sender = WebhookSender(GuardedHttp(Destinations(development=True)), 5.0)
    directories = Directories(database)
    gate = Gate(database, hub, ring, verifiers, directories=directories)
    flows = load_flows(flows_dir) if flows_dir else _shipped_flows()
    with listening() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}{prefix}"
        services = Services(
            gate=gate,
            views=(views := Views(database, ring, public_url or url)),
            keys=(keys := Keys(database, ring, hub)),
            key_desk=KeyDesk(database, ring, keys),
            tenants=Tenants(database, ring, keys),
            sources=(sources := Sources(database, ring, hub)),
            pushes=Pushes(database, ring, hub, sender),
            events=Events(database, hub, ring),
            hub=hub,
            saved=SavedAnswers(database, ring),
            flows=Flows(database, gate, views, hub, ring, flows, public_url or url),
            tasks=ReviewTasks(database, gate, hub),
            guarded=GuardedTasks(
                database, gate, views, keys, sources, ring, hub, policies := load_policies(None), public_url or url
            ),
            policies=policies,
            grants=Grants(database, gate),
            people=(people := People(database, codes := CodeDesk(database))),
            codes=codes,
            sessions=Sessions(database, codes, people),
            groups=Groups(database),
            directories=directories,
            inbox=(inbox := Inbox(database, directories, ring, public_url or url)),
            reviewing=Reviewing(database, directories),
            records=Records(database, inbox),
            runs=Runs(database, gate, hub),
            run_views=RunViews(database, hub),
            open_id=open_id,
            mini_app=mini_app,
            public_url=public_url or url,
            spec_version=spec_version,
            jwks=jwks(ring),
            limits=rate_limits(
                read_settings(database_url=database_url, rate_limits=limits), database, {door.name for door in DOORS}
            ),
        )
        app = build_app(services, beating=beating)
        await database.start(hub)
        outer = Starlette(routes=[Mount(prefix, app)]) if prefix else app
        server = QuietServer(
            uvicorn.Config(outer, http="httptools", ws="none", lifespan="on", log_config=None, access_log=False)
        )
        tasks = [asyncio.create_task(server.serve(sockets=[listener]))]
        if clock_role:
            tasks.append(asyncio.create_task(_again(hub, Sealer(database, hub, ring).seal)))
            tasks.append(asyncio.create_task(_again(hub, gate.expire_due)))
            tasks.append(asyncio.create_task(_again(hub, gate.settle_due)))
            tasks.append(asyncio.create_task(_again(hub, Dispatcher(database, hub).dispatch_due)))
            tasks.append(asyncio.create_task(_again(hub, RunWorker(database, gate, hub).work)))
            tasks.append(asyncio.create_task(_again(hub, Reminders(database, hub).remind_due)))
        found = Server(url, services, database, clock, app)
        try:
            await server.ready.wait()
            yield found
        finally:
            for client in found.clients:
                await client.aclose()
            app.state.streams.close()
            server.stop()
            await asyncio.wait(tasks[:1])
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await services.limits.close()
            await database.close()


@cache
def _shipped_flows() -> dict[str, Flow]:
    """Read once: reading YAML takes longer than all else that a server does when it starts."""
    return load_flows(None)


async def _again(hub: Hub, work: Callable[[], Awaitable[int]]) -> None:
    """Do a worker's round whenever there may be something to do, and ten times a second (tests move the clock)."""
    with hub.subscribe("seal", "runs") as woken:
        while True:
            while await work():
                pass
            await woken.wait(0.1)


async def until(condition: Callable[[], bool | Awaitable[bool]], seconds: float = 30) -> None:
    """Wait for a condition, at most so long."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.005)


@pytest.fixture(name="server")
async def server_fixture(database_url: str) -> AsyncIterator[Server]:
    """The application on each database in turn. A test module imports the fixtures of this one that it uses."""
    async with running(database_url) as found:
        yield found


@pytest.fixture(name="agent")
async def agent_fixture(server: Server) -> Client:
    """An agent of the first tenant."""
    return await server.client("agent")


class EventReader:
    """Reads an event stream frame by frame."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def frame(self, seconds: float = 10) -> dict[str, Any] | None:
        """The next frame: its `event`, `id` and `data`, or its `comment`; None when the stream has ended."""
        found: dict[str, Any] = {}
        async with asyncio.timeout(seconds):
            async for line in self._lines:
                if not line:
                    if found:
                        return found
                    continue
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                found[name or "comment"] = json.loads(value) if name == "data" else value
        return None

    async def rest(self, seconds: float = 10) -> list[dict[str, Any]]:
        """Every frame until the stream ends."""
        found = []
        while (frame := await self.frame(seconds)) is not None:
            found.append(frame)
        return found


@asynccontextmanager
async def event_stream(
    client: Client, hitl: dict[str, Any], last_event_id: str | None = None
) -> AsyncIterator[EventReader]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with client.http.stream("GET", hitl["events_url"], headers=headers) as response:
        yield EventReader(response)
