"""Section 10: the five types, forms and their fields, custom types."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.hitl.target import Target

CITY = {"key": "city", "label": "City", "type": "text"}
FORM: dict[str, Any] = {"fields": [CITY]}
STEPS: dict[str, Any] = {
    "steps": [
        {"title": "Where", "description": "Roughly.", "fields": [CITY]},
        {"title": "Check", "fields": []},
    ]
}
CONDITIONAL: dict[str, Any] = {
    "fields": [
        {"key": "kind", "label": "Kind", "type": "select", "options": [
            {"value": "full", "label": "Full-time"}, {"value": "part", "label": "Part-time"}]},
        {"key": "salary", "label": "Salary", "type": "number",
         "conditional": {"field": "kind", "operator": "eq", "value": "full"}},
    ]
}  # fmt: skip


def _without(value: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: one for key, one in value.items() if key != name}


def _refused(target: Target, form: dict[str, Any]) -> None:
    assert 400 <= target.ask("input", context={"form": form}).status_code < 500, form


def test_a_form_is_declared_in_the_context(target: Target) -> None:
    for form in (FORM, STEPS, CONDITIONAL):
        assert form == target.open("input", context={"form": form})["context"]["form"]


@pytest.mark.parametrize("name", ["key", "label", "type"])
def test_a_field_needs_its_key_label_and_type(target: Target, name: str) -> None:
    _refused(target, {"fields": [_without(CITY, name)]})


def test_a_field_of_choices_needs_its_options(target: Target) -> None:
    for kind in ("select", "multiselect"):
        _refused(target, {"fields": [CITY | {"type": kind}]})


def test_a_step_needs_its_title(target: Target) -> None:
    _refused(target, {"steps": [_without(STEPS["steps"][0], "title")]})


def test_a_step_needs_its_fields(target: Target) -> None:
    _refused(target, {"steps": [STEPS["steps"][0], _without(STEPS["steps"][1], "fields")]})


def test_steps_and_fields_exclude_each_other(target: Target) -> None:
    _refused(target, FORM | STEPS)


def test_the_value_of_a_hidden_field_is_left_out(target: Target) -> None:
    case = target.open("input", context={"form": CONDITIONAL})
    assert 200 == target.submit(case, "submit", {"kind": "part", "salary": 50_000}).status_code
    assert {"kind": "part"} == target.ended(case, "completed")["result"]["data"]
    case = target.open("input", context={"form": CONDITIONAL})
    assert 200 == target.submit(case, "submit", {"kind": "full", "salary": 50_000}).status_code
    assert {"kind": "full", "salary": 50_000} == target.ended(case, "completed")["result"]["data"]


def test_what_was_filled_in_is_kept_by_the_service(target: Target) -> None:
    case = target.open("input", context={"form": STEPS})
    target.saves(case, {"city": "Lyon"})
    assert "Lyon" in target.visit(case).text, "another visit, from another browser, goes on where the first stopped"
    assert "completed" != target.state(case)["status"]


def test_a_custom_type_begins_with_x(target: Target) -> None:
    case = target.open("x-myservice-comparison")
    assert "x-myservice-comparison" == case["type"]
    assert 200 == target.visit(case).status_code
    assert 400 <= target.ask("comparison").status_code < 500
