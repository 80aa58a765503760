"""A flood through the real SDKs, on platforms that enforce their published limits. Time passes by hand: nothing depends
on how fast the machine is. (`python -m tests.bench.flood` measures the same in real time.)
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from bot.sandbox import Sandbox
from core.digest_words import digest
from core.model import Address
from tests.bench.flood import FLOODED, Figures, Flood, HandTime, Platform, measured
from tests.conformance.messenger import MARKUP
from tests.support.cores import a_core

CASES = 50
PLATFORMS: tuple[Platform, ...] = ("slack", "telegram")


async def flooded(platform: Platform, url: str, *, cap: int, replicas: int = 1) -> Figures:
    clock = HandTime()
    async with Sandbox.running(clock=clock) as sandbox, AsyncExitStack() as stack:
        floods = [Flood(platform, sandbox, clock, cap, url) for _ in range(replicas)]
        for one in floods:
            await stack.enter_async_context(one.running())
        floods[0].workers = [worker for one in floods for worker in one.workers]
        return await measured(floods[0], CASES)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_flood_to_one_chat_is_capped_and_digested_and_every_case_ends_with_one_correct_card(
    platform: Platform, database_url: str
) -> None:
    figures = await flooded(platform, database_url, cap=20)

    assert (CASES, []) == (figures.correct, figures.wrong)
    assert 0 == figures.refused, "the platform had to say 429"
    assert figures.fastest_minute <= 20 + 1, "the cap, and the digest itself"
    assert max(figures.other_chats) < 2, "another chat waited"
    assert 1 == figures.digests_posted
    assert 3 < figures.digests_redrawn <= figures.seconds / 15 + 1
    assert "All questions that waited here are shown." in figures.last_digest


async def test_replicas_keep_one_pace_and_never_meet_429(postgres_url: str) -> None:
    figures = await flooded("slack", postgres_url, cap=60, replicas=2)

    assert (CASES, [], 0) == (figures.correct, figures.wrong, figures.refused)
    assert figures.seconds <= CASES * 1.1


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_nothing_in_a_digest_becomes_markup_and_any_length_arrives(platform: Platform, sqlite_url: str) -> None:
    here = Address(platform, FLOODED[platform])
    async with Sandbox.running() as sandbox, a_core(sqlite_url) as core, AsyncExitStack() as stack:
        flood = Flood(platform, sandbox, HandTime(), 20, sqlite_url)
        messenger = await stack.enter_async_context(flood.messenger())
        opened = await core.ask(prompt=MARKUP, notify=(here,))
        long = await core.ask(prompt="Why? & < > 🙂 " * 500, notify=(here,))
        link = "https://assent.example.com/en/hitl/review/r?token=" + "t" * 80
        urgent = [(opened.case, link), *[(long.case, "http://localhost:8080/" + "r" * 120)] * 9]
        said = digest(
            "digest:1", urgent, waiting=37, settled=1, a_minute=20, language="de", inbox_url="http://localhost:1/inbox"
        )
        message = await messenger.digest(here, said)
        assert message == await messenger.digest(here, said, message)
        ((shown, _),) = flood.texts(here.channel)
    assert MARKUP[:60] in shown
    for words in ("Hier warten noch 37 Fragen", "Sie folgen, höchstens 20 in der Minute", "1 davon hat sich erledigt"):
        assert words in shown


async def test_a_digest_of_unknown_whereabouts_is_found_on_slack(sqlite_url: str) -> None:
    here = Address("slack", FLOODED["slack"])
    one = digest("digest:1", [], waiting=5, settled=0, a_minute=20, language="en", inbox_url="https://a.example.com/i")
    async with (
        Sandbox.running() as sandbox,
        Flood("slack", sandbox, HandTime(), 20, sqlite_url).messenger() as messenger,
    ):
        message = await messenger.digest(here, one)
        assert message == await messenger.find(here, one)


async def test_what_was_settled_before_it_was_shown_arrives_silently_on_telegram(sqlite_url: str) -> None:
    clock = HandTime()
    async with (
        Sandbox.running(clock=clock) as sandbox,
        Flood("telegram", sandbox, clock, 20, sqlite_url).running() as flood,
    ):
        opened = await flood.ask("Settled?", "1002")
        await flood.answer(opened)
        await flood.ask("Open?", "1002")
        await flood.pass_time(5)
        silent = {call.params["text"][:15]: call.params.get("disable_notification") for call in flood.sent()}
    assert {True, False} == {str(value).lower() == "true" for value in silent.values()}
