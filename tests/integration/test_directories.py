"""A process that serves pages alone asks the messengers who is in which chat and user group, too."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from bot.compose import assemble
from bot.sandbox import Sandbox
from bot.settings import read_settings
from core.model import Identity

ONE = Identity("slack", "U0REVIEW1", "Reviewer One", team="T0SANDBOX", verified=True)
OUTSIDER = Identity("slack", "U0OUTSIDE", "Outsider", team="T0SANDBOX", verified=True)
THERE = Identity("telegram", "1002", "Reviewer One", verified=True)
GROUP = "-1001000000001"
ROOT = Path(__file__).parents[2]


NOTHING_LOADED = """
import sys
from bot.compose import assemble
from bot.settings import read_settings

settings = read_settings(
    database_url="postgresql://nowhere/none", slack_bot_token="xoxb-1", slack_signing_secret="s",
    telegram_bot_token="1:a", assent_secret_key=("a secret that only tests use",),
)
assembly = assemble(settings, ("api",), "http://localhost")
print(sorted(directory.platform for directory in assembly.known))
print([name for name in sys.modules if name.partition(".")[0] in ("slack_sdk", "slack_bolt")])
"""


def test_a_process_of_pages_loads_slacks_sdk_when_it_has_to_ask() -> None:
    said = subprocess.run([sys.executable, "-c", NOTHING_LOADED], capture_output=True, text=True, check=True, cwd=ROOT)

    assert ["['slack', 'telegram']", "[]"] == said.stdout.splitlines()


async def test_a_process_without_messengers_knows_people_by_the_messengers_word(postgres_url: str) -> None:
    async with Sandbox.running() as sandbox:
        settings = read_settings(
            database_url=postgres_url,
            slack_bot_token=sandbox.slack.app.bot_token,
            slack_signing_secret=sandbox.slack.app.signing_secret,
            slack_base_url=sandbox.slack.base_url,
            telegram_bot_token=sandbox.telegram.token,
            telegram_base_url=sandbox.telegram.base_url,
            assent_secret_key=("a secret that only tests use",),
        )
        assembly = assemble(settings, ("api",), "http://localhost")
        directories = assembly.chat.directories
        groups = ["slack:S0REVIEWS", "slack:S0STANDBY"]
        assert await directories.groups_of(ONE, groups) == {"slack:S0REVIEWS"}
        assert await directories.groups_of(OUTSIDER, groups) == frozenset()
        assert await directories.chats_of(ONE, {"C0APPROVE", "C0UNJOINE"}) == {"C0APPROVE"}
        assert await directories.chats_of(OUTSIDER, {"C0APPROVE"}) == frozenset()
        assert await directories.chats_of(THERE, {GROUP, "-5"}) == {GROUP}
        await asyncio.gather(*(directory.close() for directory in assembly.known))
