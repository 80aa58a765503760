"""Many cases for a long while, over PostgreSQL, with servers that are killed: agents ask, people answer, executors pull
and ack, and all of them try again as clients are asked to.

`python -m tests.chaos.soak --runs 10000 --concurrency 16 --kill-every 10 --limit 1500` prints where it stands every ten
seconds, and its figures at the end. Nothing may be lost or doubled, and `assent verify` must find nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil

from tests.bench.figures import spread
from tests.chaos.races import a_database
from tests.support.databases import rows
from tests.support.gates import until
from tests.support.process import ServerProcess, make_key, run_assent, serving
from tests.support.server import TAPPED

PROCESSES = 2
PULLERS = 2
PAGE = 100
AGAIN = {429, 502, 503}
IN_FLIGHT = "idempotency_in_flight"
REPORT_SECONDS = 10.0
Environment = Callable[[str], Mapping[str, str]]  # of the server of this name


@dataclass(frozen=True)
class Plan:
    runs: int
    concurrency: int = 16
    kill_every: float = 10.0
    limit_seconds: float = 1_500.0


@dataclass
class Seen:
    """What everybody saw. `seconds`: of each run, from the agent's question to its answer. `actions`: what became of
    each, by its id.
    """

    seconds: list[float] = field(default_factory=list)
    actions: dict[str, str] = field(default_factory=dict)
    acked: Counter[str] = field(default_factory=Counter)
    again: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    ready: list[float] = field(default_factory=list)
    mebibytes: list[float] = field(default_factory=list)


class Servers:
    """Processes on one database. A client talks to any of those that live; who follows a dead one has its name."""

    def __init__(self, database_url: str, seen: Seen, environment: Environment) -> None:
        self._url, self._seen, self._environment = database_url, seen, environment
        self._living: dict[ServerProcess, tuple[str, AsyncExitStack]] = {}

    async def start(self, name: str) -> None:
        stack = AsyncExitStack()
        beginning = serving(self._url, "--roles", "api,clock", environment=self._environment(name), afresh=True)
        server = await stack.enter_async_context(beginning)
        self._living[server] = name, stack
        self._seen.ready.append(server.ready_after)

    async def havoc(self, every: float) -> None:
        """Kill one every so many seconds (0: never), and start another."""
        while every:
            await asyncio.sleep(every)
            victim = random.choice(list(self._living))
            self._seen.mebibytes.append(psutil.Process(victim.pid).memory_info().rss / 2**20)
            name, stack = self._living.pop(victim)
            victim.kill()
            await stack.aclose()
            self._seen.kills += 1
            await self.start(name)

    async def any(self) -> str:
        await until(lambda: self._living, 60)
        return random.choice(list(self._living)).url

    async def close(self) -> None:
        for _, stack in self._living.values():
            await stack.aclose()


class Caller:
    """Somebody with a key, who asks again for as long as there is no answer."""

    def __init__(self, servers: Servers, http: httpx.AsyncClient, seen: Seen) -> None:
        self._servers, self._http, self._seen = servers, http, seen

    async def call(self, method: str, path: str, key: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"} | more.pop("headers", {})
        while True:
            try:
                answer = await self._http.request(method, await self._servers.any() + path, headers=headers, **more)
            except httpx.TransportError as error:
                self._seen.again[type(error).__name__] += 1
            else:
                in_flight = answer.status_code == 409 and answer.json().get("error") == IN_FLIGHT
                if answer.status_code not in AGAIN and not in_flight:
                    assert answer.is_success, (method, path, answer.status_code, answer.text)
                    return answer
                self._seen.again[str(answer.status_code)] += 1
            await asyncio.sleep(0.1)


async def soak(database_url: str, plan: Plan) -> dict[str, Any]:
    """The figures. Raises AssertionError for whatever must not happen, TimeoutError when it takes too long."""
    agent, executor = await make_key(database_url, "agent"), await make_key(database_url, "executor")
    admin = await make_key(database_url, "admin")
    seen = Seen()
    began = time.monotonic()
    async with asyncio.timeout(plan.limit_seconds), callers(database_url, seen) as (servers, caller):
        made = await caller.call("POST", "/sources", admin, json={"name": "soak"})
        source = str(made.json()["id"])
        numbers = iter(range(plan.runs))

        async def agents() -> None:
            for n in numbers:
                await _run(caller, agent, source, n, seen)

        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(servers.havoc(plan.kill_every)),
                group.create_task(tell(seen, plan, began)),
                *(group.create_task(_pull(caller, executor, source, seen)) for _ in range(PULLERS)),
            ]
            async with asyncio.TaskGroup() as asking:
                for _ in range(plan.concurrency):
                    asking.create_task(agents())
            answered = time.monotonic() - began
            await until(lambda: len(seen.acked) == plan.runs, plan.limit_seconds)
            for task in beside:
                task.cancel()
    acked = time.monotonic() - began
    await _check(database_url, plan, seen)
    return {"runs": plan.runs, "seconds": round(acked, 1), **figures(plan, seen, answered)}


def figures(plan: Plan, seen: Seen, answered: float) -> dict[str, Any]:
    """What everybody saw, in numbers. `answered`: seconds from the first question to the last answer."""
    p50, p99 = spread(seen.seconds)
    return {
        "runs_per_second": round(plan.runs / answered, 1),
        "run_p50_ms": round(p50),
        "run_p99_ms": round(p99),
        "kills": seen.kills,
        "ready_after_seconds_at_most": round(max(seen.ready), 2),
        "mebibytes_at_most": round(max(seen.mebibytes, default=0.0)),
        "asked_again": dict(seen.again),
    }


@asynccontextmanager
async def callers(
    database_url: str, seen: Seen, environment: Environment = lambda name: {}
) -> AsyncIterator[tuple[Servers, Caller]]:
    """Servers, and somebody who asks them until they answer."""
    servers = Servers(database_url, seen, environment)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(trust_env=False, timeout=30, limits=limits) as http:
        try:
            for n in range(PROCESSES):
                await servers.start(f"server-{n + 1}")
            yield servers, Caller(servers, http, seen)
        finally:
            await servers.close()


async def _run(caller: Caller, key: str, source: str, n: int, seen: Seen) -> None:
    """Ask, answer, and see the answer."""
    began = time.monotonic()
    body = {"type": "confirmation", "prompt": f"Deploy {n}?", "source_id": source}
    asked = await caller.call("POST", "/api/hitl/cases", key, json=body, headers={"Idempotency-Key": f"run-{n}"})
    hitl = asked.json()["hitl"]
    action = "cancel" if n % 10 == 9 else "confirm"
    await caller.call("POST", _path(hitl["submit_url"]), hitl["submit_token"], json={"action": action, **TAPPED})
    found = (await caller.call("GET", _path(hitl["poll_url"]), key)).json()
    assert ("completed", action) == (found["status"], found["result"]["action"]), found
    assert hitl["case_id"] not in seen.actions, "two runs got the same case"
    seen.actions[hitl["case_id"]] = action
    seen.seconds.append(time.monotonic() - began)


def _path(url: str) -> str:
    """Without the server, which may be gone."""
    return httpx.URL(url).raw_path.decode()


async def _pull(caller: Caller, key: str, source: str, seen: Seen) -> None:
    path = f"/sources/{source}/decision-events"
    while True:
        page = (await caller.call("GET", path, key, params={"limit": PAGE, "wait": 1})).json()["items"]
        if page:
            ids = {"event_ids": [event["event_id"] for event in page]}
            told = (await caller.call("POST", f"{path}/ack", key, json=ids)).json()
            assert [] == told["unknown"], told
            seen.acked.update(event["case_id"] for event in page)


async def tell(seen: Seen, plan: Plan, began: float) -> None:
    """Every now and then, how far it is."""
    while True:
        await asyncio.sleep(REPORT_SECONDS)
        took = time.monotonic() - began
        print(f"{took:.0f} s: {len(seen.seconds)} of {plan.runs} answered, {seen.kills} kills", flush=True)


async def _check(database_url: str, plan: Plan, seen: Seen) -> None:
    for table in ("cases", "human_interactions", "decisions", "decision_events"):
        (counted,) = await rows(database_url, f"SELECT count(*) AS n, count(DISTINCT case_id) AS cases FROM {table}")
        assert (plan.runs, plan.runs) == (counted["n"], counted["cases"]), f"{table}: {dict(counted)}"
    found = await rows(database_url, "SELECT case_id, action FROM decisions")
    decided = {row["case_id"]: row["action"] for row in found}
    assert seen.actions == decided, "what agents were told is what was decided"
    assert set(decided) == set(seen.acked)
    status, out, err = await run_assent("verify", "--database", database_url)
    assert status == 0, out + err


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="cases to ask, answer, pull and ack")
    parser.add_argument("--concurrency", type=int, default=16, help="agents that ask at the same time")
    parser.add_argument("--kill-every", type=float, default=10.0, help="seconds from one SIGKILL to the next; 0: none")
    parser.add_argument("--limit", type=float, default=1_500.0, help="seconds after which the soak has failed")
    given = parser.parse_args()
    plan = Plan(given.runs, given.concurrency, given.kill_every, given.limit)
    with a_database("postgresql") as url:
        print(json.dumps(asyncio.run(soak(url, plan))), flush=True)


if __name__ == "__main__":
    main()
