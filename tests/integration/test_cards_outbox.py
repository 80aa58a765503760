"""Cards follow their cases: claims, leases, doubtful posts, quiet chats, and workers that compete."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from structlog.testing import capture_logs

from core.cards import LEASE_MS, Claimed
from core.digest_words import Digest
from core.errors import NotShownWhole
from core.messages import Card
from core.model import Address, Opened
from core.notice_words import Notice
from core.outbox import MAX_ATTEMPTS
from core.pacing import Rate
from core.ports import ChannelMoved, Check, SendFailed
from core.sources import Wanted
from core.states import Event
from core.told import Told
from core.workers import CardWorker
from tests.support.gates import MINUTE, SECOND, World, reviewer, slack, until, world
from tests.support.workers import Noting, drawing

FAST = Rate(burst=1_000, interval_ms=1)

Trouble = Callable[[], Awaitable[None] | None]


@dataclass
class Board:
    """A messenger that keeps what it was told: every message with all the cards that it has shown, in order.

    `before` and `after` hold what happens to the next sends of a chat, before and after the message stands there.
    """

    platform: str = "slack"
    pace: Rate = FAST
    messages: dict[str, list[Card]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # the chat of a message
    sent_at: list[tuple[str, float]] = field(default_factory=list)
    notices: list[tuple[str, Notice]] = field(default_factory=list)  # below which message
    digests: dict[str, list[Digest]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    before: dict[str, list[Trouble]] = field(default_factory=dict)
    after: dict[str, list[Trouble]] = field(default_factory=dict)
    whole: bool = True  # whether messages have room for all of the content

    def rate(self, address: Address, kind: Literal["post", "update"]) -> tuple[str, Rate]:
        return address.channel, self.pace

    async def post(self, address: Address, card: Card) -> str:
        self.calls.append("post")
        await _happens(self.before, address)
        message = f"m{len(self.messages) + 1}"
        self.messages[message] = [card]
        self.places[message] = address.channel
        self.sent_at.append((address.channel, time.monotonic()))
        await _happens(self.after, address)
        return message

    def shows_whole(self, card: Card) -> bool:
        return self.whole

    async def update(self, address: Address, message: str, card: Card) -> None:
        self.calls.append("update")
        await _happens(self.before, address)
        self.messages[message].append(card)
        self.sent_at.append((address.channel, time.monotonic()))
        await _happens(self.after, address)

    async def find(self, address: Address, card: Card | Digest) -> str | None:
        self.calls.append("find")
        first = {message: shown[0].card_id for message, shown in self.messages.items()}
        first |= {message: shown[0].card_id for message, shown in self.digests.items()}
        return next((message for message, card_id in first.items() if card_id == card.card_id), None)

    async def notify(self, address: Address, whom: str, what: str | Told) -> None:
        self.calls.append("notify")

    async def remind(self, address: Address, message: str, notice: Notice) -> str:
        self.calls.append("remind")
        await _happens(self.before, address)
        self.notices.append((message, notice))
        self.sent_at.append((address.channel, time.monotonic()))
        await _happens(self.after, address)
        return f"n{len(self.notices)}"

    async def digest(self, address: Address, digest: Digest, message: str | None = None) -> str:
        self.calls.append("digest")
        await _happens(self.before, address)
        message = message or f"d{len(self.digests) + 1}"
        self.digests.setdefault(message, []).append(digest)
        self.places[message] = address.channel
        self.sent_at.append((address.channel, time.monotonic()))
        await _happens(self.after, address)
        return message

    async def check(self) -> Check:
        return Check(True, "connected")

    @property
    def outcomes(self) -> list[str | None]:
        return [cards[-1].outcome for cards in self.messages.values()]

    def versions(self, message: str = "m1") -> list[int]:
        return [card.version for card in self.messages[message]]


async def _happens(troubles: dict[str, list[Trouble]], address: Address) -> None:
    waiting = troubles.get(address.channel)
    if waiting and (effect := waiting.pop(0)()) is not None:
        await effect


def fails(**how: Any) -> Trouble:
    def trouble() -> None:
        raise SendFailed("it did not work", **how)

    return trouble


@pytest.fixture
def board() -> Board:
    return Board()


def worker(here: World, board: Board) -> CardWorker:
    return CardWorker(here.cards, board, here.hub)


async def following(here: World, board: Board) -> None:
    """A worker that draws whenever there is something to draw, until it is cancelled."""
    busy = worker(here, board)
    with here.hub.subscribe("cards") as woken:
        while True:
            if wait := await busy.round():
                await woken.wait(wait)


async def drawn(here: World, board: Board) -> int:
    """A new worker draws until nothing is due; how many rounds had something to do."""
    busy, rounds = worker(here, board), 0
    while await busy.work():
        rounds += 1
    return rounds


async def card_row(here: World, opened: Opened, channel: str = "C1") -> dict[str, Any]:
    return await here.row("cards", "case_id = :c AND channel = :h", c=opened.case.case_id, h=channel)


# --- following the case ---


async def test_a_card_is_posted_once_and_then_redrawn_at_every_change_of_its_case(here: World, board: Board) -> None:
    form = {"fields": [{"key": "a", "label": "A", "type": "text"}]}
    opened = await here.open("input", context={"form": form}, notify=(slack(),))
    case_id, token = opened.case.case_id, opened.review_token
    await drawn(here, board)
    await here.gate.report(case_id, token, Event.OPEN)
    await drawn(here, board)
    await here.gate.report(case_id, token, Event.PROGRESS, {"step": 1})
    await drawn(here, board)
    await here.answer(opened, "submit", {"a": "x"}, door="page")
    await drawn(here, board)
    assert [1, 2, 3, 4] == board.versions()
    assert ["post", "update", "update", "update"] == board.calls
    facts = [dict(card.facts).get("Status") for card in board.messages["m1"]]
    assert [None, "somebody is looking at it", "somebody is answering it", None] == facts
    assert "Submitted by" in (board.outcomes[0] or "")
    row = await card_row(here, opened)
    assert ("m1", 4, 4, 0) == (row["message"], row["wanted_version"], row["shown_version"], row["attempts"])


@pytest.mark.parametrize("ending", ["answer", "withdrawal", "deadline"])
async def test_every_copy_of_a_card_loses_its_buttons_when_the_case_ends(
    here: World, board: Board, ending: str
) -> None:
    opened = await here.open(notify=(slack("C1"), slack("C2"), slack("C3")))
    await drawn(here, board)
    assert [2, 2, 2] == [len(cards[-1].buttons) for cards in board.messages.values()]
    assert {"C1", "C2", "C3"} == set(board.places.values())
    if ending == "answer":
        await here.answer(opened)
    elif ending == "withdrawal":
        await here.gate.cancel(here.agent, opened.case.case_id, "no longer needed")
    else:
        here.clock.forward(60 * MINUTE)
        await here.gate.expire_due()
    await drawn(here, board)
    assert [0, 0, 0] == [len(cards[-1].buttons) for cards in board.messages.values()]
    assert 1 == len(set(board.outcomes))
    assert {"answer": "Approved", "withdrawal": "Withdrawn", "deadline": "Expired"}[ending] in str(board.outcomes[0])
    assert all(cards[-1].review_url is None for cards in board.messages.values())


async def test_changes_that_come_while_nobody_draws_are_drawn_once(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack(),))
    await here.gate.report(opened.case.case_id, opened.review_token, Event.OPEN)
    await here.answer(opened)
    assert 1 == await drawn(here, board)
    assert [3] == board.versions()
    assert 0 == len(board.messages["m1"][-1].buttons)


async def test_a_change_during_a_drawing_is_drawn_afterwards(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack(),))

    async def somebody_answers() -> None:
        await here.answer(opened)

    board.after["C1"] = [somebody_answers]
    await drawn(here, board)
    assert [1, 2] == board.versions()
    assert board.outcomes[0] is not None


async def test_a_card_that_is_right_is_left_alone(here: World, board: Board) -> None:
    await here.open(notify=(slack(),))
    await drawn(here, board)
    assert await here.cards.next_due("slack") is None
    assert 0 == await drawn(here, board)
    assert ["post"] == board.calls


async def test_a_messenger_is_given_only_its_own_cards(here: World) -> None:
    await here.open(notify=(slack(), Address("telegram", "7")))
    telegram_board = Board(platform="telegram")
    await drawn(here, telegram_board)
    assert {"7"} == set(telegram_board.places.values())


async def test_a_tap_right_after_the_posting_is_held_against_what_was_shown(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack(),))
    row = await card_row(here, opened)
    answers: list[Any] = []

    async def a_quick_tap() -> None:
        assert opened.case.content_digest == (await card_row(here, opened))["shown_digest"]
        answers.append(await here.tap(row["card_id"], "approve", reviewer()))

    board.after["C1"] = [a_quick_tap]
    await drawn(here, board)
    assert "Recorded: Approved." == answers[0].text
    assert "Approved" in (board.outcomes[0] or "")


async def careful(here: World) -> Opened:
    """A case that may be approved only where all of it is shown."""
    wanted = Wanted(chat={"require_full_review": True})
    await here.sources.change(here.agent.tenant_id, here.source_id, wanted)
    return await here.open(notify=(slack(),))


@pytest.mark.parametrize("whole", [True, False])
async def test_a_tap_between_the_sending_and_the_save_approves_only_what_is_shown_whole(
    here: World, board: Board, whole: bool
) -> None:
    opened = await careful(here)
    row = await card_row(here, opened)
    answers: list[Any] = []

    async def a_quick_tap() -> None:
        answers.append(await here.tap(row["card_id"], "approve", reviewer()))

    board.whole, board.after["C1"] = whole, [a_quick_tap]
    await drawn(here, board)
    said = "Recorded: Approved." if whole else "This card does not show everything, so it can only be approved on the "
    assert answers[0].text.startswith(said)
    assert whole == answers[0].recorded
    assert int(whole) == (await card_row(here, opened))["whole"]


async def test_what_is_not_known_to_have_been_shown_whole_cannot_be_approved_but_denied(here: World) -> None:
    opened = await careful(here)
    row = await card_row(here, opened)
    assert row["whole"] is None
    assert not (await here.tap(row["card_id"], "approve", reviewer())).recorded
    assert ["refused"] == await here.kinds(opened)
    assert (await here.tap(row["card_id"], "reject", reviewer())).recorded


@pytest.mark.parametrize("was", [True, False])
async def test_while_a_card_is_redrawn_it_is_whole_only_if_it_was_and_will_be(
    here: World, board: Board, was: bool
) -> None:
    opened = await careful(here)
    board.whole = was
    await drawn(here, board)
    row = await card_row(here, opened)
    answers: list[Any] = []

    async def a_quick_tap() -> None:
        answers.append(await here.tap(row["card_id"], "approve", reviewer()))

    board.whole, board.before["C1"], board.after["C1"] = not was, [a_quick_tap], [a_quick_tap]
    await here.gate.report(opened.case.case_id, opened.review_token, Event.OPEN)
    await drawn(here, board)
    assert [False, False] == [answer.recorded for answer in answers]
    assert (not was) == (await here.tap(row["card_id"], "approve", reviewer())).recorded


async def test_a_submit_token_does_not_say_what_was_shown_so_it_approves_nothing_that_must_be_seen(here: World) -> None:
    opened = await careful(here)
    with pytest.raises(NotShownWhole):
        await here.answer(opened, "approve")
    await here.answer(opened, "approve", door="page")


async def test_a_stale_button_says_how_it_ended_and_draws_its_card_again(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack(),))
    await drawn(here, board)
    await here.answer(opened)
    await drawn(here, board)
    row = await card_row(here, opened)
    told = await here.tap(row["card_id"], "reject", reviewer(2))
    assert not told.recorded
    assert (told.text or "").startswith("This was already decided. Approved by Reviewer 1")
    await drawn(here, board)
    assert [1, 2, 3] == board.versions()


async def test_a_tap_on_another_platforms_card_or_an_unknown_one_changes_nothing(here: World) -> None:
    opened = await here.open(notify=(slack(),))
    row = await card_row(here, opened)
    before = await here.truth()
    for card_id, somebody in (("nothing", reviewer()), (row["card_id"], reviewer(1, "telegram"))):
        told = await here.tap(card_id, "approve", somebody)
        assert (False, "This card is not known here any more.") == (told.recorded, told.text)
    assert before == await here.truth()


async def test_a_tap_from_another_chat_than_the_cards_is_refused_with_words(here: World) -> None:
    opened = await here.open(notify=(slack(),))
    row = await card_row(here, opened)
    told = await here.tap(row["card_id"], "approve", reviewer(), channel="C9")
    assert not told.recorded
    assert (told.text or "").startswith("You are not one of the reviewers of this case")
    assert ["refused"] == await here.kinds(opened)


# --- leases ---


async def test_a_worker_that_was_stopped_past_its_lease_changes_nothing_when_it_resumes(
    here: World, board: Board
) -> None:
    opened = await here.open(notify=(slack(),))
    (stopped,) = await here.cards.claim("slack", 10)
    assert [] == await here.cards.claim("slack", 10), "a claimed card is nobody else's"
    here.clock.forward(LEASE_MS)
    await drawn(here, board)
    row = await card_row(here, opened)
    assert not await here.cards.shown(stopped, "m-late")
    await here.cards.postpone(stopped.ref, 0, error="late", dead=True)
    await here.cards.moved(stopped.ref, "C-late")
    assert row == await card_row(here, opened)
    assert "m1" == row["message"]


async def test_only_the_newest_of_three_claims_can_save(here: World) -> None:
    opened = await here.open(notify=(slack(),))
    claims: list[Claimed] = []
    for _ in range(3):
        claims += await here.cards.claim("slack", 10)
        here.clock.forward(LEASE_MS)
    assert [1, 2, 3] == [claim.ref.lease for claim in claims]
    assert [False, False, True] == [await here.cards.shown(claim, f"m{claim.ref.lease}") for claim in claims]
    assert "m3" == (await card_row(here, opened))["message"]


async def test_the_card_of_a_killed_worker_is_due_when_its_lease_ends(here: World, board: Board) -> None:
    await here.open(notify=(slack(),))
    await here.cards.claim("slack", 10)
    due = await here.cards.next_due("slack")
    assert due is not None
    assert LEASE_MS - 10 * SECOND < due <= LEASE_MS
    assert 0 == await drawn(here, board)
    here.clock.forward(LEASE_MS)
    assert 0 == await here.cards.next_due("slack")
    assert 1 == await drawn(here, board)


# --- doubtful posts ---


async def test_a_post_whose_answer_was_lost_is_looked_for_and_adopted(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack(),))
    board.after["C1"] = [fails(uncertain=True)]
    await drawn(here, board)
    here.clock.forward(MINUTE)
    await drawn(here, board)
    assert ["post", "find", "update"] == board.calls
    assert ["m1"] == list(board.messages)
    assert "m1" == (await card_row(here, opened))["message"]


async def test_a_worker_killed_between_sending_and_saving_leaves_no_twin(here: World, board: Board) -> None:
    await here.open(notify=(slack(),))
    (claimed,) = await here.cards.claim("slack", 10)
    await board.post(claimed.ref.address, claimed.card)
    here.clock.forward(LEASE_MS)
    await drawn(here, board)
    assert ["post", "find", "update"] == board.calls
    assert ["m1"] == list(board.messages)


async def test_a_doubtful_post_that_never_arrived_is_posted(here: World, board: Board) -> None:
    await here.open(notify=(slack(),))
    await here.cards.claim("slack", 10)
    here.clock.forward(LEASE_MS)
    await drawn(here, board)
    assert ["find", "post"] == board.calls


async def test_a_refusal_leaves_no_doubt(here: World, board: Board) -> None:
    await here.open(notify=(slack(),))
    board.before["C1"] = [fails(), fails(retry_after_ms=1_000)]
    for _ in range(3):
        await drawn(here, board)
        here.clock.forward(MINUTE)
    assert ["post", "post", "post"] == board.calls


async def test_doubt_stays_through_refusals_until_the_twin_was_looked_for(here: World, board: Board) -> None:
    await here.open(notify=(slack(),))
    board.after["C1"] = [fails(uncertain=True)]
    await drawn(here, board)
    board.before["C1"] = [fails(retry_after_ms=1_000)]  # the update of the twin is refused
    for _ in range(2):
        here.clock.forward(MINUTE)
        await drawn(here, board)
    assert ["post", "find", "update", "find", "update"] == board.calls
    assert ["m1"] == list(board.messages)


async def test_a_tap_tells_where_a_lost_card_stands(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack(),))
    board.after["C1"] = [fails(uncertain=True)]
    await drawn(here, board)
    row = await card_row(here, opened)
    await here.cards.adopt(row["card_id"], "m1")
    await here.tap(row["card_id"], "approve", reviewer())
    here.clock.forward(MINUTE)
    await drawn(here, board)
    assert ["post", "update"] == board.calls
    assert board.outcomes[0] is not None


# --- a platform in trouble ---


async def test_retry_after_keeps_one_chat_quiet_and_no_other(here: World, board: Board) -> None:
    for _ in range(3):
        await here.open(notify=(slack("C1"), slack("C2")))
    board.before["C1"] = [fails(retry_after_ms=30_000)]
    busy = worker(here, board)
    await busy.work()
    assert ["C2", "C2", "C2"] == list(board.places.values())
    rows = await here.rows("cards", "channel = 'C1'")
    assert [None] * 3 == [row["message"] for row in rows]
    due = await here.cards.next_due("slack")
    assert due is not None
    assert due > 25_000, "nobody knocks before the time that the platform named"
    assert 1 == sum(row["attempts"] for row in rows), "waiting for a chat is no attempt"


async def test_a_card_that_the_platform_refuses_for_good_is_dead_and_holds_up_nobody(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack("C1"), slack("C2")))
    board.before["C1"] = [fails(permanent=True)]
    await drawn(here, board)
    row = await card_row(here, opened)
    assert ("dead", "it did not work") == (row["state"], row["last_error"])
    await here.answer(opened)
    here.clock.forward(24 * 60 * MINUTE)
    await drawn(here, board)
    assert {"C2"} == set(board.places.values())
    assert 1 == board.calls.count("update")


async def test_a_card_that_never_works_is_given_up_in_the_end(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack(),))
    board.before["C1"] = [fails()] * (MAX_ATTEMPTS + 10)
    for _ in range(MAX_ATTEMPTS + 5):
        await drawn(here, board)
        here.clock.forward(10 * MINUTE)
    row = await card_row(here, opened)
    assert ("dead", MAX_ATTEMPTS) == (row["state"], row["attempts"])
    assert MAX_ATTEMPTS == len(board.calls)


async def test_failures_wait_longer_each_time(here: World, board: Board) -> None:
    await here.open(notify=(slack(),))
    board.before["C1"] = [fails()] * 4
    waits = []
    for _ in range(4):
        await drawn(here, board)
        due = await here.cards.next_due("slack")
        assert due is not None
        waits.append(round(due / 1000))
        here.clock.forward(due + SECOND)
    assert [1, 2, 4, 8] == waits


async def test_a_card_follows_its_chat_to_a_new_id(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack("old"),))

    def moved() -> None:
        raise ChannelMoved("new")

    board.before["old"] = [moved]
    await drawn(here, board)
    assert {"new"} == set(board.places.values())
    assert "m1" == (await card_row(here, opened, "new"))["message"]
    assert "find" not in board.calls


async def test_a_posted_card_is_posted_anew_where_its_chat_went(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack("old"),))
    await drawn(here, board)

    def moved() -> None:
        raise ChannelMoved("new")

    board.before["old"] = [moved]
    await here.answer(opened)
    await drawn(here, board)
    assert {"m1": "old", "m2": "new"} == board.places
    assert "Approved" in str(board.outcomes[1])
    row = await card_row(here, opened, "new")
    assert ("m2", row["wanted_version"]) == (row["message"], row["shown_version"])


async def test_dead_cards_get_another_try_where_somebody_still_waits(here: World, board: Board) -> None:
    waiting, decided = await here.open(notify=(slack(),)), await here.open(notify=(slack(),))
    board.before["C1"] = [fails(permanent=True)] * 2
    await drawn(here, board)
    await here.answer(decided)
    assert ["dead", "dead"] == [row["state"] for row in await here.rows("cards")]
    await here.cards.try_again("telegram")
    assert 0 == await drawn(here, board)
    await here.cards.try_again("slack")
    await drawn(here, board)
    assert "live" == (await card_row(here, waiting))["state"]
    assert "dead" == (await card_row(here, decided))["state"]
    assert ["m1"] == list(board.messages)


async def test_a_chat_that_moved_onto_another_of_the_cards_is_dropped(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack("old"), slack("new")))

    def moved() -> None:
        raise ChannelMoved("new")

    board.before["old"] = [moved]
    await drawn(here, board)
    assert {"new"} == set(board.places.values())
    assert "dead" == (await card_row(here, opened, "old"))["state"]


async def test_a_defect_that_one_card_brings_out_does_not_keep_the_others_from_being_drawn(
    here: World, board: Board
) -> None:
    def defect() -> None:
        raise ZeroDivisionError

    async def slow() -> None:
        await asyncio.sleep(0.05)

    opened = await here.open(notify=(slack("C1"), slack("C2"), slack("C3")))
    board.before = {"C1": [defect], "C2": [slow], "C3": [slow]}
    await worker(here, board).work()
    assert {"C2", "C3"} == set(board.places.values())
    for channel in ("C2", "C3"):
        row = await card_row(here, opened, channel)
        assert row["wanted_version"] == row["shown_version"]
    here.clock.forward(MINUTE)
    await drawn(here, board)
    assert {"C1", "C2", "C3"} == set(board.places.values())


# --- pace ---


async def test_a_chat_gets_its_cards_at_its_pace_and_all_of_them(here: World, board: Board) -> None:
    board.pace = Rate(burst=2, interval_ms=100)
    for _ in range(8):
        await here.open(notify=(slack("C1"),))
    pacer = Noting()
    async with drawing(CardWorker(here.cards, board, here.hub, pacer=pacer), here.hub):
        took = await until(lambda: len(board.messages) == 8)
    pacer.check_nothing_left_earlier([at for _, at in board.sent_at])
    for first in range(8):
        for last in range(first, 8):
            assert last - first + 1 <= 2.01 + (pacer.moments[last] - pacer.moments[first]) / 0.1
    assert took < 5


async def test_a_busy_chat_does_not_slow_down_another(here: World, board: Board) -> None:
    board.pace = Rate(burst=1, interval_ms=60_000)
    for _ in range(30):
        await here.open(notify=(slack("C1"),))
    await here.open(notify=(slack("C2"),))
    await drawn(here, board)
    assert ["C1", "C2"] == sorted(board.places.values())


# --- workers that compete ---


async def test_two_workers_never_draw_one_version_twice(here: World) -> None:
    """On PostgreSQL two processes, on SQLite two workers of the one process, while the cases go on changing."""
    one = Board()
    boards = [one, Board(messages=one.messages, places=one.places)]  # two workers on one and the same messenger
    async with world(here.url, beside=here) as other:
        second = here if here.database.dialect == "sqlite" else other
        async with drawing(worker(here, boards[0]), here.hub), drawing(worker(second, boards[1]), second.hub):
            cases = [await here.open(notify=(slack(f"C{n}"), slack(f"D{n}"))) for n in range(25)]
            await asyncio.gather(*(here.gate.report(one.case.case_id, one.review_token, Event.OPEN) for one in cases))
            await asyncio.gather(*(here.answer(one) for one in cases))

            async def all_is_drawn() -> bool:
                return [] == await here.rows("cards", "wanted_version > shown_version")

            await until(all_is_drawn)
    drawings = [(card.card_id, card.version) for cards in one.messages.values() for card in cards]
    assert len(drawings) == len(set(drawings))
    assert 50 == len({card_id for card_id, _ in drawings})
    assert 50 == sum(version == 3 for _, version in drawings)


async def test_claims_and_replies_do_not_block_each_other(on_postgres: World) -> None:
    """A claim that locked the case after its card would meet a reply that locks them the other way round."""
    here = on_postgres
    cases = [await here.open(notify=(slack("C1"), slack("C2"))) for _ in range(60)]

    async def claim_all() -> None:
        for _ in range(20):
            for claimed in await here.cards.claim("slack", 10):
                await here.cards.shown(claimed, "m")

    with capture_logs() as logs:
        await asyncio.gather(claim_all(), claim_all(), *(here.answer(one) for one in cases))
    assert [] == [entry for entry in logs if entry["event"] == "ledger.again"], "a transaction met a deadlock"


# --- waking up ---


async def test_a_card_is_drawn_as_soon_as_its_case_opens_and_changes(
    here: World, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.outbox.RESCAN_SECONDS", 60.0)  # only a wake-up can end a wait
    async with drawing(worker(here, board), here.hub):
        await until(lambda: bool(here.hub.watched("cards")))
        opened = await here.open(notify=(slack(),))
        await until(lambda: len(board.messages) == 1)
        await here.answer(opened)
        await until(lambda: board.outcomes[0] is not None)


async def test_a_lost_wake_up_costs_at_most_the_rescan(here: World, board: Board) -> None:
    async with world(here.url, beside=here) as silent:
        silent.hub.relay = None
        async with drawing(worker(here, board), here.hub):
            await until(lambda: bool(here.hub.watched("cards")))
            await silent.open(notify=(slack(),))
            await until(lambda: len(board.messages) == 1)


async def test_a_claim_shows_what_the_case_is_at_that_moment(here: World) -> None:
    opened = await here.open(notify=(slack(),))
    (claimed,) = await here.cards.claim("slack", 10)
    assert claimed.case == opened.case
    assert replace(claimed.card, card_id="") == replace(claimed.card, card_id="", version=1)
    assert f"/hitl/review/{opened.case.case_id}?token={opened.review_token}" in (claimed.card.review_url or "")


async def test_a_posted_card_is_posted_anew_when_its_chat_gets_a_new_id(here: World, board: Board) -> None:
    opened = await here.open(notify=(slack("old"),))
    await drawn(here, board)

    def moved() -> None:
        raise ChannelMoved("new")

    board.before["old"] = [moved]
    await here.gate.cancel(here.agent, opened.case.case_id, "not needed")
    await drawn(here, board)
    assert "new" in board.places.values()
    assert "live" == (await card_row(here, opened, "new"))["state"]
