"""What cards say and offer on both messengers: a case's own words on the buttons, its language, and no blind approval
where everything must have been seen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from bot.sandbox import Sandbox
from core.access import Keys
from core.guard.holder import Policies
from core.guard.rules import PolicySet
from core.guarded import GuardedTasks, WantedTask
from core.model import Address, Opened, Policy
from core.sources import Sources, Wanted
from core.states import Status
from core.views import Views
from tests.integration import slack_support, telegram_support
from tests.support.cores import RING, Core, a_core
from tests.support.databases import rows

SHIP_IT = {"approve": "Ship it", "reject": "Hold back"}
LONG = {
    "id": "plan",
    "type": "json",
    "label": "Plan",
    "content": {f"step {n}": "drain, deploy, check" for n in range(600)},
}
SHORT = {"id": "plan", "type": "json", "label": "Plan", "content": {"step": "deploy"}}
LAST_STEP = '"step 599"'


@dataclass(frozen=True, slots=True)
class Look:
    """A card as people see it."""

    text: str
    buttons: tuple[str, ...]


@dataclass
class OnSlack:
    core: Core
    sandbox: Sandbox
    here = slack_support.HERE
    reviewers = ("slack:U0REVIEW1",)
    others = ("slack:U0REVIEW2",)

    async def card(self) -> Look:
        message = await slack_support.card_in(self.sandbox)
        return Look(slack_support.shown(message), tuple(one["text"]["text"] for one in message.buttons()))

    async def closed(self) -> str:
        message = await slack_support.card_in(self.sandbox)
        return slack_support.shown(await slack_support.closed_card(self.sandbox, message))

    async def tap(self, label: str, user: str = "Reviewer One") -> None:
        message = await slack_support.card_in(self.sandbox)
        await self.sandbox.slack.tap(slack_support.APPROVALS, message.ts, label, user)

    async def forge(self, action: str, beside: str) -> None:
        message = await slack_support.card_in(self.sandbox)
        tap = self.sandbox.slack.prepare(slack_support.APPROVALS, message.ts, beside)
        payload = deepcopy(tap.payload)
        button = payload["actions"][0]
        button["action_id"] = f"assent:{action}"
        button["value"] = ":".join((*button["value"].split(":")[:2], action))
        tap.payload = payload
        await self.sandbox.slack.deliver(tap)

    async def told(self) -> str:
        return (await slack_support.told(self.sandbox, slack_support.REVIEWER))[-1]


@dataclass
class OnTelegram:
    core: Core
    sandbox: Sandbox
    here = Address("telegram", str(telegram_support.GROUP))
    reviewers = ("telegram:1002",)
    others = ("telegram:1003",)

    async def card(self) -> Look:
        message = await telegram_support.card_in(self.sandbox, telegram_support.GROUP)
        rows = message.markup["inline_keyboard"] if message.markup else []
        return Look(message.text, tuple(button["text"] for row in rows for button in row))

    async def closed(self) -> str:
        message = await telegram_support.card_in(self.sandbox, telegram_support.GROUP)
        return (await telegram_support.closed_card(self.sandbox, message)).text

    async def tap(self, label: str, user: str = "Reviewer One") -> None:
        message = await telegram_support.card_in(self.sandbox, telegram_support.GROUP)
        tap = await self.sandbox.telegram.tap(telegram_support.GROUP, message.message_id, label, user)
        await tap.answer()

    async def forge(self, action: str, beside: str) -> None:
        message = await telegram_support.card_in(self.sandbox, telegram_support.GROUP)
        assert message.markup is not None
        buttons = [one for row in message.markup["inline_keyboard"] for one in row]
        honest = next(one["callback_data"] for one in buttons if one["text"] == beside)
        data = ":".join((*honest.split(":")[:2], action))
        tap = await self.sandbox.telegram.tap(telegram_support.GROUP, message.message_id, "", data=data)
        await tap.answer()

    async def told(self) -> str:
        return await self.sandbox.until(lambda: next((one.text for one in self.sandbox.notices("1002")[::-1]), None))


Chat = OnSlack | OnTelegram


@pytest.fixture(params=["slack", "telegram"])
async def chat(request: pytest.FixtureRequest, sqlite_url: str) -> AsyncIterator[Chat]:
    async with Sandbox.running() as sandbox, a_core(sqlite_url) as core:
        if request.param == "slack":
            async with slack_support.connected(core, sandbox):
                yield OnSlack(core, sandbox)
        else:
            async with telegram_support.connected(core, sandbox):
                yield OnTelegram(core, sandbox)


async def ask(chat: Chat, **more: Any) -> Opened:
    return await chat.core.ask(notify=(chat.here,), **more)


async def careful_source(core: Core, **chat: Any) -> str:
    """A source whose cases must be seen whole, unless said otherwise."""
    sources = Sources(core.database, RING, core.hub)
    source = await sources.create(core.principal, name="careful")
    wanted = Wanted(chat={"require_full_review": True} | chat)
    await sources.change(core.principal.tenant_id, source.source_id, wanted)
    return source.source_id


async def status(core: Core, case_id: str) -> Status:
    return (await Views(core.database, RING).case(core.principal.tenant_id, case_id)).status


# --- words of the case's own


async def test_a_buttons_own_words_are_on_it_and_the_card_says_what_they_decided(chat: Chat) -> None:
    await ask(chat, labels=SHIP_IT)
    assert ("Ship it", "Hold back", "Review") == (await chat.card()).buttons
    await chat.tap("Ship it")
    assert "Approved (“Ship it”) by " in await chat.closed()
    (row,) = await chat.core.ledger()
    assert '{"action":"approve","data":{}}' == row["payload"]


async def test_a_late_tap_is_told_what_the_words_decided(chat: Chat) -> None:
    opened = await ask(chat, labels=SHIP_IT, policy=Policy(("channel", "link"), quorum=2))
    await chat.tap("Ship it")
    assert "Your vote is recorded: Approve (“Ship it”) 1 of 2 (" in await chat.told()
    assert Status.IN_PROGRESS == await status(chat.core, opened.case.case_id)


# --- languages


async def test_a_german_case_is_german_on_its_card_and_in_what_people_are_told(chat: Chat) -> None:
    await ask(chat, language="de", requested_by="Deploy-Agent", policy=Policy(chat.others), context={"neu": True})
    card = await chat.card()
    assert ("Freigeben", "Ablehnen", "Prüfen") == card.buttons
    for words in ("Freigabe erbeten", "Angefragt von", "Antwort bis ", "Uhr UTC", "Fingerabdruck ", "ja"):
        assert words in card.text
    for words in ("Approval", "Asked by", "Answer by", "Fingerprint", "yes"):
        assert words not in card.text
    await chat.tap("Freigeben")
    refusal = f"Sie gehören nicht zu den Prüfenden dieses Falls; entscheiden kann: {chat.others[0]}."
    assert refusal == await chat.told()
    await chat.tap("Ablehnen", "Reviewer Two")
    closed = await chat.closed()
    assert "Abgelehnt von " in closed
    assert f"Uhr UTC in {type(chat).__name__.removeprefix('On')}" in closed


async def test_a_case_has_the_language_of_its_source_unless_it_has_its_own(chat: Chat) -> None:
    source = await careful_source(chat.core, language="de")
    opened = await ask(chat, source_id=source)
    assert ("Freigeben", "Ablehnen", "Prüfen") == (await chat.card()).buttons
    english = await chat.core.ask(source_id=source, language="en", notify=())
    assert ("de", "en") == (opened.case.terms["language"], english.case.terms["language"])


# --- everything must have been seen


async def test_a_card_that_cannot_show_everything_offers_review_instead_of_a_blind_approval(
    chat: Chat,
) -> None:
    await ask(chat, source_id=await careful_source(chat.core), blocks=(LONG,))
    card = await chat.card()
    assert ("Reject", "Review") == card.buttons
    assert "so you can agree to it in Review only." in card.text
    assert LAST_STEP not in card.text
    await chat.tap("Reject")
    assert "Rejected by " in await chat.closed()


async def test_a_forged_approval_of_what_was_not_shown_whole_is_refused_and_audited(chat: Chat) -> None:
    opened = await ask(chat, source_id=await careful_source(chat.core, language="de"), blocks=(LONG,))
    await chat.forge("approve", beside="Ablehnen")
    assert "Diese Karte zeigt nicht alles" in await chat.told()
    assert [] == await chat.core.ledger()
    assert Status.PENDING == await status(chat.core, opened.case.case_id)
    events = await rows(chat.core.url, "SELECT data FROM case_events WHERE kind = 'refused'")
    assert "full_review_required" in events[0]["data"]


async def test_a_card_that_shows_everything_can_be_approved_at_once(chat: Chat) -> None:
    await ask(chat, source_id=await careful_source(chat.core), blocks=(SHORT,))
    assert ("Approve", "Reject", "Review") == (await chat.card()).buttons
    await chat.tap("Approve")
    assert "Approved by " in await chat.closed()


async def test_where_nobody_asks_for_it_a_cut_card_says_so_and_keeps_its_buttons(chat: Chat) -> None:
    await ask(chat, blocks=(LONG,))
    card = await chat.card()
    assert ("Approve", "Reject", "Review") == card.buttons
    assert "Open Review to see" in card.text
    await chat.tap("Approve")
    assert "Approved by " in await chat.closed()


async def test_a_guarded_operation_is_approved_in_a_chat_only_when_its_card_shows_all_of_it(
    chat: Chat,
) -> None:
    core = chat.core
    tasks = GuardedTasks(
        core.database,
        core.gate,
        Views(core.database, RING),
        Keys(core.database, RING),
        Sources(core.database, RING, core.hub),
        RING,
        core.hub,
        Policies(PolicySet()),  # what no rule knows needs a person
        "https://assent.example.com",
    )
    padded = {"command": "rm -rf /var/data", **{f"padding {n}": "harmless" for n in range(700)}}
    wanted = WantedTask("shell.run", padded, notify=(chat.here,))
    await tasks.open(core.principal, wanted, None, lambda task: task.task_id)
    card = await chat.card()
    assert ("Reject", "Review") == card.buttons
    await chat.forge("approve", beside="Reject")
    assert "This card does not show everything" in await chat.told()
    assert [] == await core.ledger()
    await chat.tap("Reject")
    assert "Rejected by " in await chat.closed()
