"""The walk of docs/runs.md, as written there, with curl; and who may come without a key."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import httpx
import pytest

from tests.support.process import run_assent, serving

DOCS = Path(__file__).parents[2] / "docs" / "runs.md"


def walk() -> str:
    found = re.search(r"```sh\n(ASSENT=.*?)```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_walk_works_as_documented(sqlite_url: str) -> None:
    async with serving(sqlite_url, environment={"DEV_NO_AUTH": "1"}) as server:
        shell = await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            walk().replace("timeoutS=10", "timeoutS=30"),
            env=os.environ | {"ASSENT": server.url},
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await shell.communicate()
        said = out.decode()
        assert 0 == shell.returncode, said
        assert 6 == walk().count("curl ")
        for part in (
            '"status":"waiting_input","nextAction":"APPROVE_PLAN"',
            '"prompt":"Carry out this plan? Give search one replica more"',
            '"isReplay":false',
            '"status":"completed","nextAction":null,"outcome":"executed"',
        ):
            assert part in said, said
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
            for status, name, value in (
                (403, "Origin", "https://elsewhere.example"),
                (403, "Sec-Fetch-Site", "cross-site"),
                (403, "Host", "elsewhere.example"),
                (401, "Authorization", "Bearer x"),
            ):
                answer = await http.post("/api/intents", json={"goal": "x"}, headers={name: value})
                assert status == answer.status_code, name
            other_door = await http.post("/api/hitl/cases", json={"type": "approval", "prompt": "?"})
            assert 401 == other_door.status_code
    status, _, err = await run_assent("verify", "--database", sqlite_url)
    assert 0 == status, err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1"])  # noqa: S104 - it must not start
async def test_a_server_that_others_reach_does_not_start_without_keys(sqlite_url: str, host: str) -> None:
    status, _, err = await run_assent(
        "serve", "--host", host, "--database", sqlite_url, "--port", "0", environment={"DEV_NO_AUTH": "1"}
    )
    assert (1, True) == (status, "DEV_NO_AUTH" in err)
