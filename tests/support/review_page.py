"""A gate with real services and a review page on it, for the tests of the page: cases to open, and their links."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette

from api.app import build_app
from api.services import Services
from bot.sandbox.server import QuietServer
from core.access import Keys
from core.codes import CodeDesk
from core.directory import Directories
from core.events import Events
from core.flow_runs import Flows
from core.gate import Gate
from core.grants import Grants
from core.groups import Groups
from core.guard.holder import Policies
from core.guard.rules import PolicySet
from core.guarded import GuardedTasks
from core.hub import Hub
from core.inbox import Inbox
from core.keys import KeyDesk
from core.ledger import Database, open_database
from core.model import INLINE_ACTIONS, Case, Draft, Identity, Opened, Origin, Principal, actions_of
from core.people import People
from core.ports import Fetcher
from core.pushes import Pushes
from core.records import Records
from core.replies import Reply
from core.review_tasks import ReviewTasks
from core.reviewing import Reviewing
from core.run_views import RunViews
from core.runs import Runs
from core.saved import SavedAnswers
from core.sealing import KeyRing
from core.sessions import Sessions
from core.sources import Sources
from core.tenants import Tenants
from core.views import Views
from tests.support.server import listening

SECRET = "only for tests, never used again"
PUBLIC_URL = "http://localhost"


@dataclass
class Clock:
    """Moves the database's clock, in milliseconds."""

    offset: int = 0


@dataclass
class Desk:
    """An agent's desk: it opens cases and knows their links."""

    services: Services
    principal: Principal
    clock: Clock
    app: Starlette
    database: Database
    url: str

    async def ask(self, case_type: str = "approval", prompt: str = "Publish the release notes?", **more: Any) -> Opened:
        """Open a case; `more` are fields of the draft."""
        values: dict[str, Any] = {
            "actions": actions_of(case_type),
            "inline_actions": INLINE_ACTIONS.get(case_type, ()),
        }
        if "blocks" in more:
            more["blocks"] = tuple(more["blocks"])
        opened = await self.services.gate.open(self.principal, Draft(case_type, prompt, **(values | more)))
        assert isinstance(opened, Opened)
        return opened

    async def case(self, opened: Opened) -> Case:
        return await self.services.views.case(self.principal.tenant_id, opened.case.case_id)

    async def tap(self, opened: Opened, action: str, *, reason: str | None = None) -> None:
        """Answer elsewhere: through the agent's own messenger."""
        assert opened.submit_token is not None
        who = Identity("slack", "U0REVIEW1", display_name="Reviewer One", verified=True)
        data = {"reason": reason} if reason else {}
        await self.services.gate.respond(
            Reply(
                opened.case.case_id, "inline", opened.submit_token, action, data, who, "slack_block_action",
                Origin.WEBHOOK, in_channel=True,
            )
        )  # fmt: skip

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that the SQLite file holds."""
        with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall()
            return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for (name,) in tables}

    def alter(self, statement: str) -> None:
        """Change the SQLite file behind the server's back."""
        with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"))) as connection:
            connection.execute(statement)
            connection.commit()


@asynccontextmanager
async def desk(
    database_url: str, public_url: str = PUBLIC_URL, fetcher: Fetcher | None = None, *, language: str = "en"
) -> AsyncIterator[Desk]:
    clock = Clock()
    database = open_database(database_url, clock_offset=lambda: clock.offset)
    hub, keys = Hub(), KeyRing([SECRET])
    directories = Directories(database)
    await database.start(hub)
    try:
        services = Services(
            gate=(gate := Gate(database, hub, keys, directories=directories, language=language)),
            views=(views := Views(database, keys)),
            keys=(access := Keys(database, keys, hub)),
            key_desk=KeyDesk(database, keys, access),
            tenants=Tenants(database, keys, access),
            sources=(sources := Sources(database, keys, hub)),
            pushes=Pushes(database, keys, hub),
            events=Events(database, hub, keys),
            hub=hub,
            saved=SavedAnswers(database, keys),
            flows=Flows(database, gate, views, hub, keys, {}, public_url),
            tasks=ReviewTasks(database, gate, hub),
            guarded=GuardedTasks(
                database, gate, views, access, sources, keys, hub, policies := Policies(PolicySet()), public_url
            ),
            policies=policies,
            grants=Grants(database, gate),
            groups=Groups(database),
            people=(people := People(database, codes := CodeDesk(database))),
            codes=codes,
            sessions=Sessions(database, codes, people),
            directories=directories,
            inbox=(inbox := Inbox(database, directories, keys, public_url)),
            reviewing=Reviewing(database, directories),
            records=Records(database, inbox),
            runs=Runs(database, gate, hub),
            run_views=RunViews(database, hub),
            public_url=public_url,
            fetcher=fetcher,
        )
        _, principal = await services.keys.create("agent", None)
        yield Desk(services, principal, clock, build_app(services), database, database_url)
    finally:
        await database.close()


@asynccontextmanager
async def served(database_url: str, fetcher: Fetcher | None = None) -> AsyncIterator[Desk]:
    """The same behind a real server on a free port; `services.public_url` says where."""
    with listening() as listener:
        async with desk(database_url, f"http://127.0.0.1:{listener.getsockname()[1]}", fetcher) as found:
            config = uvicorn.Config(found.app, access_log=False, log_config=None, lifespan="off", ws="none")
            server = QuietServer(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await server.ready.wait()
                yield found
            finally:
                found.app.state.streams.close()
                server.stop()
                await serving


def path_of(opened: Opened, lang: str = "en") -> str:
    """The review page's path, without the token."""
    return f"/{lang}/hitl/review/{opened.case.case_id}"


def link_of(opened: Opened, lang: str = "en") -> str:
    return f"{path_of(opened, lang)}?token={opened.review_token}"


def form_of(opened: Opened, action: str, **fields: Any) -> dict[str, Any]:
    """What the page's form posts."""
    fields = {name.replace("__", "."): value for name, value in fields.items()}
    return {
        "token": opened.review_token,
        "content_digest": opened.case.content_digest,
        "revision": "0",
        "action": action,
    } | fields


def browser(found: Desk) -> httpx.AsyncClient:
    """A client that posts as a browser does from the page itself."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=found.app), base_url=PUBLIC_URL, headers={"Sec-Fetch-Site": "same-origin"}
    )


def words_of(html: str) -> str:
    """What a page says: its text without markup, white space as one space."""
    return " ".join(unescape(re.sub(r"<script.*?</script>|<[^>]+>", " ", html, flags=re.DOTALL)).split())
