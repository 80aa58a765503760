"""Several must agree: votes are ledger rows, and the case goes on waiting until enough people said the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.errors import AlreadyDecided, InvalidInput, NotAReviewer
from core.messages import card
from core.model import Policy
from core.policy import tally
from core.replies import Answered
from core.states import Status
from tests.support.gates import World, reviewer, slack

TWO = Policy(quorum=2)


async def test_the_second_of_two_decides(here: World) -> None:
    opened = await here.open(policy=TWO, notify=(slack(),))
    first = await here.answer(opened, "approve", by=reviewer(1))
    assert Status.IN_PROGRESS is first.case.status
    assert {"votes": {"approve": 1}, "quorum": 2, "reject_quorum": 1} == tally(first.case)
    assert [] == await here.rows("decisions")
    second = await here.answer(opened, "approve", by=reviewer(2))
    assert Status.COMPLETED is second.case.status
    decision = await here.row("decisions")
    assert second.interaction_id == decision["interaction_id"]
    assert 2 == len(await here.rows("human_interactions"))
    assert ["in_progress", "completed"] == await here.kinds(opened)
    assert [] == await here.findings()


async def test_nobody_votes_twice(here: World) -> None:
    opened = await here.open(policy=TWO, notify=(slack(),))
    first = await here.answer(opened, "approve", by=reviewer(1))
    again = await here.answer(opened, "approve", by=reviewer(1))
    assert (True, first.interaction_id) == (again.replay, again.interaction_id)
    with pytest.raises(AlreadyDecided):
        await here.answer(opened, "reject", by=reviewer(1))
    assert 1 == len(await here.rows("human_interactions"))
    assert 1 == len((await here.answer(opened, "approve", by=reviewer(1))).case.votes)


async def test_one_denial_is_enough_unless_a_quorum_is_asked_for_that_too(here: World) -> None:
    quick = await here.open(policy=TWO, notify=(slack(),))
    await here.answer(quick, "approve", by=reviewer(1))
    assert Status.COMPLETED is (await here.answer(quick, "reject", by=reviewer(2))).case.status
    slow = await here.open(policy=Policy(reject_quorum=2), notify=(slack(),))
    assert Status.IN_PROGRESS is (await here.answer(slow, "reject", by=reviewer(1))).case.status
    assert Status.COMPLETED is (await here.answer(slow, "reject", by=reviewer(2))).case.status
    assert [] == await here.findings()


async def test_votes_for_different_actions_do_not_add_up(here: World) -> None:
    opened = await here.open("escalation", policy=TWO, notify=(slack(),))
    await here.answer(opened, "retry", by=reviewer(1))
    assert Status.IN_PROGRESS is (await here.answer(opened, "skip", by=reviewer(2))).case.status
    assert Status.COMPLETED is (await here.answer(opened, "skip", by=reviewer(3))).case.status


async def test_whoever_holds_the_link_counts_as_one_person(here: World) -> None:
    opened = await here.open(policy=TWO, notify=(slack(),))
    await here.answer(opened, "approve", door="page")
    await here.answer(opened, "approve", door="page")
    assert [] == await here.rows("decisions")
    assert Status.COMPLETED is (await here.answer(opened, "approve", by=reviewer(1))).case.status


async def test_the_vote_that_decides_on_the_page_is_final_at_once(here: World) -> None:
    opened = await here.open(sourced=False, policy=TWO, notify=(slack(),))
    await here.answer(opened, "approve", by=reviewer(1))
    last = await here.answer(opened, "approve", door="page")
    assert last.case.settles_at is None
    assert 1 == len(await here.rows("decisions"))


async def test_who_may_not_decide_has_no_vote(here: World) -> None:
    opened = await here.open(policy=Policy(any_of=("slack:U1", "slack:U2"), quorum=2), notify=(slack(),))
    await here.answer(opened, "approve", by=reviewer(1))
    with pytest.raises(NotAReviewer):
        await here.answer(opened, "approve", by=reviewer(3))
    assert 1 == len(await here.rows("human_interactions"))


async def test_a_person_whom_only_an_agent_names_has_no_vote(here: World) -> None:
    opened = await here.open(policy=TWO, notify=(slack(),))
    with pytest.raises(NotAReviewer):
        await here.answer(opened, "approve", by=replace(reviewer(1), verified=False))
    assert [] == await here.rows("human_interactions")


async def test_the_card_shows_how_the_vote_stands(here: World) -> None:
    opened = await here.open(policy=TWO, notify=(slack(),))
    voted = await here.answer(opened, "approve", by=reviewer(1))
    facts = dict(card(voted.case, card_id="c", version=2, review_url=None).facts)
    assert "Approve 1 of 2 (Reviewer 1)" == facts["Votes"]
    assert 2 == (await here.row("cards"))["wanted_version"]
    decided = await here.answer(opened, "approve", by=reviewer(2))
    facts = dict(card(decided.case, card_id="c", version=3, review_url=None).facts)
    assert "Approve 2 of 2 (Reviewer 1, Reviewer 2)" == facts["Votes"]


async def test_a_quorum_is_refused_where_answers_are_peoples_own(here: World) -> None:
    with pytest.raises(InvalidInput) as refused:
        await here.open("input", policy=TWO)
    assert "reviewers.quorum" == refused.value.details["field"]


async def test_of_twenty_votes_at_once_as_many_count_as_are_needed(here: World) -> None:
    opened = await here.open(policy=Policy(quorum=5), notify=(slack(),))
    votes = [here.answer(opened, "approve", by=reviewer(n)) for n in range(20)]
    outcomes = await asyncio.gather(*votes, return_exceptions=True)
    assert 5 == sum(isinstance(one, Answered) for one in outcomes)
    assert 15 == sum(isinstance(one, AlreadyDecided) for one in outcomes)
    assert 1 == len(await here.rows("decisions"))
    assert [] == await here.findings()
