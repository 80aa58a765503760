"""Whether the process lives, and whether it should be sent work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Literal

from typing_extensions import TypedDict

from api.call import Call, Handler
from api.http import Answers, json_answer
from core.errors import Unavailable

DATABASE_SECONDS = 3.0

Beating = Callable[[], Mapping[str, bool]]


class Alive(TypedDict):
    status: Literal["ok"]


class Ready(TypedDict):
    """`checks`: the database, and every worker of the process. `warnings`: what somebody should look into, though work
    goes on.
    """

    status: Literal["ready", "not ready"]
    checks: dict[str, bool]
    warnings: list[str]


async def healthz(call: Call) -> Answers:
    """`GET /healthz`: the process answers."""
    return json_answer(200, Alive(status="ok"))


def readyz(beating: Beating) -> Handler:
    async def ready(call: Call) -> Answers:
        """`GET /readyz`: the database answers with the schema of this code, and every worker of the process beats."""
        checks = {"database": await _database(call), **{f"worker:{name}": ok for name, ok in beating().items()}}
        ok = all(checks.values())
        body = Ready(status="ready" if ok else "not ready", checks=checks, warnings=_warnings(call))
        return json_answer(200, body) if ok else json_answer(503, body, (b"retry-after", b"1"))

    return ready


def _warnings(call: Call) -> list[str]:
    # Whoever may know what is in the files asks there.
    wrong = "the policy files are wrong, so what was in force before stays in force; GET /policies and the log say why"
    return [] if call.services.policies.problem is None else [wrong]


async def _database(call: Call) -> bool:
    try:
        async with asyncio.timeout(DATABASE_SECONDS):
            return await call.services.views.schema_is_current()
    except (Unavailable, TimeoutError):
        return False
