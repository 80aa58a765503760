"""What is sealed comes back whole or not at all; keys can be rotated."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sealing import KeyRing, Unsealable

OLD, NEW = "the secret of last year", "the secret of this year"
RING = KeyRing([NEW])
TEXT = st.text(max_size=100)


@given(TEXT, TEXT)
def test_what_was_sealed_comes_back(text: str, about: str) -> None:
    assert text == RING.unseal(RING.seal(text, about=about), about=about)


def test_the_same_text_is_never_sealed_the_same_way() -> None:
    assert 100 == len({RING.seal("token", about="case") for _ in range(100)})


@given(st.data())
def test_a_sealed_text_with_one_character_changed_raises(data: st.DataObject) -> None:
    sealed = RING.seal("a review token", about="review_1")
    at = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(exclude_categories=()).filter(lambda char: char != sealed[at]))
    with pytest.raises(Unsealable):
        RING.unseal(sealed[:at] + other + sealed[at + 1 :], about="review_1")


@given(st.data())
def test_a_sealed_text_with_something_put_in_or_cut_off_raises(data: st.DataObject) -> None:
    sealed = RING.seal("a review token", about="review_1")
    at = data.draw(st.integers(0, len(sealed)))
    more = data.draw(st.text(min_size=1, max_size=5))
    with pytest.raises(Unsealable):
        RING.unseal(sealed[:at] + more + sealed[at:], about="review_1")
    if at < len(sealed):
        with pytest.raises(Unsealable):
            RING.unseal(sealed[:at], about="review_1")


@given(st.text(st.characters(exclude_categories=()), max_size=80), st.booleans())
def test_any_text_unseals_or_raises_unsealable(text: str, with_our_key: bool) -> None:
    key_id = RING.seal("x", about="y").partition(".")[0]
    with pytest.raises(Unsealable):
        RING.unseal(f"{key_id}.{text}" if with_our_key else text, about="y")


def test_a_sealed_text_cannot_be_moved_to_another_row() -> None:
    sealed = RING.seal("token", about="review_1:review")
    with pytest.raises(Unsealable):
        RING.unseal(sealed, about="review_2:review")


def test_after_a_rotation_old_texts_open_and_new_ones_use_the_new_key() -> None:
    sealed = KeyRing([OLD]).seal("token", about="row")
    rotated = KeyRing([NEW, OLD])
    assert "token" == rotated.unseal(sealed, about="row")
    assert "token" == KeyRing([NEW]).unseal(rotated.seal("token", about="row"), about="row")


def test_once_the_old_key_is_gone_its_texts_say_so() -> None:
    sealed = KeyRing([OLD]).seal("token", about="row")
    with pytest.raises(Unsealable) as caught:
        KeyRing([NEW]).unseal(sealed, about="row")
    assert sealed.partition(".")[0] == caught.value.details["key_id"]


def test_the_key_id_of_another_key_does_not_help() -> None:
    old, new = KeyRing([OLD]).seal("token", about="row"), KeyRing([NEW]).seal("token", about="row")
    forged = old.partition(".")[0] + "." + new.partition(".")[2]
    with pytest.raises(Unsealable):
        KeyRing([NEW, OLD]).unseal(forged, about="row")


def test_a_sealed_text_does_not_show_what_it_holds() -> None:
    sealed = RING.seal("a secret token", about="row")
    assert b"secret" not in base64.urlsafe_b64decode(sealed.partition(".")[2])
    assert NEW not in sealed


def test_a_signature_holds_for_its_message_and_key_only() -> None:
    key_id, signature = RING.sign(b"head")
    assert RING.signed(b"head", key_id, signature) is True
    assert RING.signed(b"tail", key_id, signature) is False
    assert RING.signed(b"head", key_id, "00" * 64) is False
    assert RING.signed(b"head", key_id, "no hex") is False
    assert RING.signed(b"head", "another key", signature) is None


def test_seals_signed_before_a_rotation_can_still_be_checked() -> None:
    key_id, signature = KeyRing([OLD]).sign(b"head")
    assert KeyRing([NEW, OLD]).signed(b"head", key_id, signature) is True
    assert KeyRing([NEW]).signed(b"head", key_id, signature) is None


@pytest.mark.parametrize("secrets", [[], ["short"], [NEW, "short"]])
def test_a_ring_needs_secrets_that_are_long_enough(secrets: list[str]) -> None:
    with pytest.raises(ValueError):
        KeyRing(secrets)
