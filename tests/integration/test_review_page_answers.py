"""Answering on the review page with the plain form, as a browser without script does."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from core.ledger import Statement, Tx
from core.model import Policy
from core.states import Status
from tests.support.review_page import Desk, browser, desk, form_of, link_of, path_of, words_of

LEDGER = Statement("ledger_of_a_test", "SELECT * FROM human_interactions WHERE case_id = :case_id")
ITEMS = [{"id": "one", "label": "The first"}, {"id": "two", "title": "The second"}, "three"]
FORM = {"fields": [{"key": "name", "label": "Name of the cluster", "type": "text", "required": True}]}

ANSWERS = [
    ("approval", {}, "approve", {}, {}, "Approved"),
    ("approval", {}, "approve", {"feedback": "Good."}, {"feedback": "Good."}, "Approved"),
    ("approval", {}, "edit", {"feedback": "Shorter."}, {"feedback": "Shorter."}, "Changes requested"),
    ("approval", {}, "reject", {"feedback": "Wrong year."}, {"feedback": "Wrong year."}, "Rejected"),
    ("selection", {"items": ITEMS}, "select", {"selected": ["two", "three"]}, {"selected": ["two", "three"]}, "Chosen"),
    (
        "selection",
        {"items": ITEMS, "multiple": False},
        "select",
        {"selected": "one", "note": "It fits."},
        {"selected": ["one"], "note": "It fits."},
        "Chosen",
    ),
    ("input", {"form": FORM}, "submit", {"f.name": "north"}, {"name": "north"}, "Submitted"),
    ("input", {}, "submit", {"note": "north"}, {"note": "north"}, "Submitted"),
    ("confirmation", {}, "confirm", {"note": "Go."}, {"note": "Go."}, "Confirmed"),
    ("confirmation", {}, "cancel", {}, {}, "Declined"),
    ("escalation", {}, "retry", {}, {}, "Retry chosen"),
    ("escalation", {}, "skip", {"reason": "Not needed."}, {"reason": "Not needed."}, "Skipped"),
    ("escalation", {}, "abort", {}, {}, "Aborted"),
    ("x-acme-compare", {}, "submit", {}, {}, "Submitted"),
]


async def ledger(found: Desk, case_id: str) -> list[dict[str, Any]]:
    async def body(tx: Tx) -> list[dict[str, Any]]:
        names = ("interaction_id", "row_hash", "via", "origin", "dedupe_key", "payload", "content_digest")
        return [{name: row[name] for name in names} for row in await tx.all(LEDGER, case_id=case_id)]

    return await found.database.read(body)


@pytest.mark.parametrize(("case_type", "context", "action", "fields", "data", "title"), ANSWERS)
async def test_every_type_is_answered_by_its_form_and_shows_a_receipt(
    sqlite_url: str,
    case_type: str,
    context: dict[str, Any],
    action: str,
    fields: dict[str, Any],
    data: dict[str, Any],
    title: str,
) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(case_type, context=context)
        done = await web.post(path_of(opened), data=form_of(opened, action) | fields)
        case = await found.case(opened)
        (row,) = await ledger(found, case.case_id)
    assert 200 == done.status_code
    assert (Status.COMPLETED, {"action": action, "data": data}) == (case.status, case.result)
    assert ("review_page", "manual", "link:holder") == (row["via"], row["origin"], row["dedupe_key"])
    assert {"action": action, "data": data} == json.loads(row["payload"])
    assert opened.case.content_digest == row["content_digest"]
    words = words_of(done.text)
    for shown in (
        title,
        "Your answer is recorded",
        "a holder of the review link",
        row["interaction_id"],
        row["row_hash"],
    ):
        assert shown in words
    assert 'name="action"' not in done.text


async def test_an_answer_lands_once_in_either_database(database_url: str) -> None:
    async with desk(database_url) as found, browser(found) as web:
        opened = await found.ask()
        first = await web.post(path_of(opened), data=form_of(opened, "approve"))
        again = await web.post(path_of(opened), data=form_of(opened, "approve"))
        seen = await web.get(link_of(opened))
        rows = await ledger(found, opened.case.case_id)
    assert (200, 200, 200) == (first.status_code, again.status_code, seen.status_code)
    assert 1 == len(rows)
    assert all(rows[0]["interaction_id"] in page.text for page in (first, again, seen))
    assert "Your answer is recorded" not in words_of(seen.text)


async def test_a_second_other_answer_is_told_what_was_decided(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        await web.post(path_of(opened), data=form_of(opened, "approve"))
        late = await web.post(path_of(opened), data=form_of(opened, "reject"))
        rows = await ledger(found, opened.case.case_id)
    assert 409 == late.status_code
    assert "Your answer was not recorded, because this had already ended" in words_of(late.text)
    assert "Approved" in words_of(late.text)
    assert 1 == len(rows)


async def test_an_answer_after_a_tap_elsewhere_is_told_who_decided_and_where(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        await found.tap(opened, "reject", reason="The numbers are last year's.")
        late = await web.post(path_of(opened), data=form_of(opened, "approve"))
    assert 409 == late.status_code
    for words in ("Rejected", "By Reviewer One", "Through Slack", "The numbers are last year's."):
        assert words in words_of(late.text)


@pytest.mark.parametrize("written", [False, True], ids=["before the clock saw it", "after"])
async def test_after_the_deadline_nothing_can_be_answered(sqlite_url: str, written: bool) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(timeout_ms=10_000)
        found.clock.offset = 10_000
        if written:
            await found.services.gate.expire_due()
        late = await web.post(path_of(opened), data=form_of(opened, "approve"))
        seen = await web.get(link_of(opened))
    assert (410, 200) == (late.status_code, seen.status_code)
    assert 'name="action"' not in late.text + seen.text
    for page in (late, seen):
        assert "Expired without an answer" in words_of(page.text)
        assert "Nothing was approved." in words_of(page.text)


async def test_a_withdrawn_case_says_so_and_why(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        await found.services.gate.cancel(found.principal, opened.case.case_id, "A newer build replaced it.")
        late = await web.post(path_of(opened), data=form_of(opened, "approve"))
        seen = await web.get(link_of(opened))
    assert (409, 200) == (late.status_code, seen.status_code)
    assert "Withdrawn" in words_of(seen.text)
    assert "Reason A newer build replaced it." in words_of(seen.text)


async def test_content_other_than_what_was_shown_is_not_agreed_to(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        stale = form_of(opened, "approve", content_digest="sha256:" + "0" * 64, feedback="Kept.")
        refused = await web.post(path_of(opened), data=stale)
        case = await found.case(opened)
    assert 409 == refused.status_code
    assert "The content has changed since you opened this page" in words_of(refused.text)
    assert opened.case.content_digest in refused.text
    assert "Kept." in refused.text
    assert Status.PENDING == case.status


@pytest.mark.parametrize(
    ("action", "words"), [("", "Press one of the buttons"), ("confirm", "Action must be one of approve, edit, reject")]
)
async def test_an_answer_needs_an_action_of_the_case(sqlite_url: str, action: str, words: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        refused = await web.post(path_of(opened), data=form_of(opened, action, feedback="Still here."))
        case = await found.case(opened)
    assert 400 == refused.status_code
    assert words in words_of(refused.text)
    assert "Still here." in refused.text
    assert Status.PENDING == case.status


@pytest.mark.parametrize(
    ("selected", "words"),
    [
        ([], "Choose at least one option"),
        (["four"], "Choose from the options shown"),
        (["one", "two"], "Choose one option"),
    ],
)
async def test_a_selection_is_one_of_the_options_shown(sqlite_url: str, selected: list[str], words: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("selection", context={"items": ITEMS, "multiple": False})
        refused = await web.post(path_of(opened), data=form_of(opened, "select", selected=selected, note="Kept."))
    assert 400 == refused.status_code
    assert words in words_of(refused.text)
    assert 'href="#selected"' in refused.text
    assert "Kept." in refused.text


async def test_an_input_case_without_a_form_asks_for_words(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", "What is the cluster called?")
        refused = await web.post(path_of(opened), data=form_of(opened, "submit", note="  "))
    assert 400 == refused.status_code
    assert 'href="#note"' in refused.text


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"policy": Policy(any_of=("slack:U0BOSS",))}, "it can be decided by slack:U0BOSS"),
        (
            {"policy": Policy(exclude_requester=True), "requested_by": "link:holder"},
            "Whoever asked for this cannot be the one who agrees to it.",
        ),
    ],
    ids=["reviewers without the link", "whoever asked"],
)
async def test_who_may_not_decide_sees_why_and_changes_nothing(
    sqlite_url: str, asked: dict[str, Any], words: str
) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(**asked)
        seen = await web.get(link_of(opened))
        refused = await web.post(path_of(opened), data=form_of(opened, "approve"))
        case = await found.case(opened)
    assert (200, 403) == (seen.status_code, refused.status_code)
    assert 'name="action"' not in seen.text
    for page in (seen, refused):
        assert words in words_of(page.text)
    assert Status.PENDING == case.status


async def test_while_the_database_is_away_the_page_says_that_nothing_is_recorded(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        await found.database.close()
        seen = await web.get(link_of(opened))
        failed = await web.post(path_of(opened), data=form_of(opened, "approve"))
        state = await web.post(path_of(opened) + "/state", json={"token": opened.review_token})
    assert [503] * 3 == [answer.status_code for answer in (seen, failed, state)]
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in (seen, failed, state))
    assert "could not be recorded" in words_of(failed.text)


async def test_an_unknown_language_is_english(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        seen = await web.get(link_of(opened).replace("/en/", "/tlh/"))
    assert 200 == seen.status_code
    assert '<html lang="en">' in seen.text


async def test_an_open_page_can_ask_how_the_case_stands(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        url, body = path_of(opened) + "/state", {"token": opened.review_token}
        before = (await web.post(url, json=body)).json()
        await found.tap(opened, "approve")
        after = (await web.post(url, json=body)).json()
        soon = await found.ask(timeout_ms=10_000)
        found.clock.offset = 10_000
        late = (await web.post(path_of(soon) + "/state", json={"token": soon.review_token})).json()
    assert {"status": "open", "version": 1} == before
    assert {"status": "completed", "version": 2} == after
    assert {"status": "expired", "version": 1} == late


async def test_under_a_path_prefix_the_page_posts_back_there(sqlite_url: str) -> None:
    async with desk(sqlite_url, "http://localhost/gate") as found, browser(found) as web:
        opened = await found.ask()
        seen = await web.get(link_of(opened))
    assert f'action="/gate{path_of(opened)}"' in seen.text
    assert 'href="/gate/static/review/' in seen.text


async def test_a_cases_own_words_are_on_its_buttons_and_beside_what_they_decided(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(labels={"approve": "Ship it", "reject": "Hold back"})
        page = await web.get(link_of(opened))
        german = await web.get(link_of(opened).replace("/en/", "/de/"))
        done = await web.post(path_of(opened), data=form_of(opened, "approve"))
        late = await web.get(link_of(opened).replace("/en/", "/de/"))
    for asked, usual in ((page, "Ask for changes"), (german, "Änderungen erbitten")):
        buttons = re.findall(r"<button[^>]*name=\"action\"[^>]*>([^<]*)</button>", asked.text)
        assert ["Ship it", usual, "Hold back"] == buttons
    assert "Approved (“Ship it”)" in words_of(done.text)
    assert "Freigegeben („Ship it“)" in words_of(late.text)


async def test_an_open_quorum_counts_in_a_cases_own_words(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        policy = Policy(("channel", "link"), quorum=2)
        opened = await found.ask(labels={"approve": "Ship it"}, policy=policy, actions=("approve", "reject"))
        await found.tap(opened, "approve")
        page = await web.get(link_of(opened))
    assert "Approve (“Ship it”) 1 of 2" in words_of(page.text)
