"""A word of Slack's that the app was removed, which may be late, at a moment when Slack cannot be asked."""

from __future__ import annotations

import pytest

from bot.sandbox import Fault, Sandbox
from tests.integration.slack_installing import PARTNER, PARTNERS, THERE, card_at, running
from tests.integration.slack_support import ON_SQLITE, acknowledged, ask
from tests.support.cores import Core
from tests.support.databases import eventually, rows

# The SDK sends the client's secret through a helper that aiohttp wants to retire.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

REMOVED = "SELECT * FROM slack_installations WHERE revoked_at IS NOT NULL"


@pytest.fixture(autouse=True)
def _asked_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.slack.hearing.AGAIN_SECONDS", (0.05, 0.05))


@ON_SQLITE
async def test_while_slack_cannot_say_whether_the_app_is_there_it_is_asked_again(core: Core, sandbox: Sandbox) -> None:
    partner = sandbox.slack.partner
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
        late = await partner.uninstall()
        await eventually(lambda: rows(core.url, REMOVED))
        await assent.install(PARTNER)
        before = len(sandbox.calls("auth.test"))
        sandbox.faults.next("auth.test", Fault.server_error(503), times=2)
        assert acknowledged(await partner.deliver(late))
        await sandbox.until(lambda: len(sandbox.calls("auth.test")) >= before + 3)
        await ask(core, PARTNERS)
        await card_at(sandbox, PARTNER, THERE)
        assert [] == await rows(core.url, REMOVED)


@ON_SQLITE
async def test_where_slack_cannot_be_asked_for_long_its_word_counts(core: Core, sandbox: Sandbox) -> None:
    async with running(core, sandbox) as assent:
        await assent.install(PARTNER)
        sandbox.faults.next("auth.test", Fault.server_error(503), times=9)
        await sandbox.slack.partner.uninstall()
        await eventually(lambda: rows(core.url, REMOVED))
