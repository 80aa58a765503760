"""A server as a process of its own, for tests that kill it: started through the command line, found through its log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import httpx

from core.access import Keys, Scope
from core.hub import Hub
from core.ledger import open_database
from core.sealing import KeyRing
from tests.support.launcher import ASSENT, Launched, launch, start

READY_SECONDS = 60.0  # what a start takes is measured elsewhere
SECRET = "a secret key for tests"


class ServerProcess:
    """A running `assent serve`. `ready_after` is how long it took to answer /readyz, in seconds."""

    def __init__(self, process: asyncio.subprocess.Process | Launched, log: list[str], started: float) -> None:
        self._process = process
        self._log = log
        self._started = started
        self.url = ""
        self.ready_after = 0.0

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return "".join(self._log)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        with suppress(ProcessLookupError):
            self._process.terminate()

    async def ended(self, within: float = 20.0) -> int:
        """Its exit status; TimeoutError when it goes on."""
        async with asyncio.timeout(within):
            return await self._process.wait()

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def _until_ready(self) -> None:
        async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient(trust_env=False) as http:
            while self.alive:
                if not self.url:
                    self.url = _url_in(self._log)
                if self.url:
                    with suppress(httpx.TransportError):
                        if (await http.get(f"{self.url}/readyz")).is_success:
                            self.ready_after = time.monotonic() - self._started
                            return
                await asyncio.sleep(0.01)
        raise AssertionError(f"the server ended with {self._process.returncode}:\n{self.log}")


def _url_in(log: list[str]) -> str:
    for line in log:
        with suppress(json.JSONDecodeError):
            entry = json.loads(line)
            if entry.get("event") == "serving":
                return str(entry["url"])
    return ""


@asynccontextmanager
async def serving(
    database_url: str,
    *arguments: str,
    command: tuple[str, ...] = (ASSENT,),
    environment: Mapping[str, str] | None = None,
    afresh: bool = False,
) -> AsyncIterator[ServerProcess]:
    """`assent serve` on a free port, without rate limits, ready; ended (and waited for) when the block is left.
    `afresh`: started as a shell does it, to measure how long that takes, or memory.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SLACK_", "TELEGRAM_"))}
    started = time.monotonic()
    words = (*command, "serve", "--host", "127.0.0.1", "--port", "0", "--database", database_url, *arguments)
    settings = {"LOG_FORMAT": "json", "ASSENT_SECRET_KEY": SECRET, "RATE_LIMITS": "off"}
    process = await (start if afresh else launch)(*words, environment=clean | settings | dict(environment or {}))
    log: list[str] = []
    reading = asyncio.create_task(_read(process, log))
    server = ServerProcess(process, log, started)
    try:
        await server._until_ready()
        yield server
    finally:
        server.terminate()
        try:
            await server.ended()
        except TimeoutError:
            server.kill()
            await server.ended()
        await reading


async def _read(process: asyncio.subprocess.Process | Launched, log: list[str]) -> None:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        log.append(line.decode(errors="replace"))


async def run_assent(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a command of `assent`: exit status, standard output, standard error."""
    process = await launch(
        ASSENT,
        *arguments,
        environment=dict(os.environ) | {"ASSENT_SECRET_KEY": SECRET} | dict(environment or {}),
        stdout=True,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def make_key(database_url: str, scope: Scope) -> str:
    """An API key, made as the command line makes it but without a process of its own, which would take a second."""
    database = open_database(database_url, pool_size=2)
    await database.start(hub := Hub())
    try:
        key, _ = await Keys(database, KeyRing([SECRET]), hub).create(scope, None)
    finally:
        await database.close()
    return key
