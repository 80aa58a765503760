"""Second thoughts: an answer given on the page may be revised for a while, and decides nothing until it cannot be."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from core.errors import AlreadyDecided
from core.model import Opened
from core.replies import Answered
from core.states import Status
from tests.support.gates import MINUTE, World, reviewer, slack

GRACE = 5 * MINUTE


async def on_the_page(here: World, opened: Opened, action: str = "approve", **changes: Any) -> Answered:
    return await here.answer(opened, action, door="page", **changes)


async def test_an_answer_on_the_page_shows_at_once_and_decides_when_it_can_no_longer_change(here: World) -> None:
    opened = await here.open(sourced=False)
    answered = await on_the_page(here, opened)
    assert (Status.COMPLETED, 1) == (answered.case.status, answered.case.revision)
    assert {"action": "approve", "data": {}} == answered.case.result
    assert [] == await here.rows("decisions")
    assert 0 == await here.gate.settle_due()
    here.clock.forward(GRACE + 1)
    assert 1 == await here.gate.settle_due()
    assert 0 == await here.gate.settle_due()
    decision = await here.row("decisions")
    assert ("APPROVE", "approve") == (decision["verdict"], decision["action"])
    assert (await here.case_row(opened))["settles_at"] is None
    assert [] == await here.findings()


async def test_a_revised_answer_takes_the_place_of_the_first_and_both_are_in_the_ledger(here: World) -> None:
    opened = await here.open(grace_ms=GRACE)
    await on_the_page(here, opened, "approve")
    revised = await on_the_page(here, opened, "reject", data={"feedback": "No."}, revision=1)
    assert ({"action": "reject", "data": {"feedback": "No."}}, 2) == (revised.case.result, revised.case.revision)
    rows = sorted(await here.rows("human_interactions"), key=lambda row: int(row["created_at"]))
    assert ["link:holder", "link:holder#2"] == [row["dedupe_key"] for row in rows]
    assert ["approve", "reject"] == [json.loads(row["payload"])["action"] for row in rows]
    assert ["completed", "completed"] == await here.kinds(opened)
    here.clock.forward(GRACE + 1)
    await here.gate.settle_due()
    event = json.loads((await here.row("decision_events"))["body"])
    assert ("DENY", "reject") == (event["decision"]["type"], event["decision"]["action"])
    assert rows[1]["interaction_id"] == event["ledger"]["interaction_id"]
    assert [] == await here.findings()


async def test_an_answer_can_be_taken_back_to_what_it_was(here: World) -> None:
    opened = await here.open(grace_ms=GRACE)
    for number, action in enumerate(("approve", "reject", "approve")):
        answered = await on_the_page(here, opened, action, revision=number)
        assert number + 1 == answered.case.revision
    assert 3 == len(await here.rows("human_interactions"))
    assert [] == await here.findings()


async def test_the_same_answer_again_is_the_same_answer(here: World) -> None:
    opened = await here.open(grace_ms=GRACE)
    first = await on_the_page(here, opened, "approve", revision=0)
    for revision in (0, None):
        again = await on_the_page(here, opened, "approve", revision=revision)
        assert (True, first.interaction_id) == (again.replay, again.interaction_id)
    assert 1 == len(await here.rows("human_interactions"))


async def test_a_revision_that_arrives_late_is_not_taken_for_a_newer_one(here: World) -> None:
    opened = await here.open(grace_ms=GRACE)
    await on_the_page(here, opened, "approve", revision=0)
    await on_the_page(here, opened, "reject", revision=1)
    assert (await on_the_page(here, opened, "approve", revision=0)).replay
    with pytest.raises(AlreadyDecided):
        await on_the_page(here, opened, "edit", revision=1)
    with pytest.raises(AlreadyDecided):
        await on_the_page(here, opened, "edit", revision=7)
    assert "reject" == json.loads((await here.case_row(opened))["result"])["action"]


async def test_nothing_is_revised_once_the_time_is_up(here: World) -> None:
    opened = await here.open(grace_ms=GRACE)
    first = await on_the_page(here, opened, "approve")
    here.clock.forward(GRACE)
    with pytest.raises(AlreadyDecided):
        await on_the_page(here, opened, "reject", revision=1)
    await here.gate.settle_due()
    with pytest.raises(AlreadyDecided):
        await on_the_page(here, opened, "reject")
    assert first.interaction_id == (await on_the_page(here, opened, "approve")).interaction_id


async def test_revising_does_not_buy_more_time(here: World) -> None:
    opened = await here.open(grace_ms=GRACE)
    await on_the_page(here, opened, "approve")
    here.clock.forward(GRACE - MINUTE)
    await on_the_page(here, opened, "reject", revision=1)
    here.clock.forward(MINUTE)
    assert 1 == await here.gate.settle_due()


async def test_a_tap_is_final_at_once_and_cannot_revise_the_page(here: World) -> None:
    tapped = await here.open(grace_ms=GRACE, notify=(slack(),))
    await here.answer(tapped, "approve")
    assert 1 == len(await here.rows("decisions"))
    paged = await here.open(grace_ms=GRACE, notify=(slack(),))
    await on_the_page(here, paged, "approve")
    with pytest.raises(AlreadyDecided):
        await here.answer(paged, "reject", by=reviewer(2))


async def test_an_answer_that_the_agent_went_on_from_is_not_revised(here: World) -> None:
    opened = await here.open(sourced=False)
    await on_the_page(here, opened, "edit", data={"feedback": "Shorter."})
    await here.open(sourced=False, previous_case_id=opened.case.case_id)
    with pytest.raises(AlreadyDecided):
        await on_the_page(here, opened, "approve", revision=1)


async def test_an_edit_settles_without_deciding_anything(here: World) -> None:
    opened = await here.open(grace_ms=GRACE)
    await on_the_page(here, opened, "edit", data={"feedback": "Shorter."})
    here.clock.forward(GRACE)
    assert 1 == await here.gate.settle_due()
    assert [] == await here.rows("decisions")
    assert [] == await here.findings()


async def test_cases_of_a_source_have_no_grace_unless_they_or_their_source_ask_for_it(here: World) -> None:
    await on_the_page(here, await here.open(), "approve")
    assert 1 == len(await here.rows("decisions"))
    source = await here.sources.create(
        here.agent, name="slow", description=None, mode="PULL_ONLY", notify=(), policy=None, grace_ms=GRACE
    )
    await on_the_page(here, await here.open(source_id=source.source_id), "approve")
    await on_the_page(here, await here.open(source_id=source.source_id, grace_ms=0), "approve")
    assert 2 == len(await here.rows("decisions"))


async def test_the_clock_knows_when_the_next_answer_settles(here: World) -> None:
    opened = await here.open(sourced=False)
    await on_the_page(here, opened)
    due = await here.gate.next_deadline()
    assert due is not None
    assert GRACE - MINUTE < due <= GRACE


async def test_of_fifty_revisions_at_once_one_is_taken(here: World) -> None:
    opened = await here.open(grace_ms=GRACE)
    await on_the_page(here, opened, "approve", revision=0)
    tries = [on_the_page(here, opened, "edit", data={"feedback": f"Try {n}."}, revision=1) for n in range(50)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert 1 == sum(isinstance(one, Answered) for one in outcomes)
    assert 49 == sum(isinstance(one, AlreadyDecided) for one in outcomes)
    assert 2 == len(await here.rows("human_interactions"))
    assert [] == await here.findings()


async def test_settling_and_revising_at_once_agree_on_one_answer(here: World) -> None:
    for _ in range(10):
        opened = await here.open(grace_ms=200)
        await on_the_page(here, opened, "approve", revision=0)
        here.clock.forward(199)
        revising = on_the_page(here, opened, "reject", revision=1)
        await asyncio.gather(revising, here.gate.settle_due(), here.gate.settle_due(), return_exceptions=True)
        here.clock.forward(200)
        while await here.gate.settle_due():
            pass
        decision = await here.row("decisions", "case_id = :case_id", case_id=opened.case.case_id)
        assert decision["action"] == json.loads((await here.case_row(opened))["result"])["action"]
    assert [] == await here.findings()
