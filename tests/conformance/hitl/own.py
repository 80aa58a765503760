"""Our own server as a target: a whole process of it, in a thread, with a clock that can be moved.

The only module of this suite that knows the server's code.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn
from urllib.parse import urlencode

from pydantic import SecretStr

from adapters.telegram.initdata import start_param
from bot.roles import Role
from bot.serve import running
from bot.settings import Settings
from core.ledger import migrate
from tests.conformance.hitl.target import TAP, Case, Target

ROLES: tuple[Role, ...] = ("api", "courier", "clock")
SECRET = "a secret for the conformance suite"
BOT_TOKEN = "123456:a-bot-that-is-never-asked"
START_SECONDS = 30.0

DIFFERENT = {
    "test_a_token_that_is_not_the_cases_own_answers_401": "A token that was sent and does not fit is 403 "
    "`invalid_token` here; 401 is for requests without any.",
    "test_a_case_stays_open_for_seven_days_at_most": "A case may stay open for 30 days here.",
    "test_the_cancelled_event_says_when": "The payload of `review.cancelled` is the case and the reason here; the poll "
    "says when.",
}
"""Where our contract wants something else than the specification recommends, by test, with the reason."""


class Own(Target):
    """Time passes by moving the server's clock; proofs are those of a Telegram Mini App."""

    name = "our own server"

    def __init__(self, url: str, key: str, admin_key: str, clock: Clock) -> None:
        super().__init__(url, key, patience=float("inf"))
        self.admin_key = admin_key
        self._clock = clock
        self._source_id = ""

    def lacks(self, what: str) -> NoReturn:
        raise AssertionError(f"our own server has everything that the specification knows, but: {what}")

    def later(self, seconds: float) -> None:
        self._clock.forward(seconds)

    def signed(self) -> dict[str, Any]:
        if not self._source_id:
            made = self.anyone.post(
                "/sources",
                json={"name": "signed", "signed_responses": True},
                headers={"Authorization": f"Bearer {self.admin_key}"},
            )
            self._source_id = made.json()["id"]
        return {"source_id": self._source_id}

    def evidence(self, case: Case, action: str) -> dict[str, Any]:
        challenge = case["verification_policy"]["binding"]["challenge"]
        fields = {
            "auth_date": str(int(time.time() + self._clock.offset / 1000)),
            "query_id": hashlib.sha256(case["case_id"].encode()).hexdigest()[:16],
            "start_param": start_param(case["case_id"], action, challenge),
            "user": json.dumps({"id": int(TAP["submitted_by"]["platform_user_id"]), "first_name": "One"}),
        }
        key = hmac.digest(b"WebAppData", BOT_TOKEN.encode(), "sha256")
        lines = "\n".join(f"{name}={fields[name]}" for name in sorted(fields))
        fields["hash"] = hmac.digest(key, lines.encode(), "sha256").hex()
        return {
            "proof_type": "proof_of_human",
            "provider": self.provider(),
            "format": "provider_opaque",
            "presentation": urlencode(fields),
            "binding": {"case_id": case["case_id"], "action": action, "challenge": challenge},
        }


class Clock:
    """Moves the server's clock, and wakes whoever sleeps until some moment on it. `offset` is in milliseconds."""

    def __init__(self) -> None:
        self.offset = 0
        self.wake: Callable[[], object] = int

    def forward(self, seconds: float) -> None:
        self.offset += int(seconds * 1000)
        self.wake()


@contextmanager
def own_server(database_url: str) -> Iterator[Own]:
    """A running server on a database that is still empty."""
    migrate(database_url)
    settings = Settings(
        _env_file=None,
        database_url=database_url,
        port=0,
        assent_secret_key=(SecretStr(SECRET),),
        telegram_bot_token=SecretStr(BOT_TOKEN),
        spec_version="0.8",
    )
    clock, begun, end = Clock(), threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def serve() -> None:
        loop = found["loop"] = asyncio.get_running_loop()
        async with running(settings, ROLES, clock_offset=lambda: clock.offset) as (process, _):
            keys, hub = process.assembly.services.keys, process.assembly.hub
            clock.wake = lambda: loop.call_soon_threadsafe(hub.wake_everybody)
            found["keys"] = [(await keys.create(scope, None))[0] for scope in ("agent", "admin")]
            found["url"] = process.url
            begun.set()
            await end.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            begun.set()

    thread = threading.Thread(target=run, name="own-server")
    thread.start()
    try:
        assert begun.wait(START_SECONDS), "the server did not start"
        assert "url" in found, "the server could not start"
        agent_key, admin_key = found["keys"]
        own = Own(found["url"], agent_key, admin_key, clock)
        try:
            yield own
        finally:
            own.close()
    finally:
        if thread.is_alive():
            found["loop"].call_soon_threadsafe(end.set)
        thread.join()
