"""What agents write, on the review page: whole, as text, and harmless."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api.review import markdown
from api.review.strings import EN
from tests.support.review_page import browser, desk, form_of, link_of, path_of, words_of

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e\u200b\x07"


async def test_whatever_an_agent_writes_is_text(sqlite_url: str) -> None:
    form = {"key": "it", "label": EVIL[:150], "type": "select", "hint": EVIL, "placeholder": EVIL}
    other = {"key": "b", "label": "B", "type": "text", "placeholder": EVIL, "default": EVIL}
    where = {"field": "it", "operator": "eq", "value": "'><script>alert(1)</script>"}
    cases: list[tuple[str, dict[str, Any]]] = [
        ("approval", {"message": EVIL, "requested_by": EVIL, "context": {EVIL: EVIL, "tree": {EVIL: [EVIL]}}}),
        ("approval", {"blocks": [{"id": EVIL, "type": kind, "content": EVIL} for kind in ("markdown", "plaintext")]}),
        ("approval", {"blocks": [{"id": "b", "label": EVIL, "type": "json", "content": {EVIL: EVIL}}]}),
        ("selection", {"context": {"items": [{"id": EVIL, "title": EVIL, "description": EVIL, EVIL: EVIL}, EVIL]}}),
        (
            "input",
            {
                "context": {
                    "form": {
                        "steps": [
                            {
                                "title": EVIL,
                                "description": EVIL,
                                "fields": [
                                    form | {"options": [{"value": EVIL, "label": EVIL}]},
                                    other | {"conditional": where},
                                ],
                            }
                        ]
                    }
                }
            },
        ),
        ("x-evil", {}),
    ]
    async with desk(sqlite_url) as found, browser(found) as web:
        for case_type, more in cases:
            opened = await found.ask(case_type, EVIL, **more)
            page = await web.get(link_of(opened))
            _assert_inert(page.text)
            action = opened.case.actions[0]
            answer = form_of(opened, action, note=EVIL, feedback=EVIL.replace("\x07", ""), selected=[EVIL])
            answer |= {"f.it": EVIL} if case_type == "input" else {}
            done = await web.post(path_of(opened), data=answer)
            assert 200 == done.status_code
            _assert_inert(done.text)


def _assert_inert(html: str) -> None:
    assert "[U+202E][U+200B][U+0007]" in html
    assert "&lt;script&gt;alert(1)" in html
    assert 3 == html.count("<script")  # ours
    assert "<img" not in html
    visible = re.sub(r'(value)="[^"]*"', "", html)  # a form's own values go back as they came
    assert not re.search("[\u202e\u200b\x07]", visible)


def test_markdown_is_cleaned_and_links_say_where_they_lead() -> None:
    html = markdown.render(
        "## Title\n\n### Below\n\n[good.example](https://good.example@evil.example/x 'tip') ![pixel](https://t.example/p.png)\n\n"
        "[x](javascript:alert(1)) [y](/here) <b onclick=alert(1)>bold</b> [z](https://аpple.example)\n\n"
        "&#8238;text `\u202ecode`",
        EN,
    )
    assert html is not None
    assert "<h3>Title</h3>\n<h4>Below</h4>" in html
    assert (
        '<a href="https://good.example@evil.example/x" target="_blank" rel="noopener noreferrer">good.example</a>'
        '<span class="host"> (evil.example)</span>' in html
    )
    assert "(xn--pple-43d.example)" in html
    assert "[image: pixel]" in html
    assert "&lt;b onclick=alert(1)&gt;" in html
    assert 2 == html.count("[U+202E]")
    for never in ("<img", "title=", 'href="javascript', 'href="/here"', "\u202e"):
        assert never not in html


@pytest.mark.parametrize("text", ["> " * 30 + "hidden", "- " * 30 + "hidden", "x" * (64 * 1024 + 1)])
async def test_markdown_that_a_parser_would_cut_is_shown_as_it_is(sqlite_url: str, text: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=[{"id": "text", "type": "markdown", "content": text}])
        page = await web.get(link_of(opened))
    assert text.strip().replace(">", "&gt;") in page.text


async def test_what_markdown_leaves_out_stands_in_the_source_text(sqlite_url: str) -> None:
    text = "Fine.\n\n[note]: https://hidden.example 'not rendered'"
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(blocks=[{"id": "text", "type": "markdown", "content": text}])
        page = await web.get(link_of(opened))
    assert "https://hidden.example" in words_of(page.text)


async def test_deep_and_wide_content_is_shown_whole(sqlite_url: str) -> None:
    deep: Any = "the bottom"
    for _ in range(60):
        deep = {"next": deep}
    wide = [{"row": n} for n in range(3_000)]
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(context={"deep": deep, "wide": wide})
        page = await web.get(link_of(opened))
    assert "the bottom" in page.text
    assert all(f"&#34;row&#34;: {n}\n" in page.text for n in (0, 1_500, 2_999))


async def test_items_and_forms_in_unexpected_places_are_content_like_any_other(sqlite_url: str) -> None:
    form = {"fields": [{"key": "it", "label": "Only a label", "type": "text"}]}
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask(context={"items": {"a": "not a list"}, "form": form, "multiple": True})
        page = await web.get(link_of(opened))
    for words in ("not a list", "Only a label", "Multiple Yes"):
        assert words in words_of(page.text)
