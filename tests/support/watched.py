"""A whole process that is watched, in this one: its metrics as Prometheus would read them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from bot.roles import ROLES, Role
from bot.sandbox import Sandbox
from bot.serve import Process, running
from bot.settings import read_settings
from core.access import Scope
from core.ledger import Database
from tests.support.cores import PATIENCE_SECONDS
from tests.support.server import Clock

TOKEN = "a-token-for-whoever-watches"
SECRET = "a secret for the tests only"
CHANNEL, GROUP = "C0APPROVE", "-4001"
_SAMPLE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')

Labels = dict[str, str]


@dataclass(frozen=True)
class Page:
    """One answer of `GET /metrics`."""

    text: str

    @property
    def families(self) -> dict[str, str]:
        """Every metric by its name, with its kind."""
        return dict(re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.MULTILINE))

    @property
    def samples(self) -> list[tuple[str, Labels, float]]:
        lines = [_SAMPLE.fullmatch(line) for line in self.text.splitlines() if line and not line.startswith("#")]
        return [(one[1], dict(_LABEL.findall(one[2] or "")), float(one[3])) for one in lines if one is not None]

    def total(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name that have these labels; 0 without any."""
        return sum(value for one, has, value in self.samples if one == name and labels.items() <= has.items())


@dataclass
class Watched:
    """A process, whoever watches it, and whoever uses it."""

    process: Process
    clock: Clock
    sandbox: Sandbox | None
    http: httpx.AsyncClient
    keys: dict[str, str] = field(default_factory=dict)
    tenant_id: str = ""

    @property
    def url(self) -> str:
        return self.process.url

    @property
    def database(self) -> Database:
        return self.process.assembly.database

    async def page(self, token: str = TOKEN) -> Page:
        answer = await self.http.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        assert 200 == answer.status_code, answer.text
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return Page(answer.text)

    async def page_when(self, true: Callable[[Page], bool]) -> Page:
        """The metrics as soon as that is true of them."""
        async with asyncio.timeout(20):
            while True:
                page = await self.page()
                if true(page):
                    return page
                await asyncio.sleep(0.05)

    async def post(self, path: str, scope: Scope = "agent", /, **body: Any) -> dict[str, Any]:
        if scope not in self.keys:
            self.keys[scope], principal = await self.process.assembly.services.keys.create(
                scope, self.tenant_id or None
            )
            self.tenant_id = principal.tenant_id
        headers = {"Authorization": f"Bearer {self.keys[scope]}"} | body.pop("headers", {})
        answer = await self.http.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def case(self, **fields: Any) -> dict[str, Any]:
        body = {"type": "confirmation", "prompt": "Send the newsletter?"} | fields
        found: dict[str, Any] = (await self.post("/api/hitl/cases", **body))["hitl"]
        return found


@asynccontextmanager
async def watched(
    database_url: str, sandbox: Sandbox | None = None, *, roles: tuple[Role, ...] = ROLES, **settings: Any
) -> AsyncIterator[Watched]:
    """A process on a migrated database, on a free port; with the local Slack and Telegram, where they are given."""
    if sandbox is not None:
        settings |= {
            "slack_bot_token": sandbox.slack.app.bot_token,
            "slack_signing_secret": sandbox.slack.app.signing_secret,
            "slack_base_url": sandbox.slack.base_url,
            "telegram_bot_token": sandbox.telegram.token,
            "telegram_base_url": sandbox.telegram.base_url,
        }
    clock = Clock()
    given = {
        "database_url": database_url, "port": 0, "host": "127.0.0.1", "assent_secret_key": SECRET, "rate_limits": "off",
        "metrics_token": TOKEN,
    }  # fmt: skip
    async with running(read_settings(**given | settings), roles, clock_offset=lambda: clock.offset) as (process, _):
        if sandbox is not None:
            sandbox.slack.app.request_url = f"{process.url}/slack/interactions"
        process.assembly.desk._budget = PATIENCE_SECONDS
        async with httpx.AsyncClient(base_url=process.url, timeout=30, trust_env=False) as http:
            yield Watched(process, clock, sandbox, http)
