"""Sections 7 and 11: the review page, as far as its answers show it."""

from __future__ import annotations

import re
from html import unescape

import httpx

from tests.conformance.hitl.target import ANSWERS, Case, Target

SECRET = "correct horse battery staple"


def _words(page: httpx.Response) -> str:
    """What a page says, in lower case."""
    bare = re.sub(r"<script.*?</script>|<style.*?</style>|<[^>]+>", " ", page.text, flags=re.DOTALL)
    return " ".join(unescape(bare).split()).lower()


def _answered(target: Target) -> Case:
    case = target.open("approval")
    assert 200 == target.submit(case, "reject", {"feedback": "Not on a Friday."}).status_code
    return case


def test_after_the_expiry_the_page_says_so(target: Target) -> None:
    page = target.visit(target.expired())
    assert "expired" in _words(page) or "too late" in _words(page)
    assert not target.asks(page), "a form that nobody can send"


def test_who_comes_back_sees_that_it_was_answered_and_how(target: Target) -> None:
    page = target.visit(_answered(target))
    assert "not on a friday." in _words(page)
    assert re.search(r"already|recorded|answered|rejected", _words(page))


def test_who_comes_back_sees_no_fresh_form(target: Target) -> None:
    case = target.open_inline()
    assert 200 == target.tap(case, "confirm").status_code
    assert not target.asks(target.visit(case))


def test_a_visit_changes_nothing_and_may_be_repeated(target: Target) -> None:
    case = target.open()
    assert {200} == {target.visit(case).status_code for _ in range(3)}
    assert target.state(case)["status"] in ("pending", "opened")


def test_the_page_opens_without_a_login(target: Target) -> None:
    for kind in ANSWERS:
        page = target.visit(target.open(kind))
        assert (200, "text/html") == (page.status_code, page.headers["content-type"].partition(";")[0]), kind
        assert target.asks(page), kind


def test_the_page_adapts_to_the_width_of_the_screen(target: Target) -> None:
    page = target.visit(target.open())
    assert re.search(r"<meta\b[^>]*name=.?viewport[^>]*width=device-width", page.text)


def test_what_the_page_submits_is_a_result_of_the_cases_type(target: Target) -> None:
    for kind, (action, data) in ANSWERS.items():
        case = target.open(kind)
        assert 200 == target.submit(case, action, data).status_code, kind
        result = target.ended(case, "completed")["result"]
        assert (action, data) == (result["action"], result["data"]), kind


def test_a_result_of_another_type_is_not_accepted(target: Target) -> None:
    for kind in ANSWERS:
        case = target.open(kind)
        for action in {action for action, _ in ANSWERS.values()} - {ANSWERS[kind][0]} | {"nonsense"}:
            assert 400 <= target.submit(case, action).status_code < 500, (kind, action)
        assert "completed" != target.state(case)["status"]


def test_the_page_needs_the_cases_own_token(target: Target) -> None:
    case, other = target.open(), target.open()
    for review_url in (
        case["review_url"].partition("?")[0],
        case["review_url"][:-1] + ("A" if case["review_url"][-1] != "A" else "B"),
        case["review_url"].partition("?")[0] + "?" + other["review_url"].partition("?")[2],
    ):
        page = target.visit(case | {"review_url": review_url})
        assert 400 <= page.status_code < 500, review_url
        assert case["prompt"].lower() not in _words(page)


def test_a_sensitive_field_is_masked(target: Target) -> None:
    field = {"key": "pin", "label": "Pass phrase", "type": "text", "sensitive": True}
    page = target.visit(target.open("input", context={"form": {"fields": [field]}}))
    assert re.search(r"<input\b[^>]*type=.?password", page.text)


def test_a_sensitive_field_has_no_value_filled_in(target: Target) -> None:
    field = {"key": "pin", "label": "Pass phrase", "type": "text", "sensitive": True, "default": SECRET}
    answer = target.ask("input", context={"form": {"fields": [field]}})
    if answer.status_code == 202:
        assert SECRET not in answer.text
        assert SECRET not in target.visit(answer.json()["hitl"]).text


def test_an_unknown_type_of_field_is_asked_as_text(target: Target) -> None:
    field = {"key": "colour", "label": "Colour", "type": "x-color-picker"}
    case = target.open("input", context={"form": {"fields": [field]}})
    assert re.search(r"<input\b[^>]*type=.?text", target.visit(case).text)
    assert 200 == target.submit(case, "submit", {"colour": "teal"}).status_code
