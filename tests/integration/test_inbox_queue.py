"""The queue: what waits for whoever is signed in, in their order, and nothing else; and a case beside it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.inbox.strings import INBOX_LANGUAGES
from core.model import Opened, Policy
from core.schedule import HOUR
from tests.support.inbox import ADA, BEN, EVE, INBOX, NAMED, answered, asked, place, signed_in
from tests.support.review_page import Desk, browser, desk, words_of

HOSTILE = '<script>alert(1)</script>" onmouseover="x" {{ 7*7 }} \u202egnp.exe'
PLACES = ("", "/list", "/history", "/figures", "/together", "/export", "/events")


@pytest.fixture(name="found")
async def found_fixture(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as found:
        yield found


@pytest.fixture(name="here")
async def here_fixture(sqlite_url: str) -> AsyncIterator[Desk]:
    """For what says nothing of a database."""
    async with desk(sqlite_url) as found:
        yield found


def listed(page: httpx.Response) -> list[str]:
    """The cases of a page's list, in their order."""
    return re.findall(r'data-case="([^"]+)"', page.text)


def ids(*opened: Opened) -> list[str]:
    return [one.case.case_id for one in opened]


async def test_everybody_sees_what_waits_for_them_and_nothing_else(found: Desk) -> None:
    both, only_ben = await asked(found), await asked(found, policy=Policy(any_of=(BEN.address,)))
    await asked(found, policy=Policy())  # for whoever holds its link
    async with signed_in(found) as ada, signed_in(found, BEN) as ben, signed_in(found, EVE) as eve:
        assert ids(both) == listed(await ada.get(INBOX))
        assert set(ids(both, only_ben)) == set(listed(await ben.get(INBOX)))
        assert "Nothing waits for you" in (await eve.get(INBOX)).text


async def test_whoever_is_not_signed_in_sees_nothing(here: Desk) -> None:
    opened = await asked(here)
    async with browser(here) as client:
        for more in (*PLACES[1:], f"/cases/{opened.case.case_id}", f"/cases/{opened.case.case_id}/timeline"):
            answer = await client.get(INBOX + more)
            assert (403, True) == (answer.status_code, "/assent inbox" in answer.text), more
            assert opened.case.prompt not in answer.text


async def test_the_queue_is_by_deadline_or_risk_or_age(here: Desk) -> None:
    late = await asked(here, timeout_ms=9 * HOUR, metadata={"risk_level": "critical"})
    here.clock.offset += 1
    soon = await asked(here, timeout_ms=1 * HOUR, metadata={"risk_level": "low"})
    here.clock.offset += 1
    between = await asked(here, timeout_ms=5 * HOUR)
    async with signed_in(here) as client:
        assert ids(soon, between, late) == listed(await client.get(INBOX))
        assert ids(late, soon, between) == listed(await client.get(INBOX, params={"sort": "risk"}))
        assert ids(between, soon, late) == listed(await client.get(INBOX, params={"sort": "newest"}))


async def test_filters_leave_the_others_out(here: Desk) -> None:
    source = await here.services.sources.create(
        here.principal, name="Billing", description=None, mode="PULL_ONLY", notify=(), policy=None
    )
    billed = await asked(here, "Pay the invoice?", source_id=source.source_id, metadata={"risk_level": "high"})
    other = await asked(here, "Restart the shop?", case_type="confirmation", context={"host": "north"})
    async with signed_in(here) as client:
        for query, expected in (
            ({"source": source.source_id}, billed), ({"type": "confirmation"}, other), ({"risk": "high"}, billed),
            ({"q": "INVOICE pay"}, billed), ({"q": "north"}, other),
        ):  # fmt: skip
            page = await client.get(INBOX, params=query)
            assert ids(expected) == listed(page), query
            assert "built-in" not in page.text
        nothing = await client.get(INBOX, params={"q": "nothing like it"})
        assert [] == listed(nothing)
        assert "Nothing waits for you" not in nothing.text


@pytest.mark.parametrize(
    "value", [HOSTILE, "%' OR 1=1 --", "\x00", "é" * 4000, "\ud800".encode("utf-8", "surrogatepass")]
)
async def test_what_is_searched_for_does_nothing_but_search(found: Desk, value: Any) -> None:
    await asked(found)
    async with signed_in(found) as client:
        for path, names in (
            ("", ("q", "source", "type", "risk", "sort")),
            ("/history", ("q", "before", "after")),
            ("/figures", ("days",)),
        ):
            for name in names:
                page = await client.get(INBOX + path, params={name: value})
                assert 200 == page.status_code, (path, name)
                assert "<script>alert" not in page.text


async def test_hostile_content_is_inert_in_the_list_and_beside_it(here: Desk) -> None:
    opened = await asked(here, HOSTILE, requested_by=HOSTILE, context={"name": HOSTILE})
    async with signed_in(here) as client:
        for path in (INBOX, place(opened), place(opened, "/timeline")):
            page = (await client.get(path)).text
            assert "<script>alert" not in page
            assert "\u202e" not in page
            assert "[U+202E]" in page
            assert "{{ 7*7 }}" in page
            assert 'onmouseover="x"' not in page


async def test_a_case_that_is_not_theirs_is_like_one_that_never_was(found: Desk) -> None:
    opened = await asked(found)
    async with signed_in(found, EVE) as client:
        for more in ("", "/timeline"):
            foreign, unknown = (
                await client.get(place(opened, more)),
                await client.get(f"{INBOX}/cases/review_none{more}"),
            )
            assert 404 == foreign.status_code == unknown.status_code
            assert words_of(foreign.text) == words_of(unknown.text)


async def test_the_links_token_is_with_the_open_case_of_whoever_may_answer_and_nowhere_else(here: Desk) -> None:
    opened = await asked(here, policy=Policy(any_of=NAMED.any_of, exclude_requester=True), requested_by=BEN.address)
    async with signed_in(here) as ada, signed_in(here, BEN) as ben:
        assert opened.review_token not in (await ada.get(INBOX)).text
        assert opened.review_token in (await ada.get(place(opened))).text
        beside = await ben.get(place(opened))
        assert (200, False) == (beside.status_code, opened.review_token in beside.text)
        assert "You cannot answer this" in beside.text


async def test_a_case_that_was_decided_stays_to_be_seen_without_its_token(here: Desk) -> None:
    opened = await asked(here, grace_ms=0)
    await answered(here, opened, BEN)
    async with signed_in(here) as client:
        page = await client.get(place(opened))
        assert (200, True) == (page.status_code, "Ben Ode" in page.text)
        assert opened.review_token not in page.text


async def test_an_open_quorum_says_how_it_stands_and_leaves_whoever_has_answered(here: Desk) -> None:
    opened = await asked(here, policy=Policy(any_of=NAMED.any_of, quorum=2))
    async with signed_in(here) as ada, signed_in(here, BEN) as ben:
        assert "0 of 2 agree" in (await ben.get(INBOX)).text
        await answered(here, opened, ADA)
        assert "1 of 2 agree" in (await ben.get(INBOX)).text
        assert [] == listed(await ada.get(INBOX))


async def test_every_page_lets_in_no_scripts_frames_or_strangers(here: Desk) -> None:
    opened = await asked(here)
    async with signed_in(here) as client:
        for path in (
            *(INBOX + more for more in PLACES[:5]),
            place(opened),
            place(opened, "/timeline"),
            f"{INBOX}/enter",
        ):
            page = await client.get(path)
            policy = page.headers["content-security-policy"].split("; ")
            assert {"default-src 'none'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'"} <= set(
                policy
            )
            assert ("no-store", "nosniff") == (page.headers["cache-control"], page.headers["x-content-type-options"])
            assert " style=" not in page.text
            assert not re.search(r"<script(?![^>]*nonce=)", page.text)


async def test_reading_changes_nothing(here: Desk) -> None:
    opened = await asked(here)
    async with signed_in(here) as client:
        before = here.rows()
        for path in (*(INBOX + more for more in PLACES[:6]), place(opened), place(opened, "/timeline")):
            for method in ("GET", "HEAD"):
                assert 200 == (await client.request(method, path)).status_code, path
        assert before == here.rows()


async def test_german_pages_are_german(here: Desk) -> None:
    opened = await asked(here)
    async with signed_in(here) as client:
        said = words_of((await client.get(INBOX.replace("en", "de", 1))).text)
        assert "1 Fall wartet auf Sie" in said
        assert "Sie antworten als Ada Park (Slack)." in (await client.get(place(opened).replace("en", "de", 1))).text


def test_both_languages_say_everything_and_nothing_that_no_page_shows() -> None:
    shapes = [_shape(words) for words in INBOX_LANGUAGES.values()]
    assert shapes[0] == shapes[1]
    root = Path(__file__).parents[2] / "api"
    sources = [path for path in (root / "inbox").rglob("*") if path.suffix in (".py", ".html")]
    code = "".join(path.read_text() for path in sources if path.name not in ("strings.py", "german.py"))
    code += (root / "review" / "static" / "inbox.js").read_text()
    words = INBOX_LANGUAGES["en"]
    for key in [*words, *words["script"]]:
        known = rf"""\b(w|texts|words)(\.|\[['"]){key}\b|["']{key.removesuffix("_hint")}["']"""
        assert re.search(known, code), key


def _shape(value: Any) -> Any:
    """Keys and placeholders, without the words."""
    if isinstance(value, str):
        return sorted(re.findall(r"\{\w*\}", value))
    return {key: _shape(one) for key, one in value.items()} if hasattr(value, "items") else (type(value), len(value))


async def test_a_search_looks_beyond_the_most_urgent(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.inbox.LOOKED_AT", 4)
    monkeypatch.setattr("api.inbox.queueing.SHOWN", 4)
    for n in range(8):
        await asked(here, timeout_ms=(n + 1) * HOUR)
    last = await asked(here, "Pay the invoice?", timeout_ms=9 * HOUR)
    async with signed_in(here) as client:
        page = await client.get(INBOX)
        assert (4, True) == (len(listed(page)), "The first 4" in page.text)
        assert ids(last) == listed(await client.get(INBOX, params={"q": "invoice"}))
