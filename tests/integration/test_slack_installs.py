"""More than one Slack workspace: connected by OAuth, served each with its own token, never mixed up."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bot.compose import assemble
from bot.doctor.findings import Level
from bot.doctor.manifest import bot_scopes
from bot.roles import ROLES
from bot.sandbox import Sandbox
from bot.sandbox.slack import Message
from bot.sandbox.slack.app import Grant
from bot.sandbox.slack.world import Channel
from bot.secret_key import key_ring
from bot.serve import running as serve
from bot.settings import Settings, WrongSetting, read_settings
from core.installations import STATE_MS, Installation, Installations
from core.model import Address, Identity, Policy
from core.schedule import HOUR
from tests.integration.slack_installing import (
    PARTNER,
    PARTNERS,
    REVIEWER,
    SANDBOX,
    THERE,
    card_at,
    dead_card,
    repliers,
    running,
)
from tests.integration.slack_support import (
    APPROVALS,
    ON_SQLITE,
    SHARED,
    acknowledged,
    ask,
    closed_card,
    shown,
)
from tests.support.cores import Core, a_core
from tests.support.databases import eventually, rows
from tests.support.gates import SECRET
from tests.support.installations import installation

# The SDK sends the client's secret through a helper that aiohttp wants to retire.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")


async def test_cards_go_to_the_workspace_they_name_and_taps_come_back_from_there(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox) as assent:
        pages = await assent.install(SANDBOX, PARTNER)
        assert [200, 200] == [page.status_code for page in pages]
        assert "connected to the workspace Partner" in pages[1].text
        assert f"slack:{PARTNER}/C…" in pages[1].text

        await ask(core, f"{SANDBOX}/{APPROVALS}", PARTNERS, policy=Policy(("channel",), quorum=2))
        for number, (team, channel) in enumerate(((SANDBOX, APPROVALS), (PARTNER, THERE)), 1):
            card = await card_at(sandbox, team, channel)
            desk = sandbox.slack if team == SANDBOX else sandbox.slack.partner
            assert acknowledged(await desk.tap(channel, card.ts, "Approve", REVIEWER[team]))
            await repliers(core, number)
        assert [f"slack:{SANDBOX}/U0REVIEW1", f"slack:{PARTNER}/U0PARTREV"] == await repliers(core, 2)
        for team, channel in ((SANDBOX, APPROVALS), (PARTNER, THERE)):
            assert "Approved" in shown(await closed_card(sandbox, await card_at(sandbox, team, channel)))


@ON_SQLITE
async def test_an_address_without_a_workspace_means_that_of_the_bot_token(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token) as assent:
        await assent.install(PARTNER)
        opened = await ask(core, APPROVALS, f"{SANDBOX}/{SHARED}", PARTNERS)
        await card_at(sandbox, PARTNER, THERE)
        await card_at(sandbox, SANDBOX, SHARED)
        card = await card_at(sandbox, SANDBOX, APPROVALS)
        found = await rows(core.url, "SELECT channel FROM cards ORDER BY channel")
        assert [APPROVALS, SHARED, PARTNERS] == [row["channel"] for row in found]

        await sandbox.slack.tap(APPROVALS, card.ts, "Approve", "Reviewer One")
        assert ["slack:U0REVIEW1"] == await repliers(core)
        assert opened.case.case_id == (await core.ledger())[0]["case_id"]


@ON_SQLITE
async def test_an_address_without_a_workspace_means_the_only_one_and_of_several_none(
    core: Core, sandbox: Sandbox
) -> None:
    async with running(core, sandbox) as assent:
        await ask(core, THERE)
        assert f"installed in no workspace; install it at {assent.url}/slack/install" in await dead_card(core)

        await assent.install(PARTNER)  # and the card is tried again
        card = await card_at(sandbox, PARTNER, THERE)
        await sandbox.slack.partner.tap(THERE, card.ts, "Approve", "Partner Reviewer")
        assert [f"slack:{PARTNER}/U0PARTREV"] == await repliers(core)

        await assent.install(SANDBOX)
        await ask(core, THERE)
        words = await dead_card(core)
        assert f"does not say which; write slack:T…/{THERE} with one of {PARTNER}, {SANDBOX}" in words


@ON_SQLITE
async def test_channels_by_name_and_people_are_found_in_their_own_workspace(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token) as assent:
        await assent.install(PARTNER)
        await ask(core, f"{PARTNER}/#approvals", f"{PARTNER}/U0PARTREV")
        await card_at(sandbox, PARTNER, THERE)
        found = await rows(core.url, "SELECT channel FROM cards ORDER BY channel")
        assert [PARTNERS, f"{PARTNER}/U0PARTREV"] == [row["channel"] for row in found]

        direct = sandbox.slack.partner.direct_message("Partner Reviewer")
        card = await card_at(sandbox, PARTNER, direct.id)
        await sandbox.slack.partner.tap(direct.id, card.ts, "Approve", "Partner Reviewer")
        assert [f"slack:{PARTNER}/U0PARTREV"] == await repliers(core)
        assert [] == sandbox.slack.messages(APPROVALS)


@ON_SQLITE
async def test_a_tap_in_one_workspace_answers_no_card_of_another_even_in_a_channel_of_the_same_id(
    core: Core, sandbox: Sandbox
) -> None:
    partner = sandbox.slack.partner
    partner.world.open(Channel(APPROVALS, "same", [partner.world.bot.id, "U0PARTREV"]))
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token) as assent:
        await assent.install(PARTNER)
        ours = await ask(core, APPROVALS, policy=Policy(("channel", "slack:U0PARTREV")))
        aim = await card_at(sandbox, SANDBOX, APPROVALS)
        await ask(core, f"{PARTNER}/{APPROVALS}")
        bait = await card_at(sandbox, PARTNER, APPROVALS)

        forged = partner.prepare(APPROVALS, bait.ts, "Approve", "Partner Reviewer")
        forged.payload["actions"][0]["value"] = _value(aim, "approve")
        await partner.deliver(forged)
        assert acknowledged(forged)
        told = await sandbox.until(lambda: [one.text for one in sandbox.notices("U0PARTREV")])
        assert "not one of the reviewers" in told[0]
        assert [] == await core.ledger()

        await sandbox.slack.tap(APPROVALS, aim.ts, "Approve", "Reviewer One")
        assert ["slack:U0REVIEW1"] == await repliers(core)
        assert ours.case.case_id == (await core.ledger())[0]["case_id"]


def _value(card: Message, action: str) -> str:
    (value,) = [str(one["value"]) for one in card.buttons() if f":{action}" in str(one.get("value"))]
    return value


@ON_SQLITE
async def test_people_of_another_workspace_are_named_with_it(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token) as assent:
        await assent.install(PARTNER)
        for number, (entry, counts) in enumerate((("slack:U0PARTREV", 0), (f"slack:{PARTNER}/U0PARTREV", 1)), 1):
            await ask(core, PARTNERS, policy=Policy((entry,)))
            card = await card_at(sandbox, PARTNER, THERE, number)
            tap = await sandbox.slack.partner.tap(THERE, card.ts, "Approve", "Partner Reviewer")
            assert acknowledged(tap)
            if not counts:
                await sandbox.until(lambda: sandbox.notices("U0PARTREV"))
            assert counts == len(await repliers(core, counts))


@ON_SQLITE
@pytest.mark.parametrize("connected", [False, True])
async def test_a_stranger_in_a_shared_channel_is_refused_wherever_they_are_from(
    core: Core, sandbox: Sandbox, connected: bool
) -> None:
    """Also where their own workspace is connected, and also when Slack says that it happened there."""
    async with running(core, sandbox) as assent:
        await assent.install(*((SANDBOX, PARTNER) if connected else (SANDBOX,)))
        await ask(core, f"{SANDBOX}/{SHARED}", policy=Policy(("channel",)))
        card = await card_at(sandbox, SANDBOX, SHARED)
        assert acknowledged(await sandbox.slack.tap(SHARED, card.ts, "Approve", "Stranger"))
        await sandbox.until(lambda: sandbox.notices("U0STRANGE"))

        at_home = sandbox.slack.prepare(SHARED, card.ts, "Approve", "Stranger")
        at_home.payload["team"] = {"id": PARTNER, "domain": "partner"}
        await sandbox.slack.deliver(at_home)
        assert acknowledged(at_home)
        await sandbox.until(lambda: len(sandbox.notices("U0STRANGE")) == 2)
        assert [] == await core.ledger()


@ON_SQLITE
async def test_a_command_is_answered_in_the_workspace_where_it_is_typed(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(SANDBOX, PARTNER)
        await ask(core, PARTNERS, prompt="Ship to the partner?")
        await card_at(sandbox, PARTNER, THERE)
        await sandbox.slack.partner.command(THERE, "/assent", "", user="Partner Reviewer")
        heard = await sandbox.until(lambda: [one.text for one in sandbox.notices("U0PARTREV")])
        assert ["Waiting for you: 1"] == heard
        await sandbox.slack.command(APPROVALS, "/assent", "", user="Reviewer One")
        heard = await sandbox.until(lambda: [one.text for one in sandbox.notices("U0REVIEW1")])
        assert "Waiting for you: 1" not in heard


@ON_SQLITE
async def test_whoever_is_away_asks_somebody_of_their_own_workspace(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token) as assent:
        await assent.install(PARTNER)
        partner = sandbox.slack.partner
        await partner.command(THERE, "/assent", "away until 3d to @Stranger", user="Partner Reviewer")
        await eventually(lambda: rows(core.url, "SELECT * FROM delegations"))
        (kept,) = await rows(core.url, "SELECT * FROM delegations")
        assert f"slack:{PARTNER}/U0STRANGE" == kept["taker"]

        await ask(core, PARTNERS, policy=Policy((f"slack:{PARTNER}/U0PARTREV",)))
        card = await card_at(sandbox, PARTNER, THERE)
        await partner.tap(THERE, card.ts, "Approve", "Stranger")
        assert [f"slack:{PARTNER}/U0STRANGE"] == await repliers(core)


async def test_a_process_of_pages_alone_asks_each_workspace_about_its_own_people(
    postgres_url: str, sandbox: Sandbox
) -> None:
    async with a_core(postgres_url) as core, running(core, sandbox, worker=False) as assent:
        await assent.install(SANDBOX, PARTNER)
        app = sandbox.slack.app
        settings = read_settings(
            database_url=postgres_url,
            slack_client_id=app.client_id,
            slack_client_secret=app.client_secret,
            slack_signing_secret=app.signing_secret,
            slack_base_url=sandbox.slack.base_url,
            assent_secret_key=("a secret that seals in tests",),
        )
        assembly = assemble(settings, ("api",), "http://localhost")
        await assembly.database.start(assembly.hub)
        try:
            known = assembly.chat.directories
            somebody = Identity("slack", f"{PARTNER}/U0PARTREV", team=PARTNER, verified=True)
            chats = {PARTNERS, THERE, f"{SANDBOX}/{APPROVALS}", APPROVALS}
            assert {PARTNERS} == await known.chats_of(somebody, chats)
            nobody = Identity("slack", "U0PARTREV", team=PARTNER, verified=True)
            assert frozenset() == await known.chats_of(nobody, chats)
        finally:
            await asyncio.gather(*(directory.close() for directory in assembly.known))
            await assembly.database.close()


async def test_the_first_tap_after_a_restart_asks_slack_nothing_and_waits_for_no_database(
    core: Core, sandbox: Sandbox
) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
    async with running(core, sandbox):
        await ask(core, PARTNERS)
        card = await card_at(sandbox, PARTNER, THERE)
        await eventually(lambda: rows(core.url, "SELECT * FROM cards WHERE shown_version = wanted_version"))
        asked = len(sandbox.calls("auth.test"))
        tap = sandbox.slack.partner.prepare(THERE, card.ts, "Approve", "Partner Reviewer")
        async with core.stalled() as end:
            await sandbox.slack.partner.deliver(tap)
            assert acknowledged(tap)
            await end()
        assert [f"slack:{PARTNER}/U0PARTREV"] == await repliers(core)
        assert asked == len(sandbox.calls("auth.test"))


# Installing


def _state(address: str) -> str:
    return parse_qs(urlsplit(address).query)["state"][0]


@ON_SQLITE
async def test_the_link_asks_slack_for_what_the_manifest_lists(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, worker=False) as assent:
        response = await assent.browser.get("/slack/install", params={"team": "T1&scope=admin"})
        asked = parse_qs(urlsplit(response.headers["location"]).query)
        assert [",".join(bot_scopes())] == asked["scope"]
        assert [f"{assent.url}/slack/oauth_redirect"] == asked["redirect_uri"]
        assert "team" not in asked
        assert "user_scope" not in asked


async def test_a_state_is_good_once_for_ten_minutes_and_in_one_browser(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, worker=False) as assent, httpx.AsyncClient() as other:
        back = await assent.agree(PARTNER)
        foreign = await other.get(back)
        assert 400 == foreign.status_code
        assert "in another browser" in foreign.text
        cookie = assent.browser.headers["cookie"]
        assert 200 == (await assent.browser.get(back)).status_code
        again = sandbox.slack.consent(await assent.begin(), "Partner Reviewer")
        state = _state(back)
        replayed = await other.get(again.replace(_state(again), state), headers={"cookie": cookie})
        assert 400 == replayed.status_code
        assert "has come back already" in replayed.text

        late = await assent.agree(SANDBOX)
        core.clock[0] += STATE_MS
        expired = await assent.browser.get(late)
        assert 400 == expired.status_code
        assert "more than ten minutes ago" in expired.text
        assert [PARTNER] == [row["team_id"] for row in await rows(core.url, "SELECT team_id FROM slack_installations")]


@ON_SQLITE
async def test_whoever_declines_or_comes_with_nonsense_installs_nothing(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, worker=False) as assent:
        declined = await assent.browser.get(await assent.agree(PARTNER, agrees=False))
        assert "you did not agree" in declined.text
        for more in ({"code": "wrong"}, {}):
            state = _state(await assent.begin())
            response = await assent.browser.get("/slack/oauth_redirect", params={"state": state, **more})
            assert 400 == response.status_code
            assert "Begin again at" in response.text
            assert "text/plain; charset=utf-8" == response.headers["content-type"]
        assert [] == await rows(core.url, "SELECT * FROM slack_installations")


@ON_SQLITE
async def test_only_the_listed_workspaces_are_connected(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, who=frozenset({SANDBOX})) as assent:
        refused, kept = await assent.install(PARTNER, SANDBOX)
        assert (403, 200) == (refused.status_code, kept.status_code)
        assert f"The workspace {PARTNER} is none of those" in refused.text
        assert "SLACK_INSTALL" in refused.text
        assert [SANDBOX] == [row["team_id"] for row in await rows(core.url, "SELECT team_id FROM slack_installations")]
        await ask(core, PARTNERS)
        assert f"the app is not installed in the workspace {PARTNER}" in await dead_card(core)


@ON_SQLITE
async def test_switched_off_nobody_installs_and_who_is_connected_stays_so_over_a_restart(
    core: Core, sandbox: Sandbox
) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
    async with running(core, sandbox, who=()) as assent:
        assert 404 == (await assent.browser.get("/slack/install")).status_code
        await ask(core, PARTNERS)
        card = await card_at(sandbox, PARTNER, THERE)
        await sandbox.slack.partner.tap(THERE, card.ts, "Approve", "Partner Reviewer")
        assert [f"slack:{PARTNER}/U0PARTREV"] == await repliers(core)


@ON_SQLITE
async def test_another_replica_serves_a_new_workspace_at_once(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, worker=False) as other, running(core, sandbox) as assent:
        await assent.install(PARTNER)
        await ask(core, PARTNERS)
        card = await card_at(sandbox, PARTNER, THERE)
        sandbox.slack.app.request_url = f"{other.url}/slack/interactions"
        await sandbox.slack.partner.tap(THERE, card.ts, "Approve", "Partner Reviewer")
        assert [f"slack:{PARTNER}/U0PARTREV"] == await repliers(core)


# The app is removed


async def test_a_removed_app_leaves_no_token_and_its_cards_say_what_to_do(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(SANDBOX, PARTNER)
        assert acknowledged(await sandbox.slack.partner.uninstall())
        await eventually(lambda: rows(core.url, "SELECT * FROM slack_installations WHERE revoked_at IS NOT NULL"))
        kept = {row["team_id"]: row for row in await rows(core.url, "SELECT * FROM slack_installations")}
        assert kept[PARTNER]["sealed"] is None
        assert kept[PARTNER]["revoked_at"]
        assert kept[SANDBOX]["sealed"]
        assert kept[SANDBOX]["revoked_at"] is None

        await ask(core, PARTNERS)
        words = await dead_card(core)
        assert f"removed from the workspace Partner ({PARTNER}); install it again at {assent.url}" in words
        await ask(core, f"{SANDBOX}/{APPROVALS}")
        await card_at(sandbox, SANDBOX, APPROVALS)

        await assent.install(PARTNER)
        await card_at(sandbox, PARTNER, THERE)


@ON_SQLITE
async def test_a_late_word_of_a_removal_does_not_undo_a_new_installation(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
        removal = await sandbox.slack.partner.uninstall()
        await assent.install(PARTNER)
        await sandbox.slack.partner.deliver(removal)
        assert acknowledged(removal)
        (kept,) = await rows(core.url, "SELECT * FROM slack_installations")
        assert kept["sealed"]
        assert kept["revoked_at"] is None


@ON_SQLITE
async def test_a_token_that_slack_takes_no_more_is_named_by_its_workspace(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
        sandbox.slack.app.revoked.update(sandbox.slack.app.grants)  # and no event came
        await ask(core, PARTNERS)
        words = await dead_card(core)
        assert f"removed from the workspace Partner ({PARTNER})" in words
        assert "token_revoked" in words
        assert "SLACK_BOT_TOKEN" not in words


# Secrets


async def test_no_token_is_in_the_database_or_in_the_logs(
    core: Core, sandbox: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    app = sandbox.slack.app
    app.rotates_tokens = True
    async with running(core, sandbox) as assent:
        await assent.install(SANDBOX, PARTNER)
        await ask(core, PARTNERS)
        card = await card_at(sandbox, PARTNER, THERE)
        await sandbox.slack.partner.tap(THERE, card.ts, "Approve", "Partner Reviewer")
        await repliers(core)
    secrets = [*app.grants, *app.refresh_tokens]
    core.clock[0] += 11 * HOUR
    async with running(core, sandbox, worker=False):
        secrets += [*app.grants, *app.refresh_tokens]  # those that took their place
    assert 8 == len(set(secrets))
    secrets.append(app.client_secret)
    kept = "".join(str([await rows(core.url, f"SELECT * FROM {table}") for table in await _tables(core.url)]))
    said = "".join(capfd.readouterr())
    assert PARTNER in kept
    assert PARTNER in said
    for secret in secrets:
        assert secret not in kept
        assert secret not in said
    assert "bot_token" not in kept
    assert "refresh_token" not in kept


async def _tables(url: str) -> list[str]:
    if url.startswith("sqlite:"):
        found = await rows(url, "SELECT name FROM sqlite_master WHERE type = 'table'")
    else:
        found = await rows(
            url, "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'"
        )
    return [str(row["name"]) for row in found]


@ON_SQLITE
async def test_each_channel_of_each_workspace_has_a_pace_of_its_own(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox, worker=False) as assent:
        places = [Address("slack", one) for one in (APPROVALS, f"{PARTNER}/{APPROVALS}", f"{PARTNER}/{THERE}")]
        assert 3 == len({assent.adapter.messenger.rate(place, "post")[0] for place in places})


# The settings, a process by them, and the doctor


async def test_a_process_is_connected_by_its_settings_alone(sqlite_url: str, sandbox: Sandbox) -> None:
    app = sandbox.slack.app
    settings = Settings(
        _env_file=None,
        database_url=sqlite_url,
        port=0,
        assent_secret_key=(SECRET,),
        slack_client_id=app.client_id,
        slack_client_secret=app.client_secret,
        slack_signing_secret=app.signing_secret,
        slack_base_url=sandbox.slack.base_url,
        slack_install=f"{SANDBOX}, {PARTNER}",
    )
    async with serve(settings, ROLES) as (process, _), httpx.AsyncClient() as browser:
        app.request_url = f"{process.url}/slack/interactions"
        asked = await browser.get(f"{process.url}/slack/install")
        browser.headers["cookie"] = asked.headers["set-cookie"].partition(";")[0]
        back = sandbox.slack.consent(asked.headers["location"], "Partner Reviewer")
        assert 200 == (await browser.get(back)).status_code
        document = (await browser.get(f"{process.url}/openapi")).json()
        assert {"/slack/install", "/slack/oauth_redirect"} <= document["paths"].keys()
        tap = await sandbox.slack.partner.command(THERE, "/assent", "whoami", user="Partner Reviewer")
        assert acknowledged(tap)
        assert (await sandbox.until(lambda: sandbox.notices("U0PARTREV")))[0].text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"slack_install": "anyone"}, "SLACK_INSTALL needs SLACK_CLIENT_ID"),
        ({"slack_install": "T0AB;T0CD"}, "SLACK_INSTALL"),
        ({"slack_signing_secret": "s"}, "SLACK_CLIENT_ID and SLACK_CLIENT_SECRET beside SLACK_SIGNING_SECRET"),
        (
            {
                "slack_install": "anyone",
                "slack_app_token": "a",
                "slack_bot_token": "b",
                "slack_client_id": "c",
                "slack_client_secret": "d",
                "slack_signing_secret": "e",
            },
            "no SLACK_APP_TOKEN",
        ),
    ],
)
def test_settings_that_cannot_connect_workspaces_are_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(WrongSetting, match=words):
        read_settings(**given)


async def test_the_doctor_says_which_workspaces_are_connected(sqlite_url: str) -> None:
    async with installation(sqlite_url, slack_client_id="1.2", slack_client_secret="s") as here:
        installs = Installations(here.world.database, key_ring(here.settings))
        app = here.sandbox.slack.app
        app.client_id, app.client_secret = "1.2", "s"
        app.grants["xoxb-partner"] = Grant(PARTNER, ",".join(bot_scopes()))
        granted = json.dumps({"bot_token": "xoxb-partner"})
        await installs.keep(Installation(PARTNER, "Partner", "U0BOT0002", "chat:write", granted=granted))
        theirs = Policy((f"slack:{PARTNER}/S0PARTNER", f"slack:{PARTNER}/S0NOBODY"))
        await here.source("partners", notify=(Address("slack", PARTNERS),), policy=theirs)
        (group,) = [one for one in await here.findings() if one.name == "slack.user_groups"]
        assert f"names the user group slack:{PARTNER}/S0NOBODY, which is not in its workspace" in str(group)
        found = [one for one in await here.findings() if one.name in ("slack.workspaces", "slack.chats")]
        assert f"installed in Partner; its channels are written slack:{PARTNER}/C…" in str(found)
        assert "all 2 chats" in str(found)

        app.revoked.add("xoxb-partner")
        found = [one for one in await here.findings() if one.name == "slack.workspaces"]
        assert [Level.BROKEN] == [one.level for one in found]
        await installs.revoke(PARTNER)
        found = [one for one in await here.findings() if one.name == "slack.workspaces"]
        assert "removed from the workspace Partner" in str(found)
