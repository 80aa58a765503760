"""The same doors, however they are served: all in one process, split into processes by role, or mounted in somebody
else's application. Every route of the door table is asked the same things in all three, and answers the same.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from api.doors import DOORS, Entry, Page, all_doors
from bot.mounting import mountable
from bot.sandbox.server import QuietServer
from bot.settings import WrongSetting, read_settings
from core.access import Keys, Scope
from core.hub import Hub
from core.ledger import open_database
from core.sealing import KeyRing
from tests.integration.test_isolation import example
from tests.support.process import SECRET, serving
from tests.support.server import listening

PREFIX = "/gate"
TENANT = "0b9a4e0e-51d2-4c8e-9a67-0d6f6a1c2b11"
OTHERS = "slack,telegram,courier,clock"
LONG = re.compile(r"(?=[a-z_-]*[A-Z0-9])[A-Za-z0-9_-]{16,}")  # ids, tokens, hashes, keys
TIMES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\b1[78]\d{11}\b")
NUMBERS = re.compile(r"\d+")  # on pages: how long ago, how long yet
USED = re.compile(r'"last_used_at":"<time>"')  # noted now and then
COUNTDOWNS = re.compile(r"(?<=:)\d{4,}(?=[,}])")
WORKERS = re.compile(r',"worker:[a-z]+":true')  # each process has those of its roles
STREAM = "text/event-stream"
# Said by some servers' HTTP, not by the application.
OF_THE_SERVER = {"date", "server", "transfer-encoding", "connection"}
# What the documented examples would end for the rest of the walk.
BODIES: dict[str, dict[str, Any]] = {
    "/admin/tenants/{tenant_id}": {"name": "Acme", "suspended": False},
    "/api/runs": {"intentId": "", "queuePartitionKey": "default"},
}
VALUES = ("content-type", "cache-control", "allow", "www-authenticate", "retry-after", "location")

Way = Callable[[str], AbstractAsyncContextManager[str]]


@dataclass
class Served:
    """A deployment: its address with its prefix, and clients with and without keys."""

    url: str
    prefix: str
    clients: dict[str, httpx.AsyncClient]

    def __getitem__(self, name: str) -> httpx.AsyncClient:
        return self.clients[name]


@asynccontextmanager
async def clients(database_url: str, url: str) -> AsyncIterator[Served]:
    database = open_database(database_url, pool_size=2)
    await database.start(hub := Hub())
    keys = Keys(database, KeyRing([SECRET]), hub)
    found: dict[str, httpx.AsyncClient] = {}
    scopes: tuple[Scope, ...] = ("admin", "reviewer", "operator")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        for scope in scopes:
            raw, _ = await keys.create(scope, None if scope == "operator" else TENANT)
            found[scope] = _client(url, {"Authorization": f"Bearer {raw}"})
        found["nobody"] = _client(url, {})
        for client in found.values():
            await stack.enter_async_context(client)
        yield Served(url, httpx.URL(url).path.rstrip("/"), found)


def _client(url: str, headers: dict[str, str]) -> httpx.AsyncClient:
    headers = {"X-Request-ID": "walk", "X-Tenant-ID": TENANT, **headers}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False)


# --- the three ways ---


@asynccontextmanager
async def all_in_one(database_url: str) -> AsyncIterator[str]:
    async with serving(database_url) as server:
        yield server.url


@asynccontextmanager
async def split(database_url: str) -> AsyncIterator[str]:
    async with serving(database_url, "--roles", "api") as api, serving(database_url, "--roles", OTHERS) as others:
        async with httpx.AsyncClient(base_url=others.url, trust_env=False) as http:
            assert 404 == (await http.get("/docs")).status_code, "only the api role serves the doors"
        yield api.url


@asynccontextmanager
async def mounted(database_url: str) -> AsyncIterator[str]:
    """In an application that has a page of its own, under a path."""
    with listening() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = read_settings(
            database_url=database_url, assent_secret_key=SECRET, rate_limits="off", public_url=url + PREFIX
        )
        assent = mountable(settings)

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with assent.router.lifespan_context(assent):
                yield

        own = Route("/", lambda _: PlainTextResponse("another's own"))
        outer = Starlette(routes=[own, Mount(PREFIX, assent)], lifespan=lifespan)
        config = uvicorn.Config(outer, http="httptools", ws="none", lifespan="on", log_config=None, access_log=False)
        server = QuietServer(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.ready.wait()
            async with httpx.AsyncClient(trust_env=False) as http:
                assert "another's own" == (await http.get(url)).text
            yield url + PREFIX
        finally:
            server.stop()
            await task


# --- the walk ---


@dataclass(frozen=True)
class Told:
    """What an answer says, without what differs from one database to the next."""

    status: int
    headers: tuple[str, ...]
    values: tuple[str, ...]
    body: str


def told(answer: httpx.Response, text: str, served: Served) -> Told:
    names = sorted({name.lower() for name in answer.headers} - OF_THE_SERVER)
    values = [f"{name}: {masked(answer.headers[name], served)}" for name in VALUES if name in answer.headers]
    html = "text/html" in answer.headers.get("content-type", "")
    body = masked(text, served)
    return Told(answer.status_code, tuple(names), tuple(values), NUMBERS.sub("#", body) if html else body)


def masked(text: str, served: Served) -> str:
    text = re.sub(rf"http://(localhost|127\.0\.0\.1):\d+{served.prefix}", "<url>", text)
    if served.prefix:
        text = re.sub(rf'(?<=["\'( =;]){re.escape(served.prefix)}(?=/)|^{re.escape(served.prefix)}(?=/)', "", text)
    for pattern, mask in (
        (WORKERS, ""),
        (LONG, "<id>"),
        (TIMES, "<time>"),
        (COUNTDOWNS, "#"),
        (USED, '"last_used_at":null'),
    ):
        text = pattern.sub(mask, text)
    return text


def routes() -> Iterator[Entry | Page]:
    for door in all_doors(dict, ""):
        yield from door.entries
        yield from door.pages


async def prepared(served: Served) -> dict[str, str]:
    """One of everything that a path can name."""
    admin = served["admin"]

    async def post(path: str, body: dict[str, Any], **headers: str) -> dict[str, Any]:
        answer = await admin.post(path, json=body, headers=headers)
        assert answer.is_success, (path, answer.text)
        found: dict[str, Any] = answer.json()
        return found

    entries = [entry for door in DOORS for entry in door.entries]
    bodies = {entry.path: example(entry) for entry in entries if entry.method == "POST"}
    source = (await post("/sources", {"name": "Pulled"}))["id"]
    await admin.patch("/admin/tenant", json={"default_source_id": source})
    task = await post("/tasks", bodies["/tasks"], **{"Idempotency-Key": "walk-task"})
    grant = await post("/grants", bodies["/grants"], **{"Idempotency-Key": "walk-grant"})
    hitl = (await post("/api/hitl/cases", {**bodies["/api/hitl/cases"], "source_id": source}))["hitl"]
    review = await post("/review-tasks", {**bodies["/review-tasks"], "source_id": source})
    decided = (await post("/api/hitl/cases", {"type": "confirmation", "prompt": "Go?", "source_id": source}))["hitl"]
    token = decided["review_url"].partition("?token=")[2]
    done = {"token": token, "result": {"action": "confirm", "data": {}}}
    given = await served["nobody"].post(f"/api/hitl/cases/{decided['case_id']}/respond", json=done)
    assert given.is_success, given.text
    events = (await admin.get(f"/sources/{source}/decision-events?wait=20")).json()["items"]
    assert events, "the clock's process has not sealed it"
    key = await post("/admin/keys", {"scope": "agent"})
    await admin.put("/admin/groups/finance", json={"members": ["telegram:4711"]})
    intent = await post("/api/intents", {"goal": "Give search one replica more"})
    run = await post("/api/runs", {"intentId": intent["intentId"], "queuePartitionKey": "default"})
    waits = (await admin.get(f"/api/runs/{run['workflowID']}?timeoutS=20")).json()
    assert "waiting_input" == waits["status"], "no worker has taken the run"
    return {
        "source_id": source, "case_id": hitl["case_id"], "event_id": events[0]["event_id"], "delivery_id": "dlv_none",
        "task_id": task["task_id"], "grant_id": grant["grant_id"], "key_id": key["key_id"], "tenant_id": TENANT,
        "workflow_id": run["workflowID"], "gate_key": "plan-approval", "flow": "cv-simple", "review": review["id"],
        "group_name": "finance", "lang": "en", "name": "review.css", "version": "none", "intent_id": intent["intentId"],
        "page": hitl["review_url"].removeprefix(served.url),
    }  # fmt: skip


async def answers(served: Served) -> dict[str, Told]:
    """What every route says: to who may ask, to nobody, about what is not there, and to a body that is none."""
    owned = await prepared(served)
    found: dict[str, Told] = {}

    async def note(name: str, client: str, method: str, path: str, **sent: Any) -> None:
        async with served[client].stream(method, path, **sent) as answer:
            streamed = STREAM in answer.headers.get("content-type", "")
            text = await anext(answer.aiter_lines()) if streamed else (await answer.aread()).decode()
            found[name] = told(answer, text, served)

    for entry in routes():
        name = f"{entry.method} {entry.path}"
        own = owned | ({"case_id": owned["review"]} if entry.path.startswith("/review-tasks") else {})
        path = entry.path.format_map(own)
        unknown = entry.path.format_map({key: f"{value[:-5]}00000" for key, value in owned.items()})
        key = "operator" if entry.scopes == ("operator",) else "admin"
        headers = {"Idempotency-Key": LONG.sub("x", f"walk-{name}".replace("{", "").replace("}", "").replace(" ", "-"))}
        given = _body(entry, owned)
        sent: dict[str, Any] = {"headers": headers} | ({} if given is None else {"json": given})
        await note(name, key, entry.method, path, **sent)
        await note(f"{name} from nobody", "nobody", entry.method, path, **sent)
        if placeholders_of(entry):
            await note(f"{name} of nothing", key, entry.method, unknown, **sent)
        if entry.method != "GET":
            await note(f"{name} without JSON", key, entry.method, path, headers=headers, content=b'{"')
    for prefix in [prefix for door in DOORS for prefix in door.prefixes]:
        await note(f"below {prefix}", "admin", "GET", f"{prefix}/no/such/place/at/all")
        await note(f"another method at {prefix}", "admin", "DELETE", prefix)
    page, _, token = owned["page"].partition("?token=")
    await note("the review page", "nobody", "GET", owned["page"])
    await note("the review page's state", "nobody", "POST", f"{page}/state", json={"token": token})
    await note("the page's own form", "nobody", "POST", page, data={"token": token, "look": "changes"})
    await note("an answer", "nobody", "POST", page, data={"token": token, "action": "approve"})
    await note("an unknown page", "nobody", "GET", "/no/such/page")
    await note("HEAD", "nobody", "HEAD", "/healthz")
    return found


def placeholders_of(entry: Entry | Page) -> list[str]:
    return re.findall(r"{(\w+)}", entry.path)


def _body(entry: Entry | Page, owned: dict[str, str]) -> dict[str, Any] | None:
    if entry.method == "GET" or isinstance(entry, Page):
        return None
    own = {"intentId": "intent_id", "workflowId": "workflow_id", "source_id": "source_id"}
    body = example(entry) | BODIES.get(entry.path, {})
    return body | {name: owned[key] for name, key in own.items() if name in body}


@pytest.fixture
def urls(new_postgres_urls: Callable[[], str]) -> list[str]:
    return [new_postgres_urls() for _ in range(3)]


async def test_every_route_answers_the_same_all_in_one_split_and_mounted(urls: list[str]) -> None:
    async def walked(way: Way, database_url: str) -> dict[str, Told]:
        async with way(database_url) as url, clients(database_url, url) as served:
            return await answers(served)

    ways: tuple[Way, ...] = (all_in_one, split, mounted)
    whole, *others = await asyncio.gather(*map(walked, ways, urls))
    asked = [f"{entry.method} {entry.path}" for entry in routes()]
    good = [name for name in asked if whole[name].status < 400]
    assert len(good) > 0.6 * len(asked), f"too few have what they were asked for: {sorted(set(asked) - set(good))}"
    for way, other in zip(ways[1:], others, strict=True):
        assert whole.keys() == other.keys()
        unlike = [f"{name}:\n{whole[name]}\n{other[name]}" for name in whole if whole[name] != other[name]]
        assert not unlike, "\n\n".join([f"{way} answers otherwise", *unlike])


def test_an_application_is_not_mounted_without_its_address() -> None:
    with pytest.raises(WrongSetting, match="PUBLIC_URL"):
        mountable(read_settings(database_url="sqlite:///assent.db", assent_secret_key=SECRET))
