"""The history, page by page: in an order that stands still while more is decided, whichever way somebody turns."""

from __future__ import annotations

from typing import Any

import pytest

from core.inbox import Inbox, PastPage
from core.looking_back import LOOKED_AT
from core.model import Identity, Opened, Policy
from tests.support.gates import MINUTE, World, world
from tests.support.people import Team, ada, ben, cleo

MINE = Policy(("slack:UADA", "slack:UBEN"))


async def closed(here: World, count: int, *, by: Identity | None = None, apart_ms: int = 1_000) -> list[str]:
    """So many cases, one decided after the other; their ids, the newest first."""
    found: list[str] = []
    for _ in range(count):
        opened = await here.open(policy=MINE)
        here.clock.forward(apart_ms)
        await here.answer(opened, by=by or ada())
        found.insert(0, opened.case.case_id)
    return found


def ids(page: PastPage) -> list[str]:
    return [case.case_id for case in page.items]


async def leaf(inbox: Inbox, page: PastPage, *, newer: bool = False, who: Identity | None = None) -> PastPage:
    cursor = page.newer if newer else page.next
    assert cursor is not None
    return await inbox.turned(who or ada(), cursor, newer=newer, limit=4)


async def test_pages_are_turned_there_and_back(database_url: str) -> None:
    async with world(database_url) as here:
        team, order = Team(here), await closed(here, 11)
        first = await team.inbox.history(ada(), limit=4)
        second = await leaf(team.inbox, first)
        third = await leaf(team.inbox, second)
        assert [order[:4], order[4:8], order[8:]] == [ids(first), ids(second), ids(third)]
        assert (None, None) == (first.newer, third.next)
        assert order[4:8] == ids(await leaf(team.inbox, third, newer=True))
        assert order[:4] == ids(await leaf(team.inbox, second, newer=True))


async def test_what_is_decided_meanwhile_moves_no_page(database_url: str) -> None:
    async with world(database_url) as here:
        team, order = Team(here), await closed(here, 10)
        first = await team.inbox.history(ada(), limit=4)
        second = await leaf(team.inbox, first)
        fresh = await closed(here, 2)
        third = await leaf(team.inbox, second)
        assert order[8:] == ids(third)
        assert order[4:8] == ids(await leaf(team.inbox, third, newer=True))
        back = await leaf(team.inbox, second, newer=True)
        assert order[:4] == ids(back)
        assert [*fresh, *order[:2]] == ids(await leaf(team.inbox, back, newer=True)), "it ends with a whole first page"


async def test_cases_of_one_moment_are_on_one_page_each_and_on_none_twice(database_url: str) -> None:
    async with world(database_url) as here:
        team = Team(here)
        expired = [await here.open(policy=MINE, timeout_ms=MINUTE) for _ in range(7)]
        here.clock.forward(2 * MINUTE)
        assert 7 == await here.gate.expire_due()
        page = await team.inbox.history(ada(), limit=3)
        pages = [page]
        while page.next is not None:
            page = await team.inbox.turned(ada(), page.next, newer=False, limit=3)
            pages.append(page)
        assert [3, 3, 1] == [len(one.items) for one in pages]
        found = [case for one in pages for case in ids(one)]
        assert sorted(one.case.case_id for one in expired) == sorted(found)
        back = await team.inbox.turned(ada(), pages[2].newer or "", newer=True, limit=3)
        assert ids(pages[1]) == ids(back)


async def test_a_case_stands_where_it_was_answered_and_is_met_once(database_url: str) -> None:
    """A quorum closes it later: by then others were decided in between."""
    async with world(database_url) as here:
        team = Team(here)
        opened = await here.open(policy=Policy(MINE.any_of, quorum=2))
        await here.answer(opened, by=ada())
        between = await closed(here, 5)
        here.clock.forward(1_000)
        await here.answer(opened, by=ben())
        order = [*between, opened.case.case_id]
        first = await team.inbox.history(ada(), limit=4)
        second = await leaf(team.inbox, first)
        assert [order[:4], order[4:]] == [ids(first), ids(second)]
        assert order[:4] == ids(await leaf(team.inbox, second, newer=True))


@pytest.mark.parametrize(
    "cursor",
    ["", "7", "x", "1.", ".x", "-1.c", "1_0.c", "9" * 40 + ".c", "٣.c", "1.c\x00", "1.c d", "5.review_unknown"],
)
async def test_what_is_no_page_is_the_first_one(sqlite_url: str, cursor: str) -> None:
    async with world(sqlite_url) as here:
        team, order = Team(here), await closed(here, 5)
        for newer in (False, True):
            assert order[:4] == ids(await team.inbox.turned(ada(), cursor, newer=newer, limit=4))


async def test_somebody_elses_page_and_one_of_a_case_that_is_gone_is_the_first_one(database_url: str) -> None:
    async with world(database_url) as here:
        team, order = Team(here), await closed(here, 6, by=ben())
        theirs = await here.open(policy=Policy(("slack:UCLEO",)))
        await here.answer(theirs, by=cleo())
        foreign = await team.inbox.history(cleo(), limit=1)
        assert [theirs.case.case_id] == ids(foreign)
        moment = (await team.inbox.history(ada(), limit=2)).next or ""
        forged = f"{moment.partition('.')[0]}.{theirs.case.case_id}"
        for cursor in (forged, moment.replace("review_", "review-"), f"1.{order[0]}", f"{1 << 59}.{order[0]}"):
            found = await team.inbox.turned(ada(), cursor, newer=cursor.startswith(str(1 << 59)), limit=4)
            assert order[:4] == ids(found), cursor
        assert [] == ids(
            await team.inbox.turned(Identity("slack", "UEVE", verified=True), moment, newer=False, limit=4)
        )


async def test_a_search_goes_on_past_whatever_it_leaves_out(sqlite_url: str) -> None:
    """More of it than one look at the ledger brings, and each case in several inboxes."""
    async with world(sqlite_url) as here:
        team = Team(here)
        wanted = await _expired(here, "Needle?", 2)
        hay = await _expired(here, "Hay?", LOOKED_AT + 20)
        assert not set(wanted) & set(hay)
        page, found = await team.inbox.history(ada(), limit=10, search="needle"), 0
        while page.next is not None and found < 10:
            page, found = await team.inbox.history(ada(), limit=10, before=page.next, search="needle"), found + 1
        assert sorted(wanted) == sorted(ids(page))


async def _expired(here: World, prompt: str, count: int) -> list[str]:
    policy: Any = Policy((*MINE.any_of, "slack:UCLEO"))
    opened: list[Opened] = [await here.open(prompt=prompt, policy=policy, timeout_ms=MINUTE) for _ in range(count)]
    here.clock.forward(2 * MINUTE)
    while await here.gate.expire_due():
        pass
    return [one.case.case_id for one in opened]
