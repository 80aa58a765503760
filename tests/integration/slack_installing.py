"""Assent beside the local Slack, whose workspaces install the app by OAuth."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.applications import Starlette

from adapters.slack import InstallSettings, SlackAdapter
from bot.doctor.manifest import bot_scopes
from bot.sandbox import Sandbox
from bot.sandbox.slack import Message
from core.installations import Installations
from core.workers import CardWorker
from tests.integration.sandbox_receiver import serving
from tests.integration.slack_support import settings_for
from tests.support.cores import RING, Core
from tests.support.databases import eventually, rows
from tests.support.workers import drawing

SANDBOX, PARTNER, THERE = "T0SANDBOX", "T0PARTNER", "C0PARTNER"
PARTNERS = f"{PARTNER}/{THERE}"
REVIEWER = {SANDBOX: "Reviewer One", PARTNER: "Partner Reviewer"}


@dataclass
class Assent:
    """A running process that workspaces can be connected to."""

    adapter: SlackAdapter
    url: str
    sandbox: Sandbox
    browser: httpx.AsyncClient

    async def begin(self) -> str:
        """Somebody follows the link: the address at Slack that their browser is sent to."""
        response = await self.browser.get("/slack/install")
        assert 302 == response.status_code
        return response.headers["location"]

    async def agree(self, team: str, **more: Any) -> str:
        """The address that Slack then sends the browser back to."""
        return self.sandbox.slack.consent(await self.begin(), REVIEWER[team], **more)

    async def install(self, *teams: str) -> list[httpx.Response]:
        return [await self.browser.get(await self.agree(team)) for team in teams]


@asynccontextmanager
async def running(
    core: Core, sandbox: Sandbox, *, who: Any = "anyone", bot_token: str = "", worker: bool = True
) -> AsyncIterator[Assent]:
    app = Starlette()
    async with serving(app) as url, AsyncExitStack() as stack:
        slack = sandbox.slack.app
        install = InstallSettings(slack.client_id, slack.client_secret, url, who, bot_scopes())
        settings = settings_for(sandbox, bot_token=bot_token, install=install)
        installs = Installations(core.database, RING)
        adapter = SlackAdapter(settings, core.cards, core.desk, core.hub, core.chat, installs)
        app.router.routes.extend(adapter.routes)
        slack.request_url = f"{url}/slack/interactions"
        await adapter.start()
        if worker:
            await stack.enter_async_context(drawing(CardWorker(core.cards, adapter.messenger, core.hub), core.hub))
        task = asyncio.create_task(adapter.run())
        # Browsers keep and send Secure cookies on localhost; httpx does not.
        browser = await stack.enter_async_context(httpx.AsyncClient(base_url=url))
        browser.event_hooks["response"].append(_keep_cookies(browser))
        try:
            yield Assent(adapter, url, sandbox, browser)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await adapter.stop(5)


def _keep_cookies(browser: httpx.AsyncClient) -> Any:
    async def keep(response: httpx.Response) -> None:
        for line in response.headers.get_list("set-cookie"):
            assert "secure" in line.lower()
            assert "httponly" in line.lower()
            assert "samesite=lax" in line.lower()
            name, _, value = line.partition(";")[0].partition("=")
            browser.headers["cookie"] = "" if value == "deleted" else f"{name}={value}"

    return keep


async def card_at(sandbox: Sandbox, team: str, channel: str, number: int = 1) -> Message:
    desk = sandbox.slack if team == SANDBOX else sandbox.slack.partner

    def look() -> Message | None:
        found = desk.messages(channel)
        return found[-1] if len(found) >= number else None

    return await sandbox.until(look)


async def dead_card(core: Core) -> str:
    """Why the one card that is given up for good is."""
    await eventually(lambda: _dead(core))
    (card,) = await _dead(core)
    return str(card["last_error"])


async def _dead(core: Core) -> list[dict[str, Any]]:
    return await rows(core.url, "SELECT * FROM cards WHERE state = 'dead'")


async def _answers(core: Core, number: int) -> bool:
    return len(await core.ledger()) >= number


async def repliers(core: Core, number: int = 1) -> list[str]:
    await eventually(lambda: _answers(core, number))
    found = [json.loads(row["replier"]) for row in await core.ledger()]
    return [f"{one['platform']}:{one['platform_user_id']}" for one in found]
