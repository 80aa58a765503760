"""Slack tokens that run out: renewed before that, once, whoever runs; and what happens where that fails."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from adapters.slack import InstallSettings
from adapters.slack.messenger import SlackMessenger
from adapters.slack.renewing import Renewing
from bot.doctor.manifest import bot_scopes
from bot.sandbox import Fault, Sandbox
from bot.sandbox.journal import Call
from bot.sandbox.slack.app import Grant
from core.errors import Unavailable
from core.installations import Installation, Installations
from core.schedule import DAY, HOUR
from tests.integration.slack_installing import PARTNER, PARTNERS, THERE, card_at, dead_card, repliers, running
from tests.integration.slack_support import ON_SQLITE, acknowledged, ask, closed_card, settings_for, shown
from tests.support.cores import RING, Core
from tests.support.databases import eventually, rows

# The SDK sends the client's secret through a helper that aiohttp wants to retire.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

SOMEBODY = "Partner Reviewer"
SOON = 11 * HOUR  # of the twelve that a token lasts


@pytest.fixture(autouse=True)
def _tokens_run_out_and_are_looked_after(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.slack.app.rotates_tokens = True
    monkeypatch.setattr("adapters.slack.desks.REFRESH_SECONDS", 0.05)


def run_out(sandbox: Sandbox, tokens: Iterable[str]) -> None:
    """Slack takes these no more, by its own clock."""
    grants = sandbox.slack.app.grants
    for token in tokens:
        grants[token] = replace(grants[token], expires_at=0.0)


def renewals(sandbox: Sandbox) -> list[Call]:
    return [call for call in sandbox.calls("oauth.v2.access") if call.params.get("grant_type") == "refresh_token"]


async def _was_renewed(core: Core, old: str) -> bool:
    found = await Installations(core.database, RING).of(PARTNER)
    return found is not None and json.loads(found.granted)["bot_token"] != old


async def test_a_token_is_renewed_before_it_runs_out_and_nobody_notices(core: Core, sandbox: Sandbox) -> None:
    app, partner = sandbox.slack.app, sandbox.slack.partner
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
        (old,) = app.grants
        await ask(core, PARTNERS, chat={"ask_reason": True}, timeout_ms=2 * DAY)
        card = await card_at(sandbox, PARTNER, THERE)
        await partner.tap(THERE, card.ts, "Reject", SOMEBODY)
        await sandbox.until(lambda: partner.modal(SOMEBODY))

        core.clock[0] += SOON
        await eventually(lambda: _was_renewed(core, old))
        run_out(sandbox, [old])
        async with running(core, sandbox, worker=False):  # which knows only the new one, and is asked from now on
            assert acknowledged(await partner.submit(SOMEBODY, {"own": "Not today"}))
        assert [f"slack:{PARTNER}/U0PARTREV"] == await repliers(core)
        assert "Reason: Not today" in shown(await closed_card(sandbox, card))
        assert 1 == len(renewals(sandbox))


async def test_of_many_replicas_one_renews_and_all_go_on_with_what_it_got(core: Core, sandbox: Sandbox) -> None:
    app = sandbox.slack.app
    async with running(core, sandbox, worker=False) as other, running(core, sandbox) as assent:
        await assent.install(PARTNER)
        (old,) = app.grants
        sandbox.faults.next("oauth.v2.access", Fault.slow(0.5))  # and all find that it is time to
        core.clock[0] += SOON
        await sandbox.until(lambda: [call for call in renewals(sandbox) if call.outcome == "ok"])
        run_out(sandbox, [old])

        app.request_url = f"{other.url}/slack/interactions"
        await ask(core, PARTNERS)
        card = await card_at(sandbox, PARTNER, THERE)
        await sandbox.slack.partner.tap(THERE, card.ts, "Approve", SOMEBODY)
        assert [f"slack:{PARTNER}/U0PARTREV"] == await repliers(core)
        await closed_card(sandbox, card)
        assert 1 == len(renewals(sandbox))


@ON_SQLITE
async def test_a_token_that_ran_out_while_nobody_ran_is_renewed_at_the_start(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
    core.clock[0] += 3 * DAY
    run_out(sandbox, [*sandbox.slack.app.grants])
    async with running(core, sandbox):
        await ask(core, PARTNERS)
        await card_at(sandbox, PARTNER, THERE)
    assert not [call for call in sandbox.calls("chat.postMessage") if call.outcome == "token_expired"]


@ON_SQLITE
async def test_while_slack_renews_nothing_cards_wait_and_are_not_given_up(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
        run_out(sandbox, [*sandbox.slack.app.grants])
        sandbox.faults.next("oauth.v2.access", Fault.server_error(503), times=3)
        await ask(core, PARTNERS, timeout_ms=2 * DAY)
        await sandbox.until(lambda: [c for c in sandbox.calls("chat.postMessage") if c.outcome == "token_expired"])
        core.clock[0] += SOON
        await card_at(sandbox, PARTNER, THERE)
        assert [] == await rows(core.url, "SELECT * FROM cards WHERE state = 'dead'")


@ON_SQLITE
async def test_a_token_that_cannot_be_renewed_is_said_to_be_so_and_a_new_installation_helps(
    core: Core, sandbox: Sandbox
) -> None:
    app = sandbox.slack.app
    with capture_logs() as logs:
        async with running(core, sandbox) as assent:
            await assent.install(PARTNER)
            app.refresh_tokens.clear()
            core.clock[0] += SOON
            await sandbox.until(lambda: [call for call in renewals(sandbox) if call.outcome != "ok"])
            await ask(core, PARTNERS)
            await card_at(sandbox, PARTNER, THERE)  # until it runs out, the old one is good

            run_out(sandbox, [*app.grants])
            await ask(core, PARTNERS)
            words = await dead_card(core)
            assert f"the token of the workspace Partner ({PARTNER}) has run out and could not be renewed" in words
            assert f"install the app there again at {assent.url}/slack/install" in words
            assert 1 == len(renewals(sandbox)), "it is no use to ask again"

            await assent.install(PARTNER)
            await card_at(sandbox, PARTNER, THERE, 2)
    assert "slack.token_not_renewed" in {entry["event"] for entry in logs}


async def test_a_token_of_the_settings_that_runs_out_is_said_to_need_an_installation(
    messenger: SlackMessenger, sandbox: Sandbox
) -> None:
    sandbox.faults.next("auth.test", Fault.platform_error("token_expired"))
    found = await messenger.check()
    assert not found.ok
    assert "SLACK_BOT_TOKEN has run out" in found.detail
    assert "leave it out and install the app at /slack/install" in found.detail


class OutOfReach(Installations):
    """A database that is away when the first answers of Slack's are to be saved."""

    times = 2

    async def renewed(self, installation: Installation, granted: str, lasts_ms: int | None) -> bool:
        if self.times:
            self.times -= 1
            raise Unavailable("away")
        return await super().renewed(installation, granted, lasts_ms)


async def test_what_slack_granted_is_saved_when_the_database_is_back_and_not_asked_for_again(
    core: Core, sandbox: Sandbox
) -> None:
    app, installs = sandbox.slack.app, OutOfReach(core.database, RING)
    app.refresh_tokens["xoxe-1-first"] = Grant(PARTNER, ",".join(bot_scopes()))
    granted = json.dumps({"bot_token": "xoxb-first", "refresh_token": "xoxe-1-first"})
    kept = Installation(PARTNER, "Partner", "U0BOT0002", "chat:write", granted=granted, lasts_ms=12 * HOUR)
    await installs.keep(kept)
    client = InstallSettings(app.client_id, app.client_secret, "https://assent.example.com")
    renewing = Renewing(settings_for(sandbox), client, installs)
    assert not await renewing.renew(PARTNER), "it is not time yet"
    core.clock[0] += SOON
    for _ in range(2):
        with pytest.raises(Unavailable):
            await renewing.renew(PARTNER)
    assert await renewing.renew(PARTNER)
    assert 1 == len(renewals(sandbox))
    found = await installs.of(PARTNER)
    assert found is not None
    assert not found.is_due
    assert {*app.grants} == {json.loads(found.granted)["bot_token"]}


async def test_a_renewal_does_not_undo_a_removal_or_a_new_installation(core: Core) -> None:
    installs = Installations(core.database, RING)
    first = Installation(PARTNER, "Partner", "U0BOT0002", "chat:write", granted='{"bot_token": "1"}', lasts_ms=HOUR)
    await installs.keep(first)
    old = await installs.of(PARTNER)
    assert old is not None
    core.clock[0] += HOUR
    await installs.keep(replace(first, granted='{"bot_token": "2"}'))
    assert not await installs.renewed(old, '{"bot_token": "late"}', HOUR)
    new = await installs.of(PARTNER)
    assert new is not None
    await installs.revoke(PARTNER)
    assert not await installs.renewed(new, '{"bot_token": "late"}', HOUR)
    (kept,) = await rows(core.url, "SELECT * FROM slack_installations")
    assert kept["sealed"] is None


@ON_SQLITE
async def test_a_token_that_has_run_out_is_no_sign_that_the_app_was_removed(core: Core, sandbox: Sandbox) -> None:
    partner = sandbox.slack.partner
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
        late = await partner.uninstall()
        await eventually(lambda: rows(core.url, "SELECT * FROM slack_installations WHERE revoked_at IS NOT NULL"))
        await assent.install(PARTNER)
        run_out(sandbox, [*sandbox.slack.app.grants])
        core.clock[0] += SOON
        assert acknowledged(await partner.deliver(late))
        await ask(core, PARTNERS)
        await card_at(sandbox, PARTNER, THERE)
        assert [] == await rows(core.url, "SELECT * FROM slack_installations WHERE revoked_at IS NOT NULL")


@ON_SQLITE
async def test_an_app_that_is_removed_when_its_token_has_run_out_is_forgotten(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
        run_out(sandbox, [*sandbox.slack.app.grants])
        core.clock[0] += SOON
        await sandbox.slack.partner.uninstall()
        await eventually(lambda: rows(core.url, "SELECT * FROM slack_installations WHERE sealed IS NULL"))
