"""Reminders as an agent sees them: in the answer to opening, in polls and in the event stream."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from core.schedule import parse_instant
from tests.support.server import (  # noqa: F401 (fixtures)
    Client,
    Server,
    agent_fixture,
    event_stream,
    server_fixture,
    until,
)


def in_hours(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_a_reminder_shows_in_the_poll_and_in_its_etag(agent: Client, server: Server) -> None:
    hitl = await agent.case()
    before = await agent.poll(hitl)
    assert "reminder_sent_at" not in before.json()
    server.clock.forward(hours=12)
    await until(lambda: _changed(agent, hitl, before.headers["etag"]))

    poll = (await agent.poll(hitl)).json()
    planned = parse_instant(hitl["reminder_at"][0], field="reminder_at")
    sent = parse_instant(poll["reminder_sent_at"], field="reminder_sent_at")
    assert "pending" == poll["status"]
    assert planned <= sent < planned + 60_000
    await agent.tap(hitl, "confirm")
    assert "reminder_sent_at" not in (await agent.poll(hitl)).json()


async def _changed(agent: Client, hitl: dict[str, str], etag: str) -> bool:
    return (await agent.poll(hitl, if_none_match=etag)).status_code == 200


async def test_a_reminder_is_streamed_and_replayed(agent: Client, server: Server) -> None:
    moments = [in_hours(2), in_hours(6)]
    hitl = await agent.case(timeout="8h", reminder_at=moments)
    case_id = hitl["case_id"]
    async with event_stream(agent, hitl) as stream:
        assert "review.status" == (await stream.frame() or {})["event"]
        server.clock.forward(hours=2)
        first = await stream.frame()
        server.clock.forward(hours=4)
        second = await stream.frame()
        await agent.tap(hitl, "confirm")
        assert ["review.completed"] == [frame["event"] for frame in await stream.rest()]
    expected = [
        {
            "event": "review.reminder",
            "id": f"{case_id}-{number}",
            "data": {"case_id": case_id, "reminder_at": moment, "message": f"Review expires in {left}"},
        }
        for number, moment, left in ((1, moments[0], "6 hours"), (2, moments[1], "2 hours"))
    ]
    assert expected == [first, second]
    async with event_stream(agent, hitl, f"{case_id}-0") as stream:
        status, *missed = await stream.rest()
        assert "review.status" == status["event"]
        assert expected == missed[:2]
    async with event_stream(agent, hitl, f"{case_id}-1") as stream:
        assert [second] == [frame for frame in await stream.rest() if frame["event"] == "review.reminder"]


async def test_reminders_that_were_missed_are_one_event(agent: Client, server: Server) -> None:
    moments = [in_hours(hours) for hours in (1, 2, 3, 7)]
    hitl = await agent.case(timeout="8h", reminder_at=moments)
    async with event_stream(agent, hitl) as stream:
        await stream.frame()
        server.clock.forward(hours=4)
        frame = await stream.frame() or {}
        assert ("review.reminder", moments[2]) == (frame["event"], frame["data"]["reminder_at"])
        server.clock.forward(hours=3)
        frame = await stream.frame() or {}
        assert ("review.reminder", moments[3]) == (frame["event"], frame["data"]["reminder_at"])


async def test_an_answered_case_streams_no_reminder(agent: Client, server: Server) -> None:
    hitl = await agent.case(timeout="8h", reminder_at=in_hours(2))
    await agent.tap(hitl, "confirm")
    server.clock.forward(hours=3)
    other = await agent.case(timeout="24h", reminder_at=in_hours(4))
    server.clock.forward(hours=2)
    async with event_stream(agent, other, f"{other['case_id']}-0") as stream:
        await stream.frame()
        assert "review.reminder" == (await stream.frame() or {})["event"], "the clock has come round"
    async with event_stream(agent, hitl, f"{hitl['case_id']}-0") as stream:
        assert ["review.status", "review.completed"] == [frame["event"] for frame in await stream.rest()]


async def test_discovery_says_that_this_server_reminds(server: Server) -> None:
    found = (await server.nobody().http.get("/.well-known/hitl.json")).json()["hitl_protocol"]
    assert found["capabilities"]["supports_reminders"] is True
