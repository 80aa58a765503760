"""Watching a case through the HITL door: polls, the event stream, discovery."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.streams import Streams
from core.gate import Gate
from core.hub import Hub
from core.ledger import open_database
from core.ledger.engine import Body, Database
from core.sealing import KeyRing
from tests.support.schemas import problems
from tests.support.server import (  # noqa: F401 (fixtures)
    SECRET,
    Client,
    Server,
    agent_fixture,
    event_stream,
    leaf,
    review_token,
    running,
    server_fixture,
    until,
)

FORM = {"form": {"fields": [{"key": "city", "label": "City", "type": "text", "required": True}]}}


async def _report(agent: Client, hitl: dict[str, Any], name: str, **fields: Any) -> None:
    answer = await agent.page.post(leaf(hitl, name), json={"token": review_token(hitl), **fields})
    assert 200 == answer.status_code, answer.text


# --- polls


async def test_every_visible_change_shows_in_the_etag_and_in_the_pace(agent: Client) -> None:
    hitl = await agent.case(type="input", context=FORM)
    polls = [await agent.poll(hitl)]
    await _report(agent, hitl, "opened")
    polls.append(await agent.poll(hitl))
    await _report(agent, hitl, "progress", progress={"completed_fields": 0})
    polls.append(await agent.poll(hitl))
    await _report(agent, hitl, "progress", progress={"completed_fields": 1})
    polls.append(await agent.poll(hitl))
    await agent.submit(hitl, "submit", {"city": "Lyon"})
    polls.append(await agent.poll(hitl))
    statuses = [poll.json()["status"] for poll in polls]
    assert ["pending", "opened", "in_progress", "in_progress", "completed"] == statuses
    assert ["30", "10", "10", "10", None] == [poll.headers.get("retry-after") for poll in polls]
    assert 5 == len({poll.headers["etag"] for poll in polls})
    for poll, status in zip(polls, statuses, strict=True):
        assert poll.headers["etag"].startswith(f'"{status}')


async def test_an_unchanged_case_answers_304_to_whoever_knows_it(agent: Client) -> None:
    hitl = await agent.case()
    etag = (await agent.poll(hitl)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other-1", {etag}', f'"other-1" ,W/{etag}', "*"):
        unchanged = await agent.poll(hitl, if_none_match=known)
        assert (304, b"") == (unchanged.status_code, unchanged.content), known
        assert (etag, "30") == (unchanged.headers["etag"], unchanged.headers["retry-after"])
    for unknown in ('"other-1"', etag.strip('"'), f"{etag[:-1]}", "W/*"):
        assert 200 == (await agent.poll(hitl, if_none_match=unknown)).status_code, unknown
    await agent.tap(hitl, "confirm")
    changed = await agent.poll(hitl, if_none_match=etag)
    assert (200, "completed") == (changed.status_code, changed.json()["status"])
    assert "retry-after" not in (await agent.poll(hitl, if_none_match=changed.headers["etag"])).headers


async def test_a_case_may_be_polled_sixty_times_a_minute(agent: Client) -> None:
    hitl, other = await agent.case(), await agent.case()
    accepted = 0
    while (answer := await agent.poll(hitl)).status_code == 200:
        accepted += 1
    assert 60 == accepted
    assert (429, "rate_limited") == (answer.status_code, answer.json()["error"])
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert 429 == (await agent.poll(hitl, if_none_match="*")).status_code
    assert 200 == (await agent.poll(other)).status_code


async def test_a_poll_of_a_foreign_or_unknown_case_is_not_found_and_looks_the_same(
    agent: Client, server: Server
) -> None:
    hitl = await agent.case()
    stranger = await server.client(tenant="7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11")
    unknown = hitl | {"poll_url": hitl["poll_url"].replace(hitl["case_id"], "review_unknown")}
    foreign, missing = await stranger.poll(hitl), await stranger.poll(unknown)
    assert (404, foreign.content) == (foreign.status_code, missing.content)
    assert "not_found" == foreign.json()["error"]
    for _ in range(70):
        await stranger.poll(hitl)
    assert 200 == (await agent.poll(hitl)).status_code  # a stranger's polls are not the case's


async def test_polls_need_a_key(server: Server, agent: Client) -> None:
    hitl = await agent.case()
    for token in ("", hitl["submit_token"], review_token(hitl)):
        answer = await agent.page.get(hitl["poll_url"], headers={"Authorization": f"Bearer {token}"} if token else {})
        assert (401, "unauthorized") == (answer.status_code, answer.json()["error"])


# --- the event stream


async def test_a_stream_tells_the_whole_life_of_a_case_and_ends_with_it(agent: Client) -> None:
    hitl = await agent.case(type="input", context=FORM)
    case_id = hitl["case_id"]
    async with event_stream(agent, hitl) as stream:
        assert ("text/event-stream", 200) == (stream.response.headers["content-type"], stream.response.status_code)
        first = await stream.frame()
        assert {"event": "review.status", "data": (await agent.poll(hitl)).json()} == first
        await _report(agent, hitl, "opened")
        opened = await stream.frame()
        await _report(agent, hitl, "progress", progress={"completed_fields": 1})
        in_progress = await stream.frame()
        await agent.submit(hitl, "submit", {"city": "Lyon"})
        rest = await stream.rest()
    final = (await agent.poll(hitl)).json()
    opened_at = final["opened_at"]
    assert opened == {
        "id": f"{case_id}-1",
        "event": "review.opened",
        "data": {"case_id": case_id, "status": "opened", "opened_at": opened_at},
    }
    assert in_progress is not None
    assert ("review.in_progress", f"{case_id}-2") == (in_progress["event"], in_progress["id"])
    told = {"case_id": case_id, "status": "in_progress", "opened_at": opened_at, "progress": {"completed_fields": 1}}
    assert told.items() <= in_progress["data"].items()
    assert [{"id": f"{case_id}-3", "event": "review.completed", "data": final}] == rest


async def test_what_a_reader_missed_is_replayed_exactly(agent: Client) -> None:
    hitl = await agent.case(type="input", context=FORM)
    async with event_stream(agent, hitl) as stream:
        await stream.frame()
        await _report(agent, hitl, "opened")
        await _report(agent, hitl, "progress", progress={"completed_fields": 1})
        await agent.submit(hitl, "submit", {"city": "Lyon"})
        seen = await stream.rest()
    assert ["review.opened", "review.in_progress", "review.completed"] == [frame["event"] for frame in seen]
    for missed, last in enumerate([f"{hitl['case_id']}-0", *(frame["id"] for frame in seen)]):
        async with event_stream(agent, hitl, last) as again:
            first, *rest = await again.rest()
        assert ("review.status", False) == (first["event"], "id" in first)
        assert seen[missed:] == rest, last


async def test_what_no_stream_of_this_case_has_sent_is_no_last_event_id(agent: Client) -> None:
    hitl, other = await agent.case(), await agent.case()
    await agent.tap(hitl, "confirm")
    for odd in (
        "nonsense",
        f"{other['case_id']}-0",
        f"{hitl['case_id']}-",
        f"{hitl['case_id']}-99",
        f"{hitl['case_id']}-1_0",
    ):
        async with event_stream(agent, hitl, odd) as stream:
            assert ["review.status"] == [frame["event"] for frame in await stream.rest()]


async def test_replays_and_refusals_are_not_streamed(agent: Client) -> None:
    hitl = await agent.case(type="approval", requested_by="slack:U0REVIEWER")
    async with event_stream(agent, hitl) as stream:
        await stream.frame()
        assert 403 == (await agent.tap(hitl, "approve")).status_code  # an audit event
        other = {"platform": "slack", "platform_user_id": "U0OTHER"}
        await agent.tap(hitl, "approve", submitted_by=other)
        assert ["review.completed"] == [frame["event"] for frame in await stream.rest()]


async def test_a_stream_tells_of_expiry_and_of_withdrawal(agent: Client, server: Server) -> None:
    hitl, other = await agent.case(timeout="10s", default_action="abort"), await agent.case()
    async with event_stream(agent, hitl) as stream, event_stream(agent, other) as second:
        await stream.frame(), await second.frame()
        await agent.http.post(leaf(other, "cancel"), json={"reason": "Not needed."})
        (cancelled,) = await second.rest()
        server.clock.forward(seconds=11)
        (expired,) = await stream.rest()
    poll = (await agent.poll(hitl)).json()
    assert ("review.cancelled", {"case_id": other["case_id"], "reason": "Not needed."}) == (
        cancelled["event"],
        cancelled["data"],
    )
    expected = {"case_id": hitl["case_id"], "default_action": "abort", "expired_at": poll["expired_at"]}
    assert ("review.expired", expected) == (expired["event"], expired["data"])


async def test_many_readers_of_one_case_hear_the_same(agent: Client) -> None:
    hitl = await agent.case()

    async def read() -> list[dict[str, Any]]:
        async with event_stream(agent, hitl) as stream:
            first = await stream.frame()
            reading.release()
            return [first or {}, *await stream.rest()]

    reading = asyncio.Semaphore(0)
    readers = [asyncio.create_task(read()) for _ in range(5)]
    for _ in readers:
        await reading.acquire()
    await agent.tap(hitl, "confirm")
    heard = await asyncio.gather(*readers)
    assert all(frames == heard[0] for frames in heard)
    assert 2 == len(heard[0])


async def test_a_stream_needs_the_tenants_own_key(agent: Client, server: Server) -> None:
    hitl = await agent.case()
    stranger = await server.client(tenant="7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11")
    assert 401 == (await agent.page.get(hitl["events_url"])).status_code
    foreign = await stranger.http.get(hitl["events_url"])
    unknown = await stranger.http.get(hitl["events_url"].replace(hitl["case_id"], "review_unknown"))
    assert (404, 404, foreign.content) == (foreign.status_code, unknown.status_code, unknown.content)


async def test_asking_for_the_head_of_a_stream_does_not_wait(agent: Client) -> None:
    hitl = await agent.case()
    answer = await agent.http.head(hitl["events_url"])
    assert (200, "text/event-stream") == (answer.status_code, answer.headers["content-type"])


class _Asked:
    """A database that counts what is asked of it."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        self._read, self._transact = database.read, database.transact
        database.read, database.transact = self.read, self.transact  # type: ignore[method-assign]  # only looks on

    async def read(self, body: Body[Any], /) -> Any:
        self.count += 1
        return await self._read(body)

    async def transact(self, body: Body[Any], /) -> Any:
        self.count += 1
        return await self._transact(body)


async def test_idle_streams_hear_heartbeats_and_ask_the_database_together(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.case_stream.HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr("api.streams.RESCAN_SECONDS", 0.1)
    async with running(database_url, clock_role=False) as server:
        agent = await server.client()
        cases = [await agent.case() for _ in range(3)]
        async with (
            event_stream(agent, cases[0]) as one,
            event_stream(agent, cases[1]) as two,
            event_stream(agent, cases[2]) as three,
        ):
            streams = (one, two, three)
            for stream in streams:
                await stream.frame()
            asked = _Asked(server.database)
            for _ in range(3):
                assert [{"comment": "heartbeat"}] * 3 == [await stream.frame() for stream in streams]
            # 0.6 s of three streams: about six questions of the common re-scan, not eighteen of their own.
            assert 3 <= asked.count <= 9


async def test_a_change_that_nobody_was_woken_for_is_found_in_a_moment(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.streams.RESCAN_SECONDS", 0.1)
    beside = open_database(database_url)
    async with running(database_url) as server:
        agent = await server.client()
        hitl = await agent.case()
        async with event_stream(agent, hitl) as stream:
            await stream.frame()
            # Another process, whose wake-ups do not reach this one.
            await beside.start(Hub())
            assert agent.principal is not None
            await Gate(beside, Hub(), KeyRing([SECRET])).cancel(agent.principal, hitl["case_id"], None)
            assert ["review.cancelled"] == [frame["event"] for frame in await stream.rest(5)]
        await beside.close()


async def test_when_nobody_reads_any_more_nothing_is_asked(agent: Client, server: Server) -> None:
    streams: Streams = server.app.state.streams
    hub: Hub = server.services.hub
    hitl = await agent.case()
    async with event_stream(agent, hitl) as stream:
        await stream.frame()
        assert [f"case:{hitl['case_id']}"] == hub.watched("case:")
    await until(lambda: hub.watched("case:") == [])
    await until(lambda: streams.scanning is False)


async def test_streams_end_when_the_server_stops_and_are_taken_up_again(agent: Client, server: Server) -> None:
    hitl = await agent.case()
    async with event_stream(agent, hitl) as stream:
        await stream.frame()
        server.app.state.streams.close()
        assert [] == await stream.rest()


async def test_a_stream_survives_a_database_that_is_away_for_a_moment(agent: Client, server: Server) -> None:
    hitl = await agent.case()
    async with event_stream(agent, hitl) as stream:
        await stream.frame()
        await server.database.close()
        server.services.hub.wake(f"case:{hitl['case_id']}")
        assert 503 == (await agent.poll(hitl)).status_code
        await server.database.start(server.services.hub)
        await agent.tap(hitl, "confirm")
        assert ["review.completed"] == [frame["event"] for frame in await stream.rest()]


# --- discovery


async def test_discovery_tells_anybody_what_this_server_offers(server: Server) -> None:
    answer = await server.nobody().http.get("/.well-known/hitl.json")
    found = answer.json()["hitl_protocol"]
    assert (200, "public, max-age=3600") == (answer.status_code, answer.headers["cache-control"])
    assert ("0.8", f"{server.url}/api/hitl/cases") == (found["spec_version"], found["endpoints"]["reviews_base"])
    assert ["polling", "sse", "callback"] == found["capabilities"]["transports"]
    assert [] == problems("discovery-response", answer.json())
