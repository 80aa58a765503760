"""User groups and people of workspaces beside the default one: each is asked of its own, and taken for no other's."""

from __future__ import annotations

import pytest

from bot.sandbox import Sandbox
from bot.sandbox.slack import Message, UserGroup
from core.errors import NotAReviewer
from core.model import Identity, Opened, Origin, Policy
from core.notices import Notices
from core.reminders import Reminders
from core.replies import Reply
from core.schedule import DAY
from core.workers import NoticeWorker
from tests.integration.slack_installing import PARTNER, PARTNERS, SANDBOX, THERE, card_at, repliers, running
from tests.integration.slack_support import APPROVALS, ON_SQLITE, acknowledged, ask, closed_card, told
from tests.support.cores import PUBLIC_URL, RING, Core
from tests.support.databases import eventually, rows
from tests.support.workers import drawing

# The SDK sends the client's secret through a helper that aiohttp wants to retire.
pytestmark = pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")

SOMEBODY, ANOTHER = "Partner Reviewer", "Stranger"
GROUP, NAMESAKE = f"slack:{PARTNER}/S0PARTNER", "S0REVIEWS"
PARTREV = Identity("slack", f"{PARTNER}/U0PARTREV", "Partner Reviewer", team=PARTNER, verified=True)


async def named(core: Core, sandbox: Sandbox, *entries: str, number: int = 1) -> tuple[Opened, Message]:
    """A case in the partner's channel, for these reviewers, and its card."""
    opened = await ask(core, PARTNERS, policy=Policy(entries))
    return opened, await card_at(sandbox, PARTNER, THERE, number)


async def refused(sandbox: Sandbox, card: Message, user: str, number: int = 1) -> str:
    """What this person is told, who taps and may not."""
    tap = await sandbox.slack.partner.tap(THERE, card.ts, "Approve", user)
    assert acknowledged(tap)
    notices = await sandbox.until(
        lambda: found if len(found := sandbox.notices(sandbox.slack.partner.world.person(user).id)) >= number else None
    )
    return notices[-1].text


async def test_a_user_group_of_another_workspace_decides_as_that_workspace_says_now(
    core: Core, sandbox: Sandbox
) -> None:
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token) as assent:
        await assent.install(PARTNER)
        _, card = await named(core, sandbox, GROUP)
        assert f"the Slack user group {PARTNER}/S0PARTNER" in await refused(sandbox, card, ANOTHER)
        await sandbox.slack.partner.tap(THERE, card.ts, "Approve", SOMEBODY)
        assert [f"slack:{PARTNER}/U0PARTREV"] == await repliers(core)
        await closed_card(sandbox, card)
        assert "S0PARTNER" in {call.params.get("usergroup") for call in sandbox.calls("usergroups.users.list")}


@ON_SQLITE
async def test_a_user_group_is_none_of_the_same_id_in_another_workspace(core: Core, sandbox: Sandbox) -> None:
    sandbox.slack.partner.world.user_groups[NAMESAKE] = UserGroup(NAMESAKE, "reviewers", "Reviewers", ["U0PARTREV"])
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token) as assent:
        await assent.install(PARTNER)
        _, card = await named(core, sandbox, f"slack:{NAMESAKE}", f"slack:{SANDBOX}/{NAMESAKE}")
        assert "not one of the reviewers" in await refused(sandbox, card, SOMEBODY)

        theirs = f"slack:{PARTNER}/{NAMESAKE}"
        await ask(core, APPROVALS, policy=Policy((theirs,)))
        here = await card_at(sandbox, SANDBOX, APPROVALS)
        await sandbox.slack.tap(APPROVALS, here.ts, "Approve", "Reviewer One")
        await sandbox.until(lambda: sandbox.notices("U0REVIEW1"))
        assert [] == await core.ledger()

        _, card = await named(core, sandbox, theirs, number=2)
        await sandbox.slack.partner.tap(THERE, card.ts, "Approve", SOMEBODY)
        assert [f"slack:{PARTNER}/U0PARTREV"] == await repliers(core)


@ON_SQLITE
async def test_an_inbox_shows_what_waits_for_the_user_groups_of_ones_own_workspace(
    core: Core, sandbox: Sandbox
) -> None:
    sandbox.slack.partner.world.user_groups[NAMESAKE] = UserGroup(NAMESAKE, "reviewers", "Reviewers", ["U0PARTREV"])
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token, worker=False) as assent:
        await assent.install(PARTNER)
        await ask(core, PARTNERS, policy=Policy((GROUP,)))
        await ask(core, APPROVALS, policy=Policy((f"slack:{NAMESAKE}",)))
        await sandbox.slack.partner.command(THERE, "/assent", "", user=SOMEBODY)
        await sandbox.slack.command(APPROVALS, "/assent", "", user="Reviewer One")
        for user in ("U0PARTREV", "U0REVIEW1"):
            assert ["Waiting for you: 1"] == await told(sandbox, user)


@ON_SQLITE
async def test_a_reminder_calls_the_user_group_and_the_people_of_the_cards_own_workspace(
    core: Core, sandbox: Sandbox
) -> None:
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token) as assent:
        await assent.install(PARTNER)
        notices = Notices(core.database, RING, PUBLIC_URL)
        worker = NoticeWorker(notices, core.cards, assent.adapter.messenger, core.hub)
        async with drawing(worker, core.hub):
            policy = Policy((GROUP, PARTREV.address, f"slack:{NAMESAKE}"))
            await ask(core, PARTNERS, policy=policy, timeout="24h", timeout_ms=DAY)
            card = await card_at(sandbox, PARTNER, THERE)
            await eventually(lambda: rows(core.url, "SELECT * FROM cards WHERE message IS NOT NULL"))
            core.clock[0] = DAY // 2
            await Reminders(core.database, core.hub).remind_due()
            threads = sandbox.slack.partner.world
            reminder = await sandbox.until(
                lambda: next(
                    (one for one in threads.visible(THERE) if one.thread_ts == card.ts and one is not card), None
                )
            )
            assert "<!subteam^S0PARTNER>" in reminder.text
            assert "<@U0PARTREV>" in reminder.text
            assert NAMESAKE not in str(reminder)


async def test_what_was_removed_decides_nothing_under_any_identity(core: Core, sandbox: Sandbox) -> None:
    """Neither a person nor a group of theirs, nor whoever is the same person elsewhere; also a moment after Slack was
    asked who is in the group.
    """
    elsewhere = Identity("telegram", "1002", "Partner Reviewer", verified=True)
    async with running(core, sandbox, bot_token=sandbox.slack.app.bot_token, worker=False) as assent:
        await assent.install(PARTNER)
        people, sessions = core.chat.people, core.chat.sessions
        await people.link(elsewhere, await people.link_code(PARTREV))
        session = await sessions.open(PARTREV, "chat_link")
        waiting = [await ask(core, PARTNERS, policy=Policy((entry,))) for entry in (GROUP, PARTREV.address)]
        assert [2, 2] == [await _waiting(core, who) for who in (PARTREV, elsewhere)]
        assert PARTREV == await sessions.who(session.token)

        await sandbox.slack.partner.uninstall()
        await eventually(lambda: rows(core.url, "SELECT * FROM slack_installations WHERE revoked_at IS NOT NULL"))
        assert await sessions.who(session.token) is None
        assert [0, 0] == [await _waiting(core, who) for who in (PARTREV, elsewhere)]
        for opened in waiting:
            for who in (PARTREV, elsewhere):
                with pytest.raises(NotAReviewer):
                    await core.gate.respond(
                        Reply(
                            opened.case.case_id, "inline", str(opened.submit_token), "approve", {}, who,
                            "slack_block_action", Origin.WEBHOOK, in_channel=True,
                        )
                    )  # fmt: skip
        assert [] == await core.ledger()


async def _waiting(core: Core, who: Identity) -> int:
    return (await core.chat.inbox.waiting(who, limit=10)).total
