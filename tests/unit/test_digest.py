"""Canonical JSON: one value, one text, one digest, whatever order it came in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.digest import canonical, digest, sha256_hex
from core.errors import InvalidInput
from core.strictjson import MAX_INTEGER

TEXT = st.text(max_size=8)  # without surrogates, as is the default
SCALARS = (
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT | st.floats(-1e15, 1e15, allow_nan=False)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


def turned_round(value: Any) -> Any:
    """The same value with the keys of every object in the opposite order."""
    if isinstance(value, dict):
        return {key: turned_round(value[key]) for key in reversed(list(value))}
    if isinstance(value, list):
        return [turned_round(item) for item in value]
    return value


@given(VALUES)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    assert canonical(value) == canonical(turned_round(value))


@given(VALUES)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    written = canonical(value)
    assert value == json.loads(written)
    assert written == canonical(json.loads(written))


@given(VALUES, VALUES)
def test_two_values_share_a_digest_only_when_they_are_equal(one: Any, other: Any) -> None:
    if canonical(one) != canonical(other):
        assert digest(one) != digest(other)


def test_the_example_of_rfc_8785() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert expected.encode() == canonical(value)


def test_keys_are_sorted_by_utf_16_units() -> None:
    assert '{"\U0001f600":1,"\ufb33":2}'.encode() == canonical({"\ufb33": 2, "\U0001f600": 1})


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), 2**53, -(2**53), "\ud800", {"\ud800": 1}, {1: 2}, b"bytes", {"a": {1, 2}}],
    ids=repr,
)  # fmt: skip
def test_what_json_cannot_carry_exactly_is_invalid_input(value: Any) -> None:
    with pytest.raises(InvalidInput):
        canonical(value)


def test_endless_nesting_is_invalid_input() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidInput):
        canonical(value)


def test_a_digest_names_its_algorithm() -> None:
    assert "sha256:" + sha256_hex(b"{}") == digest({})
    assert "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" == sha256_hex(b"{}")
