"""Taps as evidence: what reaches our own adapters through Slack and Telegram satisfies a policy by itself."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.telegram.initdata import InitDataVerifier, start_param
from bot.sandbox import Sandbox
from core.model import Opened
from core.verification import Evidence, Expected, Verified
from core.verifiers import Verifiers
from tests.integration import slack_support, telegram_support
from tests.integration.slack_support import APPROVALS
from tests.integration.telegram_support import GROUP
from tests.support.cores import Core, a_core
from tests.support.databases import rows
from tests.support.evidence import policy

RECORDED = "Recorded: Approved."


@pytest.fixture
async def core(database_url: str) -> AsyncIterator[Core]:
    async with a_core(database_url, verifiers=Verifiers(taps=("slack", "telegram"))) as found:
        yield found


async def kept(core: Core, opened: Opened) -> dict[str, Any] | None:
    """The verification_result of a case, as its row keeps it; None while there is none."""
    (row,) = await rows(core.url, f"SELECT answered FROM cases WHERE case_id = '{opened.case.case_id}'")
    found: dict[str, Any] | None = json.loads(row["answered"] or "{}").get("verification")
    return found


@pytest.mark.parametrize("socket_mode", [False, True], ids=["http", "socket mode"])
async def test_a_tap_in_slack_is_evidence_by_slack(core: Core, sandbox: Sandbox, socket_mode: bool) -> None:
    async with slack_support.connected(core, sandbox, socket_mode=socket_mode):
        opened = await slack_support.ask(core, verification_policy=policy("slack"))
        card = await slack_support.card_in(sandbox)
        tap = sandbox.slack.prepare(APPROVALS, card.ts, "Approve")
        await sandbox.slack.deliver(tap, copies=2)
        await slack_support.closed_card(sandbox, card)
    result = await kept(core, opened)
    assert result is not None
    (accepted,) = result["verified_evidence"]
    assert ("slack", "medium", True, True) == (
        accepted["provider"], accepted["assurance_level"], accepted["bound_to_case"], accepted["bound_to_action"],
    )  # fmt: skip
    assert 1 == len(await core.ledger()) == len(await rows(core.url, "SELECT * FROM used_evidence"))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (policy("world_id"), "needs proof_of_human by world_id; open the review link"),
        (policy("telegram"), "needs proof_of_human by telegram"),
    ],
)
async def test_a_tap_that_proves_something_else_is_refused_in_private(
    core: Core, sandbox: Sandbox, asked: dict[str, Any], why: str
) -> None:
    async with slack_support.connected(core, sandbox):
        await slack_support.ask(core, verification_policy=asked)
        card = await slack_support.card_in(sandbox)
        await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
        (words,) = await slack_support.told(sandbox, slack_support.REVIEWER)
    assert why in words
    assert [] == await core.ledger()


async def test_a_tap_that_arrives_late_is_not_fresh(core: Core, sandbox: Sandbox) -> None:
    async with slack_support.connected(core, sandbox):
        await slack_support.ask(core, verification_policy=policy("slack", freshness_seconds=60))
        card = await slack_support.card_in(sandbox)
        core.clock[0] += 90_000
        await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
        (words,) = await slack_support.told(sandbox, slack_support.REVIEWER)
    assert "older than 60 seconds" in words
    assert [] == await core.ledger()


async def test_taps_of_a_platform_that_is_not_chosen_prove_nothing(database_url: str, sandbox: Sandbox) -> None:
    async with a_core(database_url, verifiers=Verifiers(taps=("telegram",))) as core:
        async with slack_support.connected(core, sandbox):
            await slack_support.ask(core, verification_policy=policy("slack"))
            card = await slack_support.card_in(sandbox)
            await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
            (words,) = await slack_support.told(sandbox, slack_support.REVIEWER)
        assert "needs proof_of_human by slack" in words
        assert [] == await core.ledger()


async def test_taps_without_a_policy_say_nothing_of_verification(core: Core, sandbox: Sandbox) -> None:
    async with slack_support.connected(core, sandbox):
        opened = await slack_support.ask(core)
        card = await slack_support.card_in(sandbox)
        await sandbox.slack.tap(APPROVALS, card.ts, "Approve")
        await slack_support.closed_card(sandbox, card)
    assert await kept(core, opened) is None
    assert [] == await rows(core.url, "SELECT * FROM used_evidence")


@pytest.mark.parametrize("webhook", [True, False], ids=["webhook", "polling"])
async def test_a_tap_in_telegram_is_evidence_by_telegram(core: Core, sandbox: Sandbox, webhook: bool) -> None:
    async with telegram_support.connected(core, sandbox, webhook=webhook):
        opened = await core.ask(GROUP, verification_policy=policy("telegram"))
        card = await telegram_support.card_in(sandbox, GROUP)
        tap = await sandbox.telegram.tap(GROUP, card.message_id, "Approve", "Reviewer One")
        assert RECORDED == (await tap.answer()).text
    result = await kept(core, opened)
    assert result is not None
    (accepted,) = result["verified_evidence"]
    assert ("telegram", True, True) == (accepted["provider"], accepted["bound_to_case"], accepted["bound_to_action"])


async def test_a_tap_that_telegram_kept_while_nobody_fetched_it_is_as_old_as_it_may_be(
    core: Core, sandbox: Sandbox
) -> None:
    opened = await core.ask(GROUP, verification_policy=policy("telegram", freshness_seconds=60))
    async with telegram_support.connected(core, sandbox):
        card = await telegram_support.card_in(sandbox, GROUP)
        await sandbox.until(lambda: sandbox.calls("getUpdates"))
    card.date -= 3_600
    await sandbox.telegram.tap(GROUP, card.message_id, "Approve", "Reviewer One")
    async with telegram_support.connected(core, sandbox):
        await sandbox.until(lambda: not sandbox.telegram.updates.pending, 30)
    assert [] == await core.ledger()
    assert await kept(core, opened) is None


async def test_polling_knows_that_a_tap_is_younger_than_the_last_look(core: Core, sandbox: Sandbox) -> None:
    asked = policy("telegram", freshness_seconds=60)
    async with telegram_support.connected(core, sandbox):
        opened = await core.ask(GROUP, verification_policy=asked)
        first = await core.ask(GROUP, prompt="Something else?")
        card = await telegram_support.card_in(sandbox, GROUP, saying="Deploy checkout")
        other = await telegram_support.card_in(sandbox, GROUP, saying="Something else?")
        # The card itself was posted long ago; that the queue was empty a moment ago is what counts.
        card.date -= 3_600
        tap = await sandbox.telegram.tap(GROUP, other.message_id, "Approve", "Reviewer One")
        await tap.answer()
        tap = await sandbox.telegram.tap(GROUP, card.message_id, "Approve", "Reviewer One")
        assert RECORDED == (await tap.answer()).text
    assert await kept(core, opened) is not None
    assert await kept(core, first) is None


async def test_the_local_telegram_signs_as_the_verifier_expects(sandbox: Sandbox) -> None:
    verifier = InitDataVerifier(sandbox.telegram.token)
    expected = Expected("review_1", "approve", "challenge")
    data = sandbox.telegram.init_data("Reviewer One", 1_800_000_000, start_param("review_1", "approve", "challenge"))
    found = await verifier.verify(Evidence("proof_of_human", "telegram", "provider_opaque", data, {}), expected)
    assert isinstance(found, Verified)
    assert (True, True, 1_800_000_000_000) == (found.bound_to_case, found.bound_to_action, found.proved_at)
