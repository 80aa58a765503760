"""What somebody might try: to count twice, to see more than they may, to wear others down. None of it works."""

from __future__ import annotations

import asyncio
import json

import pytest

from core.cards import Tap
from core.errors import AlreadyDecided, AssentError, InvalidInput, NotAReviewer, RateLimited
from core.extending import EXTEND
from core.model import Identity, Policy
from core.people import MOST_TRIES
from core.reviewing import Reviewer
from core.schedule import HOUR
from core.states import Status
from tests.support.gates import MINUTE, slack, telegram, world
from tests.support.people import Team, ada, ben, cleo


async def test_whoever_stands_in_for_somebody_does_not_see_what_was_over_before(database_url: str) -> None:
    async with world(database_url) as here:
        team, tenant = Team(here), here.agent.tenant_id
        await team.groups.put(tenant, "finance", ["slack:UADA"])
        past = await here.open(policy=Policy(("slack:UADA", "group:finance")))
        await here.answer(past, by=ada())
        running = await here.open(policy=Policy(("slack:UADA",)))
        await team.people.away(ada(), running.case.created_at + HOUR, "slack:UBEN", "Ben")
        assert await team.inbox.may_see(ben(), past.case.case_id) is None
        assert (await team.inbox.history(ben())).items == ()
        assert await team.inbox.entries(ben(), closed=True) == {"slack:UBEN"}
        assert await team.inbox.may_see(ben(), running.case.case_id) is not None
        await here.answer(running, by=ben())
        assert [one.case_id for one in (await team.inbox.history(ben())).items] == [running.case.case_id]
        assert await team.inbox.may_see(ben(), running.case.case_id) is not None


async def test_many_chats_of_others_keep_nobodys_inbox_empty(sqlite_url: str) -> None:
    async with world(sqlite_url) as here:
        team = Team(here)
        for number in range(310):
            await here.open(notify=(slack(f"A{number:04}"), telegram(str(9000 + number))), sourced=False)
        mine = await here.open(notify=(telegram("-1009"), slack("UADA")))
        team.telegram.chats["-1009"] = {"71"}
        for who in (ada("telegram"), ada("slack")):
            page = await team.inbox.waiting(who)
            assert [one.case.case_id for one in page.items] == [mine.case.case_id], who


async def test_codes_are_not_tried_for_longer_with_a_code_of_ones_own_in_between(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        own = await team.people.link_code(ben("slack"))
        for _ in range(MOST_TRIES - 1):
            with pytest.raises(InvalidInput):
                await team.people.look_at_code(ben("telegram"), "AAAAAAAA")
        await team.people.look_at_code(ben("telegram"), own)
        with pytest.raises(InvalidInput):
            await team.people.look_at_code(ben("telegram"), "AAAAAAAA")
        with pytest.raises(RateLimited):
            await team.people.look_at_code(ben("telegram"), "AAAAAAAA")


async def test_who_may_not_close_a_case_is_refused_and_that_is_noted(database_url: str) -> None:
    async with world(database_url) as here:
        Team(here)
        opened = await here.open(policy=Policy(("slack:UADA",)))
        with pytest.raises(NotAReviewer):
            await here.gate.close_unanswered(opened.case.case_id, opened.review_token, None, None, Reviewer(ben()))
        noted = await here.row("case_events", "case_id = :case_id", case_id=opened.case.case_id)
        told = json.loads(noted["data"])
        assert (noted["kind"], told["by"]["platform_user_id"], told["code"]) == ("refused", "UBEN", "not_a_reviewer")


async def test_nobody_answers_two_steps_at_once_whose_duties_are_kept_apart(database_url: str) -> None:
    policy = Policy(separate_duties=("workflow",))
    async with world(database_url) as here, world(database_url, beside=here) as there:
        for n in range(12):
            flow = {"workflow_id": f"wf{n}", "policy": policy}
            first = await here.open(gate_key="first", **flow)
            second = await here.open(gate_key="second", **flow)
            found = await asyncio.gather(
                here.answer(first, by=ada()), there.answer(second, by=ada()), return_exceptions=True
            )
            assert sorted(type(one).__name__ for one in found) == ["Answered", "NotAReviewer"]


async def test_a_voice_that_was_lent_and_one_of_the_same_person_linked_later_count_once(database_url: str) -> None:
    policy = Policy(("telegram:71", "slack:UADA", "slack:UCLEO", "slack:UDORA"), quorum=3)
    async with world(database_url) as here:
        team = Team(here)
        opened = await here.open(policy=policy)
        await team.people.away(ada("telegram"), opened.case.created_at + HOUR, "slack:UBEN", "Ben")
        await here.answer(opened, by=ada("slack"))
        await here.answer(opened, by=ben("slack"))
        await team.link(ada("slack"), ada("telegram"))
        third = await here.answer(opened, by=cleo())
        assert third.case.status is Status.IN_PROGRESS
        dora = Identity("slack", "UDORA", "Dora", team="T0HOME", verified=True)
        assert (await here.answer(opened, by=dora)).case.status is Status.COMPLETED


async def test_cases_that_ended_at_the_same_moment_are_all_in_the_history(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        for _ in range(5):
            await here.open(policy=Policy(("slack:UADA",)), timeout_ms=MINUTE)
        here.clock.forward(2 * MINUTE)
        assert await here.gate.expire_due() == 5
        found, before = [], None
        for _ in range(5):
            page = await team.inbox.history(ada(), limit=2, before=before)
            found += [one.case_id for one in page.items]
            before = page.next
            if before is None:
                break
        assert len(found) == len(set(found)) == 5


async def test_more_time_is_for_whoever_may_decide_under_whatever_identity(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        team.slack.groups["S0FIN"] = {"UADA"}
        await team.link(ada("slack"), ada("telegram"))
        opened = await here.open(
            policy=Policy(("slack:S0FIN",)), notify=(telegram("-1001"),), chat={"extend_ms": 30 * MINUTE}
        )
        card = await here.row("cards")
        tap = Tap("telegram", card["card_id"], EXTEND, ada("telegram"), "-1001", "telegram_inline_button")
        assert (await here.cards.tap(tap)).recorded
        assert (await here.case_row(opened))["expires_at"] > opened.case.expires_at
