"""Many runs for a long while, over PostgreSQL, with servers that are killed: agents state intents and start runs,
people answer their gates, some of them twice at once, and all of them try again as clients are asked to.

`python -m tests.chaos.soak_runs --runs 1000 --concurrency 12 --kill-every 10 --faces rows,dbos` prints where it stands
every ten seconds, and its figures at the end, one line per face. Every run must be asked, answered, decided and carried
out once, and `assent verify` must find nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from tests.bench.figures import spread
from tests.chaos.races import a_database
from tests.chaos.soak import Caller, Plan, Seen, callers, figures, tell
from tests.support.databases import rows
from tests.support.process import make_key, run_assent

FACES = ("rows", "dbos")  # what carries runs on
GATE = "plan-approval"
WAIT = {"timeoutS": 10}
STEPS = ("apply", "compile", "decide", "execute", "gate")
MADE = {"executed": 3, "denied": 1}  # artifacts: the plan, and what came of it
OF_ONE_RUN = {"cases": 1, "human_interactions": 1, "decisions": 1, "workflow_events": 4, "signals": 1}  # rows


def face_environment(face: str, name: str = "server-1") -> Mapping[str, str]:
    """What a server of this name is told so that `face` carries runs on."""
    return {"RUN_ENGINE": face, "RUN_ENGINE_EXECUTOR": name}


async def soak_runs(database_url: str, plan: Plan, face: str = "rows") -> dict[str, Any]:
    """The figures. Raises AssertionError for whatever must not happen, TimeoutError when it takes too long."""
    agent, reviewer = await make_key(database_url, "agent"), await make_key(database_url, "reviewer")
    seen = Seen()
    serving = callers(database_url, seen, lambda name: face_environment(face, name))
    async with asyncio.timeout(plan.limit_seconds), serving as (servers, caller):
        began = time.monotonic()
        numbers = iter(range(plan.runs))

        async def people() -> None:
            for n in numbers:
                await _run(caller, agent, reviewer, n, seen)

        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(servers.havoc(plan.kill_every)),
                group.create_task(tell(seen, plan, began)),
            ]
            async with asyncio.TaskGroup() as asking:
                for _ in range(plan.concurrency):
                    asking.create_task(people())
            ended = time.monotonic() - began
            for task in beside:
                task.cancel()
    heard = await _check(database_url, plan, seen)
    p50, p99 = spread(heard)
    found = figures(plan, seen, ended)
    return {"face": face, "runs": plan.runs, **found, "heard_p50_ms": round(p50), "heard_p99_ms": round(p99)}


async def _run(caller: Caller, agent: str, reviewer: str, n: int, seen: Seen) -> None:
    """From the intent to the run's end."""
    began = time.monotonic()
    intent = {"goal": f"Scale search, {n}", "key": f"run-{n}"}
    stated = (await caller.call("POST", "/api/intents", agent, json=intent)).json()
    wanted = {**stated, "queuePartitionKey": "soak"}
    wid = (await caller.call("POST", "/api/runs", agent, json=wanted)).json()["workflowID"]
    run = await _until(caller, agent, wid, "waiting_input")
    assert "APPROVE_PLAN" == run["nextAction"], run
    choice = "no" if n % 10 == 9 else "yes"
    reply = {"payload": {"choice": choice}, "dedupeKey": f"{GATE}:ana", "origin": "external"}
    path = f"/api/runs/{wid}/gates/{GATE}/reply"
    copies = (caller.call("POST", path, reviewer, json=reply) for _ in range(2 if n % 5 == 0 else 1))
    answers = [answer.json() for answer in await asyncio.gather(*copies)]
    assert 1 == len({answer["result"]["interaction_id"] for answer in answers}), answers
    assert {choice} == {answer["result"]["payload"]["choice"] for answer in answers}, answers
    assert sum(not answer["isReplay"] for answer in answers) <= 1, "one reply was accepted twice"
    run = await _until(caller, agent, wid, "completed")
    assert ("executed" if choice == "yes" else "denied") == run["outcome"], run
    assert wid not in seen.actions, "two intents got the same run"
    seen.actions[wid] = run["outcome"]
    seen.seconds.append(time.monotonic() - began)


async def _until(caller: Caller, key: str, wid: str, status: str) -> dict[str, Any]:
    while True:
        run: dict[str, Any] = (await caller.call("GET", f"/api/runs/{wid}", key, params=WAIT)).json()
        if run["status"] == status:
            return run
        assert run["status"] in ("queued", "running"), run


async def _check(database_url: str, plan: Plan, seen: Seen) -> list[float]:
    """How many seconds after each reply its run heard of it, on the database's clock."""
    runs = await rows(database_url, "SELECT workflow_id, run_id, status, outcome FROM runs")
    assert plan.runs == len(runs) == len(seen.actions)
    assert {"completed"} == {run["status"] for run in runs}
    assert seen.actions == {run["workflow_id"]: run["outcome"] for run in runs}, "agents were told what happened"
    for table, expected in OF_ONE_RUN.items():
        sql = f"SELECT workflow_id, count(*) AS n FROM {table} GROUP BY workflow_id"
        found = {row["workflow_id"]: row["n"] for row in await rows(database_url, sql)}
        assert dict.fromkeys(seen.actions, expected) == found, f"{table}: not {expected} for every run"
    steps = await rows(database_url, "SELECT run_id, step_id FROM run_steps WHERE status <> 'failed'")
    wanted = sorted((run["run_id"], step) for run in runs for step in STEPS)
    assert wanted == sorted((step["run_id"], step["step_id"]) for step in steps), "each step was done once"
    made = await rows(database_url, "SELECT run_id, count(*) AS n FROM artifacts GROUP BY run_id")
    assert {run["run_id"]: MADE[run["outcome"]] for run in runs} == {row["run_id"]: row["n"] for row in made}
    signals = await rows(database_url, "SELECT received_at - created_at AS ms FROM signals")
    assert all(signal["ms"] is not None for signal in signals), "a signal was not received"
    status, out, err = await run_assent("verify", "--database", database_url)
    assert status == 0, out + err
    return [signal["ms"] / 1000 for signal in signals]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000, help="runs to carry from their intent to their end")
    parser.add_argument("--concurrency", type=int, default=12, help="how many are carried at the same time")
    parser.add_argument("--kill-every", type=float, default=10.0, help="seconds from one SIGKILL to the next; 0: none")
    parser.add_argument("--limit", type=float, default=600.0, help="seconds after which a face has failed")
    parser.add_argument("--faces", default="rows", help="what carries runs on, one after the other: rows,dbos")
    given = parser.parse_args()
    faces = given.faces.split(",")
    if not set(faces) <= set(FACES):
        parser.error(f"--faces: choose from {', '.join(FACES)}")
    plan = Plan(given.runs, given.concurrency, given.kill_every, given.limit)
    for face in faces:
        with a_database("postgresql") as url:
            print(json.dumps(asyncio.run(soak_runs(url, plan, face))), flush=True)


if __name__ == "__main__":
    main()
