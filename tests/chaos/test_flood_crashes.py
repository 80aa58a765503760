"""Kill the server in the middle of a flood, after a digest and after a card were sent: neither stands there twice."""

from __future__ import annotations

import sys
from typing import Any

import httpx

from bot.sandbox import Sandbox
from bot.sandbox.slack import Message
from tests.integration.slack_support import shown
from tests.support.databases import rows
from tests.support.gates import as_superuser, until
from tests.support.process import ServerProcess, make_key, serving

CHANNEL = "C0APPROVE"
CASES = 6
CAP = 4
LEASES_ARE_OVER = (
    "UPDATE digests SET due_at = 0",
    "UPDATE cards SET due_at = 0 WHERE wanted_version > shown_version AND queue IS NULL",
)
NOBODY_WAITS_FOR_THE_CAP = "UPDATE chats SET next_at = 0 WHERE next_at IS NOT NULL"


async def test_a_crash_in_a_flood_doubles_neither_a_card_nor_the_digest(sqlite_url: str) -> None:
    async with Sandbox.running() as sandbox:
        key = await make_key(sqlite_url, "agent")
        environment = {
            "SLACK_BOT_TOKEN": sandbox.slack.app.bot_token,
            "SLACK_SIGNING_SECRET": sandbox.slack.app.signing_secret,
            "SLACK_BASE_URL": sandbox.slack.base_url,
            "CARD_PUSHES_PER_MINUTE": str(CAP),
        }
        for place, (point, nth) in enumerate((("digest.after_send", "1"), ("card.after_send", "2"))):
            dying = (sys.executable, "-m", "tests.chaos.dying", point, nth)
            async with serving(sqlite_url, command=dying, environment=environment) as server:
                if place == 0:
                    await open_cases(server, key)
                assert await server.ended() == -9, f"{point} was never reached"
            # What was posted still counts, and Slack's own limits hold: only the cap lets more through from here on.
            environment["CARD_PUSHES_PER_MINUTE"] = "60"
            await as_superuser(sqlite_url, *LEASES_ARE_OVER, NOBODY_WAITS_FOR_THE_CAP)
        async with serving(sqlite_url, environment=environment):
            await until(lambda: all_shown(sqlite_url))
        messages = sandbox.slack.messages(CHANNEL)
        cards = [prompt(message) for message in messages if is_card(message)]
        assert sorted(f"Deploy {number}?" for number in range(CASES)) == sorted(cards)
        (digest,) = [message for message in messages if not is_card(message)]
        assert "All questions that waited here are shown." in shown(digest)
        assert [] == [call for call in sandbox.calls() if call.status == 429]


async def open_cases(server: ServerProcess, key: str) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
        for number in range(CASES):
            body = {"type": "confirmation", "prompt": f"Deploy {number}?", "notify": [f"slack:{CHANNEL}"]}
            answer = await http.post(f"{server.url}/api/hitl/cases", json=body)
            assert 202 == answer.status_code, answer.text


def is_card(message: Message) -> bool:
    payload: dict[str, Any] = (message.metadata or {}).get("event_payload", {})
    return "case_id" in payload


def prompt(message: Message) -> str:
    return next(line for line in shown(message).splitlines() if line.startswith("Deploy "))


async def all_shown(url: str) -> bool:
    behind = await rows(url, "SELECT 1 FROM cards WHERE wanted_version > shown_version")
    return not behind and not await rows(url, "SELECT 1 FROM digests")
