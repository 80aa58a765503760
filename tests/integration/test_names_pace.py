"""How names are asked for: not too often, no longer than a moment, and never so that one workspace keeps others from
having their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from core import introductions
from core.introductions import (
    AGAIN_SECONDS,
    AT_ONCE,
    EACH_SECONDS,
    EVERY_SECONDS,
    PAUSE_SECONDS,
    TURN_MS,
    Introduced,
    Introductions,
)
from core.model import Identity, Policy
from core.ports import SendFailed
from tests.integration.telegram_support import GROUP
from tests.support.cores import Core, a_core

THERE = "T0PARTNER"


@dataclass
class Slack:
    """Knows everybody. `failing`: what it says of people whose ids begin so; `takes`: seconds for each answer, by the
    clock; `silent`: it never answers.
    """

    clock: list[float]
    failing: dict[str, Exception] = field(default_factory=dict)
    takes: float = 0.0
    silent: bool = False
    asked: list[str] = field(default_factory=list)
    platform = "slack"

    async def introduced(self, user_id: str, chats: Collection[str]) -> Introduced | None:
        self.asked.append(user_id)
        self.clock[0] += self.takes
        if self.silent:
            await asyncio.Event().wait()
        for start, failure in self.failing.items():
            if user_id.startswith(start):
                raise failure
        return Introduced(Identity("slack", user_id, f"Name of {user_id}", team="T0HOME", verified=True))


async def naming(core: Core, *users: str) -> None:
    for start in range(0, len(users), 20):
        await core.ask(GROUP, policy=Policy(tuple(f"slack:{user}" for user in users[start : start + 20])))


def asking(core: Core, slack: Slack) -> Introductions:
    return Introductions(core.database, core.chat.people, slack, clock=lambda: slack.clock[0])


async def test_a_workspace_that_cannot_be_asked_keeps_no_other_waiting(sqlite_url: str) -> None:
    async with a_core(sqlite_url) as core:
        slack = Slack([0.0], {f"{THERE}/": SendFailed("the token of this workspace is being renewed")})
        await naming(core, f"{THERE}/UBEN", f"{THERE}/UCAT", "UADA")
        names = asking(core, slack)
        for _ in range(3):
            await names.round()
        assert sorted([f"{THERE}/UBEN", "UADA"]) == sorted(slack.asked), "and that one is left alone for a minute"

        slack.failing.clear()
        slack.clock[0] += PAUSE_SECONDS
        await names.round()
        assert {f"{THERE}/UBEN", f"{THERE}/UCAT", "UADA"} == {*slack.asked}


async def test_an_answer_that_nobody_understands_is_asked_for_once_and_the_others_have_their_turn(
    sqlite_url: str,
) -> None:
    async with a_core(sqlite_url) as core:
        slack = Slack([0.0], {"UADA": KeyError("user")})
        await naming(core, "UADA", "UBEN")
        names = asking(core, slack)
        with pytest.raises(KeyError):  # the loop that it runs in writes it down, and goes on
            await names.round()
        slack.clock[0] += EVERY_SECONDS
        await names.round()
        assert ["UADA", "UBEN"] == slack.asked
        slack.clock[0] += AGAIN_SECONDS
        with pytest.raises(KeyError):
            await names.round()


async def test_many_names_are_asked_for_at_a_pace_that_leaves_slack_to_people(sqlite_url: str) -> None:
    """Slack answers some 100 such questions a minute, those that hang on people's commands among them."""
    async with a_core(sqlite_url) as core:
        slack = Slack([0.0])
        await naming(core, *(f"U{number:03}" for number in range(200)))
        names = asking(core, slack)
        while slack.clock[0] < 60:
            slack.clock[0] += await names.round()
        assert 60 / EACH_SECONDS <= len(slack.asked) <= 60 / EACH_SECONDS + AT_ONCE <= 80


async def test_the_pace_is_that_of_all_processes_together(database_url: str) -> None:
    async with a_core(database_url) as core:
        slack, people = Slack([0.0]), [f"U{number:03}" for number in range(2 * AT_ONCE)]
        await naming(core, *people)
        first, second = asking(core, slack), asking(core, slack)
        for names in (first, second, first, second):
            await names.round()
        assert AT_ONCE == len(slack.asked)
        slack.clock[0] += TURN_MS / 1000  # the first is gone
        core.clock[0] += TURN_MS + 1
        await second.round()
        assert sorted(people) == sorted(slack.asked)


async def test_a_messenger_that_answers_slowly_holds_no_round_up(sqlite_url: str) -> None:
    """A loop that does not come round is a process that is not ready."""
    async with a_core(sqlite_url) as core:
        slack = Slack([0.0], takes=2.0)
        await naming(core, *(f"U{number:03}" for number in range(AT_ONCE)))
        await asking(core, slack).round()
        assert slack.clock[0] <= 8


async def test_a_messenger_that_does_not_answer_is_asked_again_in_a_minute(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(introductions, "ASK_SECONDS", 0.05)
    async with a_core(sqlite_url) as core:
        slack = Slack([0.0], silent=True)
        await naming(core, "UADA", "UBEN")
        names = asking(core, slack)
        async with asyncio.timeout(20):
            await names.round()
            await names.round()
        assert 1 == len(slack.asked)
        slack.silent, slack.clock[0] = False, PAUSE_SECONDS
        await names.round()
        assert {"UADA", "UBEN"} == {*slack.asked}
