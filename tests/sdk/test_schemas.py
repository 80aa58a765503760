"""The SDK's reading of JSON Schemas against the reference implementation, as far as forms go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from assent import BadReply, Gate
from assent.gates import reply_of
from assent.schemas import problems

PROPERTIES: dict[str, Any] = {
    "text": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "a|b"},
    "whole": {"type": "integer", "minimum": -1, "maximum": 2},
    "number": {"type": "number", "minimum": 0.5},
    "yes": {"type": "boolean"},
    "choice": {"$ref": "#/$defs/Choice"},
    "always": {"const": "a"},
    "many": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True},
    "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
    "one": {"oneOf": [{"type": "number", "maximum": 1}, {"type": "number", "minimum": 1}]},
    "both": {"allOf": [{"type": "string"}, {"minLength": 2}]},
    "either": {"type": ["string", "null"]},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": PROPERTIES,
    "required": ["text"],
    "$defs": {"Choice": {"enum": ["a", "b"], "type": "string"}},
}
SCALARS = st.sampled_from([None, True, False, -2, -1, 0, 0.5, 1, 1.0, 2, 2.5, 3, "", "a", "b", "c", "ab", "aaaa"])
VALUES = st.dictionaries(
    st.sampled_from([*PROPERTIES, "unknown"]), SCALARS | st.lists(st.sampled_from(["a", "b", "c", 1]), max_size=3)
)


@given(values=VALUES, closed=st.booleans())
def test_what_fits_a_schema_is_what_the_reference_says(values: dict[str, Any], closed: bool) -> None:
    schema = SCHEMA | ({"additionalProperties": False} if closed else {})
    assert Draft202012Validator(schema).is_valid(values) == (not any(problems(schema, values)))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "payload.text is missing"),
        ({"text": "a", "whole": 1.5}, "payload.whole must be of type integer"),
        ({"text": "a", "whole": 3}, "payload.whole is out of range"),
        ({"text": "aaaa"}, "payload.text is too short or too long"),
        ({"text": "c"}, "payload.text is not of its form"),
        ({"text": "a", "choice": "c"}, 'payload.choice must be one of ["a", "b"]'),
        ({"text": "a", "many": ["a", "c"]}, 'payload.many[1] must be one of ["a", "b"]'),
    ],
)
def test_what_does_not_fit_is_said_with_its_place(values: dict[str, Any], words: str) -> None:
    assert words == next(problems(SCHEMA, values))


def test_a_reply_is_held_against_the_schema_once_more() -> None:
    moment = "2026-01-01T00:00:00Z"

    def ended(payload: dict[str, Any]) -> Gate:
        result = {"state": "RECEIVED", "payload": payload, "interaction_id": "int_1", "at": moment}
        about = {"workflowID": "wf_1", "gateKey": "g", "state": "RECEIVED", "withdrawn": False, "caseId": "review_1"}
        shown = {"prompt": "?", "contentDigest": "d", "createdAt": moment, "expiresAt": moment}
        return Gate.model_validate(about | shown | {"result": result})

    with pytest.raises(BadReply, match=r"payload\.whole is out of range"):
        reply_of(ended({"text": "a", "whole": 3}), SCHEMA)
    assert {"text": "a"} == reply_of(ended({"text": "a", "whole": None}), SCHEMA).payload, "left out, so not wrong"
