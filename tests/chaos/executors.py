"""Executors through a bad day: decisions are pushed by couriers that are killed and stopped, and pulled, claimed and
acked by pullers that race for them.

`python -m tests.chaos.executors --events 4000` starts a PostgreSQL, an API process and four couriers, kills one of
them every five seconds and stops another past its lease, and prints what came of it. The suite runs the same with
smaller numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
from standardwebhooks import Webhook

from core.deliveries import LEASE_MS
from tests.chaos.races import a_database
from tests.support.databases import rows
from tests.support.gates import as_superuser, until
from tests.support.process import ServerProcess, make_key, run_assent, serving
from tests.support.receiver import Received, Receiver, answer, receiver
from tests.support.server import TAPPED

SECRET = "whsec_" + base64.b64encode(b"a key for the chaos suite only").decode()
SOURCES = 4
AGENTS = 8
PAGE = 40
HURRIED_MS = 3_000


@dataclass(frozen=True)
class Plan:
    """`hurry`: leases end after a few seconds, not when their time is up."""

    events: int
    couriers: int = 4
    pullers: int = 4
    kill_every: float = 5.0
    kills: int = 1_000
    hurry: bool = False
    limit_seconds: float = 230.0


@dataclass
class Day:
    """What everybody saw."""

    sources: list[str] = field(default_factory=list)
    decided: int = 0
    granted: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    acked: dict[str, float] = field(default_factory=dict)
    reappeared: list[str] = field(default_factory=list)
    kills: int = 0
    lease_lost: int = 0


async def bad_day(database_url: str, plan: Plan) -> dict[str, Any]:
    """The figures. Raises AssertionError for whatever must not happen, and when it takes too long."""
    try:
        return await _day(database_url, plan)
    except TimeoutError as error:
        left = "SELECT * FROM deliveries d JOIN endpoints USING (endpoint_id) WHERE d.state = 'waiting'"
        raise AssertionError(f"not over in time; still to be delivered: {await rows(database_url, left)}") from error


async def _day(database_url: str, plan: Plan) -> dict[str, Any]:
    keys = {scope: await make_key(database_url, scope) for scope in ("admin", "agent", "executor")}
    async with asyncio.timeout(plan.limit_seconds), AsyncExitStack() as stack:
        there = await stack.enter_async_context(receiver())
        api = await stack.enter_async_context(serving(database_url, "--roles", "api,clock"))
        http = {scope: await stack.enter_async_context(_client(api.url, key)) for scope, key in keys.items()}
        day = Day(sources=[await _source(http["admin"], there.url(f"/{n}")) for n in range(SOURCES)])
        couriers = Couriers(database_url, there, day, plan)
        stack.push_async_callback(couriers.close)
        await couriers.start()

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            havoc = group.create_task(couriers.havoc())
            pulling = [
                group.create_task(_pull(http["executor"], day, f"puller-{n}", plan.events)) for n in range(plan.pullers)
            ]
            await _decide(http["agent"], day, plan.events)
            decided = time.monotonic() - began
            await asyncio.gather(*pulling)
            acked = time.monotonic() - began
            await couriers.all_stopped_once()
            while not await _all_delivered(database_url, plan.events):
                if plan.hurry:
                    await end_leases(database_url)
                await asyncio.sleep(0.2)
            delivered = time.monotonic() - began
            havoc.cancel()
        await couriers.close()  # the one that was stopped has come back, and may say what it likes
        await _check(database_url, day, there.received, plan)
        first = Counter(request.headers["webhook-id"] for request in there.received)
        arrived = _arrivals(there.received)
        return {
            "events": plan.events,
            "decided_in_seconds": round(decided, 1),
            "pulled_claimed_acked_in_seconds": round(acked, 1),
            "all_delivered_in_seconds": round(delivered, 1),
            "events_per_second": round(0.95 * plan.events / arrived[int(0.95 * plan.events) - 1], 1),
            "duplicates": sum(first.values()) - len(first),
            "claims_granted": sum(day.granted.values()),
            "claims_refused": day.refused,
            "couriers_killed": day.kills,
            "saves_fenced_off": day.lease_lost,
        }


class Couriers:
    """Courier processes that come and go."""

    def __init__(self, database_url: str, there: Receiver, day: Day, plan: Plan) -> None:
        self._url, self._there, self._day, self._plan = database_url, there, day, plan
        self._running: dict[ServerProcess, AsyncExitStack] = {}
        self._stopped_once = asyncio.Event()

    async def start(self) -> None:
        for _ in range(self._plan.couriers):
            await self._one()

    async def _one(self) -> None:
        """One more, however long a busy machine takes to start it."""
        while True:
            stack = AsyncExitStack()
            with suppress(TimeoutError):
                server = await stack.enter_async_context(serving(self._url, "--roles", "courier"))
                self._running[server] = stack
                return

    async def havoc(self) -> None:
        """Stop one past its lease, kill another one every few seconds."""
        stopped = next(iter(self._running))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stop(stopped))
            for _ in range(self._plan.kills):
                await asyncio.sleep(self._plan.kill_every)
                victim = random.choice([one for one in self._running if one is not stopped])
                victim.kill()
                self._day.kills += 1
                await self._gone(victim)
                await self._one()

    async def _stop(self, server: ServerProcess) -> None:
        """Stop it while it has something under way, and let it go on when others have sent all of that."""
        await until(lambda: len(self._there.received) >= self._plan.events / 10, 60)
        answered, waiting = asyncio.Event(), set[int]()

        async def hold(writer: asyncio.StreamWriter) -> None:
            waiting.add(writer.get_extra_info("peername")[1])
            await answered.wait()
            await answer(200)(writer)

        self._there.then = hold
        await until(lambda: _has_one_of(server, waiting), 60)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            self._there.then = answer(200)
            answered.set()
            await asyncio.sleep(1)
            tried = "FROM deliveries WHERE attempts > 0"
            held_up = await rows(self._url, f"SELECT delivery_id {tried} AND state = 'waiting'")
            ids = {row["delivery_id"] for row in held_up}

            async def taken_over() -> bool:
                await asyncio.sleep(0.2)
                if self._plan.hurry:
                    await end_leases(self._url)
                sent = await rows(self._url, f"SELECT delivery_id {tried} AND state = 'delivered'")
                return ids <= {row["delivery_id"] for row in sent}

            await until(taken_over, 3 * LEASE_MS / 1000)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        self._stopped_once.set()

    async def all_stopped_once(self) -> None:
        await self._stopped_once.wait()

    async def _gone(self, server: ServerProcess) -> None:
        await self._running.pop(server).aclose()
        self._day.lease_lost += server.log.count('"delivery.lease_lost"')

    async def close(self) -> None:
        for server in list(self._running):
            await self._gone(server)


async def end_leases(database_url: str) -> None:
    """As if a lease was a few seconds long. One that ended at once would be taken from a courier that is at work, too,
    over and over on a busy machine, and nothing would ever be noted down.
    """
    await as_superuser(
        database_url,
        f"""UPDATE deliveries SET due_at = 0
        WHERE state = 'waiting' AND due_at < extract(epoch FROM clock_timestamp()) * 1000 + {LEASE_MS - HURRIED_MS}""",
    )


def _has_one_of(server: ServerProcess, ports: set[int]) -> bool:
    return not ports.isdisjoint(one.laddr.port for one in psutil.Process(server.pid).net_connections("tcp"))


@asynccontextmanager
async def _client(url: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {key}"}, trust_env=False, timeout=30
    ) as http:
        yield http


async def _source(admin: httpx.AsyncClient, url: str) -> str:
    body = {"name": "chaos", "delivery": {"webhook": {"url": url, "secret": SECRET}}}
    made = await admin.post("/sources", json=body)
    assert 201 == made.status_code, made.text
    return str(made.json()["id"])


async def _decide(agent: httpx.AsyncClient, day: Day, events: int) -> None:
    numbers = iter(range(events))

    async def one_after_the_other() -> None:
        for n in numbers:
            body = {"type": "confirmation", "prompt": f"Deploy {n}?", "source_id": day.sources[n % SOURCES]}
            hitl = (await agent.post("/api/hitl/cases", json=body)).json()["hitl"]
            action = "cancel" if n % 10 == 9 else "confirm"
            token = {"Authorization": f"Bearer {hitl['submit_token']}"}
            told = await agent.post(hitl["submit_url"], json={"action": action, **TAPPED}, headers=token)
            assert 200 == told.status_code, told.text
            day.decided += 1

    await asyncio.gather(*(one_after_the_other() for _ in range(AGENTS)))


async def _pull(executor: httpx.AsyncClient, day: Day, name: str, events: int) -> None:
    """Pull, claim, act, ack, until every event is acked by somebody."""
    while len(day.acked) < events:
        for source in random.sample(day.sources, SOURCES):
            path, asked = f"/sources/{source}/decision-events", time.monotonic()
            page = (await executor.get(path, params={"limit": PAGE})).json()["items"]
            day.reappeared += [one["event_id"] for one in page if day.acked.get(one["event_id"], asked) < asked]
            random.shuffle(page)
            done = [
                one["event_id"] for one in page if await _acted(executor, day, f"{path}/{one['event_id']}", one, name)
            ]
            if done:
                told = (await executor.post(f"{path}/ack", json={"event_ids": done})).json()
                assert [] == told["unknown"]
                day.acked |= dict.fromkeys(told["acked"], time.monotonic())
        await asyncio.sleep(0.05)


async def _acted(executor: httpx.AsyncClient, day: Day, path: str, event: Mapping[str, Any], name: str) -> bool:
    """Whether this event is this puller's to ack: it holds the claim, or there is nothing to act on."""
    if event["decision"]["type"] == "DENY":
        return True
    if event["event_id"] in day.acked:
        return False
    wanted = {"final_digest": event["final_digest"], "claimer_id": f"{name}-{random.getrandbits(64)}"}
    told = await executor.post(f"{path}/claim", json=wanted)
    assert told.status_code in (200, 409), told.text
    if told.status_code == 200:
        day.granted[event["event_id"]] += 1
        return True
    day.refused += 1
    return False


async def _all_delivered(database_url: str, events: int) -> bool:
    found = await rows(database_url, "SELECT count(*) AS n FROM deliveries WHERE state = 'delivered'")
    return bool(found[0]["n"] == events)


def _arrivals(received: list[Received]) -> list[float]:
    """When each event arrived first, in seconds after the first of all."""
    first: dict[str, float] = {}
    for request in received:
        first.setdefault(request.headers["webhook-id"], request.at)
    times = sorted(first.values())
    return [at - times[0] for at in times]


async def _check(database_url: str, day: Day, received: list[Received], plan: Plan) -> None:
    events = await rows(database_url, "SELECT event_id, body FROM decision_events")
    bodies = {row["event_id"]: str(row["body"]) for row in events}
    approved = {event for event, body in bodies.items() if json.loads(body)["decision"]["type"] == "APPROVE"}
    assert plan.events == len(bodies) == day.decided
    assert set(bodies) == {request.headers["webhook-id"] for request in received}, "every event arrived"
    for request in received:
        assert bodies[request.headers["webhook-id"]].encode() == request.body, "the same bytes each time"
    Webhook(SECRET).verify(received[-1].body, received[-1].headers, json_parse=False)
    states = await rows(database_url, "SELECT state, count(*) AS n FROM deliveries GROUP BY state")
    assert {"delivered": plan.events} == {row["state"]: row["n"] for row in states}, "nothing undid a delivery"
    assert dict.fromkeys(approved, 1) == dict(day.granted), "each claim was granted once"
    claims = await rows(database_url, "SELECT event_id FROM claims")
    assert approved == {row["event_id"] for row in claims}
    assert day.lease_lost, "the courier that was stopped came back, and was told that it is late"
    assert [] == day.reappeared, "what was acked never came again"
    assert set(bodies) == set(day.acked)
    status, out, err = await run_assent("verify", "--database", database_url)
    assert status == 0, out + err


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000)
    parser.add_argument("--limit", type=float, default=230.0, help="seconds after which the day has failed")
    arguments = parser.parse_args()
    with a_database("postgresql") as url:
        print(json.dumps(asyncio.run(bad_day(url, Plan(arguments.events, limit_seconds=arguments.limit)))))


if __name__ == "__main__":
    main()
