"""Kill the server at each named checkpoint while a case is opened, shown, tapped, pulled and acked; start it; finish.

`python -m tests.chaos.crash_points --rounds 20 --database sqlite|postgresql` prints one line per point. A trial fails
when anything was lost or doubled, when the restart took 5 s, or when `assent verify` finds something.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from bot.sandbox import Sandbox
from core.access import Keys
from core.checkpoints import NAMES
from core.hub import Hub
from core.ledger import migrate, open_database
from core.model import Address
from core.oracles import Oracles
from core.sealing import KeyRing
from core.sources import Sources
from tests.support.crowd import crowd
from tests.support.gates import as_superuser
from tests.support.postgres import Run, create_database, drop_database
from tests.support.process import SECRET, ServerProcess, serving

RESTART_SECONDS = 5.0
STEP_SECONDS = 30.0
SEALED_SECONDS = 20  # until an event can be pulled, on a busy machine
ACKED = "ack.after_commit"  # the crash after which no event is left to be pulled
CHANNEL = "C0APPROVE"


@dataclass
class Trial:
    """One case on its way, and the two servers (the dying one, then its successor) that carry it."""

    database_url: str
    sandbox: Sandbox
    keys: dict[str, str] = field(default_factory=dict)
    source_id: str = ""


async def run_trial(point: str, database_url: str, sandbox: Sandbox, *, hurry: bool = False) -> float:
    """One crash at `point`; seconds until the successor was ready. Raises AssertionError when something is wrong.

    `hurry`: what the dead server held is free at once, as if the time of its leases was up, and a machine that has
    other tests to run may take as much longer for the start.
    """
    trial = Trial(database_url, sandbox)
    async with _services(database_url) as (keys, sources, _):
        trial.keys["agent"], principal = await keys.create("agent", None)
        trial.keys["executor"], _ = await keys.create("executor", None)
        notify = (Address("slack", CHANNEL),)
        source = await sources.create(
            principal, name="crash", description=None, mode="PULL_ONLY", notify=notify, policy=None
        )
        trial.source_id = source.source_id
    environment = _environment(sandbox)
    dying = (sys.executable, "-m", "tests.chaos.dying", point, "1")
    async with serving(database_url, command=dying, environment=environment) as server:
        await _walk(trial, server)
        assert await server.ended() == -9, f"{point} was never reached"
    if hurry:
        await as_superuser(database_url, "UPDATE cards SET due_at = 0")
    began = time.monotonic()
    async with serving(database_url, environment=environment) as server:
        ready = time.monotonic() - began
        assert ready < RESTART_SECONDS * (crowd() if hurry else 1), f"ready only after {ready:.1f} s"
        case_id, event = await _walk(trial, server, wait=3 if point == ACKED else SEALED_SECONDS)
        await _check(trial, server, case_id, event, point)
    async with _services(database_url) as (_, _, oracles):
        assert await oracles.findings() == []
    return ready


@asynccontextmanager
async def _services(database_url: str) -> AsyncIterator[tuple[Keys, Sources, Oracles]]:
    """What the test does beside the servers, with the same secret."""
    database, ring = open_database(database_url, pool_size=2), KeyRing([SECRET])
    await database.start(Hub())
    try:
        yield Keys(database, ring), Sources(database, ring, Hub()), Oracles(database, ring)
    finally:
        await database.close()


def _environment(sandbox: Sandbox) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": sandbox.slack.app.bot_token,
        "SLACK_SIGNING_SECRET": sandbox.slack.app.signing_secret,
        "SLACK_BASE_URL": sandbox.slack.base_url,
    }


def _http(server: ServerProcess, key: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=server.url, headers=headers, timeout=STEP_SECONDS, trust_env=False)


class _Died(Exception):
    """The server is gone; the walk goes on with its successor."""


async def _walk(trial: Trial, server: ServerProcess, wait: int = SEALED_SECONDS) -> tuple[str, dict[str, Any]]:
    """Open, tap, pull, ack; every step is safe to repeat, as real agents, people and executors do after a crash."""
    trial.sandbox.slack.app.request_url = f"{server.url}/slack/interactions"
    try:
        case_id = await _open(trial, server)
        await _tap(trial, server)
        event = await _pull_and_ack(trial, server, wait)
    except _Died:
        return "", {}
    return case_id, event


async def _open(trial: Trial, server: ServerProcess) -> str:
    body = {"type": "approval", "prompt": "Deploy?", "source_id": trial.source_id}
    async with _http(server, trial.keys["agent"]) as http:
        try:
            answer = await http.post("/api/hitl/cases", json=body, headers={"Idempotency-Key": "the-one-case"})
        except httpx.TransportError as error:
            raise _Died from error
    assert answer.status_code == 202, answer.text
    return str(answer.json()["hitl"]["case_id"])


async def _tap(trial: Trial, server: ServerProcess) -> None:
    """Tap Approve on the newest card as often as a person would until it says that it was decided."""
    slack = trial.sandbox.slack
    deadline = time.monotonic() + STEP_SECONDS
    while time.monotonic() < deadline:
        if not server.alive:
            raise _Died
        cards = slack.messages(CHANNEL)
        buttons = [card for card in cards if "a:" in str(card.blocks)]
        if cards and not buttons:
            return
        if buttons:
            await slack.tap(CHANNEL, buttons[-1].ts, "Approve", user="Reviewer One")
        await asyncio.sleep(0.1)
    raise AssertionError("the card was never decided")


async def _pull_and_ack(trial: Trial, server: ServerProcess, wait: int) -> dict[str, Any]:
    path = f"/sources/{trial.source_id}/decision-events"
    async with _http(server, trial.keys["executor"]) as http:
        try:
            page = (await http.get(path, params={"wait": wait})).raise_for_status().json()
            for event in page["items"]:
                await http.post(f"{path}/ack", json={"event_ids": [event["event_id"]]})
        except httpx.TransportError as error:
            raise _Died from error
    return dict(page["items"][0]) if page["items"] else {}


async def _check(trial: Trial, server: ServerProcess, case_id: str, event: dict[str, Any], point: str) -> None:
    """One case, one ledger row, one decision, one event, one card; and an acked event does not come again."""
    async with _http(server, trial.keys["agent"]) as http:
        status = (await http.get(f"/api/hitl/cases/{case_id}/status")).raise_for_status().json()
    assert (status["status"], status["result"]["action"]) == ("completed", "approve")
    for table in ("cases", "human_interactions", "decisions", "decision_events"):
        assert await _count(trial.database_url, table) == 1, f"{table} has not exactly one row"
    acked_before_the_crash = point == ACKED
    assert acked_before_the_crash == (event == {}), "an event was lost or came again after its ack"
    assert await _pull_and_ack(trial, server, wait=0) == {}, "an acked event came again"
    assert len(trial.sandbox.slack.messages(CHANNEL)) == 1, "the card was posted twice"


async def _count(database_url: str, table: str) -> int:
    if database_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
    finally:
        await connection.close()


async def run_points(database: str, points: tuple[str, ...], rounds: int, admin_url: str | None) -> None:
    for point in points:
        ready = [await _round(point, database, admin_url) for _ in range(rounds)]
        words = f"{rounds} crashes, nothing lost or doubled, ready after {max(ready):.2f} s at most"
        print(f"{database} {point}: {words}", flush=True)


async def _round(point: str, database: str, admin_url: str | None) -> float:
    with tempfile.TemporaryDirectory() as folder:
        url = create_database(admin_url) if admin_url else f"sqlite:///{Path(folder) / 'assent.db'}"
        try:
            await asyncio.to_thread(migrate, url)
            async with Sandbox.running(rate_limits=False) as sandbox:
                return await run_trial(point, url, sandbox)
        finally:
            if admin_url:
                drop_database(admin_url, url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--point", choices=NAMES, action="append")
    given = parser.parse_args()
    run = Run.begin()
    try:
        admin_url = run.server().admin_url if given.database == "postgresql" else None
        asyncio.run(run_points(given.database, tuple(given.point or NAMES), given.rounds, admin_url))
    finally:
        run.end()


if __name__ == "__main__":
    main()
