"""One reply counts once, however often and from wherever it comes. tests/chaos/races.py runs the same for longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.model import Opened, Policy
from core.states import Status
from tests.chaos.races import CONNECTIONS, contrary_replies, identical_replies, identical_taps
from tests.support.gates import World, reviewer, slack, world

ROUNDS = 3
COPIES = 200
CASES = 250


@pytest.fixture
async def here(database_url: str) -> AsyncIterator[World]:
    async with world(database_url, pool_size=CONNECTIONS) as found:
        yield found


async def test_two_hundred_identical_replies_make_one_row_and_get_one_answer(here: World) -> None:
    for _ in range(ROUNDS):
        await identical_replies(here, COPIES)
    assert ROUNDS == len(await here.rows("human_interactions"))
    assert ROUNDS == len(await here.rows("decision_events"))


async def test_two_hundred_taps_of_one_person_make_one_row_and_all_are_told_so(here: World) -> None:
    for _ in range(ROUNDS):
        await identical_taps(here, COPIES)
    assert ROUNDS == len(await here.rows("human_interactions"))


async def test_cases_that_are_approved_and_rejected_at_once_are_each_decided_once(here: World) -> None:
    won = await contrary_replies(here, CASES)
    assert CASES == sum(won.values())
    assert all(won.values()), f"every door must have had its chance: {won}"
    await here.seal()
    assert [] == await here.findings()


async def test_the_same_delivery_at_two_processes_is_one_tap(here: World) -> None:
    if here.database.dialect == "sqlite":
        return  # one process
    async with world(here.url, beside=here) as replica:
        for n in range(20):
            opened = await here.open(notify=(slack(),))
            (card,) = await here.rows("cards", "case_id = :c", c=opened.case.case_id)
            answers = await asyncio.gather(
                *(place.tap(card["card_id"], "approve", reviewer(), delivery_id=f"d{n}") for place in (here, replica))
            )
            assert ["Recorded: Approved.", None] == sorted((a.text for a in answers), key=lambda text: text is None)
        assert 20 == len(await here.rows("human_interactions"))


async def test_the_same_refused_delivery_at_two_processes_is_told_and_recorded_once(here: World) -> None:
    if here.database.dialect == "sqlite":
        return  # one process
    async with world(here.url, beside=here) as replica:
        for n in range(20):
            opened = await here.open(policy=Policy(any_of=("slack:U7",)), notify=(slack(),))
            (card,) = await here.rows("cards", "case_id = :c", c=opened.case.case_id)
            answers = await asyncio.gather(
                *(place.tap(card["card_id"], "approve", reviewer(), delivery_id=f"d{n}") for place in (here, replica))
            )
            (words,) = [answer.text for answer in answers if answer.text is not None]
            assert words.startswith("You are not one of the reviewers of this case")
            assert ["refused"] == await here.kinds(opened)


async def test_withdrawal_reply_and_deadline_race_and_one_of_them_wins(here: World) -> None:
    cases = [await here.open(timeout_ms=10_000) for _ in range(40)]
    here.clock.forward(9_990)

    async def past_the_deadline() -> None:
        here.clock.forward(20)

    async def race(opened: Opened) -> list[object]:
        return list(
            await asyncio.gather(
                here.answer(opened),
                here.gate.cancel(here.agent, opened.case.case_id, None),
                past_the_deadline(),
                here.gate.expire_due(),
                return_exceptions=True,
            )
        )

    await asyncio.gather(*map(race, cases))
    while await here.gate.expire_due():
        pass
    for opened in cases:
        assert Status((await here.case_row(opened))["status"]) in (Status.COMPLETED, Status.CANCELLED, Status.EXPIRED)
        for table in ("human_interactions", "decisions", "decision_events"):
            assert 1 == len(await here.rows(table, "case_id = :c", c=opened.case.case_id))
    assert [] == await here.findings()
