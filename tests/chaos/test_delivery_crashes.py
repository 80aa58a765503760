"""Kill the server around a callback: the agent is told, with the same bytes and id however often it is told."""

from __future__ import annotations

import sys

import httpx
import pytest

from core.checkpoints import DELIVERY_NAMES
from tests.support.databases import rows
from tests.support.gates import as_superuser, until
from tests.support.process import ServerProcess, make_key, serving
from tests.support.receiver import receiver
from tests.support.server import TAPPED

# How often the agent is told. After a 2xx that was not noted down nobody can know, so it is told again.
TOLD = {"delivery.before_send": 1, "delivery.after_send": 2, "delivery.after_save": 1}


@pytest.mark.parametrize("point", DELIVERY_NAMES)
async def test_a_crash_loses_no_callback(database_url: str, point: str) -> None:
    key = await make_key(database_url, "agent")
    dying = (sys.executable, "-m", "tests.chaos.dying", point, "1")
    async with receiver() as there:
        async with serving(database_url, command=dying) as server:
            await close_case(server, key, there.url())
            assert await server.ended() == -9, f"{point} was never reached"
        # The dead courier's lease, as if its time were up.
        await as_superuser(database_url, "UPDATE deliveries SET due_at = 0")
        async with serving(database_url) as server:
            await until(lambda: all_delivered(database_url), 20)
        assert TOLD[point] == len(there.received)
        assert 1 == len({(request.headers["webhook-id"], request.body) for request in there.received})


async def close_case(server: ServerProcess, key: str, url: str) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}, trust_env=False) as http:
        body = {"type": "confirmation", "prompt": "Deploy?", "hitl_callback_url": url}
        hitl = (await http.post(f"{server.url}/api/hitl/cases", json=body)).json()["hitl"]
        token = {"Authorization": f"Bearer {hitl['submit_token']}"}
        try:
            await http.post(hitl["submit_url"], json={"action": "confirm", **TAPPED}, headers=token)
        except httpx.TransportError:
            return  # the server died before it could say that it was recorded


async def all_delivered(database_url: str) -> bool:
    return ["delivered"] == [row["state"] for row in await rows(database_url, "SELECT state FROM deliveries")]
