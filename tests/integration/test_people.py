"""One person on two messengers is one reviewer, whoever stands in for somebody says so, and codes work once."""

from __future__ import annotations

import json

import pytest

from core.errors import AlreadyDecided, Conflict, InvalidInput, NotAReviewer, RateLimited, SelfApproval
from core.model import Identity, Policy
from core.people import MOST_TRIES
from core.schedule import HOUR
from core.states import Status
from tests.support.gates import MINUTE, slack, telegram, world
from tests.support.people import Team, ada, ben, cleo


async def test_one_person_on_slack_and_telegram_is_one_reviewer_once_linked(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        await team.link(ada("slack"), ada("telegram"))
        assert [one.platform for one in await team.people.linked(ada("telegram"))] == ["telegram", "slack"]
        opened = await here.open(policy=Policy(("slack:UADA",)))
        answered = await here.answer(opened, by=ada("telegram"))
        assert answered.case.status is Status.COMPLETED


async def test_who_may_not_decide_is_told_the_names_of_those_who_may(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        await team.people.seen(ada())
        opened = await here.open(policy=Policy((ada().address, "telegram:1", "channel")))
        with pytest.raises(NotAReviewer, match=r"can be decided by Ada \(Slack\) or telegram:1 or the members"):
            await here.answer(opened, by=ben(), in_channel=False)


async def test_a_quorum_counts_persons_not_identities(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        await team.link(ada("slack"), ada("telegram"))
        opened = await here.open(policy=Policy(quorum=2))
        await here.answer(opened, by=ada("slack"))
        with pytest.raises(AlreadyDecided):
            await here.answer(opened, by=ada("telegram"))
        done = await here.answer(opened, by=ben("telegram"))
        assert done.case.status is Status.COMPLETED
        assert [vote["by"]["display_name"] for vote in done.case.votes] == ["Ada", "Ben"]


async def test_whoever_taps_again_under_another_identity_is_told_that_they_have_one_voice(sqlite_url: str) -> None:
    async with world(sqlite_url) as here:
        team = Team(here)
        await team.link(ada("slack"), ada("telegram"))
        await here.open(policy=Policy(quorum=2), notify=(slack(), telegram()))
        cards = {row["platform"]: row["card_id"] for row in await here.rows("cards")}
        await here.tap(cards["slack"], "approve", ada("slack"))
        told = await here.tap(cards["telegram"], "approve", ada("telegram"), channel="-1001")
        assert told.text == "You have already answered this, and everybody has one voice."


async def test_votes_of_two_identities_that_were_linked_later_count_once(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        opened = await here.open(policy=Policy(quorum=3))
        await here.answer(opened, by=ada("slack"))
        await here.answer(opened, by=ada("telegram"))
        await team.link(ada("slack"), ada("telegram"))
        third = await here.answer(opened, by=ben())
        assert third.case.status is Status.IN_PROGRESS
        fourth = await here.answer(opened, by=cleo())
        assert fourth.case.status is Status.COMPLETED


async def test_self_approval_counts_persons_not_identities(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        await team.link(ada("slack"), ada("telegram"))
        opened = await here.open(policy=Policy(exclude_requester=True), requested_by="slack:UADA")
        with pytest.raises(SelfApproval):
            await here.answer(opened, by=ada("telegram"))


async def test_a_code_links_once_within_ten_minutes_and_only_across_messengers(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        code = await team.people.link_code(ada("slack"))
        assert (await team.people.look_at_code(ada("telegram"), code.lower())).display_name == "Ada"
        with pytest.raises(InvalidInput, match="same messenger"):
            await team.people.look_at_code(ben("slack"), code)
        await team.people.link(ada("telegram"), code)
        with pytest.raises(InvalidInput, match="was used"):
            await team.people.link(ben("telegram"), code)
        late = await team.people.link_code(ben("slack"))
        here.clock.forward(10 * MINUTE + 1)
        with pytest.raises(InvalidInput, match="older than ten minutes"):
            await team.people.link(ben("telegram"), late)


async def test_wrong_codes_can_be_tried_five_times(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        code = await team.people.link_code(ada("slack"))
        for _ in range(MOST_TRIES):
            with pytest.raises(InvalidInput):
                await team.people.look_at_code(ben("telegram"), "AAAAAAAA")
        with pytest.raises(RateLimited):
            await team.people.look_at_code(ben("telegram"), code)


async def test_nobody_takes_over_an_identity_that_is_linked_to_somebody_else(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        await team.link(ada("slack"), ada("telegram"))
        code = await team.people.link_code(ben("slack"))
        with pytest.raises(Conflict):
            await team.people.link(ada("telegram"), code)
        assert await team.people.unlink(ada("telegram").key)
        assert len(await team.people.linked(ada("slack"))) == 1


async def test_somebody_who_is_away_is_answered_for_and_the_ledger_keeps_both_names(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        opened = await here.open(policy=Policy(("slack:UADA",)))
        with pytest.raises(NotAReviewer):
            await here.answer(opened, by=ben())
        now = (await here.case_row(opened))["created_at"]
        await team.people.away(ada(), now + HOUR, "slack:UBEN", "Ben")
        answered = await here.answer(opened, by=ben())
        assert answered.case.status is Status.COMPLETED
        row = await here.row("human_interactions", "case_id = :case_id", case_id=opened.case.case_id)
        replier = json.loads(row["replier"])
        assert (replier["display_name"], replier["on_behalf_of"]["display_name"]) == ("Ben", "Ada")
        event = json.loads((await here.row("decision_events"))["body"])
        assert event["decision"]["decided_by"]["on_behalf_of"]["platform_user_id"] == "UADA"


async def test_standing_in_ends_with_its_time_and_when_somebody_is_back(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        first = await here.open(policy=Policy(("slack:UADA",)), timeout_ms=9 * HOUR)
        now = (await here.case_row(first))["created_at"]
        await team.people.away(ada(), now + HOUR, "slack:UBEN", "Ben")
        here.clock.forward(HOUR + 1)
        with pytest.raises(NotAReviewer):
            await here.answer(first, by=ben())
        await team.people.away(ada(), now + 5 * HOUR, "slack:UBEN", "Ben")
        assert await team.people.back(ada()) == 1
        with pytest.raises(NotAReviewer):
            await here.answer(first, by=ben())


async def test_giver_and_taker_never_count_twice(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        opened = await here.open(policy=Policy(("slack:UADA", "slack:UCLEO"), quorum=2))
        now = (await here.case_row(opened))["created_at"]
        await team.people.away(ada(), now + HOUR, "slack:UBEN", "Ben")
        await here.answer(opened, by=ben())
        with pytest.raises(AlreadyDecided, match="one voice"):
            await here.answer(opened, by=ada())
        done = await here.answer(opened, by=cleo())
        assert done.case.status is Status.COMPLETED


async def test_nobody_agrees_to_their_own_request_through_whoever_stands_in_for_them(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        policy = Policy(("slack:UADA",), exclude_requester=True)
        opened = await here.open(policy=policy, requested_by="slack:UADA")
        now = (await here.case_row(opened))["created_at"]
        await team.people.away(ada(), now + HOUR, "slack:UBEN", "Ben")
        with pytest.raises(NotAReviewer):
            await here.answer(opened, by=ben())


async def test_whoever_stands_in_does_so_where_somebody_is_named_and_not_for_being_in_a_channel(
    database_url: str,
) -> None:
    async with world(database_url) as here:
        team = Team(here)
        opened = await here.open(policy=Policy(("channel",)), notify=(slack(),))
        now = (await here.case_row(opened))["created_at"]
        await team.people.away(ada(), now + HOUR, "slack:UBEN", "Ben")
        with pytest.raises(NotAReviewer):
            await here.answer(opened, by=ben(), in_channel=False)


async def test_a_group_decides_with_those_who_were_in_it_and_still_are(database_url: str) -> None:
    async with world(database_url) as here:
        team, tenant = Team(here), here.agent.tenant_id
        await team.groups.put(tenant, "finance", ["slack:UADA", "telegram:72"])
        policy = Policy(("group:finance",))
        first, second = await here.open(policy=policy), await here.open(policy=policy)
        await team.groups.put(tenant, "finance", ["slack:UCLEO", "telegram:72"])
        with pytest.raises(NotAReviewer):
            await here.answer(first, by=ada())  # was taken out
        with pytest.raises(NotAReviewer):
            await here.answer(first, by=cleo())  # came in after the case was opened
        await here.answer(first, by=ben("telegram"))
        await team.link(ben("telegram"), ben("slack"))
        await here.answer(second, by=ben("slack"))
        third = await here.open(policy=policy)
        await here.answer(third, by=cleo())


async def test_a_group_that_there_is_not_is_refused_when_the_case_opens(database_url: str) -> None:
    async with world(database_url) as here:
        with pytest.raises(InvalidInput, match="nobodies"):
            await here.open(policy=Policy(("group:nobodies",)))
        assert await here.rows("cases") == []


async def test_a_slack_user_group_decides_as_slack_says_now(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        team.slack.groups["S0FIN"] = {"UADA"}
        policy = Policy(("slack:S0FIN",))
        first = await here.open(policy=policy)
        with pytest.raises(NotAReviewer, match="user group S0FIN"):
            await here.answer(first, by=ben())
        await team.link(ada("slack"), ada("telegram"))
        await here.answer(first, by=ada("telegram"))
        team.slack.groups["S0FIN"] = {"UBEN"}
        team.minutes_later(2)
        second = await here.open(policy=policy)
        with pytest.raises(NotAReviewer):
            await here.answer(second, by=ada())
        await here.answer(second, by=ben())


@pytest.mark.parametrize("duty", ["previous", "workflow", "gate:first", "case"])
async def test_whoever_answered_there_may_not_decide_here(database_url: str, duty: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        await team.link(ada("slack"), ada("telegram"))
        first = await here.open(workflow_id="wf", gate_key="first")
        await here.answer(first, by=ada("slack"))
        named = f"case:{first.case.case_id}" if duty == "case" else duty
        policy = Policy(("channel", "link"), separate_duties=(named,))
        second = await here.open(
            workflow_id="wf", gate_key="second", policy=policy, previous_case_id=first.case.case_id
        )
        with pytest.raises(NotAReviewer, match="earlier step"):
            await here.answer(second, by=ada("telegram"))
        with pytest.raises(NotAReviewer, match="vouches for"):
            await here.answer(second, door="page")
        done = await here.answer(second, by=ben())
        assert done.case.status is Status.COMPLETED


async def test_an_earlier_step_that_somebody_without_a_name_answered_lets_nobody_decide(database_url: str) -> None:
    async with world(database_url) as here:
        Team(here)
        first = await here.open(workflow_id="wf", gate_key="first")
        await here.answer(first, door="page")
        policy = Policy(separate_duties=("workflow",))
        second = await here.open(workflow_id="wf", gate_key="second", policy=policy)
        with pytest.raises(NotAReviewer, match="without a name"):
            await here.answer(second, by=ben())


async def test_whoever_has_left_decides_nothing_more_under_any_identity(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        await team.link(ada("slack"), ada("telegram"))
        opened = await here.open(policy=Policy(("slack:UADA", "telegram:71", "link")))
        until = opened.case.expires_at
        await team.people.away(ada("slack"), until, "slack:UBEN", "Ben")
        await team.people.away(cleo(), until, "telegram:71", "Ada")
        session = await team.sessions.open(ada("telegram"), "chat_link")
        assert await team.people.remove("slack:UADA") == ["slack:UADA", "telegram:71"]
        for identity in (ada("slack"), ada("telegram"), ben()):
            with pytest.raises(NotAReviewer):
                await here.answer(opened, by=identity)
        with pytest.raises(NotAReviewer, match="an operator has said"):
            await here.answer(opened, by=ada("telegram"), door="page")
        assert await team.sessions.who(session.token) is None
        with pytest.raises(NotAReviewer):
            await team.sessions.sign_in_code(ada("slack"))
        assert (await team.inbox.waiting(ada("slack"))).items == ()
        assert (await team.people.delegations(cleo())).given == ()
        assert await team.people.restore("slack:UADA")
        assert (await here.answer(opened, by=ada("slack"))).case.status is Status.COMPLETED


@pytest.mark.parametrize("asked_as", ["slack:UADA", "slack:T0SECOND/UADA"])
async def test_nobody_agrees_to_their_own_request_from_another_workspace_of_their_organisation(
    sqlite_url: str, asked_as: str
) -> None:
    async with world(sqlite_url) as here:
        opened = await here.open(policy=Policy(exclude_requester=True), requested_by=asked_as)
        for user_id in ("UADA", "T0SECOND/UADA"):
            met = Identity("slack", user_id, "Ada", team="E0ORG/T0SECOND", verified=True)
            with pytest.raises(SelfApproval):
                await here.answer(opened, by=met)
