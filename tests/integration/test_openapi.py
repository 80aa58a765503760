"""The OpenAPI documents and the reference page as they are served, and that nothing is served which is not in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import yaml
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from adapters.slack.adapter import PATHS as SLACK_PATHS
from adapters.telegram.adapter import WEBHOOK_PATH
from api.app import build_app
from tests.support.server import Client, Server, running

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DOCUMENTS = {
    "/openapi": "application/json",
    "/openapi.yaml": "application/yaml",
    "/openapi-3.1.json": "application/json",
    "/docs": "text/html; charset=utf-8",
    "/docs.css": "text/css; charset=utf-8",
    "/docs.svg": "image/svg+xml",
}


@pytest.fixture
async def server(sqlite_url: str) -> AsyncIterator[Server]:
    async with running(sqlite_url) as found:
        yield found


@pytest.fixture
def nobody(server: Server) -> Client:
    return server.nobody()


def _addresses(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    for route in routes:
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:  # goes with every GET
            yield method, route.path


async def test_every_address_that_is_served_is_in_the_document(server: Server, nobody: Client) -> None:
    found = (await nobody.page.get("/openapi")).json()["paths"]
    documented = {(method.upper(), path) for path, methods in found.items() for method in methods}
    assert set(_addresses(server.app.routes)) == documented


async def test_the_messengers_webhooks_are_in_the_document_where_they_are_mounted(server: Server) -> None:
    mounted = [Route(path, _nothing, methods=["POST"]) for path in (*SLACK_PATHS, WEBHOOK_PATH)]
    app = build_app(server.services, extra_routes=mounted)
    found = await _asked(app, "/openapi")
    documented = {(method.upper(), path) for path, methods in found["paths"].items() for method in methods}
    assert set(_addresses(app.routes)) == documented


async def _nothing(_request: Any) -> PlainTextResponse:
    return PlainTextResponse("")


async def _asked(app: Any, path: str) -> Any:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://assent.test") as http:
        return (await http.get(path)).json()


@pytest.mark.parametrize("path", DOCUMENTS)
async def test_it_needs_no_key_and_is_sent_again_only_when_it_changed(nobody: Client, path: str) -> None:
    first = await nobody.page.get(path)
    assert (200, DOCUMENTS[path]) == (first.status_code, first.headers["content-type"])
    again = await nobody.page.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (304, b"") == (again.status_code, again.content)
    other = await nobody.page.get(path, headers={"If-None-Match": '"another"'})
    assert first.content == other.content


async def test_the_versions_are_those_that_were_asked_for_and_say_where_the_server_is(
    server: Server, nobody: Client
) -> None:
    older, newer = (await nobody.page.get("/openapi")).json(), (await nobody.page.get("/openapi-3.1.json")).json()
    assert ("3.0.3", "3.1.0") == (older["openapi"], newer["openapi"])
    assert [{"url": server.services.public_url}] == older["servers"] == newer["servers"]


async def test_the_yaml_is_the_same_document(nobody: Client) -> None:
    text = (await nobody.page.get("/openapi.yaml")).text
    assert (await nobody.page.get("/openapi")).json() == yaml.load(text, _LOADER)  # noqa: S506 - the faster of the safe ones


async def test_the_page_has_no_scripts_and_lets_none_in(nobody: Client) -> None:
    page = await nobody.page.get("/docs")
    assert "<script" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "'unsafe-inline'" not in policy


def test_a_process_that_nobody_asks_for_the_document_does_not_load_what_makes_it() -> None:
    code = "import sys, api.app; print('api.openapi.document' in sys.modules, 'api.docs_page.page' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False False" == ended.stdout.strip()


@pytest.mark.parametrize(
    ("path", "nested"), [("/api/hitl/nothing", False), ("/api/hitl/inbox/nothing", True), ("/nothing", False)]
)
async def test_where_nothing_is_the_nearest_door_says_so(nobody: Client, path: str, nested: bool) -> None:
    answer = await nobody.page.get(path)
    assert 404 == answer.status_code
    assert nested is isinstance(answer.json()["error"], dict)


async def test_a_field_without_a_name_is_told_from_the_body(server: Server) -> None:
    agent = await server.client("agent")
    answer = await agent.open(**{"": 1})
    assert (400, "a field without a name is not a known field") == (answer.status_code, answer.json()["message"])
