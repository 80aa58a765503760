"""`/assent`: what waits for whoever types it, who they are, who answers for them. Everything is private."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from adapters.slack import SlackAdapter
from bot.sandbox import Fault, Forgery, Sandbox
from bot.sandbox.slack import Message
from core.model import Address, Identity, Policy
from core.schedule import HOUR, MINUTE
from core.sources import Sources
from tests.integration.slack_support import (
    APPROVALS,
    ON_SQLITE,
    OUTSIDER,
    REVIEWER,
    SHARED,
    STRANGER,
    TWO,
    UNJOINED,
    acknowledged,
    ask,
    card_in,
    closed_card,
    connected,
    shown,
)
from tests.support.chats import buttons, home_for, moments, parsed, texts, whispered
from tests.support.cores import RING, Core
from tests.support.databases import rows

ADA = Identity("telegram", "1002", "Ada", verified=True)


async def said(sandbox: Sandbox, text: str = "", user: str = REVIEWER, channel: str = APPROVALS) -> Message:
    """What `/assent <text>` is answered with, once it is."""
    before = len([one for one in sandbox.slack.messages(channel, user) if one.ephemeral_for])
    tap = await sandbox.slack.command(channel, "/assent", text, user)
    assert acknowledged(tap)

    def look() -> Message | None:
        found = [one for one in sandbox.slack.messages(channel, user) if one.ephemeral_for]
        return found[-1] if len(found) > before else None

    return await sandbox.until(look)


# What waits


@pytest.mark.usefixtures("slack")
async def test_assent_shows_my_waiting_cases_with_buttons_and_one_tap_there_decides(
    core: Core, sandbox: Sandbox
) -> None:
    source = await Sources(core.database, RING, core.hub).create(
        core.principal, name="Deployments", description=None, mode="PULL_ONLY", notify=(), policy=None
    )
    fields = {"requested_by": "deploy-agent", "metadata": {"risk_level": "high"}, "source_id": source.source_id}
    await ask(core, prompt="Deploy checkout?", **fields)
    card = await card_in(sandbox)
    listed = await said(sandbox, channel="C0ONCALL0")

    assert "Waiting for you: 1" == listed.text
    for words in (
        "Approval needed: Deploy checkout?",
        "From Deployments",
        "High risk",
        "Asked by: deploy-agent",
        "Answer by",
    ):
        assert words in shown(listed)
    assert ["Approve", "Reject", "Review"] == buttons(listed)
    assert listed.ephemeral_for == REVIEWER
    tap = await sandbox.slack.tap("C0ONCALL0", listed.ts, "Approve")

    assert acknowledged(tap)
    await closed_card(sandbox, card)
    assert "Approved by reviewer.one" in shown(card)
    (row,) = await core.ledger()
    assert "slack_block_action" == row["via"]
    after = await whispered(sandbox, "C0ONCALL0", REVIEWER, "Recorded: Approved.")
    assert "Nothing waits for you." in shown(after)
    assert after.ts == listed.ts, "the list itself says so"


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_what_waits_for_others_is_not_in_my_list(core: Core, sandbox: Sandbox) -> None:
    await ask(core, policy=Policy((f"slack:{TWO}",)))
    await ask(core, policy=Policy(("channel",)), prompt="In the channel?")
    await card_in(sandbox, number=2)

    assert "Waiting for you: 1" in shown(await said(sandbox))
    assert "Waiting for you: 2" in shown(await said(sandbox, user=TWO))
    assert "Nothing waits for you." == (await said(sandbox, user=OUTSIDER, channel=UNJOINED)).text


@pytest.mark.usefixtures("over_http")
async def test_a_tap_in_a_list_counts_for_the_channel_of_the_card_only_while_one_is_in_it(
    core: Core, sandbox: Sandbox
) -> None:
    """The list stands in another channel: Slack is asked whether they are in the card's."""
    await ask(core, policy=Policy(("channel",)))
    card = await card_in(sandbox)
    world = sandbox.slack.world
    listed = await said(sandbox, channel="C0ONCALL0")
    core.chat.directories._remembered.clear()  # a minute later
    world.approvals.members.remove(REVIEWER)
    await sandbox.slack.tap("C0ONCALL0", listed.ts, "Approve")
    await whispered(sandbox, "C0ONCALL0", REVIEWER, "You are not one of the reviewers")

    assert [] == await core.ledger()
    assert {"Approve", "Reject"} <= set(buttons(card))


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_list_answers_for_whichever_chat_of_the_case_one_is_in(core: Core, sandbox: Sandbox) -> None:
    sandbox.slack.world.approvals.members.remove(REVIEWER)
    await ask(core, APPROVALS, SHARED, policy=Policy(("channel",)))
    card = await card_in(sandbox, SHARED)
    listed = await said(sandbox, channel="C0ONCALL0")
    await sandbox.slack.tap("C0ONCALL0", listed.ts, "Approve")

    await closed_card(sandbox, card)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_case_with_a_link_only_has_the_link_in_the_list(core: Core, sandbox: Sandbox) -> None:
    fields = {"type": "input", "actions": ("submit",), "inline_actions": (), "prompt": "Which cost centre?"}
    await ask(core, **fields)
    await card_in(sandbox)

    assert ["Review"] == buttons(await said(sandbox))


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_list_says_when_there_is_more_to_see_and_what_must_be_seen_whole_is_not_approved_there(
    core: Core, sandbox: Sandbox
) -> None:
    await ask(core, message="The migration takes no lock. " * 30, chat={"require_full_review": True})
    await card_in(sandbox)
    listed = await said(sandbox)

    assert "There is more to see: open Review." in shown(listed)
    assert ["Reject", "Review"] == buttons(listed)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_long_list_is_cut_and_says_how_many_more_there_are(core: Core, sandbox: Sandbox) -> None:
    for number in range(13):
        await ask(core, prompt=f"Question {number}? " + "& < > ä 🙂 " * 120, timeout_ms=86_400_000 + number * 1000)
    listed = await said(sandbox)

    assert "Waiting for you: 13" in shown(listed)
    assert buttons(listed).count("Approve") <= 10
    assert f"And {13 - buttons(listed).count('Approve')} more" in shown(listed)
    assert "Question 0?" in shown(listed), "the most urgent first"
    assert "Open the inbox" in buttons(listed)
    assert "/inbox/enter?code=" in str(listed.blocks)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_nothing_that_an_agent_writes_becomes_markup_in_a_list(core: Core, sandbox: Sandbox) -> None:
    await ask(core, prompt="<!channel> *bold* <https://evil.example|click>")
    await card_in(sandbox)
    listed = await said(sandbox)

    assert "<!channel> *bold* <https://evil.example|click>" in shown(listed)
    assert ["Answer by"] == parsed(listed.blocks)
    assert "<!channel>" not in listed.text


@pytest.mark.usefixtures("over_http")
async def test_history_shows_what_was_decided_by_whom_and_when(core: Core, sandbox: Sandbox) -> None:
    assert "There is nothing to look back on yet." == (await said(sandbox, "history")).text
    await ask(core, prompt="Deploy checkout?")
    card = await card_in(sandbox)
    await sandbox.slack.tap(APPROVALS, card.ts, "Reject")
    await closed_card(sandbox, card)
    past = shown(await said(sandbox, "history"))

    assert "Deploy checkout?" in past
    assert "Rejected by reviewer.one" in past


@pytest.mark.usefixtures("over_http")
async def test_inbox_gives_a_link_that_signs_in_once(core: Core, sandbox: Sandbox) -> None:
    answer = await said(sandbox, "inbox")
    (url,) = [element["url"] for block in answer.blocks for element in block.get("elements", []) if "url" in element]
    code = url.partition("code=")[2]

    assert "Give it to nobody" in shown(answer)
    assert url.startswith("https://assent.example.com/en/")
    session = await core.chat.sessions.enter(code)
    assert f"slack:T0SANDBOX:{REVIEWER}" == session.identity.key
    assert code not in str(await rows(core.url, "SELECT * FROM codes")), "only its hash is kept"


# Who somebody is


@pytest.mark.usefixtures("over_http")
async def test_whoami_says_who_one_is_here_and_what_is_linked(core: Core, sandbox: Sandbox) -> None:
    alone = shown(await said(sandbox, "whoami"))
    assert f"You are reviewer.one (slack:{REVIEWER})." in alone
    assert "Nobody else is linked to you." in alone

    here = Identity("slack", REVIEWER, "reviewer.one", team="T0SANDBOX", verified=True)
    await core.chat.people.link(here, await core.chat.people.link_code(ADA))
    assert "Also you: Ada (telegram:1002)" in shown(await said(sandbox, "whoami"))


@pytest.mark.usefixtures("slack")
async def test_a_code_of_the_other_messenger_links_after_one_has_seen_whose_it_is(core: Core, sandbox: Sandbox) -> None:
    code = await core.chat.people.link_code(ADA)
    asked = await said(sandbox, f"link {code.lower()}")

    assert "This code was made by Ada (telegram:1002) on Telegram. Is that you?" in shown(asked)
    assert "they could decide in your name" in shown(asked)
    assert 1 == len(await core.chat.people.linked(ADA)), "nothing is linked before the answer"
    await sandbox.slack.tap(APPROVALS, asked.ts, "Yes, that is me")
    done = await whispered(sandbox, APPROVALS, REVIEWER, "Done: you are one person now.")

    assert done.ts == asked.ts, "its buttons are gone"
    assert {"telegram:1002", f"slack:{REVIEWER}"} == {one.address for one in await core.chat.people.linked(ADA)}


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_whoever_says_no_to_a_code_is_linked_to_nobody(core: Core, sandbox: Sandbox) -> None:
    code = await core.chat.people.link_code(ADA)
    asked = await said(sandbox, f"link {code}")
    await sandbox.slack.tap(APPROVALS, asked.ts, "No")
    await whispered(sandbox, APPROVALS, REVIEWER, "Nothing was linked.")

    assert 1 == len(await core.chat.people.linked(ADA))


@pytest.mark.usefixtures("over_http")
async def test_link_makes_a_code_and_says_where_to_enter_it(core: Core, sandbox: Sandbox) -> None:
    words = shown(await said(sandbox, "link"))
    code = words.partition("Your code is ")[2][:8]

    assert f"/link {code}" in words
    assert "Give it to nobody" in words
    assert f"slack:{REVIEWER}" == (await core.chat.people.look_at_code(ADA, code)).address


# Standing in


@pytest.mark.usefixtures("slack")
async def test_away_names_who_answers_and_the_ledger_keeps_both_names(core: Core, sandbox: Sandbox) -> None:
    await ask(core, policy=Policy((f"slack:{REVIEWER}",)))
    card = await card_in(sandbox)
    answer = await said(sandbox, "away until 3d to @Reviewer Two")

    assert "Where you are named, reviewer.two answers" in shown(answer)
    direct = sandbox.slack.direct_message("Reviewer Two")
    asked = await sandbox.until(lambda: sandbox.slack.messages(direct))
    assert "has asked you to answer where reviewer.one is named" in shown(asked[0])
    assert "You answer for reviewer.one, who is away." not in shown(await said(sandbox))
    assert "You answer for reviewer.one, who is away." in shown(await said(sandbox, user=TWO))
    await sandbox.slack.tap(APPROVALS, card.ts, "Approve", "Reviewer Two")
    await closed_card(sandbox, card)

    (row,) = await core.ledger()
    assert TWO in row["replier"]
    assert '"on_behalf_of"' in row["replier"]
    assert REVIEWER in row["replier"]


@pytest.mark.usefixtures("over_http")
async def test_back_ends_it_and_whoami_says_who_stands_in_for_whom(sandbox: Sandbox) -> None:
    await said(sandbox, "away until 3d to @Reviewer Two")

    assert "reviewer.two answers where you are named" in shown(await said(sandbox, "whoami"))
    assert "you answer where reviewer.one is named" in shown(await said(sandbox, "whoami", user=TWO))
    assert "Welcome back." in shown(await said(sandbox, "back"))
    assert "You are not away." == (await said(sandbox, "back")).text
    assert "answers where you" not in shown(await said(sandbox, "whoami"))


WRONG = (
    ("away until 3d to @Reviewer One", "You cannot stand in for yourself"),
    ("away until 3d to @Stranger", "stranger is not of this workspace"),
    ("away until 3d to @assent", "assent is no person"),
    ("away until 3d to @nobody", "Name the person who shall answer for you"),
    ("away until the cows come home to @Reviewer Two", "I do not understand when “the cows come home” is."),
    ("away until 2020-01-01 to @Reviewer Two", "is in the past"),
    ("away until 2099-01-01 to @Reviewer Two", "is too far away"),
    ("away", "Write it like this: /assent away until friday"),
    ("frob<&>nicate it", "I do not know the command “frob<&>nicate”."),
    ("link WRNGCDEF", "This code is wrong, was used, or is older"),
    ("link nonsense!", "That is no code."),
)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_what_cannot_be_done_is_explained_in_private(core: Core, sandbox: Sandbox) -> None:
    for typed, words in WRONG:
        assert words.casefold() in shown(await said(sandbox, typed)).casefold(), typed
    assert [] == await rows(core.url, "SELECT * FROM delegations")


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_moments_are_read_by_the_clock_of_whoever_writes_them(
    core: Core, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sandbox.slack.world.Person.wire", _nine_hours_ahead)
    await said(sandbox, "away until tomorrow 09:00 to @Reviewer Two")
    (row,) = await rows(core.url, "SELECT until FROM delegations")

    assert 0 == datetime.fromtimestamp(row["until"] / 1000, UTC).hour


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_times_are_told_by_the_clocks_of_whoever_asks_and_say_so(core: Core, sandbox: Sandbox) -> None:
    world = sandbox.slack.world
    world.people[REVIEWER] = replace(world.people[REVIEWER], tz="Asia/Tokyo")
    told = await said(sandbox, "away until tomorrow 18:00 to @Reviewer Two")
    assert ", 18:00 (Asia/Tokyo). Where you are named" in shown(told)
    (row,) = await rows(core.url, "SELECT until FROM delegations")
    assert 9 == datetime.fromtimestamp(row["until"] / 1000, UTC).hour
    direct = sandbox.slack.direct_message("Reviewer Two")
    asked = await sandbox.until(lambda: sandbox.slack.messages(direct))
    assert ", 09:00 UTC and has asked you" in shown(asked[0])
    whoami = await said(sandbox, "whoami")
    assert ", 18:00 (Asia/Tokyo) reviewer.two answers" in shown(whoami)
    assert [[row["until"] // 1000]] * 3 == [moments(one.blocks) for one in (told, asked[0], whoami)]
    await core.ask(policy=Policy((f"slack:{REVIEWER}",)), timeout_ms=HOUR)
    waiting = await said(sandbox)
    assert "(Asia/Tokyo)" in shown(waiting)
    core.clock[0] += 2 * HOUR
    await core.gate.expire_due()
    past = await said(sandbox, "history")
    assert "(Asia/Tokyo)" in shown(past)
    assert (1, 1) == (len(moments(waiting.blocks)), len(moments(past.blocks)))
    person = Identity("slack", REVIEWER, team="T0SANDBOX", verified=True)
    assert "Asia/Tokyo" == str(await core.chat.zone_of(person)), "and is remembered for the other messenger"


@pytest.mark.usefixtures("slack")
async def test_the_history_is_turned_page_by_page_in_the_place_of_the_one_that_is_shown(
    core: Core, sandbox: Sandbox
) -> None:
    prompts = {f"Case {n:02}?" for n in range(12)}
    for prompt in sorted(prompts):
        await core.ask(prompt=prompt, policy=Policy((f"slack:{REVIEWER}",)), timeout_ms=MINUTE)
    core.clock[0] += 2 * MINUTE
    await core.gate.expire_due()
    past = await said(sandbox, "history")
    first = cases_in(past)
    assert (10, ["Older"]) == (len(first), buttons(past))
    await sandbox.slack.tap(APPROVALS, past.ts, "Older")
    await sandbox.until(lambda: ["Newer"] == buttons(past))
    assert (prompts - first, REVIEWER) == (cases_in(past), past.ephemeral_for)
    await sandbox.slack.tap(APPROVALS, past.ts, "Newer")
    await sandbox.until(lambda: first == cases_in(past))


def cases_in(message: Message) -> set[str]:
    return set(re.findall(r"Case \d\d\?", shown(message)))


def _nine_hours_ahead(person: object, home_team: str) -> dict[str, object]:
    fields = ("id", "name", "team_id", "is_bot")
    return {name: getattr(person, name) for name in fields} | {"tz_offset": 9 * 3600}


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_answers_are_in_the_language_of_whoever_asks(
    core: Core, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sandbox.slack.world.Person.wire", _german)
    await ask(core)
    await card_in(sandbox)

    assert "Auf Sie warten: 1" in shown(await said(sandbox))
    assert "Sie sind reviewer.one" in shown(await said(sandbox, "whoami"))
    assert "Den Befehl „was“ kenne ich nicht." in shown(await said(sandbox, "was ist los"))
    assert "Nennen Sie jemand anderen" in shown(await said(sandbox, "abwesend bis 3d an @Reviewer One"))
    assert "/de/inbox/enter?code=" in str((await said(sandbox, "inbox")).blocks)
    await sandbox.slack.open_home(REVIEWER)
    await home_for(sandbox, REVIEWER, "Auf Sie warten: 1")


def _german(person: object, home_team: str) -> dict[str, object]:
    return _nine_hours_ahead(person, home_team) | {"locale": "de-DE"}


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_help_lists_every_command(sandbox: Sandbox) -> None:
    words = shown(await said(sandbox, "help"))

    for command in ("history", "whoami", "link CODE", "away until", "back", "inbox"):
        assert f"/assent {command}" in words


# Who may, and what goes wrong


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_stranger_of_a_shared_channel_is_told_nothing(core: Core, sandbox: Sandbox) -> None:
    await ask(core, SHARED)
    for typed in ("", "whoami", "link", "inbox", "away until 3d to @Reviewer One"):
        answer = await said(sandbox, typed, user=STRANGER, channel=SHARED)
        assert "This is for members of this workspace." == answer.text, typed

    assert [] == await rows(core.url, "SELECT * FROM identities")
    assert [] == await rows(core.url, "SELECT * FROM codes")


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_forged_command_is_refused(sandbox: Sandbox) -> None:
    tap = await sandbox.slack.command(APPROVALS, "/assent", "whoami")
    await whispered(sandbox, APPROVALS, REVIEWER, "You are")
    told = len(sandbox.notices())
    for forgery in (Forgery.WRONG_SECRET, Forgery.STALE, Forgery.NO_SIGNATURE):
        await sandbox.slack.deliver(tap, forgery=forgery)
        assert 401 == tap.status

    assert told == len(sandbox.notices())


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_a_command_that_is_delivered_twice_is_answered_once(sandbox: Sandbox, over_http: SlackAdapter) -> None:
    tap = await sandbox.slack.command(APPROVALS, "/assent", "link")
    await sandbox.slack.deliver(tap)
    await over_http.stop(5)

    assert 1 == len(sandbox.notices(REVIEWER))


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_where_the_bot_is_not_and_the_response_url_fails_the_answer_comes_as_a_direct_message(
    sandbox: Sandbox,
) -> None:
    sandbox.faults.next("response_url", Fault.platform_error("expired_url", 404))
    await sandbox.slack.command(UNJOINED, "/assent", "whoami")
    direct = sandbox.slack.direct_message("Reviewer One")
    (answer,) = await sandbox.until(lambda: sandbox.slack.messages(direct))

    assert "You are reviewer.one" in shown(answer)


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_without_the_permission_to_see_people_the_words_say_what_is_missing(sandbox: Sandbox) -> None:
    sandbox.slack.app.scopes = "chat:write,commands,im:write"

    assert "users:read" in (await said(sandbox)).text


@pytest.mark.usefixtures("slack")
async def test_a_command_is_acknowledged_within_a_second_while_the_database_stalls(
    core: Core, sandbox: Sandbox
) -> None:
    async with core.stalled() as end:
        tap = await sandbox.slack.command(APPROVALS, "/assent", "link")
        assert acknowledged(tap)
        assert [] == sandbox.notices()
        await end()
    assert "Your code is" in (await whispered(sandbox, APPROVALS, REVIEWER)).text


@ON_SQLITE
async def test_commands_under_way_are_answered_before_the_process_ends(core: Core, sandbox: Sandbox) -> None:
    async with connected(core, sandbox), core.stalled(1.0):
        await sandbox.slack.command(APPROVALS, "/assent", "link")
    assert 1 == len(sandbox.notices(REVIEWER))


@pytest.mark.usefixtures("over_http")
@ON_SQLITE
async def test_cards_of_a_direct_message_can_be_answered_from_the_list(core: Core, sandbox: Sandbox) -> None:
    await core.ask(notify=(Address("slack", REVIEWER),), policy=Policy(("channel",)))
    direct = sandbox.slack.direct_message("Reviewer One")
    card = await card_in(sandbox, direct.id)
    listed = await said(sandbox)
    await sandbox.slack.tap(APPROVALS, listed.ts, "Approve")

    await closed_card(sandbox, card)
    assert "Approved by reviewer.one" in "\n".join(texts(card.blocks))
