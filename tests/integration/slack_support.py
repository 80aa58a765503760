"""Assent with its Slack adapter, on a real database, beside the local Slack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette

from adapters.slack import SlackAdapter, SlackSettings
from adapters.slack.messenger import SlackMessenger
from bot.sandbox import Sandbox
from bot.sandbox.slack import Message, Tap
from bot.sandbox.slack.modals import View
from core.model import Address, Opened
from core.workers import CardWorker
from tests.integration.sandbox_receiver import serving
from tests.support.chats import texts
from tests.support.cores import PATIENCE_SECONDS, Core, a_core
from tests.support.crowd import crowd
from tests.support.workers import drawing

# For what says nothing of a database; where every test of a module were run on both, the suite would take for ever.
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
APPROVALS, SHARED, UNJOINED = "C0APPROVE", "C0SHARED1", "C0UNJOINE"
REVIEWER, TWO, REQUESTER, ON_CALL = "U0REVIEW1", "U0REVIEW2", "U0REQUEST", "U0ONCALL1"
OUTSIDER, STRANGER = "U0OUTSIDE", "U0STRANGE"
HERE = Address("slack", APPROVALS)


def settings_for(sandbox: Sandbox, *, socket_mode: bool = False, **more: Any) -> SlackSettings:
    app = sandbox.slack.app
    way = {"app_token": app.app_token} if socket_mode else {"signing_secret": app.signing_secret}
    return SlackSettings(**({"bot_token": app.bot_token, "base_url": sandbox.slack.base_url} | way | more))


@asynccontextmanager
async def connected(
    core: Core, sandbox: Sandbox, *, socket_mode: bool = False, worker: bool = True, **more: Any
) -> AsyncIterator[SlackAdapter]:
    """A running adapter: taps over real HTTP or through Socket Mode; cards are drawn by a worker of its own."""
    app = Starlette()
    async with serving(app) as url, AsyncExitStack() as stack:
        adapter = SlackAdapter(
            settings_for(sandbox, socket_mode=socket_mode, **more), core.cards, core.desk, core.hub, core.chat
        )
        app.router.routes.extend(adapter.routes)
        sandbox.slack.app.request_url = "" if socket_mode else f"{url}/slack/interactions"
        sockets = len(sandbox.slack.sockets.sockets)
        await adapter.start()
        if worker:
            await stack.enter_async_context(drawing(CardWorker(core.cards, adapter.messenger, core.hub), core.hub))
        running = asyncio.create_task(adapter.run())
        try:
            if socket_mode:
                await sandbox.until(lambda: len(sandbox.slack.sockets.sockets) > sockets)
            yield adapter
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await adapter.stop(5)


# What tests of taps, commands and windows stand on; `conftest` hands these fixtures on.


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What people are told shall not depend on how busy the machine is: a tap is acknowledged when the core has
    answered, or its own patience has ended (as it soon does when the database is stalled).
    """
    for module in ("taps", "reasons"):
        monkeypatch.setattr(f"adapters.slack.{module}.ACK_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox.running() as running:
        yield running


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with a_core(database_url) as found:
        yield found


@pytest.fixture(params=["http", "socket mode"])
async def slack(request: pytest.FixtureRequest, core: Core, sandbox: Sandbox) -> AsyncIterator[SlackAdapter]:
    """The whole of Assent, connected in either way."""
    async with connected(core, sandbox, socket_mode=request.param == "socket mode") as adapter:
        yield adapter


@pytest.fixture
async def over_http(core: Core, sandbox: Sandbox) -> AsyncIterator[SlackAdapter]:
    async with connected(core, sandbox) as adapter:
        yield adapter


@pytest.fixture
async def messenger(sandbox: Sandbox) -> AsyncIterator[SlackMessenger]:
    found = SlackMessenger(settings_for(sandbox))
    await found.start()
    yield found
    await found.close()


async def ask(core: Core, *channels: str, **more: Any) -> Opened:
    """Open a case with cards in these channels (the approvals channel, when none is named)."""
    addresses = tuple(Address("slack", channel) for channel in channels or (APPROVALS,))
    return await core.ask(**{"notify": addresses, **more})


async def card_in(sandbox: Sandbox, channel: str = APPROVALS, number: int = 1, saying: str = "") -> Message:
    """The newest card in a channel, once there are `number` of them."""

    def look() -> Message | None:
        found = [one for one in sandbox.slack.messages(channel) if saying in str(one.blocks)]
        return found[-1] if len(found) >= number else None

    return await sandbox.until(look)


async def closed_card(sandbox: Sandbox, message: Message) -> Message:
    """The message once it has lost its buttons."""
    return await sandbox.until(lambda: message if message.blocks and not message.buttons() else None)


async def told(sandbox: Sandbox, user: str, number: int = 1, within: float = 5.0) -> list[str]:
    """What a person was told in private, once that is `number` things."""

    def look() -> list[str] | None:
        found = [notice.text for notice in sandbox.notices(user)]
        return found if len(found) >= number else None

    return await sandbox.until(look, within)


def mentions(blocks: Any) -> list[str]:
    """The ids of those whom blocks call, in order."""
    if isinstance(blocks, dict):
        own = [str(blocks.get("user_id"))] if blocks.get("type") == "user" else []
        return own + [one for value in blocks.values() for one in mentions(value)]
    return [one for item in blocks for one in mentions(item)] if isinstance(blocks, list) else []


def shown(message: Message) -> str:
    return "\n".join(texts(message.blocks))


def says(view: View | None) -> str:
    """What a window or a home tab shows."""
    return "" if view is None else "\n".join(texts(view.content["blocks"]))


def acknowledged(tap: Tap) -> bool:
    """Within a second, on a machine that has nothing else to do."""
    return not tap.failed and tap.seconds < 1 * crowd()
