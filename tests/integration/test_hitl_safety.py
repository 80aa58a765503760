"""What holds for every route: secrets, errors in words, and that looking changes nothing. (Whose what is:
test_isolation.)
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import asyncpg
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from api.app import build_app
from api.doors import DOORS, Entry
from tests.support.dump import everything, row_counts
from tests.support.server import (  # noqa: F401 (fixtures)
    TAPPED,
    Client,
    Server,
    agent_fixture,
    event_stream,
    leaf,
    review_token,
    running,
    server_fixture,
)

BOTS = (
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "TelegramBot (like TwitterBot)",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "facebookexternalhit/1.1",
    "curl/8.5.0",
)


def _path(entry: Entry, hitl: dict[str, Any], source: str) -> str:
    return entry.path.replace("{case_id}", hitl["case_id"]).replace("{source_id}", source)


async def _source(admin: Client) -> str:
    found: str = (await admin.http.post("/sources", json={"name": "Newsletter"})).json()["id"]
    return found


@pytest.fixture
async def admin(server: Server) -> Client:
    return await server.client("admin")


# --- looking


def _lines(dump: str) -> list[str]:
    return sorted(line for line in dump.splitlines() if not line.startswith("polls"))


async def test_looking_changes_nothing_whoever_looks(agent: Client, admin: Client, database_url: str) -> None:
    hitl, source = await agent.case(), await _source(admin)
    before = await everything(database_url)
    paths = {_path(entry, hitl, source) for door in DOORS for entry in door.entries}
    paths |= {hitl["review_url"].partition("//")[2].partition("/")[2], "healthz", "readyz"}
    for agent_name in BOTS:
        headers = {"User-Agent": agent_name}
        for path in paths:
            for method in ("HEAD", "OPTIONS") if path.endswith("/events") else ("GET", "HEAD", "OPTIONS"):
                answer = await admin.http.request(method, f"/{path.lstrip('/')}", headers=headers)
                assert answer.status_code in (200, 400, 403, 404, 405, 429), (method, path, answer.text)
    async with event_stream(agent, hitl) as stream:
        await stream.frame()
    assert _lines(before) == _lines(await everything(database_url))


# --- secrets


async def test_no_token_and_no_key_is_in_the_database_or_the_logs(
    agent: Client, admin: Client, server: Server, database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with capture_logs(processors=[merge_contextvars]) as logs:
        source = await _source(admin)
        hitl = await agent.case(type="approval", source_id=source, notify=["slack:C0APPROVE", "telegram:-1001"])
        kept = await agent.open({"Idempotency-Key": "once"}, type="approval")
        made = await admin.http.post("/admin/keys", json={"scope": "agent"}, headers={"Idempotency-Key": "once"})
        rotating = f"/admin/keys/{made.json()['key_id']}/rotate"
        rotated = await admin.http.post(rotating, json={"grace_seconds": 60}, headers={"Idempotency-Key": "once"})
        shown = [await admin.http.get(path) for path in ("/admin/keys", rotating.removesuffix("/rotate"))]
        shown += [await admin.http.post(rotating), await admin.http.get(f"/admin/keys/{made.json()['key']}")]
        assert [200, 200, 409, 404] == [answer.status_code for answer in shown]
        await agent.page.get(hitl["review_url"])
        await agent.page.post(leaf(hitl, "opened"), json={"token": review_token(hitl)})
        await agent.tap(hitl, "edit")
        await agent.tap(hitl, "approve")
        await agent.submit(hitl, "reject")
        await _break(database_url)
        answers = [
            await agent.poll(hitl),
            await agent.tap(hitl, "approve"),
            await agent.submit(hitl, "approve"),
        ]
        answers.append(await agent.page.get(hitl["review_url"]))
        assert [500] * 4 == [answer.status_code for answer in answers]
    secrets = {
        review_token(hitl),
        hitl["submit_token"],
        review_token(kept.json()["hitl"]),
        kept.json()["hitl"]["submit_token"],
        agent.key,
        admin.key,
        made.json()["key"],
        rotated.json()["key"],
    }
    assert 8 == len(secrets)
    dump = await everything(database_url)
    captured = capfd.readouterr()
    for place in (dump, repr(logs), captured.out, captured.err, *(answer.text for answer in shown + answers)):
        assert [] == [secret for secret in secrets if secret in place]
    assert hitl["case_id"] in dump
    failed = [entry for entry in logs if entry["event"] == "request.failed"]
    assert [answer.headers["x-request-id"] for answer in answers] == [entry["request_id"] for entry in failed]
    assert {hitl["case_id"]} == {entry["case_id"] for entry in failed[:3]}
    assert agent.principal is not None
    assert agent.principal.tenant_id == failed[0]["tenant_id"]


async def _break(database_url: str) -> None:
    """Put something into the cases' rows that Assent never writes."""
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute("UPDATE cases SET terms = '{'")
        return
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE cases SET terms = '{'")
    await connection.close()


# --- errors


async def test_what_fails_on_our_side_says_so_and_how_to_find_it(
    agent: Client, admin: Client, database_url: str
) -> None:
    hitl = await agent.case()
    await _break(database_url)
    flat = await agent.poll(hitl)
    assert ({"error", "message", "request_id"}, "internal_error") == (set(flat.json()), flat.json()["error"])
    assert flat.headers["x-request-id"] == flat.json()["request_id"]
    assert "JSON" not in flat.text


async def test_a_database_that_is_away_is_503_and_ask_again(agent: Client, admin: Client, server: Server) -> None:
    hitl, source = await agent.case(), await _source(admin)
    await agent.http.get("/readyz")
    await server.database.close()
    answers = [
        await agent.open(),
        await agent.poll(hitl),
        await agent.tap(hitl, "confirm"),
        await agent.submit(hitl, "confirm"),
        await agent.http.post(leaf(hitl, "cancel")),
        await agent.http.get(hitl["events_url"]),
        await agent.page.post(leaf(hitl, "opened"), json={"token": review_token(hitl)}),
    ]
    assert [(503, "unavailable")] * 7 == [(answer.status_code, answer.json()["error"]) for answer in answers]
    pulled = await admin.http.get(f"/sources/{source}/decision-events")
    assert (503, "UNAVAILABLE") == (pulled.status_code, pulled.json()["error"]["code"])
    ready = await agent.http.get("/readyz")
    assert (503, False) == (ready.status_code, ready.json()["checks"]["database"])
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in (*answers, pulled, ready))
    assert 200 == (await agent.http.get("/healthz")).status_code
    await server.database.start(server.services.hub)
    assert 200 == (await agent.tap(hitl, "confirm")).status_code


async def test_unknown_addresses_and_methods_are_told_in_the_doors_own_words(agent: Client, admin: Client) -> None:
    hitl = await agent.case()
    for path in ("/nowhere", "/api/hitl/cases/", "/api/hitl", f"/api/hitl/cases/{hitl['case_id']}", "/sourcesX"):
        answer = await agent.http.get(path)
        assert (404, "not_found") == (answer.status_code, answer.json()["error"]), path
    unknown = await admin.http.get("/sources/src_x/nothing")
    assert (404, "NOT_FOUND") == (unknown.status_code, unknown.json()["error"]["code"])
    wrong = await agent.http.put("/api/hitl/cases", json={})
    assert (405, "method_not_allowed", "POST") == (wrong.status_code, wrong.json()["error"], wrong.headers["allow"])
    wrong = await admin.http.delete("/sources")
    assert (405, "METHOD_NOT_ALLOWED") == (wrong.status_code, wrong.json()["error"]["code"])
    assert {"GET", "HEAD", "POST"} == set(wrong.headers["allow"].split(", "))
    assert 405 == (await agent.http.options(hitl["poll_url"])).status_code


async def test_every_answer_carries_a_request_id(agent: Client) -> None:
    hitl = await agent.case()
    answers = [
        await agent.open(),
        await agent.poll(hitl),
        await agent.poll(hitl, if_none_match="*"),
        await agent.http.get("/nowhere"),
        await agent.page.get(hitl["poll_url"]),
        await agent.page.get(hitl["review_url"]),
        await agent.http.get("/healthz"),
        await agent.http.head(hitl["events_url"]),
        await agent.http.post("/api/hitl/cases", content=b"x" * 2_000_000),
    ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert len(answers) == len(set(ids))
    for given, taken in (("trace-1.2_A", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("<id>", False)):
        answer = await agent.poll(hitl, x_request_id=given)
        assert taken == (answer.headers["x-request-id"] == given)


# --- health, and what else one process serves


async def test_ready_means_that_every_worker_beats(sqlite_url: str) -> None:
    beats = {"deadlines": True, "seals": True}
    async with running(sqlite_url, beating=lambda: beats) as server:
        nobody = server.nobody().http
        ready = await nobody.get("/readyz")
        assert (200, {"database": True, "worker:deadlines": True, "worker:seals": True}) == (
            ready.status_code,
            ready.json()["checks"],
        )
        beats["seals"] = False
        stuck = await nobody.get("/readyz")
        assert (503, False) == (stuck.status_code, stuck.json()["checks"]["worker:seals"])


async def test_a_database_of_another_schema_is_not_ready(server: Server, database_url: str) -> None:
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute("UPDATE alembic_version SET version_num = 'older'")
    else:
        connection_ = await asyncpg.connect(database_url)
        await connection_.execute("UPDATE alembic_version SET version_num = 'older'")
        await connection_.close()
    assert 503 == (await server.nobody().http.get("/readyz")).status_code


async def test_a_process_without_the_api_role_serves_health_and_what_it_is_given(server: Server) -> None:
    started: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        started.append("up")
        yield
        started.append("down")

    async def hook(_request: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    app = build_app(
        server.services, doors=False, extra_routes=[Route("/hook", hook, methods=["POST"])], lifespan=lifespan
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://assent.example") as http,
    ):
        assert 200 == (await http.get("/healthz")).status_code
        hooked = await http.post("/hook")
        assert (200, "ok", True) == (hooked.status_code, hooked.text, "x-request-id" in hooked.headers)
        assert 404 == (await http.post("/api/hitl/cases", json={})).status_code
        assert 404 == (await http.get("/sources")).status_code
    assert ["up", "down"] == started


async def test_a_request_that_is_given_up_leaves_no_half_decision(agent: Client, database_url: str) -> None:
    cases = [await agent.case() for _ in range(20)]

    async def tap_and_hang_up(hitl: dict[str, Any], n: int) -> None:
        host, _, port = agent.http.base_url.netloc.decode().partition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        body = httpx.Request("POST", "http://x", json={"action": "confirm", **TAPPED}).read()
        writer.write(
            f"POST /api/hitl/cases/{hitl['case_id']}/respond HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {hitl['submit_token']}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        for _ in range(n):
            await asyncio.sleep(0)
        writer.transport.abort()

    await asyncio.gather(*(tap_and_hang_up(hitl, n) for n, hitl in enumerate(cases)))
    for hitl in cases:
        again = await agent.tap(hitl, "confirm")
        assert 200 == again.status_code
    counts = await row_counts(database_url)
    assert (20, 20) == (counts["human_interactions"], counts["decisions"])
