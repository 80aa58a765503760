"""What was decided: the history and its search, the timeline of a case, the audit export, the figures."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from core.model import Policy
from core.records import EXPORT_PAGE
from core.replies import page_reply
from core.rows import row_hash
from core.schedule import DAY, HOUR, MINUTE
from tests.support.inbox import ADA, BEN, EVE, INBOX, NAMED, answered, asked, enter, place, signed_in
from tests.support.review_page import Desk, desk, served, words_of

FORMULA = '=HYPERLINK("https://evil.example","x")'


@pytest.fixture(name="found")
async def found_fixture(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as found:
        yield found


@pytest.fixture(name="here")
async def here_fixture(sqlite_url: str) -> AsyncIterator[Desk]:
    """For what says nothing of a database."""
    async with desk(sqlite_url) as found:
        yield found


def prompts(page: httpx.Response) -> list[str]:
    return re.findall(r'<span class="prompt" dir="auto">([^<]*)<', page.text)


async def exported(client: httpx.AsyncClient, form: str, **query: str) -> str:
    answer = await client.get(f"{INBOX}/export", params={"format": form, **query})
    assert 200 == answer.status_code
    assert f'filename="assent-history.{form}"' in answer.headers["content-disposition"]
    return answer.text


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


async def test_the_history_is_of_what_a_person_answered_or_could_have(found: Desk) -> None:
    mine, bens, hidden = await asked(found, "One?"), await asked(found, "Two?"), Policy(any_of=(BEN.address,))
    await asked(found, "Still open?")
    foreign = await asked(found, "Three?", policy=hidden)
    await answered(found, mine, ADA)
    found.clock.offset += 1_000
    await answered(found, bens, BEN, "reject")
    found.clock.offset += 1_000
    await answered(found, foreign, BEN)
    async with signed_in(found) as ada, signed_in(found, EVE) as eve:
        page = await ada.get(f"{INBOX}/history")
        assert ["Two?", "One?"] == prompts(page)
        assert "Rejected Ben Ode" in words_of(page.text)
        assert [] == prompts(await eve.get(f"{INBOX}/history"))


async def test_the_history_is_searched_and_turned_page_by_page(here: Desk) -> None:
    opened = await asked(here, "Case 00?", context={"host": "north"})
    await answered(here, opened, ADA)
    for n in range(1, 35):
        here.clock.offset += 1_000
        opened = await asked(here, f"Case {n:02}?", context={"host": "north" if n % 7 == 0 else "south"})
        await answered(here, opened, ADA)
    async with signed_in(here) as client:
        first = await client.get(f"{INBOX}/history")
        (older,) = re.findall(r'href="([^"]+)" rel="next"', first.text)
        second = await client.get(older.replace("&amp;", "&"))
        assert [f"Case {n:02}?" for n in range(34, -1, -1)] == [*prompts(first), *prompts(second)]
        assert [] == re.findall(r'rel="prev"', first.text) == re.findall(r'rel="next"', second.text)
        (newer,) = re.findall(r'href="([^"]+)" rel="prev"', second.text)
        assert prompts(first) == prompts(await client.get(newer.replace("&amp;", "&")))
        before_all, after_all = f"1.{opened.case.case_id}", f"{1 << 59}.{opened.case.case_id}"
        for way, nowhere in (
            ("before", "7"), ("after", "7"), ("before", "7.review_nobodys"), ("after", "7.review_nobodys"),
            ("before", before_all), ("after", after_all),
        ):  # fmt: skip
            found = await client.get(f"{INBOX}/history", params={way: nowhere})
            assert prompts(first) == prompts(found), (way, nowhere)
        found = await client.get(f"{INBOX}/history", params={"q": "NORTH case"})
        assert [f"Case {n:02}?" for n in (28, 21, 14, 7, 0)] == prompts(found)


async def test_the_timeline_says_who_did_what_when_and_through_what(found: Desk) -> None:
    opened = await asked(found, policy=Policy(any_of=NAMED.any_of, quorum=2), requested_by="refund-agent")
    with pytest.raises(Exception, match="reviewers"):
        await answered(found, opened, EVE)
    await answered(found, opened, ADA, feedback="Looks right")
    await answered(found, opened, BEN)
    async with signed_in(found) as client:
        page = await client.get(place(opened, "/timeline"))
    said = words_of(page.text)
    order = [
        "Asked by refund-agent", "Eve was not allowed to answer (Approve)", "Ada Park answered: Approve",
        "“Looks right”", "Ben Ode answered: Approve",
    ]  # fmt: skip
    assert sorted(said.index(one) for one in order) == [said.index(one) for one in order]
    assert 2 == said.count("through the review page · ") + said.count("through the review page Ledger row")
    hashes = [value for row in await ledger(found, opened.case.case_id) for value in [row["row_hash"]]]
    assert [True, True] == [one in page.text for one in hashes]


async def ledger(found: Desk, case_id: str) -> list[dict[str, Any]]:
    """The ledger's rows about a case, as the export gives them to Ada."""
    async with signed_in(found) as client:
        lines = (await exported(client, "jsonl")).splitlines()
    return [one["ledger"] for one in map(json.loads, lines) if one["case"]["case_id"] == case_id]


async def test_an_exported_row_can_be_held_against_its_hash(found: Desk) -> None:
    opened = await asked(found)
    await answered(found, opened, ADA, feedback="Ä, naïve “text”")
    (row,) = await ledger(found, opened.case.case_id)
    assert row["row_hash"] == row_hash(row)
    assert row["row_hash"] != row_hash(row | {"via": "elsewhere"})
    assert opened.case.content_digest == row["content_digest"]


async def test_no_cell_of_the_csv_is_a_formula(here: Desk) -> None:
    opened = await asked(here, FORMULA, requested_by="@SUM(A1)")
    await answered(here, opened, ADA, feedback="-2+3")
    other = await asked(here, ' =1+1, "quoted"\nand more')
    await answered(here, other, ADA, feedback="\t=1")
    async with signed_in(here) as client:
        rows = table(await exported(client, "csv"))
    cells = [cell for row in rows for cell in row.values()]
    assert [] == [cell for cell in cells if cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))]
    (row,) = [row for row in rows if row["case_id"] == opened.case.case_id]
    assert (f"'{FORMULA}", "'@SUM(A1)", "'-2+3") == (row["prompt"], row["requested_by"], row["reason"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", row["answered_at"])
    assert ("approve", "slack", "UADA", "Ada Park") == (row["action"], row["platform"], row["user_id"], row["name"])


async def test_nobody_exports_what_they_may_not_see(found: Desk) -> None:
    mine, foreign = await asked(found, "Mine?"), await asked(found, "Foreign?", policy=Policy(any_of=(BEN.address,)))
    await answered(found, mine, ADA)
    await answered(found, foreign, BEN)
    async with signed_in(found) as ada, signed_in(found, EVE) as eve:
        for form in ("csv", "jsonl"):
            text = await exported(ada, form)
            assert (True, False) == (mine.case.case_id in text, foreign.case.case_id in text)
            assert "review_" not in await exported(eve, form)
            searched = await exported(ada, form, q="Foreign")
            assert foreign.case.case_id not in searched


async def test_the_export_goes_on_beyond_one_page_and_back_so_many_days(here: Desk) -> None:
    old = await asked(here, "Old?")
    await answered(here, old, ADA)
    here.clock.offset += 3 * DAY
    for n in range(EXPORT_PAGE + 5):
        opened = await asked(here, f"Case {n}?")
        here.clock.offset += 1_000
        await answered(here, opened, ADA)
    async with signed_in(here) as client:
        assert EXPORT_PAGE + 6 == len(table(await exported(client, "csv")))
        recent = table(await exported(client, "csv", days="2"))
        assert (EXPORT_PAGE + 5, False) == (len(recent), old.case.case_id in str(recent))
        for query in ({"format": "xml"}, {"format": "csv", "days": "0"}, {"format": "csv", "days": "²"}):
            assert 400 == (await client.get(f"{INBOX}/export", params=query)).status_code


async def test_the_figures_are_of_what_a_person_may_see(found: Desk) -> None:
    for minutes in (10, 20, 60):
        opened = await asked(found, timeout_ms=HOUR * 2)
        found.clock.offset += minutes * MINUTE
        await answered(found, opened, ADA)
    hidden = await asked(found, policy=Policy(any_of=(BEN.address,)))
    await answered(found, hidden, BEN)
    await asked(found, "Too late?", timeout_ms=60_000)
    found.clock.offset += 61_000
    await found.services.gate.expire_due()
    await asked(found, "Open?")
    async with signed_in(found) as ada, signed_in(found, EVE) as eve:
        tiles = dict(re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", (await ada.get(f"{INBOX}/figures")).text))
        assert ("3", "20 min", "60 min", "1", "1", "0") == tuple(
            tiles[name]
            for name in (
                "Decided", "Median time to decision", "90 % decided within", "Expired", "Waiting now",
                "Changed by a reviewer",
            )
        )  # fmt: skip
        assert "Nothing was decided in this period" in (await eve.get(f"{INBOX}/figures", params={"days": "7"})).text


async def test_a_reviewers_edit_counts_as_overridden(here: Desk) -> None:
    block = {"id": "notes", "label": "Notes", "type": "plaintext", "content": "a", "editable": True}
    opened = await asked(here, blocks=[block])
    reply = page_reply(
        opened.case.case_id, opened.review_token, "approve", {}, opened.case.content_digest, identity=ADA,
        blocks={"notes": "b"},
    )  # fmt: skip
    await here.services.gate.respond(reply)
    async with signed_in(here) as client:
        said = words_of((await client.get(f"{INBOX}/figures")).text)
    assert "Changed by a reviewer 1" in said


async def test_the_stream_tells_of_new_changed_and_closed_cases_and_ends_when_the_server_stops(sqlite_url: str) -> None:
    async with served(sqlite_url) as found:
        url = found.services.public_url
        async with httpx.AsyncClient(base_url=url, headers={"Sec-Fetch-Site": "same-origin"}) as client:
            await enter(found, client)
            async with client.stream("GET", f"{INBOX}/events", timeout=20) as stream:
                events = (
                    line.removeprefix("event: ") async for line in stream.aiter_lines() if line.startswith("event")
                )
                assert "text/event-stream" == stream.headers["content-type"]
                async with asyncio.timeout(15):
                    assert "hello" == await anext(events)
                    opened = await asked(found)
                    assert "changed" == await anext(events)
                    await answered(found, opened, BEN)
                    assert "changed" == await anext(events)
                    found.app.state.streams.close()
                    assert [] == [one async for one in events]


async def test_a_vote_in_a_case_that_is_open_is_not_history(here: Desk) -> None:
    opened = await asked(here, policy=Policy(any_of=NAMED.any_of, quorum=2))
    await answered(here, opened, ADA)
    async with signed_in(here) as client:
        assert [] == prompts(await client.get(f"{INBOX}/history"))


async def test_a_search_looks_further_back_than_one_batch(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.inbox.LOOKED_AT", 5)
    for n in range(13):
        opened = await asked(here, f"Case {n:02}?", context={"host": "north" if n < 2 else "south"})
        here.clock.offset += 1_000
        await answered(here, opened, ADA)
    async with signed_in(here) as client:
        found = await client.get(f"{INBOX}/history", params={"q": "north"})
        assert ["Case 01?", "Case 00?"] == prompts(found)
        assert 13 == len(table(await exported(client, "csv")))


async def test_idle_streams_hold_no_connection_of_the_database(postgres_url: str) -> None:
    """Three times as many as there are connections, and everything else goes on."""
    async with served(postgres_url) as found, AsyncExitStack() as stack:
        client = httpx.AsyncClient(
            base_url=found.services.public_url, headers={"Sec-Fetch-Site": "same-origin"},
            limits=httpx.Limits(max_connections=None), timeout=30,
        )  # fmt: skip
        await stack.enter_async_context(client)
        await enter(found, client)
        streams = []
        for _ in range(30):
            stream = await stack.enter_async_context(client.stream("GET", f"{INBOX}/events"))
            streams.append(line async for line in stream.aiter_lines() if line.startswith("event"))
            assert "event: hello" == await anext(streams[-1])
        async with asyncio.timeout(20):
            await asked(found)
            assert {"event: changed"} == {await anext(one) for one in streams}
            assert 200 == (await client.get(INBOX)).status_code
