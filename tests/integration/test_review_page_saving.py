"""The review page keeps what is typed: what comes back of it, what never does, and what the answer takes from it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from adapters.webhook.fetcher import GuardedFetcher
from adapters.webhook.guarded import GuardedHttp
from core.destinations import Destinations
from core.forms import check_form
from core.model import Opened
from core.states import Status
from tests.integration.test_review_page_forms import tag_of
from tests.support.receiver import Receiver, answer
from tests.support.receiver import receiver as receiving
from tests.support.review_page import Desk, browser, desk, form_of, link_of, path_of, words_of

STEPS: dict[str, Any] = {
    "form": {
        "steps": [
            {"title": "You", "fields": [{"key": "name", "label": "Name", "type": "text", "required": True}]},
            {
                "title": "Secrets",
                "fields": [
                    {"key": "pin", "label": "Pin", "type": "text", "sensitive": True, "required": True},
                    {"key": "word", "label": "Word", "type": "text", "sensitive": True},
                ],
            },
            {"title": "Check", "fields": []},
        ]
    }
}
KEPT = "A value is kept here."


def typed(opened: Opened, **values: str) -> dict[str, Any]:
    return form_of(opened, "", **values)


async def save(web: httpx.AsyncClient, opened: Opened, **values: str) -> httpx.Response:
    return await web.post(path_of(opened) + "/save", data=typed(opened, **values))


async def test_another_device_goes_on_where_the_first_one_stopped(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        before = await found.case(opened)
        saved = await save(web, opened, f__name="<north>", step="2")
        again = await web.get(link_of(opened))
        assert before == await found.case(opened)
    assert (200, {"saved": True}) == (saved.status_code, saved.json())
    assert "no-store" == saved.headers["Cache-Control"]
    assert 'value="&lt;north&gt;"' in tag_of(again.text, "f.name")
    assert 'data-step="2"' in again.text
    assert "Go on where it stopped." in words_of(again.text)


async def test_a_sensitive_value_is_kept_and_never_comes_back(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        await save(web, opened, f__name="north", f__pin="4711-hush")
        again = await web.get(link_of(opened))
        await save(web, opened, f__name="south", f__pin="")
        done = await web.post(path_of(opened), data=form_of(opened, "submit", f__name="south", f__pin="", f__word=""))
        given = found.services.saved.given(await found.case(opened))
    assert 1 == words_of(again.text).count(KEPT) - again.text.count("data-kept-note hidden")
    assert " required" not in tag_of(again.text, "f.pin")
    assert "4711-hush" not in again.text + done.text
    assert 200 == done.status_code
    assert {"name": "south", "pin": "4711-hush"} == given


async def test_a_kept_value_can_be_replaced_or_removed(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        await save(web, opened, f__pin="4711", f__word="hush")
        fields = {"f__name": "north", "f__pin": "4712", "f__word": "", "clear__word": "1"}
        done = await web.post(path_of(opened), data=form_of(opened, "submit", **fields))
        given = found.services.saved.given(await found.case(opened))
    assert 200 == done.status_code
    assert {"name": "north", "pin": "4712"} == given


async def test_a_removed_value_is_gone_for_good(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        await save(web, opened, f__pin="4711")
        await save(web, opened, f__pin="", clear__pin="1")
        needed = await web.post(path_of(opened), data=form_of(opened, "submit", f__name="north", f__pin=""))
    assert 400 == needed.status_code
    assert "Pin is required" in words_of(needed.text)


async def test_what_was_wrong_leads_to_its_step_and_secrets_need_not_be_typed_again(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        wrong = await web.post(path_of(opened), data=form_of(opened, "submit", f__name="", f__pin="4711", step="3"))
        done = await web.post(path_of(opened), data=form_of(opened, "submit", f__name="north", f__pin=""))
        given = found.services.saved.given(await found.case(opened))
    assert (400, 200) == (wrong.status_code, done.status_code)
    assert 'data-step="1"' in wrong.text
    assert "4711" not in wrong.text
    assert {"name": "north", "pin": "4711"} == given


async def test_the_same_post_again_is_the_same_answer(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        await save(web, opened, f__pin="4711")
        post = form_of(opened, "submit", f__name="north", f__pin="")
        statuses = [(await web.post(path_of(opened), data=post)).status_code for _ in range(2)]
        rows = found.rows()["human_interactions"]
    assert [200, 200] == statuses
    assert 1 == len(rows)


async def test_another_answer_keeps_the_secrets_of_the_first(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS, grace_ms=300_000)
        await web.post(path_of(opened), data=form_of(opened, "submit", f__name="north", f__pin="4711"))
        asked = await web.post(path_of(opened), data=typed(opened, look="revise"))
        again = form_of(opened, "submit", f__name="south", f__pin="") | {"revision": "1"}
        done = await web.post(path_of(opened), data=again)
        given = found.services.saved.given(await found.case(opened))
    assert "data-kept>" in asked.text
    assert "4711" not in asked.text
    assert "data-save-url" not in asked.text
    assert 200 == done.status_code
    assert {"name": "south", "pin": "4711"} == given


async def test_without_scripts_a_button_keeps_it(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        kept = await web.post(path_of(opened), data=typed(opened, f__name="north", f__pin="4711", keep="typed"))
        case = await found.case(opened)
    assert 200 == kept.status_code
    assert "Kept. You can go on later with the same link" in words_of(kept.text)
    assert 'value="north"' in tag_of(kept.text, "f.name")
    assert "4711" not in kept.text
    assert Status.PENDING == case.status


async def test_whoever_changes_the_language_loses_nothing(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        german = await web.post(path_of(opened, "de"), data=typed(opened, f__name="north", f__pin="4711", look="x"))
        wrong = await web.post(path_of(opened, "de"), data=form_of(opened, "submit", f__name="", f__pin=""))
    assert "Hier ist ein Wert aufbewahrt." in words_of(german.text)
    assert 'value="north"' in tag_of(german.text, "f.name")
    assert "Schritt 1 von 3" in words_of(german.text)
    assert "Name: Bitte ausfüllen" in words_of(wrong.text)
    assert "is required" not in words_of(wrong.text)


@pytest.mark.parametrize(
    ("change", "headers", "status"),
    [
        ({"token": "wrong"}, {}, 403),
        ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({"f.name": "x" * 300_000}, {}, 413),
    ],
)
async def test_not_everybody_and_not_everything_is_kept(
    sqlite_url: str, change: dict[str, str], headers: dict[str, str], status: int
) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        refused = await web.post(path_of(opened) + "/save", data=typed(opened) | change, headers=headers)
        assert {} == await found.services.saved.load(opened.case.case_id)
        unknown = await web.post("/en/hitl/review/review_unknown/save", data=typed(opened))
        cut = await web.post("/en/hitl/review/%00/save", data=typed(opened))
    assert status == refused.status_code
    assert {403: unknown.text} == {answer.status_code: unknown.text for answer in (unknown, cut)}


async def test_only_what_the_page_asks_for_is_kept(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", context=STEPS)
        await save(web, opened, f__name="north", f__other="x", anything="y", step="9999")
        kept = await found.services.saved.load(opened.case.case_id)
        closed = await found.ask("input", context=STEPS)
        await found.services.gate.cancel(found.principal, closed.case.case_id, None)
        late = await save(web, closed, f__name="north")
    assert {"values": {"f.name": ["north"]}, "step": 1, "fetches": 0} == kept
    assert 409 == late.status_code


# --- values that others hold ------------------------------------------------------------------------------------------


def asking(receiver: Receiver, **more: Any) -> dict[str, Any]:
    fields: list[dict[str, Any]] = [
        {"key": "name", "label": "Name", "type": "text", "default_ref": receiver.url("/name")},
        {"key": "pin", "label": "Pin", "type": "text", "sensitive": True, "default_ref": receiver.url("/pin")},
        {"key": "size", "label": "Size", "type": "number", "default_ref": receiver.url("/size")},
    ]
    context = {"form": {"fields": [one | more for one in fields]}}
    check_form(context)
    return context


def fetcher() -> GuardedFetcher:
    return GuardedFetcher(GuardedHttp(Destinations(development=True)))


async def prefill(found: Desk, web: httpx.AsyncClient, opened: Opened, token: str | None = None) -> httpx.Response:
    body = {"token": opened.review_token if token is None else token}
    return await web.post(path_of(opened) + "/prefill", json=body)


def by_path(**texts: str) -> Any:
    """Answers whatever is asked for at the path of that name; the rest is not there."""

    def of(receiver: Receiver) -> Any:
        async def behave(writer: Any) -> None:
            asked = receiver.received[-1].target.removeprefix("/")
            await (answer(200, texts[asked]) if asked in texts else answer(404))(writer)

        return behave

    return of


async def test_values_are_fetched_and_the_sensitive_ones_stay_on_the_server(sqlite_url: str) -> None:
    async with (
        receiving() as receiver,
        desk(sqlite_url, fetcher=fetcher()) as found,
        browser(found) as web,
    ):
        receiver.then = by_path(name='{"value": "north"}', pin="4711-hush")(receiver)
        opened = await found.ask("input", context=asking(receiver))
        shown = await web.get(link_of(opened))
        assert [] == receiver.received  # reading fetches nothing
        fetched = await prefill(found, web, opened)
        again = await web.get(link_of(opened))
        done = await web.post(path_of(opened), data=form_of(opened, "submit", f__name="north", f__pin="", f__size="3"))
        given = found.services.saved.given(await found.case(opened))
        received = list(receiver.received)
    assert "data-prefill-url" in shown.text
    assert {"values": {"f.name": ["north"]}, "kept": ["f.pin"], "failed": ["f.size"]} == fetched.json()
    assert "4711-hush" not in fetched.text + again.text
    assert 'value="north"' in tag_of(again.text, "f.name")
    assert 200 == done.status_code
    assert {"name": "north", "pin": "4711-hush", "size": 3} == given
    assert {"/name", "/pin", "/size"} == {one.target for one in received}
    for one in received:
        # Whoever opened the case knows the token and can check this; whoever gets it cannot answer with it.
        address = receiver.url(one.target)
        proof = hmac.new(opened.review_token.encode(), address.encode(), hashlib.sha256).hexdigest()
        assert f"sha256={proof}" == one.headers["x-hitl-proof"]
        assert opened.case.case_id == one.headers["x-hitl-case-id"]
        assert opened.review_token not in json.dumps(one.headers)


async def test_what_was_typed_is_not_fetched_over(sqlite_url: str) -> None:
    async with receiving() as receiver, desk(sqlite_url, fetcher=fetcher()) as found, browser(found) as web:
        receiver.then = by_path(name="north", size="7")(receiver)
        opened = await found.ask("input", context=asking(receiver))
        await save(web, opened, f__name="mine", f__pin="", clear__pin="1")
        fetched = await prefill(found, web, opened)
    assert {"values": {"f.size": ["7"]}, "kept": [], "failed": []} == fetched.json()
    assert ["/size"] == [one.target for one in receiver.received]


async def test_a_value_that_did_not_come_is_asked_for_again(sqlite_url: str) -> None:
    async with receiving() as receiver, desk(sqlite_url, fetcher=fetcher()) as found, browser(found) as web:
        receiver.then = answer(503)
        opened = await found.ask("input", context=asking(receiver))
        await prefill(found, web, opened)
        await save(web, opened, f__name="", f__pin="", f__size="3")
        receiver.then = by_path(name="north", pin="4711")(receiver)
        fetched = await prefill(found, web, opened)
        await save(web, opened, f__name="", f__pin="", f__size="3")  # emptied by hand
        last = await prefill(found, web, opened)
    assert {"values": {"f.name": ["north"]}, "kept": ["f.pin"], "failed": []} == fetched.json()
    assert {"values": {}, "kept": [], "failed": []} == last.json()


@pytest.mark.parametrize("text", ["n\x00", "", "null", "[1, 2]", '{"value": {"a": 1}}', "\udcff", "x" * 20_000])
async def test_what_cannot_be_used_leaves_the_field_empty(sqlite_url: str, text: str) -> None:
    async with receiving() as receiver, desk(sqlite_url, fetcher=fetcher()) as found, browser(found) as web:

        async def behave(writer: Any) -> None:
            body = text.encode("utf-8", "surrogateescape")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

        receiver.then = behave
        opened = await found.ask("input", context=asking(receiver, validation={"maxLength": 5}))
        fetched = await prefill(found, web, opened)
    assert {"values": {}, "kept": [], "failed": ["f.name", "f.pin", "f.size"]} == fetched.json()


async def test_a_link_makes_us_ask_others_a_few_times_only(sqlite_url: str) -> None:
    async with receiving() as receiver, desk(sqlite_url, fetcher=fetcher()) as found, browser(found) as web:
        receiver.then = answer(500)
        opened = await found.ask("input", context=asking(receiver))
        assert 403 == (await prefill(found, web, opened, token="wrong")).status_code
        for _ in range(8):
            await prefill(found, web, opened)
        page = await web.get(link_of(opened))
    assert 5 * 3 == len(receiver.received)
    assert "data-prefill-url" not in page.text


async def test_without_scripts_a_button_fetches_them(sqlite_url: str) -> None:
    async with receiving() as receiver, desk(sqlite_url, fetcher=fetcher()) as found, browser(found) as web:
        receiver.then = by_path(name="north", pin="4711")(receiver)
        opened = await found.ask("input", context=asking(receiver))
        asked = await web.get(link_of(opened))
        filled = await web.post(path_of(opened), data=typed(opened, keep="fetched"))
    assert "Fetch the values that are known elsewhere" in words_of(asked.text)
    assert 'value="north"' in tag_of(filled.text, "f.name")
    assert "4711" not in filled.text
