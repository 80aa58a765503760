"""Forms are checked when a case opens, answers when they are given; both name the field."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidData, InvalidInput
from core.forms import FIELD_TYPES, check_answers, check_form, fields_of, steps_of, visible
from tests.unit.test_digest import VALUES

TEXT_FIELD = {"key": "name", "label": "Name", "type": "text"}
OPTIONS = [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}]


def field(kind: str = "text", key: str = "x", **more: Any) -> dict[str, Any]:
    choices = {"options": OPTIONS} if kind in ("select", "multiselect") else {}
    return {"key": key, "label": key.upper(), "type": kind} | choices | more


def form(*fields: Any, **more: Any) -> dict[str, Any]:
    return {"form": {"fields": list(fields)} | more}


def problems(context: dict[str, Any], **answers: Any) -> dict[str, str]:
    with pytest.raises(InvalidData) as caught:
        check_answers(context, answers)
    found: dict[str, str] = caught.value.details["fields"]
    return found


# --- the definition ---


@pytest.mark.parametrize("kind", [*FIELD_TYPES, "x-signature"])
def test_every_type_of_field_can_be_asked_for(kind: str) -> None:
    check_form(form(field(kind)))


def test_a_case_without_a_form_is_fine() -> None:
    check_form({})
    check_form({"form": None})
    assert [] == fields_of({}) == fields_of({"form": None})


def test_steps_are_asked_in_their_order() -> None:
    context = {
        "form": {"steps": [{"title": "1", "fields": [field(key="a")]}, {"title": "2", "fields": [field(key="b")]}]}
    }
    check_form(context)
    assert ["a", "b"] == [found["key"] for found in fields_of(context)]


def test_a_step_without_fields_shows_the_answers_so_far() -> None:
    context = {"form": {"steps": [{"title": "1", "fields": [field()]}, {"title": "2", "fields": []}]}}
    check_form(context)
    assert [["x"], []] == [[found["key"] for found in step["fields"]] for step in steps_of(context)]
    assert {"x": "a"} == check_answers(context, {"x": "a"})


@pytest.mark.parametrize("address", ["https://values.example/1?key=abc", "http://localhost:8000/1", "http://[::1]/1"])
def test_a_default_may_be_fetched_from_elsewhere(address: str) -> None:
    check_form(form(field(sensitive=True, default_ref=address)))


@pytest.mark.parametrize(
    ("broken", "where"),
    [
        ([], "context.form"),
        ("text", "context.form"),
        ({}, "context.form"),
        ({"fields": [TEXT_FIELD], "steps": []}, "context.form"),
        ({"fields": [TEXT_FIELD], "colour": "red"}, "context.form"),
        ({"fields": []}, "context.form.fields"),
        ({"fields": {"a": 1}}, "context.form.fields"),
        ({"fields": ["name"]}, "context.form.fields[0]"),
        ({"steps": []}, "context.form.steps"),
        ({"steps": [{"fields": [TEXT_FIELD]}]}, "context.form.steps[0]"),
        ({"steps": [{"title": "1", "fields": []}]}, "context.form"),
        ({"steps": [{"title": "1"}]}, "context.form.steps[0].fields"),
        ({"steps": [{"title": "1", "fields": [TEXT_FIELD], "x": 1}]}, "context.form.steps[0].x"),
        ({"fields": [{"key": "a", "label": "A"}]}, "context.form.fields[0].type"),
        ({"fields": [field("colour")]}, "context.form.fields[0].type"),
        ({"fields": [field("select", options=None)]}, "context.form.fields[0].options"),
        ({"fields": [{"key": "a", "label": "A", "type": "select"}]}, "context.form.fields[0].options"),
        ({"fields": [field("select", options=[{"value": 1, "label": "x"}])]}, "context.form.fields[0].options[0]"),
        ({"fields": [field(key="1a")]}, "context.form.fields[0].key"),
        ({"fields": [field(key="ä")]}, "context.form.fields[0].key"),
        ({"fields": [field(), field()]}, "context.form.fields[1].key"),
        ({"fields": [field(label="x" * 201)]}, "context.form.fields[0].label"),
        ({"fields": [field(required="yes")]}, "context.form.fields[0].required"),
        ({"fields": [field(secret=True)]}, "context.form.fields[0].secret"),
        ({"fields": [field(sensitive=True, default="x")]}, "context.form.fields[0].default"),
        ({"fields": [field(validation={"pattern": "("})]}, "context.form.fields[0].validation.pattern"),
        ({"fields": [field(validation={"pattern": r"(a)\1"})]}, "context.form.fields[0].validation.pattern"),
        ({"fields": [field(validation={"minLength": "3"})]}, "context.form.fields[0].validation.minLength"),
        ({"fields": [field(validation={"minLength": True})]}, "context.form.fields[0].validation.minLength"),
        ({"fields": [field(validation={"minLength": -1})]}, "context.form.fields[0].validation"),
        ({"fields": [field(validation={"step": 1})]}, "context.form.fields[0].validation.step"),
        ({"fields": [field("date", validation={"min": "21.2.2026"})]}, "context.form.fields[0].validation.min"),
        ({"fields": [field(validation={"min": "2026-02-21"})]}, "context.form.fields[0].validation.min"),
        ({"fields": [field(default_ref="/values/1")]}, "context.form.fields[0].default_ref"),
        ({"fields": [field(default_ref="http://values.example/1")]}, "context.form.fields[0].default_ref"),
        ({"fields": [field(default_ref="https://u:p@values.example/1")]}, "context.form.fields[0].default_ref"),
        ({"fields": [field(default_ref="https://[values")]}, "context.form.fields[0].default_ref"),
        ({"fields": [field(key=f"f{n}", default_ref="https://values.example/") for n in range(21)]}, "context.form"),
        ({"fields": [field(conditional={})]}, "context.form.fields[0].conditional"),
        (
            {"fields": [field(conditional={"field": "y", "operator": "eq", "value": 1})]},
            "context.form.fields[0].conditional",
        ),
        (
            {"fields": [field(), field(key="y", conditional={"field": "x", "operator": "like", "value": 1})]},
            "context.form.fields[1].conditional",
        ),
        (
            {"fields": [field(), field(key="y", conditional={"field": "x", "operator": "in", "value": "a"})]},
            "context.form.fields[1].conditional.value",
        ),
        ({"fields": [field(key=f"f{n}") for n in range(201)]}, "context.form"),
    ],
)  # fmt: skip
def test_a_form_that_cannot_be_asked_names_the_place(broken: Any, where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_form({"form": broken})
    assert where == caught.value.details["field"]


@given(VALUES | st.fixed_dictionaries({"fields": VALUES | st.lists(VALUES)}) | st.fixed_dictionaries({"steps": VALUES}))
def test_any_form_is_fine_or_invalid_input(anything: Any) -> None:
    try:
        check_form({"form": anything})
    except InvalidInput:
        return
    with suppress(InvalidData):
        check_answers({"form": anything}, {})


PARTS = st.fixed_dictionaries(
    {"key": st.sampled_from("abc"), "label": st.just("L"), "type": st.sampled_from([*FIELD_TYPES, "x-y"])},
    optional={
        "required": st.booleans(),
        "options": st.just(OPTIONS),
        "validation": st.dictionaries(
            st.sampled_from(["minLength", "maxLength", "min", "max"]), st.integers(-3, 3) | st.floats(-3, 3)
        )
        | st.just({"pattern": "a+"}),
        "conditional": st.fixed_dictionaries(
            {}, optional={"field": st.sampled_from("abc"), "operator": st.sampled_from(["eq", "neq", "in", "gt", "lt"]),
                          "value": VALUES},
        ),
    },
)  # fmt: skip


@given(st.lists(PARTS, min_size=1, max_size=3), st.dictionaries(st.sampled_from("abcd"), VALUES))
def test_a_form_that_was_accepted_can_judge_any_answer(fields: list[Any], answers: dict[str, Any]) -> None:
    context = form(*fields)
    try:
        check_form(context)
    except InvalidInput:
        return
    try:
        kept = check_answers(context, answers)
    except InvalidData:
        return
    assert kept.items() <= answers.items()
    assert [found["key"] for found in fields if visible(found, kept) and found["key"] in kept] == list(kept)


# --- the answer ---


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("text", "words", 5),
        ("textarea", "two\nlines", ["a"]),
        ("number", 4.5, "4.5"),
        ("number", 0, True),
        ("range", 3, "3"),
        ("date", "2026-02-21", "21.2.2026"),
        ("date", "2028-02-29", "2026-02-29"),
        ("date", "2026-02-21", "20260221"),
        ("date", "2026-02-21", "2026-W08-6"),
        ("email", "one@example.org", "one@example"),
        ("url", "https://example.org/x", "javascript:alert(1)"),
        ("boolean", False, "no"),
        ("select", "a", "c"),
        ("multiselect", ["b", "a"], ["a", "a"]),
        ("multiselect", ["b"], ["c"]),
        ("multiselect", ["b"], "b"),
        ("x-anything", "text", {"a": 1}),
    ],
)
def test_each_type_takes_its_own_answers(kind: str, good: Any, bad: Any) -> None:
    context = form(field(kind))
    assert {"x": good} == check_answers(context, {"x": good})
    assert ["x"] == list(problems(context, x=bad))


@pytest.mark.parametrize(
    ("rules", "kind", "good", "bad"),
    [
        ({"minLength": 3}, "text", "abc", "ab"),
        ({"maxLength": 3}, "text", "abc", "abcd"),
        ({"pattern": "[a-z]+"}, "text", "abc", "abc1"),
        ({"pattern": "a|b"}, "text", "b", "bc"),
        ({"min": 1.5}, "number", 1.5, 1),
        ({"max": 10}, "range", 10, 10.1),
        ({"min": "2026-02-21"}, "date", "2026-02-21", "2026-02-20"),
        ({"max": "2026-02-21"}, "date", "2026-02-21", "2026-02-22"),
        ({"min": 1_771_632_000}, "date", "2026-02-21", "2026-02-20"),  # seconds
        ({"max": 1_771_632_000_000}, "date", "2026-02-21", "2026-02-22"),  # milliseconds
    ],
)
def test_rules_are_applied(rules: dict[str, Any], kind: str, good: Any, bad: Any) -> None:
    context = form(field(kind, validation=rules))
    assert {"x": good} == check_answers(context, {"x": good})
    assert ["x"] == list(problems(context, x=bad))


@pytest.mark.parametrize(
    ("asked", "given", "code", "params"),
    [
        (field(required=True), "", "required", {}),
        (field("number"), "a", "not_a_number", {}),
        (field("number", validation={"min": 3}), 2, "too_small", {"limit": 3}),
        (field("text", validation={"maxLength": 2}), "abc", "too_long", {"limit": 2}),
        (field("date", validation={"max": "2026-02-21"}), "2027-01-01", "too_late", {"limit": "2026-02-21"}),
    ],
)
def test_what_is_wrong_is_told_as_a_code_that_any_language_can_word(
    asked: Any, given: Any, code: str, params: dict[str, Any]
) -> None:
    with pytest.raises(InvalidData) as caught:
        check_answers(form(asked), {"x": given})
    problem = caught.value.problems["x"]
    assert (code, "X", params) == (problem.code, problem.label, problem.params)
    assert {"x": problem.message} == caught.value.details["fields"]
    assert "problems" not in caught.value.details


def test_a_pattern_cannot_stall_the_server() -> None:
    context = form(field(validation={"pattern": "(a+)+b"}))
    assert ["x"] == list(problems(context, x="a" * 19_999 + "c"))


@pytest.mark.parametrize("nothing", [None, "", []])
def test_a_required_field_must_be_filled(nothing: Any) -> None:
    context = form(field("text", required=True), field("text", key="y"))
    assert {"x": "X is required"} == problems(context, x=nothing)
    assert {"x": "X is required"} == problems(context)
    assert {"x": "a"} == check_answers(context, {"x": "a", "y": nothing})


def test_no_and_zero_are_answers() -> None:
    context = form(field("boolean", required=True), field("number", key="y", required=True))
    assert {"x": False, "y": 0} == check_answers(context, {"x": False, "y": 0})


def test_all_problems_are_told_at_once() -> None:
    context = form(field("number"), field("date", key="y"))
    assert {"x", "y", "z"} == set(problems(context, x="a", y="b", z="c"))


CHAIN = form(
    field("select"),
    field("text", key="y", required=True, conditional={"field": "x", "operator": "eq", "value": "a"}),
    field("text", key="z", required=True, conditional={"field": "y", "operator": "neq", "value": None}),
)


def test_the_answer_of_a_hidden_field_is_dropped() -> None:
    assert {"x": "b"} == check_answers(CHAIN, {"x": "b", "y": "hidden", "z": "hidden with it"})


def test_a_hidden_answer_is_not_even_judged() -> None:
    assert {"x": "b"} == check_answers(CHAIN, {"x": "b", "y": {"not": "text"}})


def test_a_field_that_shows_is_judged() -> None:
    assert {"x": "a", "y": "1", "z": "2"} == check_answers(CHAIN, {"x": "a", "y": "1", "z": "2"})
    assert ["y"] == list(problems(CHAIN, x="a"))


@pytest.mark.parametrize(
    ("operator", "value", "shows", "hides"),
    [
        ("eq", "a", "a", "b"), ("neq", "a", "b", "a"), ("in", ["a", "b"], "a", "c"), ("gt", 3, 4, 3),
        ("lt", 3, 2.5, 3), ("gt", 3, 4, "4"), ("gt", "b", "c", "a"), ("lt", 3, 2, None), ("in", [["a"]], ["a"], "a"),
        ("eq", True, True, 1), ("eq", 1, 1.0, True), ("in", [0, None], None, False), ("gt", 0, 1, True),
    ],
)  # fmt: skip
def test_conditions(operator: str, value: Any, shows: Any, hides: Any) -> None:
    found = field(conditional={"field": "x", "operator": operator, "value": value})
    assert visible(found, {"x": shows})
    assert not visible(found, {"x": hides})
