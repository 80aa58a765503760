"""What somebody might try: to count twice, to see more than they may, to wear others down. None of it works."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from dataclasses import replace

import pytest

from core.directory import Directories
from core.errors import AlreadyVoted, InvalidInput, NotAReviewer, RateLimited, SelfApproval, Unavailable
from core.extending import EXTEND
from core.model import Identity, Policy
from core.people import MOST_TRIES
from core.ports import SendFailed
from core.reviewing import Reviewer
from core.schedule import HOUR
from core.states import Status
from core.taps import Tap
from tests.integration.telegram_support import GROUP, SUPERGROUP, a_scene
from tests.support.chats import buttons
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
        assert await team.inbox.entries(ben(), closed=True) == {"slack:UBEN", "in:slack:UBEN"}
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
            first = await here.open(workflow_id=f"wf{n}", gate_key="first", policy=policy)
            second = await here.open(workflow_id=f"wf{n}", gate_key="second", policy=policy)
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


async def test_whoever_is_in_two_workspaces_of_an_organisation_is_one_person(database_url: str) -> None:
    here_, there_ = (replace(ada(), team=f"E0ORG/{team}") for team in ("T0HOME", "T0SISTER"))
    async with world(database_url) as here:
        team = Team(here)
        await team.link(there_, ada("telegram"))
        opened = await here.open(policy=Policy(quorum=3))
        await here.answer(opened, by=here_)
        for other in (there_, ada("telegram")):
            with pytest.raises(AlreadyVoted):
                await here.answer(opened, by=other)
        asked = await here.open(policy=Policy(exclude_requester=True), requested_by="telegram:71")
        with pytest.raises(SelfApproval):
            await here.answer(asked, by=here_)


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
        assert (await here.taps.tap(tap)).recorded
        assert (await here.case_row(opened))["expires_at"] > opened.case.expires_at


async def test_what_is_for_one_person_alone_is_never_said_in_a_group(sqlite_url: str) -> None:
    async with a_scene(sqlite_url) as scene:
        scene.sandbox.telegram.world.group.members[1006] = "member"  # who has never written to the bot alone
        await scene.core.ask(SUPERGROUP, prompt="Pay 4,000 euros?", policy=Policy(("telegram:1006",)))
        for command in ("/web please", "/inbox now", "/history of mine", "/whoami please"):
            told = await scene.command(command, GROUP, "Newcomer")
            assert buttons(told) == ["Open the private chat"], command
        said = "".join(one.text for one in scene.said(GROUP))
        assert "code=" not in said
        assert "4,000" not in said


async def test_whoever_may_decide_themselves_takes_nobodys_voice(database_url: str) -> None:
    policy = Policy(("slack:UADA", "slack:S0FIN", "channel"), quorum=2)
    async with world(database_url) as here:
        team = Team(here)
        team.slack.groups["S0FIN"], team.slack.chats["C1"] = {"UBEN"}, {"UCLEO"}
        for taker, door in ((ben(), "inline"), (cleo(), "page")):
            opened = await here.open(policy=policy, notify=(slack(),))
            await team.people.away(ada(), opened.case.created_at + HOUR, taker.address)
            await here.answer(opened, by=taker, door=door, in_channel=False)  # type: ignore[arg-type]
            row = await here.row("human_interactions", "case_id = :case_id", case_id=opened.case.case_id)
            assert "on_behalf_of" not in json.loads(row["replier"])
            assert (await here.answer(opened, by=ada())).case.status is Status.COMPLETED


async def test_a_voice_that_nobody_gave_is_found_by_verify(database_url: str) -> None:
    async with world(database_url) as here:
        opened = await here.open(policy=Policy(quorum=3))
        await here.answer(opened, by=ada())
        forged = json.loads((await here.case_row(opened))["votes"])[0] | {"key": cleo().key}
        votes = json.dumps([*json.loads((await here.case_row(opened))["votes"]), forged])
        changed = "UPDATE cases SET votes = :votes WHERE case_id = :case_id"
        await here.execute(changed, votes=votes, case_id=opened.case.case_id)
        assert (await here.answer(opened, by=ben())).case.status is Status.COMPLETED
        assert [one.detail for one in await here.findings()] == ["fewer people have said so than had to"]
        honest = await here.open(policy=Policy(quorum=2))
        for one in (ada(), ben()):
            await here.answer(honest, by=one)
        assert len(await here.findings()) == 1


class Strict:
    """Telegram, that says of no more than forty chats a second who is there."""

    platform = "telegram"

    def __init__(self) -> None:
        self.left = 40

    async def groups_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        return frozenset()

    async def chats_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        self.left -= len(among)
        if self.left < 0:
            raise SendFailed("too many questions")
        return frozenset(among)


async def test_an_inbox_of_very_many_chats_comes_in_the_end(sqlite_url: str) -> None:
    async with world(sqlite_url) as here:
        directories, strict = Directories(here.database), Strict()
        directories.add(strict)
        chats, tries = [f"-{number}" for number in range(1, 61)], 0
        while True:
            tries, strict.left = tries + 1, 40
            try:
                assert await directories.chats_of(ada("telegram"), chats) == set(chats)
            except Unavailable:
                assert tries < 5
            else:
                break
        assert tries > 1


async def test_whoever_stands_in_for_two_speaks_for_the_one_who_was_not_heard(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        opened = await here.open(policy=Policy(("slack:UADA", "slack:UCLEO"), quorum=2))
        for giver in (ada(), cleo()):
            await team.people.away(giver, opened.case.created_at + HOUR, "slack:UBEN")
        await here.answer(opened, by=ada())
        assert (await here.answer(opened, by=ben())).case.status is Status.COMPLETED


async def test_two_identities_of_one_person_that_answer_at_once_have_one_voice(database_url: str) -> None:
    async with world(database_url) as here, world(database_url, beside=here) as there:
        await Team(here).link(ada("slack"), ada("telegram"))
        for _ in range(5):
            opened = await here.open(policy=Policy(quorum=2))
            found = await asyncio.gather(
                here.answer(opened, by=ada("slack")), there.answer(opened, by=ada("telegram")), return_exceptions=True
            )
            assert sorted(type(one).__name__ for one in found) == ["AlreadyVoted", "Answered"]


async def test_of_two_links_at_once_one_holds(database_url: str) -> None:
    async with world(database_url) as here, world(database_url, beside=here) as there:
        one, two = Team(here).people, Team(there).people
        for n in range(4):
            maker = Identity("slack", f"UA{n}", "A", team="T0HOME", verified=True)
            others = [Identity("telegram", f"{first}{n}", "B", verified=True) for first in (8, 9)]
            codes = [await one.link_code(maker) for _ in others]
            found = await asyncio.gather(
                one.link(others[0], codes[0]), two.link(others[1], codes[1]), return_exceptions=True
            )
            assert sorted(type(each).__name__ for each in found) == ["Conflict", "tuple"]
