"""Who is in which Telegram chat, asked through the real SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from telegram import Bot
from telegram.request import HTTPXRequest

from adapters.telegram.directory import TelegramDirectory
from bot.sandbox import Fault, Sandbox
from core.model import Identity
from core.ports import SendFailed
from tests.integration.telegram_support import adapter_for
from tests.support.cores import a_core

GROUP, SUPERGROUP, FORUM = "-4001", "-1001000000001", "-1001000000002"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox.running() as found:
        yield found


@pytest.fixture
async def directory(sandbox: Sandbox) -> AsyncIterator[TelegramDirectory]:
    request = HTTPXRequest(httpx_kwargs={"trust_env": False})
    bot = Bot(sandbox.telegram.token, base_url=f"{sandbox.telegram.base_url}/bot", request=request)
    await request.initialize()
    yield TelegramDirectory(bot, sandbox.telegram.base_url)
    await request.shutdown()


@pytest.mark.parametrize(
    ("status", "is_in"),
    [("creator", True), ("administrator", True), ("member", True), ("left", False), ("kicked", False)],
)
async def test_who_is_a_member_is_in_a_chat_and_who_left_is_not(
    sandbox: Sandbox, directory: TelegramDirectory, status: str, is_in: bool
) -> None:
    sandbox.telegram.world.group.members[1002] = status
    assert is_in == (GROUP in await directory.chats_of("1002", {GROUP}))


@pytest.mark.parametrize("is_member", [True, False])
async def test_who_is_restricted_is_in_a_chat_while_they_are_a_member(
    sandbox: Sandbox, directory: TelegramDirectory, is_member: bool
) -> None:
    sandbox.telegram.world.supergroup.members[1002] = "restricted" if is_member else "restricted_away"
    assert is_member == (SUPERGROUP in await directory.chats_of("1002", {SUPERGROUP}))


async def test_of_many_chats_those_are_told_that_somebody_is_in(sandbox: Sandbox, directory: TelegramDirectory) -> None:
    asked = {GROUP, SUPERGROUP, FORUM, "-99", "not a number"}
    assert {GROUP, SUPERGROUP, FORUM} == await directory.chats_of("1002", asked)
    assert frozenset() == await directory.chats_of("1005", asked)  # has talked to the bot, is in no group
    assert frozenset() == await directory.chats_of("424242", asked)  # nobody whom Telegram knows
    assert frozenset() == await directory.groups_of("1002", {"S0REVIEWS"})


async def test_of_a_group_that_moved_the_new_one_is_asked(sandbox: Sandbox, directory: TelegramDirectory) -> None:
    new = sandbox.telegram.migrate(GROUP)
    assert {GROUP} == await directory.chats_of("1002", {GROUP})
    new.members[1002] = "left"
    assert frozenset() == await directory.chats_of("1002", {GROUP})


async def test_of_a_group_that_threw_the_bot_out_nobody_counts(sandbox: Sandbox, directory: TelegramDirectory) -> None:
    sandbox.telegram.kick(GROUP)
    assert frozenset() == await directory.chats_of("1002", {GROUP})


async def test_an_anonymous_admin_is_in_no_chat(sandbox: Sandbox, directory: TelegramDirectory) -> None:
    sandbox.telegram.world.supergroup.members[1087968824] = "administrator"
    assert frozenset() == await directory.chats_of("1087968824", {SUPERGROUP})
    assert [] == sandbox.calls("getChatMember")


@pytest.mark.parametrize("fault", [Fault.server_error(502), Fault.dropped(), Fault.rate_limited(retry_after=3)])
async def test_what_cannot_be_asked_is_said_to_be_unknown(
    sandbox: Sandbox, directory: TelegramDirectory, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    sandbox.faults.next("getChatMember", fault, times=1)
    with pytest.raises(SendFailed) as raised:
        await directory.chats_of("1002", {GROUP, SUPERGROUP})
    assert sandbox.telegram.token not in raised.value.message


async def test_a_process_that_is_not_connected_can_ask_as_well(sqlite_url: str, sandbox: Sandbox) -> None:
    async with a_core(sqlite_url) as core:
        adapter = adapter_for(core, sandbox)  # as where the web pages run alone
        person = Identity("telegram", "1002", verified=True)
        assert {GROUP} == await core.chat.directories.chats_of(person, {GROUP, "-99"})
        await adapter.stop(1)
