"""Reminders: given once at their moment, whoever runs the clock; and the notices that carry them to a messenger."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.cards import LEASE_MS
from core.errors import AssentError
from core.model import Opened, Policy
from core.outbox import MAX_ATTEMPTS
from core.pacing import Pacer, Rate
from core.ports import ChannelMoved
from core.reminders import BATCH
from core.schedule import iso
from core.states import Event
from core.workers import CardWorker, NoticeWorker
from tests.integration.test_cards_outbox import Board, drawn, fails
from tests.support.gates import MINUTE, SECOND, World, slack, telegram, until, world
from tests.support.workers import Noting, drawing

HOUR = 60 * MINUTE


@pytest.fixture
def board() -> Board:
    return Board()


async def waiting(here: World, *minutes: float, **changes: Any) -> Opened:
    """A case due in an hour, with reminders so many minutes after now; its card is posted."""
    now = await clock_of(here)
    moments = tuple(int(now + one * MINUTE) for one in minutes)
    return await here.open(**{"reminder_at": moments, "notify": (slack(),)} | changes)


async def clock_of(here: World) -> int:
    return await here.database.read(lambda tx: tx.now())


async def reminders_of(here: World, opened: Opened) -> list[dict[str, Any]]:
    """What its reminders said, in order."""
    rows = await here.rows("case_events", "case_id = :c AND kind = 'reminder'", c=opened.case.case_id)
    return [json.loads(row["data"]) for row in sorted(rows, key=lambda row: int(row["counter"]))]


async def state_and_message(here: World) -> tuple[str, str | None]:
    """Of the only notice."""
    row = await here.row("notices")
    return row["state"], row["message"]


async def remind_all(here: World) -> int:
    """Remind of whatever is due; of how many cases."""
    total = 0
    while count := await here.reminders.remind_due():
        total += count
    return total


async def notified(here: World, board: Board, pacer: Pacer | None = None) -> int:
    """A new worker sends notices until nothing is due; how many rounds had something to do."""
    worker, rounds = NoticeWorker(here.notices, here.cards, board, here.hub, pacer=pacer), 0
    while await worker.work():
        rounds += 1
    return rounds


async def reminded(here: World, board: Board, **changes: Any) -> Opened:
    """A case whose card is posted and whose reminder waits to be sent."""
    opened = await waiting(here, 30, **changes)
    await drawn(here, board)
    here.clock.forward(30 * MINUTE)
    assert 1 == await remind_all(here)
    return opened


# --- when ---


async def test_a_case_is_reminded_of_once_when_its_moment_has_come(here: World) -> None:
    opened = await waiting(here, 30)
    assert 0 == await here.reminders.remind_due()
    assert 30 * MINUTE - 10 * SECOND < (await here.reminders.next_reminder() or 0) <= 30 * MINUTE
    here.clock.forward(30 * MINUTE)
    assert 0 == await here.reminders.next_reminder()
    before = await clock_of(here)
    assert 1 == await remind_all(here)
    assert None is await here.reminders.next_reminder()

    row = await here.case_row(opened)
    assert (None, 2, 1, "pending") == (row["remind_at"], row["version"], row["last_event"], row["status"])
    assert before <= row["reminder_sent_at"] <= await clock_of(here)
    (planned,) = opened.case.terms["reminder_at"]
    assert [{"reminder_at": iso(planned), "message": "Review expires in 30 minutes"}] == await reminders_of(
        here, opened
    )
    assert 0 == await remind_all(here)


async def test_every_moment_gives_a_reminder(here: World) -> None:
    opened = await waiting(here, 50, 10, 30)
    for ahead in (10, 20, 20):
        here.clock.forward(ahead * MINUTE)
        assert 1 == await remind_all(here)
    moments = sorted(opened.case.terms["reminder_at"])
    assert [iso(moment) for moment in moments] == [said["reminder_at"] for said in await reminders_of(here, opened)]


async def test_moments_missed_while_nobody_ran_the_clock_give_one_reminder(here: World) -> None:
    opened = await waiting(here, 5, 10, 20, 40)
    here.clock.forward(25 * MINUTE)
    assert 1 == await remind_all(here)
    moments = opened.case.terms["reminder_at"]
    assert [iso(moments[2])] == [said["reminder_at"] for said in await reminders_of(here, opened)]
    assert moments[3] == (await here.case_row(opened))["remind_at"]


async def test_without_other_wishes_the_reminder_comes_12_hours_before_the_deadline(here: World) -> None:
    opened = await here.open(timeout="24h", timeout_ms=24 * HOUR)
    short = await here.open(timeout="11h", timeout_ms=11 * HOUR)
    here.clock.forward(12 * HOUR)
    assert 1 == await remind_all(here)
    assert "Review expires in 12 hours" == (await reminders_of(here, opened))[0]["message"]
    assert [] == await reminders_of(here, short)


@pytest.mark.parametrize("minutes", [(-5.0,), (60.1,), (500.0,), ()], ids=["past", "deadline", "after", "none"])
async def test_a_moment_that_is_not_between_opening_and_deadline_reminds_nobody(
    here: World, minutes: tuple[float, ...]
) -> None:
    opened = await waiting(here, *minutes)
    assert None is (await here.case_row(opened))["remind_at"]
    for _ in range(4):
        here.clock.forward(20 * MINUTE)
        assert 0 == await remind_all(here)
    await here.gate.expire_due()
    assert 0 == await remind_all(here)


async def test_between_its_deadline_and_its_end_nobody_is_reminded_of_a_case(here: World) -> None:
    opened = await waiting(here, 30)
    here.clock.forward(HOUR)
    assert None is await here.reminders.next_reminder()
    assert 0 == await remind_all(here)
    await here.gate.expire_due()
    row = await here.case_row(opened)
    assert (None, None) == (row["remind_at"], row["reminder_sent_at"])


@pytest.mark.parametrize("ending", ["tap", "page", "withdrawal", "deadline"])
async def test_nobody_is_reminded_of_a_case_that_is_closed(here: World, ending: str) -> None:
    opened = await waiting(here, 30, sourced=False)  # an answer on the page may be revised for 5 minutes
    if ending == "withdrawal":
        await here.gate.cancel(here.agent, opened.case.case_id, None)
    elif ending == "deadline":
        here.clock.forward(HOUR)
        await here.gate.expire_due()
    else:
        await here.answer(opened, door="page" if ending == "page" else "inline")
    here.clock.forward(30 * MINUTE)
    assert None is await here.reminders.next_reminder()
    assert 0 == await remind_all(here)
    assert [] == await here.rows("notices")


@pytest.mark.parametrize("event", [Event.OPEN, Event.PROGRESS])
async def test_a_case_that_somebody_has_only_looked_at_is_reminded_of(here: World, event: Event) -> None:
    opened = await waiting(here, 30)
    await here.gate.report(opened.case.case_id, opened.review_token, event, {"step": 1})
    here.clock.forward(30 * MINUTE)
    assert 1 == await remind_all(here)
    await here.answer(opened)
    assert ["reminder", "completed"] == (await here.kinds(opened))[1:]


async def test_two_processes_at_once_give_one_reminder(here: World) -> None:
    opened = [await waiting(here, 30, notify=(slack("C1"), slack("C2"))) for _ in range(BATCH + 10)]
    await drawn(here, Board())
    here.clock.forward(30 * MINUTE)
    async with world(here.url, beside=here) as second:
        counts = await asyncio.gather(remind_all(here), remind_all(second), remind_all(here), remind_all(second))
    assert len(opened) == sum(counts)
    assert len(opened) == len(await here.rows("case_events", "kind = 'reminder'"))
    assert 2 * len(opened) == len(await here.rows("notices"))
    assert {2} == {row["version"] for row in await here.rows("cases")}


async def test_reminders_and_answers_at_once_neither_block_each_other_nor_come_in_the_wrong_order(here: World) -> None:
    opened = [await waiting(here, 30) for _ in range(60)]
    await drawn(here, Board())
    here.clock.forward(30 * MINUTE)

    async def claims() -> None:
        for _ in range(10):
            for claimed in await here.notices.claim("slack", 10):
                await here.notices.sent(claimed.ref, "n")

    with capture_logs() as logs:
        await asyncio.gather(remind_all(here), claims(), *(here.answer(one) for one in opened), remind_all(here))
    assert [] == [entry for entry in logs if entry["event"] == "ledger.again"], "a transaction met a deadlock"
    assert {("completed",), ("reminder", "completed")} >= {tuple(await here.kinds(one)) for one in opened}
    assert [] == await here.findings()


# --- notices ---


async def test_every_posted_card_gets_one_notice_in_its_thread(here: World, board: Board) -> None:
    policy = Policy(any_of=("channel", "slack:U7", "telegram:8"))
    opened = await waiting(here, 30, notify=(slack("C1"), slack("C2"), telegram("-7")), policy=policy)
    telegram_board = Board(platform="telegram")
    await drawn(here, board)
    await drawn(here, telegram_board)
    here.clock.forward(30 * MINUTE)
    await remind_all(here)
    await notified(here, board)
    await notified(here, telegram_board)

    assert {"m1", "m2"} == {below for below, _ in board.notices}
    assert {("U7",)} == {notice.mentions for _, notice in board.notices}
    ((below, notice),) = telegram_board.notices
    assert ("m1", ("8",), "Reminder: approval needed") == (below, notice.mentions, notice.title)
    assert notice.deadline.endswith("(in 30 minutes)")
    assert f"/review/{opened.case.case_id}?token={opened.review_token}" in (notice.review_url or "")
    rows = await here.rows("notices")
    assert {("sent", 1, None)} == {(row["state"], row["attempts"], row["last_error"]) for row in rows}
    assert (0, 0) == (await notified(here, board), await notified(here, telegram_board))
    assert None is await here.notices.next_due("slack")


async def test_a_card_that_is_posted_after_the_moment_is_its_own_reminder(here: World, board: Board) -> None:
    opened = await waiting(here, 30)
    here.clock.forward(30 * MINUTE)
    await remind_all(here)
    await drawn(here, board)
    assert 0 == await notified(here, board)
    assert 1 == len(await reminders_of(here, opened))


async def test_a_card_that_the_platform_refused_for_good_gets_no_notice(here: World, board: Board) -> None:
    opened = await waiting(here, 30)
    await drawn(here, board)
    board.before["C1"] = [fails(permanent=True)]
    await here.gate.report(opened.case.case_id, opened.review_token, Event.OPEN)
    await drawn(here, board)
    here.clock.forward(30 * MINUTE)
    assert 1 == await remind_all(here)
    assert [] == await here.rows("notices")


async def test_a_notice_whose_case_was_closed_before_is_not_sent(here: World, board: Board) -> None:
    opened = await reminded(here, board)
    await here.answer(opened)
    await notified(here, board)
    row = await here.row("notices")
    assert ([], "dead", "the case was closed before") == (board.notices, row["state"], row["last_error"])


async def test_a_notice_that_could_not_be_sent_before_the_deadline_is_not_sent(here: World, board: Board) -> None:
    await reminded(here, board)
    here.clock.forward(30 * MINUTE)
    await notified(here, board)
    assert ([], "dead") == (board.notices, (await here.row("notices"))["state"])


async def test_a_notice_says_how_much_time_is_left_when_it_is_sent(here: World, board: Board) -> None:
    await reminded(here, board)
    here.clock.forward(10 * MINUTE)
    await notified(here, board)
    assert "(in 20 minutes)" in board.notices[0][1].deadline


async def test_a_notice_that_waited_too_long_gives_way_to_the_next_reminder(here: World, board: Board) -> None:
    opened = await waiting(here, 10, 30)
    await drawn(here, board)
    for ahead in (10, 20):
        here.clock.forward(ahead * MINUTE)
        await remind_all(here)
    await notified(here, board)
    assert 1 == len(board.notices)
    assert 2 == len(await reminders_of(here, opened))
    states = {row["state"]: row["last_error"] for row in await here.rows("notices")}
    assert {"sent": None, "dead": "a later one took its place"} == states


async def test_a_failed_notice_is_tried_again_when_the_platform_says(here: World, board: Board) -> None:
    await reminded(here, board)
    board.before["C1"] = [fails(retry_after_ms=7_000)]
    await notified(here, board)
    row = await here.row("notices")
    assert ("waiting", 1, "it did not work") == (row["state"], row["attempts"], row["last_error"])
    assert 5_000 < (await here.notices.next_due("slack") or 0) <= 7_000
    here.clock.forward(7 * SECOND)
    await notified(here, board)
    assert ("sent", 1) == ((await here.row("notices"))["state"], len(board.notices))


@pytest.mark.parametrize("how", ["refused for good", "too often"])
async def test_a_notice_that_cannot_be_sent_is_given_up_with_its_reason(here: World, board: Board, how: str) -> None:
    await reminded(here, board)
    if how == "too often":
        await here.execute(f"UPDATE notices SET attempts = {MAX_ATTEMPTS - 1}")
    board.before["C1"] = [fails(permanent=how == "refused for good")]
    await notified(here, board)
    here.clock.forward(20 * MINUTE)
    assert 0 == await notified(here, board)
    row = await here.row("notices")
    assert ("dead", "it did not work", []) == (row["state"], row["last_error"], board.notices)


async def test_a_worker_that_died_between_sending_and_saving_sends_it_again(here: World, board: Board) -> None:
    await reminded(here, board)
    (claimed,) = await here.notices.claim("slack", 10)
    await board.remind(claimed.ref.address, claimed.message, claimed.notice)
    assert 0 == await notified(here, board), "its lease still holds"
    here.clock.forward(LEASE_MS + 1)
    await notified(here, board)
    assert 2 == len(board.notices)


async def test_a_worker_that_lost_its_lease_changes_nothing(here: World, board: Board) -> None:
    await reminded(here, board)
    (late,) = await here.notices.claim("slack", 10)
    here.clock.forward(LEASE_MS + 1)
    (claimed,) = await here.notices.claim("slack", 10)
    await here.notices.postpone(late.ref, 0, error="late", dead=True)
    await here.notices.sent(late.ref, "late")
    assert ("waiting", None) == await state_and_message(here)
    await here.notices.sent(claimed.ref, "n1")
    assert ("sent", "n1") == await state_and_message(here)


async def test_a_chat_with_a_new_id_gets_the_card_anew_instead_of_the_notice(here: World, board: Board) -> None:
    opened = await reminded(here, board, notify=(slack("old"),))

    def moved() -> None:
        raise ChannelMoved("new")

    board.before["old"] = [moved]
    await notified(here, board)
    await drawn(here, board)
    assert (["old", "new"], []) == (list(board.places.values()), board.notices)
    row = await here.row("notices")
    assert ("dead", "the card was posted anew in the chat's new place") == (row["state"], row["last_error"])
    cards = await here.rows("cards", "case_id = :c", c=opened.case.case_id)
    assert [("new", "live")] == [(row["channel"], row["state"]) for row in cards]


async def test_two_workers_send_every_notice_once(here: World, board: Board) -> None:
    for number in range(30):
        await waiting(here, 30, notify=(slack(f"C{number}"),))
    await drawn(here, board)
    here.clock.forward(30 * MINUTE)
    await remind_all(here)
    async with world(here.url, beside=here) as second:
        workers = [NoticeWorker(one.notices, one.cards, board, one.hub) for one in (here, second)]
        async with drawing(workers[0], here.hub), drawing(workers[1], second.hub):
            await until(lambda: len(board.notices) >= 30)
            await until(lambda: _all_sent(here))
    assert 30 == len({below for below, _ in board.notices}) == len(board.notices)


async def _all_sent(here: World) -> bool:
    return {"sent"} == {row["state"] for row in await here.rows("notices")}


async def test_a_notice_is_sent_as_soon_as_the_reminder_is_given(
    here: World, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.outbox.RESCAN_SECONDS", 60.0)  # only a wake-up can end a wait
    await waiting(here, 30)
    await drawn(here, board)
    async with drawing(NoticeWorker(here.notices, here.cards, board, here.hub), here.hub):
        await until(lambda: bool(here.hub.watched("notices")))
        here.clock.forward(30 * MINUTE)
        await remind_all(here)
        await until(lambda: len(board.notices) == 1)


async def test_cards_and_notices_of_one_chat_keep_one_pace(here: World) -> None:
    board = Board(pace=Rate(burst=1, interval_ms=150))
    for _ in range(2):
        await waiting(here, 30)
    pacer = Noting()
    cards = CardWorker(here.cards, board, here.hub, pacer=pacer)
    notices = NoticeWorker(here.notices, here.cards, board, here.hub, pacer=pacer)
    async with drawing(cards, here.hub), drawing(notices, here.hub):
        await until(lambda: len(board.messages) == 2)
        await until(lambda: _all_posted(here))
        here.clock.forward(30 * MINUTE)
        for _ in range(2):
            await here.open(notify=(slack(),))
        await remind_all(here)
        await until(lambda: (len(board.messages), len(board.notices)) == (4, 2))
    pacer.check_nothing_left_earlier([at for _, at in board.sent_at])
    assert min(later - earlier for earlier, later in pairwise(pacer.moments)) > 0.149


async def _all_posted(here: World) -> bool:
    return all(row["message"] for row in await here.rows("cards"))


async def test_a_tap_on_a_reminded_case_counts_and_the_ledger_is_sound(here: World, board: Board) -> None:
    opened = await reminded(here, board)
    await notified(here, board)
    await here.answer(opened)
    await drawn(here, board)
    assert "Approved" in str(board.outcomes[0])
    with pytest.raises(AssentError):
        await here.answer(opened, "reject")
    await here.seal()
    assert [] == await here.findings()
