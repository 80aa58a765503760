"""Kill the server anywhere between a reminder's moment and its message: it is given once, and said at least once."""

from __future__ import annotations

import sys
import time

import httpx
import pytest

from bot.sandbox import Sandbox
from core.checkpoints import REMINDER_NAMES
from core.schedule import iso
from tests.support.databases import rows
from tests.support.gates import as_superuser, until
from tests.support.process import ServerProcess, make_key, serving

CHANNEL = "C0APPROVE"
SAID_TWICE = "notice.after_send"  # nobody can know whether Slack took it, so it is sent again


@pytest.mark.parametrize("point", REMINDER_NAMES)
async def test_a_crash_loses_no_reminder_and_gives_none_twice(database_url: str, point: str) -> None:
    async with Sandbox.running() as sandbox:
        key = await make_key(database_url, "agent")
        environment = {
            "SLACK_BOT_TOKEN": sandbox.slack.app.bot_token,
            "SLACK_SIGNING_SECRET": sandbox.slack.app.signing_secret,
            "SLACK_BASE_URL": sandbox.slack.base_url,
        }
        dying = (sys.executable, "-m", "tests.chaos.dying", point, "1")
        async with serving(database_url, command=dying, environment=environment) as server:
            await open_case(server, key)
            assert await server.ended() == -9, f"{point} was never reached"
        # The dead worker's lease, as if its time were up.
        await as_superuser(database_url, "UPDATE notices SET due_at = 0")
        async with serving(database_url, environment=environment):
            await until(lambda: said(sandbox) == (2 if point == SAID_TWICE else 1))
            await until(lambda: all_sent(database_url))
        assert (2 if point == SAID_TWICE else 1) == said(sandbox)
        assert 1 == len(await rows(database_url, "SELECT * FROM case_events WHERE kind = 'reminder'"))


async def open_case(server: ServerProcess, key: str) -> None:
    body = {
        "type": "confirmation",
        "prompt": "Deploy?",
        "notify": [f"slack:{CHANNEL}"],
        "timeout": "5m",
        "reminder_at": iso(int(time.time() * 1000) + 1_500),
    }
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
        answer = await http.post(f"{server.url}/api/hitl/cases", json=body)
    assert 202 == answer.status_code, answer.text


def said(sandbox: Sandbox) -> int:
    return sum(bool(message.thread_ts) for message in sandbox.slack.messages(CHANNEL))


async def all_sent(database_url: str) -> bool:
    found = await rows(database_url, "SELECT state FROM notices")
    return ["sent"] == [row["state"] for row in found]
