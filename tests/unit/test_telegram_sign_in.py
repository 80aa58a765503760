"""Who opened a Mini App, by the initData that Telegram signed; vectors are made by the published algorithm."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from adapters.telegram.sign_in import TelegramSignIn
from core.model import Identity
from core.ports import MiniAppSignIn
from tests.support.evidence import BOT_TOKEN, init_data

MADE_AT = 1_800_000_000


def at(seconds: float) -> MiniAppSignIn:
    """Asked so long after Telegram signed it."""
    return TelegramSignIn(BOT_TOKEN, clock=lambda: MADE_AT + seconds)


def test_whom_telegram_signed_for_a_moment_ago_is_signed_in_by_number_and_name() -> None:
    assert Identity("telegram", "1001", "Ада Б=&\n%", verified=True) == at(1).identity(init_data())


@pytest.mark.parametrize(("age", "counts"), [(-61, False), (-60, True), (0, True), (600, True), (601, False)])
def test_it_counts_for_ten_minutes(age: float, counts: bool) -> None:
    assert counts == (at(age).identity(init_data()) is not None)


def tampered(**changes: str) -> str:
    return urlencode(dict(parse_qsl(init_data(), keep_blank_values=True)) | changes)


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "hash=",
        "user=%7B%22id%22%3A1001%7D",
        "x" * 20_000,
        init_data(token="123456789:another-bot"),
        tampered(hash="0" * 64),
        tampered(hash="ü" * 64),
        tampered(user='{"id":1002,"first_name":"Mallory"}'),
        tampered(auth_date="1800000001"),
        init_data() + "&user=%7B%22id%22%3A1002%7D",
    ],
)
def test_what_telegram_did_not_sign_signs_nobody_in(forged: str) -> None:
    assert at(1).identity(forged) is None


@pytest.mark.parametrize(
    "user",
    [
        {"id": 1087968824, "first_name": "Group"},
        {"id": 5, "first_name": "A bot", "is_bot": True},
        {"id": "1001", "first_name": "A text"},
        {"id": True, "first_name": "A truth"},
        [],
        None,
    ],
)
def test_what_is_no_person_is_not_signed_in(user: Any) -> None:
    assert at(1).identity(init_data(user=json.dumps(user))) is None


def test_a_person_whose_name_is_strange_has_at_least_a_number() -> None:
    found = at(1).identity(init_data(user='{"id":7,"first_name":["x"]}'))
    assert Identity("telegram", "7", None, verified=True) == found
