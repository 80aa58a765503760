"""Names and clocks as a running process has them: what messengers say is learnt beside the answers, and the setting of
the time zone reaches the bot.
"""

from __future__ import annotations

import httpx

from bot.sandbox import Sandbox
from tests.support.chats import bot_said
from tests.support.databases import eventually
from tests.support.process import make_key, serving
from tests.support.review_page import words_of


async def test_a_running_process_learns_names_and_tells_times_by_its_clocks(sqlite_url: str) -> None:
    key = await make_key(sqlite_url, "agent")
    async with Sandbox.running(rate_limits=False) as sandbox:
        environment = {
            "TELEGRAM_BOT_TOKEN": sandbox.telegram.token, "TELEGRAM_BASE_URL": sandbox.telegram.base_url,
            "TIME_ZONE": "Asia/Kolkata",
        }  # fmt: skip
        async with (
            serving(sqlite_url, environment=environment) as server,
            httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http,
        ):
            body = {
                "type": "confirmation", "prompt": "Send it?", "notify": ["telegram:-4001"],
                "reviewers": {"any_of": ["telegram:1002", "telegram:1003"]},
            }  # fmt: skip
            headers = {"Authorization": f"Bearer {key}"}
            link = (await http.post("/api/hitl/cases", json=body, headers=headers)).json()["hitl"]["review_url"]

            async def named() -> bool:
                said = words_of((await http.get(link)).text)
                return "it can be decided by Reviewer One (Telegram) or Reviewer Two (Telegram)" in said

            await eventually(named)
            sandbox.telegram.say(1003, "/start", "Reviewer Two")
            await bot_said(sandbox, 1003, "This is Assent")
            sandbox.telegram.say(1002, "/away until tomorrow 18:00 to @reviewer_two", "Reviewer One")
            await bot_said(sandbox, 1002, ", 18:00 (Asia/Kolkata). Where you are named, Reviewer Two answers")
