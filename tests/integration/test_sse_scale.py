"""Many event streams at once, and streams that are taken up again at another replica.

`scripts/bench --measure streams` does the first with a thousand, and prints its figures.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from tests.bench.servers import assent
from tests.bench.streams import watch
from tests.support.crowd import crowd
from tests.support.server import Client, EventReader, Server, event_stream, leaf, review_token, running

STREAMS = 200
POOL = 10  # what a process has unless told otherwise
FORM = {"form": {"fields": [{"key": "city", "label": "City", "type": "text", "required": True}]}}


async def test_hundreds_of_idle_streams_cost_little_hold_no_session_and_all_hear_the_end(database_url: str) -> None:
    async with assent(database_url) as server:
        rounds = [await watch(server, STREAMS, database_url) for _ in range(2)]
    found = rounds[0]
    assert [STREAMS, STREAMS] == [len(heard.times) for heard in rounds]
    assert found.added < 60 * STREAMS / 1000 + 5, "MB; 60 for a thousand streams, and a little for what else happened"
    # The better of two rounds: whatever else the machine does may hold up one.
    assert min(max(heard.times) for heard in rounds) < 1 * crowd(), (
        "seconds from the sending of the answer, whoever else is told at the same moment"
    )
    if found.sessions is not None:
        assert found.sessions.open <= POOL + 1, "the pool and the listener, as without any stream"
        assert 0 == found.sessions.held


async def test_streams_outnumber_the_sessions_and_nobody_waits_for_one(postgres_url: str) -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(postgres_url))
        agent = await server.client()
        hitl = await agent.case()
        for _ in range(4 * POOL):
            reader = await stack.enter_async_context(event_stream(agent, hitl))
            await reader.frame()
        assert 200 == (await agent.poll(hitl)).status_code
        assert 200 == (await agent.tap(hitl, "confirm")).status_code


def _at(server: Server, hitl: dict[str, Any]) -> dict[str, Any]:
    """The same case by the addresses of this replica."""
    return hitl | {"events_url": f"{server.url}/api/hitl/cases/{hitl['case_id']}/events"}


async def _report(agent: Client, hitl: dict[str, Any], name: str, **fields: Any) -> None:
    answer = await agent.page.post(leaf(hitl, name), json={"token": review_token(hitl), **fields})
    assert 200 == answer.status_code, answer.text


async def test_both_replicas_stream_the_same_wherever_it_happens(postgres_url: str) -> None:
    async with running(postgres_url) as one, running(postgres_url, clock_role=False) as two:
        agent = await one.client()
        hitl = await agent.case(type="input", context=FORM)
        async with event_stream(agent, _at(one, hitl)) as here, event_stream(agent, _at(two, hitl)) as there:
            assert await here.frame() == await there.frame()
            await _report(agent, hitl, "opened")
            await _report(agent, hitl, "progress", progress={"completed_fields": 1})
            await agent.submit(hitl, "submit", {"city": "Lyon"})
            heard = [await _until_completed(here), await _until_completed(there)]
    assert heard[0] == heard[1]
    assert ["review.opened", "review.in_progress", "review.completed"] == [frame["event"] for frame in heard[0]]


async def test_a_reader_goes_on_at_another_replica_exactly_where_it_stopped(postgres_url: str) -> None:
    async with running(postgres_url) as one, running(postgres_url, clock_role=False) as two:
        agent = await one.client()
        hitl = await agent.case(type="input", context=FORM)
        case_id = hitl["case_id"]
        async with event_stream(agent, _at(one, hitl)) as reader:
            await reader.frame()
            await _report(agent, hitl, "opened")
            opened = await reader.frame()
        assert opened is not None
        assert (f"{case_id}-1", "review.opened") == (opened["id"], opened["event"])
        await _report(agent, hitl, "progress", progress={"completed_fields": 0})
        async with event_stream(agent, _at(two, hitl), opened["id"]) as reader:
            status = await reader.frame()
            missed = await reader.frame()
        assert status is not None
        assert missed is not None
        assert "id" not in status, "the first frame tells where the case stands, and is no event"
        assert (f"{case_id}-2", "review.in_progress") == (missed["id"], missed["event"])
        await agent.http.post(leaf(hitl, "cancel"), json={"reason": "Not needed."})
        for server, last, expected in ((two, missed["id"], 1), (one, opened["id"], 2), (one, f"{case_id}-3", 0)):
            async with event_stream(agent, _at(server, hitl), last) as reader:
                _, *rest = await reader.rest()
            assert expected == len(rest), last
            assert all("review.cancelled" == frame["event"] for frame in rest[-1:])


async def test_a_deadline_ends_the_streams_of_every_replica(postgres_url: str) -> None:
    async with running(postgres_url) as one, running(postgres_url, clock_role=False) as two:
        agent = await one.client()
        hitl = await agent.case(timeout="10s")
        async with event_stream(agent, _at(one, hitl)) as here, event_stream(agent, _at(two, hitl)) as there:
            await here.frame(), await there.frame()
            one.clock.forward(seconds=11)
            heard = [await here.rest(), await there.rest()]
    assert heard[0] == heard[1]
    assert ["review.expired"] == [frame["event"] for frame in heard[0]]


async def _until_completed(reader: EventReader) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while not found or found[-1]["event"] != "review.completed":
        frame = await reader.frame()
        assert frame is not None, found
        found.append(frame)
    return found
