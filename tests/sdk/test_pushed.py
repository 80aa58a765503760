"""Webhooks and callbacks end to end: a whole server delivers, a web application of the program's own takes them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from assent import Confirmation, DecisionEvent
from bot.sandbox.server import QuietServer
from tests.sdk.support import Clients, direct
from tests.support.process import make_key, serving
from tests.support.server import until

SECRET = "a-secret-of-my-own"


@asynccontextmanager
async def web(app: Starlette) -> AsyncIterator[str]:
    """The application under a real server; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = QuietServer(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await server.ready.wait()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.stop()
            await running


async def answer(http: httpx.AsyncClient, url: str, case_id: str, token: str | None, action: str) -> None:
    by = {"platform": "slack", "platform_user_id": "U1"}
    found = await http.post(
        f"{url}/api/hitl/cases/{case_id}/respond",
        json={"action": action, "submitted_via": "slack_block_action", "submitted_by": by},
        headers={"authorization": f"Bearer {token}"},
    )
    assert 200 == found.status_code, found.text


async def test_a_decision_is_pushed_claimed_done_once_and_acked(
    sqlite_url: str, clients: Clients, tmp_path: Path
) -> None:
    keys = {scope: await make_key(sqlite_url, scope) for scope in ("agent", "executor", "admin")}
    did: list[DecisionEvent] = []
    said: list[int] = []

    async def webhook(request: Request) -> Response:
        status = await executor.receive(request.headers, await request.body(), did.append)
        said.append(status)
        return Response(status_code=503 if len(said) == 2 else status)  # the first answer to the event gets lost

    app = Starlette(routes=[Route("/assent", webhook, methods=["POST"])])
    async with serving(sqlite_url) as server, web(app) as place, direct() as http:
        admin = {"x-api-key": keys["admin"]}
        hook = {"url": f"{place}/assent", "secret": SECRET, "retry_backoff_seconds": 1}
        body = {"name": "Deploys", "delivery": {"mode": "WEBHOOK_AND_PULL", "webhook": hook}}
        made = await http.post(f"{server.url}/sources", json=body, headers=admin)
        assert 201 == made.status_code, made.text
        source_id = made.json()["id"]
        executor = clients.executor(
            server.url, keys["executor"], source_id, store=tmp_path / "done.db", secrets=["an older secret", SECRET]
        )
        tried = await http.post(f"{server.url}/sources/{source_id}/webhook/test", headers=admin)
        assert (200, [204]) == (tried.status_code, said), tried.text
        agent = clients.agent(server.url, keys["agent"])
        case = await agent.open(Confirmation(prompt="Deploy?", source_id=source_id))
        await answer(http, server.url, case.case_id, case.submit_token, "confirm")
        await until(lambda: said == [204, 204, 204], 20)
        assert [case.case_id] == [event.case_id for event in did]
        left = await http.get(
            f"{server.url}/sources/{source_id}/decision-events", headers={"x-api-key": keys["executor"]}
        )
        assert [] == left.json()["items"]


async def test_a_callback_ends_a_wait(sqlite_url: str, clients: Clients) -> None:
    key = await make_key(sqlite_url, "agent")
    said: list[str] = []

    async def callback(request: Request) -> Response:
        said.append(agent.receive_callback(request.headers, await request.body()).event)
        return Response(status_code=204)

    app = Starlette(routes=[Route("/assent", callback, methods=["POST"])])
    async with serving(sqlite_url) as server, web(app) as place, direct() as http:
        agent = clients.agent(server.url, key)
        case = await agent.open(Confirmation(prompt="Send it?", callback_url=f"{place}/assent"))
        waiting = asyncio.create_task(agent.await_human(case, watch="callback"))
        await until(lambda: agent._callbacks.awaits(case.case_id))
        await answer(http, server.url, case.case_id, case.submit_token, "cancel")
        async with asyncio.timeout(10):  # it asks by itself only every five minutes
            assert "cancel" == (await waiting).action
    assert ["review.completed"] == said


async def test_a_callback_ends_the_wait_for_a_gate(sqlite_url: str, clients: Clients) -> None:
    keys = {scope: await make_key(sqlite_url, scope) for scope in ("agent", "reviewer")}
    said: list[str] = []

    async def callback(request: Request) -> Response:
        said.append(agent.receive_callback(request.headers, await request.body()).event)
        return Response(status_code=204)

    app = Starlette(routes=[Route("/assent", callback, methods=["POST"])])
    async with serving(sqlite_url) as server, web(app) as place, direct() as http:
        agent = clients.agent(server.url, keys["agent"])
        run = await agent.run("nightly")
        gate = await run.open(gate_key="deploy", prompt="Deploy?", callback_url=f"{place}/assent")
        waiting = asyncio.create_task(run.wait(gate, watch="callback"))
        await until(lambda: agent._callbacks.awaits(gate.case_id))
        replied = await http.post(
            f"{server.url}/api/runs/{run.workflow_id}/gates/deploy/reply",
            json={"payload": {"choice": "no"}, "dedupeKey": "deploy:ana", "origin": "external"},
            headers={"authorization": f"Bearer {keys['reviewer']}"},
        )
        assert 200 == replied.status_code, replied.text
        async with asyncio.timeout(10):  # it asks by itself only every five minutes
            assert {"choice": "no"} == (await waiting).model_dump()["result"]["payload"]
    assert ["review.completed"] == said
