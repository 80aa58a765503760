"""JSON Patches are applied as RFC 6902 says, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.diff import json_patch
from core.jsonpatch import BadPatch, applied, pointer

DOCUMENT = {"a": {"b": [1, 2, 3]}, "c/d": "x", "m~n": None, "": 0}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/e", "value": 1}, DOCUMENT | {"e": 1}),
        ({"op": "add", "path": "/a/b/-", "value": 4}, DOCUMENT | {"a": {"b": [1, 2, 3, 4]}}),
        ({"op": "add", "path": "/a/b/0", "value": 0}, DOCUMENT | {"a": {"b": [0, 1, 2, 3]}}),
        ({"op": "add", "path": "/a/b/3", "value": 4}, DOCUMENT | {"a": {"b": [1, 2, 3, 4]}}),
        ({"op": "add", "path": "/a", "value": 1}, DOCUMENT | {"a": 1}),
        ({"op": "remove", "path": "/a/b/1"}, DOCUMENT | {"a": {"b": [1, 3]}}),
        ({"op": "replace", "path": "/c~1d", "value": "y"}, DOCUMENT | {"c/d": "y"}),
        ({"op": "replace", "path": "/m~0n", "value": 7}, DOCUMENT | {"m~n": 7}),
        ({"op": "replace", "path": "/", "value": 1}, DOCUMENT | {"": 1}),
        ({"op": "replace", "path": "", "value": "all"}, "all"),
        ({"op": "copy", "from": "/a/b/0", "path": "/a/b/-"}, DOCUMENT | {"a": {"b": [1, 2, 3, 1]}}),
        ({"op": "move", "from": "/a/b/0", "path": "/a/b/2"}, DOCUMENT | {"a": {"b": [2, 3, 1]}}),
        ({"op": "move", "from": "/a", "path": "/a"}, DOCUMENT),
        ({"op": "test", "path": "/a/b/1", "value": 2.0}, DOCUMENT),
    ],
)
def test_each_operation_does_what_it_says_and_leaves_what_it_was_given(
    operation: dict[str, Any], expected: object
) -> None:
    before = repr(DOCUMENT)
    assert expected == applied(DOCUMENT, [operation])
    assert before == repr(DOCUMENT)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "/a/b/4", "value": 1},
        {"op": "add", "path": "/a/b/01", "value": 1},
        {"op": "add", "path": "/a/b/-1", "value": 1},
        {"op": "add", "path": "/x/y", "value": 1},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "/a"},
        {"op": "add", "path": "/c~1d/0", "value": 1},
        {"op": "remove", "path": "/a/b/-"},
        {"op": "remove", "path": "/none"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "replace", "path": "/a~2", "value": 1},
        {"op": "move", "from": "/a", "path": "/a/b/0"},
        {"op": "copy", "from": "/none", "path": "/e"},
        {"op": "test", "path": "/a/b/1", "value": True},
        {"op": "test", "path": "/a/b/0", "value": "1"},
        {"op": "invent", "path": "/a"},
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(operation: dict[str, Any]) -> None:
    with pytest.raises(BadPatch):
        applied(DOCUMENT, [operation])


def test_an_empty_pointer_is_the_whole_and_a_slash_is_the_nameless() -> None:
    assert ((), ("",), ("a", "b/c", "~1")) == (pointer(""), pointer("/"), pointer("/a/b~1c/~01"))


@given(VALUES, VALUES)
def test_the_patches_of_the_decision_event_lead_from_one_value_to_the_other(before: object, after: object) -> None:
    patch = json_patch("b", before, after)["patch"]
    assert repr(after) == repr(applied(before, patch)) or after == applied(before, patch)
