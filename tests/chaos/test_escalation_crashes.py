"""Kill the server anywhere between an escalation's moment and its messages: the case climbs each level once."""

from __future__ import annotations

import sys

import httpx
import pytest

from bot.sandbox import Sandbox
from core.checkpoints import ESCALATION_NAMES
from tests.support.databases import rows
from tests.support.gates import as_superuser, until
from tests.support.process import ServerProcess, make_key, serving

CHANNEL, MORE = "C0APPROVE", "C0ONCALL0"


@pytest.mark.parametrize("point", ESCALATION_NAMES)
async def test_a_crash_loses_no_escalation_and_climbs_none_twice(database_url: str, point: str) -> None:
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
            await until(lambda: len(sandbox.slack.messages(CHANNEL)) == 1)
            await until(lambda: is_posted(database_url))
            await as_superuser(database_url, "UPDATE cases SET escalate_at = 1")  # its moment has come
            assert await server.ended() == -9, f"{point} was never reached"
        async with serving(database_url, environment=environment):
            await until(lambda: climbed(database_url))
            await until(lambda: len(sandbox.slack.messages(MORE)) == 1)
            await until(lambda: sum(bool(message.thread_ts) for message in sandbox.slack.messages(CHANNEL)) == 1)
        found = await rows(database_url, "SELECT channel FROM cards ORDER BY channel")
        assert [row["channel"] for row in found] == [CHANNEL, MORE]


async def open_case(server: ServerProcess, key: str) -> None:
    body = {
        "type": "confirmation",
        "prompt": "Deploy?",
        "notify": [f"slack:{CHANNEL}"],
        "timeout": "5m",
        "escalation_chain": [{"after": "4m", "notify": [f"slack:{MORE}"], "mention": ["slack:U0LEAD"]}],
    }
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
        answer = await http.post(f"{server.url}/api/hitl/cases", json=body)
    assert answer.status_code == 202, answer.text


async def is_posted(database_url: str) -> bool:
    return bool(await rows(database_url, "SELECT 1 FROM cards WHERE message IS NOT NULL"))


async def climbed(database_url: str) -> bool:
    found = await rows(database_url, "SELECT kind FROM case_events WHERE kind = 'escalated'")
    return len(found) == 1
