"""What people are called who never wrote to the bot: their messenger is asked beside everything else, and cards,
refusals and pages say it the next time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace

import pytest

from adapters.slack import SlackAdapter
from bot.sandbox import Fault, Sandbox
from core.codes import CodeDesk
from core.errors import NotAReviewer
from core.groups import Groups
from core.introductions import AGAIN_SECONDS, AT_ONCE, EACH_SECONDS, PAUSE_SECONDS, Introduced, Introductions
from core.ledger import Tx
from core.model import Identity, Policy
from core.names import LONGEST, described
from core.people import People
from core.ports import SendFailed
from core.reminders import Reminders
from core.schedule import HOUR
from tests.integration.slack_support import ON_SQLITE, REVIEWER, STRANGER, TWO
from tests.integration.telegram_support import GROUP, Scene, a_scene
from tests.support.chats import bot_said
from tests.support.cores import Core, a_core
from tests.support.databases import eventually, rows
from tests.support.gates import world

NAMED = Policy(("telegram:1002", "telegram:1003"))


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    async with a_scene(sqlite_url, notices=True) as found:
        yield found


@dataclass
class Book:
    """A messenger that knows these people. `failing`: what it says instead."""

    people: dict[str, Identity]
    platform: str = "slack"
    zone: str | None = "Europe/Berlin"
    asked: list[str] = field(default_factory=list)
    failing: SendFailed | None = None

    async def introduced(self, user_id: str, chats: Collection[str]) -> Introduced | None:
        self.asked.append(user_id)
        if self.failing is not None:
            raise self.failing
        found = self.people.get(user_id)
        return None if found is None else Introduced(found, self.zone)


def ada(name: str | None = "Ada") -> Identity:
    return Identity("slack", "UADA", name, team="T0HOME", verified=True)


def asking(core: Core, book: Book, clock: list[float] | None = None) -> Introductions:
    return Introductions(core.database, core.chat.people, book, clock=lambda: clock[0] if clock else 0.0)


async def names(core: Core, *entries: str) -> dict[str, str]:
    async def body(tx: Tx) -> dict[str, str]:
        return await described(tx, entries)

    return await core.database.read(body)


# --- on Telegram ---


async def test_who_never_wrote_to_the_bot_is_called_by_name_once_telegram_has_said_it(scene: Scene) -> None:
    await scene.core.ask(GROUP, policy=NAMED, timeout="24h", timeout_ms=24 * HOUR)
    card = await bot_said(scene.sandbox, GROUP, "Fingerprint")
    before = await scene.press(card, "Approve", "Outsider")
    assert "telegram:1002 or telegram:1003" in before.text

    await Introductions(scene.core.database, scene.core.chat.people, scene.adapter.directory).round()
    told = await scene.press(card, "Approve", "Outsider")
    assert "Reviewer One (Telegram) or Reviewer Two (Telegram)" in told.text

    async def posted() -> bool:
        return bool(await rows(scene.core.url, "SELECT 1 FROM cards WHERE message IS NOT NULL"))

    await eventually(posted)
    scene.core.clock[0] += 12 * HOUR
    await Reminders(scene.core.database, scene.core.hub).remind_due()
    reminder = await bot_said(scene.sandbox, GROUP, "Reminder")
    assert "For Reviewer One, Reviewer Two" in reminder.text
    assert [1002, 1003] == [one["user"]["id"] for one in reminder.entities if one["type"] == "text_mention"]


async def test_names_are_asked_of_telegram_beside_the_answers_and_not_for_them(scene: Scene) -> None:
    await scene.core.ask(GROUP, policy=NAMED)
    card = await bot_said(scene.sandbox, GROUP, "Fingerprint")
    await scene.press(card, "Approve", "Outsider")
    await scene.press(card, "Approve", "Reviewer One")
    assert [] == [*scene.sandbox.calls("getChatMember"), *scene.sandbox.calls("getChat")]


async def test_whoever_is_in_no_chat_of_the_case_is_known_by_their_own_with_the_bot(scene: Scene) -> None:
    await scene.core.ask(1002, policy=Policy(("telegram:1002", "telegram:999")))
    await Introductions(scene.core.database, scene.core.chat.people, scene.adapter.directory).round()
    assert {"telegram:1002": "Reviewer One (Telegram)"} == await names(scene.core, "telegram:1002", "telegram:999")


async def test_members_of_groups_are_known_by_name_as_well(scene: Scene) -> None:
    await Groups(scene.core.database).put(scene.core.principal.tenant_id, "finance", ("telegram:1003",))
    await scene.core.ask(GROUP, policy=Policy(("group:finance",)))
    await Introductions(scene.core.database, scene.core.chat.people, scene.adapter.directory).round()
    assert {"telegram:1003": "Reviewer Two (Telegram)"} == await names(scene.core, "telegram:1003")


# --- on Slack ---


@ON_SQLITE
async def test_who_never_wrote_to_the_bot_is_called_by_name_once_slack_has_said_it(
    core: Core, sandbox: Sandbox, over_http: SlackAdapter
) -> None:
    world = sandbox.slack.world
    world.people[REVIEWER] = replace(world.people[REVIEWER], tz="Europe/Berlin")
    await core.ask(GROUP, policy=Policy((f"slack:{REVIEWER}", f"slack:{TWO}", f"slack:{STRANGER}", "slack:U0NOBODY")))
    await Introductions(core.database, core.chat.people, over_http.directory).round()
    found = await names(core, f"slack:{REVIEWER}", f"slack:{TWO}", f"slack:{STRANGER}")
    assert {f"slack:{REVIEWER}": "reviewer.one (Slack)", f"slack:{TWO}": "reviewer.two (Slack)"} == found, (
        "strangers of a shared channel are nobody's reviewers"
    )
    kept = {row["user_id"]: row["zone"] for row in await rows(core.url, "SELECT user_id, zone FROM identities")}
    assert {REVIEWER: "Europe/Berlin", TWO: "Etc/UTC"} == kept


@ON_SQLITE
async def test_slack_is_not_asked_again_while_it_wants_a_pause(
    core: Core, sandbox: Sandbox, over_http: SlackAdapter
) -> None:
    sandbox.faults.next("users.info", Fault.rate_limited(30))
    await core.ask(GROUP, policy=Policy((f"slack:{REVIEWER}", f"slack:{TWO}")))
    asking = Introductions(core.database, core.chat.people, over_http.directory)
    for _ in range(3):
        await asking.round()
    assert 1 == len(sandbox.calls("users.info"))


# --- what is kept ---


async def test_whoever_was_here_meanwhile_is_called_what_they_said_themselves(sqlite_url: str) -> None:
    async with a_core(sqlite_url) as core:
        people = core.chat.people
        await people.seen(ada("Ada of today"))
        await people.heard_of(ada("Ada of yesterday"), None, asked_at=0)
        assert {"slack:UADA": "Ada of today (Slack)"} == await names(core, "slack:UADA")
        core.clock[0] += HOUR
        (row,) = await rows(core.url, "SELECT seen_at FROM identities")
        await people.heard_of(ada("Ada of tomorrow"), None, asked_at=row["seen_at"] + 1)
        assert {"slack:UADA": "Ada of tomorrow (Slack)"} == await names(core, "slack:UADA")


async def test_each_is_asked_for_once_and_who_is_not_known_again_in_an_hour(database_url: str) -> None:
    async with a_core(database_url) as core:
        clock, book = [0.0], Book({"UADA": ada()})
        await core.ask(GROUP, policy=Policy(("slack:UADA", "slack:UBEN", "slack:S0GROUP", "channel", "telegram:1")))
        finder = asking(core, book, clock)
        for _ in range(3):
            await finder.round()
        assert ["UADA", "UBEN"] == book.asked
        clock[0] += AGAIN_SECONDS + 1
        book.people["UBEN"] = replace(ada("Ben"), user_id="UBEN")
        await finder.round()
        assert ["UADA", "UBEN", "UBEN"] == book.asked
        assert {"slack:UADA": "Ada (Slack)", "slack:UBEN": "Ben (Slack)"} == await names(
            core, "slack:UADA", "slack:UBEN"
        )


async def test_a_messenger_that_cannot_be_asked_is_left_alone_for_a_minute(sqlite_url: str) -> None:
    async with a_core(sqlite_url) as core:
        clock, book = [0.0], Book({"UADA": ada()}, failing=SendFailed("away"))
        await core.ask(GROUP, policy=Policy(("slack:UADA", "slack:UBEN")))
        finder = asking(core, book, clock)
        for _ in range(3):
            await finder.round()
        assert ["UADA"] == book.asked
        book.failing, clock[0] = None, PAUSE_SECONDS
        await finder.round()
        assert {"slack:UADA": "Ada (Slack)"} == await names(core, "slack:UADA")


async def test_however_many_people_are_named_each_has_their_turn(sqlite_url: str) -> None:
    async with a_core(sqlite_url) as core:
        many = [f"U{n:03}" for n in range(2 * AT_ONCE + 5)]
        book = Book({one: replace(ada(one), user_id=one) for one in many[::2]})
        for start in range(0, len(many), 20):
            named = tuple(f"slack:{one}" for one in many[start : start + 20])
            await core.ask(GROUP, policy=Policy(named))
        clock = [0.0]
        finder = asking(core, book, clock)
        for _ in range(3):
            await finder.round()
            clock[0] += AT_ONCE * EACH_SECONDS
        assert sorted(many) == sorted(book.asked)
        assert len(many[::2]) == len(await names(core, *(f"slack:{one}" for one in many)))


async def test_nobody_who_has_left_and_nobody_of_elsewhere_is_kept(sqlite_url: str) -> None:
    async with a_core(sqlite_url) as core:
        await core.chat.people.remove("slack:UADA")
        book = Book({"UADA": ada(), "UEVE": replace(ada("Eve"), user_id="UEVE", foreign=True)})
        await core.ask(GROUP, policy=Policy(("slack:UADA", "slack:UEVE")))
        await asking(core, book).round()
        assert ["UADA", "UEVE"] == book.asked
        assert [] == await rows(core.url, "SELECT * FROM identities")


async def test_a_name_can_hide_nothing_and_is_no_longer_than_a_name(sqlite_url: str) -> None:
    async with a_core(sqlite_url) as core:
        for user, name in (("UADA", "Ada\u202eevE\n\x07"), ("UBEN", "B" * 500), ("UEVE", " \n ")):
            await core.chat.people.seen(replace(ada(name), user_id=user))
        found = await names(core, "slack:UADA", "slack:UBEN", "slack:UEVE")
        assert "Ada[U+202E]evE [U+0007] (Slack)" == found["slack:UADA"]
        assert LONGEST + len(" (Slack)") == len(found["slack:UBEN"])
        assert "slack:UEVE" not in found, "the address says more"


async def test_a_name_that_was_heard_of_is_no_voice(database_url: str) -> None:
    async with world(database_url) as here:
        people, book = People(here.database, CodeDesk(here.database)), Book({"UADA": ada()})
        opened = await here.open(policy=Policy(("slack:UADA",)))
        await Introductions(here.database, people, book).round()
        namesake = Identity("slack", "UEVE", "Ada", team="T0HOME", verified=True)
        with pytest.raises(NotAReviewer, match=r"it can be decided by Ada \(Slack\)"):
            await here.answer(opened, by=namesake)
        assert (await here.answer(opened, by=ada())).case.result is not None
