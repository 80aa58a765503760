"""The review page with somebody signed in: it says so, and the answer counts as theirs, verified."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.errors import InvalidInput, NotAReviewer
from core.model import Address, Identity, Policy
from core.schedule import HOUR
from core.states import Status
from tests.support.inbox import ADA, BEN, EVE, INBOX, NAMED, answered, asked, signed, signed_in
from tests.support.review_page import Desk, browser, desk, form_of, link_of, path_of, words_of

MINE = "You answer as Ada Park (Slack)."


@pytest.fixture(name="found")
async def found_fixture(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as found:
        yield found


@pytest.fixture(name="here")
async def here_fixture(sqlite_url: str) -> AsyncIterator[Desk]:
    """For what says nothing of a database."""
    async with desk(sqlite_url) as found:
        yield found


async def form(client: httpx.AsyncClient) -> str:
    return signed((await client.get(INBOX)).text)


def repliers(found: Desk) -> list[dict[str, Any]]:
    """Who has answered, as the ledger has it."""
    return [
        json.loads(value) for row in found.rows()["human_interactions"] for value in row if '"platform"' in str(value)
    ]


async def test_a_named_reviewer_answers_on_the_page_as_themselves(found: Desk) -> None:
    opened = await asked(found)
    async with signed_in(found) as client:
        page = await client.get(link_of(opened))
        assert MINE in words_of(page.text)
        fields = form_of(opened, "approve", signed=signed(page.text))
        assert "Your answer is recorded" in (await client.post(path_of(opened), data=fields)).text
    case = await found.case(opened)
    assert (Status.COMPLETED, "UADA") == (case.status, (case.answered or {})["by"]["platform_user_id"])


async def test_the_ledger_says_that_a_messenger_vouched_for_them(here: Desk) -> None:
    opened = await asked(here)
    async with signed_in(here) as client:
        await client.post(path_of(opened), data=form_of(opened, "approve", signed=await form(client)))
    assert [("slack", "UADA", "T1", True)] == [
        (one["platform"], one["platform_user_id"], one["team"], one["verified"]) for one in repliers(here)
    ]


async def test_nobody_signed_in_is_told_how_to_and_decides_nothing(found: Desk) -> None:
    opened = await asked(found)
    async with browser(found) as client:
        said = words_of((await client.get(link_of(opened))).text)
        assert "You are not one of the reviewers of this case" in said
        assert "/assent inbox in Slack /web in Telegram" in said
        assert 403 == (await client.post(path_of(opened), data=form_of(opened, "approve"))).status_code
    assert (await found.case(opened)).result is None


async def test_whoever_may_answer_is_named_as_cards_name_them_and_by_address_where_nobody_knows_it(found: Desk) -> None:
    await found.services.groups.put(found.principal.tenant_id, "leads", (BEN.address,))
    opened = await asked(found, policy=Policy((ADA.address, BEN.address, EVE.address, "group:leads")))
    for known in (ADA, EVE):
        await found.services.people.seen(known)
    async with browser(found) as client:
        said = words_of((await client.get(link_of(opened))).text)
        spoken = words_of((await client.get(link_of(opened).replace("/en/", "/de/"))).text)
    who = "Ada Park (Slack) {or} slack:UBEN {or} Eve (Telegram) {or} {group} leads"
    assert who.format(**{"or": "or", "group": "the group"}) in said
    assert who.format(**{"or": "oder", "group": "die Gruppe"}) in spoken
    with pytest.raises(NotAReviewer, match=r"Ada Park \(Slack\) or slack:UBEN or Eve \(Telegram\)"):
        await answered(found, opened, replace(BEN, user_id="UDAN"))


async def test_a_reviewers_name_is_text_in_which_nothing_hides(here: Desk) -> None:
    await here.services.people.seen(replace(ADA, display_name="<b>Ada\u202e</b>\u0007"))
    opened = await asked(here)
    async with browser(here) as client:
        page = (await client.get(link_of(opened))).text
    assert "&lt;b&gt;Ada[U+202E]&lt;/b&gt;[U+0007] (Slack)" in page


async def test_a_person_who_is_not_named_may_look_and_not_answer(found: Desk) -> None:
    opened = await asked(found)
    async with signed_in(found, EVE) as client:
        page = await client.get(link_of(opened))
        assert "You cannot answer this" in words_of(page.text)
        fields = form_of(opened, "approve", signed=signed(page.text))
        assert 403 == (await client.post(path_of(opened), data=fields)).status_code
    assert (await found.case(opened)).result is None


async def test_whoever_asked_does_not_agree_with_themselves_signed_in(here: Desk) -> None:
    policy = Policy(any_of=(ADA.address, "link"), exclude_requester=True)
    opened = await asked(here, policy=policy, requested_by=ADA.address)
    async with signed_in(here) as client:
        assert "cannot be the one who agrees to it" in words_of((await client.get(link_of(opened))).text)
        fields = form_of(opened, "approve", signed=await form(client))
        assert 403 == (await client.post(path_of(opened), data=fields)).status_code


async def test_a_form_of_somebody_elses_session_records_nothing(found: Desk) -> None:
    opened = await asked(found)
    async with signed_in(found) as ada, signed_in(found, BEN) as ben:
        foreign = form_of(opened, "approve", signed=await form(ada))
        answer = await ben.post(path_of(opened), data=foreign)
        assert (403, True) == (answer.status_code, "no longer signed in as this page said" in words_of(answer.text))
        async with browser(found) as nobody:
            assert 403 == (await nobody.post(path_of(opened), data=foreign)).status_code
    assert (await found.case(opened)).result is None


async def test_a_page_of_before_the_sign_in_answers_as_it_said(here: Desk) -> None:
    """Whoever holds the link, that is; and never in the name of whoever has signed in meanwhile."""
    by_link = await asked(here, policy=Policy())
    named = await asked(here)
    async with signed_in(here) as client:
        assert 200 == (await client.post(path_of(by_link), data=form_of(by_link, "approve"))).status_code
        assert 403 == (await client.post(path_of(named), data=form_of(named, "approve"))).status_code
    assert ["link"] == [one["platform"] for one in repliers(here)]


async def test_another_web_site_answers_nothing_with_somebodys_cookie(here: Desk) -> None:
    opened = await asked(here)
    async with signed_in(here) as client:
        fields = form_of(opened, "approve", signed=await form(client))
        answer = await client.post(path_of(opened), data=fields, headers={"Sec-Fetch-Site": "cross-site"})
    assert (403, None) == (answer.status_code, (await here.case(opened)).result)


async def test_two_people_on_the_page_are_two_and_nobody_is_twice(found: Desk) -> None:
    opened = await asked(found, policy=Policy(any_of=NAMED.any_of, quorum=2))
    async with signed_in(found) as ada, signed_in(found, BEN) as ben:
        first = form_of(opened, "approve", signed=await form(ada))
        assert "More people have to answer" in (await ada.post(path_of(opened), data=first)).text
        assert "Your answer is recorded" in words_of((await ada.get(link_of(opened))).text)
        await ada.post(path_of(opened), data=first)
        assert (await found.case(opened)).result is None
        second = form_of(opened, "approve", signed=await form(ben))
        assert "You can close this page" in (await ben.post(path_of(opened), data=second)).text
    assert Status.COMPLETED is (await found.case(opened)).status


async def test_a_named_reviewer_closes_a_case_unanswered(found: Desk) -> None:
    opened = await asked(found)
    fields = {"token": opened.review_token, "content_digest": opened.case.content_digest, "close": "yes"}
    async with browser(found) as nobody:
        assert 403 == (await nobody.post(path_of(opened), data=fields)).status_code
    async with signed_in(found) as client:
        await client.post(path_of(opened), data=fields | {"signed": await form(client)})
    case = await found.case(opened)
    assert (Status.CANCELLED, "UADA") == (case.status, (case.answered or {})["by"]["platform_user_id"])


async def test_what_a_named_reviewer_types_is_kept(found: Desk) -> None:
    opened = await asked(found)
    typed = {"token": opened.review_token, "feedback": "Not so fast"}
    async with browser(found) as nobody:
        assert 403 == (await nobody.post(path_of(opened) + "/save", data=typed)).status_code
    async with signed_in(found) as client:
        assert 200 == (await client.post(path_of(opened) + "/save", data=typed)).status_code
        assert "Not so fast" in (await client.get(link_of(opened))).text


async def test_whoever_stands_in_answers_for_them_and_the_receipt_names_both(here: Desk) -> None:
    carl = Identity("slack", "UCARL", "Carl", team="T1", verified=True)
    await here.services.people.seen(ADA)
    await here.services.people.away(ADA, await here.services.records.now() + HOUR, carl.address, "Carl")
    opened = await asked(here)
    async with signed_in(here, carl) as client:
        await client.post(path_of(opened), data=form_of(opened, "approve", signed=await form(client)))
        assert "Carl (for Ada Park)" in words_of((await client.get(link_of(opened))).text)


async def test_the_page_is_as_strict_with_a_session_as_without(here: Desk) -> None:
    opened = await asked(here)
    await answered(here, opened, BEN)
    async with signed_in(here) as client:
        page = await client.get(link_of(opened))
    policy = page.headers["content-security-policy"]
    assert {"default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} <= set(
        policy.split("; ")
    )
    assert ("no-store", "no-referrer") == (page.headers["cache-control"], page.headers["referrer-policy"])


async def test_whoever_is_in_the_channel_of_the_card_may_answer_on_the_page(here: Desk) -> None:
    opened = await asked(here, policy=Policy(any_of=("channel",)), notify=(Address("slack", "C1"),))
    async with signed_in(here) as client:
        fields = form_of(opened, "approve", signed=await form(client))
        assert 403 == (await client.post(path_of(opened), data=fields)).status_code  # nobody says who is there
        here.services.directories.add(EverybodyIsThere())
        assert 200 == (await client.post(path_of(opened), data=fields)).status_code


async def test_a_guest_of_a_shared_channel_gets_no_link(here: Desk) -> None:
    guest = Identity("slack", "UGUEST", "Guest", team="T2", verified=True, foreign=True)
    with pytest.raises(InvalidInput):
        await here.services.sessions.sign_in_code(guest)


class EverybodyIsThere:
    """A workspace in which everybody is in every chat, and in no user group."""

    platform = "slack"

    async def groups_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        return frozenset()

    async def chats_of(self, user_id: str, among: Collection[str]) -> frozenset[str]:
        return frozenset(among)
