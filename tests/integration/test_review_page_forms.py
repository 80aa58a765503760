"""The fields of an input case on the review page: how they are asked, what comes of them, what is wrong with them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from core.states import Status
from tests.support.review_page import browser, desk, form_of, link_of, path_of, words_of

CHOICES = [{"value": "one", "label": "The first"}, {"value": "two", "label": "The second"}]


def one(kind: str, **more: Any) -> dict[str, Any]:
    """A form of one field."""
    return {"form": {"fields": [{"key": "it", "label": "This", "type": kind} | more]}}


def tag_of(html: str, name: str) -> str:
    """The opening tag of the control or group with this id."""
    found = re.search(rf'<(?:input|select|textarea|fieldset)[^>]*\bid="{re.escape(name)}"[^>]*>', html)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("field", "given", "kept"),
    [
        (one("text"), " words ", "words"),
        (one("textarea"), "two\r\nlines", "two\nlines"),
        (one("number"), "42", 42),
        (one("number"), "-3.50", -3.5),
        (one("date"), "2026-02-21", "2026-02-21"),
        (one("email"), "reviewer@one.example", "reviewer@one.example"),
        (one("url"), "https://one.example/", "https://one.example/"),
        (one("boolean"), "true", True),
        (one("boolean"), None, False),
        (one("boolean", required=True), "false", False),
        (one("select", options=CHOICES), "two", "two"),
        (one("multiselect", options=CHOICES), ["one", "two"], ["one", "two"]),
        (one("range", validation={"min": 0, "max": 100}), "40", 40),
        (one("x-colour"), "#0b5d55", "#0b5d55"),
    ],
)
async def test_every_field_type_gives_its_own_kind_of_value(
    sqlite_url: str, field: dict[str, Any], given: Any, kept: Any
) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=field)
        fields = {} if given is None else {"f.it": given}
        done = await web.post(path_of(opened), data=form_of(opened, "submit") | fields)
        case = await found.case(opened)
    assert 200 == done.status_code
    assert case.result is not None
    assert {"it": kept} == case.result["data"]
    assert type(kept) is type(case.result["data"]["it"])


@pytest.mark.parametrize(
    ("field", "given", "words"),
    [
        (one("text", required=True), "  ", "This is required"),
        (one("text", validation={"minLength": 3}), "ab", "This needs at least 3 characters"),
        (one("text", validation={"pattern": "[a-z]+"}), "ABC", "This does not have the expected form"),
        (one("number"), "1_700", "This must be a number"),
        (one("number"), "1e999", "This must be a number"),
        (one("number"), "9" * 5_000, "This must be a number"),
        (one("number", validation={"max": 10}), "11", "This must be at most 10"),
        (one("date"), "21.2.2026", "This must be a date"),
        (one("email"), "reviewer", "This must be an e-mail address"),
        (one("url"), "ftp://one.example", "This must be a web address"),
        (one("boolean", required=True), None, "This is required"),
        (one("select", options=CHOICES), "three", "This must be one of the choices"),
        (one("multiselect", options=CHOICES, required=True), None, "This is required"),
    ],
)
async def test_what_is_wrong_is_said_beside_the_field_and_in_a_summary_that_leads_there(
    sqlite_url: str, field: dict[str, Any], given: str | None, words: str
) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=field)
        fields = {} if given is None else {"f.it": given}
        refused = await web.post(path_of(opened), data=form_of(opened, "submit") | fields)
        case = await found.case(opened)
    assert 400 == refused.status_code
    assert 2 == words_of(refused.text).count(words)
    assert 'href="#f.it"' in refused.text
    assert 'aria-invalid="true"' in tag_of(refused.text, "f.it")
    assert "f.it-error" in tag_of(refused.text, "f.it")
    assert Status.PENDING == case.status


async def test_what_was_typed_comes_back_unless_it_is_sensitive(sqlite_url: str) -> None:
    fields = [
        {"key": "name", "label": "Name", "type": "text"},
        {"key": "text", "label": "Text", "type": "textarea"},
        {"key": "some", "label": "Some", "type": "multiselect", "options": CHOICES},
        {"key": "which", "label": "Which", "type": "select", "options": CHOICES},
        {"key": "yes", "label": "Yes", "type": "boolean"},
        {"key": "pin", "label": "Pin", "type": "text", "sensitive": True},
        {"key": "diary", "label": "Diary", "type": "textarea", "sensitive": True},
        {"key": "missing", "label": "Missing", "type": "text", "required": True},
    ]
    typed = {
        "f.name": "<Reviewer & One>", "f.text": "\nsecond line", "f.some": ["two"], "f.which": "one", "f.yes": "true",
        "f.pin": "4711-secret", "f.diary": "dear-secret",
    }  # fmt: skip
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context={"form": {"fields": fields}})
        refused = await web.post(path_of(opened), data=form_of(opened, "submit") | typed)
    assert 'value="&lt;Reviewer &amp; One&gt;"' in tag_of(refused.text, "f.name")
    assert ">\n\nsecond line</textarea>" in refused.text
    assert "checked" not in tag_of(refused.text, "f.some-1")
    assert "checked" in tag_of(refused.text, "f.some-2")
    assert '<option value="one" selected>' in refused.text
    assert "checked" in tag_of(refused.text, "f.yes")
    assert "secret" not in refused.text


async def test_a_sensitive_value_is_masked_while_typed_and_on_the_receipt(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=one("number", sensitive=True))
        asked = await web.get(link_of(opened))
        done = await web.post(path_of(opened), data=form_of(opened, "submit") | {"f.it": "105000"})
        case = await found.case(opened)
    assert 'type="password"' in tag_of(asked.text, "f.it")
    assert "105000" not in done.text
    assert "This •••••• (hidden)" in words_of(done.text)
    assert case.result is not None
    assert {"it": 105000} == case.result["data"]


async def test_the_value_of_a_field_that_its_condition_hides_is_dropped(sqlite_url: str) -> None:
    fields = [
        {"key": "kind", "label": "Kind", "type": "select", "options": CHOICES, "required": True},
        {
            "key": "detail", "label": "Detail", "type": "text", "required": True,
            "conditional": {"field": "kind", "operator": "eq", "value": "two"},
        },
    ]  # fmt: skip
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context={"form": {"fields": fields}})
        asked = await web.get(link_of(opened))
        form = form_of(opened, "submit")
        needed = await web.post(path_of(opened), data=form | {"f.kind": "two", "f.detail": ""})
        done = await web.post(path_of(opened), data=form | {"f.kind": "one", "f.detail": "left over"})
        case = await found.case(opened)
    # Without a script the field is always there, so the browser must not insist on it.
    assert " required" not in tag_of(asked.text, "f.detail").replace("data-required", "")
    assert "Only needed when “Kind” is “The second”." in words_of(asked.text)
    assert (400, 200) == (needed.status_code, done.status_code)
    assert case.result is not None
    assert {"kind": "one"} == case.result["data"]


async def test_defaults_are_filled_in_and_hints_and_limits_are_told(sqlite_url: str) -> None:
    fields = [
        {"key": "name", "label": "Name", "type": "text", "default": "north", "hint": "Short.", "placeholder": "a name"},
        {"key": "size", "label": "Size", "type": "range", "default": 40, "validation": {"min": 0, "max": 100000}},
        {"key": "sure", "label": "Sure", "type": "boolean", "default": False, "required": True},
        {"key": "some", "label": "Some", "type": "multiselect", "options": CHOICES, "default": ["two"]},
        {"key": "code", "label": "Code", "type": "text", "validation": {"pattern": "[[:alpha:]]+", "maxLength": 5}},
    ]
    async with desk(sqlite_url) as found, browser(found) as web:
        asked = await web.get(link_of(await found.ask("input", context={"form": {"fields": fields}})))
    name, size, code = (tag_of(asked.text, f"f.{key}") for key in ("name", "size", "code"))
    assert 'value="north"' in name
    assert 'placeholder="a name"' in name
    assert 'aria-describedby="f.name-hint f.name-error"' in name
    assert 'type="number" value="40"' in size
    assert "Between 0 and 100,000." in words_of(asked.text)
    assert "checked" in tag_of(asked.text, "f.sure-2")
    assert "checked" in tag_of(asked.text, "f.some-2")
    assert 'maxlength="5"' in code
    assert "pattern" not in code  # a POSIX class means something else in a browser


async def test_steps_stand_below_each_other(sqlite_url: str) -> None:
    field = {"key": "name", "label": "Name", "type": "text"}
    steps = [
        {"title": "About you", "description": "Only this.", "fields": [field]},
        {"title": "Preferences", "fields": [field | {"key": "other", "label": "Other"}]},
    ]
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context={"form": {"steps": steps}})
        asked = await web.get(link_of(opened))
        await web.post(path_of(opened), data=form_of(opened, "submit") | {"f.name": "a", "f.other": "b"})
        case = await found.case(opened)
    assert re.search("About you Only this. Name optional .*Preferences Other optional", words_of(asked.text))
    assert case.result is not None
    assert {"name": "a", "other": "b"} == case.result["data"]


async def test_a_field_that_the_form_does_not_have_is_refused(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=one("text"))
        refused = await web.post(path_of(opened), data=form_of(opened, "submit") | {"f.more": "x"})
    assert 400 == refused.status_code
    assert "The form has no such field" in words_of(refused.text)
