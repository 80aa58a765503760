"""Executors that act through the SDK, against the real server: once, whatever comes twice, breaks or dies."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from assent import AsyncExecutor, Conflict, DecisionEvent, Forbidden, GiveUp, NotFound, Outcome, Standing, Unauthorized
from tests.sdk.support import Clients, FastClock, Relay, decided, direct, program, relay, source, waiting
from tests.support.databases import eventually, rows
from tests.support.process import make_key, serving
from tests.support.server import Client, Server, until


@pytest.fixture
async def key(server: Server) -> str:
    return (await server.client("executor")).key


class Hand:
    """A handler that keeps what it was given, and fails as often as it is told."""

    def __init__(self, *errors: Exception) -> None:
        self.did: list[str] = []
        self.errors = list(errors)
        self.threads: set[int] = set()

    def __call__(self, event: DecisionEvent) -> None:
        self.did.append(event.event_id)
        self.threads.add(threading.get_ident())
        if self.errors:
            raise self.errors.pop(0)


async def test_what_was_approved_is_done_and_what_was_denied_is_not(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id = await source(server)
    (yes,), (no,) = await decided(server, source_id), await decided(server, source_id, "cancel")
    act, on_deny = Hand(), Hand()
    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db")
    await executor.run(act, on_deny=on_deny, once=True)
    assert ([yes.event_id], [no.event_id]) == (act.did, on_deny.did)
    assert [] == await waiting(server, source_id), "both are acked"
    await executor.run(act, on_deny=on_deny, once=True)
    assert (1, 1) == (len(act.did), len(on_deny.did))


async def test_a_decision_that_comes_while_the_executor_waits_is_done_at_once(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id, act = await source(server), Hand()
    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db")
    running = asyncio.create_task(executor.run(act))
    for count in (1, 2, 3):
        await until(lambda: server.services.hub.watched("events:") != [])
        await decided(server, source_id)
        await until(lambda count=count: len(act.did) == count)  # type: ignore[misc]
    executor.stop()
    async with asyncio.timeout(15):
        await running


# --- twice


async def test_an_event_that_is_delivered_many_times_is_handled_once(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id, act = await source(server), Hand()
    (event,) = await decided(server, source_id)
    executors = [clients.executor(server.url, key, source_id, store=tmp_path / "done.db") for _ in range(2)]
    outcomes = await asyncio.gather(*(executors[n % 2].handle(event, act) for n in range(40)))
    assert 1 == len(act.did)
    assert set(outcomes) <= {Outcome.DONE, Outcome.BUSY}
    assert [Outcome.DONE] * 2 == [await executor.handle(event, act) for executor in executors]
    assert [event.event_id] == act.did
    assert {204, 503} == {Outcome.DONE.status, Outcome.BUSY.status}


@pytest.mark.parametrize("claims", [True, False])
async def test_a_handler_that_has_finished_never_runs_again_though_the_ack_was_lost(
    server: Server, key: str, clients: Clients, line: Relay, tmp_path: Path, claims: bool
) -> None:
    source_id, act = await source(server), Hand()
    (event,) = await decided(server, source_id)
    line.cut_when = lambda data: "before" if b"decision-events/ack" in data else None
    store, clock = tmp_path / "done.db", FastClock()
    first = clients.executor(line.url, key, source_id, store=store, claims=claims, clock=clock)
    await first.run(act, once=True)
    assert ([event.event_id], [event.event_id]) == (act.did, await waiting(server, source_id))
    assert [] != line.heads("decision-events/ack"), "it was tried"
    line.cut_when = lambda _: None
    second = clients.executor(line.url, key, source_id, store=store, claims=claims)
    await second.run(act, once=True)
    assert ([event.event_id], []) == (act.did, await waiting(server, source_id)), "the ack is made up for"


async def test_an_ack_that_arrived_unnoticed_is_no_second_run_either(
    server: Server, key: str, clients: Clients, line: Relay, tmp_path: Path
) -> None:
    source_id, act = await source(server), Hand()
    await decided(server, source_id, count=3)
    line.cut_when = lambda data: "after" if b"decision-events/ack" in data or b"/claim" in data else None
    clock = FastClock()
    executor = clients.executor(line.url, key, source_id, store=tmp_path / "done.db", clock=clock)
    running = asyncio.create_task(executor.run(act))
    await until(lambda: len(line.heads("/claim")) >= 4)
    line.cut_when = lambda _: None
    await until(lambda: len(act.did) == 3)
    executor.stop()
    await running
    assert {1} == set(Counter(act.did).values())
    assert [] == await waiting(server, source_id)


async def test_of_several_executors_one_acts_and_the_others_keep_their_hands_off(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id = await source(server)
    events = await decided(server, source_id, count=25)
    acts = [Hand() for _ in range(4)]
    executors = [
        clients.executor(server.url, key, source_id, store=tmp_path / f"{n}.db", concurrency=3) for n in range(4)
    ]
    runs = [asyncio.create_task(each.run(act)) for each, act in zip(executors, acts, strict=True)]
    await until(lambda: sum(len(act.did) for act in acts) >= 25, 30)

    async def all_acked() -> bool:
        return await waiting(server, source_id) == []

    await until(all_acked)
    for executor in executors:
        executor.stop()
    await asyncio.gather(*runs)
    assert Counter({event.event_id: 1 for event in events}) == sum((Counter(act.did) for act in acts), Counter())


async def test_an_event_that_somebody_else_has_claimed_is_not_handled_nor_acked(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id, act = await source(server), Hand()
    (event,) = await decided(server, source_id)
    other = clients.executor(server.url, key, source_id, store=tmp_path / "other.db")
    await other.claim(event)
    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db")
    await executor.run(act, once=True)
    assert [Outcome.LOST, 204] == [found := await executor.handle(event, act), found.status]
    assert [] == act.did
    assert [event.event_id] == await waiting(server, source_id), "whoever has claimed it acks it"
    assert Outcome.DONE == await other.handle(event, act)
    assert [event.event_id] == act.did


async def test_an_executor_that_has_lost_its_memory_does_not_act_again(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id, act = await source(server), Hand()
    (event,) = await decided(server, source_id)
    assert Outcome.DONE == await clients.executor(server.url, key, source_id, store=tmp_path / "a.db").handle(
        event, act
    )
    assert Outcome.LOST == await clients.executor(server.url, key, source_id, store=tmp_path / "b.db").handle(
        event, act
    )
    assert [event.event_id] == act.did


async def test_what_nobody_agreed_to_is_held_and_not_done(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id, act = await source(server), Hand()
    (event,) = await decided(server, source_id)
    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db")
    changed = event.model_copy(update={"final_digest": "sha256:" + "0" * 64})
    assert [Outcome.HELD, 409] == [found := await executor.handle(changed, act), found.status]
    (denied,) = await decided(server, source_id, "cancel")
    forged = denied.model_copy(update={"decision": event.decision})
    assert Outcome.HELD == await executor.handle(forged, act)
    unknown = event.model_copy(update={"event_id": "evt_none"})
    assert Outcome.HELD == await executor.handle(unknown, act)
    assert [] == act.did
    assert {event.event_id, denied.event_id, "evt_none"} == {entry.event_id for entry in await executor.held()}


# --- failures


async def test_a_handler_that_fails_is_tried_again_with_growing_pauses(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id, clock = await source(server), FastClock()
    act = Hand(ValueError("not yet"), OSError("not yet"), ValueError("not yet"))
    (event,) = await decided(server, source_id)
    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db", clock=clock)
    running = asyncio.create_task(executor.run(act))

    async def acked() -> bool:
        return await waiting(server, source_id) == []

    await until(acked, 30)
    executor.stop()
    await running
    assert [event.event_id] * 4 == act.did
    first, second, third = clock.slept[:3]
    assert 0.5 <= first <= 1
    assert 1 <= second <= 2
    assert 2 <= third <= 4


async def test_what_is_given_up_or_fails_too_often_is_held_until_a_person_has_looked(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id, clock = await source(server), FastClock()
    first, second = await decided(server, source_id, count=2)
    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db", attempts=2, clock=clock)
    assert Outcome.HELD == await executor.handle(first, Hand(GiveUp("the account is closed")))
    assert Outcome.FAILED == await executor.handle(second, Hand(ValueError("one")))
    assert Outcome.HELD == await executor.handle(second, Hand(ValueError("two")))
    one, two = await executor.held()
    assert (first.event_id, second.event_id) == (one.event_id, two.event_id)
    assert "the account is closed" in one.note
    assert "two" in two.note
    act = Hand()
    assert Outcome.HELD == await executor.handle(first, act)
    assert 2 == len(await waiting(server, source_id))
    await executor.release(first.event_id)
    assert Outcome.DONE == await executor.handle(first, act)
    await executor.settle(second.event_id)
    assert Outcome.DONE == await executor.handle(second, act)
    assert ([first.event_id], [], []) == (act.did, await executor.held(), await waiting(server, source_id))


KILLED = """
    import signal, sys
    from assent import Executor
    url, key, source, store, claims = sys.argv[1:6]
    executor = Executor(url, key, source, store=store, claims=claims == "claims", lease=1.0)
    def act(event):
        print("acting", event.event_id, flush=True)
        if len(sys.argv) > 6:
            signal.pause()
    executor.run(act)
    """


@pytest.mark.parametrize("claims", ["claims", "none"])
async def test_an_event_whose_handler_was_killed_is_held_with_claims_and_run_again_without(
    server: Server, key: str, clients: Clients, tmp_path: Path, claims: str
) -> None:
    source_id, store = await source(server), str(tmp_path / "done.db")
    (event,) = await decided(server, source_id)
    arguments = (server.url, key, source_id, store, claims)
    async with program(KILLED, *arguments, "and wait") as first:
        assert f"acting {event.event_id}" == await first.line()
        first.kill()
        await first.ended()
    if claims == "none":
        async with program(KILLED, *arguments) as second:
            assert f"acting {event.event_id}" == await second.line()

            async def acked() -> bool:
                return await waiting(server, source_id) == []

            await until(acked, 30)
        return
    executor, act = clients.executor(server.url, key, source_id, store=store), Hand()

    async def outcome() -> bool:
        return await executor.handle(event, act) is Outcome.HELD

    await until(outcome, 30)
    (held,) = await executor.held()
    assert (event.event_id, Standing.HELD, []) == (held.event_id, held.standing, act.did)
    assert "killed" in held.note
    assert [event.event_id] == await waiting(server, source_id)


async def test_an_executor_that_was_killed_before_its_ack_only_makes_up_for_the_ack(
    server: Server, key: str, line: Relay, tmp_path: Path
) -> None:
    source_id, store = await source(server), str(tmp_path / "done.db")
    (event,) = await decided(server, source_id)
    line.cut_when = lambda data: "before" if b"decision-events/ack" in data else None
    arguments = (line.url, key, source_id, store, "claims")
    async with program(KILLED, *arguments) as first:
        assert f"acting {event.event_id}" == await first.line()
        await until(lambda: line.heads("decision-events/ack") != [])
        first.kill()
        await first.ended()
    assert [event.event_id] == await waiting(server, source_id)
    line.cut_when = lambda _: None
    async with program(KILLED, *arguments) as second:

        async def acked() -> bool:
            return await waiting(server, source_id) == []

        await until(acked, 30)
        second.terminate()
        with pytest.raises(AssertionError, match="nothing more"):
            await second.line()


async def test_a_server_that_dies_and_comes_back_is_only_waited_for(
    sqlite_url: str, clients: Clients, tmp_path: Path
) -> None:
    executor_key, admin_key, agent_key = [await make_key(sqlite_url, scope) for scope in ("executor", "admin", "agent")]
    act = Hand()
    async with relay("") as line:
        async with serving(sqlite_url) as first:
            line.target = first.url
            source_id, case = await _ask(first.url, admin_key, agent_key)
            executor = clients.executor(line.url, executor_key, source_id, store=tmp_path / "done.db")
            running = asyncio.create_task(executor.run(act))
            await until(lambda: line.heads("decision-events") != [])
            first.kill()
            await first.ended()
        line.target = "http://127.0.0.1:1"
        await asyncio.wait({running}, timeout=0.3)
        assert not running.done()
        async with serving(sqlite_url) as second:
            line.target = second.url
            await _confirm(second.url, case)
            await until(lambda: len(act.did) == 1, 20)
            executor.stop()
            async with asyncio.timeout(15):
                await running


async def _ask(url: str, admin_key: str, agent_key: str) -> tuple[str, dict[str, Any]]:
    async with direct() as http:
        made = await http.post(f"{url}/sources", json={"name": "x"}, headers={"x-api-key": admin_key})
        body = {"type": "confirmation", "prompt": "x", "source_id": made.json()["id"]}
        case = await http.post(f"{url}/api/hitl/cases", json=body, headers={"authorization": f"Bearer {agent_key}"})
        return made.json()["id"], case.json()["hitl"]


async def _confirm(url: str, case: dict[str, Any]) -> None:
    by = {"platform": "slack", "platform_user_id": "U1"}
    async with direct() as http:
        answer = await http.post(
            f"{url}/api/hitl/cases/{case['case_id']}/respond",
            json={"action": "confirm", "submitted_via": "slack_block_action", "submitted_by": by},
            headers={"authorization": f"Bearer {case['submit_token']}"},
        )
        assert 200 == answer.status_code, answer.text


# --- refusals


async def test_what_will_not_get_better_ends_the_run(
    server: Server, key: str, people: Client, clients: Clients, tmp_path: Path
) -> None:
    source_id = await source(server)
    tries: list[tuple[str, str, type[Exception]]] = [
        ("ak_unknown", source_id, Unauthorized),
        (people.key, source_id, Forbidden),
        (key, "src_none", NotFound),
        (key, await _pushed(server), Conflict),
    ]
    for used, name, kind in tries:
        with pytest.raises(kind):
            await clients.executor(server.url, used, name, store=tmp_path / "done.db").run(Hand())


async def _pushed(server: Server) -> str:
    """A source whose events are pushed alone; nobody delivers them here."""
    return await source(server, delivery={"mode": "WEBHOOK_ONLY", "webhook": {"url": "http://localhost:9/assent"}})


async def test_an_event_of_a_source_that_only_pushes_is_claimed_and_needs_no_ack(
    server: Server, key: str, people: Client, clients: Clients, tmp_path: Path, database_url: str
) -> None:
    source_id, act = await _pushed(server), Hand()
    hitl = await people.case(source_id=source_id)
    await people.tap(hitl, "confirm")
    found = await eventually(lambda: rows(database_url, "SELECT body FROM decision_events"))
    event = DecisionEvent.model_validate(json.loads(found[0]["body"]))
    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db")
    assert [Outcome.DONE] * 2 == [await executor.handle(event, act) for _ in range(2)]
    assert [event.event_id] == act.did


# --- stopping


async def test_a_stop_lets_the_handler_finish_and_ends_a_long_poll_at_once(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id = await source(server)
    await decided(server, source_id, count=3)
    begun, may_end, did = asyncio.Event(), asyncio.Event(), []

    async def act(event: DecisionEvent) -> None:
        begun.set()
        await may_end.wait()
        did.append(event.event_id)

    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db")
    for way in ("stop", "cancel"):
        begun.clear()
        may_end.clear()
        running = asyncio.create_task(executor.run(act))
        await begun.wait()
        executor.stop() if way == "stop" else running.cancel()
        await asyncio.wait({running}, timeout=0.1)
        assert not running.done()
        may_end.set()
        async with asyncio.timeout(15):
            await asyncio.wait({running})
    assert 2 == len(did)
    assert 1 == len(await waiting(server, source_id))


async def test_handlers_run_side_by_side_where_that_is_wanted(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id = await source(server)
    await decided(server, source_id, count=3)
    together = threading.Barrier(3)
    executor = clients.executor(server.url, key, source_id, store=tmp_path / "done.db", concurrency=3)
    await executor.run(lambda _: together.wait(10), once=True)
    assert [] == await waiting(server, source_id)


async def test_a_plain_handler_runs_in_the_thread_that_runs_the_executor(
    server: Server, key: str, clients: Clients, tmp_path: Path
) -> None:
    source_id, act = await source(server), Hand()
    (event,) = await decided(server, source_id)
    executor = clients.blocking_executor(server.url, key, source_id, store=tmp_path / "done.db")

    def work() -> int:
        executor.run(act, once=True)
        return threading.get_ident()

    assert {await asyncio.to_thread(work)} == act.threads
    assert [event.event_id] == act.did
    assert Outcome.DONE == await asyncio.to_thread(executor.handle, event, act)


async def test_a_program_that_is_told_to_end_finishes_what_it_has_in_hand(on_sqlite: Server, tmp_path: Path) -> None:
    code = """
        import signal, sys, time
        from assent import Executor
        url, key, source, store = sys.argv[1:5]
        executor = Executor(url, key, source, store=store)
        signal.signal(signal.SIGTERM, lambda *_: executor.stop())
        def act(event):
            print("acting", flush=True)
            sys.stdin.readline()
            print("acted", flush=True)
        executor.run(act)
        print("ended", flush=True)
        executor.close()
        """
    key = (await on_sqlite.client("executor")).key
    source_id = await source(on_sqlite)
    await decided(on_sqlite, source_id)
    async with program(code, on_sqlite.url, key, source_id, str(tmp_path / "done.db")) as running:
        assert "acting" == await running.line()
        running.terminate()
        await running.say("go on")
        assert ("acted", "ended") == (await running.line(), await running.line(5))
        assert 0 == await running.ended()
    assert [] == await waiting(on_sqlite, source_id)


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for option in ({"concurrency": 0}, {"attempts": 0}, {"lease": 0.0}):
        with pytest.raises(ValueError, match="at least"):
            AsyncExecutor("http://localhost", "ak_x", "src", store=tmp_path / "x.db", **option)
