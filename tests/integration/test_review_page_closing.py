"""After the answer: changing it while that is still allowed, closing without one, and the receipt that proves it."""

from __future__ import annotations

import re

import pytest

from core.model import Policy
from core.sealing import KeyRing
from core.seals import Sealer
from core.states import Status
from tests.support.review_page import SECRET, Desk, browser, desk, form_of, link_of, path_of, words_of

MATCHES = "Recomputed from the ledger just now: it matches what is shown here."
DIFFERS = "Recomputed from the ledger just now: it does not match what is shown here."
GRACE = 300_000
FORM = {
    "fields": [
        {"key": "name", "label": "Name", "type": "text", "required": True},
        {"key": "on", "label": "Switched on?", "type": "boolean", "required": True},
        {"key": "pin", "label": "Pin", "type": "text", "sensitive": True},
    ]
}


async def seal(found: Desk) -> None:
    await Sealer(found.database, found.services.hub, KeyRing([SECRET])).seal()


# --- another answer ---------------------------------------------------------------------------------------------------


async def test_an_answer_can_be_changed_for_a_while(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        done = await web.post(path_of(opened), data=form_of(opened, "approve", feedback="Fine."))
        asked = await web.post(path_of(opened), data={"token": opened.review_token, "look": "revise"})
        changed = await web.post(path_of(opened), data=form_of(opened, "reject", feedback="Not fine.", revision="1"))
        case = await found.case(opened)
        again = await web.get(link_of(opened))
    assert "This answer can be changed until" in words_of(done.text)
    assert 200 == asked.status_code
    assert "Change your answer" in words_of(asked.text)
    assert 'name="revision" value="1"' in asked.text
    assert ">\nFine.</textarea>" in asked.text
    assert (200, "reject", 2) == (changed.status_code, (case.result or {})["action"], case.revision)
    for page in (changed, again):
        assert "Rejected" in words_of(page.text)
        assert "Times changed 1" in words_of(page.text)
        assert MATCHES in words_of(page.text)


async def test_the_form_for_another_answer_brings_back_all_but_what_is_secret(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context={"form": FORM})
        given = {"f.name": "north", "f.on": "false", "f.pin": "1234 secret"}
        await web.post(path_of(opened), data=form_of(opened, "submit") | given)
        asked = await web.post(path_of(opened), data={"token": opened.review_token, "look": "revise"})
    assert 'value="north"' in asked.text
    assert re.search(r'value="false" checked', asked.text)
    assert "1234 secret" not in asked.text
    assert "$sealed" not in asked.text


async def test_an_answer_that_another_has_replaced_meanwhile_is_refused_in_plain_words(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        await web.post(path_of(opened), data=form_of(opened, "approve"))
        await web.post(path_of(opened), data=form_of(opened, "reject", revision="1"))
        late = await web.post(path_of(opened), data=form_of(opened, "edit", feedback="No.", revision="1"))
        case = await found.case(opened)
    assert (409, "reject") == (late.status_code, (case.result or {})["action"])
    assert "Your answer was not changed It had been changed elsewhere meanwhile" in words_of(late.text)
    assert "Rejected" in words_of(late.text)


@pytest.mark.parametrize("settled", [False, True], ids=["before the clock saw it", "after"])
async def test_after_the_grace_period_the_answer_stands(sqlite_url: str, settled: bool) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(timeout_ms=10 * GRACE)
        await web.post(path_of(opened), data=form_of(opened, "approve"))
        found.clock.offset = GRACE
        if settled:
            await found.services.gate.settle_due()
        page = await web.get(link_of(opened))
        asked = await web.post(path_of(opened), data={"token": opened.review_token, "look": "revise"})
        late = await web.post(path_of(opened), data=form_of(opened, "reject", revision="1"))
        case = await found.case(opened)
    assert "can be changed" not in words_of(page.text)
    assert 'name="action"' not in asked.text
    assert (409, "approve") == (late.status_code, (case.result or {})["action"])
    assert "Your answer was not changed" in words_of(late.text)


async def test_a_tap_is_final_and_offers_no_change(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        await found.tap(opened, "approve")
        page = await web.get(link_of(opened))
    assert "can be changed" not in words_of(page.text)


# --- closing without an answer ----------------------------------------------------------------------------------------


async def test_a_case_can_be_closed_without_an_answer(database_url: str) -> None:
    async with desk(database_url) as found, browser(found) as web:
        opened = await found.ask()
        form = {"token": opened.review_token, "content_digest": opened.case.content_digest, "close": "yes"}
        page = await web.get(link_of(opened))
        done = await web.post(path_of(opened), data=form | {"reason": "The newsletter was dropped."})
        again = await web.post(path_of(opened), data=form)
        late = await web.post(path_of(opened), data=form_of(opened, "approve"))
        case = await found.case(opened)
    assert "Close without answering" in words_of(page.text)
    assert (200, 200, 409) == (done.status_code, again.status_code, late.status_code)
    assert (Status.CANCELLED, None) == (case.status, case.result)
    for words in ("Closed without an answer", "Nothing was approved.", "The newsletter was dropped.", MATCHES):
        assert words in words_of(done.text)
    assert "Your answer is recorded" not in words_of(done.text)


async def test_who_may_not_decide_may_not_close_either(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(policy=Policy(any_of=("slack:U1",)))
        form = {"token": opened.review_token, "close": "yes"}
        page = await web.get(link_of(opened))
        refused = await web.post(path_of(opened), data=form)
        assert Status.PENDING == (await found.case(opened)).status
    assert 'name="close"' not in page.text
    assert 403 == refused.status_code


async def test_what_was_answered_meanwhile_cannot_be_closed(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        await found.tap(opened, "approve")
        late = await web.post(path_of(opened), data={"token": opened.review_token, "close": "yes"})
    assert 409 == late.status_code
    assert "Approved" in words_of(late.text)


# --- the receipt ------------------------------------------------------------------------------------------------------


async def test_the_receipt_is_recomputed_and_says_which_seal_covers_it(database_url: str) -> None:
    async with desk(database_url) as found, browser(found) as web:
        opened = await found.ask()
        done = words_of((await web.post(path_of(opened), data=form_of(opened, "approve"))).text)
        await seal(found)
        sealed = words_of((await web.get(link_of(opened))).text)
    assert opened.case.content_digest in done
    assert MATCHES in done
    assert "Not under a signed seal yet" in done
    assert MATCHES in sealed
    assert "Under signed seal 1 of" in sealed
    assert "in place 1 of the ledger" in sealed
    assert "assent verify" in sealed


@pytest.mark.parametrize(
    "change",
    [
        """UPDATE human_interactions SET payload = '{"action":"approve","data":{"feedback":"x"}}'""",
        "UPDATE human_interactions SET replier = 'nonsense'",
        "UPDATE human_interactions SET row_hash = 'abc'",
        """UPDATE cases SET result = '{"action":"approve","data":{}}'""",
        """UPDATE cases SET answered = json_set(answered, '$.by.platform_user_id', 'somebody else')""",
        """UPDATE cases SET content = replace(content, 'release notes', 'wage list')""",
    ],
)
async def test_a_receipt_that_was_tampered_with_says_so(sqlite_url: str, change: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        await web.post(path_of(opened), data=form_of(opened, "reject"))
        found.alter(change)
        page = await web.get(link_of(opened))
    assert DIFFERS in words_of(page.text)
    assert MATCHES not in words_of(page.text)


async def test_a_forged_seal_is_named(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        await web.post(path_of(opened), data=form_of(opened, "approve"))
        await seal(found)
        found.alter("UPDATE seals SET chain_hash = 'abc'")
        forged = words_of((await web.get(link_of(opened))).text)
        found.alter("UPDATE seals SET key_id = 'unknown'")
        unknown = words_of((await web.get(link_of(opened))).text)
    assert "The signature of seal 1" in forged
    assert "is wrong" in forged
    assert "signed with a key that is not known here" in unknown


# --- several who must agree -------------------------------------------------------------------------------------------


async def test_an_open_quorum_shows_how_it_stands(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(policy=Policy(quorum=2))
        before = words_of((await web.get(link_of(opened))).text)
        voted = await web.post(path_of(opened), data=form_of(opened, "approve"))
        seen = await web.get(link_of(opened))
        await found.tap(opened, "approve")
        done = words_of((await web.get(link_of(opened))).text)
    assert "So far Approve 0 of 2" in before
    for page in (voted, seen):
        assert "So far Approve 1 of 2 Your answer is recorded More people have to answer" in words_of(page.text)
        assert 'name="action"' not in page.text
    assert "Approved" in done
    assert "of 2" not in done
