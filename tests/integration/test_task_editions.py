"""Editions of a task's blocks: cards, pages and the ledger follow them; what showed an older one approves nothing."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from core.errors import ContentChanged, InvalidInput, Settled
from core.model import Opened, Policy, Principal
from core.review_tasks import ReviewTasks
from core.states import Status
from core.taps import Tap
from tests.support.gates import World, reply, reviewer, slack
from tests.support.review_page import Desk, browser, desk, form_of, link_of, path_of, words_of

BLOCKS = (
    {
        "id": "body",
        "label": "Body",
        "type": "markdown",
        "content": "One.\nTwo.\n",
        "editable": True,
        "render_hints": {},
    },
    {"id": "limits", "label": "Limits", "type": "json", "content": {"on": True}, "editable": True, "render_hints": {}},
)
CHOICE = {
    "type": "choice",
    "options": [
        {
            "id": "short",
            "label": "Make it short",
            "description": None,
            "patches": [{"block_id": "body", "op": "replace", "path": "", "value": "Only this.\n"}],
        },
        {"id": "as-is", "label": "Leave it", "description": None, "patches": []},
    ],
}


def a_task(**changes: Any) -> dict[str, Any]:
    return {
        "preview": None,
        "service": {"id": "mail", "name": "Mail", "icon": "✉️"},
        "source_service": None,
        "action": {"type": "send", "verb": "Send"},
        "risk_level": "high",
        "risk_warning": "It cannot be taken back.",
        "priority": "HIGH",
        "interaction_schema": None,
        "deny_reasons": [],
    } | changes


async def _open(here: World, **changes: Any) -> Opened:
    defaults: dict[str, Any] = {"blocks": BLOCKS, "actions": ("approve", "reject"), "task": a_task()}
    return await here.open(**defaults | changes)


def _tasks(here: World) -> ReviewTasks:
    return ReviewTasks(here.database, here.gate, here.hub)


async def _editor(here: World) -> Principal:
    _, principal = await here.keys.create("reviewer", here.agent.tenant_id)
    return principal


async def _edit(here: World, opened: Opened, **contents: Any) -> None:
    case = await here.views.case(here.agent.tenant_id, opened.case.case_id)
    await _tasks(here).edit(await _editor(here), opened.case.case_id, contents, {case.edition})


async def _show(here: World) -> int:
    """Draw the card that waits; the edition that it shows."""
    (claimed,) = await here.cards.claim("slack", 10)
    assert await here.cards.shown(claimed, "m1")
    return claimed.card.edition


async def _tap(here: World, opened: Opened, edition: int, action: str = "approve") -> str | None:
    card = await here.row("cards", "case_id = :c", c=opened.case.case_id)
    by = reviewer(1)
    answer = await here.taps.tap(
        Tap("slack", card["card_id"], action, by, "C1", "slack_block_action", f"d-{edition}-{action}", edition=edition)
    )
    return answer.text


# --- cards


async def test_a_card_says_what_is_at_stake(here: World) -> None:
    await _open(here, notify=(slack(),))
    (claimed,) = await here.cards.claim("slack", 10)
    assert {
        "Risk": "⚠️ High", "Warning": "It cannot be taken back.", "Priority": "High", "Action": "Send",
        "Service": "✉️ Mail",
    } == dict(claimed.card.facts)  # fmt: skip


async def test_an_edit_redraws_the_card_and_older_buttons_approve_nothing(here: World) -> None:
    opened = await _open(here, notify=(slack(),))
    assert 0 == await _show(here)
    await _edit(here, opened, body="Send all the money.\n")
    assert "out of date" in str(await _tap(here, opened, 0)), "the card is not redrawn yet"
    assert 1 == await _show(here)
    card = await here.row("cards", "case_id = :c", c=opened.case.case_id)
    stands = await here.views.case(here.agent.tenant_id, opened.case.case_id)
    assert stands.content_digest == card["shown_digest"] != opened.case.content_digest
    assert "out of date" in str(await _tap(here, opened, 0)), "an older picture of the redrawn card"
    assert Status.PENDING == (await here.views.case(here.agent.tenant_id, opened.case.case_id)).status
    assert 1 == await _show(here)
    assert "Recorded" in str(await _tap(here, opened, 1))
    row = await here.row("human_interactions", "case_id = :c", c=opened.case.case_id)
    assert stands.content_digest == row["content_digest"]


async def test_the_card_shows_the_edition_and_says_that_it_is_one(here: World) -> None:
    opened = await _open(here, notify=(slack(),))
    await _edit(here, opened, body="Changed.\n", limits={"on": False})
    (claimed,) = await here.cards.claim("slack", 10)
    assert ["Changed.\n", '{\n  "on": false\n}'] == [one.text for one in claimed.card.body]
    assert "Edited" in dict(claimed.card.facts)


# --- the ledger


async def test_the_ledger_and_the_event_agree_with_the_edition(here: World) -> None:
    edited, untouched, back = [await _open(here) for _ in range(3)]
    await _edit(here, edited, body="One.\n2.\n")
    await _edit(here, edited, limits={"on": False})
    await _edit(here, back, body="Other.\n")
    await _edit(here, back, body="One.\nTwo.\n")
    for opened in (edited, untouched, back):
        case = await here.views.case(here.agent.tenant_id, opened.case.case_id)
        await here.answer(opened, content_digest=case.content_digest)
    await here.seal()
    assert [] == await here.findings()
    events = {row["case_id"]: json.loads(row["body"]) for row in await here.rows("decision_events")}
    event = events[edited.case.case_id]
    assert ["One.\nTwo.\n", {"on": True}] == [block["content"] for block in event["original"]]
    assert ["One.\n2.\n", {"on": False}] == [block["content"] for block in event["final"]]
    assert (1, 1) == (len(event["diff"]["text_diffs"]), len(event["diff"]["json_patches"]))
    for opened in (untouched, back):
        event = events[opened.case.case_id]
        assert event["original"] == event["final"]
        assert {"text_diffs": [], "json_patches": []} == event["diff"]
        assert opened.case.content_digest == event["content_digest"]


async def test_an_edition_that_is_changed_behind_the_gate_shows(on_sqlite: World) -> None:
    opened = await _open(on_sqlite)
    await _edit(on_sqlite, opened, body="Edited.\n")
    case = await on_sqlite.views.case(on_sqlite.agent.tenant_id, opened.case.case_id)
    await on_sqlite.answer(opened, content_digest=case.content_digest)
    assert [] == await on_sqlite.findings()
    await on_sqlite.execute("UPDATE cases SET working = replace(working, 'Edited', 'Forged')")
    assert ["the content is not the one that was agreed to"] == [one.detail for one in await on_sqlite.findings()]


async def test_true_is_not_one(here: World) -> None:
    opened = await _open(here)
    await here.answer(opened, door="page", blocks={"limits": {"on": 1}})
    event = json.loads((await here.row("decision_events"))["body"])
    assert {"on": 1} == event["final"][1]["content"]
    assert [{"op": "replace", "path": "/on", "value": 1}] == event["diff"]["json_patches"][0]["patch"]


async def test_a_deadline_decides_about_what_stands(here: World) -> None:
    opened = await _open(here, default_action="approve")
    await _edit(here, opened, body="Edited.\n")
    here.clock.forward(opened.case.expires_at - opened.case.created_at)
    assert 1 == await here.gate.expire_due()
    event = json.loads((await here.row("decision_events"))["body"])
    assert ("APPROVE", True, "Edited.\n") == (
        event["decision"]["type"], event["decision"]["timed_out"], event["final"][0]["content"],
    )  # fmt: skip
    assert [] == await here.findings()


async def test_edits_at_once_from_two_processes_follow_each_other(here: World) -> None:
    opened = await _open(here)
    editors = [await _editor(here) for _ in range(4)]

    async def edit(n: int, editor: Principal) -> bool:
        try:
            await _tasks(here).edit(editor, opened.case.case_id, {"body": f"By {n}.\n"}, {0})
        except ContentChanged:
            return False
        return True

    made = await asyncio.gather(*(edit(n, editor) for n, editor in enumerate(editors)))
    assert 1 == sum(made)
    case = await here.views.case(here.agent.tenant_id, opened.case.case_id)
    assert f"By {made.index(True)}.\n" == case.content["blocks"][0]["content"]
    assert (1, ["edited"]) == (case.edition, await here.kinds(opened))


async def test_votes_and_edits_do_not_mix(here: World) -> None:
    opened = await _open(here, policy=Policy(quorum=2))
    with pytest.raises(InvalidInput):
        await here.answer(opened, by=reviewer(1), blocks={"body": "Mine alone.\n"})
    await here.answer(opened, by=reviewer(1))
    with pytest.raises(Settled):
        await _edit(here, opened, body="After the vote.\n")


async def test_blocks_have_a_limit_all_together(here: World) -> None:
    opened = await _open(here)
    await _edit(here, opened, body="x" * 600_000)
    with pytest.raises(InvalidInput):
        await _edit(here, opened, limits={"text": "x" * 600_000})


async def test_a_choice_cannot_be_made_with_a_bare_button(here: World) -> None:
    opened = await _open(here, task=a_task(interaction_schema=CHOICE))
    with pytest.raises(InvalidInput):
        await here.gate.respond(reply(opened))
    await here.gate.respond(reply(opened, "reject"))


# --- the page


async def _ask(found: Desk, **task: Any) -> Opened:
    return await found.ask(blocks=BLOCKS, actions=("approve", "reject"), task=a_task(**task))


async def _edit_on(found: Desk, opened: Opened, **contents: Any) -> None:
    _, editor = await found.services.keys.create("reviewer", found.principal.tenant_id)
    await found.services.tasks.edit(editor, opened.case.case_id, contents, range(100))


async def _press(web: httpx.AsyncClient, opened: Opened, action: str, **fields: Any) -> httpx.Response:
    return await web.post(path_of(opened), data=form_of(opened, action) | fields)


def _digest_in(page: httpx.Response) -> str:
    found = re.search(r'name="content_digest" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


async def test_the_page_says_what_is_at_stake(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await _ask(found)
        words = words_of((await web.get(link_of(opened))).text)
        german = words_of((await web.get(link_of(opened, "de"))).text)
    for one in ("⚠️ High", "It cannot be taken back.", "✉️ Mail"):
        assert one in words
    assert "⚠️ Hoch" in german


async def test_a_page_that_shows_an_older_edition_approves_nothing(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await _ask(found)
        await _edit_on(found, opened, body="Send all the money.\n")
        refused = await _press(web, opened, "approve")
        assert (409, Status.PENDING) == (refused.status_code, (await found.case(opened)).status)
        assert "Send all the money." in refused.text, "the page shows what stands now"
        done = await _press(web, opened, "approve", content_digest=_digest_in(refused))
        assert (200, Status.COMPLETED) == (done.status_code, (await found.case(opened)).status)


async def test_a_reason_to_deny_is_a_button(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await _ask(found, deny_reasons=[{"id": "wrong", "label": "Wrong recipient"}])
        page = await web.get(link_of(opened))
        assert 'name="deny" value="wrong"' in page.text
        done = await _press(web, opened, "", deny="wrong")
        case = await found.case(opened)
    assert 200 == done.status_code
    assert {"action": "reject", "data": {"reason": "Wrong recipient"}} == case.result
    assert case.answered is not None
    assert "Wrong recipient" == case.answered["reason"]


async def test_an_option_is_chosen_on_the_page_and_shows_what_it_makes_of_the_blocks(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await _ask(found, interaction_schema=CHOICE)
        page = await web.get(link_of(opened))
        assert ["short", "as-is"] == re.findall(r'type="radio"[^>]* name="selected" value="([^"]+)"', page.text)
        assert "Only this." in page.text
        none = await _press(web, opened, "approve")
        assert (400, Status.PENDING) == (none.status_code, (await found.case(opened)).status)
        done = await _press(web, opened, "approve", selected="short")
        case = await found.case(opened)
    assert 200 == done.status_code
    assert case.answered is not None
    assert {"body": "Only this.\n"} == case.answered["blocks"]
    assert "Only this." in done.text


async def test_an_external_task_links_out_and_is_confirmed_by_hand(sqlite_url: str) -> None:
    url = "https://bank.example.org/transfers/7"
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await _ask(found, interaction_schema={"type": "external", "external_url": url})
        page = await web.get(link_of(opened))
        assert f'href="{url}"' in page.text
        assert 200 == (await _press(web, opened, "approve")).status_code
