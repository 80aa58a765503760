"""The local Slack's tokens: scopes, user groups, OAuth installs in several workspaces, Sign in with Slack."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from slack_sdk.errors import SlackApiError
from slack_sdk.oauth import AuthorizeUrlGenerator, OpenIDConnectAuthorizeUrlGenerator
from slack_sdk.web.async_client import AsyncWebClient

from bot.sandbox import ManualClock, Sandbox
from bot.sandbox.slack import SlackError
from tests.integration.sandbox_receiver import receiving

# The SDK sends the client's secret through a helper that aiohttp wants to retire.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

CHANNEL, BACK = "C0APPROVE", "https://assent.example.com/back?door=slack"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def sandbox(clock: ManualClock) -> AsyncIterator[Sandbox]:
    async with Sandbox.running(clock=clock) as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> AsyncWebClient:
    return AsyncWebClient(token=sandbox.slack.app.bot_token, base_url=sandbox.slack.base_url)


async def refusal(call: Any) -> Any:
    with pytest.raises(SlackApiError) as caught:
        await call
    return caught.value.response


def install_link(sandbox: Sandbox, scope: str = "chat:write,commands", **more: str) -> str:
    asked = {"client_id": sandbox.slack.app.client_id, "scope": scope, "redirect_uri": BACK, "state": "s1"}
    return f"{sandbox.slack.site_url}/oauth/v2/authorize?{urlencode(asked | more)}"


def sign_in_link(sandbox: Sandbox, scope: str = "openid,profile,email", **more: str) -> str:
    asked = {"client_id": sandbox.slack.app.client_id, "scope": scope, "redirect_uri": BACK, "response_type": "code"}
    asked |= {"state": "s1", "nonce": "n1"}
    return f"{sandbox.slack.site_url}/openid/connect/authorize?{urlencode(asked | more)}"


def answered(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


async def exchange(sandbox: Sandbox, client: AsyncWebClient, code: str, **more: str) -> Any:
    app = sandbox.slack.app
    given = {"client_id": app.client_id, "client_secret": app.client_secret, "code": code, "redirect_uri": BACK}
    return await client.oauth_v2_access(**(given | more))


# Scopes and looking people up


@pytest.mark.parametrize(
    ("method", "params", "needed"),
    [
        ("chat.postMessage", {"channel": CHANNEL, "text": "x"}, "chat:write"),
        ("chat.postEphemeral", {"channel": CHANNEL, "user": "U0REVIEW1", "text": "x"}, "chat:write"),
        ("conversations.history", {"channel": CHANNEL}, "channels:history"),
        ("conversations.members", {"channel": CHANNEL}, "channels:read"),
        ("conversations.open", {"users": "U0REVIEW1"}, "im:write"),
        ("users.conversations", {"types": "public_channel,private_channel"}, "channels:read,groups:read"),
        ("users.info", {"user": "U0REVIEW1"}, "users:read"),
        ("usergroups.list", {}, "usergroups:read"),
        ("usergroups.users.list", {"usergroup": "S0REVIEWS"}, "usergroups:read"),
    ],
)
async def test_a_token_without_the_scope_is_told_which(
    sandbox: Sandbox, client: AsyncWebClient, method: str, params: dict[str, Any], needed: str
) -> None:
    assert (await client.api_call(method, params=params))["ok"]
    sandbox.slack.app.scopes = "team:read"
    answer = await refusal(client.api_call(method, params=params))
    assert ("missing_scope", needed, "team:read") == tuple(answer[name] for name in ("error", "needed", "provided"))
    assert ("team:read", needed) == (answer.headers["x-oauth-scopes"], answer.headers["x-accepted-oauth-scopes"])


async def test_methods_without_a_scope_take_any_token(sandbox: Sandbox, client: AsyncWebClient) -> None:
    sandbox.slack.app.scopes = "team:read"
    view = {"type": "home", "blocks": []}
    assert (await client.views_publish(user_id="U0REVIEW1", view=view))["ok"]
    assert "team:read" == (await client.auth_test()).headers["x-oauth-scopes"]


async def test_user_groups_are_listed_with_their_people_unless_they_are_disabled(
    sandbox: Sandbox, client: AsyncWebClient
) -> None:
    sandbox.slack.world.standby.disabled = True
    listed = (await client.usergroups_list(include_users=True))["usergroups"]
    assert [("S0REVIEWS", "reviewers", ["U0REVIEW1", "U0REVIEW2"])] == [
        (group["id"], group["handle"], group["users"]) for group in listed
    ]
    assert ["S0REVIEWS", "S0STANDBY"] == [
        group["id"] for group in (await client.usergroups_list(include_disabled=True))["usergroups"]
    ]
    assert "no_such_subteam" == (await refusal(client.usergroups_users_list(usergroup="S0STANDBY")))["error"]


async def test_looking_groups_up_is_limited_to_twenty_a_minute_per_workspace(
    client: AsyncWebClient, clock: ManualClock
) -> None:
    for _ in range(20):
        await client.usergroups_users_list(usergroup="S0REVIEWS")
    answer = await refusal(client.usergroups_users_list(usergroup="S0REVIEWS"))
    assert ("ratelimited", 429, "60") == (answer["error"], answer.status_code, answer.headers["Retry-After"])
    assert (await client.usergroups_list())["ok"]
    clock.advance(60)
    assert (await client.usergroups_users_list(usergroup="S0REVIEWS"))["ok"]


async def test_the_channels_of_a_person_are_those_that_the_bot_may_know(
    sandbox: Sandbox, client: AsyncWebClient
) -> None:
    world = sandbox.slack.world
    world.unjoined.is_private = True
    kinds = "public_channel,private_channel"
    channels = (await client.users_conversations(user="U0REQUEST", types=kinds))["channels"]
    assert ["approvals", "shared", "oncall"] == [channel["name"] for channel in channels]
    world.unjoined.is_private = False
    channels = (await client.users_conversations(user="U0REQUEST", types=kinds))["channels"]
    assert "unjoined" in [channel["name"] for channel in channels]
    assert [] == (await client.users_conversations(user="U0OUTSIDE"))["channels"]


async def test_a_private_channel_without_the_bot_does_not_exist_for_it(
    sandbox: Sandbox, client: AsyncWebClient
) -> None:
    sandbox.slack.world.unjoined.is_private = True
    for call in (
        client.chat_postMessage(channel="C0UNJOINE", text="x"),
        client.conversations_members(channel="C0UNJOINE"),
    ):
        assert "channel_not_found" == (await refusal(call))["error"]


# Installing


async def test_each_workspace_has_its_own_bot_and_token(sandbox: Sandbox, client: AsyncWebClient) -> None:
    slack = sandbox.slack
    with pytest.raises(LookupError, match="not a valid command in Partner"):
        await slack.partner.command("C0PARTNER", "/assent", user="Stranger")
    back = answered(slack.consent(install_link(sandbox), "Partner Reviewer"))
    installed = await exchange(sandbox, client, back["code"])
    assert ("s1", "slack") == (back["state"], back["door"])
    assert ("T0PARTNER", "U0BOT0002", "chat:write,commands", "U0PARTREV") == (
        installed["team"]["id"], installed["bot_user_id"], installed["scope"], installed["authed_user"]["id"],
    )  # fmt: skip
    there = AsyncWebClient(token=installed["access_token"], base_url=slack.base_url)
    assert ("T0PARTNER", "T0SANDBOX") == ((await there.auth_test())["team_id"], (await client.auth_test())["team_id"])
    posted = await there.chat_postMessage(channel="C0PARTNER", text="Card", blocks=[
        {"type": "actions", "elements": [{"type": "button", "text": {"type": "plain_text", "text": "Approve"}}]}
    ])  # fmt: skip
    assert "channel_not_found" == (await refusal(client.chat_postMessage(channel="C0PARTNER", text="x")))["error"]
    assert "missing_scope" == (await refusal(there.users_info(user="U0STRANGE")))["error"]
    async with receiving() as receiver:
        slack.app.request_url = receiver.url
        await slack.partner.tap("C0PARTNER", posted["ts"], "Approve", user="Stranger")
        await slack.partner.command("C0PARTNER", "/assent", user="Stranger")
    tap, command = (parse_qs(received.body.decode()) for received in receiver.received)
    assert "T0PARTNER" == json.loads(tap["payload"][0])["team"]["id"]
    assert ["T0PARTNER"] == command["team_id"]


async def test_a_code_is_good_once_for_ten_minutes_with_the_right_secret(
    sandbox: Sandbox, client: AsyncWebClient, clock: ManualClock
) -> None:
    first, late = (answered(sandbox.slack.consent(install_link(sandbox), "On Call"))["code"] for _ in range(2))
    for wrong, error in (
        ({"client_id": "1.2"}, "invalid_client_id"),
        ({"client_secret": "wrong"}, "bad_client_secret"),
        ({"client_secret": ""}, "bad_client_secret"),
        ({"redirect_uri": "https://elsewhere.example"}, "bad_redirect_uri"),
    ):
        assert error == (await refusal(exchange(sandbox, client, first, **wrong)))["error"]
    assert "invalid_code" == (await refusal(exchange(sandbox, client, "1.2.3")))["error"]
    assert "T0SANDBOX" == (await exchange(sandbox, client, first))["team"]["id"]
    assert "code_already_used" == (await refusal(exchange(sandbox, client, first)))["error"]
    clock.advance(601)
    assert "invalid_code" == (await refusal(exchange(sandbox, client, late)))["error"]


async def test_a_token_that_is_rotated_runs_out_and_is_renewed_once_with_what_came_with_it(
    sandbox: Sandbox, client: AsyncWebClient, clock: ManualClock
) -> None:
    app = sandbox.slack.app
    app.rotates_tokens = True
    code = answered(sandbox.slack.consent(install_link(sandbox), "Partner Reviewer"))["code"]
    first = await exchange(sandbox, client, code)
    assert 43_200 == first["expires_in"]
    renewal = {"client_id": app.client_id, "client_secret": app.client_secret, "grant_type": "refresh_token"}
    wrong = client.oauth_v2_access(**renewal | {"client_secret": "wrong"}, refresh_token=first["refresh_token"])
    assert "bad_client_secret" == (await refusal(wrong))["error"]

    clock.advance(43_000)
    second = await client.oauth_v2_access(**renewal, refresh_token=first["refresh_token"])
    assert ("T0PARTNER", "U0BOT0002", "chat:write,commands") == (
        second["team"]["id"], second["bot_user_id"], second["scope"],
    )  # fmt: skip
    again = client.oauth_v2_access(**renewal, refresh_token=first["refresh_token"])
    assert "invalid_refresh_token" == (await refusal(again))["error"]
    old, new = (AsyncWebClient(token=one["access_token"], base_url=sandbox.slack.base_url) for one in (first, second))
    assert "T0PARTNER" == (await old.auth_test())["team_id"], "the old one is good until it runs out"
    clock.advance(200)
    assert "token_expired" == (await refusal(old.auth_test()))["error"]
    assert "T0PARTNER" == (await new.auth_test())["team_id"]

    await sandbox.slack.partner.uninstall()
    gone = client.oauth_v2_access(**renewal, refresh_token=second["refresh_token"])
    assert "invalid_refresh_token" == (await refusal(gone))["error"]


async def test_the_consent_page_sends_the_browser_back(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        link = install_link(sandbox)
        page = await http.get(link)
        allowed = await http.post(link, data={"user": "U0ONCALL1", "agree": "1"})
        declined = await http.post(link, data={"user": "U0ONCALL1", "agree": "0"})
        wrong = await http.get(install_link(sandbox, client_id="<b>"))
    assert "On Call (Sandbox)" in page.text
    assert "Partner Reviewer (Partner)" in page.text
    assert (302, "s1") == (allowed.status_code, answered(allowed.headers["location"])["state"])
    assert "code" in answered(allowed.headers["location"])
    assert "access_denied" == answered(declined.headers["location"])["error"]
    assert (400, True) == (wrong.status_code, "invalid_client_id" in wrong.text)


async def test_links_that_slack_would_refuse_are_refused(sandbox: Sandbox) -> None:
    sandbox.slack.app.redirect_urls = ("https://assent.example.com/",)
    for link, error in (
        (install_link(sandbox, redirect_uri="https://elsewhere.example"), "bad_redirect_uri"),
        (install_link(sandbox, scope=""), "invalid_scope_requested"),
        (sign_in_link(sandbox, scope="email"), "invalid_scope"),
        (sign_in_link(sandbox, team="T0PARTNER"), "user_not_found"),
    ):
        with pytest.raises(SlackError, match=error):
            sandbox.slack.consent(link, "On Call")


async def test_the_sdks_own_links_lead_to_the_consent_page(sandbox: Sandbox) -> None:
    app, site = sandbox.slack.app, sandbox.slack.site_url
    install = AuthorizeUrlGenerator(
        client_id=app.client_id, redirect_uri=BACK, scopes=["chat:write"],
        authorization_url=f"{site}/oauth/v2/authorize",
    )  # fmt: skip
    sign_in = OpenIDConnectAuthorizeUrlGenerator(
        client_id=app.client_id, redirect_uri=BACK, scopes=["openid"],
        authorization_url=f"{site}/openid/connect/authorize",
    )  # fmt: skip
    for link in (install.generate("s1"), sign_in.generate("s1", nonce="n1")):
        assert "s1" == answered(sandbox.slack.consent(link, "On Call"))["state"]


async def test_an_app_that_is_removed_hears_of_it_and_its_token_is_worth_nothing(
    sandbox: Sandbox, client: AsyncWebClient
) -> None:
    async with receiving() as receiver:
        sandbox.slack.app.request_url = receiver.url
        await sandbox.slack.uninstall()
    kinds = [json.loads(received.body)["event"]["type"] for received in receiver.received]
    assert ["tokens_revoked", "app_uninstalled"] == kinds
    assert "token_revoked" == (await refusal(client.auth_test()))["error"]


# Sign in with Slack


async def test_an_id_token_says_who_signed_in_and_is_signed_with_the_published_key(
    sandbox: Sandbox, client: AsyncWebClient
) -> None:
    app = sandbox.slack.app
    code = answered(sandbox.slack.consent(sign_in_link(sandbox), "Reviewer One"))["code"]
    token = await client.openid_connect_token(
        client_id=app.client_id, client_secret=app.client_secret, code=code, redirect_uri=BACK
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        about = (await http.get(f"{sandbox.slack.site_url}/.well-known/openid-configuration")).json()
        [key] = (await http.get(about["jwks_uri"])).json()["keys"]
    header, claims = checked(token["id_token"], key)
    assert ("RS256", key["kid"]) == (header["alg"], header["kid"])
    assert (about["issuer"], app.client_id, "U0REVIEW1", "n1") == tuple(
        claims[name] for name in ("iss", "aud", "sub", "nonce")
    )
    assert ("T0SANDBOX", "reviewer.one@example.com", "Reviewer One") == (
        claims["https://slack.com/team_id"], claims["email"], claims["name"],
    )  # fmt: skip
    assert int(sandbox.clock.wall()) + 300 == claims["exp"]
    person = AsyncWebClient(token=token["access_token"], base_url=sandbox.slack.base_url)
    assert "U0REVIEW1" == (await person.openid_connect_userInfo())["sub"]
    assert "not_allowed_token_type" == (await refusal(person.auth_test()))["error"]
    assert "missing_scope" == (await refusal(client.openid_connect_userInfo()))["error"]


async def test_a_sign_in_tells_no_more_than_was_asked_for(sandbox: Sandbox, client: AsyncWebClient) -> None:
    app = sandbox.slack.app
    code = answered(sandbox.slack.consent(sign_in_link(sandbox, scope="openid"), "Stranger"))["code"]
    wrong = client.oauth_v2_access(
        client_id=app.client_id, client_secret=app.client_secret, code=code, redirect_uri=BACK
    )
    assert "invalid_code" == (await refusal(wrong))["error"]
    token = await client.openid_connect_token(
        client_id=app.client_id, client_secret=app.client_secret, code=code, redirect_uri=BACK
    )
    person = AsyncWebClient(token=token["access_token"], base_url=sandbox.slack.base_url)
    told = await person.openid_connect_userInfo()
    assert ("U0STRANGE", "T0PARTNER") == (told["sub"], told["https://slack.com/team_id"])
    assert not {"email", "name"} & set(told.data)


def checked(token: str, key: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """An id token's header and claims; raises when the key did not sign it."""
    signed, _, signature = token.rpartition(".")
    numbers = rsa.RSAPublicNumbers(*(int.from_bytes(decoded(key[name])) for name in ("e", "n")))
    numbers.public_key().verify(decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    header, claims = (json.loads(decoded(part)) for part in signed.split("."))
    return header, claims


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
