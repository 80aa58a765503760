"""Alike cases answered together: each was shown whole, each answer is one of its own, and each outcome is said."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.inbox.bulk import MOST
from core.model import Opened, Policy
from core.states import Status
from tests.support.inbox import BEN, EVE, INBOX, NAMED, answered, asked, signed, signed_in
from tests.support.review_page import Desk, desk, words_of

TOGETHER = f"{INBOX}/together"
TREE = {"deep": {"deeper": {f"key {n}": f"value {n}" for n in range(40)}}}


@pytest.fixture(name="found")
async def found_fixture(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as found:
        yield found


@pytest.fixture(name="here")
async def here_fixture(sqlite_url: str) -> AsyncIterator[Desk]:
    """For what says nothing of a database."""
    async with desk(sqlite_url) as found:
        yield found


async def refunds(found: Desk, count: int = 3, **more: Any) -> list[Opened]:
    return [await asked(found, f"Refund order {1000 + n}?", context={"order": n}, **more) for n in range(count)]


async def shown(client: httpx.AsyncClient, *opened: Opened) -> httpx.Response:
    return await client.get(TOGETHER, params={"case": [one.case.case_id for one in opened]})


def form_of(page: httpx.Response, **more: Any) -> dict[str, Any]:
    """What the page's form posts with everything taken."""
    digests = dict(re.findall(r'name="(digest\.[^"]+)" value="([^"]+)"', page.text))
    return {
        "signed": signed(page.text),
        "take": re.findall(r'name="take" value="([^"]+)"', page.text),
        **digests,
    } | more


def results(page: httpx.Response) -> list[str]:
    return [words_of(one) for one in re.findall(r'<li class="result.*?</li>', page.text, re.DOTALL)]


async def statuses(found: Desk, opened: list[Opened]) -> list[Status]:
    return [(await found.case(one)).status for one in opened]


async def test_each_of_them_becomes_a_reply_of_its_own(found: Desk) -> None:
    opened = await refunds(found)
    async with signed_in(found) as client:
        page = await shown(client, *opened)
        assert "Approve the selected (3)" in page.text
        done = await client.post(TOGETHER, data=form_of(page, do="approve"))
    assert "3 of 3 recorded" in words_of(done.text)
    assert [True] * 3 == ["Approved" in one for one in results(done)]
    assert [Status.COMPLETED] * 3 == await statuses(found, opened)
    cases = [await found.case(one) for one in opened]
    assert ["UADA"] * 3 == [(case.answered or {})["by"]["platform_user_id"] for case in cases]


async def test_every_item_is_shown_whole_with_its_digest(here: Desk) -> None:
    long = [
        await asked(here, f"Run number {n}? " + "All of it. " * 60, context=TREE, message="m" * 3000) for n in range(2)
    ]
    async with signed_in(here) as client:
        page = (await shown(client, *long)).text
    for one in long:
        assert one.case.content_digest in page
        assert one.case.prompt.strip() in page
    assert 2 * 40 == len(re.findall(r"value \d+", page))
    assert not re.search(r"<details(?! open| class=\"source)", page), "something is folded away"


async def test_one_that_fails_stops_none_of_the_others_and_each_outcome_is_said(found: Desk) -> None:
    """Decided meanwhile, withdrawn, expired, changed: none of these is answered, and the others are."""
    opened = [*await refunds(found, 5), await asked(found, "Refund order 1?", context={"order": 9}, timeout_ms=60_000)]
    good, decided, withdrawn, altered, other, late = opened
    async with signed_in(found) as client:
        page = await shown(client, *opened)
        form = form_of(page, do="approve")
        form[f"digest.{altered.case.case_id}"] = "sha256:" + "0" * 64
        await answered(found, decided, BEN, "reject")
        await found.services.gate.cancel(found.principal, withdrawn.case.case_id, None)
        found.clock.offset += 60_000
        done = await client.post(TOGETHER, data=form)
    assert "2 of 6 recorded" in words_of(done.text)
    said = dict(zip([one.case.prompt for one in opened], results(done), strict=True))
    assert "Already decided by Ben Ode" in said[decided.case.prompt]
    assert "Withdrawn meanwhile" in said[withdrawn.case.prompt]
    assert "content has changed" in said[altered.case.prompt]
    assert "deadline has passed" in said[late.case.prompt]
    assert [Status.COMPLETED] * 2 == await statuses(found, [good, other])
    assert {"action": "reject", "data": {}} == (await found.case(decided)).result


async def test_what_was_not_shown_is_not_answered(here: Desk) -> None:
    opened = await refunds(here, 3)
    async with signed_in(here) as client:
        form = form_of(await shown(client, *opened[:2]), do="approve")
        form["take"] = [one.case.case_id for one in opened]
        done = await client.post(TOGETHER, data=form)
    assert "2 of 3 recorded" in words_of(done.text)
    assert (await here.case(opened[2])).result is None


async def test_what_was_taken_out_stays_open(here: Desk) -> None:
    opened = await refunds(here, 2)
    async with signed_in(here) as client:
        page = await shown(client, *opened)
        await client.post(TOGETHER, data=form_of(page, do="reject", take=[opened[0].case.case_id], reason="Twice paid"))
    assert [Status.COMPLETED, Status.PENDING] == await statuses(here, opened)
    assert "Twice paid" == ((await here.case(opened[0])).answered or {})["reason"]


async def test_only_what_asks_the_same_is_taken_together(here: Desk) -> None:
    first, second = await refunds(here, 2)
    others = [
        await asked(here, "Confirm?", case_type="confirmation"),
        await asked(here, "Another shape?", context={"host": "north"}),
        await asked(here, "Which?", case_type="selection", context={"items": ["a", "b"]}),
        await asked(here, "Foreign?", policy=Policy(any_of=(BEN.address,))),
    ]
    async with signed_in(here) as client:
        page = await shown(client, first, second, *others)
        assert "Review 2 together" in words_of(page.text)
        assert "It asks for more than a yes or no." in page.text
        assert 2 == page.text.count("It asks something else than the first one.")
        assert "Foreign?" not in page.text
        whole = form_of(page, do="approve")
        whole["take"] = [one.case.case_id for one in (first, second, *others)]
        whole |= {f"digest.{one.case.case_id}": one.case.content_digest for one in others}
        done = await client.post(TOGETHER, data=whole)
    assert "2 of 6 recorded" in words_of(done.text)
    assert [Status.PENDING] * 4 == await statuses(here, others)


async def test_no_more_than_fifty_at_once(here: Desk) -> None:
    opened = await refunds(here, MOST + 2)
    async with signed_in(here) as client:
        page = await shown(client, *opened)
        assert (MOST, 2) == (page.text.count('name="take"'), page.text.count(f"No more than {MOST}"))
        form = form_of(page, do="approve")
        form["take"] = [one.case.case_id for one in opened]
        form |= {f"digest.{one.case.case_id}": one.case.content_digest for one in opened}
        await client.post(TOGETHER, data=form)
    assert [MOST, 2] == [(await statuses(here, opened)).count(one) for one in (Status.COMPLETED, Status.PENDING)]


async def test_a_refusal_that_needs_a_reason_gets_one_or_nothing_happens(here: Desk) -> None:
    opened = await refunds(here, 2)
    here.alter("UPDATE cases SET terms = json_set(terms, '$.ask_reason', json('true'))")
    async with signed_in(here) as client:
        page = await shown(client, *opened)
        assert "A refusal needs one here." in page.text
        again = await client.post(TOGETHER, data=form_of(page, do="reject"))
        assert (400, [Status.PENDING] * 2) == (again.status_code, await statuses(here, opened))
        await client.post(TOGETHER, data=form_of(again, do="reject", reason="Twice paid"))
    assert [Status.COMPLETED] * 2 == await statuses(here, opened)
    assert {"Twice paid"} == {((await here.case(one)).answered or {})["reason"] for one in opened}


async def test_what_asks_for_a_proof_is_answered_by_itself(here: Desk) -> None:
    opened = await refunds(here, 2)
    policy = json.dumps({"mode": "required"})
    here.alter(f"UPDATE cases SET terms = json_set(terms, '$.verification_policy', json('{policy}'))")
    async with signed_in(here) as client:
        page = await shown(client, *opened)
    assert (0, 2) == (page.text.count('name="take"'), page.text.count("It asks for a proof of who you are"))


async def test_votes_are_counted_and_more_people_are_waited_for(here: Desk) -> None:
    opened = await refunds(here, 2, policy=Policy(any_of=NAMED.any_of, quorum=2))
    async with signed_in(here) as client:
        done = await client.post(TOGETHER, data=form_of(await shown(client, *opened), do="approve"))
    assert 2 == done.text.count("more people have to answer")
    assert [Status.IN_PROGRESS] * 2 == await statuses(here, opened)


async def test_a_form_of_another_session_or_site_answers_nothing(here: Desk) -> None:
    opened = await refunds(here, 2)
    async with signed_in(here) as ada, signed_in(here, BEN) as ben, signed_in(here, EVE) as eve:
        form = form_of(await shown(ada, *opened), do="approve")
        for client in (ben, eve):
            assert 403 == (await client.post(TOGETHER, data=form)).status_code
        cross = await ada.post(TOGETHER, data=form, headers={"Sec-Fetch-Site": "cross-site"})
        assert 403 == cross.status_code
        own = form | {"signed": signed((await eve.get(INBOX)).text)}
        assert "0 of 2 recorded" in words_of((await eve.post(TOGETHER, data=own)).text)
    assert [Status.PENDING] * 2 == await statuses(here, opened)


async def test_all_that_ask_the_same_are_one_link_away(here: Desk) -> None:
    await refunds(here, 4)
    async with signed_in(here) as client:
        page = await client.get(INBOX)
        (alike,) = re.findall(r'name="alike" value="([0-9a-f]+)"', page.text)
        assert "Review 4 together" in page.text
        assert 4 == (await client.get(TOGETHER, params={"alike": alike})).text.count('name="take"')


async def test_the_same_form_sent_twice_answers_once(found: Desk) -> None:
    opened = await refunds(found, 2)
    async with signed_in(found) as client:
        form = form_of(await shown(client, *opened), do="approve")
        await client.post(TOGETHER, data=form)
        again = await client.post(TOGETHER, data=form)
    assert 2 == again.text.count("Already decided by Ada Park")
