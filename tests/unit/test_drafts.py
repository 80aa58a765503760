"""What is fetched for a field becomes what its control would post, or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from api.review.drafts import fetched_value

CHOICES = [{"value": "a", "label": "A"}, {"value": "7", "label": "Seven"}]


def field(kind: str, **more: Any) -> dict[str, Any]:
    return {"key": "x", "label": "X", "type": kind} | more


@pytest.mark.parametrize(
    ("asked", "body", "found"),
    [
        (field("text"), "north", ["north"]),
        (field("text"), ' "north"\n', ["north"]),
        (field("text"), '{"value": "north"}', ["north"]),
        (field("text"), "007", ["007"]),
        (field("text"), "1.50", ["1.50"]),
        (field("text"), '{"value": 1.5}', ["1.5"]),
        (field("text"), "true", ["true"]),
        (field("number"), "1.50", ["1.5"]),
        (field("number"), '{"value": 3}', ["3"]),
        (field("number"), "three", None),
        (field("number", validation={"max": 2}), "3", None),
        (field("boolean"), "true", ["true"]),
        (field("boolean"), '{"value": false}', ["false"]),
        (field("date"), "2026-02-21", ["2026-02-21"]),
        (field("select", options=CHOICES), "7", ["7"]),
        (field("select", options=CHOICES), "b", None),
        (field("multiselect", options=CHOICES), '["a", "7"]', ["a", "7"]),
        (field("multiselect", options=CHOICES), "[]", None),
        (field("x-colour"), "#0b5d55", ["#0b5d55"]),
        (field("text"), "", None),
        (field("text"), "null", None),
        (field("text"), '{"other": 1}', None),
        (field("text"), "a\x00b", None),
        (field("text"), "[" * 100_000, None),
        (field("text"), b"\xff", None),
    ],
)
def test_a_fetched_value_is_what_the_field_can_hold(asked: dict[str, Any], body: Any, found: list[str] | None) -> None:
    assert found == fetched_value(asked, body if isinstance(body, bytes) else body.encode())
