"""Signing in to the inbox: by the bot's one-time link, by Slack, inside Telegram; and out again."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from adapters.slack import InstallSettings, SlackSettings
from adapters.slack.openid import SlackOpenId
from adapters.telegram.sign_in import TelegramSignIn
from api.app import build_app
from bot.sandbox import Sandbox
from core.installations import Installation, Installations
from core.schedule import HOUR, MINUTE
from core.sealing import KeyRing
from tests.support.evidence import BOT_TOKEN, init_data
from tests.support.inbox import ADA, BEN, EVE, INBOX, asked, enter, place, signed, signed_in
from tests.support.review_page import Desk, browser, desk, words_of

BOTS = ("Slackbot-LinkExpanding 1.0", "TelegramBot (like TwitterBot)", "Mozilla/5.0 (compatible; bingbot/2.0)")


@pytest.fixture(name="found")
async def found_fixture(database_url: str) -> AsyncIterator[Desk]:
    async with desk(database_url) as found:
        yield found


@pytest.fixture(name="here")
async def here_fixture(sqlite_url: str) -> AsyncIterator[Desk]:
    """For what says nothing of a database."""
    async with desk(sqlite_url) as found:
        yield found


@pytest.fixture(name="sandbox")
async def sandbox_fixture() -> AsyncIterator[Sandbox]:
    async with Sandbox.running() as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("accepted", "lang"),
    [("", "en"), ("de-DE,de;q=0.9,en;q=0.8", "de"), ("fr-CH, fr;q=0.9, de;q=0.7", "de"), ("fr,*;q=0.1", "en")],
)
async def test_whoever_types_the_address_is_brought_to_the_inbox(here: Desk, accepted: str, lang: str) -> None:
    async with browser(here) as client:
        for address in ("/", "/inbox"):
            answer = await client.get(address, headers={"Accept-Language": accepted})
            assert (303, f"/{lang}/inbox") == (answer.status_code, answer.headers["location"])
            assert "Accept-Language" == answer.headers["vary"]
            assert f'<html lang="{lang}">' in (await client.get(answer.headers["location"])).text


async def test_a_link_signs_in_once_and_its_code_leaves_the_address(found: Desk) -> None:
    code = await found.services.sessions.sign_in_code(ADA)
    async with browser(found) as client, browser(found) as other:
        page = await client.get(f"{INBOX}/enter", params={"code": code})
        assert (200, True) == (page.status_code, "Sign in as Ada Park?" in words_of(page.text))
        answer = await client.post(f"{INBOX}/enter", data={"code": code})
        assert (303, INBOX) == (answer.status_code, answer.headers["location"])
        assert "Ada Park" in words_of((await client.get(INBOX)).text)
        again = await other.post(f"{INBOX}/enter", data={"code": code})
        assert (403, True) == (again.status_code, "has been used" in words_of(again.text))
        assert "set-cookie" not in again.headers


async def test_whoever_only_looks_at_a_link_uses_nothing_up(here: Desk) -> None:
    code = await here.services.sessions.sign_in_code(ADA)
    before = here.rows()
    async with browser(here) as client:
        for agent in BOTS:
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = await client.request(
                    method, f"{INBOX}/enter", params={"code": code}, headers={"User-Agent": agent}
                )
                assert "set-cookie" not in answer.headers
        assert before == here.rows()
        assert 303 == (await client.post(f"{INBOX}/enter", data={"code": code})).status_code


async def test_a_link_is_too_old_after_ten_minutes(found: Desk) -> None:
    code = await found.services.sessions.sign_in_code(ADA)
    found.clock.offset += 10 * MINUTE
    async with browser(found) as client:
        assert 403 == (await client.get(f"{INBOX}/enter", params={"code": code})).status_code
        assert 403 == (await client.post(f"{INBOX}/enter", data={"code": code})).status_code


@pytest.mark.parametrize("code", ["", "no", "x" * 43, "\x00", "'; DROP TABLE codes", "é" * 40])
async def test_what_is_no_code_lets_nobody_in(here: Desk, code: str) -> None:
    async with browser(here) as client:
        assert 403 == (await client.get(f"{INBOX}/enter", params={"code": code})).status_code
        assert (await client.post(f"{INBOX}/enter", data={"code": code})).status_code in (400, 403)


async def test_the_cookie_is_for_our_pages_alone(here: Desk, sqlite_url: str) -> None:
    async with browser(here) as client:
        flags = (await enter(here, client)).headers["set-cookie"]
    assert flags.startswith("assent=")
    assert {"httponly", "samesite=lax", "path=/", "max-age=43200"} <= set(flags.lower().split("; "))
    async with desk(sqlite_url, "https://assent.test") as found, browser(found) as client:
        flags = (await enter(found, client)).headers["set-cookie"]
    assert flags.startswith("__Host-assent=")  # which browsers take only with Secure and Path=/, and without Domain
    assert {"httponly", "secure", "samesite=lax", "path=/"} <= set(flags.lower().split("; "))
    assert "domain" not in flags.lower()


async def test_a_session_ends_after_twelve_hours(found: Desk) -> None:
    async with signed_in(found) as client:
        found.clock.offset += 12 * HOUR - MINUTE
        assert "Ada Park" in (await client.get(INBOX)).text
        found.clock.offset += 2 * MINUTE
        assert "Ada Park" not in (await client.get(INBOX)).text
        assert 403 == (await client.get(f"{INBOX}/history")).status_code


async def test_another_web_site_signs_nobody_in_or_out(here: Desk) -> None:
    code = await here.services.sessions.sign_in_code(BEN)
    async with signed_in(here) as client:
        form = signed((await client.get(INBOX)).text)
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "", "Origin": "https://evil.example"}):
            for path, data in (("/enter", {"code": code}), ("/leave", {"signed": form}), ("/slack", {"case": ""})):
                answer = await client.post(INBOX + path, data=data, headers=headers)
                assert (403, False) == (answer.status_code, "set-cookie" in answer.headers)
        assert "Ada Park" in (await client.get(INBOX)).text
        telegram = await client.post(
            f"{INBOX}/telegram", json={"init_data": "x"}, headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert 403 == telegram.status_code


async def test_whoever_signs_out_is_out_wherever_the_cookie_went(here: Desk) -> None:
    async with signed_in(here) as client:
        form, cookie = signed((await client.get(INBOX)).text), client.cookies["assent"]
        assert 403 == (await client.post(f"{INBOX}/leave", data={"signed": "0" * 64})).status_code
        answer = await client.post(f"{INBOX}/leave", data={"signed": form})
        assert (303, "") == (answer.status_code, client.cookies.get("assent", ""))
    async with browser(here) as thief:
        thief.cookies.set("assent", cookie)
        assert "Ada Park" not in (await thief.get(INBOX)).text


async def test_signing_in_as_somebody_else_ends_the_session_before(here: Desk) -> None:
    async with signed_in(here) as client, browser(here) as old:
        old.cookies.set("assent", client.cookies["assent"])
        await enter(here, client, BEN)
        assert "Ben Ode" in (await client.get(INBOX)).text
        assert "Ada Park" not in (await old.get(INBOX)).text


async def test_the_link_may_lead_on_to_a_case(here: Desk) -> None:
    opened = await asked(here)
    code = await here.services.sessions.sign_in_code(ADA)
    async with browser(here) as client:
        page = await client.get(f"{INBOX}/enter", params={"code": code, "case": opened.case.case_id})
        assert f'name="case" value="{opened.case.case_id}"' in page.text
        answer = await client.post(f"{INBOX}/enter", data={"code": code, "case": opened.case.case_id})
        assert place(opened) == answer.headers["location"]
        code = await here.services.sessions.sign_in_code(ADA)
        answer = await client.post(f"{INBOX}/enter", data={"code": code, "case": "//evil.example/"})
        assert INBOX == answer.headers["location"]


async def test_a_mini_app_signs_in_whoever_opened_it(here: Desk) -> None:
    signs_in = replace(here.services, mini_app=TelegramSignIn(BOT_TOKEN))
    found = replace(here, app=build_app(signs_in))
    good = init_data(auth_date=int(time.time()))
    async with browser(found) as client:
        for bad in (good[:-1] + ("0" if good[-1] != "0" else "1"), init_data(auth_date=int(time.time()) - 86_400), ""):
            answer = await client.post(f"{INBOX}/telegram", json={"init_data": bad})
            assert (403, False) == (answer.status_code, "set-cookie" in answer.headers)
        answer = await client.post(f"{INBOX}/telegram", json={"init_data": good})
        assert (200, {"signed_in": True}) == (answer.status_code, answer.json())
        assert "Telegram" in words_of((await client.get(INBOX)).text)
    async with browser(here) as client:  # where no bot is connected
        assert 403 == (await client.post(f"{INBOX}/telegram", json={"init_data": good})).status_code


# --- Sign in with Slack -----------------------------------------------------------------------------------------------


async def slack_desk(
    here: Desk, sandbox: Sandbox, installs: Installations | None = None, *, home: bool = True, who: str = ""
) -> Desk:
    """`home`: with a bot's token. `who`: which workspaces may install the app."""
    app = sandbox.slack.app
    install = InstallSettings(app.client_id, app.client_secret, "https://assent.example.com", who.split())
    settings = SlackSettings(
        app.bot_token if home else "", app.signing_secret, base_url=sandbox.slack.base_url, install=install
    )
    open_id = SlackOpenId(settings, app.client_id, app.client_secret, installs)
    return replace(here, app=build_app(replace(here.services, open_id=open_id)))


async def installed(here: Desk, team: str, enterprise: str | None = None) -> Installations:
    installs = Installations(here.database, KeyRing(["a secret that seals in tests"]))
    granted = json.dumps({"bot_token": "xoxb-partner"})
    await installs.keep(Installation(team, "Partner", "U0BOT0002", "chat:write", enterprise, granted=granted))
    return installs


async def sent_to(client: httpx.AsyncClient, page: str = INBOX, **form: str) -> str:
    """Where the page that goes on to Slack leads."""
    answer = await client.post(f"{page}/slack", data={"case": ""} | form)
    assert 200 == answer.status_code
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    return answer.text.partition('class="button primary" href="')[2].partition('"')[0].replace("&amp;", "&")


def back(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


async def test_slack_says_who_signs_in(here: Desk, sandbox: Sandbox) -> None:
    found = await slack_desk(here, sandbox)
    opened = await asked(found)
    async with browser(found) as client:
        address = await sent_to(client, case=opened.case.case_id)
        given = parse_qs(urlsplit(address).query)
        assert (["code"], ["openid profile"]) == (given["response_type"], given["scope"])
        returned = back(sandbox.slack.consent(address, "U0REVIEW1", agrees=True))
        answer = await client.get(returned)
        assert (303, place(opened)) == (answer.status_code, answer.headers["location"])
        who = await found.services.sessions.who(client.cookies["assent"])
        assert who is not None
        assert ("slack", "U0REVIEW1", "T0SANDBOX", True) == (who.platform, who.user_id, who.team, who.verified)
        assert 403 == (await client.get(returned)).status_code, "an answer of Slack's lets in once"


async def test_slacks_answer_lets_in_only_the_browser_that_asked(here: Desk, sandbox: Sandbox) -> None:
    found = await slack_desk(here, sandbox)
    async with browser(found) as client, browser(found) as victim:
        returned = back(sandbox.slack.consent(await sent_to(client), "U0REVIEW1", agrees=True))
        await sent_to(victim)
        answer = await victim.get(returned)
        assert (403, False) == (answer.status_code, "assent=" in answer.headers.get("set-cookie", ""))
        assert 303 == (await client.get(returned)).status_code, "whoever comes with it first uses nothing up"


async def test_nobody_of_another_workspace_is_let_in(here: Desk, sandbox: Sandbox) -> None:
    found = await slack_desk(here, sandbox)
    stranger = sandbox.slack.world.stranger
    async with browser(found) as client:
        answer = await client.get(back(sandbox.slack.consent(await sent_to(client), stranger.id, agrees=True)))
        assert (403, True) == (answer.status_code, "is not connected" in words_of(answer.text))
        assert "assent=" not in answer.headers.get("set-cookie", "")


@pytest.mark.parametrize(
    ("team", "who", "home", "enterprise", "user_id", "scope"),
    [
        ("T0PARTNER", "Partner Reviewer", True, None, "T0PARTNER/U0PARTREV", "T0PARTNER"),
        ("T0PARTNER", "Partner Reviewer", False, "E0BIG", "T0PARTNER/U0PARTREV", "E0BIG/T0PARTNER"),
        ("T0PARTNER", "Reviewer One", True, None, "U0REVIEW1", "T0SANDBOX"),
        ("T0SANDBOX", "Reviewer One", False, None, "T0SANDBOX/U0REVIEW1", "T0SANDBOX"),
        ("T0SANDBOX", "Reviewer One", True, None, "U0REVIEW1", "T0SANDBOX"),
    ],
)
async def test_people_of_every_connected_workspace_are_let_in_under_the_name_of_their_taps(
    here: Desk, sandbox: Sandbox, team: str, who: str, home: bool, enterprise: str | None, user_id: str, scope: str
) -> None:
    found = await slack_desk(here, sandbox, await installed(here, team, enterprise), home=home)
    async with browser(found) as client:
        answer = await client.get(back(sandbox.slack.consent(await sent_to(client), who, agrees=True)))
        assert 303 == answer.status_code
        person = await found.services.sessions.who(client.cookies["assent"])
        assert person is not None
        assert ("slack", user_id, scope, True) == (person.platform, person.user_id, person.team, person.verified)


async def test_where_the_app_was_removed_nobody_is_let_in_and_nobody_stays_in(here: Desk, sandbox: Sandbox) -> None:
    installs = await installed(here, "T0PARTNER")
    found = await slack_desk(here, sandbox, installs, who="T0PARTNER")
    async with browser(found) as client:
        await client.get(back(sandbox.slack.consent(await sent_to(client), "Partner Reviewer", agrees=True)))
        assert await found.services.sessions.who(client.cookies["assent"]) is not None
        await installs.revoke("T0PARTNER")
        assert await found.services.sessions.who(client.cookies["assent"]) is None
        assert "Partner Reviewer" not in words_of((await client.get(INBOX)).text)
        answer = await client.get(back(sandbox.slack.consent(await sent_to(client), "Partner Reviewer", agrees=True)))
        assert 403 == answer.status_code
        for words in ("removed from the workspace Partner (T0PARTNER)", "https://assent.example.com/slack/install"):
            assert words in words_of(answer.text)


@pytest.mark.parametrize("who", ["", "T0PARTNER"])
async def test_where_the_app_is_not_installed_one_is_told_what_to_do(here: Desk, sandbox: Sandbox, who: str) -> None:
    found = await slack_desk(here, sandbox, await installed(here, "T0SANDBOX"), home=False, who=who)
    async with browser(found) as client:
        answer = await client.get(back(sandbox.slack.consent(await sent_to(client), "Partner Reviewer", agrees=True)))
        assert 403 == answer.status_code
        assert "workspace Partner (T0PARTNER)" in words_of(answer.text)
        then = "https://assent.example.com/slack/install" if who else "ask whoever runs Assent to connect it"
        assert then in words_of(answer.text)
        assert "assent=" not in answer.headers.get("set-cookie", "")
        address = await sent_to(client, page=INBOX.replace("/en/", "/de/"))
        answer = await client.get(back(sandbox.slack.consent(address, "Partner Reviewer", agrees=True)))
        for words in ("Workspace Partner (T0PARTNER)", "nicht", "Bitten Sie"):
            assert words in words_of(answer.text)


async def test_whoever_declines_stays_out(here: Desk, sandbox: Sandbox) -> None:
    found = await slack_desk(here, sandbox)
    async with browser(found) as client:
        answer = await client.get(back(sandbox.slack.consent(await sent_to(client), "U0REVIEW1", agrees=False)))
        assert (403, True) == (answer.status_code, "You have not agreed" in words_of(answer.text))


async def test_a_code_that_slack_does_not_know_lets_nobody_in(here: Desk, sandbox: Sandbox) -> None:
    found = await slack_desk(here, sandbox)
    async with browser(found) as client:
        (state,) = parse_qs(urlsplit(await sent_to(client)).query)["state"]
        answer = await client.get("/inbox/slack", params={"state": state, "code": "invented"})
        assert (403, True) == (answer.status_code, "You are not signed in" in words_of(answer.text))


async def test_without_its_settings_slack_is_not_offered(here: Desk) -> None:
    async with browser(here) as client:
        assert "Sign in with Slack" not in (await client.get(INBOX)).text
        assert 404 == (await client.post(f"{INBOX}/slack", data={"case": ""})).status_code
        assert 404 == (await client.get("/inbox/slack", params={"state": "x" * 43, "code": "x"})).status_code


async def test_what_lets_somebody_in_is_kept_as_a_hash(here: Desk) -> None:
    code = await here.services.sessions.sign_in_code(EVE)
    async with signed_in(here) as client:
        kept = repr(here.rows())
        assert client.cookies["assent"] not in kept
        assert code not in kept
