"""Claims: leave to act on a decision event is given once, and only for what people agreed to."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from core.errors import Conflict, NotFound, Refused
from core.events import Claim
from tests.support.gates import World
from tests.support.server import (  # noqa: F401 (fixtures)
    Client,
    Server,
    agent_fixture,
    let_in,
    server_fixture,
)

OTHER_TENANT = "7d9c2f6e-0b41-4f0c-9d52-1f1f5f0f7a11"


@pytest.fixture
async def executor(server: Server) -> Client:
    return await server.client("executor")


async def _source(server: Server) -> str:
    admin = await server.client("admin")
    found: str = (await admin.http.post("/sources", json={"name": "Deploys"})).json()["id"]
    return found


async def _event(agent: Client, executor: Client, source: str, action: str = "confirm") -> dict[str, Any]:
    """The event of a case that was answered with that."""
    after = (await executor.http.get(f"/sources/{source}/decision-events")).json()["next_cursor"]
    hitl = await agent.case(source_id=source)
    assert 200 == (await agent.tap(hitl, action)).status_code
    page = await executor.http.get(f"/sources/{source}/decision-events", params={"wait": 10, "after": after})
    (event,) = page.json()["items"]
    found: dict[str, Any] = event
    return found


async def _claim(client: Client, event: dict[str, Any], claimer: str = "deployer-1", **changes: Any) -> httpx.Response:
    address = f"/sources/{event['source_id']}/decision-events/{event['event_id']}/claim"
    body = {"final_digest": event["final_digest"], "claimer_id": claimer} | changes
    return await let_in(lambda: client.http.post(address, json=body))


def _error(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_an_event_is_claimed_once_and_the_claimer_may_ask_again(
    server: Server, agent: Client, executor: Client
) -> None:
    event = await _event(agent, executor, await _source(server))
    first = await _claim(executor, event)
    assert 200 == first.status_code, first.text
    given = first.json()
    assert {"claim_id", "event_id", "claimer_id", "claimed_at", "final_digest"} == set(given)
    assert (event["event_id"], "deployer-1", event["final_digest"]) == tuple(
        given[name] for name in ("event_id", "claimer_id", "final_digest")
    )
    assert (200, given) == ((again := await _claim(executor, event)).status_code, again.json())
    refused = await _claim(executor, event, "deployer-2")
    assert (409, "CONFLICT") == _error(refused)
    assert "do not act" in refused.json()["error"]["message"]
    assert given == (await _claim(executor, event)).json()


async def test_two_hundred_claims_of_twenty_claimers_at_once_give_one(
    server: Server, agent: Client, executor: Client
) -> None:
    event = await _event(agent, executor, await _source(server))
    answers = await asyncio.gather(*(_claim(executor, event, f"deployer-{n % 20}") for n in range(200)))
    assert {200: 10, 409: 190} == Counter(answer.status_code for answer in answers)
    assert 1 == len({answer.text for answer in answers if answer.status_code == 200})


async def test_what_nobody_agreed_to_cannot_be_claimed(server: Server, agent: Client, executor: Client) -> None:
    source = await _source(server)
    denied = await _event(agent, executor, source, "cancel")
    assert (403, "FORBIDDEN") == _error(await _claim(executor, denied))
    agreed = await _event(agent, executor, source)
    for digest in ("sha256:" + "0" * 64, agreed["content_digest"], denied["final_digest"]):
        assert (403, "FORBIDDEN") == _error(await _claim(executor, agreed, final_digest=digest)), digest
    assert 200 == (await _claim(executor, agreed)).status_code
    assert (403, "FORBIDDEN") == _error(await _claim(executor, agreed, final_digest=denied["final_digest"]))


async def test_a_foreign_event_is_as_unknown_as_one_that_never_was(
    server: Server, agent: Client, executor: Client
) -> None:
    event = await _event(agent, executor, await _source(server))
    other_source = await _source(server)
    stranger = await server.client("executor", OTHER_TENANT)
    answers = [
        await _claim(stranger, event),
        await _claim(executor, event | {"source_id": other_source}),
        await _claim(executor, event | {"event_id": "evt_none"}),
        await _claim(executor, event | {"source_id": "src_none"}),
        await _claim(executor, event | {"event_id": "%00"}),
    ]
    assert {(404, "NOT_FOUND")} == {_error(answer) for answer in answers}
    assert 1 == len({answer.json()["error"]["message"] for answer in answers})
    assert 200 == (await _claim(executor, event)).status_code


async def test_claims_need_a_key_that_may_execute(server: Server, agent: Client, executor: Client) -> None:
    event = await _event(agent, executor, await _source(server))
    assert (403, "FORBIDDEN") == _error(await _claim(agent, event))
    assert (401, "UNAUTHORIZED") == _error(await _claim(server.nobody(), event))


async def test_what_is_wrong_with_a_claim_is_named(server: Server, agent: Client, executor: Client) -> None:
    event = await _event(agent, executor, await _source(server))
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"claimer_id": ""}, "claimer_id"),
        ({"claimer_id": "x" * 201}, "claimer_id"),
        ({"claimer_id": 7}, "claimer_id"),
        ({"final_digest": None}, "final_digest"),
        ({"final_digest": ["sha256:0"]}, "final_digest"),
        ({"force": True}, "force"),
    ]
    for change, field in wrong:
        answer = await _claim(executor, event, **change)
        assert (400, "VALIDATION_ERROR") == _error(answer), change
        assert field == answer.json()["error"]["details"]["field"]
    assert 200 == (await _claim(executor, event, "x" * 200)).status_code


async def test_a_claim_survives_the_ack_and_the_pull_goes_on_showing_what_is_not_acked(
    server: Server, agent: Client, executor: Client
) -> None:
    source = await _source(server)
    event = await _event(agent, executor, source)
    given = (await _claim(executor, event)).json()
    address = f"/sources/{source}/decision-events"
    assert [event] == (await executor.http.get(address)).json()["items"]
    assert 200 == (await executor.http.post(f"{address}/ack", json={"event_ids": [event["event_id"]]})).status_code
    assert given == (await _claim(executor, event)).json()
    assert (409, "CONFLICT") == _error(await _claim(executor, event, "late"))


# --- past the door


async def _agreed(here: World, **changes: Any) -> tuple[str, str]:
    """An approved event and its digest."""
    opened = await here.open(**changes)
    await here.answer(opened)
    row = await here.row("decision_events", "case_id = :c", c=opened.case.case_id)
    return row["event_id"], row["body"].partition('"final_digest":"')[2].partition('"')[0]


async def test_claims_of_many_events_by_racing_claimers_are_each_given_once(here: World) -> None:
    events = [await _agreed(here) for _ in range(20)]

    async def try_one(event_id: str, digest: str, claimer: str) -> Claim | None:
        try:
            return await here.events.claim(here.agent, here.source_id, event_id, digest, claimer)
        except Conflict:
            return None

    asked = [try_one(*event, f"claimer-{n}") for event in events for n in range(10)]
    given = [claim for claim in await asyncio.gather(*asked) if claim is not None]
    assert Counter({event_id: 1 for event_id, _ in events}) == Counter(claim.event_id for claim in given)
    rows = await here.rows("claims")
    assert {(row["event_id"], row["claimer_id"]) for row in rows} == {(c.event_id, c.claimer_id) for c in given}
    assert {here.agent.key_id} == {row["key_id"] for row in rows}
    await here.seal()
    assert [] == await here.findings(), "a claim is no change of the event"


async def test_a_refused_claim_leaves_nothing_behind(here: World) -> None:
    event_id, digest = await _agreed(here)
    other = await here.new_source(here.agent)
    with pytest.raises(Refused):
        await here.events.claim(here.agent, here.source_id, event_id, "sha256:0", "one")
    with pytest.raises(NotFound):
        await here.events.claim(here.agent, other, event_id, digest, "one")
    assert [] == await here.rows("claims")


async def test_a_claim_whose_answer_was_lost_is_asked_for_again(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    event_id, digest = await _agreed(here)

    def lost(name: str) -> None:
        if name == "claim.after_commit":
            raise ConnectionError("the line went dead")

    monkeypatch.setattr("core.checkpoints.reached", lost)
    with pytest.raises(ConnectionError):
        await here.events.claim(here.agent, here.source_id, event_id, digest, "one")
    monkeypatch.setattr("core.checkpoints.reached", lambda name: None)
    (row,) = await here.rows("claims")
    again = await here.events.claim(here.agent, here.source_id, event_id, digest, "one")
    assert row["claim_id"] == again.claim_id
    with pytest.raises(Conflict):
        await here.events.claim(here.agent, here.source_id, event_id, digest, "two")


async def test_an_answer_that_may_still_be_revised_has_no_event_to_claim(here: World) -> None:
    opened = await here.open("input", grace_ms=60_000)
    await here.answer(opened, "submit", {"text": "yes"}, door="page")
    assert [] == await here.rows("decision_events")
    here.clock.forward(61_000)
    while await here.gate.settle_due():
        pass
    (row,) = await here.rows("decision_events")
    digest = row["body"].partition('"final_digest":"')[2].partition('"')[0]
    # Fail closed: were an event ever there before its time, it could not be claimed.
    await here.execute("UPDATE cases SET settles_at = :at", at=1)
    with pytest.raises(Refused):
        await here.events.claim(here.agent, here.source_id, row["event_id"], digest, "one")
    await here.execute("UPDATE cases SET settles_at = NULL")
    assert "one" == (await here.events.claim(here.agent, here.source_id, row["event_id"], digest, "one")).claimer_id
