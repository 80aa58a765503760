"""Whether the process lives, and whether it should be sent work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from api.http import Answers, Call, Handler, json_answer
from core.errors import Unavailable

DATABASE_SECONDS = 3.0

Beating = Callable[[], Mapping[str, bool]]


async def healthz(call: Call) -> Answers:
    """`GET /healthz`: the process answers."""
    return json_answer(200, {"status": "ok"})


def readyz(beating: Beating) -> Handler:
    async def ready(call: Call) -> Answers:
        """`GET /readyz`: the database answers with the schema of this code, and every worker of the process beats."""
        checks = {"database": await _database(call), **{f"worker:{name}": ok for name, ok in beating().items()}}
        ok = all(checks.values())
        body = {"status": "ready" if ok else "not ready", "checks": checks}
        return json_answer(200, body) if ok else json_answer(503, body, (b"retry-after", b"1"))

    return ready


async def _database(call: Call) -> bool:
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            return await call.services.views.schema_is_current()
    except (Unavailable, TimeoutError):
        return False
