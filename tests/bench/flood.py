"""A flood: many cases at once to one chat of the local Slack or Telegram, which enforces the published limits.

    python -m tests.bench.flood --cases 500 --messenger slack [--scale 5] [--cap 60] [--database URL]

While it lasts, some of its cases are answered (shown ones and waiting ones), and single cases go to other chats. It
prints how long it took, how often the platform answered 429, the longest that another chat waited, what became of the
digest, and whether every case has one correct card in the end. `--scale N` lets both sides' clocks run N times as fast.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from telegram import Bot

from adapters.slack import SlackSettings
from adapters.slack.messenger import SlackMessenger
from adapters.telegram import TelegramSettings
from adapters.telegram.messenger import TelegramMessenger
from bot.sandbox import Call, Sandbox
from core.access import Keys
from core.cards import Cards
from core.digests import Digests
from core.floods import DEFAULT_CAP
from core.gate import Gate
from core.hub import Hub
from core.ledger import open_database
from core.ledger.migrate import migrate
from core.model import Address, Draft, Identity, Opened, Origin, Principal
from core.notices import Notices
from core.outbox import OutboxWorker
from core.pacing import Pacer
from core.ports import Messenger
from core.replies import Reply
from core.sealing import KeyRing
from core.workers import CardWorker, DigestWorker, NoticeWorker
from tests.integration.slack_support import shown

Platform = Literal["slack", "telegram"]
FLOODED = {"slack": "C0APPROVE", "telegram": "-4001"}
OTHERS = {"slack": ("C0SHARED1", "U0REVIEW1"), "telegram": ("-1001000000001", "1002")}
PUBLIC_URL = "https://assent.example.com"
PROBE_SECONDS = 4.0
ANSWERED = 10  # every so many-th case is answered at once, while its card waits; as many once it is shown


@dataclass(slots=True)
class Figures:
    """What a flood came to, in seconds of the clock in force; `other_chats`: how long each of their cards took."""

    cases: int
    seconds: float = 0.0
    refused: int = 0
    other_chats: list[float] = field(default_factory=list)
    digests_posted: int = 0
    digests_redrawn: int = 0
    last_digest: str = ""
    correct: int = 0
    wrong: list[str] = field(default_factory=list)
    fastest_minute: int = 0


class Time:
    """A clock that runs `scale` times as fast as the real one, for the sandbox, the database and the workers alike."""

    by_hand = False

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale
        self._began = time.monotonic()
        self._wall = time.time()

    def monotonic(self) -> float:
        return (time.monotonic() - self._began) * self.scale

    def wall(self) -> float:
        return self._wall + self.monotonic()

    def ahead_ms(self) -> int:
        """Of the real clock."""
        return round((self.monotonic() - (time.monotonic() - self._began)) * 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.scale)


class HandTime(Time):
    """A clock that stands still while anything happens, so that a slow machine changes nothing."""

    by_hand = True

    def __init__(self) -> None:
        super().__init__()
        self._elapsed = 0.0

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        self._elapsed += seconds


class Flood:
    """One chat, one process (or several) of Assent, and what is asked there."""

    def __init__(self, platform: Platform, sandbox: Sandbox, clock: Time, cap: int, url: str) -> None:
        self.platform = platform
        self.sandbox = sandbox
        self.clock = clock
        self.cap = cap
        self.database = open_database(url, clock_offset=clock.ahead_ms)
        self.hub = Hub()
        self.ring = KeyRing(["a secret that seals in tests"])
        self.gate = Gate(self.database, self.hub, self.ring)
        self.cards = Cards(self.database, self.ring, PUBLIC_URL)
        self.notices = Notices(self.database, self.ring, PUBLIC_URL)
        self.digests = Digests(self.database, self.ring, PUBLIC_URL)
        self.workers: list[OutboxWorker[Any]] = []
        self.agent: Principal

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Flood]:
        async with AsyncExitStack() as stack:
            await self.database.start(self.hub)
            stack.push_async_callback(self.database.close)
            _, self.agent = await Keys(self.database, self.ring).create("agent", None)
            messenger = await stack.enter_async_context(self.messenger())
            await stack.enter_async_context(self._workers(messenger))
            yield self

    @asynccontextmanager
    async def messenger(self) -> AsyncIterator[Messenger]:
        if self.platform == "slack":
            app = self.sandbox.slack.app
            settings = SlackSettings(
                bot_token=app.bot_token, signing_secret=app.signing_secret, base_url=self.sandbox.slack.base_url
            )
            slack = SlackMessenger(settings)
            await slack.start()
            yield slack
            await slack.close()
        else:
            token, base_url = self.sandbox.telegram.token, self.sandbox.telegram.base_url
            async with Bot(token, base_url=f"{base_url}/bot") as bot:
                yield TelegramMessenger(bot, TelegramSettings(bot_token=token, base_url=base_url))

    @asynccontextmanager
    async def _workers(self, messenger: Messenger) -> AsyncIterator[None]:
        options: dict[str, Any] = {
            "pacer": Pacer(),
            "cap": self.cap,
            "clock": lambda: self.clock.monotonic() * 1000,
            "sleep": self.clock.sleep,
        }
        self.workers = [
            CardWorker(self.cards, messenger, self.hub, **options),
            NoticeWorker(self.notices, self.cards, messenger, self.hub, **options),
            DigestWorker(self.digests, self.cards, messenger, self.hub, **options),
        ]
        loops = [] if self.clock.by_hand else [asyncio.create_task(self._follow(worker)) for worker in self.workers]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            for worker in self.workers:
                await worker.drain(10)

    async def _follow(self, worker: OutboxWorker[Any]) -> None:
        with self.hub.subscribe(f"{worker.kind}s") as woken:
            while True:
                await woken.wait(await worker.round() / self.clock.scale)

    async def pass_time(self, seconds: float) -> None:
        """So much time passes, in which the workers do what there is to do."""
        if not self.clock.by_hand:
            await self.clock.sleep(seconds)
            return
        end = self.clock.monotonic() + seconds
        while True:
            for worker in self.workers:
                while await worker.work():
                    pass
            left = end - self.clock.monotonic()
            if left <= 0:
                return
            due = [await one.next_due(self.platform) for one in (self.cards, self.notices, self.digests)]
            await self.clock.sleep(min([left, *(max(ms, 10) / 1000 for ms in due if ms is not None)]))

    async def ask(self, prompt: str, channel: str) -> Opened:
        draft = Draft(
            type="approval",
            prompt=prompt,
            actions=("approve", "reject"),
            inline_actions=("approve", "reject"),
            notify=(Address(self.platform, channel),),
        )
        opened = await self.gate.open(self.agent, draft)
        assert isinstance(opened, Opened)
        return opened

    async def answer(self, opened: Opened) -> None:
        await self.gate.respond(
            Reply(
                case_id=opened.case.case_id,
                door="page",
                token=opened.review_token,
                action="approve",
                data={},
                identity=Identity("link", "holder"),
                via="review_page",
                origin=Origin.MANUAL,
            )
        )

    async def quiet(self) -> bool:
        """Whether every card is as it should be, and no digest stands."""
        waits = [await one.next_due(self.platform) for one in (self.cards, self.notices, self.digests)]
        return waits == [None, None, None]

    # What stands in the chats

    def texts(self, channel: str) -> list[tuple[str, bool]]:
        """Of every message: what it says, and whether it has buttons that decide."""
        if self.platform == "telegram":
            messages = self.sandbox.telegram.messages(channel)
            return [(one.text, "callback_data" in str(one.markup)) for one in messages]
        if channel.startswith("U"):
            channel = f"D{channel[1:]}"
        if channel not in self.sandbox.slack.world.channels:
            return []
        return [(shown(one), len(one.buttons()) > 1) for one in self.sandbox.slack.messages(channel)]

    def digest_calls(self, *, posted: bool) -> int:
        return sum("wait here" in str(call.params) or "are shown" in str(call.params) for call in self.sent(posted))

    def refused(self) -> int:
        return sum(call.status == 429 for call in self.sandbox.calls())

    def posted_at(self) -> list[float]:
        """When the new messages of the chat arrived."""
        return [
            call.at
            for call in self.sent()
            if str(call.params.get("channel", call.params.get("chat_id"))) == FLOODED[self.platform]
        ]

    def sent(self, posted: bool = True) -> list[Call]:
        """The platform's calls that have posted, or else redrawn, a message."""
        slack, telegram = ("chat.postMessage", "sendMessage") if posted else ("chat.update", "editMessageText")
        calls = self.sandbox.calls(slack if self.platform == "slack" else telegram)
        return [call for call in calls if call.outcome == "ok"]


async def measured(flood: Flood, cases: int) -> Figures:
    """Flood the chat, wait until every card is shown as its case stands, and count."""
    here, figures = FLOODED[flood.platform], Figures(cases)
    began = flood.clock.wall()
    opened = await asyncio.gather(*(flood.ask(f"Flood question {n:04}?", here) for n in range(cases)))
    answered = {one.case.case_id for one in random.Random(7).sample(opened, cases // ANSWERED)}
    for one in opened:
        if one.case.case_id in answered:
            await flood.answer(one)
    later = {n for n in range(0, cases, ANSWERED) if opened[n].case.case_id not in answered}
    while later or not await flood.quiet():
        await flood.pass_time(PROBE_SECONDS)
        figures.other_chats.append(await _probe(flood, len(figures.other_chats)))
        texts = flood.texts(here)
        for n in sorted(later):
            if any(f"Flood question {n:04}?" in text and buttons for text, buttons in texts):
                later.discard(n)
                answered.add(opened[n].case.case_id)
                await flood.answer(opened[n])
    figures.seconds = max(flood.posted_at()) - began
    _counted(
        flood, figures, [(f"Flood question {n:04}?", one.case.case_id in answered) for n, one in enumerate(opened)]
    )
    return figures


async def _probe(flood: Flood, number: int) -> float:
    """A case for another chat: how long until its card stands there."""
    channel = OTHERS[flood.platform][number % 2]
    prompt, began = f"Other question {number:04}?", flood.clock.monotonic()
    await flood.ask(prompt, channel)
    while not any(prompt in text for text, _ in flood.texts(channel)):
        await flood.pass_time(0.01)
    return (flood.clock.monotonic() - began) / flood.clock.scale


def _counted(flood: Flood, figures: Figures, expected: list[tuple[str, bool]]) -> None:
    texts = flood.texts(FLOODED[flood.platform])
    for prompt, answered in expected:
        cards = [(text, buttons) for text, buttons in texts if prompt in text and "wait here" not in text]
        right = len(cards) == 1 and ("Approved by" in cards[0][0]) is answered and cards[0][1] is not answered
        if right:
            figures.correct += 1
        else:
            figures.wrong.append(f"{prompt} {len(cards)} cards")
    figures.digests_posted = flood.digest_calls(posted=True)
    figures.digests_redrawn = flood.digest_calls(posted=False)
    figures.last_digest = next((text for text, _ in reversed(texts) if "are shown" in text or "wait here" in text), "")
    figures.refused = flood.refused()
    moments = flood.posted_at()
    figures.fastest_minute = max(sum(start <= at < start + 60 for at in moments) for start in moments)


async def spread(flood: Flood, cases: int, chats: int) -> Figures:
    """So many cases at once to so many chats, as many to each: how long until every card stands there."""
    names, figures = _new_chats(flood, chats), Figures(cases)
    began = flood.clock.wall()
    await asyncio.gather(*(flood.ask(f"Question {n:04}?", names[n % chats]) for n in range(cases)))
    while not await flood.quiet():
        await flood.pass_time(0.25)
    calls = flood.sent()
    figures.seconds, figures.refused = max(call.at for call in calls) - began, flood.refused()
    stand = [text for name in names for text, _ in flood.texts(name)]
    figures.correct = sum(sum(f"Question {n:04}?" in text for text in stand) == 1 for n in range(cases))
    figures.digests_posted = flood.digest_calls(posted=True)
    return figures


def _new_chats(flood: Flood, chats: int) -> list[str]:
    """Channels, or groups, that did not exist before."""
    if flood.platform == "slack":
        slack = flood.sandbox.slack.world
        names = [f"C0SPREAD{n:02}" for n in range(chats)]
        slack.open(*(replace(slack.approvals, id=name, name=name.lower()) for name in names))
        return names
    telegram = flood.sandbox.telegram.world
    ids = [-5_000 - n for n in range(chats)]
    telegram.chats.update({chat: replace(telegram.group, id=chat, title=f"Group {chat}") for chat in ids})
    return [str(chat) for chat in ids]


async def run(platform: Platform, cases: int, clock: Time, cap: int, url: str, *, chats: int, replicas: int) -> Figures:
    async with Sandbox.running(clock=clock) as sandbox, AsyncExitStack() as stack:
        floods = [Flood(platform, sandbox, clock, cap, url) for _ in range(replicas)]
        for one in floods:
            await stack.enter_async_context(one.running())
        return await (measured(floods[0], cases) if chats == 1 else spread(floods[0], cases, chats))


def main() -> None:
    parser = argparse.ArgumentParser(description="A flood of cases to one chat, at the platform's published limits.")
    parser.add_argument("--messenger", choices=("slack", "telegram"), default="slack")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--scale", type=float, default=1.0, help="how much faster than real time, up to about 10")
    parser.add_argument("--chats", type=int, default=1, help="spread the cases over so many chats instead")
    parser.add_argument("--replicas", type=int, default=1, help="processes' worth of workers (on PostgreSQL)")
    parser.add_argument("--by-hand", action="store_true", help="a clock that only passes while nothing happens")
    parser.add_argument("--cap", type=int, default=DEFAULT_CAP, help="new cards a minute: CARD_PUSHES_PER_MINUTE")
    parser.add_argument("--database", help="the URL of an empty database; default: a new SQLite file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.database or f"sqlite:///{Path(folder) / 'flood.db'}"
        migrate(url)
        clock = HandTime() if given.by_hand else Time(given.scale)
        shape = {"chats": given.chats, "replicas": given.replicas}
        work = run(given.messenger, given.cases, clock, given.cap, url, **shape)
        figures = asyncio.run(work)
    found = asdict(figures) | {
        "other_chats": len(figures.other_chats),
        "slowest_other": max(figures.other_chats, default=None),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
