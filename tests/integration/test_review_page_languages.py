"""The review page in other languages than English, and who else may show it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.app import build_app
from api.review.browsers import page_headers
from api.review.german import DE
from api.review.strings import EN, left_words, moment_words, number_words
from core.model import Policy
from tests.support.review_page import browser, desk, form_of, link_of, path_of, words_of

FORM = {
    "fields": [
        {"key": "name", "label": "Name", "type": "text", "required": True},
        {"key": "budget", "label": "Budget", "type": "number", "validation": {"min": 0.5, "max": 12_500}},
    ]
}
ITEM: dict[str, Any] = {
    "id": "sea", "title": "By the sea", "description": "Quiet.", "price": 1_129.5, "currency": "EUR",
    "badges": ["Refundable"], "details": {"rooms": 2}, "image": "https://images.example/a.jpg",
}  # fmt: skip


def test_numbers_and_times_are_written_as_people_write_them() -> None:
    assert ("12,500.5", "12.500,5") == (number_words(12_500.5, EN), number_words(12_500.5, DE))
    assert "21 Nov 2026, 10:05 UTC" == moment_words(1_795_255_500_000, EN)
    assert "21. Nov. 2026, 10:05 Uhr UTC" == moment_words(1_795_255_500_000, DE)
    assert ("1 hour left", "noch 1 Stunde") == (left_words(3_600_000, EN), left_words(3_600_000, DE))
    assert "noch 2 Tage" == left_words(200_000_000, DE)


async def test_the_whole_page_is_in_the_language_of_its_address(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("input", "Wie viel?", context={"form": FORM, "rate": 1.5})
        asked = await web.get(link_of(opened).replace("/en/", "/de/"))
        wrong = await web.post(path_of(opened, "de"), data=form_of(opened, "submit") | {"f.budget": "20000"})
        fields = {"f.name": "Nord", "f.budget": "100"}
        done = await web.post(path_of(opened, "de"), data=form_of(opened, "submit") | fields)
        late = await web.post(path_of(opened, "de"), data=form_of(opened, "submit", f__name="Süd"))
        lost = await web.get(path_of(opened, "de"))
    pages = (asked, wrong, done, late, lost)
    assert all('<html lang="de">' in page.text for page in pages)
    for page, expected in zip(
        pages,
        (
            ("Angaben erbeten", "Antwort bis", "Uhr UTC", "noch 23 Stunden", "Zwischen 0,5 und 12.500.", "1,5"),
            ("Noch nicht gesendet", "Name: Bitte ausfüllen", "Budget: Höchstens 12.500"),
            ("Abgesendet", "Ihre Antwort ist aufgezeichnet", "Beleg", "jemand mit dem Prüf-Link", "nachgerechnet"),
            ("Ihre Antwort wurde nicht aufgezeichnet",),
            ("Dieser Link funktioniert nicht",),
        ),
        strict=True,
    ):
        for words in expected:
            assert words in words_of(page.text)
        for english in ("Answer by", "required", "Your", "Receipt", "This "):
            assert english not in words_of(page.text)


async def test_what_the_gate_finds_wrong_is_said_in_that_language(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("selection", "Wo?", context={"items": ["a", "b"]})
        wrong = await web.post(path_of(opened, "de"), data=form_of(opened, "select"))
    assert 2 == words_of(wrong.text).count("Wählen Sie mindestens eine Möglichkeit")


def test_every_translated_phrase_is_one_that_the_core_says() -> None:
    core = "".join(path.read_text() for path in (Path(__file__).parents[2] / "core").glob("*.py"))
    for english, _ in DE["problems"]:
        assert all(part in core for part in english.split("{}")), english


@pytest.mark.parametrize("path", ["fr", "xx-klingon", "DE"])
async def test_a_language_that_nobody_has_written_is_english_and_says_so(sqlite_url: str, path: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        page = await web.get(link_of(opened).replace("/en/", f"/{path}/"))
    assert '<html lang="en">' in page.text
    assert "Approval needed" in page.text


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (Policy(any_of=("channel",)), "entscheiden kann: wer im Kanal ist, in dem die Karte steht."),
        (Policy(any_of=("link",), exclude_requester=True), "Wer angefragt hat, kann nicht selbst zustimmen."),
    ],
)
async def test_a_refusal_is_in_that_language_too(sqlite_url: str, policy: Policy, words: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(policy=policy, requested_by="link:holder")
        page = await web.get(link_of(opened).replace("/en/", "/de/"))
    assert words in words_of(page.text)


async def test_another_language_keeps_what_was_typed_and_puts_no_token_in_an_address(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        page = await web.get(link_of(opened))
        other = await web.post(
            path_of(opened, "de"), data=form_of(opened, "", feedback="Noch nicht") | {"look": "language"}
        )
        closed = await web.post(path_of(opened, "de"), data=form_of(opened, "approve"))
    assert f'formaction="{path_of(opened, "de")}"' in page.text
    assert ">\nNoch nicht</textarea>" in other.text
    assert f'formaction="{path_of(opened)}"' in closed.text
    for one in (page, other, closed):
        assert f"={opened.review_token}" not in one.text


async def test_links_are_given_out_in_the_servers_language_unless_the_case_has_its_own(sqlite_url: str) -> None:
    async with desk(sqlite_url, language="de") as found, browser(found) as web:
        key, _ = await found.services.keys.create("agent", None)
        own = {"Authorization": f"Bearer {key}"}
        body = {"type": "confirmation", "prompt": "Weiter?"}
        opened = await web.post("/api/hitl/cases", json=body, headers=own)
        english = await web.post("/api/hitl/cases", json={**body, "language": "en"}, headers=own)
    assert "/de/hitl/review/" in opened.json()["hitl"]["review_url"]
    assert "/en/hitl/review/" in english.json()["hitl"]["review_url"]


# --- cards with images ------------------------------------------------------------------------------------------------


async def test_an_option_is_a_card_of_what_is_known_about_it(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask("selection", "Where?", context={"items": [ITEM, "Elsewhere"], "multiple": False})
        page = await web.get(link_of(opened))
        german = await web.get(link_of(opened).replace("/en/", "/de/"))
    words = words_of(page.text)
    assert "By the sea Quiet. 1,129.50 EUR Refundable Rooms 2" in words
    assert "1.129,50 EUR" in words_of(german.text)
    assert "https://images.example/a.jpg" in words  # named, not loaded
    assert "<img" not in page.text
    assert "img-src 'self';" in page.headers["Content-Security-Policy"]


async def test_images_are_loaded_only_where_the_source_allows_them(sqlite_url: str) -> None:
    items = [
        ITEM,
        {"id": "b", "title": "B", "image": {"url": "https://cdn.example:8443/b.png", "alt": "A blue house"}},
        {"id": "c", "title": "C", "image": "http://plain.example/c.png"},
        {"id": "d", "title": "D", "image": "https://a.example;script-src *;/d.png"},
        {"id": "e", "title": "E", "image": "https://user@host.example/e.png"},
        {"id": "f", "title": "F", "image": "data:image/png;base64,AAAA"},
    ]
    async with desk(sqlite_url) as found, browser(found) as web:
        source = await found.services.sources.create(
            found.principal, name="shop", description=None, mode="PULL_ONLY", notify=(), policy=None, images=True
        )
        context = {"items": items}
        opened = await found.ask("selection", "Where?", context=context, source_id=source.source_id)
        page = await web.get(link_of(opened))
        closed = await web.post(path_of(opened), data=form_of(opened, "select", selected="b"))
    for shown in (page, closed):
        policy = dict(part.strip().split(" ", 1) for part in shown.headers["Content-Security-Policy"].split(";"))
        assert "'self' https://cdn.example:8443 https://images.example" == policy["img-src"]
        assert 2 == shown.text.count("<img ")
        assert 'alt="A blue house" loading="lazy"' in shown.text
        assert 'alt="By the sea"' in shown.text
        assert 2 == shown.text.count('referrerpolicy="no-referrer"')
    for name in ("plain.example", "a.example;", "user@host.example", "data:image"):
        assert name in words_of(page.text)


# --- Telegram ---------------------------------------------------------------------------------------------------------


async def test_telegrams_website_may_frame_the_page_only_when_told_so(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found:
        opened = await found.ask()
        framed = replace(found, app=build_app(replace(found.services, telegram_mini_app=True)))
        async with browser(found) as web, browser(framed) as other:
            usual, mini = await web.get(link_of(opened)), await other.get(link_of(opened))
    assert "frame-ancestors 'none'" in usual.headers["Content-Security-Policy"]
    assert "DENY" == usual.headers["X-Frame-Options"]
    assert "frame-ancestors https://web.telegram.org" in mini.headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in mini.headers
    names = set(page_headers("n")) - set(page_headers("n", mini_app=True))
    assert {"X-Frame-Options"} == names
