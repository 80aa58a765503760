"""While a case waits it climbs its escalation chain, its deadline and reminders move, and it is in people's inboxes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.chat_terms import Level
from core.errors import InvalidData, InvalidInput, NotAReviewer, Unavailable
from core.extending import EXTEND, SNOOZE
from core.model import Address, Identity, Policy
from core.schedule import HOUR
from core.states import Status
from core.taps import Tap
from tests.support.gates import MINUTE, slack, telegram, world
from tests.support.people import Team, ada, ben, cleo


def chain(*levels: Level) -> tuple[dict[str, object], ...]:
    return tuple(level.as_json() for level in levels)


async def test_an_escalation_chain_asks_more_people_in_order_before_the_deadline(database_url: str) -> None:
    levels = chain(
        Level(10 * MINUTE, mention=("slack:UADA", "slack:S0CALL")),
        Level(20 * MINUTE, notify=(telegram("-1009"),), reviewers=("telegram:72",)),
    )
    async with world(database_url) as here:
        team = Team(here)
        opened = await here.open(policy=Policy(("slack:UADA",)), notify=(slack(),), escalation_chain=levels)
        with pytest.raises(NotAReviewer):
            await here.answer(opened, by=ben("telegram"))
        (card,) = await here.cards.claim("slack", 10)
        await here.cards.shown(card, "1.1")
        assert await team.escalations.escalate_due() == 0
        here.clock.forward(11 * MINUTE)
        assert await team.escalations.escalate_due() == 1
        (notice,) = await here.notices.claim("slack", 10)
        assert notice.notice.mentions == ("UADA", "S0CALL")
        assert (await here.case_row(opened))["escalated"] == 1
        here.clock.forward(10 * MINUTE)
        assert await team.escalations.escalate_due() == 1
        assert {(row["platform"], row["channel"]) for row in await here.rows("cards")} == {
            ("slack", "C1"),
            ("telegram", "-1009"),
        }
        assert await team.escalations.escalate_due() == 0
        assert [kind for kind in await here.kinds(opened) if kind == "escalated"] == ["escalated"] * 2
        answered = await here.answer(opened, by=ben("telegram"))
        assert answered.case.status is Status.COMPLETED


async def test_a_chain_is_climbed_once_by_however_many_processes(database_url: str) -> None:
    async with world(database_url) as here, world(database_url, beside=here) as there:
        opened = await here.open(notify=(slack(),), escalation_chain=chain(Level(MINUTE, notify=(slack("C2"),))))
        here.clock.forward(2 * MINUTE)
        one, other = Team(here).escalations, Team(there).escalations
        climbed = await one.escalate_due() + await other.escalate_due()
        assert climbed == 1
        assert len(await here.rows("cards", "case_id = :case_id", case_id=opened.case.case_id)) == 2


async def test_nothing_climbs_after_an_answer_or_the_deadline(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        levels = chain(Level(MINUTE, notify=(slack("C2"),)))
        answered = await here.open(notify=(slack(),), escalation_chain=levels)
        await here.answer(answered)
        await here.open(notify=(slack(),), escalation_chain=levels, timeout_ms=90_000)
        here.clock.forward(2 * MINUTE)
        assert await team.escalations.escalate_due() == 0
        assert {row["channel"] for row in await here.rows("cards")} == {"C1"}


async def test_a_level_after_the_deadline_is_refused(database_url: str) -> None:
    async with world(database_url) as here:
        with pytest.raises(InvalidInput, match="shorter than the timeout"):
            await here.open(escalation_chain=chain(Level(2 * HOUR, notify=(slack("C2"),))))


async def test_a_deadline_is_moved_once_however_often_the_button_is_pressed(database_url: str) -> None:
    async with world(database_url) as here:
        Team(here)
        terms = {"extend_ms": 30 * MINUTE, "max_extensions": 2}
        opened = await here.open(notify=(slack(),), chat=terms)
        until = opened.case.expires_at
        card = await here.row("cards")
        for _ in range(3):
            told = await here.tap(card["card_id"], EXTEND, ada())
            assert "deadline is now" in (told.text or "")
        assert (await here.case_row(opened))["expires_at"] == until + 30 * MINUTE
        here.clock.forward(75 * MINUTE)
        assert (await here.answer(opened)).case.status is Status.COMPLETED
        assert (await here.row("cards"))["wanted_version"] > card["wanted_version"]


async def test_who_may_not_decide_may_not_move_the_deadline_either(database_url: str) -> None:
    async with world(database_url) as here:
        Team(here)
        opened = await here.open(notify=(slack(),), policy=Policy(("slack:UADA",)), chat={"extend_ms": 30 * MINUTE})
        card = await here.row("cards")
        told = await here.tap(card["card_id"], EXTEND, ben())
        assert "not one of the reviewers" in (told.text or "")
        assert (await here.case_row(opened))["expires_at"] == opened.case.expires_at
        assert "refused" in await here.kinds(opened)


async def test_a_reminder_is_put_off_and_comes_again(database_url: str) -> None:
    async with world(database_url) as here:
        Team(here)
        opened = await here.open(notify=(slack(),), chat={"snooze_ms": 10 * MINUTE})
        remind_at = opened.case.created_at + 5 * MINUTE
        await here.execute(
            "UPDATE cases SET remind_at = :at WHERE case_id = :case_id", at=remind_at, case_id=opened.case.case_id
        )
        (card,) = await here.cards.claim("slack", 10)
        await here.cards.shown(card, "1.1")
        here.clock.forward(6 * MINUTE)
        assert await here.reminders.remind_due() == 1
        (notice,) = await here.notices.claim("slack", 10)
        assert [button.action for button in notice.notice.buttons] == [SNOOZE]
        await here.notices.sent(notice.ref, "1.2")
        told = await here.tap(card.ref.card_id, SNOOZE, ada())
        assert "reminded again" in (told.text or "")
        assert await here.reminders.remind_due() == 0
        here.clock.forward(10 * MINUTE)
        assert await here.reminders.remind_due() == 1
        assert len(await here.notices.claim("slack", 10)) == 1


async def test_a_denial_needs_a_reason_where_the_source_wants_one_on_every_door(database_url: str) -> None:
    async with world(database_url) as here:
        Team(here)
        opened = await here.open(notify=(slack(),), chat={"ask_reason": True, "deny_reasons": ["Too risky"]})
        for door in ("inline", "page"):
            with pytest.raises(InvalidData) as refused:
                await here.answer(opened, "reject", door=door)
            assert "reason" in refused.value.details["fields"]
        card = await here.row("cards")
        assert await here.cards.reasons(card["card_id"]) == ("Too risky",)
        answered = await here.answer(opened, "reject", {"reason": "Too risky"})
        assert (answered.case.answered or {})["reason"] == "Too risky"
        other = await here.open(chat={"ask_reason": True})
        assert (await here.answer(other, "approve")).case.status is Status.COMPLETED


async def test_an_inbox_has_what_waits_for_somebody_by_name_group_user_group_chat_or_as_a_stand_in(
    database_url: str,
) -> None:
    async with world(database_url) as here:
        team, tenant = Team(here), here.agent.tenant_id
        await team.groups.put(tenant, "finance", ["telegram:71"])
        team.slack.groups["S0FIN"] = {"UADA"}
        team.slack.chats["C1"] = {"UADA"}
        await team.link(ada("slack"), ada("telegram"))
        named = await here.open(policy=Policy(("slack:UADA",)), timeout_ms=50 * MINUTE)
        grouped = await here.open(policy=Policy(("group:finance",)), timeout_ms=40 * MINUTE)
        user_grouped = await here.open(policy=Policy(("slack:S0FIN",)), timeout_ms=30 * MINUTE)
        in_chat = await here.open(notify=(slack(),), timeout_ms=20 * MINUTE)
        elsewhere = await here.open(notify=(slack("C9"),))
        for_cleo = await here.open(policy=Policy(("slack:UCLEO",)), timeout_ms=10 * MINUTE)
        mine = [in_chat, user_grouped, grouped, named]
        page = await team.inbox.waiting(ada("telegram"))
        assert [item.case.case_id for item in page.items] == [one.case.case_id for one in mine]
        assert page.total == len(mine)
        await team.people.away(cleo(), for_cleo.case.created_at + HOUR, "slack:UADA", "Ada")
        first = (await team.inbox.waiting(ada("slack"))).items[0]
        assert first.case.case_id == for_cleo.case.case_id
        assert first.on_behalf_of is not None
        assert first.on_behalf_of.display_name == "Cleo"
        assert await team.inbox.may_see(ada("slack"), elsewhere.case.case_id) is None
        assert (await team.inbox.waiting(ben())).items == ()


async def test_an_inbox_forgets_what_is_answered_and_history_remembers_it(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        team.slack.chats["C1"] = {"UADA", "UBEN"}
        opened = await here.open(notify=(slack(),))
        await here.open(policy=Policy(("slack:UBEN",)), prompt="May the invoice be paid?")
        assert (await team.inbox.waiting(ada())).total == 1
        await here.answer(opened, by=ada())
        assert (await team.inbox.waiting(ada())).items == ()
        for person in (ada(), ben()):
            past = await team.inbox.history(person)
            assert [case.case_id for case in past.items] == [opened.case.case_id]
        assert len((await team.inbox.history(ada(), mine=True)).items) == 1
        assert (await team.inbox.history(ben(), mine=True)).items == ()
        assert (await team.inbox.history(cleo())).items == ()
        assert (await team.inbox.waiting(ben(), search="invoice")).total == 1
        assert (await team.inbox.waiting(ben(), search="unicorn")).total == 0


async def test_inboxes_have_pages(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        opened = [
            await here.open(policy=Policy(("slack:UADA",)), timeout_ms=(10 + n) * MINUTE, sourced=False)
            for n in range(5)
        ]
        found, after = [], None
        while True:
            page = await team.inbox.waiting(ada(), limit=2, after=after)
            found += [item.case.case_id for item in page.items]
            if (after := page.next) is None:
                break
        assert found == [one.case.case_id for one in opened]


async def test_what_somebody_asked_for_or_voted_on_is_not_counted_as_waiting_for_them(database_url: str) -> None:
    async with world(database_url) as here:
        team, mine = Team(here), Policy(("slack:UADA", "slack:UBEN"))
        for n in range(3):
            await here.open(policy=mine, timeout_ms=(10 + n) * MINUTE)
        await here.open(policy=replace(mine, exclude_requester=True), requested_by="slack:UADA")
        await here.answer(await here.open(policy=replace(mine, quorum=2)), by=ada())
        assert [3, 5] == [(await team.inbox.waiting(who, limit=1)).total for who in (ada(), ben())]


async def test_a_tap_in_a_list_counts_for_the_channel_only_of_who_is_in_it(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        team.slack.chats["C1"] = {"UADA"}
        opened = await here.open(notify=(slack(),), policy=Policy(("channel",)))
        card = await here.row("cards")

        async def tap(by: Identity, number: str) -> str:
            pressed = Tap("slack", card["card_id"], "approve", by, "D9", "slack_block_action", number, listed=True)
            return (await here.taps.tap(pressed)).text or ""

        assert "not one of the reviewers" in await tap(ben(), "1")
        assert (await here.case_row(opened))["status"] == "pending"
        await tap(ada(), "2")
        assert (await here.case_row(opened))["status"] == "completed"


async def test_what_a_messenger_cannot_be_asked_decides_nothing_and_is_tried_again(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        team.slack.groups["S0FIN"], team.slack.away = {"UADA"}, True
        opened = await here.open(policy=Policy(("slack:S0FIN",)))
        with pytest.raises(Unavailable):
            await here.answer(opened, by=ada())
        team.slack.away = False
        assert (await here.answer(opened, by=ada())).case.status is Status.COMPLETED


async def test_user_groups_are_asked_at_most_once_a_minute(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        team.slack.groups["S0FIN"] = {"UADA"}
        for _ in range(5):
            await here.answer(await here.open(policy=Policy(("slack:S0FIN",))), by=ada())
        assert team.slack.asked == 1


async def test_a_name_that_became_an_id_is_the_same_inbox(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        team.slack.chats["C7"] = {"UADA"}
        await here.open(notify=(Address("slack", "#oncall"),))
        (card,) = await here.cards.claim("slack", 10)
        await here.cards.moved(card.ref, "C7")
        assert (await team.inbox.waiting(ada())).total == 1


async def test_nobody_moves_the_deadline_of_what_has_expired(database_url: str) -> None:
    async with world(database_url) as here:
        Team(here)
        await here.open(notify=(slack(),), chat={"extend_ms": MINUTE})
        here.clock.forward(2 * HOUR)
        told = await here.tap((await here.row("cards"))["card_id"], EXTEND, ada())
        assert "deadline" in (told.text or "").lower()
        assert (await here.row("cases"))["extended"] is None
