"""Blocks that the reviewer may edit: nobody agrees to a change that they were not shown."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from core.model import Opened
from core.states import Status
from tests.support.review_page import Desk, browser, desk, form_of, link_of, path_of, words_of

NOTES = "# Release\n\nOut on Monday.\n"
LIMITS = {"cpu": 2, "memory": "1Gi"}
BLOCKS = [
    {"id": "fixed", "label": "Fixed", "type": "plaintext", "content": "As it is.", "editable": False},
    {"id": "notes", "label": "Release notes", "type": "markdown", "content": NOTES, "editable": True},
    {"id": "limits", "label": "Limits", "type": "json", "content": LIMITS, "editable": True},
]
EDITED = {"block.1": NOTES.replace("Monday", "Tuesday"), "block.2": '{"cpu": 4, "memory": "1Gi"}'}
AS_IT_IS = {"block.1": NOTES, "block.2": '{\n  "cpu": 2,\n  "memory": "1Gi"\n}'}


async def post(web: httpx.AsyncClient, opened: Opened, action: str, fields: dict[str, Any]) -> httpx.Response:
    return await web.post(path_of(opened), data=form_of(opened, action) | fields)


def seen_in(page: httpx.Response) -> dict[str, str]:
    """The changes that a page has shown, as its form says so."""
    found = re.search(r'name="seen" value="([^"]+)"', page.text)
    return {"seen": found[1]} if found else {}


async def approved(found: Desk, web: httpx.AsyncClient, opened: Opened, fields: dict[str, Any]) -> httpx.Response:
    """Look at the changes, then approve them."""
    page = await post(web, opened, "", fields | {"look": "changes"})
    return await post(web, opened, "approve", fields | seen_in(page))


async def test_a_block_that_may_be_edited_has_its_text_in_a_field(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        page = await web.get(link_of(await found.ask(blocks=BLOCKS)))
    assert ["block.1", "block.2"] == re.findall(r'<textarea form="answer"[^>]* name="([^"]+)"', page.text)
    assert f">\n{NOTES}</textarea>" in page.text


async def test_what_was_not_touched_is_no_change(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=BLOCKS)
        crlf = {name: text.replace("\n", "\r\n") for name, text in AS_IT_IS.items()}  # as browsers send it
        done = await post(web, opened, "approve", crlf)
        case = await found.case(opened)
    assert (200, Status.COMPLETED) == (done.status_code, case.status)
    assert case.answered is not None
    assert "blocks" not in case.answered
    assert case.result == {"action": "approve", "data": {}}


async def test_a_change_is_shown_before_it_can_be_agreed_to(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=BLOCKS)
        blind = await post(web, opened, "approve", EDITED)
        assert Status.PENDING == (await found.case(opened)).status
        other = await post(web, opened, "approve", EDITED | {"block.2": "{}"} | seen_in(blind))
        assert Status.PENDING == (await found.case(opened)).status
        done = await post(web, opened, "approve", EDITED | seen_in(blind))
        case = await found.case(opened)
    assert (400, 400, 200) == (blind.status_code, other.status_code, done.status_code)
    words = words_of(blind.text)
    assert "Please check your changes “Release notes” has been changed." in words
    assert "removed: Out on Monday ." in words
    assert "added: Out on Tuesday ." in words
    assert "<mark>Tuesday</mark>" in blind.text
    assert "cpu changed 2 → 4" in words
    assert case.answered is not None
    assert {"notes": EDITED["block.1"], "limits": {"cpu": 4, "memory": "1Gi"}} == case.answered["blocks"]
    assert "Changed by the reviewer" in words_of(done.text)
    assert "cpu changed 2 → 4" in words_of(done.text)


async def test_looking_at_the_changes_changes_nothing(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=BLOCKS)
        before = found.rows()
        shown = await post(web, opened, "", EDITED | {"look": "changes", "feedback": "Typed so far"})
        nothing = await post(web, opened, "", AS_IT_IS | {"look": "changes"})
        assert before == found.rows()
    assert (200, 200) == (shown.status_code, nothing.status_code)
    assert "Your changes" in words_of(shown.text)
    assert ">\nTyped so far</textarea>" in shown.text
    assert "You have changed nothing." in words_of(nothing.text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{\n  "cpu": 4,\n  "memory"\n}', "“Limits” is not valid JSON. Look at line 4, column 1."),
        ('{"cpu": 1, "cpu": 2}', "“Limits” is not valid JSON: the key 'cpu' stands twice in one object."),
        ('{"cpu": NaN}', "“Limits” is not valid JSON: NaN is not JSON."),
        ("", "“Limits” is not valid JSON. Look at line 1, column 1."),
    ],
)
async def test_what_is_not_json_is_named_with_its_line(sqlite_url: str, text: str, problem: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=BLOCKS)
        pages = [
            await post(web, opened, "approve", EDITED | {"block.2": text}),
            await post(web, opened, "", EDITED | {"block.2": text, "look": "changes"}),
        ]
        assert Status.PENDING == (await found.case(opened)).status
    assert [400, 200] == [page.status_code for page in pages]
    for page in pages:
        assert 2 == words_of(page.text).count(problem)  # in the summary and at the field
        assert EDITED["block.1"] in page.text


async def test_who_refuses_refuses_what_was_asked_not_what_they_typed(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=BLOCKS)
        done = await post(web, opened, "reject", EDITED | {"block.2": "not JSON"})
        case = await found.case(opened)
    assert 200 == done.status_code
    assert case.result == {"action": "reject", "data": {}}


async def test_what_may_not_be_edited_stays_whatever_is_posted(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=BLOCKS)
        done = await post(web, opened, "approve", {"block.0": "Other", "block.7": "x", "block.": "y"})
        case = await found.case(opened)
    assert 200 == done.status_code
    assert case.result == {"action": "approve", "data": {}}


async def test_a_text_keeps_the_line_ends_it_had(sqlite_url: str) -> None:
    block = {"id": "text", "type": "plaintext", "content": "one\r\ntwo\r\n", "editable": True}
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=[block])
        await approved(found, web, opened, {"block.0": "one\r\nthree\r\n"})
        case = await found.case(opened)
    assert case.answered is not None
    assert {"text": "one\r\nthree\r\n"} == case.answered["blocks"]


async def test_json_that_came_as_text_stays_text(sqlite_url: str) -> None:
    block = {"id": "text", "type": "json", "content": '{"a": 1}', "editable": True}
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=[block])
        assert "not valid JSON" in (await post(web, opened, "approve", {"block.0": '{"a": '})).text
        await approved(found, web, opened, {"block.0": '{"a": 2}'})
        case = await found.case(opened)
    assert case.answered is not None
    assert {"text": '{"a": 2}'} == case.answered["blocks"]


async def test_a_change_of_what_cannot_be_seen_is_made_visible(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=BLOCKS)
        page = await post(web, opened, "approve", EDITED | {"block.1": NOTES + "</textarea><b>\u202eevil"})
    assert "[U+202E]evil" in words_of(page.text)
    assert "&lt;/textarea&gt;&lt;b&gt;" in page.text


async def test_the_next_round_shows_what_is_different_and_what_was_asked_for(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        first = await found.ask(blocks=BLOCKS, message="The first try.")
        await post(web, first, "edit", {"feedback": "Later, and with more memory."})
        blocks = [
            BLOCKS[1] | {"content": EDITED["block.1"]},
            BLOCKS[2] | {"content": {"cpu": 2, "memory": "2Gi"}},
            {"id": "new", "type": "plaintext", "content": "Brand new.", "editable": False},
        ]
        second = await found.ask(blocks=blocks, message="The first try.", previous_case_id=first.case.case_id)
        words = words_of((await web.get(link_of(second))).text)
    for expected in (
        "What changed since the last round The last answer Changes requested Feedback Later, and with more memory.",
        "Release notes",
        "added: Out on Tuesday .",
        "memory changed 1Gi → 2Gi",
        "Fixed removed: As it is.",
        "added: Brand new.",
    ):
        assert expected in words
    assert "removed: The first try." not in words


async def test_a_round_of_another_tenant_is_not_shown(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        first = await found.ask(blocks=BLOCKS)
        second = await found.ask(previous_case_id=first.case.case_id)
        _, stranger = await found.services.keys.create("agent", "0c6f1d0e-5c38-4a8b-9d53-3f7f0b1f8a11")
        moved = f"UPDATE cases SET tenant_id = '{stranger.tenant_id}' WHERE case_id = '{second.case.case_id}'"
        found.alter(moved)
        page = await web.get(link_of(second))
    assert 200 == page.status_code
    assert "What changed since" not in page.text
    assert "Release notes" not in page.text


async def test_executors_are_told_what_was_asked_what_was_agreed_and_what_differs(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        source = await found.services.sources.create(
            found.principal, name="site", description=None, mode="PULL_ONLY", notify=(), policy=None
        )
        opened = await found.ask(blocks=BLOCKS, source_id=source.source_id)
        await approved(found, web, opened, EDITED)
        bodies = [value for row in found.rows()["decision_events"] for value in row if "original" in str(value)]
        (event,) = map(json.loads, bodies)
    assert BLOCKS == [{name: block[name] for name in BLOCKS[0]} for block in event["original"]]
    assert [BLOCKS[0]["content"], EDITED["block.1"], {"cpu": 4, "memory": "1Gi"}] == [
        block["content"] for block in event["final"]
    ]
    (text,), (patch,) = event["diff"]["text_diffs"], event["diff"]["json_patches"]
    assert "notes" == text["block_id"]
    assert "-Out on Monday.\n+Out on Tuesday.\n" in text["unified_diff"]
    assert {"block_id": "limits", "patch": [{"op": "replace", "path": "/cpu", "value": 4}]} == patch
