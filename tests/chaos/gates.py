"""Kill the server while a run asks, waits, is answered, hears of it, or times out; start it again; finish. People reply
fifty at a time, twice, and late.

`python -m tests.chaos.gates --rounds 50 --database sqlite|postgresql` prints one line per point. A trial fails when
anything was asked, answered or decided twice or not at all, or when `assent verify` finds something.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

import httpx

from core.access import Keys
from core.checkpoints import RUN_NAMES
from core.hub import Hub
from core.ledger import migrate, open_database
from core.oracles import Oracles
from core.sealing import KeyRing
from tests.support.databases import eventually, rows
from tests.support.gates import as_superuser
from tests.support.launcher import ASSENT
from tests.support.postgres import Run, create_database, drop_database
from tests.support.process import SECRET, ServerProcess, serving
from tests.support.server import let_in

WAITING = "while it waits"  # no checkpoint: nothing runs then
AT_TIMEOUT = ("expire.before_commit", "expire.after_commit")
POINTS = (
    WAITING,
    "open.before_commit",
    "open.after_commit",
    "respond.after_insert",
    "respond.after_commit",
    *RUN_NAMES,
)
# What is claimed: a kill while it waits, after the prompt, after the ledger's insert, after the signal, at the timeout.
CLAIMED = (WAITING, "open.after_commit", "respond.after_insert", "signal.after_commit", "expire.before_commit")
STEP_SECONDS = 25
AT_ONCE = 50
GATE = "plan-approval"


class _Died(Exception):
    """The server is gone; its successor goes on."""


async def run_trial(point: str, database_url: str) -> float:
    """One crash at `point`; seconds until the successor had brought the run to its end."""
    keys = [await _key(database_url, "agent"), await _key(database_url, "reviewer")]
    late = point in AT_TIMEOUT
    dying = (sys.executable, "-m", "tests.chaos.dying", point, "1")
    async with serving(database_url, command=(ASSENT,) if point == WAITING else dying) as server:
        try:
            await _walk(server, database_url, keys, late=late, until_waiting=point == WAITING)
        except _Died:
            assert await server.ended() == -9, f"{point} was never reached"
        else:
            assert point == WAITING, f"{point} was never reached"
            server.kill()
            await server.ended()
    # The dead worker's lease, as if its time were up.
    await as_superuser(database_url, "UPDATE runs SET due_at = 1 WHERE due_at IS NOT NULL")
    began = time.monotonic()
    async with serving(database_url) as server:
        await _walk(server, database_url, keys, late=late)
        await _check(database_url, late=late)
    return time.monotonic() - began


async def _walk(
    server: ServerProcess, database_url: str, keys: list[str], *, late: bool, until_waiting: bool = False
) -> None:
    """From the intent to the end; every step is safe to repeat, as real agents and people do after a crash."""
    agent, reviewer = ({"Authorization": f"Bearer {key}"} for key in keys)
    async with httpx.AsyncClient(base_url=server.url, timeout=STEP_SECONDS + 5, trust_env=False) as http:
        try:
            wanted = {"goal": "Scale search", "key": "trial", "escalation": {"notify": ["slack:C0ONCALL"]}}
            intent = (await http.post("/api/intents", json=wanted, headers=agent)).raise_for_status().json()
            body = {**intent, "queuePartitionKey": "chaos"}
            wid = (await http.post("/api/runs", json=body, headers=agent)).raise_for_status().json()["workflowID"]
            place = f"/api/runs/{wid}"
            params = {"timeoutS": STEP_SECONDS}
            run = (await http.get(place, params=params, headers=agent)).raise_for_status().json()
            if until_waiting:
                assert "waiting_input" == run["status"]
                return
            if late:
                await as_superuser(database_url, f"UPDATE cases SET expires_at = 1 WHERE gate_key = '{GATE}'")
            else:
                await _reply(http, place, reviewer, accepted=True)
            while not run["finishedAt"]:
                run = (await http.get(place, params=params, headers=agent)).raise_for_status().json()
                await asyncio.sleep(0.02)
            await _reply(http, place, reviewer, accepted=not late)
        except httpx.TransportError as error:
            raise _Died from error
    assert ("completed", "timed_out" if late else "executed") == (run["status"], run["outcome"])


async def _reply(http: httpx.AsyncClient, place: str, reviewer: dict[str, str], *, accepted: bool) -> None:
    """The same reply fifty times at once, another under its key, and another person's. Raises httpx.TransportError."""

    async def send(key: str, choice: str) -> httpx.Response:
        reply = {"payload": {"choice": choice}, "dedupeKey": key, "origin": "external"}
        return await let_in(lambda: http.post(f"{place}/gates/{GATE}/reply", json=reply, headers=reviewer))

    answers = await asyncio.gather(*(send("ana", "yes") for _ in range(AT_ONCE)))
    assert {200 if accepted else 409} == {answer.status_code for answer in answers}, [one.text for one in answers]
    if accepted:
        told = [answer.json() for answer in answers]
        assert 1 == len({one["result"]["interaction_id"] for one in told}), "two replies were accepted"
        assert sum(not one["isReplay"] for one in told) <= 1
    others = [await send("ana", "no"), await send("ben", "no")]
    assert [409, 409] == [answer.status_code for answer in others], [one.text for one in others]


async def _check(database_url: str, *, late: bool) -> None:
    """One prompt, one result, one decision, one row of the ledger, and one escalation where nobody answered."""
    cases = await rows(database_url, f"SELECT status FROM cases WHERE gate_key = '{GATE}'")
    assert ["expired" if late else "completed"] == [case["status"] for case in cases]
    for table, expected in (("workflow_events", 4), ("decisions", 1), ("human_interactions", 1), ("signals", 1)):
        found = await rows(database_url, f"SELECT * FROM {table} WHERE workflow_id LIKE 'wf%'")
        assert expected == len(found), f"{table} has {len(found)} rows"

    async def escalated() -> bool:
        found = await rows(database_url, "SELECT status FROM runs WHERE kind = 'escalation'")
        return (["waiting_input"] if late else []) == [run["status"] for run in found]

    await eventually(escalated)
    database = open_database(database_url, pool_size=2)
    await database.start(Hub())
    try:
        assert [] == await Oracles(database, KeyRing([SECRET])).findings()
    finally:
        await database.close()


async def _key(database_url: str, scope: str) -> str:
    database = open_database(database_url, pool_size=2)
    await database.start(Hub())
    try:
        raw, _ = await Keys(database, KeyRing([SECRET])).create("agent" if scope == "agent" else "reviewer", None)
        return raw
    finally:
        await database.close()


async def run_points(database: str, points: tuple[str, ...], rounds: int, admin_url: str | None) -> None:
    for point in points:
        took = [await _round(point, admin_url) for _ in range(rounds)]
        words = f"{rounds} crashes, asked, answered and decided once each; at its end {max(took):.2f} s after the start"
        print(f"{database} {point}: {words} at the most", flush=True)


async def _round(point: str, admin_url: str | None) -> float:
    with tempfile.TemporaryDirectory() as folder:
        url = create_database(admin_url) if admin_url else f"sqlite:///{Path(folder) / 'assent.db'}"
        try:
            await asyncio.to_thread(migrate, url)
            return await run_trial(point, url)
        finally:
            if admin_url:
                drop_database(admin_url, url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--point", choices=POINTS, action="append")
    given = parser.parse_args()
    run = Run.begin()
    try:
        admin_url = run.server().admin_url if given.database == "postgresql" else None
        asyncio.run(run_points(given.database, tuple(given.point or POINTS), given.rounds, admin_url))
    finally:
        run.end()


if __name__ == "__main__":
    main()
