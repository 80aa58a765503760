"""A gate's own schema becomes a form; what a form cannot keep to is refused."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from core.errors import InvalidInput
from core.forms import check_answers, check_form
from core.gate_answers import form_of


class PlanApproval(BaseModel):
    """As an agent would write it."""

    choice: Literal["yes", "no"] = Field(title="Go?", description="Read the plan first.")
    replicas: int = Field(ge=1, le=9)
    share: float | None = None
    tags: list[Literal["a", "b"]] = []
    note: str | None = Field(None, max_length=100)
    urgent: bool = False


def test_a_pydantic_model_is_a_form_that_takes_its_instances() -> None:
    form, integers = form_of(PlanApproval.model_json_schema())
    check_form({"form": form})
    kinds = {field["key"]: field["type"] for field in form["fields"]}
    assert {
        "choice": "select", "replicas": "number", "share": "number", "tags": "multiselect", "note": "text",
        "urgent": "boolean",
    } == kinds  # fmt: skip
    assert ["replicas"] == integers
    assert ["choice", "replicas"] == [field["key"] for field in form["fields"] if field.get("required")]
    answer = PlanApproval(choice="yes", replicas=2, tags=["a"], note="fine").model_dump(exclude_none=True)
    assert answer == check_answers({"form": form}, answer)


def test_a_pattern_is_looked_for_anywhere_as_json_schema_says() -> None:
    form, _ = form_of({"type": "object", "properties": {"a": {"type": "string", "pattern": "b"}}})
    assert {"a": "abc"} == check_answers({"form": form}, {"a": "abc"})
    with pytest.raises(InvalidInput):
        check_answers({"form": form}, {"a": "ac"})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}},
        {"type": "object", "properties": {"a": {"not": {}}}},
        {"type": "object", "properties": {"a": {"type": "string", "format": []}}, "if": {}},
        {"type": "object", "properties": {"a": {"enum": [1, 2]}}},
        {"type": "object", "properties": {"a": {"enum": []}}},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}, {"minLength": 1}]}}},
        {"type": "object", "properties": {"a": {"$ref": "https://elsewhere.example/schema"}}},
        {"type": "object", "properties": {"a": {"$ref": 7}}},
        {"type": "object", "properties": {"a": {"anyOf": 7}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": "a"},
        {"$ref": "#/$defs/A", "$defs": 7},
        {"type": "object", "properties": []},
    ],
)
def test_what_a_form_cannot_keep_to_is_refused(schema: dict[str, Any]) -> None:
    def taken() -> None:
        form, _ = form_of(schema)
        check_form({"form": form})  # the case looks at the form again

    with pytest.raises(InvalidInput):
        taken()
