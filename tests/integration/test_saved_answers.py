"""What is typed and not sent yet: kept sealed, per case, until the case ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from core.errors import AlreadyDecided, CaseCancelled, CaseExpired, InvalidToken, NotAReviewer
from core.housekeeping import Housekeeping
from core.model import Case, Opened, Policy
from core.replies import page_reply
from core.saved import Change, SavedAnswers
from core.sealing import KeyRing
from tests.support.dump import everything, row_counts
from tests.support.review_page import Desk, desk

FORM = {"form": {"fields": [{"key": "pin", "label": "Pin", "type": "text", "sensitive": True}]}}


@pytest.fixture(name="site")
async def site_fixture(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as found:
        yield found


def all_of(**values: Any) -> Change:
    def change(_: Case, before: Mapping[str, Any]) -> dict[str, Any]:
        return {**before, **values}

    return change


async def save(site: Desk, opened: Opened, **values: Any) -> dict[str, Any]:
    return await site.services.saved.save(opened.case.case_id, opened.review_token, all_of(**values))


async def answer(site: Desk, opened: Opened, data: dict[str, Any]) -> None:
    await site.services.gate.respond(page_reply(opened.case.case_id, opened.review_token, "submit", data, None))


async def test_what_was_saved_last_is_found_again(site: Desk) -> None:
    opened, other = await site.ask("input", context=FORM), await site.ask("input", context=FORM)
    assert {} == await site.services.saved.load(opened.case.case_id)
    assert {"a": 1} == await save(site, opened, a=1)
    assert {"a": 2, "b": "ä"} == await save(site, opened, a=2, b="ä")
    assert {"a": 2, "b": "ä"} == await site.services.saved.load(opened.case.case_id)
    assert {} == await site.services.saved.load(other.case.case_id)


async def test_nothing_of_it_can_be_read_in_the_database(site: Desk, database_url: str) -> None:
    opened = await site.ask("input", context=FORM)
    await save(site, opened, pin="4711-secret")
    assert "4711-secret" not in await everything(database_url)


async def test_it_is_no_reply_and_changes_nothing_that_others_see(site: Desk, database_url: str) -> None:
    opened = await site.ask("input", context=FORM)
    before = await site.case(opened), await row_counts(database_url)
    await save(site, opened, a=1)
    after = await site.case(opened), await row_counts(database_url)
    assert after == (before[0], before[1] | {"saved_answers": 1})


async def test_only_this_link_saves(site: Desk) -> None:
    opened, other = await site.ask("input", context=FORM), await site.ask("input", context=FORM)
    for case_id, token in (
        (opened.case.case_id, other.review_token),
        (opened.case.case_id, ""),
        ("review_unknown", opened.review_token),
    ):
        with pytest.raises(InvalidToken):
            await site.services.saved.save(case_id, token, all_of(a=1))
    assert {} == await site.services.saved.load(opened.case.case_id)


async def test_who_may_not_answer_saves_nothing(site: Desk) -> None:
    opened = await site.ask("input", context=FORM, policy=Policy(any_of=("slack:U0REVIEW1",)))
    with pytest.raises(NotAReviewer):
        await save(site, opened, a=1)


async def test_the_answer_forgets_it(site: Desk) -> None:
    opened = await site.ask("input", context=FORM)
    await save(site, opened, a=1)
    await answer(site, opened, {"pin": "4711"})
    assert {} == await site.services.saved.load(opened.case.case_id)
    with pytest.raises(AlreadyDecided):
        await save(site, opened, a=2)


async def test_a_case_that_ended_saves_nothing_and_is_forgotten(site: Desk, database_url: str) -> None:
    late, gone = await site.ask(timeout_ms=60_000), await site.ask()
    waiting = await site.ask()
    for opened in (late, gone, waiting):
        await save(site, opened, a=1)
    await site.services.gate.cancel(site.principal, gone.case.case_id, None)
    site.clock.offset = 60_000
    with pytest.raises(CaseCancelled):
        await save(site, gone, a=2)
    with pytest.raises(CaseExpired):
        await save(site, late, a=2)
    await site.services.gate.expire_due()
    await Housekeeping(site.database).forget()
    assert {} == await site.services.saved.load(late.case.case_id)
    assert {} == await site.services.saved.load(gone.case.case_id)
    assert {"a": 1} == await site.services.saved.load(waiting.case.case_id)


async def test_what_was_sealed_under_a_lost_key_has_to_be_typed_again(site: Desk) -> None:
    opened = await site.ask("input", context=FORM)
    await save(site, opened, a=1)
    lost = SavedAnswers(site.database, KeyRing(["another secret altogether"]))
    assert {} == await lost.load(opened.case.case_id)
