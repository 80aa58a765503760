"""Verification and signed results as a running process has them: its settings choose whose evidence counts, and its
keys rotate.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from adapters.telegram.initdata import start_param
from bot.sandbox import Sandbox
from core.signing import check
from tests.support.dump import everything
from tests.support.evidence import evidence, policy
from tests.support.process import SECRET, ServerProcess, make_key, serving

TAPPED = {
    "submitted_via": "telegram_inline_button",
    "submitted_by": {"platform": "telegram", "platform_user_id": "1002"},
}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox.running(rate_limits=False) as running:
        yield running


def telegram(sandbox: Sandbox) -> dict[str, str]:
    return {"TELEGRAM_BOT_TOKEN": sandbox.telegram.token, "TELEGRAM_BASE_URL": sandbox.telegram.base_url}


async def send(server: ServerProcess, method: str, path: str, key: str, body: Any = None) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as http:
        return await http.request(method, path, json=body, headers={"Authorization": f"Bearer {key}"})


async def answered(server: ServerProcess, sandbox: Sandbox, key: str) -> tuple[httpx.Response, str]:
    """What a Mini App's data brings on a case that asks for it, and that data's signature."""
    body = {"type": "confirmation", "prompt": "Send it?", "verification_policy": policy("telegram")}
    hitl = (await send(server, "POST", "/api/hitl/cases", key, body)).json()["hitl"]
    started = start_param(hitl["case_id"], "confirm", hitl["verification_policy"]["binding"]["challenge"])
    data = sandbox.telegram.init_data("Reviewer One", start_param=started)
    tap = {"action": "confirm", **TAPPED, "verification_evidence": [evidence(data, "telegram")]}
    path = f"/api/hitl/cases/{hitl['case_id']}/respond"
    return await send(server, "POST", path, hitl["submit_token"], tap), data.rpartition("hash=")[2]


async def test_the_settings_choose_whose_evidence_counts(sqlite_url: str, sandbox: Sandbox) -> None:
    key = await make_key(sqlite_url, "agent")
    async with serving(sqlite_url, environment=telegram(sandbox)) as server:
        accepted, proof = await answered(server, sandbox, key)
        assert 200 == accepted.status_code, accepted.text
    without = telegram(sandbox) | {"VERIFICATION_PROVIDERS": "slack"}
    async with serving(sqlite_url, environment=without) as strict:
        refused, other = await answered(strict, sandbox, key)
        assert (403, "verification_failed") == (refused.status_code, refused.json()["error"])
    for text in (server.log, strict.log, await everything(sqlite_url)):
        assert proof not in text
        assert other not in text


async def test_a_result_that_was_signed_before_a_rotation_stays_good(sqlite_url: str) -> None:
    admin = await make_key(sqlite_url, "admin")
    async with serving(sqlite_url) as server:
        source = {"name": "payments", "delivery": {"mode": "PULL_ONLY"}, "signed_responses": True}
        source_id = (await send(server, "POST", "/sources", admin, source)).json()["id"]
        body = {"type": "confirmation", "prompt": "Pay?", "source_id": source_id}
        hitl = (await send(server, "POST", "/api/hitl/cases", admin, body)).json()["hitl"]
        await send(
            server, "POST", f"/api/hitl/cases/{hitl['case_id']}/respond", hitl["submit_token"],
            {"action": "confirm", **TAPPED},
        )  # fmt: skip
        status = f"/api/hitl/cases/{hitl['case_id']}/status"
        before = (await send(server, "GET", status, admin)).json()["result"]
    rotated = {"ASSENT_SECRET_KEY": f"a newer secret that tests use,{SECRET}"}
    async with serving(sqlite_url, environment=rotated) as server:
        keys = (await send(server, "GET", "/.well-known/jwks.json", admin)).json()
        after = (await send(server, "GET", status, admin)).json()["result"]
    assert before["signature"]["signed_at"] == after["signature"]["signed_at"]
    assert before["signature"]["value"] != after["signature"]["value"]
    assert check(hitl["case_id"], before, keys).good
    assert check(hitl["case_id"], after, keys).good
    assert "d" not in {name for jwk in keys["keys"] for name in jwk}
    assert SECRET not in json.dumps(keys)
