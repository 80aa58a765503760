"""A flood of cards to one chat: the cap on pushes, who comes first, the digest, and who is not held up by it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from core.digests import Digests
from core.floods import show_by
from core.housekeeping import Housekeeping
from core.model import Opened
from core.pacing import Rate
from core.ports import ChannelMoved
from core.states import Event
from core.workers import CardWorker, DigestWorker, NoticeWorker
from tests.integration.test_cards_outbox import Board, fails
from tests.support.gates import MINUTE, PUBLIC_URL, SECOND, World, slack, until, world

CAP = 5


@pytest.fixture
def board() -> Board:
    return Board()


def cards(here: World, board: Board, cap: int = CAP) -> CardWorker:
    return CardWorker(here.cards, board, here.hub, cap=cap)


def digests(here: World, board: Board, cap: int = CAP) -> DigestWorker:
    found = Digests(here.database, here.ring, PUBLIC_URL)
    return DigestWorker(found, here.cards, board, here.hub, cap=cap)


async def drawn(worker: CardWorker | DigestWorker | NoticeWorker) -> None:
    while await worker.work():
        pass


async def flood(here: World, count: int, channel: str = "C1", **changes: Any) -> list[Opened]:
    return [await here.open(notify=(slack(channel),), **changes) for _ in range(count)]


def shown(board: Board) -> list[str]:
    """The cases whose cards were posted, in order."""
    return [found[0].case_id for found in board.messages.values()]


# --- the cap ---


async def test_a_chat_gets_no_more_new_cards_within_a_minute_than_the_cap_and_all_in_the_end(
    here: World, board: Board
) -> None:
    cases = await flood(here, 12)
    for minute, total in enumerate((5, 10, 12, 12)):
        await drawn(cards(here, board))
        assert total == len(board.messages), f"after {minute} minutes"
        here.clock.forward(MINUTE - SECOND)
        await drawn(cards(here, board))
        assert total == len(board.messages), "the minute is not over"
        here.clock.forward(2 * SECOND)
    assert sorted(shown(board)) == sorted(case.case.case_id for case in cases)
    assert await here.cards.next_due("slack") is None


async def test_what_comes_during_a_flood_waits_as_well(here: World, board: Board) -> None:
    await flood(here, 8)
    await drawn(cards(here, board))
    here.clock.forward(30 * SECOND)
    await flood(here, 1)
    await drawn(cards(here, board))
    assert CAP == len(board.messages)
    here.clock.forward(31 * SECOND)
    await drawn(cards(here, board))
    assert 9 == len(board.messages)


async def test_a_worker_that_starts_anew_remembers_what_was_shown_in_this_minute(here: World, board: Board) -> None:
    await flood(here, CAP)
    await drawn(cards(here, board))
    await flood(here, 1)
    await drawn(cards(here, board))
    assert CAP == len(board.messages)


async def test_all_processes_together_keep_to_the_cap(here: World, board: Board) -> None:
    await flood(here, 40)
    async with world(here.url, beside=here) as other:
        second = here if here.database.dialect == "sqlite" else other
        for total in (5, 10, 15):
            await asyncio.gather(drawn(cards(here, board)), drawn(cards(second, board)))
            assert total == len(board.messages)
            here.clock.forward(MINUTE + SECOND)
    assert len(board.messages) == len(set(shown(board)))


async def test_a_pause_that_the_platform_wants_is_kept_by_every_process(here: World, board: Board) -> None:
    await flood(here, 3)
    board.before["C1"] = [fails(retry_after_ms=20_000)]
    await drawn(cards(here, board))
    async with world(here.url, beside=here) as other:
        second = here if here.database.dialect == "sqlite" else other
        await flood(here, 1)
        await drawn(cards(second, board, cap=20))
        assert [] == list(board.messages)
        here.clock.forward(21 * SECOND)
        await drawn(cards(second, board, cap=20))
    assert 4 == len(board.messages)


# --- who comes first ---


async def test_the_most_urgent_question_is_shown_first(here: World, board: Board) -> None:
    hours = [9, 3, 24, 1, 5, 2, 7]
    waits = {
        (await here.open(notify=(slack(),), timeout=f"{n}h", timeout_ms=n * 60 * MINUTE)).case.case_id: n for n in hours
    }
    for _ in hours:
        await drawn(cards(here, board, cap=1))
        here.clock.forward(MINUTE + SECOND)
    assert sorted(hours) == [waits[case_id] for case_id in shown(board)]


async def test_what_is_risky_comes_before_what_is_not_unless_that_is_due_soon(here: World) -> None:
    case = (await here.open()).case

    def urgency(risk: str | None, minutes: int) -> int:
        content = case.content if risk is None else {**case.content, "task": {"risk_level": risk}}
        return show_by(replace(case, content=content, expires_at=case.created_at + minutes * MINUTE))

    day = 24 * 60
    assert urgency("critical", day) < urgency("high", day) < urgency("medium", day) < urgency("low", day)
    assert urgency("low", day) == urgency(None, day)
    assert urgency(None, 10) < urgency("critical", day)


async def test_what_was_settled_before_it_could_be_shown_comes_last_and_says_how_it_ended(
    here: World, board: Board
) -> None:
    cases = await flood(here, 8)
    await drawn(cards(here, board))
    waiting = [one for one in cases if one.case.case_id not in shown(board)]
    await here.answer(waiting[0])
    assert 3 == len(waiting)
    for _ in range(3):
        here.clock.forward(MINUTE + SECOND)
        await drawn(cards(here, board, cap=1))
    assert waiting[0].case.case_id == shown(board)[-1]
    assert "Approved" in str(board.outcomes[-1])
    assert [None] * 7 == board.outcomes[:-1]


# --- who is not held up ---


async def test_a_flood_in_one_chat_holds_up_neither_other_chats_nor_updates_nor_reminders(
    here: World, board: Board
) -> None:
    first = (await flood(here, 1))[0]
    await drawn(cards(here, board))
    here.clock.forward(MINUTE + SECOND)
    await flood(here, 60)
    await flood(here, 1, "C2")
    await here.answer(first)
    worker = cards(here, board, cap=1)
    await worker.work()
    await worker.work()
    assert ["C1", "C1", "C2"] == sorted(board.places.values()), "the next of the flood, and the other chat's"
    assert "Approved" in str(board.outcomes[0])
    (row,) = await here.rows("cards", "channel = 'C1' AND message = 'm2'")
    here.clock.forward(MINUTE + SECOND)
    await here.execute(
        "INSERT INTO notices (notice_id, card_id, case_id, tenant_id, platform, kind, key, data, state, attempts,"
        " due_at, lease) VALUES ('n', :card, :case, :tenant, 'slack', 'reminder', 'x', '{}', 'waiting', 0, 0, 0)",
        card=row["card_id"], case=row["case_id"], tenant=row["tenant_id"],
    )  # fmt: skip
    await drawn(cards(here, board, cap=1))
    await drawn(NoticeWorker(here.notices, here.cards, board, here.hub, cap=1))
    assert ["m2"] == [below for below, _ in board.notices]


async def test_cards_that_wait_for_their_chat_are_out_of_the_way(here: World, board: Board) -> None:
    await flood(here, 100)
    await cards(here, board).work()
    behind = await here.rows("cards", "queue IS NULL AND wanted_version > shown_version")
    assert [] == behind
    assert 95 == len(await here.rows("cards", "queue = 'C1'"))
    assert {0} == {row["attempts"] for row in await here.rows("cards")}, "waiting is no attempt"


async def test_a_quiet_chat_costs_one_row_and_no_digest(here: World, board: Board) -> None:
    for _ in range(3):
        await flood(here, 2)
        await drawn(cards(here, board))
        await drawn(digests(here, board))
        here.clock.forward(MINUTE)
    assert 6 == len(board.messages)
    assert {} == board.digests
    row = await here.row("chats")
    assert ("C1", None) == (row["chat"], row["next_at"])


# --- the digest ---


async def test_one_digest_says_what_waits_is_redrawn_and_says_in_the_end_that_all_is_shown(
    here: World, board: Board
) -> None:
    await flood(here, 13, prompt="May <this> go out?")
    worker, digest = cards(here, board), digests(here, board)
    await drawn(worker)
    await drawn(digest)
    (said,) = board.digests["d1"]
    assert "8 more questions wait here" == said.title
    assert ("They follow at 5 a minute at the most, the most urgent first.",) == said.notes
    assert 8 == len(said.lines)
    assert {"Approval needed: May <this> go out?"} == {line.text for line in said.lines}
    assert all(line.until.text.endswith(" UTC") for line in said.lines)
    assert all(str(line.review_url).startswith(f"{PUBLIC_URL}/en/hitl/review/") for line in said.lines)
    assert f"{PUBLIC_URL}/en/inbox" == said.inbox_url
    await drawn(digest)
    assert 1 == len(board.digests["d1"]), "it was drawn a moment ago"
    here.clock.forward(MINUTE + SECOND)
    await drawn(worker)
    await drawn(digest)
    assert ["8 more questions wait here", "3 more questions wait here"] == [one.title for one in board.digests["d1"]]
    for _ in range(2):
        here.clock.forward(MINUTE + SECOND)
        await drawn(worker)
    await drawn(digest)
    assert ["d1"] == list(board.digests)
    last = board.digests["d1"][-1]
    assert ("All questions that waited here are shown.", True, ()) == (last.title, last.over, last.lines)
    assert [] == await here.rows("digests")
    assert await digests(here, board)._next_due() is None


async def test_a_digest_tells_at_most_ten_and_how_many_were_settled(here: World, board: Board) -> None:
    cases = await flood(here, 30)
    await drawn(cards(here, board))
    waiting = [one for one in cases if one.case.case_id not in shown(board)]
    for one in waiting[:2]:
        await here.answer(one)
    here.clock.forward(MINUTE + SECOND)
    await drawn(digests(here, board))
    (said,) = board.digests["d1"]
    assert "25 more questions wait here" == said.title
    assert 10 == len(said.lines)
    assert "2 of them were settled before they could be shown; such cards come last." == said.notes[1]


async def test_a_digest_whose_posting_was_in_doubt_is_found_again(here: World, board: Board) -> None:
    await flood(here, 13)
    await drawn(cards(here, board))
    here.clock.forward(MINUTE + SECOND)
    board.after["C1"] = [fails(uncertain=True)]
    for _ in range(2):
        await drawn(digests(here, board))
        here.clock.forward(MINUTE)
    assert ["d1"] == list(board.digests)
    assert "find" in board.calls


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_digest_in_doubt_is_not_left_behind_by_a_flood_that_ends_before_the_next_look(
    here: World, board: Board, arrived: bool
) -> None:
    await flood(here, 13)
    await drawn(cards(here, board))
    (board.after if arrived else board.before)["C1"] = [fails(uncertain=True)]
    await drawn(digests(here, board))
    for _ in range(3):
        here.clock.forward(MINUTE + SECOND)
        await drawn(cards(here, board))
    await drawn(digests(here, board))
    assert 13 == len(board.messages)
    assert [True] * arrived == [drawings[-1].over for drawings in board.digests.values()]
    assert [] == await here.rows("digests")


async def test_another_flood_has_a_digest_of_its_own(here: World, board: Board) -> None:
    for _ in range(2):
        await flood(here, 13)
        await drawn(cards(here, board))
        here.clock.forward(MINUTE + SECOND)
        await drawn(digests(here, board))
        for _ in range(3):
            await drawn(cards(here, board))
            here.clock.forward(MINUTE + SECOND)
        await drawn(digests(here, board))
    assert ["d1", "d2"] == list(board.digests)
    assert {True} == {drawings[-1].over for drawings in board.digests.values()}


async def test_what_waits_follows_a_chat_to_its_new_id(here: World, board: Board) -> None:
    await flood(here, 13, "old")

    def moved() -> None:
        raise ChannelMoved("new")

    board.before["old"] = [moved] * 100
    for _ in range(4):
        await drawn(cards(here, board))
        await drawn(digests(here, board))
        here.clock.forward(MINUTE + SECOND)
    assert {"new"} == set(board.places.values())
    assert 13 == len(board.messages)
    assert 13 == len(set(shown(board)))


async def test_a_change_of_a_card_that_waits_is_shown_when_its_turn_comes(here: World, board: Board) -> None:
    cases = await flood(here, 7)
    await drawn(cards(here, board))
    waiting = [one for one in cases if one.case.case_id not in shown(board)]
    await here.gate.report(waiting[0].case.case_id, waiting[0].review_token, Event.OPEN)
    here.clock.forward(MINUTE + SECOND)
    await drawn(cards(here, board))
    status = {one[-1].case_id: dict(one[-1].facts).get("Status") for one in board.messages.values()}
    assert "somebody is looking at it" == status[waiting[0].case.case_id]
    assert [] == await here.rows("cards", "wanted_version > shown_version")


async def test_the_rows_of_chats_that_were_quiet_for_long_are_forgotten(here: World, board: Board) -> None:
    await flood(here, 1)
    await drawn(cards(here, board))
    await Housekeeping(here.database).forget()
    assert 1 == len(await here.rows("chats"))
    here.clock.forward(61 * MINUTE)
    await Housekeeping(here.database).forget()
    assert [] == await here.rows("chats")


async def test_a_claim_that_waits_for_the_row_of_a_chat_holds_that_of_no_other(
    on_postgres: World, board: Board
) -> None:
    here = on_postgres
    await flood(here, CAP + 3, "C5")
    await flood(here, 1, "C1")
    await drawn(cards(here, board))
    here.clock.forward(MINUTE + SECOND)
    await flood(here, 1, "C1")
    holding, looking = await asyncpg.connect(here.url), await asyncpg.connect(here.url)
    try:
        async with holding.transaction():
            await holding.execute("SELECT 1 FROM chats WHERE chat = 'C1' FOR UPDATE")
            claiming = asyncio.create_task(cards(here, board).work())
            await until(lambda: looking.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            await looking.execute("SELECT 1 FROM chats WHERE chat = 'C5' FOR UPDATE NOWAIT")
        await claiming
    finally:
        await holding.close()
        await looking.close()
    assert CAP + 3 + 2 == len(board.messages)


async def test_reminders_of_one_chat_come_one_after_the_other(here: World, board: Board) -> None:
    await flood(here, 4)
    await drawn(cards(here, board, cap=60))
    here.clock.forward(MINUTE)
    await here.execute(
        "INSERT INTO notices (notice_id, card_id, case_id, tenant_id, platform, kind, key, data, state, attempts,"
        " due_at, lease)"
        " SELECT card_id, card_id, case_id, tenant_id, 'slack', 'reminder', 'x', '{}', 'waiting', 0, 0, 0 FROM cards"
    )
    board.pace = Rate(burst=1, interval_ms=10_000)
    for count in (1, 2, 3, 4):
        await drawn(NoticeWorker(here.notices, here.cards, board, here.hub))
        assert count == len(board.notices)
        waits = sorted(row["due_at"] for row in await here.rows("notices", "state = 'waiting'"))
        assert {10_000} >= {after - before for before, after in pairwise(waits)}
        here.clock.forward(10 * SECOND)
