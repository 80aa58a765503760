"""Replies that race: the same one many times, and contrary ones from every door at once.

`python -m tests.chaos.races --rounds 50 --cases 1000 --database sqlite|postgresql` prints one line per race. The
suite runs the same functions with smaller numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from core.errors import AlreadyDecided, Unavailable
from core.ledger import migrate
from core.model import Opened
from core.replies import Answered
from core.taps import TapAnswer
from core.words import EN
from tests.support.gates import World, reviewer, slack, telegram, world
from tests.support.postgres import Run, create_database, drop_database

T = TypeVar("T")

CONNECTIONS = 20
AT_ONCE = 100  # cases that race at the same time


async def patiently(attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Try again as long as the database is busy, as every client is asked to."""
    while True:
        try:
            return await attempt()
        except Unavailable:
            await asyncio.sleep(0.1)


async def identical_replies(here: World, copies: int) -> None:
    """One round: `copies` of one reply at once make one row, and all get the same answer."""
    opened = await here.open()
    answers = await asyncio.gather(*(patiently(lambda: here.answer(opened)) for _ in range(copies)))
    (row,) = await here.rows("human_interactions", "case_id = :c", c=opened.case.case_id)
    assert {row["interaction_id"]} == {answer.interaction_id for answer in answers}
    assert 1 == len({json.dumps(answer.case.result) for answer in answers})
    assert 1 == sum(not answer.replay for answer in answers), "one reply was accepted, all others are replays of it"


async def identical_taps(here: World, copies: int) -> None:
    """One round of the same, as a person who keeps tapping a card: one row, one thanks, and the truth for the rest."""
    opened = await here.open(notify=(slack(),))
    (card,) = await here.rows("cards", "case_id = :c", c=opened.case.case_id)

    async def tap() -> TapAnswer:
        return await here.tap(card["card_id"], "approve", reviewer())

    answers = await asyncio.gather(*(patiently(tap) for _ in range(copies)))
    assert 1 == len(await here.rows("human_interactions", "case_id = :c", c=opened.case.case_id))
    assert all(answer.recorded for answer in answers)
    assert 1 == sum(answer.text == "Recorded: Approved." for answer in answers)
    assert copies - 1 == sum(_names(answer, "approve") for answer in answers)


async def contrary_replies(here: World, cases: int) -> dict[str, int]:
    """Approve and reject race on every case from Slack, Telegram and the page: one decision and one event each, and
    every loser is told the truth. Returns how often each door won.
    """
    won = {"slack": 0, "telegram": 0, "link": 0}
    for start in range(0, cases, AT_ONCE):
        batch = range(min(AT_ONCE, cases - start))
        for winner in await asyncio.gather(*(_contrary(here, turn) for turn in batch)):
            won[winner] += 1
    return won


async def _contrary(here: World, turn: int) -> str:
    opened = await patiently(lambda: here.open(notify=(slack(), telegram())))
    rows = await patiently(lambda: here.rows("cards", "case_id = :c", c=opened.case.case_id))
    cards = {row["platform"]: row["card_id"] for row in rows}
    one, other, third = (("approve", "reject", "approve"), ("reject", "approve", "reject"))[turn % 2]
    doors: list[Callable[[], Coroutine[Any, Any, Any]]] = [
        lambda: here.tap(cards["slack"], one, reviewer(1)),
        lambda: here.tap(cards["slack"], one, reviewer(1)),
        lambda: here.tap(cards["telegram"], other, reviewer(2, "telegram"), channel="-1001"),
        lambda: _on_the_page(here, opened, third),
    ]
    doors = doors[turn % 4 :] + doors[: turn % 4]  # nobody is always the first
    answers = await asyncio.gather(*map(patiently, doors), return_exceptions=True)
    return await _judge(here, opened, answers)


async def _on_the_page(here: World, opened: Opened, action: str) -> Answered:
    """Who answers on the page has looked at it before, as a tap looks its card up."""
    await here.views.review(opened.case.case_id, opened.review_token)
    return await here.answer(opened, action, door="page")


async def _judge(here: World, opened: Opened, answers: list[Any]) -> str:
    case_id = opened.case.case_id
    (row,) = await patiently(lambda: here.rows("human_interactions", "case_id = :c", c=case_id))
    (decision,) = await patiently(lambda: here.rows("decisions", "case_id = :c", c=case_id))
    (event,) = await patiently(lambda: here.rows("decision_events", "case_id = :c", c=case_id))
    case = await patiently(lambda: here.views.case(here.agent.tenant_id, case_id))
    action = json.loads(row["payload"])["action"]
    assert action == (case.result or {})["action"] == decision["action"]
    assert {"APPROVE" if action == "approve" else "DENY"} == {
        decision["verdict"],
        json.loads(event["body"])["decision"]["type"],
    }
    winner = str(json.loads(row["replier"])["platform"])
    accepted = [answer for answer in answers if _accepted(answer)]
    assert 1 == len(accepted), "exactly one reply was accepted as new"
    for answer in answers:
        told = answer is accepted[0] or isinstance(answer, AlreadyDecided) or _names(answer, action)
        assert told, f"a loser was not told the truth: {answer!r}"
    return winner


def _accepted(answer: Any) -> bool:
    if isinstance(answer, Answered):
        return not answer.replay
    return isinstance(answer, TapAnswer) and (answer.text or "").startswith("Recorded: ")


def _names(answer: Any, action: str) -> bool:
    """Whether a tapper was told that it is decided, and how."""
    return isinstance(answer, TapAnswer) and (answer.text or "").startswith(
        f"This was already decided. {EN['done'][action]} by "
    )


async def run(url: str, rounds: int, copies: int, cases: int) -> None:
    async with world(url, pool_size=CONNECTIONS) as here:
        for race in (identical_replies, identical_taps):
            began = time.monotonic()
            for _ in range(rounds):
                await race(here, copies)
            print(f"{race.__name__}: {rounds} rounds of {copies}, {time.monotonic() - began:.1f} s", flush=True)
        began = time.monotonic()
        won = await contrary_replies(here, cases)
        print(f"contrary_replies: {cases} cases, won by {won}, {time.monotonic() - began:.1f} s", flush=True)
        await here.seal()
        findings = await here.findings()
        assert not findings, findings
        print("oracles: nothing found", flush=True)


@contextmanager
def a_database(dialect: str) -> Iterator[str]:
    """A new, migrated database that is gone afterwards."""
    if dialect == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'assent.db'}"
            migrate(url)
            yield url
        return
    server = Run.begin()
    try:
        url = create_database(server.server().admin_url)
        migrate(url)
        yield url
        drop_database(server.server().admin_url, url)
    finally:
        server.end()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--copies", type=int, default=200)
    parser.add_argument("--cases", type=int, default=1_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    arguments = parser.parse_args()
    with a_database(arguments.database) as url:
        asyncio.run(run(url, arguments.rounds, arguments.copies, arguments.cases))


if __name__ == "__main__":
    main()
