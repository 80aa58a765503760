"""What the review page must never do, whoever asks: change by reading, tell links apart, answer for another website."""

from __future__ import annotations

import re

import httpx
import pytest

from core.states import Status
from tests.support.review_page import PUBLIC_URL, Desk, browser, desk, form_of, link_of, path_of, words_of

BOTS = (
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slack-ImgProxy (+https://api.slack.com/robots)",
    "TelegramBot (like TwitterBot)",
    "WhatsApp/2.23.20.0",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Twitterbot/1.0",
    "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 SkypeUriPreview Preview/0.5",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
)
VISITS = 10
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_link_previews_change_nothing(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        closed = await found.ask()
        await found.tap(closed, "approve")
        before = found.rows()
        for bot in BOTS:
            for method in ("GET", "HEAD", "OPTIONS"):
                for link in [link_of(opened), link_of(closed)] * (VISITS // 2):
                    answer = await web.request(method, link, headers={"User-Agent": bot})
                    assert (405 if method == "OPTIONS" else 200) == answer.status_code
        assert before == found.rows()
        assert Status.PENDING == (await found.case(opened)).status


async def test_a_link_that_does_not_work_never_says_why(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened, other = await found.ask(), await found.ask()
        case_id, token = opened.case.case_id, opened.review_token
        links = [
            ("review_AAAAAAAAAAAAAAAAAAAAAA", token),  # unknown case
            (case_id, ""),
            (case_id, token[:-1]),
            (case_id, token + "é\U0001f600"),
            (case_id, other.review_token),  # another case's
            (case_id, opened.submit_token or ""),  # answers in a messenger, opens nothing
            ("x" * 5_000, token),
            ("%00", token),
            ("%ff%fe", token),
            ("%20", token),
        ]
        seen = [await web.get(f"/en/hitl/review/{case}", params={"token": token}) for case, token in links]
        seen += [
            await web.post(f"/en/hitl/review/{case}", data={"token": token, "action": "approve"})
            for case, token in links
        ]
        states = [await web.post(f"/en/hitl/review/{case}/state", json={"token": token}) for case, token in links]
        assert Status.PENDING == (await found.case(opened)).status
    assert {403} == {answer.status_code for answer in seen + states}
    assert 1 == len({_without_nonce(answer) for answer in seen})
    assert 1 == len({answer.text for answer in states})
    assert "This link does not work" in seen[0].text


def _without_nonce(answer: httpx.Response) -> str:
    """The whole answer but for what is drawn anew for each: the nonce and the request's id."""
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return (answer.text + repr(headers)).replace(_nonce(answer), "")


def _nonce(answer: httpx.Response) -> str:
    found = re.search(r"script-src 'nonce-([\w-]{16,})'", answer.headers["Content-Security-Policy"])
    assert found is not None
    return found[1]


async def _every_page(found: Desk, web: httpx.AsyncClient) -> list[httpx.Response]:
    """One of each kind of page: open, refused, answered, expired, withdrawn, wrong link, cross-site, unreadable."""
    opened, soon, gone = await found.ask(), await found.ask(timeout_ms=10_000), await found.ask()
    await found.services.gate.cancel(found.principal, gone.case.case_id, None)
    pages = [
        await web.get(link_of(opened)),
        await web.post(path_of(opened), data=form_of(opened, "")),
        await web.post(path_of(opened), data=form_of(opened, "approve")),
        await web.get(link_of(opened)),
        await web.get(link_of(gone)),
        await web.get(path_of(opened)),
        await web.post(path_of(opened), data=form_of(opened, "approve"), headers={"Sec-Fetch-Site": "cross-site"}),
        await web.post(path_of(opened), content=b"%ff", headers=FORM),
    ]
    found.clock.offset = 10_000
    return [*pages, await web.get(link_of(soon))]


async def test_every_page_keeps_the_browser_on_a_short_leash(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        pages = await _every_page(found, web)
    for page in pages:
        assert "no-referrer" == page.headers["Referrer-Policy"]
        assert "no-store" == page.headers["Cache-Control"]
        assert "nosniff" == page.headers["X-Content-Type-Options"]
        assert "noindex" in page.headers["X-Robots-Tag"]
        assert "same-origin" == page.headers["Cross-Origin-Opener-Policy"]
        assert "camera=()" in page.headers["Permissions-Policy"]
        policy = dict(part.strip().split(" ", 1) for part in page.headers["Content-Security-Policy"].split(";"))
        assert {
            "default-src": "'none'", "script-src": f"'nonce-{_nonce(page)}'", "style-src": "'self'",
            "img-src": "'self'", "connect-src": "'self'", "form-action": "'self'",
            "base-uri": "'none'", "frame-ancestors": "'none'",
        } == policy  # fmt: skip
        assert "Set-Cookie" not in page.headers
        assert "Location" not in page.headers
        assert all(f'nonce="{_nonce(page)}"' in tag for tag in re.findall("<script[^>]*>", page.text))
        assert not re.search(r"\s(style|on\w+)\s*=|<style|javascript:", page.text)
        # Nothing is loaded but our own files, and there is an answer under each of those names.
        assert {"/static/review"} == {
            found_url.rpartition("/")[0].rpartition("/")[0]
            for found_url in re.findall(r'<(?:link|script|img)[^>]*(?:src|href)="([^"]*)"', page.text)
        }
    assert len(pages) == len({_nonce(page) for page in pages})


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": PUBLIC_URL},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": PUBLIC_URL + ".elsewhere.example"},
    ],
)
async def test_an_answer_from_another_website_is_refused(sqlite_url: str, headers: dict[str, str]) -> None:
    async with desk(sqlite_url) as found, _anybody(found) as web:
        opened = await found.ask()
        before = found.rows()
        refused = await web.post(path_of(opened), data=form_of(opened, "approve"), headers=headers)
        state = await web.post(path_of(opened) + "/state", json={"token": opened.review_token}, headers=headers)
        assert before == found.rows()
    assert (403, 403) == (refused.status_code, state.status_code)
    assert "This answer came from another website" in words_of(refused.text)
    assert opened.review_token not in refused.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "null"},  # Chromium, because the page sends no referrer
        {"Sec-Fetch-Site": "none"},
        {"Origin": PUBLIC_URL},
        {"Origin": "http://localhost:8080", "Host": "localhost:8080"},
        {},
    ],
)
async def test_an_answer_from_the_page_itself_is_taken(sqlite_url: str, headers: dict[str, str]) -> None:
    async with desk(sqlite_url) as found, _anybody(found) as web:
        opened = await found.ask()
        done = await web.post(path_of(opened), data=form_of(opened, "approve"), headers=headers)
    assert 200 == done.status_code


def _anybody(found: Desk) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=found.app), base_url=PUBLIC_URL)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"token=%ff&action=approve", FORM, 400),
        (b"token=\xff", FORM, 400),
        (b"token=a%00b", FORM, 400),
        (b"&".join(b"a=" for _ in range(10_000)), FORM, 400),
        (b"a=" + b"x" * 1024 * 1024, FORM, 413),
        (b'{"token": "x"}', {"Content-Type": "application/json"}, 415),
        (b"", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused(
    sqlite_url: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        refused = await web.post(path_of(opened), content=body, headers=headers)
    assert status == refused.status_code
    assert "Nothing was recorded." in words_of(refused.text)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"token": 1}', 403),
        (b"{}", 403),
        (b'{"token": "' + b"x" * 5_000 + b'"}', 413),
        (b'{"token": "\\ud800"}', 400),
    ],
)
async def test_a_strange_question_about_the_state_is_refused(sqlite_url: str, body: bytes, status: int) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        opened = await found.ask()
        refused = await web.post(path_of(opened) + "/state", content=body)
    assert status == refused.status_code
    assert {"error", "message"} == set(refused.json())


async def test_static_files_may_be_kept_for_ever_under_the_name_of_their_content(sqlite_url: str) -> None:
    async with desk(sqlite_url) as found, browser(found) as web:
        page = await web.get(link_of(await found.ask()))
        for url in re.findall(r'"(/static/review/[^"]+)"', page.text):
            kept = await web.get(url)
            assert 200 == kept.status_code
            assert "immutable" in kept.headers["Cache-Control"]
            assert "nosniff" == kept.headers["X-Content-Type-Options"]
            older = await web.get(re.sub("review/[0-9a-f]+/", "review/0000/", url))
            assert kept.content == older.content
            assert "no-cache" == older.headers["Cache-Control"]
        assert 404 == (await web.get("/static/review/0000/secrets.css")).status_code
        assert 404 == (await web.get("/static/review/0000/..%2froutes.py")).status_code
