"""Identifiers and secrets."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from core.tokens import new_api_key, new_id, new_token, same, token_hash

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def test_an_id_is_a_prefix_and_128_random_bits() -> None:
    assert re.fullmatch(r"review_[A-Za-z0-9_-]{22}", new_id("review_"))
    assert 1_000 == len({new_id() for _ in range(1_000)})


def test_a_secret_has_256_random_bits() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", new_token())
    assert re.fullmatch(r"ak_[A-Za-z0-9_-]{43}", new_api_key())
    assert 1_000 == len({new_token() for _ in range(1_000)})


def test_what_is_kept_of_a_secret_is_its_sha_256() -> None:
    assert "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" == token_hash("abc")


@given(ANY_TEXT)
def test_any_text_can_be_hashed_and_compared(text: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", token_hash(text))
    assert same(text, text)


@given(ANY_TEXT, ANY_TEXT)
def test_two_texts_are_the_same_only_when_they_are_equal(one: str, other: str) -> None:
    assert (one == other) is same(one, other)
    assert (one == other) is (token_hash(one) == token_hash(other))
