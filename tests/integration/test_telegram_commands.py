"""What people write to the bot on Telegram, through the real SDK, and what they are answered."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.sandbox import Fault, Sandbox
from bot.sandbox.telegram import Message
from core.errors import InvalidToken
from core.model import Identity, Policy
from core.people import CODE_MS
from core.schedule import HOUR, MINUTE
from tests.integration.telegram_support import FORUM, GROUP, PRIVATE, SUPERGROUP, Scene, a_scene, connected
from tests.support.chats import bot_said, buttons
from tests.support.cores import a_core
from tests.support.databases import rows

NEWCOMER, OTHER = 1006, 1003
ONE = Identity("telegram", "1002", "Reviewer One", verified=True)
TWO = Identity("telegram", "1003", "Reviewer Two", verified=True)
ADA = Identity("slack", "UADA", "Ada <b>", team="T0HOME", verified=True)


@pytest.fixture
async def scene(sqlite_url: str) -> AsyncIterator[Scene]:
    async with a_scene(sqlite_url) as found:
        yield found


def german(scene: Scene, user: str) -> None:
    world = scene.sandbox.telegram.world
    person = world.person(user)
    world.people[person.id] = spoken = replace(person, language="de")
    world.chats[person.id].with_person = spoken


# --- who and where ---


async def test_start_remembers_the_person_so_that_others_can_name_them(scene: Scene) -> None:
    scene.sandbox.telegram.start("Newcomer")
    told = await bot_said(scene.sandbox, NEWCOMER, "telegram:1006")
    assert "Your name in a list of reviewers is the same." in told.text
    assert (await scene.core.chat.people.by_username("telegram", "@Newcomer")) is not None


async def test_start_in_a_topic_says_its_address(scene: Scene) -> None:
    scene.sandbox.telegram.say(FORUM, "/start", thread_id=7)
    told = await bot_said(scene.sandbox, FORUM, f"telegram:{FORUM}/7")
    assert 7 == told.thread_id


async def test_help_lists_every_command(scene: Scene) -> None:
    told = await scene.command("/help")
    for name in ("inbox", "history", "whoami", "link", "away", "back", "web", "help", "start"):
        assert f"/{name}: " in told.text


async def test_commands_are_offered_in_english_and_german(scene: Scene) -> None:
    world = scene.sandbox.telegram.world
    await scene.sandbox.until(lambda: len(world.commands) >= 3)
    person = world.person("Reviewer One")
    english = {one["command"]: one["description"] for one in world.commands_of(world.private, person)}
    spoken = {
        one["command"]: one["description"] for one in world.commands_of(world.private, replace(person, language="de"))
    }
    assert "what waits for you, with buttons" == english["inbox"]
    assert "was auf Sie wartet, mit Schaltflächen" == spoken["inbox"]
    assert english.keys() == spoken.keys()


async def test_that_commands_cannot_be_offered_keeps_nobody_from_using_them(sqlite_url: str) -> None:
    async with Sandbox.running(rate_limits=False) as sandbox, a_core(sqlite_url) as core:
        sandbox.faults.next("setMyCommands", Fault.server_error(500), times=9)
        async with connected(core, sandbox) as adapter:
            assert "/inbox: " in (await Scene(core, sandbox, adapter).command("/help")).text


async def test_answers_are_in_the_language_of_whoever_asks(scene: Scene) -> None:
    german(scene, "Reviewer One")
    assert "Nichts wartet auf Sie." == (await scene.command("/inbox")).text
    assert "Nothing waits for you." == (await scene.command("/inbox", OTHER, "Reviewer Two")).text


@pytest.mark.parametrize("text", ["/inbox", "/whoami", "/away until friday to @reviewer_one", "/web", "/link"])
async def test_an_anonymous_admin_is_nobody(scene: Scene, text: str) -> None:
    scene.sandbox.telegram.say(SUPERGROUP, text, "GroupAnonymousBot")
    assert "I can answer people only" in (await bot_said(scene.sandbox, SUPERGROUP)).text
    assert [] == await rows(scene.core.url, "SELECT * FROM identities")


async def test_a_channel_is_nobody(scene: Scene) -> None:
    telegram = scene.sandbox.telegram
    message = telegram.world.say(telegram.world.supergroup, telegram.world.requester, "/web", _command("/web"))
    message.extra = {"sender_chat": {"id": -1001000000077, "type": "channel", "title": "News"}}
    telegram.updates.add("message", telegram.world.wire(message))
    assert "I can answer people only" in (await bot_said(scene.sandbox, SUPERGROUP)).text


async def test_an_edited_command_is_not_a_command(scene: Scene) -> None:
    telegram = scene.sandbox.telegram
    message = telegram.world.say(telegram.world.private, telegram.world.reviewer_one, "/web", _command("/web"))
    for kind in ("edited_message", "channel_post", "edited_channel_post"):  # sent though nobody asked for them
        await telegram.updates.send_again(telegram.updates.numbered(kind, telegram.world.wire(message)))
    assert "/inbox: " in (await scene.command("/help")).text
    assert 1 == len(scene.said(PRIVATE))


async def test_a_command_for_another_bot_is_not_ours(scene: Scene) -> None:
    telegram = scene.sandbox.telegram
    message = telegram.world.say(telegram.world.group, telegram.world.reviewer_one, "/web@other_bot", [])
    message.entities = _command("/web@other_bot")
    telegram.updates.add("message", telegram.world.wire(message))
    await scene.command("/help", GROUP)
    assert 1 == len(scene.said(GROUP))
    assert [] == scene.said(PRIVATE)


async def test_what_a_group_asks_is_answered_in_private(scene: Scene) -> None:
    await scene.core.ask(GROUP, prompt="Pay 4,000 euros?", policy=Policy(("telegram:1002",)))
    cards = len(scene.said(GROUP))
    scene.sandbox.telegram.say(GROUP, "/inbox@assent_sandbox_bot")
    told = await bot_said(scene.sandbox, PRIVATE, "Waiting for you: 1")
    assert "Pay 4,000 euros?" in told.text
    await scene.sandbox.until(lambda: len(scene.said(GROUP)) > cards or None)
    assert not [one for one in scene.said(GROUP) if "Waiting" in one.text]


async def test_who_cannot_be_written_to_gets_a_link_to_the_private_chat_and_no_list(scene: Scene) -> None:
    scene.sandbox.telegram.world.group.members[NEWCOMER] = "member"
    told = await scene.command("/inbox", GROUP, "Newcomer")
    assert "I answer this in our private chat, where only you can see it." == told.text
    tap = await scene.sandbox.telegram.tap(GROUP, told.message_id, "Open the private chat", "Newcomer")
    assert "https://t.me/assent_sandbox_bot?start=inbox" == tap.url
    scene.sandbox.telegram.follow(tap.url, "Newcomer")
    assert "Nothing waits for you." == (await bot_said(scene.sandbox, NEWCOMER)).text


async def test_a_command_that_was_not_confirmed_before_a_crash_is_answered_when_it_comes_again(scene: Scene) -> None:
    await scene.command("/whoami")
    update = scene.sandbox.telegram.updates.numbered("message", _said_by(scene, "/whoami"))
    for told in (1, 2):
        await scene.sandbox.telegram.updates.send_again(update)
        await scene.next(PRIVATE, told)


async def test_an_answer_that_the_chat_has_no_room_for_comes_a_little_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    scene.sandbox.faults.next("sendMessage", Fault.rate_limited(retry_after=1))
    assert "/inbox: " in (await scene.command("/help")).text


async def test_a_command_while_the_database_is_away_is_answered_in_words(sqlite_url: str) -> None:
    async with a_scene(sqlite_url, webhook=True) as scene:
        await scene.core.database.close()
        assert "something that it needs cannot be reached" in (await scene.command("/whoami")).text


async def test_what_is_no_command_is_answered_with_what_there_is(scene: Scene) -> None:
    assert "I do not know the command “/frobnicate”." in (await scene.command("/frobnicate now")).text
    assert "reply to my question" in (await scene.command("What is this?", OTHER, "Reviewer Two")).text


async def test_a_command_with_an_effect_is_answered_in_the_group_where_it_can_be_answered_nowhere_else(
    scene: Scene,
) -> None:
    scene.sandbox.telegram.world.group.members[NEWCOMER] = "member"
    await scene.command("/start", OTHER, "Reviewer Two")
    told = await scene.command("/away until friday to @reviewer_two", GROUP, "Newcomer")
    assert "You are away until" in told.text
    assert "You answer for yourself again." in (await scene.command("/back", GROUP, "Newcomer", "Welcome back")).text
    code = await scene.core.chat.people.link_code(ADA)
    told = await scene.command(f"/link {code}", GROUP, "Newcomer", "Do not write codes")
    assert code not in told.text


# --- who am I ---


async def test_whoami_says_who_somebody_is_and_who_answers_for_whom(scene: Scene) -> None:
    people = scene.core.chat.people
    code = await people.link_code(ADA)
    await people.link(ONE, code)
    await scene.command("/start", OTHER, "Reviewer Two")
    await scene.command("/away until 2099-01-01 to @reviewer_two")
    await scene.command("/away until tomorrow to @reviewer_two")
    told = await scene.command("/whoami", says="You are")
    assert "You are Reviewer One (telegram:1002)." in told.text
    assert "Also you: Ada <b> (slack:UADA)" in told.text
    assert "Reviewer Two answers where you are named." in told.text
    other = await scene.command("/whoami", OTHER, "Reviewer Two", says="You are Reviewer Two")
    assert "you answer where Reviewer One is named." in other.text


# --- linking ---


async def test_a_code_made_here_is_entered_on_slack(scene: Scene) -> None:
    told = await scene.command("/link", says="Your code is")
    code = re.search(r"Your code is (\w{8})\.", told.text)
    assert code is not None
    assert f"/assent link {code[1]}" in told.text
    assert "may decide whatever you may" in told.text
    linked = await scene.core.chat.people.link(ADA, code[1])
    assert ["slack:T0HOME:UADA", "telegram:1002"] == [one.key for one in linked]


async def test_a_code_is_confirmed_under_the_name_of_whoever_made_it(scene: Scene) -> None:
    code = await scene.core.chat.people.link_code(ADA)
    asked = await scene.command(f"/link {code.lower()}")
    assert "This code was made by Ada <b> (slack:UADA) on Slack. Is that you?" in asked.text
    assert "you may decide under both names" in asked.text
    assert asked.markup is not None
    assert code not in str(asked.markup)  # nothing secret in a button
    assert 1 == len(await scene.core.chat.people.linked(ONE))
    await scene.press(asked, "Yes, that is me")
    await scene.sandbox.until(lambda: "Done: you are one person now." in asked.text)
    assert [] == buttons(asked)
    assert {"telegram:1002", "slack:T0HOME:UADA"} == {one.key for one in await scene.core.chat.people.linked(ONE)}


async def test_who_is_not_asked_about_themselves_links_nothing_and_the_code_is_spent(scene: Scene) -> None:
    people = scene.core.chat.people
    code = await people.link_code(ADA)
    asked = await scene.command(f"/link {code}")
    await scene.press(asked, "No")
    await scene.sandbox.until(lambda: "Nothing was linked." == asked.text)
    assert "wrong, was used" in (await scene.command(f"/link {code}")).text


async def test_a_link_that_is_confirmed_twice_is_one_link(scene: Scene) -> None:
    code = await scene.core.chat.people.link_code(ADA)
    asked = await scene.command(f"/link {code}")
    tap = await scene.sandbox.telegram.tap(PRIVATE, asked.message_id, "Yes, that is me")
    await scene.sandbox.until(lambda: "Done" in asked.text)
    done = asked.text
    calls = len(scene.sandbox.calls("editMessageText"))
    await scene.sandbox.telegram.deliver(tap)
    await scene.sandbox.until(lambda: len(scene.sandbox.calls("editMessageText")) > calls)
    assert done == asked.text


async def test_a_code_in_a_group_counts_no_more(scene: Scene) -> None:
    people = scene.core.chat.people
    code = await people.link_code(ADA)
    scene.sandbox.telegram.say(GROUP, f"/link {code}")
    await bot_said(scene.sandbox, PRIVATE, "Do not write codes where others read them.")
    assert "wrong, was used" in (await scene.command(f"/link {code}", OTHER, "Reviewer Two")).text


async def test_a_wrong_code_links_nothing_and_five_are_enough(scene: Scene) -> None:
    for _ in range(5):
        told = await scene.command("/link AAAABBBB", says="This code")
        scene.sandbox.telegram.world.messages.remove(told)
    code = await scene.core.chat.people.link_code(ADA)
    assert "Too many wrong codes" in (await scene.command(f"/link {code}")).text
    assert "That is no code." in (await scene.command("/link my-secret-password")).text


async def test_a_code_that_ran_out_meanwhile_links_nothing(scene: Scene) -> None:
    code = await scene.core.chat.people.link_code(ADA)
    asked = await scene.command(f"/link {code}")
    scene.core.clock[0] += CODE_MS + 1
    await scene.press(asked, "Yes, that is me")
    await scene.sandbox.until(lambda: "older than ten minutes" in asked.text)
    assert 1 == len(await scene.core.chat.people.linked(ONE))


async def test_a_confirmation_that_somebody_else_presses_links_nothing(scene: Scene) -> None:
    code = await scene.core.chat.people.link_code(ADA)
    asked = await scene.command(f"/link {code}")
    await scene.sandbox.telegram.tap(PRIVATE, asked.message_id, "Yes, that is me", "Reviewer Two")
    await scene.command("/whoami", OTHER, "Reviewer Two")
    assert 1 == len(await scene.core.chat.people.linked(TWO))
    assert 1 == len(await scene.core.chat.people.linked(ONE))


# --- standing in ---


async def test_somebody_else_answers_and_the_ledger_keeps_both_names(scene: Scene) -> None:
    await scene.command("/start", OTHER, "Reviewer Two")
    told = await scene.command("/away until 3d to @Reviewer_Two")
    assert "Where you are named, Reviewer Two answers" in told.text
    assert "To end this: /back" in told.text
    await bot_said(scene.sandbox, OTHER, "Reviewer One is away until")
    await scene.core.ask(GROUP, policy=Policy(("telegram:1002",)))
    card = await bot_said(scene.sandbox, GROUP, "Deploy")
    assert "Recorded: Approved." == (await scene.press(card, "Approve", "Reviewer Two")).text
    [row] = await scene.core.ledger()
    assert '"Reviewer Two"' in row["replier"]
    assert '"on_behalf_of"' in row["replier"]
    assert '"1002"' in row["replier"]
    assert "You answer for yourself again." in (await scene.command("/back")).text
    assert "You are not away." == (await scene.command("/back")).text


async def test_who_has_no_username_is_named_by_a_mention(scene: Scene) -> None:
    scene.sandbox.telegram.say(SUPERGROUP, "/away until friday 17:00 to @Nameless", "Reviewer One")
    await bot_said(scene.sandbox, PRIVATE, "Nameless answers")
    [row] = await rows(scene.core.url, "SELECT taker FROM delegations")
    assert "telegram:1007" == row["taker"]


async def test_who_has_let_a_username_go_is_not_named_by_it_any_more(scene: Scene) -> None:
    await scene.command("/start", OTHER, "Reviewer Two")
    world = scene.sandbox.telegram.world
    renamed = replace(world.person("Reviewer Two"), username="somebody_else")
    world.people[OTHER] = renamed
    world.chats[OTHER].with_person = renamed
    assert (
        "I know nobody called @\u2060reviewer_two" in (await scene.command("/away until friday to @reviewer_two")).text
    )
    scene.sandbox.faults.next("getChat", Fault.server_error(502))
    assert "Please try again" in (await scene.command("/away until friday to @reviewer_two", says="Please")).text
    assert [] == await rows(scene.core.url, "SELECT * FROM delegations")


async def test_who_wrote_the_message_that_is_replied_to_is_named_by_it(scene: Scene) -> None:
    telegram = scene.sandbox.telegram
    theirs = telegram.say(GROUP, "I can do it", "Reviewer Two")
    telegram.reply(theirs, "/away until friday", "Reviewer One")
    await bot_said(scene.sandbox, PRIVATE, "Reviewer Two answers")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("/away", "Write it like this"),
        ("/away until friday", "Write it like this"),
        ("/away until friday to @nobody_here", "I know nobody called @\u2060nobody_here"),
        ("/away until friday to Ada", "I know nobody called Ada"),
        ("/away until <b>soon</b> to @reviewer_two", "I do not understand when “<b>soon</b>” is."),
        ("/away until 2001-01-01 to @reviewer_two", "is in the past"),
        ("/away until 2099-01-01 to @reviewer_two", "too far away"),
        ("/away until friday to @reviewer_one", "you cannot stand in for yourself"),
    ],
)
async def test_who_cannot_be_away_so_is_told_how(scene: Scene, text: str, says: str) -> None:
    await scene.command("/start", OTHER, "Reviewer Two")
    assert says in (await scene.command(text)).text
    assert [] == await rows(scene.core.url, "SELECT * FROM delegations")


async def test_a_bot_stands_in_for_nobody(scene: Scene) -> None:
    card = await scene.command("/help", GROUP)
    scene.sandbox.telegram.reply(card, "/away until friday", "Reviewer One")
    await bot_said(scene.sandbox, PRIVATE, "Assent is no person")
    assert [] == await rows(scene.core.url, "SELECT * FROM delegations")


async def test_in_a_topic_nobody_is_named_by_where_the_command_stands(scene: Scene) -> None:
    scene.sandbox.telegram.say(FORUM, "/away until friday", "Reviewer One", thread_id=7)
    await bot_said(scene.sandbox, PRIVATE, "Write it like this")


# --- the web ---


async def test_web_gives_a_link_that_signs_in_once_and_only_in_private(scene: Scene) -> None:
    scene.sandbox.telegram.say(GROUP, "/web", "Reviewer One")
    told = await bot_said(scene.sandbox, PRIVATE, "https://assent.example.com/en/inbox/enter?code=")
    assert "This link signs you in, once, within ten minutes." in told.text
    assert {"is_disabled": True} == told.link_preview
    code = told.text.rpartition("code=")[2]
    session = await scene.core.chat.sessions.enter(code)
    assert ("telegram:1002", True) == (session.identity.key, session.identity.verified)
    with pytest.raises(InvalidToken):
        await scene.core.chat.sessions.enter(code)
    assert [] == scene.said(GROUP)


# --- history ---


async def test_history_shows_what_was_decided_by_whom(scene: Scene) -> None:
    assert "There is nothing to look back on yet." == (await scene.command("/history")).text
    await scene.core.ask(GROUP, prompt="Send <b>4,200</b> letters & more?")
    card = await bot_said(scene.sandbox, GROUP, "letters")
    await scene.press(card, "Approve", "Reviewer Two")
    told = await scene.command("/history", says="Decided lately")
    assert "Send <b>4,200</b> letters & more?\nApproved by Reviewer Two" in told.text
    assert [] == buttons(told)


async def decided(scene: Scene, count: int) -> set[str]:
    """So many cases that Reviewer One could have answered; what was asked in each."""
    prompts = [f"Case {n:02}?" for n in range(count)]
    for prompt in prompts:
        await scene.core.ask(prompt=prompt, policy=Policy(("telegram:1002",)), timeout_ms=MINUTE)
    scene.core.clock[0] += 2 * MINUTE
    await scene.core.gate.expire_due()
    return set(prompts)


def cases_in(message: Message) -> set[str]:
    return set(re.findall(r"Case \d\d\?", message.text))


async def test_the_history_is_turned_page_by_page_in_the_message_that_shows_it(scene: Scene) -> None:
    everything = await decided(scene, 23)
    told = await scene.command("/history", says="Decided lately")
    first = cases_in(told)
    assert (10, ["Older"]) == (len(first), buttons(told))
    await scene.press(told, "Older")
    await scene.sandbox.until(lambda: ["Newer", "Older"] == buttons(told))
    second = cases_in(told)
    await scene.press(told, "Older")
    await scene.sandbox.until(lambda: ["Newer"] == buttons(told))
    assert (everything, 23) == (first | second | cases_in(told), len(first) + len(second) + len(cases_in(told)))
    await scene.press(told, "Newer")
    await scene.sandbox.until(lambda: second == cases_in(told))
    await scene.press(told, "Newer")
    await scene.sandbox.until(lambda: first == cases_in(told))
    assert (["Older"], 1) == (buttons(told), len(scene.said(PRIVATE)))


async def test_a_place_in_the_history_that_somebody_made_up_is_the_first_page(scene: Scene) -> None:
    await decided(scene, 12)
    told = await scene.command("/history", says="Decided lately")
    first = cases_in(told)
    for data in ("h:o:1.review_nobodys", "h:n:", "h:o:x", "h:x"):
        await scene.press(told, "Older")
        await scene.sandbox.until(lambda: ["Newer"] == buttons(told))
        await scene.press(told, "Newer", data=data)
        await scene.sandbox.until(lambda: first == cases_in(told))


async def test_nobody_turns_the_pages_of_somebody_else(scene: Scene) -> None:
    await decided(scene, 12)
    told = await scene.command("/history", says="Decided lately")
    before = told.text
    await scene.sandbox.telegram.tap(PRIVATE, told.message_id, "Older", "Reviewer Two")
    await scene.command("/whoami", OTHER, "Reviewer Two")  # by now that is over
    assert before == told.text


async def test_the_pages_of_the_history_are_turned_in_german(scene: Scene) -> None:
    german(scene, "Reviewer One")
    await decided(scene, 12)
    told = await scene.command("/history", says="Zuletzt entschieden")
    assert ["Ältere"] == buttons(told)
    await scene.press(told, "Ältere")
    await scene.sandbox.until(lambda: ["Neuere"] == buttons(told))


# --- by whose clocks ---


async def away_until(scene: Scene) -> datetime:
    (row,) = await rows(scene.core.url, "SELECT until FROM delegations")
    return datetime.fromtimestamp(row["until"] / 1000, UTC)


async def test_times_are_by_the_clocks_of_whoever_slack_knows_to_be_elsewhere(scene: Scene) -> None:
    people = scene.core.chat.people
    await people.link(ONE, await people.link_code(ADA))
    await people.seen(ADA, zone="Asia/Tokyo")
    await scene.command("/start", OTHER, "Reviewer Two")
    told = await scene.command("/away until tomorrow 18:00 to @reviewer_two")
    assert ", 18:00 (Asia/Tokyo). Where you are named" in told.text
    until = int((await away_until(scene)).timestamp())
    assert [until] == times(told), "which the app shows by its own clocks"
    assert 9 == (await away_until(scene)).hour
    whoami = await scene.command("/whoami", says="You are Rev")
    assert ", 18:00 (Asia/Tokyo) Reviewer Two answers" in whoami.text
    assert [until] == times(whoami)
    assert [until] == times(await bot_said(scene.sandbox, OTHER, ", 09:00 UTC and has asked you"))
    await scene.core.ask(policy=Policy(("telegram:1002",)), timeout_ms=HOUR)
    waiting = await scene.command("/inbox", says="Waiting for you: 1")
    assert "(Asia/Tokyo)" in waiting.text
    scene.core.clock[0] += 2 * HOUR
    await scene.core.gate.expire_due()
    past = await scene.command("/history", says="Decided lately")
    assert "(Asia/Tokyo)" in past.text
    assert (1, 1) == (len(times(waiting)), len(times(past)))


def times(message: Message) -> list[int]:
    """The times that the app shows by the clocks of whoever reads, in seconds since 1970."""
    return [entity["unix_time"] for entity in message.entities if entity["type"] == "date_time"]


async def test_times_of_whom_nobody_knows_where_they_are_go_by_the_installations_clocks(sqlite_url: str) -> None:
    async with Sandbox.running(rate_limits=False) as sandbox, a_core(sqlite_url) as core:
        core.chat = replace(core.chat, zone=ZoneInfo("Europe/Berlin"))
        async with connected(core, sandbox) as adapter:
            scene = Scene(core, sandbox, adapter)
            await scene.command("/start", OTHER, "Reviewer Two")
            told = await scene.command("/away until tomorrow 18:00 to @reviewer_two")
            assert ", 18:00 (Europe/Berlin). Where you are named" in told.text
            local = (await away_until(scene)).astimezone(ZoneInfo("Europe/Berlin"))
            assert (18, 0) == (local.hour, local.minute)


async def test_where_nothing_is_said_of_clocks_times_are_in_utc_and_say_so(scene: Scene) -> None:
    await scene.command("/start", OTHER, "Reviewer Two")
    told = await scene.command("/away until tomorrow 18:00 to @reviewer_two")
    assert ", 18:00 UTC. Where you are named" in told.text
    assert 18 == (await away_until(scene)).hour


def _command(text: str) -> list[dict[str, Any]]:
    return [{"type": "bot_command", "offset": 0, "length": len(text)}]


def _said_by(scene: Scene, text: str) -> dict[str, Any]:
    world = scene.sandbox.telegram.world
    message = world.say(world.private, world.reviewer_one, text, _command(text))
    wire: dict[str, Any] = world.wire(message)
    return wire
