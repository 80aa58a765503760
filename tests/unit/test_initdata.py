"""The signed initData of Telegram's Mini Apps, with vectors made here by the published algorithm."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest

from adapters.telegram.initdata import InitDataVerifier, start_param
from core.verification import Evidence, Expected, Verified
from tests.support.evidence import BOT_TOKEN, USER, init_data

CASE = "review_Rb3wq0cUQ4yC-9dRkXh2_A"
EXPECTED = Expected(CASE, "approve", "a challenge")
DATA = init_data(start_param=CASE)


async def verified(presentation: Any, expected: Expected = EXPECTED) -> Verified | str:
    evidence = Evidence("proof_of_human", "telegram", "provider_opaque", presentation, {})
    return await InitDataVerifier(BOT_TOKEN).verify(evidence, expected)


async def test_what_telegram_signed_proves_who_when_and_for_which_case() -> None:
    found = await verified(DATA)
    assert isinstance(found, Verified)
    assert ("1001", 1_800_000_000_000, "medium") == (found.subject, found.proved_at, found.assurance)
    assert (True, False) == (found.bound_to_case, found.bound_to_action)
    assert found == await verified({"init_data": DATA})


async def test_the_action_is_bound_only_by_a_link_made_for_it() -> None:
    data = init_data(start_param=start_param(CASE, "approve", "a challenge"))
    found = await verified(data)
    assert isinstance(found, Verified)
    assert (True, True) == (found.bound_to_case, found.bound_to_action)
    for other in (
        Expected(CASE, "reject", "a challenge"),
        Expected(CASE, "approve", "another challenge"),
        Expected(CASE[:-1] + "B", "approve", "a challenge"),
    ):
        wrong = await verified(data, other)
        assert isinstance(wrong, Verified)
        assert (False, False) == (wrong.bound_to_case, wrong.bound_to_action)


@pytest.mark.parametrize("started", [None, "", "another", CASE + "-", CASE.lower()])
async def test_without_the_case_in_the_link_nothing_is_bound(started: str | None) -> None:
    found = await verified(init_data(start_param=started))
    assert isinstance(found, Verified)
    assert (False, False) == (found.bound_to_case, found.bound_to_action)


def tampered(**changes: str) -> str:
    return urlencode(dict(parse_qsl(DATA, keep_blank_values=True)) | changes)


@pytest.mark.parametrize(
    "forged",
    [
        tampered(auth_date="1900000000"),
        tampered(start_param="another"),
        tampered(user=json.dumps(USER | {"id": 1002})),
        tampered(extra="1"),
        tampered(hash="0" * 64),
        tampered(hash=""),
        tampered(signature="another"),
        init_data(start_param=CASE, token="123456789:AAF-another-token"),
        DATA.replace("hash=", "hush="),
    ],
)
async def test_what_telegram_did_not_sign_for_this_bot_is_refused(forged: str) -> None:
    assert isinstance(await verified(forged), str)


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "&",
        "hash",
        {},
        {"init_data": 3},
        {"init_data": None},
        "x" * 20_000,
        DATA + "&auth_date=1",
        "%ff=1&hash=2",
        init_data(start_param=CASE, user="{"),
        init_data(start_param=CASE, user="[1]"),
        init_data(start_param=CASE, user=json.dumps({"id": "1001"})),
        init_data(start_param=CASE, user=json.dumps(USER | {"is_bot": True})),
        init_data(start_param=CASE, user="[" * 10_000),
        init_data(start_param=CASE, user=None),
        init_data(start_param=CASE, auth_date=None),
        init_data(start_param=CASE, auth_date="-1"),
        init_data(start_param=CASE, auth_date="١٢٣"),
        init_data(start_param=CASE, auth_date="1\nstart_param=" + CASE),
    ],
)
async def test_nonsense_is_refused_in_words(nonsense: Any) -> None:
    found = await verified(nonsense)
    assert isinstance(found, str)
    assert "123456789" not in found


async def test_the_same_proof_is_the_same_however_it_is_spelled() -> None:
    data = DATA
    pairs = parse_qsl(data, keep_blank_values=True)
    again = urlencode(list(reversed(pairs)))
    spelled = data.replace("a", "%61", 1)
    found = [await verified(one) for one in (data, again, spelled, {"init_data": data})]
    assert all(isinstance(one, Verified) for one in found)
    assert 1 == len({one.proof_id for one in found if isinstance(one, Verified)})
    later = await verified(init_data(start_param=CASE, auth_date="1800000001"))
    assert isinstance(later, Verified)
    assert isinstance(found[0], Verified)
    assert later.proof_id != found[0].proof_id


def test_a_start_parameter_is_one_that_telegram_takes() -> None:
    found = start_param(CASE, "x-very_long-action" * 20, "ch\n" * 200)
    assert len(found) <= 512
    assert set(found) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
