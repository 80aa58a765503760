"""A small installation that is well: a database with an agent and a source, a local Slack and a local Telegram. Tests
break something of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.doctor.doctor import Doctor
from bot.doctor.findings import Finding
from bot.sandbox import Sandbox
from bot.sandbox.clock import SystemClock
from bot.settings import Settings
from core.model import Address, Source
from tests.support.gates import SECRET, World, world

HERE = (Address("slack", "C0APPROVE"), Address("telegram", "-4001"))


class WrongClock(SystemClock):
    """What the messengers take for the time: `ahead` seconds after this machine's."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead


@dataclass
class Installation:
    """`chosen`: its settings, to be changed before `settings` is asked for."""

    sandbox: Sandbox
    clock: WrongClock
    world: World
    chosen: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(_env_file=None, **self.chosen)

    @property
    def file(self) -> Path:
        """SQLite's."""
        return Path(self.world.url.removeprefix("sqlite:///"))

    async def source(self, name: str = "deploys", **given: Any) -> Source:
        return await self.world.sources.create(self.world.agent, name=name, **{"notify": HERE} | given)

    async def findings(self) -> list[Finding]:
        return [one async for one in Doctor(self.settings).findings()]


@asynccontextmanager
async def installation(url: str, **chosen: Any) -> AsyncIterator[Installation]:
    """No server runs, so no PUBLIC_URL is set and no port is known."""
    clock = WrongClock()
    if url.startswith("sqlite:"):
        for file in Path(url.removeprefix("sqlite:///")).parent.glob("assent.db*"):
            file.chmod(0o600)
    async with Sandbox.running(clock=clock) as sandbox, world(url) as found:
        app = sandbox.slack.app
        settings = {
            "database_url": url,
            "public_url": "",
            "host": "127.0.0.1",
            "port": 0,
            "assent_secret_key": SECRET,
            "slack_bot_token": app.bot_token,
            "slack_signing_secret": app.signing_secret,
            "slack_app_token": None,
            "slack_base_url": sandbox.slack.base_url,
            "telegram_bot_token": sandbox.telegram.token,
            "telegram_webhook_secret": None,
            "telegram_base_url": sandbox.telegram.base_url,
        }
        here = Installation(sandbox, clock, found, settings | chosen)
        await found.execute("DELETE FROM sources")  # the world's own, which names no chat
        await here.source()
        yield here
