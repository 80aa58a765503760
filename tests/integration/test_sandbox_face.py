"""The face's page and what it is told: only what the chosen person may see, and nothing from elsewhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import Sandbox
from bot.sandbox.face import STATIC

CHANNEL = "C0APPROVE"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox.running() as running:
        yield running


@pytest.fixture
async def http(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, base_url=sandbox.address.url) as client:
        yield client


async def state(http: httpx.AsyncClient, **asked: str) -> dict[str, Any]:
    found: dict[str, Any] = (await http.get("/face/state", params=asked)).json()
    return found


async def test_the_page_allows_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    page = await http.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    linked = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert linked
    for path in linked:
        assert path.startswith("/static/")
        assert 200 == (await http.get(path)).status_code


@pytest.mark.parametrize("script", sorted(STATIC.glob("*.js")), ids=lambda path: path.name)
def test_no_script_makes_markup_out_of_text(script: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|srcdoc"
    assert not re.search(forbidden, script.read_text())


async def test_a_private_word_is_told_to_one_person_only(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    client = AsyncWebClient(token=sandbox.slack.app.bot_token, base_url=sandbox.slack.base_url)
    await client.chat_postEphemeral(channel=CHANNEL, user="U0REVIEW1", text="You may not decide this.")
    mine = (await state(http, slack="U0REVIEW1"))["slack"]
    theirs = (await state(http, slack="U0REVIEW2"))["slack"]
    assert ([True], 1) == ([one["only_you"] for one in mine["messages"]], len(mine["notices"]))
    assert ([], []) == (theirs["messages"], theirs["notices"])


async def test_a_person_sees_the_places_they_are_in(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    outside = await state(http, slack="Outsider", telegram="Outsider")
    stranger = await state(http, slack="Stranger")
    assert ["home"] == [place["id"] for place in outside["slack"]["places"]]
    assert ["1005"] == [place["id"] for place in outside["telegram"]["places"]]
    assert ["C0SHARED1", "home"] == [place["id"] for place in stranger["slack"]["places"]]


async def test_the_page_hears_of_a_change_at_once(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    before = await state(http)
    waiting = asyncio.create_task(state(http, after=str(before["version"])))
    sandbox.telegram.say(-4001, "hello", "Requester")
    now = await asyncio.wait_for(waiting, 5)
    assert ["hello"] == [message["text"] for message in now["telegram"]["messages"]]


async def test_it_serves_until_it_is_cancelled() -> None:
    sandbox = Sandbox()
    serving = asyncio.create_task(sandbox.serve(0))
    await sandbox.until(lambda: sandbox.address.url)
    async with httpx.AsyncClient(trust_env=False, base_url=sandbox.address.url) as http:
        await sandbox.until(lambda: sandbox.changes.version)
        assert 200 == (await http.get("/")).status_code
        serving.cancel()
        await asyncio.wait([serving])
        with pytest.raises(httpx.ConnectError):
            await http.get("/", headers={"Connection": "close"})


async def test_a_person_whom_nobody_knows_is_a_plain_error(http: httpx.AsyncClient) -> None:
    answer = await http.get("/face/state", params={"slack": "Nobody"})
    assert (400, "nobody in the Slack sandbox is called 'Nobody'") == (answer.status_code, answer.json()["error"])


async def test_a_reply_in_a_thread_says_where_else_it_is_seen(sandbox: Sandbox, http: httpx.AsyncClient) -> None:
    client = AsyncWebClient(token=sandbox.slack.app.bot_token, base_url=sandbox.slack.base_url)
    parent = (await client.chat_postMessage(channel=CHANNEL, text="A card"))["ts"]
    for broadcast in (False, True):
        await client.chat_postMessage(channel=CHANNEL, text="Below", thread_ts=parent, reply_broadcast=broadcast)
    shown = (await state(http))["slack"]["messages"]
    assert [("", False), (parent, False), (parent, True)] == [(one["thread"], one["in_channel"]) for one in shown]
